"""Moderate coresets: neither the typical nor the odd samples of a class."""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any, Literal, get_args

import numpy as np

from .._inputs import arrays
from .._inputs import order as _order
from .._inputs.invalid import require_finite_rows
from .._runtime.progress import Progress, reporting
from ._invalid import CHOICES, Invalid, leaving_out_invalid
from ._result import Integers, Reals, Selection, as_classes

Center = Literal["mean", "median"]
CENTERS: tuple[Center, ...] = get_args(Center)
_BLOCK_ELEMENTS = 1 << 22  # of embeddings brought to float64 at a time: 32 MB


@leaving_out_invalid(lambda _: False)
def moderate(
    x: Any,
    budget: int | float,
    *,
    labels: Any = None,
    center: Center = "mean",
    seed: arrays.Seed = 0,
    progress: Progress = False,
    invalid: Invalid = "raise",
) -> Selection:
    """Keep the samples whose distance to the centre of their class is closest to the median distance, by rank.

    Parameters
    ----------
    x : array [n, d] of float32, float16, bfloat16, int8 or float64
        Embeddings.
    budget : int or float
        As `coremax.infomax`.
    labels : array or column [n] of whole numbers or texts, optional
        Classes. Without them all samples are one class.
    center : {"mean", "median"}
        Centre of a class: the mean of its embeddings, or their median coordinate by coordinate.
    seed : int, SeedSequence or Generator
        Of the order of samples at the same distance, such as duplicates; nothing else is random.
    progress : bool or callable
        True draws a bar on stderr; a function is called as function(done, in all).
    invalid : {"raise", "drop"}
        What to do with samples whose row holds NaN, infinity or a number beyond float32: an error that names them, or leave
        them out. Then a warning, `Selection.invalid` and diagnostics["n_invalid"] say so; a fraction as budget is still one of
        all samples, and all else is as if the others were the data set.

    Returns
    -------
    Selection
        Indices in the library of x; no weights.

    Raises
    ------
    ValueError, TypeError
        NaN or infinity in x (the place is named), an empty x, labels of another length, an argument out of range.

    Notes
    -----
    Xia et al., "Moderate coreset: a universal method of data selection for real-world data-efficient deep learning", ICLR
    2023: distances of all classes are sorted together (ties in random order) and the middle m of n are kept, those of
    rank floor((n - m) / 2) and following. Distances are Euclidean. Written from the paper; some implementations keep the two
    ends instead. O(n d + n log n), memory O(n) beyond blocks of 32 MB; the median takes a copy of one class at a time.

    Examples
    --------
    >>> from coremax.selection import moderate
    >>> moderate([[0.0], [1.0], [-1.5], [0.2], [5.0], [-4.7]], 2).indices
    array([1, 2])
    """
    arrays.as_choice(invalid, "invalid", CHOICES)
    start = time.perf_counter()
    center = arrays.as_choice(center, "center", CENTERS)
    x = arrays.as_array(x, "x")
    view = arrays.as_view(x, "x", ndim=2, dtypes=arrays.EMBEDDING_TYPES, strided_rows=True)
    n, d = view.shape
    if n == 0 or d == 0:
        raise ValueError(f"x is empty, shape {view.shape}")
    count = arrays.as_budget(budget, n)
    place, n_classes = as_classes(labels, n, "x")
    number = arrays.as_seed(seed)
    rows = arrays.as_numpy(x)
    require_finite_rows(rows, "x")
    order = np.argsort(place, kind="stable")
    bounds = np.r_[0, np.cumsum(np.bincount(place, minlength=n_classes))]
    distances = np.empty(n)
    with reporting(progress, "moderate") as report:
        for begin, end in itertools.pairwise(bounds.tolist()):
            members = order[begin:end]
            tell = None if report is None else functools.partial(_tell, report, 3 * begin, 3 * n)
            distances[members] = _distances(rows, members, center, tell)
    low = (n - count) // 2
    kept = np.sort(_order.ascending(distances, "moderate", number)[low : low + count])
    return Selection(
        indices=arrays.like(kept, x),
        n=n,
        method="moderate",
        parameters={"center": center, "seed": number},
        timings={"select": time.perf_counter() - start},
        inputs={"embeddings": x, "labels": labels},
    )


def _tell(report: Callable[[int, int], object], before: int, total: int, done: int) -> None:
    report(before + done, total)


def _distances(rows: np.ndarray[Any, Any], members: Integers, center: str, tell: Callable[[int], None] | None) -> Reals:
    """Euclidean distances of the members of a class to its centre, up to a power of two where values are huge or tiny.

    tell: called with how often a member has been read, up to three times each.
    """
    blocks = np.array_split(members, -(-len(members) * rows.shape[1] // _BLOCK_ELEMENTS))

    def reading(times: int) -> Iterator[np.ndarray[Any, Any]]:
        done = times * len(members)
        for block in blocks:
            yield rows[block].astype(np.float64)
            done += len(block)
            if tell is not None:
                tell(done)

    largest = max(float(np.abs(part).max()) for part in reading(0))
    exponent = int(np.frexp(largest)[1])
    shift = -exponent if abs(exponent) > 300 else 0  # squares stay within float64
    if center == "median":
        middle = np.median(np.ldexp(rows[members].astype(np.float64), shift), axis=0)
    else:
        middle = sum(np.ldexp(part, shift).sum(axis=0) for part in reading(1)) / len(members)
    squares = [((np.ldexp(part, shift) - middle) ** 2).sum(axis=1) for part in reading(2)]
    return np.asarray(np.ldexp(np.sqrt(np.concatenate(squares)), -shift))
