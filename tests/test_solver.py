"""The quadratic program against enumeration, its certificate, and its manners."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch

import coremax
from coremax import Status
from coremax.solver._solver import METHODS, Method
from helpers import OBJECTIVE_TOLERANCE, THREADS, clustered, output_when_interrupted, random_graph
from oracles import solver as oracle

PAIR = coremax.Graph.from_neighbors([[1], [0]], [[0.5], [0.5]])


def clustered_problem(n: int = 2000, seed: int = 0) -> tuple[np.ndarray[Any, np.dtype[np.float64]], coremax.Graph]:
    graph = coremax.topk_graph(clustered(n, 16, n // 25, seed), 10)
    return np.random.default_rng(seed + 1).random(n), graph


@pytest.mark.parametrize("method", ["auto", "heat-bath", "lp"])
@pytest.mark.parametrize("negative", [False, True])
def test_against_enumeration(negative: bool, method: Method) -> None:
    rng = np.random.default_rng(0)
    hits = []
    for seed in range(120):
        n = int(rng.integers(2, 17))
        budget = int(rng.integers(1, min(n, 6) + 1)) if n > 12 else int(rng.integers(1, n + 1))
        alpha = float(rng.choice([0.0, 0.1, 0.3, 1.0, 3.0]))
        importance = rng.random(n) if seed % 3 else rng.pareto(1.0, n)
        graph = random_graph(n, int(rng.integers(1, n)), seed, negative)
        k = oracle.dense(graph)
        solution = coremax.solve(importance, graph, budget, alpha=alpha, method=method)
        best = oracle.optimum(importance, k, budget, alpha)
        scale = 1 + np.abs(importance).sum()
        assert len(set(solution.indices.tolist())) == budget
        assert solution.objective == pytest.approx(
            oracle.objective(importance, k, solution.indices, alpha), abs=OBJECTIVE_TOLERANCE * scale
        )
        assert solution.objective <= best + OBJECTIVE_TOLERANCE * scale
        assert solution.upper_bound >= best - 1e-15 * scale
        assert solution.gap >= 0
        hits.append(solution.objective >= best - OBJECTIVE_TOLERANCE * scale)
    # A local method need not find every optimum, but one that is broken finds few; "auto" enumerates.
    assert np.mean(hits) >= (1 if method == "auto" else 0.9)


@pytest.mark.parametrize("alpha", [0.1, 1.0])
@pytest.mark.parametrize("budget", [0.05, 0.3, 0.6])
def test_no_swap_improves_a_polished_subset(budget: float, alpha: float) -> None:
    importance, graph = clustered_problem()
    k = oracle.dense(graph)
    swaps = {}
    for method in METHODS:
        solution = coremax.solve(importance, graph, budget, alpha=alpha, method=method, effort="fast")
        assert oracle.best_swap(importance, k, solution.indices, alpha) <= OBJECTIVE_TOLERANCE, method
        swaps[method] = solution.swaps
    assert sum(swaps.values()) > 0, "no method left anything to polish"


def test_no_swap_improves_where_similarities_are_negative() -> None:
    # Heavy negative similarities between the best outside and the worst inside block the obvious swap.
    rng = np.random.default_rng(3)
    for seed in range(30):
        n = 40
        values = rng.normal(size=(n, 6)) * 3
        graph = coremax.Graph.from_neighbors(random_graph(n, 6, seed).neighbors, values)
        importance = rng.random(n)
        solution = coremax.solve(importance, graph, 12, alpha=0.7)
        assert oracle.best_swap(importance, oracle.dense(graph), solution.indices, 0.7) <= OBJECTIVE_TOLERANCE


@pytest.mark.parametrize("seed", range(8))
def test_rounding_loses_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, budget = 120, int(rng.integers(1, 120))
    graph, importance = random_graph(n, 7, seed), rng.random(n)
    k = oracle.dense(graph)
    solution = coremax.solve(
        importance,
        graph,
        budget,
        alpha=2.0,
        method="pgd",
        x0=rng.random(n),
        polish=False,
        max_iterations=int(rng.integers(0, 4)),
    )
    assert ((solution.x > 1e-6) & (solution.x < 1 - 1e-6)).sum() > 2 or budget in (n, n - 1), (
        "the point to round is not fractional"
    )
    assert solution.x.sum() == pytest.approx(budget, abs=1e-8)
    assert solution.history[-1] == pytest.approx(oracle.relaxed_objective(importance, k, solution.x, 2.0), abs=1e-8)
    assert solution.objective >= oracle.relaxed_objective(importance, k, solution.x, 2.0) - 1e-7


def test_ascent_never_descends_and_stays_feasible() -> None:
    importance, graph = clustered_problem(500)
    solution = coremax.solve(importance, graph, 0.3, alpha=1.0, method="pgd")
    assert (np.diff(solution.history) >= -OBJECTIVE_TOLERANCE).all()
    assert solution.x.min() >= 0
    assert solution.x.max() <= 1
    assert solution.x.sum() == pytest.approx(150, abs=1e-8)
    assert len(solution.history) == solution.iterations + 1


def test_one_step_is_the_projected_gradient_step() -> None:
    # x1 = Proj(x0 + g / L): the projection is checked by its optimality conditions, with L read off the step itself.
    rng = np.random.default_rng(5)
    n, budget, alpha = 60, 17, 0.8
    graph, importance = random_graph(n, 6, 5), rng.random(n)
    k = oracle.dense(graph)
    x0 = np.full(n, budget / n)
    x1 = coremax.solve(importance, graph, budget, alpha=alpha, method="pgd", max_iterations=1).x
    gradient = importance - 2 * alpha * k @ x0
    spectral_norm = np.abs(np.linalg.eigvalsh(k)).max()
    inside = (x1 > 1e-9) & (x1 < 1 - 1e-9)
    assert inside.sum() >= 2
    step = np.polyfit(gradient[inside], (x1 - x0)[inside], 1)[0]
    assert step == pytest.approx(1 / (2 * alpha * spectral_norm), rel=1e-3)
    shift = (x0 + step * gradient - x1)[inside].mean()
    np.testing.assert_allclose(x1, np.clip(x0 + step * gradient - shift, 0, 1), atol=1e-9)


def test_without_redundancy_the_top_is_optimal() -> None:
    importance, graph = clustered_problem(300)
    solution = coremax.solve(importance, graph, 30, alpha=0.0)
    assert np.array_equal(solution.indices, np.sort(np.argsort(-importance, kind="stable")[:30]))
    assert solution.gap <= 1e-10
    assert solution.status is Status.CONVERGED
    empty = coremax.Graph.from_csr(np.zeros(301, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32))
    assert np.array_equal(coremax.solve(importance, empty, 30).indices, solution.indices)


def test_equal_importance_and_identical_points() -> None:
    graph = coremax.topk_graph(np.ones((40, 3), dtype=np.float32), 5)
    solution = coremax.solve(np.zeros(40), graph, 10)
    assert len(solution.indices) == 10
    assert solution.upper_bound >= solution.objective
    isolated = coremax.Graph.from_neighbors(np.full((6, 1), -1), np.zeros((6, 1)))
    first = {int(coremax.solve(np.zeros(6), isolated, 1, seed=seed).indices[0]) for seed in range(150)}
    assert first == set(range(6)), "one is missing with a chance of 8e-12"


def test_whole_budget_and_single_element() -> None:
    importance, graph = clustered_problem(200)
    everything = coremax.solve(importance, graph, 1.0)
    assert np.array_equal(everything.indices, np.arange(200))
    assert coremax.solve(importance, graph, 1).indices.tolist() == [int(np.argmax(importance))]
    alone = coremax.Graph.from_csr([0, 0], np.zeros(0, dtype=np.int64), np.zeros(0))
    assert coremax.solve([5.0], alone, 1).indices.tolist() == [0]


@pytest.mark.parametrize("scale", [1e-30, 1e30, 1e100])
def test_importance_of_any_scale(scale: float) -> None:
    importance, graph = clustered_problem(300)
    solution = coremax.solve(importance * scale, graph, 30)
    assert np.isfinite([solution.objective, solution.upper_bound, solution.gap]).all()
    assert len(solution.indices) == 30
    if scale > 1:
        assert np.array_equal(solution.indices, np.sort(np.argsort(-importance)[:30]))


def test_importance_of_huge_range() -> None:
    importance, graph = clustered_problem(300)
    importance[[4, 200]] = [1e30, -1e30]
    solution = coremax.solve(importance, graph, 30)
    assert 4 in solution.indices
    assert 200 not in solution.indices
    assert np.isfinite(solution.x).all()
    assert solution.x.sum() == pytest.approx(30, abs=1e-6)
    # Apart from the giant the answer is as good as without it: small differences are not lost in large sums.
    rest = np.setdiff1d(solution.indices, [4])
    importance[[4, 200]] = 0
    k = oracle.dense(graph)
    plain = coremax.solve(importance, graph, 29, alpha=0.3)
    assert oracle.objective(importance, k, rest, 0.3) >= 0.97 * plain.objective


def test_same_bits_for_any_thread_count() -> None:
    importance, graph = clustered_problem(20_000)
    reference = coremax.solve(importance, graph, 0.2, alpha=0.7, threads=1)
    for threads in THREADS[1:]:
        solution = coremax.solve(importance, graph, 0.2, alpha=0.7, threads=threads)
        assert np.array_equal(solution.indices, reference.indices)
        assert np.array_equal(solution.x, reference.x)
        assert (solution.objective, solution.upper_bound) == (reference.objective, reference.upper_bound)


@pytest.mark.parametrize("budget", [0.1, 0.4, 0.7])
def test_bound_beats_an_independent_one(budget: float) -> None:
    importance, graph = clustered_problem(1500)
    fast = coremax.solve(importance, graph, budget, alpha=0.3)
    tight = coremax.solve(importance, graph, budget, alpha=0.3, bound="tight")
    linear = coremax.solve(importance, graph, budget, alpha=0.3, bound="linear")
    modular = np.sort(importance)[-round(budget * 1500) :].sum()
    assert linear.bound_kind in ("lp", "modular")
    assert fast.upper_bound <= linear.upper_bound <= modular * (1 + 1e-9)
    for solution in (fast, tight):
        assert solution.objective <= solution.upper_bound <= modular * (1 + 1e-9)
        assert solution.bound_kind in ("lp", "semidefinite")
    assert tight.upper_bound <= fast.upper_bound
    assert tight.gap <= (0.001 if budget == 0.1 else 0.05)
    # The concave majorant with the exact smallest eigenvalue as a uniform diagonal, maximised by Frank-Wolfe.
    k = oracle.dense(graph)
    d = -np.linalg.eigvalsh(k)[0]
    count, x = len(tight.indices), np.full(1500, budget)
    uniform = np.inf
    for t in range(400):
        slope = importance + 0.3 * d - 0.6 * (k @ x + d * x)
        vertex = np.zeros(1500)
        vertex[np.argsort(-slope)[:count]] = 1
        uniform = min(uniform, (importance + 0.3 * d) @ x - 0.3 * (x @ k @ x + d * x @ x) + slope @ (vertex - x))
        x += 2 / (t + 2) * (vertex - x)
    assert tight.upper_bound - tight.objective <= 0.25 * (uniform - tight.objective)


def test_bound_none_and_gap() -> None:
    importance, graph = clustered_problem(200)
    solution = coremax.solve(importance, graph, 20, bound=None)
    assert (solution.upper_bound, solution.gap, solution.bound_kind) == (np.inf, np.inf, "none")
    bounded = coremax.solve(importance, graph, 20)
    assert bounded.gap == pytest.approx((bounded.upper_bound - bounded.objective) / bounded.upper_bound)


def test_status_and_callback() -> None:
    importance, graph = clustered_problem(500)
    seen: list[coremax.solver.Iteration] = []

    def stop_at_five(info: coremax.solver.Iteration) -> bool:
        seen.append(info)
        return info.iteration == 5

    stopped = coremax.solve(importance, graph, 50, method="pgd", callback=stop_at_five)
    assert stopped.status is Status.INTERRUPTED
    assert [info.iteration for info in seen] == [1, 2, 3, 4, 5]
    assert [info.objective for info in seen] == stopped.history[1:].tolist()
    assert len(stopped.indices) == 50
    assert coremax.solve(importance, graph, 50, method="pgd", max_iterations=2).status is Status.MAX_ITERATIONS
    assert coremax.solve(importance, graph, 50, method="pgd", tolerance=0.5).status is Status.CONVERGED
    limited = coremax.solve(importance, graph, 50, time_limit=1e-6)
    assert limited.status is Status.TIME_LIMIT
    assert len(limited.indices) == 50
    assert limited.upper_bound >= limited.objective


def test_an_exception_in_the_callback_comes_out() -> None:
    importance, graph = clustered_problem(200)

    def fail(info: coremax.solver.Iteration) -> None:
        raise LookupError("from the callback")

    with pytest.raises(LookupError, match="from the callback"):
        coremax.solve(importance, graph, 20, callback=fail)


def test_warm_start() -> None:
    importance, graph = clustered_problem(1000)
    first = coremax.solve(importance, graph, 100, alpha=0.5, method="pgd")
    again = coremax.solve(importance, graph, 100, alpha=0.5, method="pgd", x0=first)
    assert again.history[0] == pytest.approx(first.history[-1], abs=1e-6)
    assert again.objective >= first.objective - 1e-3


def test_float32_importance_and_torch() -> None:
    importance, graph = clustered_problem(300)
    narrow = importance.astype(np.float32)
    expected = coremax.solve(narrow.astype(np.float64), graph, 30)
    assert np.array_equal(coremax.solve(narrow, graph, 30).indices, expected.indices)
    assert np.array_equal(np.asarray(coremax.solve(torch.from_numpy(narrow), graph, 30).indices), expected.indices)


def test_scipy_graph() -> None:
    importance, graph = clustered_problem(300)
    assert np.array_equal(coremax.solve(importance, graph.to_scipy(), 30).indices, coremax.solve(importance, graph, 30).indices)


def test_objective_of_any_subset() -> None:
    importance, graph = clustered_problem(300)
    subset = np.random.default_rng(2).permutation(300)[:40]
    truth = oracle.objective(importance, oracle.dense(graph), subset, 0.9)
    assert coremax.objective(importance, graph, subset, 0.9) == pytest.approx(truth, abs=OBJECTIVE_TOLERANCE)
    assert coremax.objective([1.0, 2.0], PAIR, [0, 1], alpha=1.0) == pytest.approx(3 - 2 * 0.5)
    with pytest.raises(ValueError, match=r"indices\[1\] is 2, but the graph has rows 0 to 1"):
        coremax.objective([1.0, 2.0], PAIR, [0, 2])
    with pytest.raises(ValueError, match=r"indices\[1\] repeats 0"):
        coremax.objective([1.0, 2.0], PAIR, [0, 0])


@pytest.mark.parametrize(
    ("importance", "graph", "budget", "options", "error", "message"),
    [
        ([1.0, np.nan], PAIR, 1, {}, ValueError, r"importance\[1\] is nan"),
        ([np.inf, 1.0], PAIR, 1, {}, ValueError, r"importance\[0\] is inf"),
        ([1e200, 1.0], PAIR, 1, {}, ValueError, r"importance\[0\] is 1e\+200, beyond"),
        ([1.0, 2.0, 3.0], PAIR, 1, {}, ValueError, "importance has 3 elements, but graph has 2 rows"),
        ([[1.0, 2.0]], PAIR, 1, {}, ValueError, "importance must be one-dimensional"),
        (["a", "b"], PAIR, 1, {}, TypeError, "importance must be an array of numbers, got a text"),
        ([1.0, 2.0], "graph", 1, {}, TypeError, "graph must be a coremax.Graph"),
        ([1.0, 2.0], PAIR, 0, {}, ValueError, "budget must be from 1 to the number of samples, 2, got 0"),
        ([1.0, 2.0], PAIR, 3, {}, ValueError, "got 3"),
        ([1.0, 2.0], PAIR, -1, {}, ValueError, "got -1"),
        ([1.0, 2.0], PAIR, 0.0, {}, ValueError, r"fraction must be in \(0, 1\], got 0.0"),
        ([1.0, 2.0], PAIR, 1.5, {}, ValueError, "got 1.5"),
        ([1.0, 2.0], PAIR, float("nan"), {}, ValueError, "got nan"),
        ([1.0, 2.0], PAIR, True, {}, TypeError, "budget must be an int"),
        ([1.0, 2.0], PAIR, "10%", {}, TypeError, "budget must be an int"),
        ([1.0, 2.0], PAIR, 1, {"alpha": -0.1}, ValueError, "alpha must be finite and from 0 to 1e\\+100, got -0.1"),
        ([1.0, 2.0], PAIR, 1, {"alpha": np.nan}, ValueError, "alpha must be finite"),
        ([1.0, 2.0], PAIR, 1, {"alpha": 1e300}, ValueError, "alpha must be finite and from 0"),
        ([1.0, 2.0], PAIR, 1, {"callback": 3}, TypeError, "callback must be a function, got 3"),
        ([1.0, 2.0], PAIR, 1, {"progress": "yes"}, TypeError, "progress must be True, False or a function"),
        ([1.0, 2.0], PAIR, 1, {"alpha": "auto"}, TypeError, "alpha must be a number"),
        ([1.0, 2.0], PAIR, 1, {"method": "magic"}, ValueError, "method must be one of 'auto', 'heat-bath'"),
        ([1.0, 2.0], PAIR, 1, {"bound": "loose"}, ValueError, "bound must be 'linear', 'fast', 'tight' or None"),
        ([1.0, 2.0], PAIR, 1, {"x0": [1.0]}, ValueError, "x0 has 1 elements, but importance has 2"),
        ([1.0, 2.0], PAIR, 1, {"x0": [1.0, np.nan]}, ValueError, r"x0\[1\] is not finite"),
        ([1.0, 2.0], PAIR, 1, {"max_iterations": -1}, ValueError, "max_iterations must be from 0"),
        ([1.0, 2.0], PAIR, 1, {"tolerance": -1.0}, ValueError, "tolerance must be finite and at least 0"),
        ([1.0, 2.0], PAIR, 1, {"time_limit": -1.0}, ValueError, "time_limit must be finite and at least 0"),
        ([1.0, 2.0], PAIR, 1, {"seed": -1}, ValueError, "seed must be from 0"),
        ([1.0, 2.0], PAIR, 1, {"seed": "x"}, TypeError, "seed must be an int"),
    ],
)
def test_bad_arguments(
    importance: Any, graph: Any, budget: Any, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        coremax.solve(importance, graph, budget, **options)


@pytest.mark.parametrize(
    ("fraction", "n", "count"), [(0.1, 5, 1), (0.5, 5, 3), (0.25, 10, 3), (0.01, 10, 1), (1.0, 7, 7), (0.35, 10, 4)]
)
def test_fractions_round_half_up(fraction: float, n: int, count: int) -> None:
    isolated = coremax.Graph.from_neighbors(np.full((n, 1), -1), np.zeros((n, 1)))
    assert len(coremax.solve(np.arange(n), isolated, fraction).indices) == count


def test_two_threads_at_once() -> None:
    importance, graph = clustered_problem(1000)
    expected = coremax.solve(importance, graph, 100).indices
    results: list[Any] = []
    callers = [
        threading.Thread(target=lambda: results.append(coremax.solve(importance, graph, 100, threads=2))) for _ in range(4)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert all(np.array_equal(solution.indices, expected) for solution in results)
    assert len(results) == 4


def test_ctrl_c() -> None:
    code = """
import numpy as np, coremax
rng = np.random.default_rng(0)
n = 200_000
graph = coremax.Graph.from_neighbors(rng.integers(0, n, (n, 10)), rng.random((n, 10)))
graph.to_csr()
print("started", flush=True)
try:
    coremax.solve(rng.random(n), graph, 0.3, max_iterations=10**9, tolerance=0.0)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
    assert output_when_interrupted(code) == "started\ninterrupted\n"


def test_polish_ends_where_redundancy_drowns_importance() -> None:
    importance = np.random.default_rng(0).random(10) * 1000
    graph = coremax.Graph.from_csr([0, 0, 0, 0, 0, 2, 2, 3, 3, 3, 3], [0, 6, 2], [1.9e20, -9.7e18, 5.3e18])
    assert len(coremax.solve(importance, graph, 1, alpha=1.0).indices) == 1


@pytest.mark.parametrize("alpha", [1e-14, 1e-16, 1e-17, 1e-30, 1e-200])
def test_relaxed_point_is_feasible_where_redundancy_is_nearly_nothing(alpha: float) -> None:
    cycle = coremax.Graph.from_neighbors([[1], [2], [0]], [[1.0], [1.0], [1.0]])
    solution = coremax.solve([1.0, 1.0, 0.0], cycle, 1, alpha=alpha)
    assert solution.x.sum() == pytest.approx(1, abs=1e-9)
    importance, graph = clustered_problem(500)
    tied = np.round(importance * 2)
    assert coremax.solve(tied, graph, 50, alpha=alpha).x.sum() == pytest.approx(50, abs=1e-7)


def test_bfloat16_importance_is_widened() -> None:
    importance, graph = clustered_problem(300)
    narrow = torch.from_numpy(importance).to(torch.bfloat16)
    expected = coremax.solve(narrow.to(torch.float64), graph, 30)
    assert torch.equal(coremax.solve(narrow, graph, 30).indices, expected.indices)


def test_objective_checks_its_numbers() -> None:
    with pytest.raises(ValueError, match=r"importance\[0\] is nan"):
        coremax.objective([np.nan, 1.0], PAIR, [1])
    with pytest.raises(ValueError, match="alpha must be finite and from 0"):
        coremax.objective([1.0, 1.0], PAIR, [1], 1e300)
    assert coremax.objective([1.0, 1.0], PAIR, []) == 0


def test_the_bound_holds_where_importance_and_redundancy_are_of_different_worlds() -> None:
    # A triangle and one element to keep: f is importance alone, however heavy the edges are.
    triangle = coremax.Graph.from_neighbors(np.array([[1, 2], [0, 2], [0, 1]]), np.ones((3, 2), dtype=np.float32))
    for tiny in (1e-100, 1e-230, 1.234567e-290):
        importance = np.array([1.0, 3.456789, 2.0]) * tiny
        solution = coremax.solve(importance, triangle, 1, alpha=1e100)
        assert solution.indices.tolist() == [1]
        assert solution.objective == importance[1]
        assert importance[1] <= solution.upper_bound <= importance[1] * 1.01
    heavy = coremax.Graph.from_neighbors(
        np.array([[1, 2], [0, 2], [0, 1]]), np.array([[1e30, 1], [1e30, 1], [1, 1]], dtype=np.float32)
    )
    solution = coremax.solve([1.0, 3.0, 2.0], heavy, 2, alpha=0.3)
    assert solution.indices.tolist() == [1, 2]
    assert solution.gap < 1e-6


@pytest.mark.parametrize("costs", [None, [1.0, 1.0]])
def test_tiny_importance_without_redundancy(costs: Any) -> None:
    # In the unit of such importance an alpha that weighs nothing is beyond float64, and infinity times zero is NaN.
    alone = coremax.Graph.from_neighbors([[1], [0]], [[0.0], [0.0]])
    for tiny in (1e-290, 1e-303):
        solution = coremax.solve([tiny, 2 * tiny], alone, 1 if costs is None else 1.0, costs=costs, alpha=1e100)
        assert solution.indices.tolist() == [1]
        assert solution.objective == 2 * tiny


def test_any_temperature_gives_numbers() -> None:
    importance, graph = np.linspace(0, 1, 50), coremax.topk_graph(np.random.default_rng(0).normal(size=(50, 4)), 5)
    for temperature in (1e-300, 1e300, 1.7e308):
        solution = coremax.solve(importance, graph, 10, method="softmax", temperature=temperature)
        assert np.isfinite(solution.x).all()
        assert np.isfinite(solution.history).all()


def test_a_matrix_must_be_square_and_budgets_a_sequence() -> None:
    matrix = scipy.sparse.csr_array((4, 3), dtype=np.float32)
    with pytest.raises(ValueError, match=r"graph must be square, got shape \(4, 3\)"):
        coremax.solve(np.ones(4), matrix, 2)
    with pytest.raises(TypeError, match="budgets must be a sequence of numbers, got int"):
        coremax.solve_path(np.ones(4), scipy.sparse.csr_array((4, 4), dtype=np.float32), 2)  # type: ignore[arg-type]
    assert "no bound" in repr(coremax.solve(np.ones(4), scipy.sparse.csr_array((4, 4), dtype=np.float32), 2, bound=None))
