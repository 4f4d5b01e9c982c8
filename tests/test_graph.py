"""The exact top-k graph against the float64 oracle, on every ISA level, for 1, 2 and 3 threads."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import coremax
from coremax.graph._graph import METRICS, Metric
from helpers import EDGE_SIZES, ISAS, SIMILARITY_TOLERANCE, THREADS, clustered, output_when_interrupted, same_bits
from oracles import graph as oracle


def assert_exact(x: NDArray[Any], graph: coremax.Graph, metric: Metric) -> None:
    """Every neighbour is among the k best up to rounding, and in order."""
    k = graph.k
    truth = oracle.similarity_matrix(x, metric)
    scale = float(np.abs(truth[np.isfinite(truth)]).max()) or 1.0
    tolerance = SIMILARITY_TOLERANCE * scale
    found = np.take_along_axis(truth, graph.neighbors, axis=1)
    assert np.abs(found - graph.similarities).max() <= tolerance
    kth_best = -np.sort(-truth, axis=1)[:, k - 1]
    assert (found >= kth_best[:, None] - 2 * tolerance).all()
    assert (np.diff(graph.similarities, axis=1) <= 0).all()
    assert all(len(set(row)) == k for row in graph.neighbors.tolist())
    assert (graph.neighbors != np.arange(len(x))[:, None]).all()


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("metric", METRICS)
def test_random_data(metric: Metric, isa: str) -> None:
    x = np.random.default_rng(0).normal(size=(211, 37)).astype(np.float32)
    graph = coremax.topk_graph(x, 9, metric=metric, isa=isa)
    assert_exact(x, graph, metric)
    assert graph.neighbors.dtype == np.int64
    assert graph.similarities.dtype == np.float32
    assert graph.stats is not None
    assert graph.stats.isa == isa


@pytest.mark.parametrize("metric", METRICS)
def test_same_bits_on_every_isa_and_thread_count(metric: Metric) -> None:
    x = clustered(530, 45, 12, seed=1)
    reference = coremax.topk_graph(x, 13, metric=metric, isa="scalar", threads=1)
    for isa in ISAS:
        for threads in (*THREADS, 7):
            graph = coremax.topk_graph(x, 13, metric=metric, isa=isa, threads=threads)
            assert np.array_equal(graph.neighbors, reference.neighbors), (isa, threads)
            assert same_bits(graph.similarities, reference.similarities), (isa, threads)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("metric", ["dot", "euclidean"])
def test_integer_values_are_exact_at_lane_edges(metric: Metric, isa: str) -> None:
    # Small integers: every sum is exact in float32, so ties are real and must go to the lower number.
    rng = np.random.default_rng(2)
    for n in EDGE_SIZES[1:]:
        for d in EDGE_SIZES:
            x = rng.integers(-2, 3, size=(n, d)).astype(np.float32)
            k = int(rng.integers(1, n))
            graph = coremax.topk_graph(x, k, metric=metric, isa=isa, threads=2)
            neighbors, similarities = oracle.topk(x, k, metric)
            assert np.array_equal(graph.neighbors, neighbors), (n, d, k)
            assert np.array_equal(graph.similarities, similarities.astype(np.float32)), (n, d, k)


def test_every_k_up_to_the_last() -> None:
    x = np.random.default_rng(3).integers(-3, 4, size=(150, 5)).astype(np.float32)
    for k in (1, 2, 63, 64, 65, 148, 149):
        neighbors, _ = oracle.topk(x, k, "dot")
        assert np.array_equal(coremax.topk_graph(x, k, metric="dot").neighbors, neighbors)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("isa", ISAS)
def test_all_points_identical(metric: Metric, isa: str) -> None:
    x = np.full((70, 19), 0.3, dtype=np.float32)
    graph = coremax.topk_graph(x, 5, metric=metric, isa=isa)
    expected = [[j for j in range(6) if j != i][:5] for i in range(70)]
    assert graph.neighbors.tolist() == expected
    assert np.unique(graph.similarities).size == 1
    if metric != "dot":
        assert graph.similarities[0, 0] == pytest.approx(1, abs=1e-6)


def test_duplicates_are_neighbours_and_self_is_not() -> None:
    x = np.random.default_rng(4).normal(size=(60, 8)).astype(np.float32)
    x[30:] = x[:30]
    graph = coremax.topk_graph(x, 1, metric="euclidean")
    assert np.array_equal(graph.neighbors[:, 0], np.r_[30:60, 0:30])
    assert (graph.similarities == 1).all()


def test_cosine_never_exceeds_one() -> None:
    x = np.repeat(np.random.default_rng(5).normal(size=(50, 33)).astype(np.float32), 4, axis=0)
    assert coremax.topk_graph(x, 3).similarities.max() <= 1


@pytest.mark.parametrize("metric", METRICS)
def test_sorted_and_clustered_input(metric: Metric) -> None:
    x = np.sort(clustered(400, 6, 3, seed=6, spread=1e-3), axis=0)
    assert_exact(x, coremax.topk_graph(x, 10, metric=metric), metric)


@pytest.mark.parametrize("scale", [1e-44, 1e-38, 1e-30, 1e-19, 1e18, 1e36])
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_huge_and_tiny_magnitudes(metric: Metric, scale: float) -> None:
    x = (np.random.default_rng(7).integers(-40, 41, size=(50, 9)) * np.float32(scale)).astype(np.float32)
    x[np.abs(x).sum(axis=1) == 0] = np.float32(scale)
    graph = coremax.topk_graph(x, 5, metric=metric)
    truth = oracle.similarity_matrix(x, metric)
    found = np.take_along_axis(truth, graph.neighbors, axis=1)
    assert np.isfinite(graph.similarities).all()
    np.testing.assert_allclose(graph.similarities, found, rtol=1e-5, atol=1e-7)
    if metric == "cosine":  # distances of 1e-30 all round to a similarity of 1
        assert_exact(x, graph, metric)


def test_rows_of_very_different_norm() -> None:
    x = np.random.default_rng(8).normal(size=(80, 11)).astype(np.float32)
    x *= np.logspace(-37, 36, 80).astype(np.float32)[:, None]
    assert_exact(x, coremax.topk_graph(x, 6), "cosine")


def test_dot_products_beyond_float32_are_refused_not_infinite() -> None:
    x = np.full((4, 3), 1e30, dtype=np.float32)
    with pytest.raises(ValueError, match="the dot product of rows 0 and 1 overflows float32"):
        coremax.topk_graph(x, 2, metric="dot")
    tiny = np.full((4, 3), 1e-30, dtype=np.float32)
    assert (coremax.topk_graph(tiny, 2, metric="dot").similarities == 0).all()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "int8", "float64"])
@pytest.mark.parametrize("metric", METRICS)
def test_other_types_are_read_without_loss(dtype: str, metric: Metric) -> None:
    values = np.random.default_rng(9).integers(-9, 10, size=(70, 21)).astype(np.float32)
    values[np.abs(values).sum(axis=1) == 0] = 1
    narrow = torch.from_numpy(values).to(getattr(torch, dtype))
    graph, expected = (
        coremax.topk_graph(narrow, 6, metric=metric, copy=False),
        coremax.topk_graph(values, 6, metric=metric),
    )
    assert np.array_equal(np.asarray(graph.neighbors), expected.neighbors)
    assert same_bits(graph.similarities, expected.similarities)


def test_every_half_is_converted_exactly() -> None:
    bits = np.arange(2**16, dtype=np.uint16).view(np.float16)
    finite = bits[np.isfinite(bits) & (bits != 0)]
    x = np.stack([finite, np.ones_like(finite)], axis=1)
    sample = np.random.default_rng(10).choice(len(x), 700, replace=False)
    a = coremax.topk_graph(x[sample], 3, metric="dot")
    b = coremax.topk_graph(x[sample].astype(np.float32), 3, metric="dot")
    assert same_bits(a.similarities, b.similarities)
    for half in finite[:: len(finite) // 400]:
        pair = np.array([[half], [1]], dtype=np.float16)
        assert coremax.topk_graph(pair, 1, metric="dot").similarities[0, 0] == np.float32(half)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("threads", THREADS)
def test_not_finite_is_named_by_its_first_place(bad: float, threads: int) -> None:
    x = np.ones((5000, 6), dtype=np.float32)
    x[[1234, 1235, 4900], [5, 0, 0]] = bad
    for metric in METRICS:
        with pytest.raises(ValueError, match=rf"x\[1234, 5\] is {bad}"):
            coremax.topk_graph(x, 2, metric=metric, threads=threads)


def test_zero_row_has_no_cosine() -> None:
    x = np.ones((10, 4), dtype=np.float32)
    x[7] = 0
    with pytest.raises(ValueError, match="row 7 of x is all zeros"):
        coremax.topk_graph(x, 2)
    assert coremax.topk_graph(x, 2, metric="euclidean").n == 10
    assert coremax.topk_graph(np.zeros((4, 2), dtype=np.float32), 1, metric="dot").neighbors.tolist() == [
        [1],
        [0],
        [0],
        [0],
    ]


def test_float64_beyond_float32_is_refused() -> None:
    x = np.ones((3, 2))
    x[2, 1] = 1e200
    with pytest.raises(ValueError, match=r"x\[2, 1\] is beyond the range of float32"):
        coremax.topk_graph(x, 1, metric="dot")


@pytest.mark.parametrize(
    ("x", "k", "options", "error", "message"),
    [
        (np.ones((5, 2), dtype=np.float32), 5, {}, ValueError, "k must be from 1 to 4, got 5"),
        (np.ones((5, 2), dtype=np.float32), 0, {}, ValueError, "k must be from 1 to 4, got 0"),
        (np.ones((5, 2), dtype=np.float32), -1, {}, ValueError, "got -1"),
        (np.ones((5, 2), dtype=np.float32), 2.0, {}, TypeError, "k must be an int, got 2.0"),
        (np.ones((5, 2), dtype=np.float32), True, {}, TypeError, "k must be an int, got True"),
        (np.ones((1, 2), dtype=np.float32), 1, {}, ValueError, r"at least 2 rows and 1 column, got shape \(1, 2\)"),
        (np.ones((0, 2), dtype=np.float32), 1, {}, ValueError, r"got shape \(0, 2\)"),
        (np.ones((5, 0), dtype=np.float32), 1, {}, ValueError, r"got shape \(5, 0\)"),
        (np.ones(5, dtype=np.float32), 1, {}, ValueError, r"x must be two-dimensional, got shape \(5,\)"),
        (np.ones((5, 2, 2), dtype=np.float32), 1, {}, ValueError, "two-dimensional"),
        (np.ones((5, 2), dtype=np.float32), 1, {"metric": "l1"}, ValueError, "metric must be one of 'cosine'"),
        (np.ones((5, 2), dtype=np.float32), 1, {"mode": "fast"}, ValueError, "mode must be one of 'exact', 'approximate'"),
        (np.ones((5, 2), dtype=np.float32), 1, {"recall": 0}, ValueError, "recall must be above 0"),
        (np.ones((5, 2), dtype=np.float32), 1, {"recall": 1.5}, ValueError, "recall must be"),
        (np.ones((5, 2), dtype=np.float32), 1, {"seed": -1}, ValueError, "seed must be"),
        (
            np.ones((5, 2), dtype=np.float32),
            1,
            {"isa": "mmx"},
            ValueError,
            "isa is 'mmx', but this build on this CPU has: scalar",
        ),
        (np.ones((5, 2), dtype=np.float32), 1, {"isa": 3}, TypeError, "isa must be a str"),
        (np.ones((5, 2), dtype=np.float32), 1, {"threads": 0}, ValueError, "threads must be from 1 to 4096, got 0"),
        (np.ones((5, 2), dtype=np.float32), 1, {"threads": 1.5}, TypeError, "threads must be an int"),
        (
            np.ones((5, 2), dtype=np.float32),
            1,
            {"memory_limit": "lots"},
            ValueError,
            "memory_limit must be a number of bytes",
        ),
        (np.ones((5, 2), dtype=np.float32), 1, {"memory_limit": 100}, MemoryError, "memory_limit allows 100"),
    ],
)
def test_bad_arguments(x: NDArray[Any], k: Any, options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        coremax.topk_graph(x, k, **options)


def test_memory_limit_that_holds() -> None:
    x = np.ones((50, 4), dtype=np.float32)
    for limit in (10**9, "1GB", "512 MiB"):
        assert coremax.topk_graph(x, 2, metric="dot", memory_limit=limit).n == 50


def test_isa_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.ones((5, 2), dtype=np.float32)
    monkeypatch.setenv("COREMAX_ISA", "scalar")
    stats = coremax.topk_graph(x, 1).stats
    assert stats is not None
    assert stats.isa == "scalar"
    monkeypatch.setenv("COREMAX_ISA", "sse9")
    with pytest.raises(ValueError, match="COREMAX_ISA is 'sse9'"):
        coremax.topk_graph(x, 1)


def test_threads_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COREMAX_NUM_THREADS", "3")
    assert coremax.show_config("dicts")["threads"] == 3
    for bad in ("0", "many", "", "2x"):
        monkeypatch.setenv("COREMAX_NUM_THREADS", bad)
        with pytest.raises(ValueError, match="COREMAX_NUM_THREADS must be a whole number"):
            coremax.topk_graph(np.ones((5, 2), dtype=np.float32), 1)


def test_flushed_denormals_change_nothing() -> None:
    x = (np.random.default_rng(11).normal(size=(60, 10)) * 1e-39).astype(np.float32)
    expected = coremax.topk_graph(x, 4)
    assert torch.set_flush_denormal(True)
    try:
        flushed = coremax.topk_graph(x, 4)
    finally:
        torch.set_flush_denormal(False)
    assert same_bits(flushed.similarities, expected.similarities)


def test_progress_reaches_the_end() -> None:
    seen: list[tuple[int, int]] = []
    coremax.topk_graph(clustered(3000, 16, 5, seed=12), 5, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (3000, 3000)
    assert seen == sorted(seen)


def test_progress_bar_is_drawn_on_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    coremax.topk_graph(clustered(300, 16, 5, seed=12), 5, progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "graph" in err


def test_an_exception_in_progress_stops_the_call() -> None:
    def stop(done: int, total: int) -> None:
        raise RuntimeError(f"stopped at {done} of {total}")

    with pytest.raises(RuntimeError, match="stopped at"):
        coremax.topk_graph(clustered(3000, 16, 5, seed=12), 5, progress=stop)


def test_two_threads_at_once() -> None:
    x = clustered(2000, 24, 9, seed=13)
    expected = coremax.topk_graph(x, 8)
    results: list[coremax.Graph] = []
    callers = [threading.Thread(target=lambda: results.append(coremax.topk_graph(x, 8, threads=2))) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(results) == 4
    assert all(same_bits(graph.similarities, expected.similarities) for graph in results)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_can_call_too() -> None:
    # In a process of its own: this one holds threads of PyTorch.
    code = """
import os, numpy as np, coremax
x = np.random.default_rng(0).normal(size=(3000, 16)).astype(np.float32)
coremax.topk_graph(x, 3, threads=2)
child = os.fork()
if child == 0:
    coremax.topk_graph(x, 3, threads=2)
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize("threads", [1, 2])
def test_ctrl_c_stops_within_a_second_or_so(threads: int) -> None:
    code = f"""
import time, numpy as np, coremax
x = np.random.default_rng(0).normal(size=(300_000, 64)).astype(np.float32)
print("started", flush=True)
start = time.perf_counter()
try:
    coremax.topk_graph(x, 10, isa="scalar", threads={threads})
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
    assert output_when_interrupted(code) == "started\ninterrupted\n"


def test_csr_is_the_symmetric_k() -> None:
    x = clustered(120, 5, 4, seed=14)
    graph = coremax.topk_graph(x, 6)
    truth = oracle.symmetric(graph.neighbors, graph.similarities)
    matrix = graph.to_scipy().toarray()
    assert np.array_equal(matrix, matrix.T)
    np.testing.assert_allclose(matrix, truth, atol=1e-7)
    indptr, indices, values = graph.to_csr()
    assert (indptr.dtype, indices.dtype, values.dtype) == (np.int64, np.int64, np.float32)
    assert all((np.diff(indices[indptr[i] : indptr[i + 1]]) > 0).all() for i in range(120))


def test_graphs_from_elsewhere() -> None:
    neighbors = np.array([[1, 2], [0, -1], [2, 0]], dtype=np.int32)
    values = np.array([[0.5, 0.25], [1.0, 9.0], [7.0, 0.75]])
    k = coremax.Graph.from_neighbors(neighbors, values).to_scipy().toarray()
    assert np.array_equal(k, [[0, 0.75, 0.5], [0.75, 0, 0], [0.5, 0, 0]])
    csr = coremax.Graph.from_csr(np.array([0, 2, 3, 4], dtype=np.int32), [1, 2, 0, 0], np.array([0.5, 0.25, 1.0, 0.75]))
    assert np.array_equal(csr.to_scipy().toarray(), k)
    assert np.array_equal(coremax.Graph.from_csr(*csr.to_csr()).to_scipy().toarray(), k), "K given as a graph is K again"
    assert csr.n == 3
    with pytest.raises(ValueError, match="use to_csr"):
        _ = csr.k


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: coremax.Graph.from_neighbors([[3], [0]], [[1.0], [1.0]]),
            "row 0 names neighbour 3, but the graph has rows 0 to 1",
        ),
        (lambda: coremax.Graph.from_neighbors([[1], [-2]], [[1.0], [1.0]]), "row 1 names neighbour -2"),
        (lambda: coremax.Graph.from_neighbors([[1], [0]], [[np.nan], [1.0]]), "rows 0 and 1 is nan"),
        (lambda: coremax.Graph.from_neighbors([[1], [0]], [[1e300], [1.0]]), "rows 0 and 1 is inf in float32"),
        (
            lambda: coremax.Graph.from_neighbors([[1, 0]], [[1.0]]),
            r"indices has shape \(1, 2\), but values has \(1, 1\)",
        ),
        (
            lambda: coremax.Graph.from_csr([0, 2, 1], [1, 0], [1.0, 1.0]),
            "indptr must start at 0 and end at the number of indices, 2",
        ),
        (lambda: coremax.Graph.from_csr([0, 3, 2], [1, 0], [1.0, 1.0]), "indptr falls at row 1"),
        (lambda: coremax.Graph.from_csr([0, 1, 2], [1, 0], [1.0]), "values has 1 elements, but indices has 2"),
    ],
)
def test_broken_graphs_are_refused(build: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build().to_csr()


def test_save_and_load(tmp_path: Path) -> None:
    x = clustered(50, 5, 4, seed=15)
    for graph in (coremax.topk_graph(x, 4), coremax.Graph.from_csr(*coremax.topk_graph(x, 4).to_csr())):
        graph.save(tmp_path / "graph")
        again = coremax.Graph.load(tmp_path / "graph")
        assert again.metric == graph.metric
        assert all(np.array_equal(a, b) for a, b in zip(again.to_csr(), graph.to_csr(), strict=True))
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(ValueError, match="holds no coremax graph"):
        coremax.Graph.load(tmp_path / "other.npz")
