"""The similarity graph, slowly and obviously, in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def similarity_matrix(x: Any, metric: str) -> NDArray[np.float64]:
    """All similarities [n, n], the diagonal set to -inf."""
    x = np.asarray(x, dtype=np.float64)
    similarities: NDArray[np.float64]
    if metric == "cosine":
        unit = x / np.linalg.norm(x, axis=1, keepdims=True)
        similarities = np.minimum(unit @ unit.T, 1.0)
    elif metric == "dot":
        similarities = x @ x.T
    else:
        similarities = 1 / (1 + np.sqrt(((x[:, None, :] - x[None, :, :]) ** 2).sum(axis=-1)))
    np.fill_diagonal(similarities, -np.inf)
    return similarities


def topk(x: Any, k: int, metric: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Neighbours in descending similarity, ties to the lower number."""
    similarities = similarity_matrix(x, metric)
    neighbors = np.argsort(-similarities, axis=1, kind="stable")[:, :k]
    return neighbors.astype(np.int64), np.take_along_axis(similarities, neighbors, axis=1)


def symmetric(neighbors: Any, similarities: Any) -> NDArray[np.float64]:
    """K = (A + A^T) / 2 with a zero diagonal, dense; -1 marks an absent neighbour."""
    n = len(neighbors)
    a = np.zeros((n, n))
    for i, (row, values) in enumerate(zip(np.asarray(neighbors), np.asarray(similarities), strict=True)):
        for j, value in zip(row, values, strict=True):
            if j not in (-1, i):
                a[i, j] += value
    return (a + a.T) / 2
