"""Progress of long calls: a bar by tqdm, or the caller's own function."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np

Progress = bool | Callable[[int, int], object]


_Report = Callable[[int, int], object]


def reporting(progress: Progress, label: str) -> AbstractContextManager[_Report | None]:
    """Give the engines something to report to: None, the caller's function(done, total), or a tqdm bar on stderr."""
    progress = as_progress(progress)
    return nullcontext() if progress is False else _reporting(progress, label)


def as_progress(progress: Any) -> Progress:
    """Check the argument, for calls that do much before they have something to report."""
    if callable(progress):
        return progress  # type: ignore[no-any-return]
    if not isinstance(progress, (bool, np.bool_)):
        raise TypeError(f"progress must be True, False or a function(done, total), got {progress!r}")
    return bool(progress)


@contextmanager
def _reporting(progress: Progress, label: str) -> Iterator[_Report | None]:
    if callable(progress):
        yield progress
        return
    try:
        from tqdm import tqdm
    except ImportError:
        raise ImportError(
            "progress=True draws its bar with tqdm: pip install 'coremax[cli]', or pass a function(done, total)"
        ) from None
    with tqdm(desc=label, total=1, unit_scale=True) as bar:
        yield _BarUpdate(bar)


class _BarUpdate:
    def __init__(self, bar: Any) -> None:
        self._bar = bar

    def __call__(self, done: int, total: int) -> None:
        self._bar.total = total
        self._bar.update(done - self._bar.n)
