"""Writing files whole or not at all, and archives of our own: .npz with a format number, never pickles."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import IO, Any

import numpy as np

Arrays = Mapping[str, np.ndarray[Any, Any]]


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Open a temporary file that takes the place of `path` when the block ends well and vanishes when it does not.

    Raises
    ------
    ValueError
        The name is empty, or an address.
    OSError
        The file can not be written; the message has the name that the caller knows and the cause.
    """
    name, target, temporary, opened = _begun(path)
    try:
        with naming_file(name, temporary), opened as file:
            yield file
            file.close()
            os.replace(temporary, target)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def require_writable(path: str | os.PathLike[str]) -> None:
    """Raise what `replacing` would where a file can not be written: for before the work."""
    _, _, temporary, opened = _begun(path)
    opened.close()
    os.unlink(temporary)


def _begun(path: str | os.PathLike[str]) -> tuple[str, str, str, IO[bytes]]:
    """The name as the caller knows it, the file it stands for, and a new file beside that, by name and open."""
    name = os.fsdecode(path)
    if not name:
        raise ValueError("the name of the file to write is empty")
    require_local(name, to_write=True)
    target = os.path.realpath(name)
    if os.path.exists(target) and not os.path.isfile(target):
        raise OSError(f"{name!r} is there already and is no file")
    try:
        with suppress(FileNotFoundError):
            os.lstat(target)  # whether the name is too long, which the temporary one is not
        # In the same folder, because a rename is atomic within a file system only.
        temporary = os.path.join(os.path.dirname(target), f"{os.path.basename(target)[:50]}.{os.urandom(16).hex()}.tmp")
        return name, target, temporary, open(temporary, "xb")
    except OSError as error:
        raise _named(error, name) from None


@contextmanager
def naming_file(name: str, hidden: str | None = None) -> Iterator[None]:
    """Put the name of a file into the errors of writing it, which a full disk, for one, leaves out.

    Parameters
    ----------
    name : str
        What the caller knows the file as. Errors that name another file are left alone.
    hidden : str, optional
        The name it has until it is whole.
    """
    try:
        yield
    except OSError as error:
        if error.filename is not None and (hidden is None or error.filename != hidden):
            raise
        raise _named(error, name) from error


def _named(error: OSError, name: str) -> OSError:
    if error.errno is None:
        return OSError(f"{name}: {error}")
    # Arrow repeats the system's number and text in its own.
    return OSError(error.errno, os.strerror(error.errno), name)


_ADDRESS = r"([a-z][a-z0-9+-]+):/"  # at least two letters: C:/ is a drive; not compiled on import


def require_local(path: str, name: str = "", *, to_write: bool = False) -> None:
    """Raise ValueError where a path is the address of something elsewhere, such as s3://bucket/x.npy.

    Parameters
    ----------
    path : str
        What stands for a file, or with a name for files and folders.
    name : str
        The argument's name, for messages, where it may not be plain.
    to_write : bool
        Whether it is to be written.
    """
    scheme = re.match(_ADDRESS, path, re.IGNORECASE)
    if scheme is None or os.path.exists(path):
        return
    kind = scheme[1].lower()
    if not path.startswith("//", scheme.end() - 1):  # pathlib makes one slash of two
        path = f"{path[: scheme.end()]}/{path[scheme.end() :]}"
    what = f"{name} {path!r} is an address, and only local files" if name else f"{path} is an address, not a file"
    if to_write and kind != "file":
        place = "a folder" if name else "a file"
        raise ValueError(f"{what}{' are written' if name else ''}: write {place} here and copy it there")
    if kind == "file":
        advice = "pass the path itself, without file://"
    elif kind == "hf":
        advice = "download it first, as by huggingface_hub.snapshot_download(NAME, repo_type='dataset'), and pass the folder"
        advice = advice if name else advice.replace("the folder", "a file of it")
    else:
        whole = ", FOLDER, recursive=True), or mount it" if name else ", '.'), or mount it"
        advice = f"copy it here first, as by fsspec.filesystem({kind!r}).get({path!r}{whole}"
    raise ValueError(f"{what}{' and folders are read' if name else ''}: {advice}")


def new_map(path: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Map a new file as an array that can be written to, with its room on the disk reserved.

    Raises
    ------
    OSError
        There is no room; the file is named. Without the reservation the process would be killed when a part is written for
        which there is none.
    """
    with naming_file(path), open(path, "xb") as file:
        size = math.prod(shape) * dtype.itemsize
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            file.truncate(size)
    return np.memmap(path, dtype, "r+", 0, shape)


class Unbuffered:
    """A file as NumPy does not know it: arrays are then written by `write`, whose errors tell the cause.

    To a file of the system NumPy writes by itself, and of a full disk it says how many elements were written.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self.write = file.write


def save_archive(path: str | os.PathLike[str], version: int, arrays: Arrays) -> None:
    """Write arrays and the format's number under exactly this name."""
    with replacing(path) as file:
        write_archive(file, version, arrays)


def write_archive(file: IO[bytes], version: int, arrays: Arrays) -> None:
    """Write arrays and the format's number to an open file."""
    np.savez(file, format=np.array(version), **arrays)  # type: ignore[arg-type]


def load_archive(path: str | os.PathLike[str], what: str, version: int, needed: set[str]) -> Arrays:
    """Read the arrays of an archive that `save_archive` wrote; raises ValueError where the file is none."""
    require_local(os.fsdecode(path))
    refusal = ValueError(f"{os.fspath(path)!r} holds no coremax {what} of format {version}")
    with open(path, "rb") as file:
        try:
            archive = np.load(file, allow_pickle=False)
            arrays = {name: archive[name] for name in archive.files}
        except MemoryError as error:
            raise MemoryError(f"{os.fspath(path)!r}: {error or 'does not fit into memory'}") from None
        except Exception:  # whoever parses a hostile file may raise anything
            raise refusal from None
    number = arrays.pop("format", None)
    # A member of a zip file that is no array is read as bytes.
    if not all(isinstance(array, np.ndarray) for array in (number, *arrays.values())) or not needed <= set(arrays):
        raise refusal
    if number.shape != () or number.dtype.kind not in "iu" or number != version:
        raise refusal
    return arrays


@contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Put the name of the archive before what its arrays are refused for."""
    try:
        yield
    except (ValueError, TypeError) as error:
        raise ValueError(f"{os.fspath(path)!r}: {error}") from None
