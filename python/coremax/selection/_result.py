"""What every selection returns, and what all of them check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import _arrays
from ..graph import Graph
from ..solver import Solution


@dataclass(frozen=True, eq=False, repr=False)
class Selection:
    """The samples to keep and how they were chosen.

    Attributes
    ----------
    indices : array [budget] of int64
        Numbers of the samples kept, ascending.
    n : int
        Size of the data set.
    method : str
        Name of the method.
    parameters : mapping of str to object
        The method's parameters as resolved ("auto" replaced by what it stood for).
    weights : array [budget] of float64 or None
        1 / inclusion probability where the method samples, else None.
    candidates : array of int64 or None
        Numbers of the samples that graph and solution speak of, where some were dropped beforehand; ascending.
    graph : Graph or None
        The neighbour graph of the candidates.
    solution : Solution or None
        The solver's answer, in numbers of the candidates.
    timings : mapping of str to float
        Seconds of each stage.
    """

    indices: Any
    n: int
    method: str
    parameters: Mapping[str, Any]
    weights: Any = None
    candidates: Any = None
    graph: Graph | None = None
    solution: Solution | None = None
    timings: Mapping[str, float] | None = None

    def mask(self, n: int | None = None) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return a boolean mask [n] that is true for the samples kept; n defaults to the size of the data set."""
        size = self.n if n is None else _arrays.as_count(n, "n", self.n)
        mask = np.zeros(size, dtype=np.bool_)
        mask[_arrays.as_numpy(self.indices)] = True
        return mask

    def __len__(self) -> int:
        return int(self.indices.shape[0])

    def __repr__(self) -> str:
        return f"Selection({self.method}: {len(self)} of {self.n})"


def as_scores(score: Any, name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Check scores and bring them to float64."""
    score = _arrays.as_array(score, name)
    _arrays.as_view(score, name, ndim=1, dtypes=_arrays.FLOAT_TYPES, convert_to="float64")
    scores = np.asarray(_arrays.widened(score), dtype=np.float64)
    bad = np.flatnonzero(~np.isfinite(scores))
    if bad.size:
        raise ValueError(f"{name}[{bad[0]}] is {scores[bad[0]]}; scores must be finite")
    return scores
