"""Whether neighbours are right: against answers in float64, for a fixed random sample of rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cases import Rows

N_SAMPLED = 1000
# Float32 sums of products of rows are a few units in the last place of |x| |y| off. What scores within that of the
# k-th best counts as found: which of two near-duplicates comes first is not decided by float32.
ROUNDING = 4 * float(np.finfo(np.float32).eps)
_BLOCK_BYTES = 400_000_000


class Answers:
    """The k-th best score of each sampled row among all others, in float64."""

    def __init__(self, x: Rows, k: int, metric: str) -> None:
        self.n, self.k, self.metric = len(x), k, metric
        self.rows = np.sort(np.random.default_rng(0).permutation(self.n)[:N_SAMPLED])
        self._x = x.astype(np.float64)
        self._squares = np.einsum("ij,ij->i", self._x, self._x)
        if metric == "cosine":
            self._x /= np.sqrt(self._squares)[:, None]
            self._squares[:] = 1
        step = max(1, _BLOCK_BYTES // (8 * self.n))
        blocks = [self.rows[start : start + step] for start in range(0, len(self.rows), step)]
        self._kth = np.concatenate([self._kth_best(rows) for rows in blocks])

    def _kth_best(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        scores = self._x[rows] @ self._x.T
        if self.metric == "euclidean":
            scores = 2 * scores - self._squares[rows, None] - self._squares
        scores[np.arange(len(rows)), rows] = -np.inf
        return np.partition(scores, self.n - self.k, axis=1)[:, self.n - self.k]

    def recall(self, lists: NDArray[np.int64]) -> float:
        """Share of the k places of each sampled row that its list fills with one of its best; lists [sampled, k]."""
        assert lists.shape == (len(self.rows), self.k), f"lists have shape {lists.shape}"
        assert lists.max() < self.n, "a neighbour's number is out of range"
        assert (lists != self.rows[:, None]).all(), "a row is its own neighbour"
        ordered = np.sort(lists, axis=1)
        assert not ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).any(), "a neighbour is named twice"
        scores = np.einsum("ij,ikj->ik", self._x[self.rows], self._x[lists])
        scale = np.sqrt(self._squares[self.rows, None] * self._squares[lists])
        if self.metric == "euclidean":
            scale = self._squares[self.rows, None] + self._squares[lists]
            scores = 2 * scores - scale
        found = (scores >= self._kth[:, None] - ROUNDING * scale) & (lists >= 0)
        return float(found.mean())
