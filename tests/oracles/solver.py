"""The quadratic program, slowly and obviously, in float64 over a dense K."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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


@dataclass(frozen=True)
class Limits:
    """What a subset has to respect.

    Attributes
    ----------
    budget : int or float
        How many to keep; with costs the most they may cost in all.
    costs : array [n], optional
    include, exclude : sequence of int
    groups : sequence of int [n], optional
    ranges : mapping of group to (fewest, most)
        Of the groups that have a limit.
    """

    budget: int | float
    costs: NDArray[np.float64] | None = None
    include: Sequence[int] = ()
    exclude: Sequence[int] = ()
    groups: Sequence[int] | None = None
    ranges: Mapping[int, tuple[int, int]] = field(default_factory=dict)

    def met(self, subset: Sequence[int] | NDArray[np.int64]) -> bool:
        """Whether a subset respects them."""
        kept = {int(i) for i in subset}
        if self.costs is None:
            if len(kept) != self.budget:
                return False
        elif math.fsum(float(self.costs[i]) for i in kept) > self.budget:
            return False
        if not kept.issuperset(int(i) for i in self.include) or not kept.isdisjoint(int(i) for i in self.exclude):
            return False
        counts = (
            {label: sum(int(self.groups[i]) == label for i in kept) for label in self.ranges} if self.groups is not None else {}
        )
        return all(low <= counts[label] <= high for label, (low, high) in self.ranges.items())

    def all_met(self, kept: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Whether each of many subsets [subsets, n] respects them; a total cost within rounding of the budget counts."""
        met: NDArray[np.bool_]
        if self.costs is None:
            met = kept.sum(axis=1) == self.budget
        else:
            met = kept @ np.asarray(self.costs, dtype=np.float64) <= self.budget * (1 + 1e-14)
        for i in self.include:
            met &= kept[:, i]
        for i in self.exclude:
            met &= ~kept[:, i]
        for label, (low, high) in self.ranges.items():
            count = kept[:, np.asarray(self.groups) == label].sum(axis=1)
            met &= (low <= count) & (count <= high)
        return met


def all_subsets(n: int) -> NDArray[np.bool_]:
    """Every subset of n elements [2^n, n]."""
    return (np.arange(2**n)[:, None] >> np.arange(n) & 1).astype(bool)


def objectives(importance: Any, k: NDArray[np.float64], kept: NDArray[np.bool_], alpha: float) -> NDArray[np.float64]:
    """F of many subsets [subsets, n]."""
    z = kept.astype(np.float64)
    values: NDArray[np.float64] = z @ np.asarray(importance, dtype=np.float64) - alpha * ((z @ k) * z).sum(axis=1)
    return values


def optimum_within(importance: Any, k: NDArray[np.float64], alpha: float, limits: Limits) -> float:
    """The largest f of all subsets that respect the limits; -infinity where none does."""
    kept = all_subsets(len(k))
    kept = kept[limits.all_met(kept)]
    return float(objectives(importance, k, kept, alpha).max(initial=-np.inf))


def best_move(importance: Any, k: NDArray[np.float64], subset: NDArray[np.int64], alpha: float, limits: Limits) -> float:
    """The largest change of f by any swap within the limits; with costs by any addition or removal as well."""
    n, kept = len(k), {int(i) for i in subset}
    inside = np.isin(np.arange(n), subset)
    gain = np.append(np.asarray(importance, dtype=np.float64) - 2 * alpha * k @ inside, 0.0)
    # An element n that costs nothing makes swaps of the additions and removals.
    outs, ins = np.append(np.flatnonzero(inside), n), np.append(np.flatnonzero(~inside), n)
    if limits.costs is None:
        outs, ins = outs[:-1], ins[:-1]
    changes = gain[ins][:, None] - gain[outs][None, :] + 2 * alpha * np.pad(k, (0, 1))[np.ix_(ins, outs)]
    if limits.costs is not None:
        costs = np.append(np.asarray(limits.costs, dtype=np.float64), 0.0)
        total = math.fsum(costs[:-1][inside]) + costs[ins][:, None] - costs[outs][None, :]
        changes[total > limits.budget * (1 + 1e-12)] = -np.inf
    for move in np.argsort(-changes, axis=None, kind="stable"):
        i, j = ins[move // len(outs)], outs[move % len(outs)]
        if np.isfinite(changes.flat[move]) and limits.met(sorted((kept - {int(j)}) | ({int(i)} - {n}))):
            return float(changes.flat[move])
    return -np.inf
