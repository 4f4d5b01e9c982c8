"""The graph of arrays on a device: the bits of the CPU's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import coremax
from coremax import DeviceError
from coremax.graph._graph import METRICS, Metric


def rows(n: int, d: int, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).standard_normal((n, d), dtype=np.float32)


def check_same(device: Any, x: np.ndarray[Any, Any], k: int, metric: Metric) -> None:
    on_device = coremax.topk_graph(device.put(x), k, metric=metric)
    on_cpu = coremax.topk_graph(x, k, metric=metric)
    np.testing.assert_array_equal(device.get(on_device.neighbors), on_cpu.neighbors)
    got, wanted = device.get(on_device.similarities), on_cpu.similarities
    np.testing.assert_array_equal(got.view(np.int32), wanted.view(np.int32))
    assert on_device.stats is not None
    assert on_device.stats.isa == "cuda:0"
    assert on_device.metric == metric


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("n", "d", "k"), [(2, 1, 1), (33, 7, 32), (65, 17, 5)])
def test_small_graphs_have_the_bits_of_the_cpu(device: Any, n: int, d: int, k: int, metric: Metric) -> None:
    check_same(device, rows(n, d), k, metric)


@pytest.mark.parametrize("dtype", ["float64", "float16", "int8"])
def test_element_types(device: Any, dtype: str) -> None:
    check_same(device, (rows(40, 19) * 20).astype(dtype), 6, "cosine")


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("n", "d", "k"), [(5000, 128, 10), (20000, 96, 50), (9999, 768, 10), (6000, 33, 256), (70000, 130, 3)])
def test_filtered_graphs_have_the_bits_of_the_cpu(device: Any, n: int, d: int, k: int, metric: Metric) -> None:
    if device.emulated:
        pytest.skip("too large for the emulated device; tests/csrc/cuda has smaller ones")
    centres = rows(n // 50 + 1, d, 1)
    check_same(device, centres[np.arange(n) % len(centres)] + 0.5 * rows(n, d, 2), k, metric)


def test_duplicates_fill_the_pool(device: Any) -> None:
    if device.emulated:
        pytest.skip("too large for the emulated device; tests/csrc/cuda has smaller ones")
    check_same(device, np.repeat(rows(20, 64), 1000, axis=0), 10, "cosine")


def test_more_elements_than_an_int32_counts(device: Any) -> None:
    if device.emulated:
        pytest.skip("too large for the emulated device")
    n, d = 140_000, 16_384  # 2.3e9
    x = np.zeros((n, d), dtype=np.int8)
    x[np.arange(n), np.arange(n) % 16_000] = 3
    x[:, 16_000:16_008] = np.random.default_rng(0).integers(-2, 3, (n, 8))
    graph = coremax.topk_graph(device.put(x), 2, metric="dot")
    neighbors, similarities = device.get(graph.neighbors), device.get(graph.similarities)
    for i in range(0, n, 20_011):
        products = x[:, x[i] != 0].astype(np.int64) @ x[i, x[i] != 0].astype(np.int64)  # sums of small whole numbers are exact
        products[i] = np.iinfo(np.int64).min
        best = np.lexsort((np.arange(n), -products))[:2]
        np.testing.assert_array_equal(neighbors[i], best)
        np.testing.assert_array_equal(similarities[i], products[best])


def test_a_bad_element_is_named(device: Any) -> None:
    x = rows(40, 5)
    x[17, 3] = np.nan
    with pytest.raises(ValueError, match=r"x\[17, 3\] is nan"):
        coremax.topk_graph(device.put(x), 3)
    x[17, 3] = np.inf
    with pytest.raises(ValueError, match=r"x\[17, 3\] is inf"):
        coremax.topk_graph(device.put(x), 3, metric="euclidean")


def test_a_row_of_zeros_has_no_direction(device: Any) -> None:
    x = rows(40, 5)
    x[[9, 30]] = 0
    with pytest.raises(ValueError, match="row 9 of x is all zeros"):
        coremax.topk_graph(device.put(x), 3)
    check_same(device, x, 3, "euclidean")


def test_an_overflow_is_named(device: Any) -> None:
    x = np.full((4, 2), 1e30, dtype=np.float32)
    with pytest.raises(ValueError, match="the dot product of rows 0 and 1 overflows"):
        coremax.topk_graph(device.put(x), 1, metric="dot")


def test_arguments(device: Any) -> None:
    x = device.put(rows(10, 3))
    with pytest.raises(ValueError, match="k must be from 1 to 9, got 10"):
        coremax.topk_graph(x, 10)
    with pytest.raises(ValueError, match="mode is 'approximate', which runs on the CPU only"):
        coremax.topk_graph(x, 2, mode="approximate")
    with pytest.raises(ValueError, match="isa names a level of the CPU"):
        coremax.topk_graph(x, 2, isa="scalar")
    with pytest.raises(MemoryError, match="memory_limit allows 10"):
        coremax.topk_graph(x, 2, memory_limit=10)
    assert coremax.topk_graph(x, 2, memory_limit=10_000).k == 2


def test_without_the_backend_the_message_says_so() -> None:
    class OnDevice:
        def __dlpack__(self, **_: Any) -> Any:
            raise AssertionError

        def __dlpack_device__(self) -> tuple[int, int]:
            return 2, 0

    config: dict[str, Any] = coremax.show_config("dicts")["cuda"]
    if config["available"]:
        pytest.skip("there is a device")
    with pytest.raises(DeviceError, match="x is on a device"):
        coremax.topk_graph(OnDevice(), 2)
