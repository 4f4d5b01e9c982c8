"""Real images for the demo, without a download: scikit-learn's digits, and Fashion-MNIST from a Debian package or a folder."""

from __future__ import annotations

import gzip
import math
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["DATA_SETS", "FASHION_MNIST_FOLDER", "LabelledImages", "load", "read_idx"]

DATA_SETS = ("digits", "fashion-mnist")

# Where Debian's package dataset-fashion-mnist puts its files.
FASHION_MNIST_FOLDER = Path("/usr/share/datasets/fashion-mnist")
_FASHION_MNIST_CLASSES = (
    "T-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip
_GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Images with classes, split into training and test samples.

    Attributes
    ----------
    name : str
        Of the data set.
    train_x, test_x : array [n, d] of float32
        Flattened grey values in [0, 1].
    train_y, test_y : array [n] of int64
        Classes, 0 to C - 1.
    image_shape : (int, int)
        Height and width; their product is d.
    class_names : tuple of str
        Of length C.
    """

    name: str
    train_x: np.ndarray[Any, np.dtype[np.float32]]
    train_y: np.ndarray[Any, np.dtype[np.int64]]
    test_x: np.ndarray[Any, np.dtype[np.float32]]
    test_y: np.ndarray[Any, np.dtype[np.int64]]
    image_shape: tuple[int, int]
    class_names: tuple[str, ...]


def load(name: str, folder: str | os.PathLike[str] | None = None) -> LabelledImages:
    """Load a data set by name.

    Parameters
    ----------
    name : {"digits", "fashion-mnist"}
        1,797 images of 8 x 8 that come with scikit-learn, one in five of them (stratified, always the same) for testing; or
        60,000 + 10,000 images of 28 x 28.
    folder : path, optional
        Of the four IDX files of Fashion-MNIST, gzipped or not. Default: where Debian's package puts them.

    Returns
    -------
    LabelledImages

    Raises
    ------
    FileNotFoundError
        A file of Fashion-MNIST is missing; the message says how to get it.
    ValueError
        An unknown name, a folder for digits, or a malformed file (which is named).
    """
    if name == "fashion-mnist":
        return _load_fashion_mnist(FASHION_MNIST_FOLDER if folder is None else Path(folder))
    if name != "digits":
        raise ValueError(f"name must be one of {', '.join(map(repr, DATA_SETS))}, got {name!r}")
    if folder is not None:
        raise ValueError(f"digits come with scikit-learn and are read from no folder, got folder {os.fspath(folder)}")
    return _load_digits()


def _load_digits() -> LabelledImages:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    images, labels = (digits.data / 16).astype(np.float32), digits.target.astype(np.int64)
    train_x, test_x, train_y, test_y = train_test_split(images, labels, test_size=0.2, stratify=labels, random_state=0)
    return LabelledImages("digits", train_x, train_y, test_x, test_y, (8, 8), tuple(map(str, digits.target_names)))


def _load_fashion_mnist(folder: Path) -> LabelledImages:
    train_x, train_y = _read_split(folder, "train")
    test_x, test_y = _read_split(folder, "t10k")
    if train_x.shape[1:] != test_x.shape[1:]:
        raise ValueError(f"{folder}: training images of {train_x.shape[1:]}, but test images of {test_x.shape[1:]}")
    height, width = (int(side) for side in train_x.shape[1:])
    classes = _FASHION_MNIST_CLASSES
    return LabelledImages("fashion-mnist", _flat(train_x), train_y, _flat(test_x), test_y, (height, width), classes)


def _flat(images: np.ndarray[Any, np.dtype[np.uint8]]) -> np.ndarray[Any, np.dtype[np.float32]]:
    return images.reshape(len(images), -1).astype(np.float32) / np.float32(255)


def _read_split(folder: Path, split: str) -> tuple[np.ndarray[Any, np.dtype[np.uint8]], np.ndarray[Any, np.dtype[np.int64]]]:
    image_path, label_path = _find(folder, f"{split}-images-idx3-ubyte"), _find(folder, f"{split}-labels-idx1-ubyte")
    images, labels = read_idx(image_path, ndim=3), read_idx(label_path, ndim=1).astype(np.int64)
    if len(images) != len(labels):
        raise ValueError(f"{label_path} holds {len(labels)} labels, but {image_path} {len(images)} images")
    if images.size == 0:
        raise ValueError(f"{image_path} holds no images, shape {images.shape}")
    if labels.max() >= len(_FASHION_MNIST_CLASSES):
        raise ValueError(f"{label_path} holds class {labels.max()}; Fashion-MNIST has {len(_FASHION_MNIST_CLASSES)}")
    return images, labels


def _find(folder: Path, name: str) -> Path:
    for path in (folder / f"{name}.gz", folder / name):
        if path.is_file():
            return path
    raise FileNotFoundError(f"{folder / name}[.gz] not found: apt-get install dataset-fashion-mnist or pass --folder")


def read_idx(path: str | os.PathLike[str], *, ndim: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Read an IDX file of unsigned bytes, gzipped or not.

    Parameters
    ----------
    path : path
        The file; whether it is gzipped is seen from its content.
    ndim : int
        Number of dimensions it must have.

    Returns
    -------
    array of uint8
        Read-only.

    Raises
    ------
    ValueError
        The file is not what it should be; it is named.

    Notes
    -----
    The format: two zero bytes, the element type (8: unsigned byte), the number of dimensions, each dimension as a big-endian
    32-bit integer, the elements in C order (Y. LeCun, "The MNIST database").
    """
    content = _decompressed(Path(path))
    header = 4 + 4 * ndim
    if content[:4] != bytes([0, 0, 8, ndim]):
        found = content[:4].hex(" ") or "nothing"
        raise ValueError(f"{os.fspath(path)} is no IDX file of bytes in {ndim} dimensions: it begins with {found}")
    if len(content) < header:
        raise ValueError(f"{os.fspath(path)} is truncated: {len(content)} bytes are shorter than its header")
    shape = tuple(int.from_bytes(content[start : start + 4], "big") for start in range(4, header, 4))
    wanted = header + math.prod(shape)
    if len(content) != wanted:
        fault = "truncated" if len(content) < wanted else "too long"
        raise ValueError(f"{os.fspath(path)} is {fault}: {len(content)} bytes where shape {shape} takes {wanted}")
    return np.frombuffer(content, dtype=np.uint8, offset=header).reshape(shape)


def _decompressed(path: Path) -> bytes:
    content = path.read_bytes()
    if not content.startswith(_GZIP_MAGIC):
        return content
    try:
        return gzip.decompress(content)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path} is truncated or damaged: {error}") from None
