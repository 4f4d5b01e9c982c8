"""Arrays on disk: .npy (memory-mapped) and .npz in, .npy and .txt out. NumPy's formats, never pickles."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .._files import replacing

Array = np.ndarray[Any, Any]


def read_array(path: str) -> Array:
    """Read one array.

    Parameters
    ----------
    path : str
        A .npy file, which is mapped and not loaded, or an .npz file with one array, or FILE.npz:NAME for one of several.

    Returns
    -------
    numpy.ndarray

    Raises
    ------
    ValueError
        One line that names the file and what is wrong with it.
    """
    file, _, name = path.partition(".npz:")
    try:
        if name:
            return _from_npz(file + ".npz", name)
        if path.endswith(".npz"):
            return _from_npz(path, None)
        if path.endswith(".npy"):
            array: Array = np.load(path, mmap_mode="r", allow_pickle=False)
            return array
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file") from None
    except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: {' '.join(str(error).split())}") from None
    raise ValueError(f"{path}: the name must end in .npy or .npz")


def _from_npz(path: str, name: str | None) -> Array:
    with np.load(path, allow_pickle=False) as archive:
        if name is None and len(archive.files) == 1:
            name = archive.files[0]
        if name not in archive.files:
            found = ", ".join(archive.files) or "none"
            raise ValueError(f"name one of its arrays ({found}) as {os.path.basename(path)}:NAME")
        array: Array = archive[name]
        return array


def writer(path: str) -> Callable[[Array], None]:
    """Check the name of an output file before work starts; the function returned writes an array of numbers to it.

    The file appears at once and whole: it is written under a temporary name in the same folder and renamed.

    Raises
    ------
    ValueError
        An ending other than .npy or .txt, or a folder that does not exist.
    """
    suffix = Path(path).suffix
    if suffix not in (".npy", ".txt"):
        raise ValueError(f"{path}: the name must end in .npy or .txt")
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        raise ValueError(f"{path}: the folder {folder} does not exist")

    def write(array: Array) -> None:
        with replacing(path) as file:
            if suffix == ".npy":
                np.save(file, array, allow_pickle=False)
            else:
                np.savetxt(file, array, fmt="%d")

    return write
