"""Files that the command maps into memory: one that another process shortens meanwhile is an error, not the end by a signal."""

from __future__ import annotations

import os
import signal
from typing import Any

import numpy as np

from .. import _core

_watched: dict[int, tuple[str, int]] = {}  # files and their sizes, by the numbers that the engine has given their ranges
_guarding = False


def guard() -> None:
    """Begin to guard what `watch` is told of, where the system has such a signal; for a process that is ours alone."""
    global _guarding
    if hasattr(signal, "SIGBUS"):
        signal.signal(signal.SIGBUS, lambda *_: require_whole())  # in the main thread, soon after the signal
        _guarding = _core.guard_mapped_files()


def watch(array: np.ndarray[Any, Any], path: str) -> np.ndarray[Any, Any]:
    """Take note of an array that is a file mapped into memory; returns it."""
    if _guarding and array.nbytes:
        number = _core.watch_mapped_file(array.ctypes.data, array.nbytes)
        if number >= 0:
            _watched[number] = path, os.path.getsize(path)
    return array


def loss() -> str | None:
    """What to tell of a file that was shortened: zeros were read behind its new end, to the end of a page unnoticed."""
    lost = _core.lost_mapped_file()
    shorter = [_watched[lost][0]] if lost >= 0 else [path for path, size in _watched.values() if _size(path, size) < size]
    if not shorter:
        return None
    return f"{shorter[0]}: the file was shortened while it was read, or its disk failed; nothing was written"


def _size(path: str, default: int) -> int:
    try:
        return os.path.getsize(path)
    except OSError:  # it is gone, which leaves whole what is mapped of it
        return default


def require_whole() -> None:
    """Raise ValueError where a file was shortened."""
    if (told := loss()) is not None:
        raise ValueError(told)
