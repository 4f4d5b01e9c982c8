"""Neighbour lists of other libraries, looked at when they are taken over: where a mistake is, the error is."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .._runtime.warnings import warn

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ENTRIES = 1 << 20  # that are looked at at a time
# Inner products of unit vectors that were rounded to bfloat16 are off by up to 2 * 2^-9, those of 8-bit codes by about as much.
_ROUNDING = 0.01
# Two values of the same pair that differ by no more, in proportion to them, are one value: half precision rounds by 2^-11.
_SAME = 1e-3

# The least and the largest value, and what to say of others.
_RANGES = {
    ("cosine", "similarities"): (
        -1.0,
        1.0,
        "cosines are from -1 to 1: inner products of rows of other lengths are of metric 'dot', distances need "
        "values_are='distances'",
    ),
    ("cosine", "distances"): (0.0, 2.0, "cosine distances are from 0 to 2: are they (squared) Euclidean distances?"),
    ("euclidean", "similarities"): (
        0.0,
        1.0,
        "similarities of metric 'euclidean' are 1 / (1 + distance), from 0 to 1: distances need values_are='distances' or "
        "'squared distances'",
    ),
}


@dataclass(frozen=True, eq=False)
class Lists:
    """Neighbour lists as arrays of NumPy, whatever library and device they came from.

    Attributes
    ----------
    indices, values : array [n, k] or [nnz]
        Whole numbers of any type, and similarities or distances.
    indptr : array [n + 1] or None
        Where the rows begin in compressed rows; None for lists of equal length.
    """

    indices: NDArray[Any]
    values: NDArray[Any]
    indptr: NDArray[Any] | None = None

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.indices) if self.indptr is None else len(self.indptr) - 1


@dataclass(frozen=True, eq=False)
class _Block:
    """Some rows: an entry's row, column and value, with the row and its first entry that the block begins with."""

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    values: NDArray[np.float64]
    first_entry: int


def check(lists: Lists, metric: str | None, values_are: str) -> NDArray[np.int64]:
    """Look at every entry of foreign lists.

    Returns
    -------
    array of int64
        Entries, numbered through the lists, that repeat a neighbour of their row and are to be left out: the most similar of
        the repeated ones stays.

    Raises
    ------
    ValueError
        Row pointers that are none; a neighbour that is no row; a value that is not finite in float32 or out of the range of
        its metric; in compressed rows, a repeated neighbour with different values. The first place is named.

    Warns
    -----
    UserWarning
        Where similarities ascend along the lists, as distances do, or distances descend, as similarities do; where all
        distances are 1, as of a matrix that says only who is a neighbour.
    """
    limits = _limits(lists, metric, values_are)
    repeated, ascent = [], _Ascent(values_are)
    all_one, n_others = values_are != "similarities", 0
    for block in _blocks(lists):
        _check_columns(block, lists.n)
        _check_values(block, lists, limits, values_are)
        repeated.append(_repeats(block, lists, values_are))
        ascent.add(block, lists.indptr is not None)
        if all_one:
            others = block.values[(block.columns != -1) & (block.columns != block.rows)]
            all_one, n_others = bool((others == 1).all()), n_others + others.size
    ascent.warn()
    if all_one and n_others > 1:
        warn(
            f"all {n_others} {values_are} are 1: do they say only who is a neighbour? Then leave values_are out, or ask for "
            "the distances, as by mode='distance' of scikit-learn's kneighbors_graph"
        )
    return np.concatenate([np.zeros(0, dtype=np.int64), *repeated])


def without(lists: Lists, entries: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Copy the two arrays with some entries marked as absent."""
    indices, values = lists.indices.copy(), lists.values.copy()
    indices.reshape(-1)[entries], values.reshape(-1)[entries] = -1, 0
    return indices, values


def _limits(lists: Lists, metric: str | None, values_are: str) -> tuple[float, float, str]:
    """The least and the largest value that is taken, and what to say of others."""
    if metric == "euclidean" and values_are != "similarities":
        # Rounding makes distances of duplicates slightly negative, in proportion to the squared norms behind them.
        largest = np.max(lists.values, initial=1.0, where=np.isfinite(lists.values) & (lists.indices != -1))
        return -1e-3 * float(largest), math.inf, "distances are not negative"
    low, high, remedy = _RANGES.get((str(metric), values_are), (-math.inf, math.inf, ""))
    return low - _ROUNDING, high + _ROUNDING, remedy


def _checked_pointers(indptr: NDArray[Any], n_entries: int) -> NDArray[np.int64]:
    pointers = indptr.astype(np.int64)  # a copy: whoever writes to it meanwhile does no harm
    if pointers[0] != 0 or pointers[-1] != n_entries:
        raise ValueError(f"indptr must start at 0 and end at the number of indices, {n_entries}")
    falls = np.flatnonzero(np.diff(pointers) < 0)
    if falls.size:
        raise ValueError(f"indptr falls at row {falls[0]}")
    return pointers


def _blocks(lists: Lists) -> Iterator[_Block]:
    """Cut the lists into blocks of whole rows."""
    n, columns, values = lists.n, lists.indices.reshape(-1), lists.values.reshape(-1)
    if lists.indptr is None:
        pointers = np.arange(n + 1) * (columns.size // n if n else 0)
    else:
        pointers = _checked_pointers(lists.indptr, columns.size)
    begin = 0
    while begin < n:
        end = max(begin + 1, int(np.searchsorted(pointers, pointers[begin] + _ENTRIES, side="right")) - 1)
        part = slice(int(pointers[begin]), int(pointers[end]))
        rows = np.repeat(np.arange(begin, end), np.diff(pointers[begin : end + 1]))
        yield _Block(rows, columns[part].astype(np.int64), values[part].astype(np.float64), part.start)
        begin = end


def _check_columns(block: _Block, n: int) -> None:
    bad = np.flatnonzero((block.columns < -1) | (block.columns >= n))
    if bad.size:
        raise ValueError(
            f"indices: row {block.rows[bad[0]]} names neighbour {block.columns[bad[0]]}, but the graph has rows 0 to {n - 1} "
            "(-1 marks an absent neighbour)"
        )


def _check_values(block: _Block, lists: Lists, limits: tuple[float, float, str], values_are: str) -> None:
    present = block.columns != -1
    with np.errstate(over="ignore"):
        narrow = block.values.astype(np.float32)
    bad = np.flatnonzero(present & ~np.isfinite(narrow))
    if bad.size:
        e = bad[0]
        raise ValueError(
            f"values: the {'similarity' if values_are == 'similarities' else 'distance'} of rows {block.rows[e]} and "
            f"{block.columns[e]} is {narrow[e]} in float32; {values_are} must be finite (-1 as the index marks an absent "
            "neighbour)"
        )
    low, high, remedy = limits
    others = present & (block.columns != block.rows)
    bad = np.flatnonzero(others & ((block.values < low) | (block.values > high)))
    if bad.size:
        raise ValueError(f"values[{_place(block, bad[0], lists)}] is {block.values[bad[0]]:g}, but {remedy}")


def _repeats(block: _Block, lists: Lists, values_are: str) -> NDArray[np.int64]:
    """Entries of the block that repeat a neighbour of their row, but for the most similar one of each."""
    pairs = (block.rows - (block.rows[0] if block.rows.size else 0)) * lists.n + block.columns
    chosen = np.flatnonzero((block.columns != -1) & (block.columns != block.rows))
    ordered = np.sort(pairs[chosen])
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    if not twice.size:
        return np.zeros(0, dtype=np.int64)
    chosen = chosen[np.isin(pairs[chosen], twice)]
    values = block.values if values_are == "similarities" else -block.values
    order = chosen[np.lexsort((chosen, -values[chosen], pairs[chosen]))]  # the most similar entry of a pair comes first
    repeats = np.flatnonzero(pairs[order[1:]] == pairs[order[:-1]]) + 1
    if lists.indptr is not None:
        a, b = values[order[repeats - 1]], values[order[repeats]]
        different = np.flatnonzero(a - b > _SAME * np.maximum(np.abs(a), np.abs(b)))
        if different.size:
            e = order[repeats[different[0]]]
            raise ValueError(
                f"indices: row {block.rows[e]} names neighbour {block.columns[e]} more than once, with different values: "
                "leave one, or add them up first (sum_duplicates of a SciPy matrix)"
            )
    return order[repeats] + block.first_entry


def _place(block: _Block, e: int, lists: Lists) -> str:
    entry = block.first_entry + int(e)
    return str(entry) if lists.indptr is not None else f"{block.rows[e]}, {entry % lists.indices.shape[1]}"


class _Ascent:
    """Counts rows whose similarities ascend, or whose distances descend, to tell the one from the other.

    Lists are sorted one way or the other by whoever made them. Where nearly all ascend, and chance would have made them do so
    less than once in eight times, they are likely to be distances, unless some are below zero; where distances descend,
    similarities.
    """

    def __init__(self, values_are: str) -> None:
        self.values_are = values_are
        self.n_rows, self.n_ascending, self.surprise, self.any_negative = 0, 0, 0.0, False

    def add(self, block: _Block, compressed: bool) -> None:
        """Count the rows of a block; in compressed rows those alone that are not in the order of their columns."""
        chosen = (block.columns != -1) & (block.columns != block.rows)
        rows, columns, values = block.rows[chosen], block.columns[chosen], block.values[chosen]
        if rows.size < 2:
            return
        if self.values_are == "similarities":
            self.any_negative |= bool(values.min() < -_SAME * abs(values).max())
        else:
            values = -values
        first = np.r_[0, np.flatnonzero(np.diff(rows)) + 1]
        inside = np.diff(rows) == 0  # a step from an entry to the next one of the same row

        def any_step(steps: NDArray[np.bool_]) -> NDArray[np.bool_]:
            return np.logical_or.reduceat(np.r_[steps & inside, False], first)

        rises, falls = any_step(np.diff(values) > 0), any_step(np.diff(values) < 0)
        told = rises | falls
        if compressed:
            told &= any_step(np.diff(columns) < 0)
        ascending = told & ~falls
        lengths = np.diff(np.r_[first, rows.size])[ascending]
        self.n_rows += int(told.sum())
        self.n_ascending += int(ascending.sum())
        self.surprise += sum(count * math.lgamma(size + 1) for size, count in enumerate(np.bincount(lengths).tolist()))

    def warn(self) -> None:
        """Warn where the rows counted are of the other kind, as it seems."""
        if self.any_negative or self.n_ascending < 0.9 * self.n_rows or self.surprise < math.log(8):
            return
        if self.values_are != "similarities":
            warn(
                f"the {self.values_are} of {self.n_ascending} of {self.n_rows} rows descend: are they similarities? Then leave "
                "values_are out"
            )
        else:
            warn(
                f"the similarities of {self.n_ascending} of {self.n_rows} rows ascend: are they distances? Then pass "
                "values_are='distances' (or 'squared distances') and the metric"
            )
