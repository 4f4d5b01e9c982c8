"""DSIR with the standard library, one n-gram at a time: what the package data-selection 1.0.3 computes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Bucket = Callable[[Sequence[str], int], int]

KEYS = (0x6A09E667F3BCC908, 0xBB67AE8584CAA73B, 0x3C6EF372FE94F82B, 0xA54FF53A5F1D36F1)


def tokens(text: str) -> list[str]:
    """NLTK's WordPunctTokenizer on lower case."""
    return re.findall(r"\w+|[^\w\s]+", text.lower())


def sha256_bucket(ngram: Sequence[str], n_buckets: int) -> int:
    """The digest as a number, modulo the number of buckets."""
    return int(hashlib.sha256(" ".join(ngram).encode()).hexdigest(), 16) % n_buckets


def fold(a: int, b: int) -> int:
    """Both halves of the 128-bit product, one upon the other."""
    return (a * b >> 64) ^ (a * b & (2**64 - 1))


def fast_hash(token: str) -> int:
    """As csrc/text/fast_hash.h says, version 1."""
    data = token.encode()
    h = KEYS[0] ^ len(data)
    for start in range(0, len(data), 16):
        block = data[start : start + 16].ljust(16, b"\0")
        a, b = int.from_bytes(block[:8], "little"), int.from_bytes(block[8:], "little")
        h = fold(a ^ KEYS[1], b ^ h)
    return fold(h ^ KEYS[2], KEYS[3])


def fast_bucket(ngram: Sequence[str], n_buckets: int) -> int:
    """The high word of hash times number of buckets."""
    g = fast_hash(ngram[0])
    for token in ngram[1:]:
        g = fold(g ^ KEYS[2], fast_hash(token) ^ KEYS[3])
    return g * n_buckets >> 64


BUCKETS: dict[str, Bucket] = {"fast": fast_bucket, "sha256": sha256_bucket}


def ngrams(text: str, longest: int) -> Iterator[list[str]]:
    """All runs of 1 to `longest` tokens."""
    words = tokens(text)
    for n in range(1, longest + 1):
        for i in range(len(words) - n + 1):
            yield words[i : i + n]


def counts(texts: Iterable[str], n_buckets: int, longest: int, hashing: str) -> NDArray[np.int64]:
    """How many n-grams fall into each bucket."""
    found = np.zeros(n_buckets, np.int64)
    for text in texts:
        for ngram in ngrams(text, longest):
            found[BUCKETS[hashing](ngram, n_buckets)] += 1
    return found


def log_weights(
    texts: Sequence[str],
    target: Iterable[str],
    raw: Iterable[str],
    n_buckets: int = 10_000,
    longest: int = 2,
    hashing: str = "sha256",
    smoothing: float = 1e-8,
    min_tokens: int = 100,
) -> NDArray[np.float64]:
    """Log p_target - log p_raw, times the counts of each text; -inf for short ones."""
    p, q = (counts(corpus, n_buckets, longest, hashing) for corpus in (target, raw))
    difference = np.log(p / p.sum() + smoothing) - np.log(q / q.sum() + smoothing)
    return np.array(
        [
            difference @ counts([text], n_buckets, longest, hashing) if len(tokens(text)) >= min_tokens else -np.inf
            for text in texts
        ]
    )
