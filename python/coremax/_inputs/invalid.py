"""Samples that nothing can be computed from: which they are, and how messages name them all at once.

The engines refuse the first that they meet, so that good input costs nothing; only then are all of them looked for here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from . import arrays

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SHOWN = 10
_BLOCK_ELEMENTS = 1 << 22  # of a matrix looked at at a time: 16 to 32 MB
_SUM_TOLERANCE = 0.02  # as in csrc/scores/scores.h


def listed(numbers: NDArray[Any]) -> str:
    """How many there are and the first ten, as the end of a message that has named the first; nothing where it is alone."""
    if len(numbers) < 2:
        return ""
    return f" ({counted(numbers)})"


def without_list(message: str) -> str:
    """A message without what `listed` has put at its end."""
    return re.sub(r" \(\d+ in all: [\d, .]*\)$", "", message)


def counted(numbers: NDArray[Any]) -> str:
    """How many there are, and the first ten."""
    more = ", ..." if len(numbers) > _SHOWN else ""
    return f"{len(numbers)} in all: {', '.join(map(str, numbers[:_SHOWN].tolist()))}{more}"


def refuse(values: NDArray[Any], bad: NDArray[np.bool_], name: str, must: str) -> None:
    """Raise ValueError where some of the values are bad: naming the first, how many there are and the first ten."""
    if bad.any():
        numbers = np.flatnonzero(bad)
        raise ValueError(f"{name}[{numbers[0]}] is {values[numbers[0]]}; {must}{listed(numbers)}")


@contextmanager
def naming(name: str, find: Callable[[], NDArray[Any]]) -> Iterator[None]:
    """Complete an error of the engine that names one place of the argument `name` by all that `find` finds."""
    try:
        yield
    except ValueError as error:
        if not (is_about(error, name) and (more := listed(find()))):
            raise
        raise ValueError(f"{error}{more}") from None


def is_about(error: ValueError, name: str) -> bool:
    """Whether an error is about a place of the argument `name`."""
    pattern = re.escape(name)
    return re.match(rf"({pattern}\[[\d, ]+\] is |row \d+ of {pattern} is |row \d+ of {pattern} sums )", str(error)) is not None


def bad_rows(x: Any, *, zero: bool = False) -> NDArray[np.int64]:
    """Rows that hold NaN, infinity or a number beyond float32, or zeros alone where `zero` is set; of any library."""
    found = [np.zeros(0, dtype=np.int64)]
    for begin, block in _blocks(x):
        with np.errstate(over="ignore"):
            bad = ~np.isfinite(block.astype(np.float32, copy=False)).all(axis=1)
        if zero:
            bad |= ~block.any(axis=1)
        found.append(begin + np.flatnonzero(bad))
    return np.concatenate(found)


def bad_probabilities(rows: Any) -> NDArray[np.int64]:
    """Rows that are no probabilities of classes."""
    found = [np.zeros(0, dtype=np.int64)]
    for begin, block in _blocks(rows):
        wide = block.astype(np.float64)
        with np.errstate(invalid="ignore", over="ignore"):
            good = ((wide >= 0) & (wide <= 1 + _SUM_TOLERANCE)).all(axis=1) & (abs(wide.sum(axis=1) - 1) <= _SUM_TOLERANCE)
        found.append(begin + np.flatnonzero(~good))
    return np.concatenate(found)


def bad_weights(weights: Any, log_weights: bool = False) -> NDArray[np.int64]:
    """Elements that are no weights: NaN, infinite, or negative unless they are logarithms."""
    values = arrays.as_numpy(arrays.as_array(weights, "weights"))
    return np.flatnonzero(np.isnan(values) | (values == np.inf) | (not log_weights) & (values < 0))


def bad_values(values: Any) -> NDArray[np.int64]:
    """Elements that are not finite."""
    return np.flatnonzero(~np.isfinite(arrays.as_numpy(arrays.as_array(values, "values"))))


def require_finite_rows(rows: NDArray[Any], name: str) -> None:
    """Raise ValueError naming the first NaN or infinity of a matrix, and the other rows that hold one."""
    for begin, block in _blocks(rows):
        if block.dtype.kind == "f" and not (finite := np.isfinite(block)).all():
            i, j = np.argwhere(~finite)[0].tolist()
            numbers = [r + np.flatnonzero(~np.isfinite(part).all(axis=1)) for r, part in _blocks(rows)]
            raise ValueError(
                f"{name}[{begin + i}, {j}] is {block[i, j]}; embeddings must be finite{listed(np.concatenate(numbers))}"
            )


def _blocks(x: Any) -> Iterator[tuple[int, NDArray[Any]]]:
    """Rows of a matrix as NumPy's, some at a time, with the number of the first."""
    rows = arrays.as_numpy(arrays.as_array(x, "x"))
    step = max(1, _BLOCK_ELEMENTS // max(rows.shape[1], 1))
    for begin in range(0, len(rows), step):
        yield begin, rows[begin : begin + step]
