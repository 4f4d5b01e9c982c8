"""Samples as readers see them: thumbnails of images, beginnings of texts."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from .._inputs import arrays, refusals
from .._inputs.columns import require_no_null
from .._inputs.texts import require_column
from .page import data_uri

__all__ = ["Samples", "Tile", "require_sequence", "shortened"]

_SIDE = 112  # pixels; larger images are made smaller
_PIXEL_ART = 40  # up to here pixels stay square when shown larger
_TEXT_LENGTH = 240
_NAME_LENGTH = 80


@dataclass(frozen=True)
class Tile:
    """One sample: what it is called, its picture (pixels to stay square where coarse), beginning of its text, notes on it."""

    name: str
    image: str | None
    coarse: bool
    text: str | None
    notes: tuple[str, ...]
    kept: bool


class Samples:
    """What there is to show of samples; reads only those that are asked for."""

    def __init__(self, n: int, images: Any, texts: Any, ids: Any) -> None:
        for given, name in ((images, "images"), (texts, "texts"), (ids, "ids")):
            if given is not None:
                require_sequence(given, name, n)
                _require_no_null(given, name)
        self.images, self.texts, self.ids = images, texts, ids

    @property
    def are_visible(self) -> bool:
        """Whether there is more to show than numbers."""
        return self.images is not None or self.texts is not None

    def name(self, row: int) -> str:
        """What the sample is called."""
        if self.ids is None:
            return f"#{row}"
        name = _item(self.ids, row)
        if isinstance(name, bytes):
            name = name.decode("utf-8", "replace")
        if isinstance(name, (list, dict)):
            raise TypeError(f"ids must hold one name a sample, got a {type(name).__name__} as ids[{row}]")
        refusals.refuse_unreadable(name, f"ids[{row}]")
        if getattr(name, "shape", ()) != ():
            raise ValueError(f"ids must hold one name a sample, got an array of shape {tuple(name.shape)} as ids[{row}]")
        return shortened(str(name.item() if hasattr(name, "item") else name))

    def tile(self, row: int, kept: bool, notes: tuple[str, ...] = ()) -> Tile:
        """Everything about one sample."""
        image, coarse = (None, False) if self.images is None else _thumbnail(_item(self.images, row), row)
        text = None if self.texts is None else _beginning(_item(self.texts, row), row)
        return Tile(self.name(row), image, coarse, text, notes, kept)


def require_sequence(given: Any, name: str, n: int) -> None:
    """Check that there is an entry for every sample, found by its number."""
    refusals.refuse_unreadable(given, name)
    if isinstance(given, (str, bytes, Mapping, type)) or not hasattr(given, "__len__") or not hasattr(given, "__getitem__"):
        raise TypeError(f"{name} must be a sequence with one entry a sample, got {type(given).__name__}")
    if getattr(given, "shape", None) == ():  # an array of no dimensions has no length, though it has the method
        raise ValueError(f"{name} must have one entry a sample, got an array without dimensions")
    require_column(given, name)
    arrays.require_length(len(given), name, n, "the selection")


def _require_no_null(given: Any, name: str) -> None:
    """Raise where an entry of a list or column is missing; columns that read each entry from a file are not looked at."""
    if isinstance(given, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array: drop its masked elements or fill them (.filled())")
    if isinstance(given, (list, tuple)) or (isinstance(given, np.ndarray) and given.dtype == object):
        places = (place for place, item in enumerate(given) if item is None)
        if (place := next(places, None)) is not None:
            raise TypeError(f"{name}[{place}] is None: there must be one entry a sample")
    elif hasattr(given, "isna"):
        require_no_null(np.asarray(given.isna()), name)
    elif hasattr(given, "is_null"):
        require_no_null(np.asarray(given.is_null()), name)


def _item(sequence: Any, row: int) -> Any:
    item = sequence.iloc[row] if hasattr(sequence, "iloc") else sequence[row]
    return item.as_py() if hasattr(item, "as_py") else item


def shortened(name: str) -> str:
    """A name that fits on a page: the whole of it, or its beginning."""
    return name if len(name) <= _NAME_LENGTH else name[: _NAME_LENGTH - 1] + "\u2026"


def _beginning(text: Any, row: int) -> str:
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    if not isinstance(text, str):
        raise TypeError(f"texts[{row}] must be a str, got {type(text).__name__}")
    words = " ".join(text[: 8 * _TEXT_LENGTH].split())
    return words if len(words) <= _TEXT_LENGTH else words[:_TEXT_LENGTH].rsplit(" ", 1)[0] + "\u2026"


def _thumbnail(given: Any, row: int) -> tuple[str, bool]:
    """The image as a data URI, and whether its pixels should stay square."""
    if not isinstance(given, (str, os.PathLike, Image.Image)):
        return _encoded(Image.fromarray(_pixels(given, row)))
    try:
        if isinstance(given, Image.Image):
            return _encoded(given)
        with Image.open(given) as opened:
            opened.draft("RGB", (2 * _SIDE, 2 * _SIDE))  # JPEG can be read at a fraction of its size
            image = ImageOps.exif_transpose(opened)
            image.load()
        return _encoded(image)
    except Exception as error:  # whoever decodes a damaged file may raise anything
        what = f"{os.fspath(given)!r} " if isinstance(given, (str, os.PathLike)) else ""
        raise ValueError(f"images[{row}] {what}can not be shown: {error}") from error


def _encoded(image: Image.Image) -> tuple[str, bool]:
    if image.mode not in ("L", "RGB", "RGBA"):
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    coarse = max(image.size) <= _PIXEL_ART
    if max(image.size) > _SIDE:
        image = image.copy()
        image.thumbnail((_SIDE, _SIDE))
    buffer = io.BytesIO()
    photograph = image.mode == "RGB" and not coarse
    image.save(buffer, "JPEG" if photograph else "PNG", **({"quality": 85} if photograph else {"optimize": True}))
    return data_uri(buffer.getvalue(), "jpeg" if photograph else "png"), coarse


def _pixels(given: Any, row: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """An array of an image as bytes, channels last."""
    array = np.asarray(arrays.as_numpy(arrays.as_array(given, f"images[{row}]")))
    shape = array.shape
    if array.dtype.kind not in "biuf":
        raise TypeError(f"images[{row}] must be an array of numbers, got {array.dtype}")
    if array.ndim == 3 and shape[2] not in (1, 3, 4) and shape[0] in (1, 3, 4):
        array = np.moveaxis(array, 0, 2)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim not in (2, 3) or 0 in shape or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise ValueError(f"images[{row}] must have shape [h, w], [h, w, 1 | 3 | 4] or [1 | 3 | 4, h, w], got {tuple(shape)}")
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    values = np.nan_to_num(array.astype(np.float64), posinf=0, neginf=0)
    low, high = float(values.min()), float(values.max())
    if array.dtype.kind in "iu" and low >= 0 and high <= 255:
        return values.astype(np.uint8)
    if low < 0 or high > 1:
        values = (values / 2 - low / 2) / max(high / 2 - low / 2, 1e-300)
    return np.rint(255 * values).astype(np.uint8)
