"""Writing files whole or not at all, and archives of our own: .npz with a format number, never pickles."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import IO, Any

import numpy as np

Arrays = Mapping[str, np.ndarray[Any, Any]]


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Open a temporary file that takes the place of `path` when the block ends well and vanishes when it does not."""
    name = os.fsdecode(path)
    if not name:
        raise ValueError("the name of the file to write is empty")
    target = os.path.realpath(name)
    if os.path.exists(target) and not os.path.isfile(target):
        raise OSError(f"{name!r} is there already and is no file")
    try:
        with suppress(FileNotFoundError):
            os.lstat(target)  # whether the name is too long, which the temporary one is not
        # In the same folder, because a rename is atomic within a file system only.
        temporary = os.path.join(os.path.dirname(target), f"{os.path.basename(target)[:50]}.{os.urandom(16).hex()}.tmp")
        opened = open(temporary, "xb")  # noqa: SIM115  # closed below; here errors get the name that the caller knows
    except OSError as error:
        raise type(error)(error.errno, error.strerror, name) from None
    with opened as file:
        try:
            yield file
            file.close()
            os.replace(temporary, target)
        except BaseException:
            os.unlink(temporary)
            raise


def save_archive(path: str | os.PathLike[str], version: int, arrays: Arrays) -> None:
    """Write arrays and the format's number under exactly this name."""
    with replacing(path) as file:
        np.savez(file, format=np.array(version), **arrays)  # type: ignore[arg-type]


def load_archive(path: str | os.PathLike[str], what: str, version: int, needed: set[str]) -> Arrays:
    """Read the arrays of an archive that `save_archive` wrote; raises ValueError where the file is none."""
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
