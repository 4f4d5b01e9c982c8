"""The solver on a device against the CPU: the same bits of the iterations, local optima of the same points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import coremax
from coremax import Graph, objective, solve

if TYPE_CHECKING:
    from conftest import Device  # type: ignore[import-not-found,unused-ignore]

ITERATIONS = 4


def problem(n: int, k: int = 4) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    rng = np.random.default_rng(n)
    neighbors = np.stack([rng.choice(n, size=min(k, n), replace=False) for _ in range(n)])
    return rng.random(n), neighbors, rng.random(neighbors.shape).astype(np.float32)


def graphs(device: Device, n: int) -> tuple[Any, Any, Any, Any]:
    importance, neighbors, values = problem(n)
    there = Graph.from_neighbors(device.put(neighbors), device.put(values))
    return importance, Graph.from_neighbors(neighbors, values), device.put(importance), there


def is_local_optimum(importance: Any, graph: Graph, indices: Any, alpha: float) -> bool:
    dense = graph.to_scipy().toarray().astype(np.float64)
    kept = np.zeros(len(importance), bool)
    kept[indices] = True
    gain = importance - 2 * alpha * dense @ kept
    change = gain[~kept][:, None] - gain[kept][None, :] + 2 * alpha * dense[~kept][:, kept]
    return bool(change.size == 0 or change.max() <= 1e-9)


@pytest.mark.parametrize("method", ["pgd", "continuation", "annealed", "softmax"])
@pytest.mark.parametrize("n", [1, 5, 33])
def test_iterations_are_those_of_the_cpu(device: Device, n: int, method: str) -> None:
    importance, graph, importance_there, graph_there = graphs(device, n)
    budget = max(1, n // 3)
    here = solve(importance, graph, budget, alpha=0.7, method=method, max_iterations=ITERATIONS, bound=None)
    there = solve(importance_there, graph_there, budget, alpha=0.7, method=method, max_iterations=ITERATIONS)
    np.testing.assert_array_equal(there.history, here.history)
    np.testing.assert_array_equal(device.get(there.x), here.x)
    for name in ("status", "iterations", "n_fixed", "method"):
        assert getattr(there, name) == getattr(here, name)
    indices = device.get(there.indices)
    assert len(set(indices)) == budget
    assert there.objective == objective(importance, graph, indices, 0.7)
    assert there.objective == objective(importance_there, graph_there, there.indices, 0.7)
    assert there.bound_kind == "modular"
    assert there.upper_bound >= max(here.objective, there.objective)
    assert is_local_optimum(importance, graph, indices, 0.7)


def test_what_is_fixed_and_a_start(device: Device) -> None:
    importance, graph, importance_there, graph_there = graphs(device, 30)
    options: dict[str, Any] = {"method": "pgd", "max_iterations": ITERATIONS, "include": [1, 2], "exclude": [3]}
    x0 = np.linspace(0, 1, 30)
    here = solve(importance, graph, 10, x0=x0, bound=None, **options)
    there = solve(importance_there, graph_there, 10, x0=device.put(x0), **options)
    np.testing.assert_array_equal(there.history, here.history)
    np.testing.assert_array_equal(device.get(there.x), here.x)
    kept = set(device.get(there.indices))
    assert {1, 2} <= kept
    assert 3 not in kept
    with pytest.raises(ValueError, match="all arrays of a call must be in one place"):
        solve(importance_there, graph_there, 10, x0=x0)


def test_a_tight_bound_comes_from_the_cpu(device: Device) -> None:
    importance, graph, importance_there, graph_there = graphs(device, 20)
    options: dict[str, Any] = {"method": "annealed", "max_iterations": 3, "alpha": 1.0}
    loose = solve(importance_there, graph_there, 5, **options)
    tight = solve(importance_there, graph_there, 5, bound="tight", **options)
    best = solve(importance, graph, 5, alpha=1.0, effort="best")
    assert best.objective - 1e-9 <= tight.upper_bound <= loose.upper_bound
    assert solve(importance_there, graph_there, 5, bound=None, **options).gap == np.inf


def test_what_the_cpu_alone_does_is_refused(device: Device) -> None:
    importance, graph, importance_there, graph_there = graphs(device, 12)
    with pytest.raises(ValueError, match="importance on the CPU, graph on cuda:0"):
        solve(importance, graph_there, 3)
    with pytest.raises(ValueError, match="importance on cuda:0, graph on the CPU"):
        solve(importance_there, graph, 3)
    with pytest.raises(ValueError, match="groups are dealt with on the CPU only"):
        solve(importance_there, graph_there, 3, groups=np.arange(12) % 2)
    with pytest.raises(ValueError, match="costs are dealt with on the CPU only"):
        solve(importance_there, graph_there, 3.0, costs=np.ones(12))
    with pytest.raises(ValueError, match="method 'greedy' runs on the CPU only"):
        solve(importance_there, graph_there, 3, method="greedy")
    broken = importance.copy()
    broken[4] = np.nan
    with pytest.raises(ValueError, match=r"importance\[4\] is nan"):
        solve(device.put(broken), graph_there, 3)


def test_a_callback_ends_it(device: Device) -> None:
    _, _, importance, graph = graphs(device, 12)
    seen: list[coremax.solver.Iteration] = []

    def tell(it: coremax.solver.Iteration) -> bool:
        seen.append(it)
        return len(seen) == 2

    found = solve(importance, graph, 3, method="annealed", callback=tell)
    assert [it.iteration for it in seen] == [1, 2]
    assert found.status is coremax.solver.Status.INTERRUPTED
    assert found.history[-1] == seen[-1].objective
