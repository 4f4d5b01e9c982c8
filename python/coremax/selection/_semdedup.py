"""Semantic deduplication: within clusters, samples close to an earlier one go."""

from __future__ import annotations

import itertools
import time
from typing import Any, Literal, get_args

import numpy as np

from .. import _core
from .._inputs import arrays
from .._inputs import invalid as _invalid
from .._inputs import order as _order
from .._inputs.invalid import require_finite_rows
from .._runtime.progress import Progress, reporting
from ..sampling import sample
from ..scores import spherical_kmeans
from ._invalid import CHOICES, Invalid, leaving_out_invalid
from ._result import Integers, Reals, Selection, as_classes

Keep = Literal["hard", "easy", "random"]
KEEP: tuple[Keep, ...] = get_args(Keep)
_ROWS_PER_CLUSTER = 1000
_BLOCK_ROWS = 4096


@leaving_out_invalid(lambda _: True)
def semdedup(
    x: Any,
    budget: int | float | None = None,
    *,
    eps: float | None = None,
    n_clusters: int | Literal["auto"] = "auto",
    clusters: Any = None,
    keep: Keep = "hard",
    seed: arrays.Seed = 0,
    threads: int | None = None,
    progress: Progress = False,
    invalid: Invalid = "raise",
) -> Selection:
    """Drop samples that are close to another one of their cluster (SemDeDup).

    Parameters
    ----------
    x : array [n, d] of float32, float16, bfloat16, int8 or float64
        Embeddings; only their directions count.
    budget : int or float, optional
        As `coremax.infomax`: keeps the samples that would survive the largest eps, of those tied at the cut any.
    eps : float, optional
        In [0, 2]: a sample goes where its cosine to an earlier one of its cluster is above 1 - eps. Either eps or budget.
    n_clusters : int or "auto"
        Clusters of spherical k-means. "auto": one for 1,000 samples (ours; the paper has 50,000 for 440 million).
    clusters : array or column [n] of whole numbers or texts, optional
        Clusters made elsewhere; n_clusters is then not used.
    keep : {"hard", "easy", "random"}
        Which samples of a cluster come first, and so stay: those farthest from its centroid (the paper's), those nearest to
        it, or any. Ties, cosines to the centroid that agree to six decimals, stand in random order.
    seed : int, SeedSequence or Generator
        Of the clusters and of the random order. Of exact duplicates it decides which one stays.
    threads : int, optional
        Does not change the result.
    progress : bool or callable
        Of the clusters, then of the pairs within them: True draws bars on stderr; a function is called as function(done, all).
    invalid : {"raise", "drop"}
        What to do with samples whose row holds NaN, infinity or a number beyond float32, or zeros alone: an error that names
        them, or leave them out. Then a warning, `Selection.invalid` and diagnostics["n_invalid"] say so; a fraction as budget
        is still one of all samples, and all else is as if the others were the data set.

    Returns
    -------
    Selection
        Indices in the library of x; parameters["eps"] is the one given or, with a budget, one minus the highest cosine to an
        earlier sample among those kept (samples tied with it may be gone).

    Raises
    ------
    ValueError, TypeError
        NaN or infinity in x (the place is named), a row of zeros, an empty x, neither or both of budget and eps, an argument
        out of range.

    Notes
    -----
    Abbas et al., "SemDeDup: data-efficient learning at web-scale through semantic deduplication", 2023, as its listing has
    it: an earlier sample counts whether it stays itself or not, so that of a chain of near pairs only the first is left.
    Cosines are float32 sums over unit vectors, off by at most (d / 8 + 8) 2^-24, and those as near to 1 count as 1; choose eps
    above that. Time O(n d n / n_clusters) after the clusters, in one large cluster about that of the exact graph; 4 n d bytes
    of memory, in one large cluster 6 n d.

    Examples
    --------
    >>> import numpy as np
    >>> from coremax.selection import semdedup
    >>> x = np.array([[1, 0], [1, 0.01], [0, 1], [0.01, 1], [1, 1]], dtype=np.float32)
    >>> semdedup(x, eps=0.01, n_clusters=1).indices
    array([0, 2, 4])
    """
    arrays.as_choice(invalid, "invalid", CHOICES)
    if (budget is None) == (eps is None):
        raise TypeError("pass either budget or eps" + ("" if budget is None else ", not both"))
    keep, n_threads = arrays.as_choice(keep, "keep", KEEP), arrays.as_threads(threads)
    given_seed = arrays.as_seed(seed)
    number = arrays.seed_of("semdedup", given_seed)
    x = arrays.as_array(x, "x")
    view = arrays.as_view(x, "x", ndim=2, dtypes=arrays.EMBEDDING_TYPES, strided_rows=True)
    n, d = view.shape
    if n == 0 or d == 0:
        raise ValueError(f"x is empty, shape {view.shape}")
    count = None if budget is None else arrays.as_budget(budget, n)
    n_wanted = arrays.as_count_or_auto(n_clusters, "n_clusters", 1, n) or -(-n // _ROWS_PER_CLUSTER)
    threshold = None if eps is None else arrays.as_real(eps, "eps", 0.0, 2.0)
    rows = arrays.as_numpy(x)
    require_finite_rows(rows, "x")

    start = time.perf_counter()
    if clusters is None:
        clusters = spherical_kmeans(rows, n_wanted, seed=number, threads=n_threads, progress=progress)[1]
    place, n_present = as_classes(clusters, n, "x", "clusters")
    clustered = time.perf_counter()
    shuffled = sample(np.ones(n, dtype=np.float32), n, seed=number, threads=n_threads)  # what ties, or all, come in
    order = shuffled[np.argsort(place[shuffled], kind="stable")]
    offsets = np.r_[0, np.cumsum(np.bincount(place, minlength=n_present))].astype(np.int64)
    unit = _unit_rows(rows, order)
    if keep != "random":
        inner = _by_distance(unit, offsets, 1 if keep == "hard" else -1)
        order, unit = order[inner], unit[inner]
    cosines = np.empty(n)
    with reporting(progress, "pairs") as report:
        cosines[order] = _core.highest_earlier_cosine(
            _core.import_array(unit, "rows"),
            _core.import_array(offsets, "offsets"),
            arrays.resolve_isa(None),
            n_threads,
            report,
        )
    if threshold is not None:
        kept = np.flatnonzero(cosines <= 1 - threshold)
    else:
        kept = np.sort(_order.ascending(cosines, "cut", number)[:count])
        threshold = 1 - float(cosines[kept].max())
    return Selection(
        indices=arrays.like(kept.astype(np.int64), x),
        n=n,
        method="semdedup",
        parameters={"eps": threshold, "n_clusters": n_present, "keep": keep, "seed": given_seed},
        timings={"cluster": clustered - start, "select": time.perf_counter() - clustered},
        inputs={"embeddings": x},
    )


def _unit_rows(rows: np.ndarray[Any, Any], order: Integers) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Rows in that order, scaled to length one; raises ValueError for a row of zeros."""
    unit = np.empty(rows.shape, dtype=np.float32)
    for begin in range(0, len(order), _BLOCK_ROWS):
        numbers = order[begin : begin + _BLOCK_ROWS]
        block = rows[numbers].astype(np.float64)
        largest = np.abs(block).max(axis=1, keepdims=True)
        if not largest.all():
            zero = np.flatnonzero([not part.any() for part in rows])
            raise ValueError(f"row {zero[0]} of x is all zeros: it has no cosine to other rows{_invalid.listed(zero)}")
        block /= largest  # squares neither overflow nor vanish
        unit[begin : begin + _BLOCK_ROWS] = block / np.sqrt((block * block).sum(axis=1, keepdims=True))
    return unit


def _by_distance(unit: np.ndarray[Any, Any], offsets: Integers, sign: int) -> Integers:
    """Positions, cluster after cluster, by cosine to the centroid: ascending for sign 1, descending for -1."""
    order = np.empty(len(unit), dtype=np.int64)
    for begin, end in itertools.pairwise(offsets):
        members = unit[begin:end]
        centroid = members.sum(axis=0, dtype=np.float64)
        cosines = _products(members, centroid / max(float(np.sqrt((centroid**2).sum())), 1e-300))
        # Both of a pair are equally far from their mean: rounding is not to tell them apart.
        order[begin:end] = begin + np.argsort(sign * np.round(cosines, 6), kind="stable")
    return order


def _products(rows: np.ndarray[Any, Any], vector: Reals) -> Reals:
    blocks = range(0, len(rows), _BLOCK_ROWS)
    return np.concatenate([(rows[b : b + _BLOCK_ROWS] * vector).sum(axis=1) for b in blocks])
