"""DSIR: documents that look like a target corpus, drawn by the ratio of hashed n-gram probabilities."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from .._inputs import arrays, checks, order
from .._inputs import invalid as _invalid
from .._inputs.texts import is_text
from .._runtime.progress import Progress
from ..sampling import sample
from ..text._text import Features, Hash, Texts
from ._result import Selection

Floats = np.ndarray[Any, np.dtype[np.float64]]


def dsir_log_weights(
    texts: Texts,
    target: Any,
    *,
    raw: Any = None,
    n_buckets: int = 10_000,
    ngrams: int = 2,
    hash: Hash = "fast",  # noqa: A002
    smoothing: float = 1e-8,
    min_tokens: int = 100,
    threads: int | None = None,
    progress: Progress = False,
) -> Floats:
    """How much likelier each document is in the target corpus than in the raw one, as a log importance weight.

    Parameters
    ----------
    texts : iterable of str or bytes, path, or function
        The raw documents, see `coremax.text.ngram_counts`. Read twice, a batch at a time (a list, files, or a function that
        returns a fresh iterator); once where raw is given, which an iterator is enough for.
    target : as texts, or array [n_buckets]
        The corpus to look like, read once (an iterator will do); or its counts from `coremax.text.ngram_counts` with the same
        n_buckets, ngrams and hash.
    raw : as target, optional
        Where the raw distribution comes from: a sample of the documents, say. Default: all of texts.
    n_buckets : int
        Buckets of the n-grams, 1 to 2**24.
    ngrams : int
        Runs of 1 to this many tokens are features.
    hash : {"fast", "sha256"}
        "sha256" gives the buckets of the authors' package.
    smoothing : float
        Added to the probabilities, > 0. For a small target more than the published 1e-8 keeps the n-grams that it happens not
        to hold from deciding everything.
    min_tokens : int
        Shorter documents get weight zero (they are in the raw distribution nevertheless); 0 lets all pass.
    threads : int, optional
        Does not change the weights.
    progress : bool or callable
        See `coremax.text.ngram_counts`; one bar per pass.

    Returns
    -------
    array [n] of float64
        sum over the n-grams of log(p_target[b] + smoothing) - log(p_raw[b] + smoothing), b the n-gram's bucket; -inf for
        documents of fewer than min_tokens tokens. For `coremax.sample(..., log_weights=True)`.

    Raises
    ------
    TypeError
        As `coremax.text.ngram_counts`; texts an iterator that raw is missing for.
    ValueError
        As `coremax.text.ngram_counts`; a corpus without any token; counts that are negative, not finite or of a wrong length;
        a second pass with another number of documents.

    Notes
    -----
    Xie et al., "Data Selection for Language Models via Importance Resampling", NeurIPS 2023 (arXiv 2302.03169), section 3,
    with the defaults of the authors' package data-selection 1.0.3. That package stops counting the raw corpus after
    100,000 n_buckets n-grams; here all are counted.

    Examples
    --------
    >>> from coremax.selection import dsir_log_weights
    >>> raw = ["the cat sat on the mat", "stocks fell on the news", "a cat and a dog"]
    >>> dsir_log_weights(raw, ["my cat likes the dog"], min_tokens=1).argmax()
    np.int64(2)
    """
    features = Features(n_buckets, ngrams, hash, threads, progress)
    return _log_weights(texts, target, raw, features, _smoothing(smoothing), arrays.as_count(min_tokens, "min_tokens", 0))


def dsir(
    texts: Texts,
    target: Any,
    budget: int | float,
    *,
    raw: Any = None,
    n_buckets: int = 10_000,
    ngrams: int = 2,
    hash: Hash = "fast",  # noqa: A002
    smoothing: float = 1e-8,
    min_tokens: int = 100,
    top: bool = False,
    seed: arrays.Seed = 0,
    threads: int | None = None,
    progress: Progress = False,
) -> Selection:
    """Keep documents that look like those of a target corpus, by importance resampling.

    Parameters
    ----------
    texts, target, raw, n_buckets, ngrams, hash, smoothing, min_tokens, threads, progress
        See `dsir_log_weights`.
    budget : int or float
        An int is a count, a float in (0, 1] a fraction of all documents (round half up, at least 1). More than the documents
        of min_tokens is an error.
    top : bool
        Keep the documents of highest weight, of those tied at the cut any, instead of drawing by weight. Drawing keeps the
        selection from being one-sided.
    seed : int, SeedSequence or Generator
        Of the draw, or of the order of ties. The same seed keeps nested subsets for growing budgets.

    Returns
    -------
    Selection
        Its weights are None: the chance of each document to be drawn is not known in closed form.

    Raises
    ------
    TypeError, ValueError
        As `dsir_log_weights`; a budget that is larger than the number of documents of at least min_tokens tokens.

    Notes
    -----
    Xie et al., NeurIPS 2023 (arXiv 2302.03169): Gumbel top-k on the log importance weights, by `coremax.sample`. The package
    has no seed and fails where all candidates are wanted.

    Examples
    --------
    >>> import coremax
    >>> raw = ["the cat sat on the mat", "stocks fell on the news", "a cat and a dog"]
    >>> coremax.dsir(raw, ["my cat likes the dog"], 1, min_tokens=1, top=True).indices
    array([2])
    """
    features = Features(n_buckets, ngrams, hash, threads, progress)
    smoothing = _smoothing(smoothing)
    min_tokens = arrays.as_count(min_tokens, "min_tokens", 0)
    arrays.as_budget(budget, 2**60)  # what can be said before the corpora are read
    number, top = arrays.as_seed(seed), checks.as_flag(top, "top")
    start = time.perf_counter()
    log_weights = _log_weights(texts, target, raw, features, smoothing, min_tokens)
    weighed = time.perf_counter()
    n, candidates = len(log_weights), np.flatnonzero(log_weights > -np.inf)
    count = arrays.as_budget(budget, n)
    if count > len(candidates):
        raise ValueError(
            f"budget is {count}, but only {len(candidates)} of {n} documents have at least min_tokens = {min_tokens} tokens: "
            "lower one of the two"
        )
    if top:
        kept = candidates[order.ascending(-log_weights[candidates], "dsir", number)[:count]]
    else:
        kept = sample(log_weights, count, log_weights=True, seed=arrays.seed_of("dsir", number), threads=threads)
    return Selection(
        indices=np.sort(kept),
        n=n,
        method="dsir",
        parameters={
            "n_buckets": features.n_buckets, "ngrams": features.ngrams, "hash": features.hash, "smoothing": smoothing,
            "min_tokens": min_tokens, "top": top, "candidates": len(candidates), "seed": number,
        },
        timings={"weights": weighed - start, "draw": time.perf_counter() - weighed},
        inputs={"score": log_weights, "texts": texts if _is_shown(texts, n) else None},
    )  # fmt: skip


def _is_shown(texts: Any, n: int) -> bool:
    """Whether a report can find the documents by their numbers: a column that holds them, and no files of them."""
    if not hasattr(texts, "__len__") or not hasattr(texts, "__getitem__") or len(texts) != n:
        return False
    if isinstance(texts, (list, tuple)) or str(getattr(texts, "dtype", "")) == "object":
        return all(isinstance(text, (str, bytes)) for text in texts)
    return is_text(texts)


def _smoothing(smoothing: Any) -> float:
    number = arrays.as_real(smoothing, "smoothing", 0.0)
    if number == 0:
        raise ValueError("smoothing must be positive: the logarithm of a probability of zero is not finite")
    return number


def _log_weights(texts: Texts, target: Any, raw: Any, features: Features, smoothing: float, min_tokens: int) -> Floats:
    if raw is None and isinstance(texts, Iterator):
        raise TypeError(
            f"texts is read twice, but a {type(texts).__name__} can be read only once: pass a list, files, a function that "
            "returns a fresh iterator, or raw="
        )
    target_probabilities, _ = _probabilities(target, "target", features)
    raw_probabilities, n_read = _probabilities(texts if raw is None else raw, "texts" if raw is None else "raw", features)
    values = np.log(target_probabilities + smoothing) - np.log(raw_probabilities + smoothing)
    sums, n_tokens = features.sums(texts, "texts", values)
    if raw is None and len(sums) != n_read:
        raise ValueError(f"texts gave {n_read} documents when read first, but {len(sums)} the second time")
    if len(sums) == 0:
        raise ValueError("texts is empty")
    return np.where(n_tokens >= min_tokens, sums, -np.inf)


def _probabilities(corpus: Any, name: str, features: Features) -> tuple[Floats, int]:
    """Share of each bucket [n_buckets] in a corpus or in counts, and the number of documents read."""
    counts, n = (_as_counts(corpus, name, features.n_buckets), 0) if _is_numbers(corpus) else features.counts(corpus, name)
    with np.errstate(over="ignore"):
        total = counts.sum(dtype=np.float64)
    if not 0 < total < np.inf:
        raise ValueError(f"{name} holds no token" if total == 0 else f"the counts of {name} add up to {total}")
    return counts / total, n


def _is_numbers(corpus: Any) -> bool:
    """Whether this is an array or a column of numbers, and so counts; what is a table is a corpus, to be refused as one."""
    if is_text(corpus):
        return False
    if isinstance(corpus, np.ndarray):
        return corpus.dtype.kind not in "OUSTV"
    if type(corpus).__module__.partition(".")[0] == "pyarrow" and hasattr(corpus, "type"):
        return str(corpus.type).startswith(("int", "uint", "float", "double", "halffloat"))  # all its columns have DLPack
    return hasattr(corpus, "__dlpack__") or (hasattr(corpus, "dtype") and str(corpus.dtype) not in ("object", "Object", "Null"))


def _as_counts(counts: Any, name: str, n_buckets: int) -> Floats:
    counts = arrays.as_array(counts, name)
    arrays.as_view(counts, name, ndim=1, dtypes=("float64",), convert_to="float64")
    numbers = np.asarray(arrays.as_numpy(counts), dtype=np.float64)
    if len(numbers) != n_buckets:
        raise ValueError(
            f"{name} has {len(numbers)} elements, but n_buckets is {n_buckets}: pass texts, or the counts of all buckets"
        )
    _invalid.refuse(numbers, ~(np.isfinite(numbers) & (numbers >= 0)), name, "counts must be finite and not negative")
    return numbers
