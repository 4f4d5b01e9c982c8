"""Text as counts of hashed n-grams: the features of DSIR."""

from __future__ import annotations

import functools
import itertools
import operator
import os
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, get_args

import numpy as np

from .. import _core
from .._inputs import arrays, records
from .._inputs.texts import iterate
from .._runtime.progress import Progress, as_progress, reporting

__all__ = ["ngram_counts"]

Hash = Literal["fast", "sha256"]
HASHES: tuple[Hash, ...] = get_args(Hash)
MAX_NGRAMS = 16
MAX_BUCKETS = 2**24

# Documents, or files of documents, or a function that gives them.
Texts = Iterable[str | bytes | os.PathLike[str]] | os.PathLike[str] | Callable[[], Iterable[str | bytes | os.PathLike[str]]]
Counts = np.ndarray[Any, np.dtype[np.int64]]

# A batch is handed to the engine once it is this large: it keeps the threads busy for some ten milliseconds.
_BATCH_BYTES = 2**23
_BATCH_DOCUMENTS = 2**14
_LONGEST_NAME = 4096  # of a file, on Linux


def ngram_counts(
    texts: Texts,
    *,
    n_buckets: int = 10_000,
    ngrams: int = 2,
    hash: Hash = "fast",  # noqa: A002
    threads: int | None = None,
    progress: Progress = False,
) -> Counts:
    r"""Count the hashed n-grams of a corpus.

    Parameters
    ----------
    texts : iterable of str or bytes, path, or function
        The documents, in a list, a generator, or a column of NumPy, pandas, Polars, Arrow or Hugging Face; bytes are UTF-8.
        Never a whole table, whose items would be the names of its columns. A path (`os.PathLike`, not str), or one among the
        documents, stands for the documents of a file: the field "text" of each object of JSON Lines (.jsonl, .ndjson, .jl,
        .jsonlines, .json), the column "text" of a .parquet file, else the lines of a plain text, an empty one being an empty
        document; gzip, bzip2, xz and Zstandard are unpacked. FILE:NAME takes another field or column. The whole rule: Notes.
        A function without arguments returns such an iterable. Read once, lazily.
    n_buckets : int
        1 to 2**24.
    ngrams : int
        Count runs of 1 to this many tokens, at most 16.
    hash : {"fast", "sha256"}
        "sha256" gives the buckets of the authors' package (see Notes); "fast" spreads as evenly in a fraction of the time.
        Counts of different hashes do not mix.
    threads : int, optional
        Does not change the counts.
    progress : bool or callable
        A bar (needs tqdm), or a function(documents done, documents in all as far as known).

    Returns
    -------
    array [n_buckets] of int64
        Counts of parts of a corpus add up to those of the whole.

    Raises
    ------
    TypeError
        A document that is neither str nor bytes (named by its number); a str, a mapping, a data frame, a set or a column of
        anything but text in place of the corpus.
    ValueError
        Bytes that are not UTF-8, a lone surrogate, a line that is no JSON object with a "text", a damaged file; the file and
        the line are named.
    ImportError
        A Parquet or Zstandard file, and no library that reads it.

    Notes
    -----
    The features of DSIR (Xie et al., "Data Selection for Language Models via Importance Resampling", NeurIPS 2023,
    arXiv 2302.03169) as its package computes them: `str.lower`, tokens by ``\w+|[^\w\s]+`` (NLTK's WordPunctTokenizer),
    n-grams joined by one space, SHA-256 of the UTF-8 as a number modulo n_buckets. The fast hash is ours (64 bits, version 1:
    csrc/text/fast_hash.h) and made for natural text, not against texts written to collide. Lower case, word and space are
    those of the running Python, for all of Unicode.

    With "sha256" the counts equal those of data-selection 1.0.3 where NLTK splits text by Python's ``re`` (checked with NLTK
    3.8.1 and 3.9.1). NLTK 3.10.4 splits by the library ``regex``, which takes combining marks for word characters: there
    that package's own buckets differ for text that has such marks (decomposed accents, Devanagari, Thai, vowel points).

    Files hold the documents that pandas, PyArrow and Hugging Face `datasets` find in them, in the same order. Endings are told
    in upper and lower case; compression by the content. In JSON Lines, lines of white space are no documents, and null or
    a missing field is an error; a file that is one array of objects is read as well, as a whole. A line ends in a line feed,
    a carriage return or both, in nothing else; a byte order mark at the front is dropped; UTF-16 is refused.

    Time linear in the text; memory for a batch of 8 MB.

    Examples
    --------
    >>> from coremax.text import ngram_counts
    >>> counts = ngram_counts(["To be, or not to be.", "Be!"], n_buckets=64)
    >>> int(counts.sum())  # 8 + 2 tokens, 7 + 1 pairs
    18
    """
    features = Features(n_buckets, ngrams, hash, threads, progress)
    return features.counts(texts, "texts")[0]


class Features:
    """The options of the features, checked, and the two things done with a corpus."""

    def __init__(self, n_buckets: int, ngrams: int, hashing: Hash, threads: int | None, progress: Progress) -> None:
        self.n_buckets = arrays.as_count(n_buckets, "n_buckets", 1, MAX_BUCKETS)
        self.ngrams = arrays.as_count(ngrams, "ngrams", 1, MAX_NGRAMS)
        self.hash = arrays.as_choice(hashing, "hash", HASHES)
        self._threads = arrays.as_threads(threads)
        self._progress = as_progress(progress)

    def counts(self, texts: Texts, name: str) -> tuple[Counts, int]:
        """Counts of all n-grams [n_buckets], and the number of documents."""
        hasher, n = self._hasher(), 0
        for batch in self._batches(texts, name):
            hasher.count(batch, self._threads)
            n += len(batch)
        return hasher.counts(), n

    def sums(
        self, texts: Texts, name: str, values: np.ndarray[Any, np.dtype[np.float64]]
    ) -> tuple[np.ndarray[Any, np.dtype[np.float64]], Counts]:
        """Sum of values[bucket] over the n-grams of each document [n], and its number of tokens [n]."""
        hasher, view = self._hasher(), _core.import_array(values, "values")
        parts = [hasher.sum(batch, view, self._threads) for batch in self._batches(texts, name)]
        sums = [np.empty(0), *(part[0] for part in parts)]
        return np.concatenate(sums), np.concatenate([np.empty(0, np.int64), *(part[1] for part in parts)])

    def _hasher(self) -> _core.NgramHasher:
        return _core.NgramHasher(_characters(), self.hash, self.ngrams, self.n_buckets, "")

    def _batches(self, texts: Texts, name: str) -> Iterator[tuple[str | bytes, ...]]:
        """Documents as the engine takes them, in batches of some megabytes."""
        if isinstance(texts, type):
            raise TypeError(f"{name} must be an iterable of texts or a path, got the class {texts.__name__}")
        source: Any = texts() if callable(texts) else texts
        documents = _documents(source, name)
        total = operator.length_hint(source)
        with reporting(self._progress, name) as report:
            done = 0
            while batch := _next_batch(documents):
                yield batch
                done += len(batch)
                if report is not None:
                    report(done, max(total, done))


def _next_batch(documents: Iterator[str | bytes]) -> tuple[str | bytes, ...]:
    batch: list[str | bytes] = []
    size = 0
    for text in itertools.islice(documents, _BATCH_DOCUMENTS):
        batch.append(text)
        size += len(text)
        if size >= _BATCH_BYTES:
            break
    return tuple(batch)


def _documents(source: Any, name: str) -> Iterator[str | bytes]:
    if not hasattr(source, "__iter__") and not hasattr(source, "__getitem__") and not isinstance(source, os.PathLike):
        raise TypeError(f"{name} must be an iterable of texts or a path, got {type(source).__name__}")
    items = (source,) if isinstance(source, os.PathLike) else iterate(source, name)
    for number, item in enumerate(items):
        if number == 0:
            _require_no_name(item, name)
        if isinstance(item, str) and item.isascii():
            yield item
        elif isinstance(item, os.PathLike):
            for place, text in records.Documents(item):
                yield _utf8(text, place)
        else:
            yield _utf8(item, f"{name}[{number}]")


def _require_no_name(item: object, name: str) -> None:
    """Raise where the first text is the name of a file of texts that is there, which would be read as a text of one word."""
    if isinstance(item, str) and len(item) < _LONGEST_NAME and records.is_there(item):
        raise ValueError(
            f"{name}[0] is {item!r}, the name of a file: files are given as pathlib.Path(...), and texts that are names of "
            "files as bytes"
        )


def _utf8(text: object, place: str) -> str | bytes:
    """The text as ASCII str or as UTF-8, where one code point is enough to tell its lower case; place is for messages."""
    try:
        if isinstance(text, bytes):
            if text.isascii():
                return text
            text = text.decode()
        elif not isinstance(text, str):
            raise TypeError(f"{place} must be str or bytes, got {type(text).__name__}")
        elif text.isascii():
            return text
        if any(character in text for character in _special_characters()):
            text = text.lower()
        return text.encode()
    except UnicodeDecodeError as error:
        raise ValueError(f"{place} is not UTF-8 at byte {error.start}: {error.reason}") from None
    except UnicodeEncodeError as error:
        raise ValueError(f"{place} has a lone surrogate at character {error.start}, which UTF-8 can not write") from None


@functools.cache
def _every_character() -> str:
    return np.arange(0x110000, dtype="<u4").tobytes().decode("utf-32-le", "surrogatepass")


@functools.cache
def _lower_case() -> dict[str, str]:
    """Characters that `str.lower` changes."""
    every, block = _every_character(), 1024
    blocks = (every[start : start + block] for start in range(0, len(every), block))
    return {
        character: character.lower()
        for text in blocks
        if text.lower() != text
        for character in text
        if character.lower() != character
    }


@functools.cache
def _special_characters() -> tuple[str, ...]:
    """Those whose lower case is more than one character, or depends on those around it: the sigma at the end of a word."""
    return ("\N{GREEK CAPITAL LETTER SIGMA}", *(character for character, lower in _lower_case().items() if len(lower) > 1))


@functools.cache
def _characters() -> _core.Characters:
    return _core.Characters(_entries())


def _entries() -> np.ndarray[Any, np.dtype[np.uint32]]:
    """For each code point 4 times its lower case, plus 1 where that is a word character and 2 where it is space."""
    every = _every_character()
    kind = np.zeros(len(every), np.uint32)
    for pattern, number in ((r"\w+", 1), (r"\s+", 2)):
        for run in re.finditer(pattern, every):
            kind[run.start() : run.end()] = number
    lower = np.arange(len(every), dtype=np.uint32)
    for character, changed in _lower_case().items():
        if len(changed) == 1:
            lower[ord(character)] = ord(changed)
    return 4 * lower + kind[lower]
