"""What every selection returns, and what all of them check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import _arrays
from ..graph import Graph
from ..solver import Solution

Reals = np.ndarray[Any, np.dtype[np.float64]]
Integers = np.ndarray[Any, np.dtype[np.int64]]


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
    diagnostics : mapping of str to float or None
        What the method tells of its draw, such as effective sample sizes.
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
    diagnostics: Mapping[str, float] | None = None

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
    scores = np.asarray(_arrays.as_numpy(score), dtype=np.float64)
    bad = np.flatnonzero(~np.isfinite(scores))
    if bad.size:
        raise ValueError(f"{name}[{bad[0]}] is {scores[bad[0]]}; scores must be finite")
    return scores


def as_hardness(score: Any, higher: str) -> tuple[Reals, str]:
    """Check scores and turn them so that higher is harder; returns them and what `higher` says."""
    higher = _arrays.as_choice(higher, "higher", ("hard", "easy"))
    scores = as_scores(score, "score")
    if len(scores) == 0:
        raise ValueError("score is empty")
    return (scores if higher == "hard" else -scores), higher


def as_classes(labels: Any, n: int, of: str, name: str = "labels") -> tuple[Integers, int]:
    """Check labels and number the classes there are from 0, in the order of their labels; without labels there is one."""
    if labels is None:
        return np.zeros(n, dtype=np.int64), 1
    labels = _arrays.as_array(labels, name)
    view = _arrays.as_view(labels, name, ndim=1, dtypes=_arrays.INDEX_TYPES, convert_to="int64")
    _arrays.require_length(view.shape[0], name, n, of)
    present, places = np.unique(_arrays.as_numpy(labels), return_inverse=True)
    return places.reshape(-1).astype(np.int64, copy=False), len(present)


def normalized(scores: np.ndarray[Any, Any], how: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Scores in [0, 1]: linearly ("minmax"), by mean rank ("rank"), or as they are ("none"); constant ones become 0."""
    if how == "none":
        return scores
    if how == "rank":
        _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
        mean_rank = np.cumsum(counts) - (counts + 1) / 2
        return np.asarray(mean_rank[inverse] / max(len(scores) - 1, 1))
    low, high = scores.min(), scores.max()
    # Halved first, so that a range beyond the largest float64 does not overflow.
    width = high / 2 - low / 2
    return (scores / 2 - low / 2) / width if width > 0 else np.zeros_like(scores)
