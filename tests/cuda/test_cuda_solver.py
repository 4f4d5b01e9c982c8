"""The solver on a device against the CPU: the same bits of the iterations, local optima of the same points."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import coremax
from coremax import Graph, objective, solve
from coremax.solver._solver import Method

if TYPE_CHECKING:
    from pathlib import Path

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
def test_iterations_are_those_of_the_cpu(device: Device, n: int, method: Method) -> None:
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
    assert there.bound_kind in ("modular", "diagonal-shift")
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


def test_a_shifted_bound_where_much_is_kept(device: Device) -> None:
    importance, graph, importance_there, graph_there = graphs(device, 40)
    options: dict[str, Any] = {"method": "annealed", "max_iterations": 3, "alpha": 2.0}
    there = solve(importance_there, graph_there, 30, **options)
    best = solve(importance, graph, 30, alpha=2.0, effort="best")
    modular = np.sort(importance)[-30:].sum()
    assert there.bound_kind == "diagonal-shift"
    assert best.objective - 1e-9 <= there.upper_bound < modular
    assert there.timings["bound"] > 0


def test_a_path_of_budgets(device: Device) -> None:
    _, _, importance, graph = graphs(device, 20)
    path = coremax.solve_path(importance, graph, [3, 9], method="pgd", max_iterations=ITERATIONS)
    assert [device.get(solution.indices).shape for solution in path] == [(3,), (9,)]
    with pytest.raises(ValueError, match="nested subsets are found on the CPU only"):
        coremax.solve_path(importance, graph, [3, 9], nested=True, method="pgd", max_iterations=ITERATIONS)


def test_graphs_stay_on_the_device(device: Device, tmp_path: Path) -> None:
    importance, graph, importance_there, there = graphs(device, 30)
    assert there.k == 4
    for got, wanted in zip(there.to_csr(), graph.to_csr(), strict=True):
        assert got.__dlpack_device__() == (2, 0)
        assert device.get(got).dtype == wanted.dtype
        np.testing.assert_array_equal(device.get(got), wanted)
    rebuilt = Graph.from_csr(*there.to_csr())
    assert rebuilt.n == 30
    np.testing.assert_array_equal(device.get(rebuilt.to_csr()[2]), graph.to_csr()[2])
    options: dict[str, Any] = {"method": "pgd", "max_iterations": ITERATIONS}
    assert solve(importance_there, rebuilt, 8, **options).objective == solve(importance_there, there, 8, **options).objective
    here = there.cpu()
    assert here.cpu() is here
    np.testing.assert_array_equal(here.neighbors, graph.neighbors)
    assert objective(importance, here, np.arange(5)) == objective(importance, graph, np.arange(5))
    there.save(tmp_path / "graph.npz")
    np.testing.assert_array_equal(Graph.load(tmp_path / "graph.npz").similarities, graph.similarities)
    with pytest.raises(coremax.DeviceError, match=r"the graph is on a device \(cuda:0\).* pass graph.cpu\(\)"):
        there.to_scipy()


def test_threads_share_a_graph(device: Device) -> None:
    if device.emulated:
        pytest.skip("the emulated device is for one thread")
    _, _, importance, graph = graphs(device, 3000)
    expected = device.get(solve(importance, graph, 300, method="pgd").indices)
    results: list[Any] = []

    def run() -> None:
        results.append(device.get(solve(importance, graph, 300, method="pgd").indices))

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8
    for result in results:
        np.testing.assert_array_equal(result, expected)


def test_lists_that_do_not_fit(device: Device) -> None:
    put = device.put
    with pytest.raises(ValueError, match="all arrays of a call must be in one place, got indices on cuda:0, values on the CPU"):
        Graph.from_neighbors(put(np.zeros((3, 2), np.int64)), np.zeros((3, 2), np.float32))
    with pytest.raises(ValueError, match="indptr on the CPU, indices on cuda:0"):
        Graph.from_csr([0, 1, 2], put(np.array([1, 0])), put(np.ones(2, np.float32)))
    with pytest.raises(ValueError, match=r"indices has shape \(3, 2\), but values has \(3, 1\)"):
        Graph.from_neighbors(put(np.zeros((3, 2), np.int64)), put(np.zeros((3, 1), np.float32)))
    with pytest.raises(ValueError, match="values has 1 elements, but indices has 2"):
        Graph.from_csr(put(np.array([0, 1, 2])), put(np.array([1, 0])), put(np.ones(1, np.float32)))
    with pytest.raises(TypeError, match="values must be float32 or float64, got int8"):
        Graph.from_neighbors(put(np.zeros((3, 2), np.int64)), put(np.zeros((3, 2), np.int8)))
    with pytest.raises(ValueError, match="row 1 names neighbour 5, but the graph has rows 0 to 1"):
        Graph.from_csr(put(np.array([0, 1, 2])), put(np.array([1, 5])), put(np.ones(2, np.float32)))
    with pytest.raises(ValueError, match=r"values\[1, 0\] is 7, but cosines are from -1 to 1"):
        Graph.from_neighbors(put(np.array([[1], [0]])), put(np.array([[1], [7]], np.float32)), metric="cosine")
    with pytest.raises(ValueError, match="1 entries of the lists repeat a neighbour of their row, entry 1 first"):
        Graph.from_neighbors(put(np.array([[1, 1], [0, -1]])), put(np.ones((2, 2), np.float32)))


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
