"""What every method promises: the same bits for any thread count, a quick end when asked, and sense at any scale."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import coremax
from coremax import Status
from coremax.solver import Iteration
from coremax.solver._solver import METHODS, Method
from helpers import OBJECTIVE_TOLERANCE, clustered, random_graph
from oracles import solver as oracle

FloatArray = NDArray[np.float64]

RELAXED: tuple[Method, ...] = ("pgd", "continuation", "annealed", "softmax")
SEARCHES: tuple[Method, ...] = ("heat-bath", "swap-annealing")
# Greedy is over at once and tells nobody.
ITERATIVE = RELAXED + SEARCHES


def problem(n: int, seed: int = 0) -> tuple[FloatArray, coremax.Graph]:
    graph = coremax.topk_graph(clustered(n, 8, max(2, n // 30), seed), 8)
    return np.random.default_rng(seed + 1).random(n), graph


def limits_of(n: int, seed: int = 0) -> dict[str, dict[str, Any]]:
    """Arguments for every kind of limit, with a budget of about a third."""
    rng = np.random.default_rng(seed)
    groups, costs = rng.integers(0, 5, n), rng.random(n) + 0.1
    fixed = {"include": np.arange(0, n // 10, 2), "exclude": np.arange(1, n // 10, 2)}
    total = float(costs.sum() / 3)
    return {
        "plain": {"budget": n // 3},
        "fixed": {"budget": n // 3, **fixed},
        "groups": {"budget": n // 3, "groups": groups, "group_limits": (0.3, 0.36)},
        "costs": {"budget": total, "costs": costs},
        "all": {"budget": total, "costs": costs, "groups": groups, "group_limits": (0.2, 0.4), **fixed},
    }


LIMITS = tuple(limits_of(10))


def meets(arguments: dict[str, Any], indices: Any, n: int) -> bool:
    ranges = {}
    if "groups" in arguments:
        low, high = arguments["group_limits"]
        sizes = np.bincount(arguments["groups"])
        ranges = {g: (int(np.ceil(low * size - 1e-9)), int(high * size + 1e-9)) for g, size in enumerate(sizes)}
    limits = oracle.Limits(
        arguments["budget"],
        arguments.get("costs"),
        arguments.get("include", ()),
        arguments.get("exclude", ()),
        arguments.get("groups"),
        ranges,
    )
    return limits.met(indices)


def bits(solution: coremax.Solution) -> tuple[Any, ...]:
    return (
        solution.indices.tobytes(),
        solution.x.tobytes(),
        solution.history.tobytes(),
        solution.objective,
        solution.upper_bound,
        solution.bound_kind,
        solution.status,
        solution.method,
        solution.iterations,
        solution.swaps,
        solution.n_fixed,
    )


# Determinism.


# Five blocks of 4096: the least that is shared by many threads in every kind of loop.
SHARED = 17_000


@pytest.mark.parametrize("kind", ["plain", "groups", "costs", "all"])
@pytest.mark.parametrize("method", METHODS)
def test_same_bits_for_any_thread_count(method: Method, kind: str) -> None:
    rng = np.random.default_rng(0)
    graph = coremax.Graph.from_neighbors(rng.integers(0, SHARED, (SHARED, 3)), rng.random((SHARED, 3)).astype(np.float32))
    importance, arguments = rng.random(SHARED), limits_of(SHARED)[kind]

    def solved(threads: int) -> coremax.Solution:
        reports: list[Iteration] = []

        def stop_searches(info: Iteration) -> bool:
            reports.append(info)
            return method in SEARCHES and len(reports) == 2

        return coremax.solve(
            importance,
            graph,
            method=method,
            effort="default" if method in SEARCHES else "fast",
            max_iterations=2,
            polish=kind in ("plain", "all"),
            bound="fast" if method == "pgd" and kind in ("plain", "all") else None,
            threads=threads,
            callback=stop_searches if method != "auto" else None,
            **arguments,
        )

    first = solved(1)
    assert meets(arguments, first.indices, SHARED)
    for threads in (2, 3, 7):
        assert bits(solved(threads)) == bits(first), threads


@pytest.mark.parametrize("method", METHODS)
def test_a_seed_decides_everything(method: Method) -> None:
    importance, graph = problem(400)
    arguments: dict[str, Any] = {"alpha": 0.7, "method": method, "effort": "fast", "polish": False}
    first, again, other = (coremax.solve(importance, graph, 120, seed=seed, **arguments) for seed in (3, 3, 2**64 - 1))
    assert bits(first) == bits(again)
    if method in SEARCHES:
        assert not np.array_equal(first.indices, other.indices)
    elif method in ("greedy", "annealed", "softmax"):
        assert np.array_equal(first.indices, other.indices)


def test_two_solves_at_once() -> None:
    importance, graph = problem(500)
    kinds = limits_of(500)
    jobs = [(method, kind) for kind in ("plain", "all") for method in METHODS]
    expected = [bits(coremax.solve(importance, graph, method=m, effort="fast", threads=1, **kinds[k])) for m, k in jobs]
    found: dict[tuple[str, str], Any] = {}

    def work(mine: list[tuple[Method, str]]) -> None:
        for m, k in mine:
            found[m, k] = bits(coremax.solve(importance, graph, method=m, effort="fast", threads=2, **kinds[k]))

    callers = [threading.Thread(target=work, args=(jobs[half::2],)) for half in range(2)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert [found[job] for job in jobs] == expected


# Starting points.


@pytest.mark.parametrize("kind", LIMITS)
@pytest.mark.parametrize("method", METHODS)
def test_warm_start(method: Method, kind: str) -> None:
    importance, graph = problem(300, seed=2)
    arguments = {**limits_of(300)[kind], "alpha": 0.5}
    best = coremax.solve(importance, graph, **arguments)
    warm = coremax.solve(importance, graph, method=method, effort="fast", x0=best, **arguments)
    array = coremax.solve(importance, graph, method=method, effort="fast", x0=best.x, **arguments)
    assert bits(array) == bits(warm)
    assert meets(arguments, warm.indices, 300)
    cold = coremax.solve(importance, graph, method=method, effort="fast", **arguments)
    if method == "greedy":
        assert bits(warm) == bits(cold)
        return
    # It leads about as far as the way from anywhere; continuation begins over, with a tenth of the redundancy.
    if method != "continuation":
        assert warm.objective >= min(0.99 * best.objective, cold.objective) - 1e-9
    for x0 in (np.zeros(300), np.ones(300), np.full(300, -1e6), np.random.default_rng(0).normal(size=300) * 1e3):
        assert meets(arguments, coremax.solve(importance, graph, method=method, effort="fast", x0=x0, **arguments).indices, 300)


def test_a_warm_start_is_where_relaxed_methods_begin() -> None:
    importance, graph = problem(300, seed=3)
    k = oracle.dense(graph)
    subset = np.random.default_rng(0).permutation(300)[:100]
    x0 = np.zeros(300)
    x0[subset] = 1
    value = oracle.objective(importance, k, subset, 0.5)
    for method in RELAXED:
        solution = coremax.solve(importance, graph, 100, alpha=0.5, method=method, x0=x0)
        assert solution.history[0] == pytest.approx(value, abs=1e-7)
    rounded = coremax.solve(importance, graph, 100, alpha=0.5, method="pgd", x0=x0, max_iterations=0, polish=False)
    assert np.array_equal(rounded.indices, np.sort(subset))


def test_auto_is_never_worse_than_its_warm_start() -> None:
    importance, graph = problem(300, seed=4)
    arguments: dict[str, Any] = {**limits_of(300)["groups"], "alpha": 2.0}
    best = coremax.solve(importance, graph, effort="best", **arguments)
    x0 = np.zeros(300)
    x0[best.indices] = 1
    again = coremax.solve(importance, graph, effort="fast", x0=x0, **arguments)
    assert again.objective >= best.objective - OBJECTIVE_TOLERANCE


# Being told to stop.


def busy_problem(n: int = 20_000) -> tuple[FloatArray, coremax.Graph]:
    rng = np.random.default_rng(0)
    graph = coremax.Graph.from_neighbors(rng.integers(0, n, (n, 8)), rng.random((n, 8)).astype(np.float32))
    graph.to_csr()
    return rng.random(n), graph


BUSY = busy_problem()
ENDLESS: dict[str, Any] = {"max_iterations": 10**9, "tolerance": 0.0, "effort": "best", "threads": 1}


@pytest.mark.parametrize("kind", ["plain", "all"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("limit", [1e-6, 0.05])
def test_time_limit(method: Method, kind: str, limit: float) -> None:
    importance, graph = BUSY
    arguments = limits_of(graph.n)[kind]
    begin = time.process_time()
    solution = coremax.solve(importance, graph, method=method, time_limit=limit, **ENDLESS, **arguments)
    # Of the processor's time: other programs may hold the clock.
    assert time.process_time() - begin < 1
    assert solution.status is Status.TIME_LIMIT or method == "greedy"
    assert meets(arguments, solution.indices, graph.n)
    assert solution.upper_bound >= solution.objective
    assert np.isfinite(solution.upper_bound)


@pytest.mark.parametrize("kind", ["plain", "all"])
@pytest.mark.parametrize("method", ITERATIVE)
def test_a_callback_may_stop_every_method(method: Method, kind: str) -> None:
    importance, graph = problem(500)
    arguments = limits_of(500)[kind]
    seen: list[Iteration] = []

    def stop_at_second(info: Iteration) -> bool:
        seen.append(info)
        return len(seen) == 2

    solution = coremax.solve(importance, graph, method=method, callback=stop_at_second, **ENDLESS, **arguments)
    assert solution.status is Status.INTERRUPTED
    assert len(seen) == 2
    assert meets(arguments, solution.indices, 500)
    assert solution.upper_bound >= solution.objective
    for info in seen:
        assert info.method == method
        assert np.isfinite(info.objective)
        assert info.bound is not None
        assert info.bound >= solution.objective - OBJECTIVE_TOLERANCE
        assert info.seconds > 0
    assert 0 < seen[0].iteration < seen[1].iteration
    assert seen[0].seconds <= seen[1].seconds
    untold = coremax.solve(
        importance, graph, method=method, callback=lambda info: info.bound is None, bound=None, **ENDLESS, **arguments
    )
    assert untold.status is Status.INTERRUPTED


def test_auto_tells_which_method_is_running() -> None:
    importance, graph = problem(300)
    seen: list[Iteration] = []
    solution = coremax.solve(importance, graph, 100, effort="best", callback=seen.append, max_iterations=5)
    assert {info.method for info in seen} >= {"heat-bath", "pgd", "annealed", "continuation"}
    assert solution.method in METHODS
    assert solution.status is not Status.INTERRUPTED
    for method in METHODS:
        named = coremax.solve(importance, graph, 100, method=method, effort="fast")
        assert named.method == method or method == "auto"


@pytest.mark.parametrize("method", ITERATIVE)
def test_an_exception_in_the_callback_comes_out(method: Method) -> None:
    importance, graph = problem(300)

    def fail(info: Iteration) -> None:
        raise LookupError(info.method)

    for kind in ("plain", "all"):
        with pytest.raises(LookupError, match=method):
            coremax.solve(importance, graph, method=method, callback=fail, **limits_of(300)[kind])


@pytest.mark.parametrize("kind", ["plain", "all"])
@pytest.mark.parametrize("method", METHODS)
def test_ctrl_c_within_a_second(method: Method, kind: str, large: tuple[FloatArray, coremax.Graph]) -> None:
    importance, graph = large
    arguments = limits_of(graph.n)[kind]
    raised_at = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        raised_at.append(time.process_time())
        raise KeyboardInterrupt

    # Any signal's handler runs where that of Ctrl-C does; this one comes after so much of the processor's time.
    before = signal.signal(signal.SIGPROF, interrupt)
    begin = time.process_time()
    signal.setitimer(signal.ITIMER_PROF, 0.06 if method == "greedy" else 0.3)
    try:
        with pytest.raises(KeyboardInterrupt):
            coremax.solve(importance, graph, method=method, **ENDLESS, **arguments)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
    assert raised_at[0] - begin < 1.3


@pytest.fixture(scope="module")
def large() -> tuple[FloatArray, coremax.Graph]:
    return busy_problem(200_000)


@pytest.mark.parametrize("kind", LIMITS)
@pytest.mark.parametrize("method", METHODS)
def test_without_iterations(method: Method, kind: str) -> None:
    importance, graph = problem(200)
    arguments = limits_of(200)[kind]
    solution = coremax.solve(importance, graph, method=method, max_iterations=0, effort="fast", **arguments)
    assert meets(arguments, solution.indices, 200)
    if method in RELAXED:
        assert solution.iterations == 0
        assert len(solution.history) == 1
        assert solution.status is Status.MAX_ITERATIONS


# The course of the methods.


@pytest.mark.parametrize("method", ITERATIVE)
def test_history_and_iterations(method: Method) -> None:
    importance, graph = problem(300)
    solution = coremax.solve(importance, graph, 100, alpha=0.5, method=method, effort="fast", polish=False)
    assert solution.iterations > 0
    assert np.isfinite(solution.history).all()
    if method in ("pgd", "annealed", "softmax"):
        assert len(solution.history) == solution.iterations + 1
    else:
        assert 1 < len(solution.history) <= solution.iterations + 7
    k = oracle.dense(graph)
    if method in RELAXED:
        assert solution.history[-1] == pytest.approx(oracle.relaxed_objective(importance, k, solution.x, 0.5), abs=1e-7)
        assert solution.objective >= solution.history[-1] - 1e-7
    assert solution.x.sum() == pytest.approx(100, abs=1e-6)


@pytest.mark.parametrize("kind", LIMITS)
@pytest.mark.parametrize("method", METHODS)
def test_relaxed_points_respect_the_limits(method: Method, kind: str) -> None:
    importance, graph = problem(400, seed=6)
    arguments = limits_of(400)[kind]
    x = coremax.solve(
        importance, graph, method=method, effort="fast", alpha=0.6, max_iterations=30, polish=False, **arguments
    ).x
    assert x.min() >= 0
    assert x.max() <= 1
    if "costs" in arguments:
        assert x @ arguments["costs"] <= arguments["budget"] * (1 + 1e-6)
    else:
        assert x.sum() == pytest.approx(arguments["budget"], abs=1e-5)
    if "groups" in arguments:
        # The multipliers of groups are found in turn and may end a little early.
        low, high = arguments["group_limits"]
        sums, sizes = np.bincount(arguments["groups"], weights=x), np.bincount(arguments["groups"])
        assert (sums >= np.ceil(low * sizes - 1e-9) - 0.05).all()
        assert (sums <= np.floor(high * sizes + 1e-9) + 0.05).all()


def test_softmax_is_a_fermi_distribution_at_its_temperature() -> None:
    # One damped step: x1 = x0 / 2 + fermi / 2, and the logits of the fermi part are the gradient over the temperature.
    importance, graph = problem(200, seed=7)
    k = oracle.dense(graph)
    for temperature in (0.05, 0.3, 2.0):
        solution = coremax.solve(
            importance, graph, 80, alpha=0.2, method="softmax", temperature=temperature, max_iterations=1, polish=False
        )
        assert solution.n_fixed == 0
        gradient = importance - 0.4 * k @ np.full(200, 0.4)
        fermi = 2 * solution.x - 0.4
        assert fermi.sum() == pytest.approx(80, abs=1e-6)
        inside = (fermi > 1e-6) & (fermi < 1 - 1e-6)
        assert inside.sum() > 20
        logits = np.log(fermi[inside] / (1 - fermi[inside])) * temperature
        assert np.ptp(logits - gradient[inside]) < 1e-6


@pytest.mark.parametrize("temperature", [0.0, 1e-300, 1e-9, 1e9, 1e300])
def test_extreme_temperatures(temperature: float) -> None:
    importance, graph = problem(100)
    for kind, arguments in limits_of(100).items():
        solution = coremax.solve(importance, graph, method="softmax", temperature=temperature, **arguments)
        assert meets(arguments, solution.indices, 100), kind
        assert np.isfinite(solution.x).all()


# Scale.


@pytest.mark.parametrize("kind", LIMITS)
@pytest.mark.parametrize("method", METHODS)
def test_the_unit_of_f_does_not_matter(method: Method, kind: str) -> None:
    importance, graph = problem(300, seed=8)
    arguments = {**limits_of(300)[kind], "method": method, "effort": "fast", "max_iterations": 25}
    plain = coremax.solve(importance, graph, alpha=0.7, **arguments)
    for power in (-100, 100):
        scaled = coremax.solve(importance * 2.0**power, graph, alpha=0.7 * 2.0**power, **arguments)
        assert np.array_equal(scaled.indices, plain.indices), power
        assert np.array_equal(scaled.x, plain.x)
        assert scaled.objective * 2.0**-power == plain.objective
        assert scaled.gap == pytest.approx(plain.gap, abs=1e-6)
    for scale in (1e-30, 1e30):
        scaled = coremax.solve(importance * scale, graph, alpha=0.7 * scale, **arguments)
        assert scaled.objective / scale == pytest.approx(plain.objective, rel=5e-3), scale


@pytest.mark.parametrize("method", METHODS)
def test_the_unit_of_costs_does_not_matter(method: Method) -> None:
    importance, graph = problem(300, seed=9)
    arguments = limits_of(300)["costs"]
    plain = coremax.solve(importance, graph, method=method, effort="fast", **arguments)
    for power in (-40, 40):
        scaled = {"budget": arguments["budget"] * 2.0**power, "costs": arguments["costs"] * 2.0**power}
        solution = coremax.solve(importance, graph, method=method, effort="fast", **scaled)
        assert solution.objective == pytest.approx(plain.objective, rel=5e-3), power


@pytest.mark.parametrize("method", METHODS)
def test_a_constant_does_not_spoil_the_subset(method: Method) -> None:
    importance, graph = problem(400, seed=10)
    k = oracle.dense(graph)
    plain = coremax.solve(importance, graph, 130, alpha=0.7, method=method, effort="fast")
    for constant in (1e6, -1e6):
        shifted = coremax.solve(importance + constant, graph, 130, alpha=0.7, method=method, effort="fast")
        value = oracle.objective(importance, k, shifted.indices, 0.7)
        assert value == pytest.approx(plain.objective, rel=5e-3)
        assert shifted.upper_bound >= shifted.objective


@pytest.mark.parametrize("method", METHODS)
def test_heavy_tails_of_importance(method: Method) -> None:
    # The giants are in or out; the rest is chosen as if they were of ordinary size.
    importance, graph = problem(400, seed=11)
    k = oracle.dense(graph)
    tame, wild = importance.copy(), importance.copy()
    tame[[5, 77]], tame[[100, 200]] = 20, -20
    wild[[5, 77]], wild[[100, 200]] = 1e30, -1e30
    grouped: dict[str, Any] = {"groups": np.arange(400) % 3}
    for arguments in ({}, grouped):
        expected = coremax.solve(tame, graph, 130, alpha=0.7, method=method, effort="fast", **arguments)
        solution = coremax.solve(wild, graph, 130, alpha=0.7, method=method, effort="fast", **arguments)
        assert oracle.objective(tame, k, solution.indices, 0.7) >= 0.99 * expected.objective
        assert oracle.best_swap(tame, k, solution.indices, 0.7) <= OBJECTIVE_TOLERANCE or arguments


@pytest.mark.parametrize("weight", [1e3, 1e6, 1e12, 1e20])
def test_one_huge_edge_among_small_ones(weight: float) -> None:
    importance, graph = problem(400, seed=12)
    indptr, indices, values = (np.array(part) for part in graph.to_csr())
    neighbor = indices[indptr[3]]
    values[indptr[3]] = weight
    values[indptr[neighbor] + np.searchsorted(indices[indptr[neighbor] : indptr[neighbor + 1]], 3)] = weight
    spiky = coremax.Graph.from_csr(indptr, indices, values)
    k = oracle.dense(spiky)
    for method in METHODS:
        plain = coremax.solve(importance, graph, 130, alpha=0.7, method=method)
        solution = coremax.solve(importance, spiky, 130, alpha=0.7, method=method)
        assert not {3, int(neighbor)} <= set(solution.indices.tolist())
        # Of ordinary swaps none improves, whatever the giant's rounding error is.
        others = np.setdiff1d(np.arange(400), [3, neighbor])
        kept = np.flatnonzero(np.isin(others, solution.indices))
        taken = np.setdiff1d([3, neighbor], np.setdiff1d([3, neighbor], solution.indices))
        left = importance[others] - 1.4 * k[np.ix_(others, taken)].sum(axis=1)
        assert oracle.best_swap(left, k[np.ix_(others, others)], kept, 0.7) <= OBJECTIVE_TOLERANCE, method
        if method in ("auto", "greedy", *SEARCHES):
            assert solution.objective >= 0.97 * plain.objective, method


# Shapes of the graph.


@pytest.mark.parametrize("method", METHODS)
def test_duplicates_and_ties(method: Method) -> None:
    # Thirty clusters of four equal points: the best keeps one of each, and which one is a tie.
    labels = np.repeat(np.arange(30), 4)
    neighbors = np.array([[j for j in range(4 * c, 4 * c + 4) if j != i] for c in range(30) for i in range(4 * c, 4 * c + 4)])
    graph = coremax.Graph.from_neighbors(neighbors, np.ones(neighbors.shape))
    solution = coremax.solve(np.ones(120), graph, 30, alpha=1.0, method=method)
    assert np.unique(labels[solution.indices]).size == 30
    assert solution.objective == 30
    grouped = coremax.solve(np.ones(120), graph, 30, alpha=1.0, method=method, groups=np.arange(120) % 4, group_limits=(7, 8))
    assert np.unique(labels[grouped.indices]).size == 30
    # All tied: another seed keeps others (two alike: a chance below 1e-30).
    every = [coremax.solve(np.zeros(120), graph, 40, alpha=0.0, method=method, seed=seed).indices for seed in (0, 1)]
    assert [len(kept) for kept in every] == [40, 40]
    assert not np.array_equal(every[0], every[1])


@pytest.mark.parametrize("method", METHODS)
def test_similarities_that_are_all_zero(method: Method) -> None:
    importance = np.random.default_rng(0).random(200)
    neighbors = random_graph(200, 5, 0).neighbors
    graph = coremax.Graph.from_neighbors(neighbors, np.zeros((200, 5)))
    solution = coremax.solve(importance, graph, 50, alpha=1.0, method=method)
    assert np.array_equal(solution.indices, np.sort(np.argsort(-importance)[:50]))
    assert solution.gap <= 1e-9
    for arguments in limits_of(200).values():
        assert meets(arguments, coremax.solve(importance, graph, method=method, **arguments).indices, 200)


@pytest.mark.parametrize("kind", LIMITS)
@pytest.mark.parametrize("method", METHODS)
def test_a_hub_joined_to_all(method: Method, kind: str) -> None:
    # A star: the hub pays only where it is worth more than all it makes redundant.
    n = 250
    hub = np.full((n, 1), n - 1)
    hub[n - 1] = 0
    graph = coremax.Graph.from_neighbors(hub, np.ones((n, 1)))
    importance = np.random.default_rng(1).random(n)
    arguments = limits_of(n)[kind]
    for worth, kept in ((0.5, False), (1e4, True)):
        importance[n - 1] = worth
        solution = coremax.solve(importance, graph, alpha=0.5, method=method, effort="fast", **arguments)
        assert (n - 1 in solution.indices) == kept
        assert meets(arguments, solution.indices, n)
        assert solution.upper_bound >= solution.objective


@pytest.mark.parametrize("method", METHODS)
def test_negative_similarities_attract(method: Method) -> None:
    # Pairs that only pay together, hidden among singles that pay a little each.
    n = 200
    partner = np.arange(n) ^ 1
    values = np.where(np.arange(n) < 60, -1.0, 0.0)[:, None]
    graph = coremax.Graph.from_neighbors(partner[:, None], values)
    importance = np.where(np.arange(n) < 60, 0.3, 0.6) + np.random.default_rng(2).random(n) * 1e-3
    solution = coremax.solve(importance, graph, 60, alpha=1.0, method=method)
    k = oracle.dense(graph)
    assert oracle.best_swap(importance, k, solution.indices, 1.0) <= OBJECTIVE_TOLERANCE
    best = oracle.objective(importance, k, np.arange(60), 1.0)
    assert solution.upper_bound >= best - OBJECTIVE_TOLERANCE
    if method in ("auto", "heat-bath", "pgd"):
        assert solution.objective == pytest.approx(best, rel=0.05)


# A path of budgets.


@pytest.mark.parametrize("kind", LIMITS)
def test_a_path_respects_the_limits_and_nests(kind: str) -> None:
    importance, graph = problem(300, seed=13)
    arguments = dict(limits_of(300)[kind])
    budget = arguments.pop("budget")
    budgets = [budget, budget // 2 + 20, budget // 1.1] if "costs" in arguments else [budget, budget - 1, budget + 1]
    if "costs" not in arguments:
        budgets = [int(b) for b in budgets]
    for nested in (False, True):
        path = coremax.solve_path(importance, graph, budgets, nested=nested, alpha=0.6, **arguments)
        for amount, solution in zip(budgets, path, strict=True):
            assert meets({**arguments, "budget": amount}, solution.indices, 300)
            alone = coremax.solve(importance, graph, amount, alpha=0.6, **arguments)
            assert solution.upper_bound >= alone.objective - OBJECTIVE_TOLERANCE
            assert solution.objective >= 0.97 * alone.objective
        if nested:
            order = sorted(range(3), key=lambda place: budgets[place])
            subsets = [set(path[place].indices.tolist()) for place in order]
            assert subsets[0] <= subsets[1] <= subsets[2]
