"""Inputs without a fuzzer: seeds changed at random, the same ones for the same seed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

# Numbers at which something overflows or turns negative, and bytes that mean something to one of the formats.
_EDGES = [
    value.to_bytes(size, "little", signed=value < 0)
    for size in (1, 2, 4, 8)
    for value in (0, 1, -1, 2 ** (8 * size - 1) - 1, -(2 ** (8 * size - 1)), 2 ** (4 * size))
]
_WORDS = [
    *(
        b'"',
        b"'",
        b"\\",
        b"\n",
        b"\r",
        b"\r\n",
        b"\0",
        b"\xff",
        b"\xef\xbb\xbf",
        b"\xf0\x9f\x92\xa9",
        b"\xed\xa0\x80",
        b"{",
        b"}",
    ),
    *(b"[", b"]", b"(", b")", b",", b":", b"=", b"#", b"-", b"+", b".", b"e", b"%", b"nan", b"inf", b"true", b"null", b"1e999"),
    *(b"9" * 30, b"(" * 99, b"[" * 99, b"<f8", b">f4", b"|O", b"<U9", b"|V2", b"PK\1\2", b"PK\3\4", b"PK\5\6", b"\x93NUMPY"),
    *(b"PAR1", b'"text"', b"fortran_order", b"shape", b"descr", b"auto", b"GiB"),
]


def inputs(seeds: Sequence[bytes], count: int, seed: int = 0) -> Iterator[bytes]:
    """Give `count` inputs: seeds with one to eight changes each."""
    chance = random.Random(seed)
    for _ in range(count):
        data = bytearray(chance.choice(seeds))
        for _ in range(chance.choice((1, 1, 2, 4, 8))):
            _change(data, seeds, chance)
        yield bytes(data)


def _change(data: bytearray, seeds: Sequence[bytes], chance: random.Random) -> None:
    at = chance.randint(0, len(data))
    end = min(len(data), at + chance.choice((1, 1, 2, 4, 8, 64, 1024)))
    kind = chance.randrange(8)
    if kind == 0 and at < len(data):
        data[at] ^= 1 << chance.randrange(8)
    elif kind == 1 and at < len(data):
        data[at] = chance.randrange(256)
    elif kind == 2:
        del data[at:end]
    elif kind == 3:
        data[at:at] = data[at:end]
    elif kind == 4:
        edge = chance.choice(_EDGES)
        data[at : at + len(edge)] = edge
    elif kind == 5:
        data[at:at] = chance.choice(_WORDS)
    elif kind == 6:
        del data[at:]
    else:
        other = chance.choice(seeds)
        start = chance.randint(0, len(other))
        data[at:end] = other[start : start + chance.choice((1, 4, 16, 256))]
