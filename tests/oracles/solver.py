"""The quadratic program, slowly and obviously, in float64 over a dense K."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray


def dense(graph: Any) -> NDArray[np.float64]:
    """K of a coremax graph as a dense matrix."""
    indptr, indices, values = (np.asarray(part) for part in graph.to_csr())
    k = np.zeros((graph.n, graph.n))
    for i in range(graph.n):
        k[i, indices[indptr[i] : indptr[i + 1]]] = values[indptr[i] : indptr[i + 1]]
    return k


def relaxed_objective(importance: Any, k: NDArray[np.float64], x: Any, alpha: float) -> float:
    """F at any point."""
    x = np.asarray(x, dtype=np.float64)
    return float(np.asarray(importance, dtype=np.float64) @ x - alpha * x @ k @ x)


def objective(importance: Any, k: NDArray[np.float64], subset: Sequence[int] | NDArray[np.int64], alpha: float) -> float:
    """F of a subset."""
    z = np.zeros(len(k))
    z[np.asarray(subset, dtype=np.int64)] = 1
    return relaxed_objective(importance, k, z, alpha)


def optimum(importance: Any, k: NDArray[np.float64], budget: int, alpha: float) -> float:
    """The largest f of all subsets of the size."""
    return max(objective(importance, k, subset, alpha) for subset in combinations(range(len(k)), budget))


def best_swap(importance: Any, k: NDArray[np.float64], subset: NDArray[np.int64], alpha: float) -> float:
    """The largest change of f that any swap of one in against one out makes."""
    inside = np.zeros(len(k), dtype=bool)
    inside[subset] = True
    gain = np.asarray(importance, dtype=np.float64) - 2 * alpha * k @ inside
    if inside.all():
        return 0.0
    changes = gain[~inside][:, None] - gain[inside][None, :] + 2 * alpha * k[np.ix_(~inside, inside)]
    return float(changes.max())
