"""Results into files, all of a run or none: each is written under a temporary name beside its place and renamed at the end."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from typing import IO, Any

import numpy as np

from .._runtime import memory
from .._runtime.files import Unbuffered, replacing, require_local
from ._errors import require_extra
from ._read import ending_of

Array = np.ndarray[Any, Any]
Writer = Callable[[IO[bytes]], None]

FORMATS = (".npy", ".parquet", ".txt")


def require_target(path: str, endings: Iterable[str], inputs: Iterable[str]) -> None:
    """Check the name of an output before work starts: its ending, its folder, and that it is no input.

    Raises
    ------
    ValueError
        The file is named.
    """
    endings = tuple(endings)
    require_local(path, to_write=True)
    if os.path.isdir(path) and ending_of(path) not in endings:
        raise ValueError(f"{path}: is a folder: name a file in it, such as {os.path.join(path, 'kept' + endings[0])}")
    if ending_of(path) not in endings:
        raise ValueError(f"{path}: the name must end in {' or '.join(endings)}")
    try:
        path.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{os.fsencode(path)!r}: the name of the file is not UTF-8, so no record could repeat it") from None
    folder = os.path.dirname(os.path.realpath(path))
    if not os.path.isdir(folder):
        named = folder if os.path.islink(path) else os.path.dirname(path) or "."
        raise ValueError(f"{path}: the folder {named} does not exist")
    try:
        os.lstat(path)
    except FileNotFoundError:
        pass
    except OSError as error:  # such as too long a name, which would otherwise be found when the work is done
        raise ValueError(f"{path}: {error.strerror}") from None
    if os.path.exists(path) and not os.path.isfile(path):
        raise ValueError(f"{path!r} is there already and is no file")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ValueError(f"{path}: the folder {folder} can not be written to")
    for source in inputs:
        if os.path.realpath(source) == os.path.realpath(path) or (
            os.path.exists(path) and os.path.exists(source) and os.path.samefile(source, path)
        ):
            raise ValueError(f"{path} is an input as well: name another file for the result")


def write_all(targets: Mapping[str, Writer]) -> None:
    """Write files; they take their places when all of them are whole."""
    with ExitStack() as stack:
        for path, write in targets.items():
            file = stack.enter_context(replacing(path))
            write(file)
            file.flush()  # a full disk is found before any of them takes its place


def require_writable(path: str, ids: Array | None, n_kept: int | None = None) -> None:
    """Check before work starts that a file of this name can hold whatever ids are kept, n_kept of them or all.

    Raises
    ------
    ValueError, MemoryError
        The file and the id are named.
    """
    suffix = ending_of(path)
    if ids is None or ids.dtype != object:
        return
    texts = ids.tolist()
    for text in texts:
        if suffix == ".txt" and ("\n" in text or "\r" in text):
            raise ValueError(f"{path}: the id {text!r} does not fit on a line: write .npy or .parquet")
        if suffix == ".npy" and text.endswith("\0"):
            raise ValueError(f"{path}: the id {text!r} would lose the NUL at its end: write .txt or .parquet")
        if suffix != ".npy" and not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
            raise ValueError(f"{path}: the id {text!r} has a lone surrogate, which UTF-8 can not write: write .npy")
    n, longest, free = len(texts) if n_kept is None else n_kept, max(map(len, texts), default=0), memory.available()
    if suffix == ".npy" and free is not None and 4 * longest * n > free:
        raise MemoryError(
            f"{path}: a .npy file gives each of {n} ids the room of the longest, {4 * longest} bytes, and {free} are free: "
            "write .txt or .parquet"
        )


def columns_writer(path: str, columns: Mapping[str, Array]) -> Writer:
    """Return what writes columns of equal length: all of them to .parquet, the first to .npy and .txt (a value a line)."""
    suffix = ending_of(path)
    first = next(iter(columns.values()))
    if suffix == ".parquet":
        require_extra("files", "pyarrow")
    require_writable(path, first)

    def write(file: IO[bytes]) -> None:
        if suffix == ".npy":
            array = first.astype(np.str_) if first.dtype == object else first
            np.save(Unbuffered(file), array, allow_pickle=False)
        elif suffix == ".txt":
            file.write("".join(f"{value}\n" for value in first.tolist()).encode())
        else:
            import pyarrow as pa
            import pyarrow.parquet as pq

            pq.write_table(pa.table({name: _arrow(column) for name, column in columns.items()}), file)

    return write


def _arrow(column: Array) -> Any:
    import pyarrow as pa

    return pa.array(column.tolist() if column.dtype == object else column)


def bytes_writer(content: bytes) -> Writer:
    """Return what writes these bytes."""

    def write(file: IO[bytes]) -> None:
        file.write(content)

    return write


def text_writer(text: str) -> Writer:
    """Return what writes a text in UTF-8."""
    return bytes_writer(text.encode())
