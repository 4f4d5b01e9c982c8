"""Exact optima of small quadratic programs by mixed-integer programming (SciPy's HiGHS)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array

from .solver import objective


@dataclass(frozen=True)
class Optimum:
    """The best value, a subset that has it (ascending), and a bound: the value itself where the optimum is proved."""

    value: float
    subset: NDArray[np.int64]
    bound: float


def exact_optimum(
    importance: Any,
    k: NDArray[np.float64],
    budget: float,
    alpha: float,
    *,
    include: Sequence[int] = (),
    exclude: Sequence[int] = (),
    groups: Any = None,
    group_limits: Sequence[tuple[int, int]] | None = None,
    costs: Any = None,
    time_limit: float | None = None,
) -> Optimum:
    """The optimum by mixed-integer programming (SciPy's HiGHS), for n <= 60.

    With `costs` the budget is the total allowed, not a count; `group_limits[g]` are the fewest and the most elements of
    the group numbered g.

    With y_ij for z_i z_j on every edge: y_ij >= z_i + z_j - 1 where K_ij > 0, y_ij <= z_i and y_ij <= z_j where K_ij < 0.
    Cliques of edges tighten it: with c of their elements kept, (c - s)(c - s - 1) >= 0 for any integer s says
    sum y_ij >= s c - s (s + 1) / 2 (Padberg 1989).

    Raises ValueError where no subset is feasible, TimeoutError where none was found in time. Where the time limit ends
    the search, `bound` is above `value`. Seconds where each has ten neighbours; minutes where a third or a half is to be kept.
    """
    importance = np.asarray(importance, dtype=np.float64)
    n = len(importance)
    first, second = np.nonzero(np.triu(k, 1))
    weight = k[first, second]
    number = {(int(i), int(j)): n + e for e, (i, j) in enumerate(zip(first, second, strict=True))}
    rows: list[dict[int, float]] = []
    low: list[float] = []
    high: list[float] = []

    def require(row: dict[int, float], least: float, most: float) -> None:
        rows.append(row)
        low.append(least)
        high.append(most)

    for (i, j), y in number.items():
        if k[i, j] > 0:
            require({y: 1, i: -1, j: -1}, -1, np.inf)
        else:
            require({y: 1, i: -1}, -np.inf, 0)
            require({y: 1, j: -1}, -np.inf, 0)
    for clique in _cliques(k > 0):
        for s in range(1, len(clique) - 1):
            row = {number[pair]: 1.0 for pair in combinations(clique, 2)} | dict.fromkeys(clique, -float(s))
            require(row, -s * (s + 1) / 2, np.inf)
    if costs is None:
        require(dict.fromkeys(range(n), 1.0), budget, budget)
    else:
        require({i: float(costs[i]) for i in range(n)}, -np.inf, budget)
    for group, (fewest, most) in enumerate(group_limits or ()):
        require({int(i): 1.0 for i in np.flatnonzero(np.asarray(groups) == group)}, fewest, most)

    entries = [(r, column, value) for r, row in enumerate(rows) for column, value in row.items()]
    row_numbers, columns, values = (np.array(part) for part in zip(*entries, strict=True))
    matrix = coo_array((values.astype(np.float64), (row_numbers, columns)), shape=(len(rows), n + len(first))).tocsr()
    lowest, highest = np.zeros(n + len(first)), np.ones(n + len(first))
    lowest[np.asarray(include, dtype=np.int64)] = 1
    highest[np.asarray(exclude, dtype=np.int64)] = 0
    if (lowest > highest).any():
        raise ValueError("no subset is feasible")
    found = milp(
        np.concatenate([-importance, 2 * alpha * weight]),
        constraints=LinearConstraint(matrix, low, high),
        integrality=np.concatenate([np.ones(n), np.zeros(len(first))]),
        bounds=Bounds(lowest, highest),
        options={"mip_rel_gap": 0.0} | ({} if time_limit is None else {"time_limit": time_limit}),
    )
    if found.status == 2:
        raise ValueError("no subset is feasible")
    if found.x is None:
        raise TimeoutError(f"HiGHS found no subset within {time_limit} s")
    subset = np.flatnonzero(found.x[:n] > 0.5)
    value = objective(importance, k, subset, alpha)
    return Optimum(value, subset, value if found.status == 0 else max(value, -float(found.mip_dual_bound)))


def _cliques(adjacent: NDArray[np.bool_]) -> set[tuple[int, ...]]:
    """Cliques of three and more: every triangle, and what grows from each by adding the lowest number that fits."""
    found: set[tuple[int, ...]] = set()
    for i, j in zip(*np.nonzero(np.triu(adjacent, 1)), strict=True):
        for third in np.flatnonzero(adjacent[i] & adjacent[j]):
            clique = [int(i), int(j), int(third)]
            common = adjacent[clique].all(axis=0)
            found.add(tuple(sorted(clique)))
            while common.any():
                clique.append(int(np.argmax(common)))
                common &= adjacent[clique[-1]]
            found.add(tuple(sorted(clique)))
    return found
