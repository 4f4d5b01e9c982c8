"""Fixed elements, groups and costs against enumeration, for every method; and the reasons why a request is refused."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import coremax
from coremax import Status
from coremax.solver._solver import METHODS, Method
from helpers import OBJECTIVE_TOLERANCE
from oracles import solver as oracle

FloatArray = NDArray[np.float64]
Rng = np.random.Generator


def graph_without_edges(n: int) -> coremax.Graph:
    return coremax.Graph.from_csr([0] * (n + 1), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32))


def graph_of(n: int, k: int, rng: Rng, negative: bool) -> coremax.Graph:
    """Random neighbours with similarities that are random, coarse enough to tie, or spread over decades."""
    if k == 0:
        return graph_without_edges(n)
    neighbors = np.array([rng.permutation([j for j in range(n) if j != i])[:k] for i in range(n)])
    kinds = [rng.random((n, k)), rng.integers(0, 4, (n, k)) / 4, rng.random((n, k)) * 10 ** rng.uniform(-3, 3, (n, k))]
    values = kinds[rng.integers(3)]
    values = values * rng.choice([-1, 1], values.shape) if negative else values
    return coremax.Graph.from_neighbors(neighbors, -np.sort(-values, axis=1))  # in the order of lists of similarities


class Case(NamedTuple):
    """A problem that some subset solves, as arguments of `solve` and as the oracle's limits."""

    importance: FloatArray
    graph: coremax.Graph
    budget: int | float
    alpha: float
    arguments: dict[str, Any]
    limits: oracle.Limits

    def solve(self, **options: Any) -> coremax.Solution:
        """Solve it."""
        return coremax.solve(self.importance, self.graph, self.budget, alpha=self.alpha, **self.arguments, **options)


def random_case(rng: Rng, n: int, fixed: bool, grouped: bool, priced: bool, negative: bool) -> Case:
    """Draw limits around a random subset, so that they can be met; totals and ranges are often met by little else."""
    graph = graph_of(n, int(rng.integers(0, min(5, n - 1) + 1)) if n > 1 else 0, rng, negative)
    importance = [
        rng.random(n),
        rng.integers(0, 3, n).astype(float),
        rng.normal(size=n),
        rng.pareto(0.7, n),
        -rng.random(n),
    ][rng.integers(5)]
    inside = rng.random(n) < rng.random()
    inside[rng.integers(n)] = True
    base = np.flatnonzero(inside)
    arguments: dict[str, Any] = {}
    include = [int(i) for i in base if fixed and rng.random() < 0.3]
    exclude = [int(i) for i in np.flatnonzero(~inside) if fixed and rng.random() < 0.3]
    if fixed:
        arguments |= {"include": np.array(include, dtype=np.int64), "exclude": exclude}
    budget: int | float = len(base)
    costs = None
    if priced:
        costs = [rng.random(n) + 0.01, rng.integers(1, 5, n).astype(float), 10 ** rng.uniform(-6, 6, n), np.ones(n)][
            rng.integers(4)
        ]
        budget = float(np.nextafter(math.fsum(costs[base]) * float(rng.choice([1, 1, 1.2, 2])), np.inf))
        arguments["costs"] = costs
    groups: NDArray[np.int64] | None = None
    ranges: dict[int, tuple[int, int]] = {}
    if grouped:
        groups = rng.integers(0, 4, n) * int(rng.choice([1, 7]))
        for label in np.unique(groups).tolist():
            count = int(inside[groups == label].sum())
            if rng.random() < 0.8:
                ranges[label] = (int(rng.integers(0, count + 1)), int(count + rng.integers(0, 3)))
        arguments |= {"groups": groups, "group_limits": ranges}
    alpha = float(rng.choice([0.0, 0.1, 0.3, 1.0, 3.0]))
    limits = oracle.Limits(budget, costs, include, exclude, None if groups is None else groups.tolist(), ranges)
    return Case(importance, graph, budget, alpha, arguments, limits)


def check(case: Case, solution: coremax.Solution) -> bool:
    """Check all that is promised of a polished solution; returns whether it is optimal."""
    k = oracle.dense(case.graph)
    scale = 1 + np.abs(case.importance).sum() + case.alpha * np.abs(k).sum()
    best = oracle.optimum_within(case.importance, k, case.alpha, case.limits)
    assert np.isfinite(best), "the case itself can not be met"
    assert (np.diff(solution.indices) > 0).all()
    assert case.limits.met(solution.indices)
    value = oracle.objective(case.importance, k, solution.indices, case.alpha)
    assert solution.objective == pytest.approx(value, abs=OBJECTIVE_TOLERANCE * scale)
    assert solution.objective <= best + OBJECTIVE_TOLERANCE * scale
    assert solution.upper_bound >= best - 1e-13 * scale
    assert solution.upper_bound >= solution.objective
    assert solution.x.min() >= 0
    assert solution.x.max() <= 1
    assert (solution.x[list(case.limits.include)] == 1).all()
    assert (solution.x[list(case.limits.exclude)] == 0).all()
    if case.limits.costs is None or k.min() >= 0:
        move = oracle.best_move(case.importance, k, solution.indices, case.alpha, case.limits)
        assert move <= OBJECTIVE_TOLERANCE * scale
    return bool(solution.objective >= best - OBJECTIVE_TOLERANCE * scale)


KINDS = [
    pytest.param((True, False, False), id="fixed"),
    pytest.param((False, True, False), id="groups"),
    pytest.param((False, False, True), id="costs"),
    pytest.param((True, True, False), id="fixed-groups"),
    pytest.param((False, True, True), id="groups-costs"),
    pytest.param((True, True, True), id="all"),
]


@pytest.mark.parametrize("negative", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_every_method_against_enumeration(kind: tuple[bool, bool, bool], negative: bool) -> None:
    hits: dict[str, list[bool]] = {method: [] for method in METHODS}
    for seed in range(26):
        rng = np.random.default_rng((seed, *kind, negative))
        case = random_case(rng, int(rng.integers(1, 12)) if seed < 25 else 14, *kind, negative)
        for method in METHODS:
            effort = "default" if method == "auto" else "fast"
            hits[method].append(check(case, case.solve(method=method, effort=effort, threads=1)))
    # "auto" enumerates; polished local optima of problems this small are nearly always best, and a broken method finds few.
    assert all(hits["auto"])
    assert all(np.mean(found) >= 0.8 for found in hits.values())


@settings(deadline=None, max_examples=120)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 10),
    kind=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    negative=st.booleans(),
    method=st.sampled_from(METHODS),
    x0=st.booleans(),
)
def test_any_case(seed: int, n: int, kind: tuple[bool, bool, bool], negative: bool, method: Method, x0: bool) -> None:
    rng = np.random.default_rng(seed)
    case = random_case(rng, n, *kind, negative)
    start = rng.normal(size=n) * 10 ** rng.uniform(-3, 3) if x0 else None
    check(case, case.solve(method=method, effort="fast", threads=1, x0=start))


@pytest.mark.parametrize("method", METHODS)
def test_without_polish_and_in_a_hurry_the_limits_hold(method: Method) -> None:
    for seed in range(12):
        rng = np.random.default_rng(seed)
        case = random_case(rng, 11, True, True, seed % 2 == 0, seed % 3 == 0)
        for hurry in (
            {"polish": False},
            {"time_limit": 1e-6},
            {"callback": lambda _: True},
            {"max_iterations": 0, "polish": False},
        ):
            assert case.limits.met(case.solve(method=method, effort="fast", threads=1, **hurry).indices)


# Spellings of the same limits.


def grouped_problem() -> tuple[FloatArray, coremax.Graph, NDArray[np.int64]]:
    rng = np.random.default_rng(4)
    return rng.random(60), graph_of(60, 5, rng, False), np.repeat([0, 1, 2], [10, 20, 30])


@pytest.mark.parametrize(
    "spelled",
    [
        {0: (2, 2), 1: (3, 6), 2: (0, 30)},
        {0: (2, 2), 1: (3, 6)},
        {0: (0.2, 0.2), 1: (3, 0.3)},
        {0: 0.2, 1: (0.15, 6)},
        {np.int64(0): (np.int32(2), np.int64(2)), np.int64(1): [3, 6]},
        [(2, 2), (3, 6), (None, None)],
        [0.2, (3, 6), (0, None)],
        np.array([[2, 2], [3, 6], [0, 30]]),
        ((2, 2), (3, 6), (None, 1000)),
    ],
    ids=str,
)
def test_spellings_of_group_limits(spelled: Any) -> None:
    importance, graph, groups = grouped_problem()
    expected = coremax.solve(importance, graph, 20, groups=groups, group_limits={0: (2, 2), 1: (3, 6), 2: (0, 30)})
    counts = np.bincount(groups[expected.indices], minlength=3)
    assert counts[0] == 2
    assert 3 <= counts[1] <= 6
    unlimited = coremax.solve(importance, graph, 20)
    assert not np.array_equal(expected.indices, unlimited.indices), "the limits change nothing"
    solution = coremax.solve(importance, graph, 20, groups=groups, group_limits=spelled)
    assert np.array_equal(solution.indices, expected.indices)


def test_one_range_for_all_groups() -> None:
    importance, graph, groups = grouped_problem()
    importance[groups == 1] += 5
    solution = coremax.solve(importance, graph, 20, groups=groups, group_limits=(4, 9))
    assert np.bincount(groups[solution.indices]).tolist()[1] == 9
    assert np.bincount(groups[solution.indices]).min() >= 4


@pytest.mark.parametrize("share", [0.0, 0.05, 0.1, 0.17, 0.25, 1 / 3, 0.5, 0.7, 0.9, 1.0])
def test_a_share_of_every_group_is_rounded_down_or_up(share: float) -> None:
    rng = np.random.default_rng(8)
    groups = np.repeat([3, -1, 40, 41], [1, 7, 10, 30])
    importance, graph = rng.random(48), graph_of(48, 4, rng, False)
    sizes = {label: int((groups == label).sum()) for label in (3, -1, 40, 41)}
    fewest = sum(math.floor(size * share + 1e-9) for size in sizes.values())
    most = sum(math.ceil(size * share - 1e-9) for size in sizes.values())
    for budget in sorted({max(fewest, 1), (fewest + most + 1) // 2, most} - {0}):
        if budget > most:
            continue
        kept = groups[coremax.solve(importance, graph, budget, groups=groups, group_limits=share).indices]
        for label, size in sizes.items():
            assert (kept == label).sum() in (math.floor(size * share + 1e-9), math.ceil(size * share - 1e-9))


@pytest.mark.parametrize(("share", "size", "count"), [(0.07, 100, 7), (0.29, 100, 29), (0.55, 100, 55), (0.28, 25, 7)])
def test_a_share_that_is_whole_but_for_rounding(share: float, size: int, count: int) -> None:
    assert share * size != count
    groups = np.repeat([0, 1], size)
    importance = np.where(groups == 0, 2.0, 1.0)
    for limits in (share, (share, share), {0: share, 1: share}, {0: share}, {1: share}):
        solution = coremax.solve(importance, graph_without_edges(2 * size), 2 * count, groups=groups, group_limits=limits)
        assert np.bincount(groups[solution.indices]).tolist() == [count, count]


def test_groups_without_limits_keep_their_share_of_the_budget() -> None:
    rng = np.random.default_rng(9)
    for budget in (1, 7, 0.25, 0.5, 40, 48):
        groups = rng.integers(0, 5, 48)
        importance, graph = rng.random(48) * (1 + groups), graph_of(48, 4, rng, False)
        solution = coremax.solve(importance, graph, budget, groups=groups)
        count = len(solution.indices)
        assert count == (round(budget * 48) if isinstance(budget, float) else budget)
        for label in range(5):
            share = (groups == label).sum() * count / 48
            assert (groups[solution.indices] == label).sum() in (math.floor(share + 1e-9), math.ceil(share - 1e-9))


def test_a_share_of_costs_that_are_fractions_is_a_total() -> None:
    importance, graph = np.array([3.0, 2.0, 1.0]), graph_without_edges(3)
    assert coremax.solve(importance, graph, 0.5, costs=[0.25, 0.25, 0.5]).indices.tolist() == [0, 1]
    assert coremax.solve(importance, graph, 1, costs=[1, 2, 3]).indices.tolist() == [0]


# What counts towards what.


def test_included_elements_count_towards_budget_groups_and_costs() -> None:
    rng = np.random.default_rng(10)
    importance, graph, groups = rng.random(30), graph_of(30, 4, rng, False), np.repeat([0, 1, 2], 10)
    worst = np.argsort(importance)[:5]
    full = coremax.solve(importance, graph, 5, include=worst)
    assert np.array_equal(full.indices, np.sort(worst))
    assert full.objective == full.upper_bound or full.gap < 1e-9
    in_group = coremax.solve(importance, graph, 12, include=[0, 1, 2], groups=groups, group_limits={0: (3, 3), 1: (4, 5)})
    kept = groups[in_group.indices]
    assert {0, 1, 2} == set(in_group.indices[kept == 0].tolist())
    assert (kept == 1).sum() in (4, 5)
    costs = np.full(30, 2.0)
    priced = coremax.solve(importance + 1, graph, 9.0, include=worst[:3], costs=costs, alpha=0.0)
    assert len(priced.indices) == 4
    assert set(worst[:3].tolist()) < set(priced.indices.tolist())
    spent = coremax.solve(importance + 1, graph, 6.0, include=worst[:3], costs=costs)
    assert np.array_equal(spent.indices, np.sort(worst[:3]))


@pytest.mark.parametrize("method", METHODS)
def test_a_group_that_is_fixed_whole(method: Method) -> None:
    # Nothing of group 0 is left open, and of group 1 nothing may be kept.
    rng = np.random.default_rng(11)
    importance, graph, groups = rng.random(9), graph_of(9, 3, rng, False), np.repeat([0, 1, 2], 3)
    solution = coremax.solve(
        importance,
        graph,
        5,
        groups=groups,
        group_limits=[(3, 3), (0, 0), (1, None)],
        include=[0, 1, 2],
        exclude=[3, 4, 5],
        method=method,
    )
    assert np.bincount(groups[solution.indices]).tolist() == [3, 0, 2]
    costly = coremax.solve(
        importance, graph, 4.0, costs=np.ones(9), include=[0, 1, 2], exclude=[3, 4, 5, 6, 7, 8], method=method
    )
    assert costly.indices.tolist() == [0, 1, 2]


@pytest.mark.parametrize("method", METHODS)
def test_costs_of_one_are_a_count_where_everything_pays(method: Method) -> None:
    rng = np.random.default_rng(12)
    importance, graph = rng.random(200) + 5, graph_of(200, 5, rng, False)
    for budget in (1, 17, 120, 200):
        counted = coremax.solve(importance, graph, budget, alpha=0.02, method=method)
        priced = coremax.solve(importance, graph, budget, alpha=0.02, method=method, costs=np.ones(200))
        assert len(priced.indices) == budget
        assert priced.objective == pytest.approx(counted.objective, rel=1e-2)


@pytest.mark.parametrize("method", METHODS)
def test_where_nothing_pays_nothing_is_kept(method: Method) -> None:
    rng = np.random.default_rng(13)
    importance, graph = -0.1 - rng.random(40), graph_of(40, 5, rng, False)
    nothing = coremax.solve(importance, graph, 20.0, costs=np.ones(40), method=method)
    assert len(nothing.indices) == 0
    assert nothing.objective == 0
    assert 0 <= nothing.upper_bound <= 1e-9
    groups = np.repeat([0, 1], 20)
    wanted = coremax.solve(
        importance, graph, 20.0, costs=np.ones(40), groups=groups, group_limits={1: (2, None)}, method=method
    )
    assert groups[wanted.indices].tolist() == [1, 1]
    excluded = coremax.solve(-importance, graph, 20.0, costs=np.ones(40), exclude=np.arange(40), method=method)
    assert len(excluded.indices) == 0


@pytest.mark.parametrize("method", METHODS)
def test_one_element(method: Method) -> None:
    alone = graph_without_edges(1)
    spelled: list[dict[str, Any]] = [
        {},
        {"include": [0]},
        {"exclude": []},
        {"groups": [7]},
        {"groups": [7], "group_limits": (1, 1)},
    ]
    for arguments in spelled:
        assert coremax.solve([-2.0], alone, 1, method=method, **arguments).indices.tolist() == [0]
    assert coremax.solve([2.0], alone, 0.5, costs=[0.5], method=method).indices.tolist() == [0]
    assert coremax.solve([-2.0], alone, 0.5, costs=[0.5], method=method).indices.tolist() == []
    assert coremax.solve([-2.0], alone, 0.5, costs=[0.5], include=[0], method=method).objective == -2
    assert coremax.solve([2.0], alone, 0.5, costs=[0.5], exclude=[0], method=method).indices.tolist() == []


@pytest.mark.parametrize("method", METHODS)
def test_the_whole_set_and_no_edges(method: Method) -> None:
    rng = np.random.default_rng(14)
    importance, graph, groups = rng.normal(size=20), graph_of(20, 3, rng, False), np.arange(20) % 3
    everything = coremax.solve(importance, graph, 20, groups=groups, include=[3], method=method)
    assert np.array_equal(everything.indices, np.arange(20))
    bare = graph_without_edges(20)
    limits = oracle.Limits(8, None, [2], [5], groups.tolist(), {0: (1, 2), 1: (3, 7)})
    arguments: dict[str, Any] = {"groups": groups, "group_limits": dict(limits.ranges), "include": [2], "exclude": [5]}
    solution = coremax.solve(importance, bare, 8, method=method, **arguments)
    assert limits.met(solution.indices)
    assert oracle.best_move(importance, np.zeros((20, 20)), solution.indices, 0.3, limits) <= 0
    assert solution.gap <= 1e-9
    assert solution.status is Status.CONVERGED


def test_costs_without_redundancy_leave_no_improving_move() -> None:
    # A knapsack: rounding its linear relaxation down leaves room that other elements may use better.
    rng = np.random.default_rng(15)
    for seed in range(40):
        n = int(rng.integers(2, 12))
        costs, importance = rng.random(n) + 0.05, rng.random(n)
        graph = graph_without_edges(n) if seed % 2 else graph_of(n, 1, rng, False)
        limits = oracle.Limits(float(costs.sum() * rng.uniform(0.2, 0.9) + costs.min()), costs)
        solution = coremax.solve(importance, graph, limits.budget, alpha=1.0 if seed % 2 else 0.0, costs=costs)
        k = np.zeros((n, n))
        assert limits.met(solution.indices)
        assert oracle.best_move(importance, k, solution.indices, 0.0, limits) <= 1e-12
        assert solution.upper_bound >= oracle.optimum_within(importance, k, 0.0, limits) - 1e-12


@pytest.mark.parametrize("method", METHODS)
def test_costs_over_twelve_decades(method: Method) -> None:
    rng = np.random.default_rng(16)
    n = 150
    costs = 10 ** rng.uniform(-6, 6, n)
    importance, graph = rng.random(n), graph_of(n, 5, rng, False)
    k = oracle.dense(graph)
    for budget in (float(costs.min()), 1e-3, 1.0, 1e4, float(costs.sum())):
        limits = oracle.Limits(budget, costs)
        solution = coremax.solve(importance, graph, budget, costs=costs, alpha=0.1, method=method, effort="fast")
        assert limits.met(solution.indices)
        assert solution.upper_bound >= solution.objective
        assert oracle.best_move(importance, k, solution.indices, 0.1, limits) <= OBJECTIVE_TOLERANCE


def test_a_tight_cost_under_lower_limits() -> None:
    # Only each group's cheapest elements fit; none of them would be chosen for its gain.
    rng = np.random.default_rng(17)
    groups, costs = np.repeat([0, 1, 2, 3], 10), 1 + rng.random(40)
    importance = costs * 10
    cheapest = [int(i) for g in range(4) for i in np.flatnonzero(groups == g)[np.argsort(costs[groups == g])[:3]]]
    total = math.fsum(costs[cheapest])
    graph = graph_of(40, 5, rng, False)
    for method in METHODS:
        solution = coremax.solve(importance, graph, total, costs=costs, groups=groups, group_limits=(3, None), method=method)
        assert solution.indices.tolist() == sorted(cheapest)


# Kinds of arrays.


def test_arrays_of_any_kind() -> None:
    rng = np.random.default_rng(18)
    n = 40
    importance, graph, groups = rng.random(n), graph_of(n, 4, rng, False), np.arange(n) % 3
    costs = rng.integers(1, 9, n).astype(np.float64)
    include, exclude = np.array([4, 7]), np.array([9, 1, 30])
    ranges = {0: (2, 5), 1: (1, None)}

    def solved(include: Any, exclude: Any, groups: Any, costs: Any) -> list[int]:
        solution = coremax.solve(
            importance, graph, 60.0, include=include, exclude=exclude, groups=groups, group_limits=ranges, costs=costs
        )
        return [int(i) for i in solution.indices]

    expected = solved(include, exclude, groups, costs)
    assert {4, 7} <= set(expected)

    def frozen(array: NDArray[Any]) -> NDArray[Any]:
        copy = array.copy()
        copy.flags.writeable = False
        return copy

    def strided(array: NDArray[Any]) -> NDArray[Any]:
        return np.repeat(array, 2)[::2]

    def reversed_view(array: NDArray[Any]) -> NDArray[Any]:
        return array[::-1].copy()[::-1]

    def narrow(array: NDArray[Any]) -> NDArray[Any]:
        return array.astype(np.int32 if array.dtype.kind == "i" else np.float32)

    def unsigned(array: NDArray[Any]) -> NDArray[Any]:
        return array.astype(np.uint64 if array.dtype.kind == "i" else np.float64)

    kinds: list[Any] = [frozen, strided, reversed_view, narrow, unsigned, torch.from_numpy, lambda array: array.tolist()]
    for kind in kinds:
        assert solved(kind(include), kind(exclude), kind(groups), kind(costs)) == expected
    assert (
        solved(torch.tensor([4, 7], dtype=torch.int32), exclude, torch.tensor(groups)[None][0], costs.astype(np.int64))
        == expected
    )
    assert solved((7, 4, 4), [30, 1, 9, 9], groups.astype(np.int8), torch.tensor(costs).bfloat16()) == expected
    assert solved(include, exclude, groups, torch.stack([torch.tensor(costs)] * 2, dim=1)[:, 0]) == expected


def test_arguments_are_not_written_to() -> None:
    rng = np.random.default_rng(19)
    importance, graph = rng.random(30), graph_of(30, 4, rng, False)
    arrays: dict[str, Any] = {
        "include": np.array([3, 3]),
        "exclude": np.array([5]),
        "groups": np.arange(30) % 2,
        "costs": rng.random(30) + 1,
    }
    before = {name: array.copy() for name, array in arrays.items()}
    limits = {0: (1, 6)}
    coremax.solve(importance, graph, 12.0, group_limits=limits, **arrays)
    assert limits == {0: (1, 6)}
    for name, array in arrays.items():
        assert np.array_equal(array, before[name]), name


def test_torch_in_torch_out_with_limits() -> None:
    rng = np.random.default_rng(20)
    importance, graph = rng.random(30), graph_of(30, 4, rng, False)
    solution = coremax.solve(torch.tensor(importance), graph, 9, include=torch.tensor([2]), groups=torch.arange(30) % 3)
    assert isinstance(solution.indices, torch.Tensor)
    assert torch.bincount(solution.indices % 3).tolist() == [3, 3, 3]


# Refusals, with their reasons.

FOUR = graph_without_edges(4)
GROUPS = {"groups": [0, 0, 1, 1]}


def solve_four(budget: Any, **arguments: Any) -> None:
    coremax.solve([1.0, 2.0, 3.0, 4.0], FOUR, budget, **arguments)


REFUSED: list[tuple[Any, dict[str, Any], type[Exception], str]] = [
    (1, {"include": [4]}, ValueError, r"include\[0\] is 4, but there are elements 0 to 3 only"),
    (1, {"include": [0, -1]}, ValueError, r"include\[1\] is -1, but there are elements 0 to 3 only"),
    (1, {"exclude": [0, 1, 99]}, ValueError, r"exclude\[2\] is 99"),
    (1, {"include": [1, 2], "exclude": [3, 2]}, ValueError, "element 2 is in include and in exclude"),
    (1, {"include": [0.5]}, TypeError, "include must be int64"),
    (1, {"include": [True]}, TypeError, "include must be whole numbers, got a mask of bool"),
    (1, {"exclude": ["a"]}, TypeError, "exclude must be an array of numbers, got a text"),
    (1, {"include": 2}, ValueError, "include must be one-dimensional"),
    (1, {"include": [[2]]}, ValueError, "include must be one-dimensional"),
    (1, {"include": "2"}, TypeError, "include must be an array"),
    (1, {"include": {2}}, TypeError, "include must be an array"),
    (1, {"include": [1, 2]}, ValueError, "include has 2 elements, more than the budget of 1"),
    (0.25, {"include": [1, 2]}, ValueError, "include has 2 elements, more than the budget of 1"),
    (3, {"exclude": [1, 2]}, ValueError, "exclude leaves 2 elements, fewer than the budget of 3"),
    (1, {"group_limits": 0.5}, TypeError, "group_limits needs groups"),
    (1, {"groups": [0, 1, 2]}, ValueError, "groups has 3 elements, but importance has 4"),
    (1, {"groups": [0.0, 1.0, 2.0, 3.0]}, TypeError, "groups must be int64"),
    (1, {"groups": ["a", "b", 1, "b"]}, TypeError, r"groups\[2\] must be a text"),
    (1, {"groups": [[0, 1, 2, 3]]}, ValueError, "groups must be one-dimensional"),
    (2, {**GROUPS, "group_limits": {2: 0.5}}, ValueError, "group_limits has group 2, which no element is in"),
    (2, {**GROUPS, "group_limits": {"a": 0.5}}, ValueError, "group_limits has group 'a', which no element is in"),
    (2, {**GROUPS, "group_limits": [0.5]}, ValueError, "group_limits has 1 entries for 2 groups"),
    (2, {**GROUPS, "group_limits": [0.5, 0.5, 0.5]}, ValueError, "group_limits has 3 entries for 2 groups"),
    (2, {"groups": [0, 0, 2, 2], "group_limits": [0.5, 0.5]}, ValueError, "pass a mapping for other labels"),
    (
        2,
        {"groups": [0, 0, 2, 2], "group_limits": [(0, 1), (0, 1), (0, 0)]},
        ValueError,
        "group_limits has 3 entries for 2 groups",
    ),
    (2, {**GROUPS, "group_limits": 1.5}, ValueError, "group_limits of group 0 must be finite and from 0 to 1, got 1.5"),
    (2, {**GROUPS, "group_limits": -0.1}, ValueError, "group_limits of group 0 must be finite and from 0 to 1"),
    (2, {**GROUPS, "group_limits": float("nan")}, ValueError, "group_limits of group 0 must be finite"),
    (2, {**GROUPS, "group_limits": {1: float("nan")}}, ValueError, "group_limits of group 1 must be finite"),
    (
        2,
        {**GROUPS, "group_limits": {1: 3}},
        TypeError,
        r"group_limits of group 1 must be a fraction \(a float\) or \(min, max\), got 3",
    ),
    (2, {**GROUPS, "group_limits": {1: (1, 2, 3)}}, TypeError, "group_limits of group 1 must be a fraction"),
    (2, {**GROUPS, "group_limits": {1: None}}, TypeError, "group_limits of group 1 must be a fraction"),
    (2, {**GROUPS, "group_limits": {1: ("a", 2)}}, TypeError, "group_limits of group 1 must be an int, got 'a'"),
    (2, {**GROUPS, "group_limits": {1: (True, 2)}}, TypeError, "group_limits of group 1 must be an int, got True"),
    (2, {**GROUPS, "group_limits": {1: (-1, 2)}}, ValueError, "group_limits of group 1 must be from 0"),
    (
        2,
        {**GROUPS, "group_limits": {1: (0.2, 1.2)}},
        ValueError,
        "group_limits of group 1 must be finite and from 0 to 1, got 1.2",
    ),
    (
        2,
        {**GROUPS, "group_limits": {1: (2, 1)}},
        ValueError,
        "group_limits of group 1 has a minimum of 2 above its maximum of 1",
    ),
    (2, {**GROUPS, "group_limits": (2, 1)}, ValueError, "group_limits of group 0 has a minimum of 2 above its maximum of 1"),
    (
        2,
        {**GROUPS, "group_limits": {0: (0.5, 0.4)}},
        ValueError,
        "group_limits of group 0 has a minimum of 1 above its maximum of 0",
    ),
    (2, {**GROUPS, "group_limits": True}, TypeError, "group_limits must be a fraction"),
    (2, {**GROUPS, "group_limits": object()}, TypeError, "group_limits must be a fraction"),
    (4, {**GROUPS, "group_limits": {1: (3, 4)}}, ValueError, "group 1 wants at least 3, but has 2 elements"),
    (
        2,
        {**GROUPS, "group_limits": {1: (2, 2)}, "exclude": [3]},
        ValueError,
        "group 1 wants at least 2, but has 1 elements that are not excluded",
    ),
    (
        2,
        {**GROUPS, "group_limits": {0: (0, 1)}, "include": [0, 1]},
        ValueError,
        "group 0 may keep 1 at most, but include has 2 of it",
    ),
    (2, {**GROUPS, "group_limits": (2, 2)}, ValueError, "want 4 elements at least, more than the budget of 2"),
    (
        2,
        {**GROUPS, "group_limits": {0: (2, 2)}, "include": [2]},
        ValueError,
        "want 3 elements at least, more than the budget of 2",
    ),
    (4, {**GROUPS, "group_limits": (0, 1)}, ValueError, "allow 2 elements at most, fewer than the budget of 4"),
    (
        3,
        {**GROUPS, "group_limits": {0: (0, 1)}, "exclude": [2]},
        ValueError,
        "allow 2 elements at most, fewer than the budget of 3",
    ),
    (4, {**GROUPS, "group_limits": 0.5}, ValueError, "allow 2 elements at most, fewer than the budget of 4"),
    (0, {"costs": [1.0] * 4}, ValueError, "budget is a total cost where costs are given, and must be above 0, got 0"),
    (
        -1.0,
        {"costs": [1.0] * 4},
        ValueError,
        r"budget \(a total cost, as costs are given\) must be finite and at least 0, got -1.0",
    ),
    (float("nan"), {"costs": [1.0] * 4}, ValueError, "budget .* must be finite"),
    (float("inf"), {"costs": [1.0] * 4}, ValueError, "budget .* must be finite"),
    (True, {"costs": [1.0] * 4}, TypeError, "budget .* must be a number"),
    (2, {"costs": [1.0] * 3}, ValueError, "costs has 3 elements, but importance has 4"),
    (2, {"costs": [[1.0] * 4]}, ValueError, "costs must be one-dimensional"),
    (2, {"exclude": [True, False]}, TypeError, "exclude must be whole numbers, got a mask of bool"),
    (2, {"exclude": [1, 0, 0, 0]}, ValueError, "exclude must be numbers of elements, got 4 zeros and ones, which looks like a"),
    (2, {"costs": ["a"] * 4}, TypeError, "costs must be an array of numbers, got a text"),
    (2, {"costs": [1j] * 4}, TypeError, "costs must be float32 or float64"),
    (2, {"costs": 1.0}, ValueError, "costs must be one-dimensional"),
    (2, {"costs": [1.0, 0.0, 1.0, 1.0]}, ValueError, r"costs\[1\] is 0.0; costs must be from 1e-100 to 1e100"),
    (2, {"costs": [1.0, 1.0, -2.0, 1.0]}, ValueError, r"costs\[2\] is -2.0; costs must be from 1e-100"),
    (2, {"costs": [1.0, 1.0, 1.0, 1e-320]}, ValueError, r"costs\[3\] is 1e-320; costs must be from 1e-100"),
    (2, {"costs": [np.nan, 1.0, 1.0, 1.0]}, ValueError, r"costs\[0\] is nan"),
    (2, {"costs": [1.0, 1.0, 1.0, np.inf]}, ValueError, r"costs\[3\] is inf"),
    (2, {"costs": [1.0, 1.0, 1.0, 1e101]}, ValueError, r"costs\[3\] is 1e\+101"),
    (2, {"costs": [1.0] * 4, **GROUPS}, TypeError, "groups needs group_limits where costs are given"),
    (2, {"costs": [1.0] * 4, "include": [0, 1, 2]}, ValueError, "include costs 3, more than the budget of 2"),
    (2, {"costs": [1.0] * 4, **GROUPS}, TypeError, r"there is no default, .*; pass what .* such as 0.1 or \(None, 0.2\)"),
    (0.1, {"costs": [3, 3, 4, 5]}, ValueError, r"^budget is 0.1, but .* a total cost: for a .* 0.1 \* costs.sum\(\)$"),
    (np.float32(1), {"costs": np.array([1, 3, 4, 5])}, ValueError, r"^budget is 1.0, .* \(the int 1 is a total of one\)"),
    (0.1, {"costs": [0.3, 3.0, 4.0, 5.0]}, ValueError, r"cheapest costs 0.3 \(budget is 0.1, but where costs are given it"),
    (2, {"groups": [0, 0, 1, 1], "group_limits": (0.5, 1)}, ValueError, r"is \(0.5, 1\), a share and the count 1: write 1.0"),
    (2, {"costs": [3.0, 3.0, 4.0, 5.0]}, ValueError, "no element costs as little as the budget of 2; the cheapest costs 3"),
    (
        2,
        {"costs": [1.0] * 4, **GROUPS, "group_limits": (2, None)},
        ValueError,
        "the cheapest subset that meets group_limits and include costs 4",
    ),
    (
        3,
        {"costs": [2.0, 1.0, 1.0, 1.0], **GROUPS, "group_limits": {1: (2, 2)}, "include": [0]},
        ValueError,
        "the cheapest subset that meets group_limits and include costs 4, more than the budget of 3",
    ),
    (
        3,
        {"costs": [1.0, 1.0, 1.0, 9.0], **GROUPS, "group_limits": {1: (1, 2)}, "exclude": [2]},
        ValueError,
        "the cheapest subset that meets group_limits and include costs 9, more than the budget of 3",
    ),
    (
        9,
        {"costs": [1.0] * 4, **GROUPS, "group_limits": {1: (3, 3)}},
        ValueError,
        "group 1 wants at least 3, but has 2 elements",
    ),
]


@pytest.mark.parametrize(("budget", "arguments", "error", "message"), REFUSED)
def test_refused_with_the_reason(budget: Any, arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        solve_four(budget, **arguments)


def test_no_elements_at_all() -> None:
    # Fails where the message is worded with the cheapest of no costs.
    nothing = coremax.Graph.from_csr([0], np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32))
    spelled: list[dict[str, Any]] = [{}, {"costs": np.zeros(0)}]
    for arguments in spelled:
        with pytest.raises(ValueError, match="budget"):
            coremax.solve(np.zeros(0), nothing, 1, **arguments)


def test_masked_arrays_are_refused() -> None:
    for name in ("include", "groups", "costs"):
        masked = np.ma.masked_array([1, 2, 3, 4], mask=[True, False, False, False])
        with pytest.raises(TypeError, match=f"{name} is a masked array"):
            solve_four(2, **{name: masked})


@settings(deadline=None, max_examples=150)
@given(st.integers(0, 2**32 - 1), st.integers(1, 7), st.booleans())
def test_exactly_what_no_subset_meets_is_refused(seed: int, n: int, priced: bool) -> None:
    rng = np.random.default_rng(seed)
    sides = rng.choice([-1, 0, 0, 0, 1], n)
    groups = rng.integers(0, 3, n)
    ranges = {label: tuple(sorted(rng.integers(0, 4, 2).tolist())) for label in np.unique(groups).tolist()}
    costs = rng.integers(1, 6, n).astype(float) if priced else None
    budget = float(rng.integers(1, 3 * n)) if priced else int(rng.integers(1, n + 1))
    include, exclude = np.flatnonzero(sides > 0), np.flatnonzero(sides < 0)
    limits = oracle.Limits(budget, costs, include.tolist(), exclude.tolist(), groups.tolist(), ranges)
    feasible = limits.all_met(oracle.all_subsets(n)).any()
    arguments: dict[str, Any] = {
        "include": include,
        "exclude": exclude,
        "groups": groups,
        "group_limits": ranges,
        "costs": costs,
    }
    graph = graph_of(n, min(2, n - 1), rng, False)
    if feasible:
        assert limits.met(coremax.solve(rng.normal(size=n), graph, budget, effort="fast", threads=1, **arguments).indices)
    else:
        with pytest.raises(ValueError, match=r"budget|limits|group|include"):
            coremax.solve(rng.normal(size=n), graph, budget, **arguments)
