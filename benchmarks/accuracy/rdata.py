"""Data frames from R's saved workspaces (.rda), as far as tables of numbers and factors need it."""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
from pathlib import Path
from typing import Any

import numpy as np

_DECOMPRESSORS = {b"\x1f\x8b": gzip.decompress, b"BZ": bz2.decompress, b"\xfd7": lzma.decompress}
_NO_VALUE = (254, 253, 251, 242, 241)  # R's special values: nil, global, missing, empty and base environment


def read_rda(path: Path) -> dict[str, Any]:
    """Objects of a workspace by name: lists as dicts, factors as (codes from 0, levels), vectors as arrays.

    Parameters
    ----------
    path : Path
        A file in the binary XDR form ("RDX2" or "RDX3"), compressed or not.

    Returns
    -------
    dict of str to object

    Raises
    ------
    ValueError
        No such file, or an object of a kind that tables do not hold.

    Notes
    -----
    The format: "R Internals", section 1.8, "Serialization Formats".
    """
    content = path.read_bytes()
    content = _DECOMPRESSORS.get(content[:2], bytes)(content)
    if content[:7] not in (b"RDX2\nX\n", b"RDX3\nX\n"):
        raise ValueError(f"{path} is no R workspace in XDR form: it begins with {content[:7]!r}")
    reader = _Reader(content, 7)
    version = reader.integer()
    reader.place += 8  # the versions of R that wrote and that can read it
    if version == 3:
        reader.take(reader.integer())  # the encoding
    found = reader.item()
    if not isinstance(found, dict):
        raise ValueError(f"{path} holds no named objects")
    return found


class _Reader:
    """The stream; symbols are numbered as they come and referred to later."""

    def __init__(self, content: bytes, place: int) -> None:
        self.content, self.place, self.symbols = content, place, list[str]()

    def take(self, n: int) -> bytes:
        self.place += n
        return self.content[self.place - n : self.place]

    def integer(self) -> int:
        return int(struct.unpack(">i", self.take(4))[0])

    def numbers(self, kind: str, width: int) -> Any:
        return np.frombuffer(self.take(width * self.integer()), dtype=kind).astype(kind[1:])

    def item(self) -> Any:
        flags = self.integer()
        kind, has_attributes, has_tag = flags & 255, bool(flags & 512), bool(flags & 1024)
        if kind in _NO_VALUE:
            return None
        if kind == 1:  # a symbol
            self.symbols.append(self.item())
            return self.symbols[-1]
        if kind == 255:
            return self.symbols[(flags >> 8 or self.integer()) - 1]
        if kind == 2:  # a pair list
            return self.pairs(flags)
        if kind == 9:  # one string
            length = self.integer()
            return None if length < 0 else self.take(length).decode("utf-8", "replace")
        value = self.vector(kind)
        attributes = (self.item() or {}) if has_attributes else {}
        assert not has_tag
        if "levels" in attributes:
            return value - 1, attributes["levels"]
        return dict(zip(attributes["names"], value, strict=True)) if kind == 19 and "names" in attributes else value

    def vector(self, kind: int) -> Any:
        if kind in (10, 13):  # logical, integer
            return self.numbers(">i4", 4)
        if kind == 14:
            return self.numbers(">f8", 8)
        if kind in (16, 19):  # strings, a list
            return [self.item() for _ in range(self.integer())]
        raise ValueError(f"an object of type {kind} at byte {self.place} is nothing that tables hold")

    def pairs(self, flags: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while flags & 255 == 2:
            if flags & 512:
                self.item()  # attributes of the cell
            name = self.item() if flags & 1024 else str(len(found))
            found[name] = self.item()
            flags = self.integer()
        return found
