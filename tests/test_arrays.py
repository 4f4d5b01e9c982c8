"""Arrays in and out: every library, no copies, clear errors."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import coremax
from coremax import _core
from helpers import same_bits

X = np.random.default_rng(0).normal(size=(40, 7)).astype(np.float32)


def test_numpy_is_viewed_in_place() -> None:
    view = _core.import_array(X, "x")
    assert (view.address, view.shape, view.dtype, view.device) == (X.ctypes.data, (40, 7), "float32", "cpu")


def test_torch_is_viewed_in_place() -> None:
    tensor = torch.from_numpy(X.copy())
    assert _core.import_array(tensor, "x").address == tensor.data_ptr()
    assert _core.import_array(tensor.to(torch.bfloat16), "x").dtype == "bfloat16"


def test_read_only_input_is_viewed_in_place() -> None:
    frozen = X.copy()
    frozen.flags.writeable = False
    view = _core.import_array(frozen, "x")
    assert view.readonly
    assert view.address == frozen.ctypes.data
    assert same_bits(coremax.topk_graph(frozen, 3, copy=False).similarities, coremax.topk_graph(X, 3).similarities)


class Producer:
    """A DLPack producer of our making, over a NumPy array, of the old protocol or the new."""

    def __init__(self, array: Any, legacy: bool, device: int = 1) -> None:
        self.array, self.legacy, self.device = array, legacy, device

    def __dlpack_device__(self) -> tuple[int, int]:
        return (self.device, 0)

    def __dlpack__(self, **keywords: Any) -> Any:
        if self.legacy and keywords:
            raise TypeError("no keywords before DLPack 1.0")
        return self.array.__dlpack__(**keywords)


@pytest.mark.parametrize("legacy", [True, False])
def test_any_producer_of_either_dlpack_version(legacy: bool) -> None:
    producer = Producer(X, legacy)
    graph = coremax.topk_graph(producer, 3)
    assert same_bits(graph.similarities, coremax.topk_graph(X, 3).similarities)


def test_view_keeps_its_owner_alive_and_lets_it_go() -> None:
    import gc
    import weakref

    tensor = torch.arange(12, dtype=torch.float32).reshape(3, 4)
    alive = weakref.ref(tensor.untyped_storage())
    view: Any = _core.import_array(tensor, "x")
    address = tensor.data_ptr()
    del tensor
    gc.collect()
    assert view.address == address
    del view
    gc.collect()
    assert alive() is None


def test_a_used_capsule_is_given_back_once() -> None:
    # NumPy's capsules hold a reference to the array each: a leak would raise the count, giving back twice would lower it.
    array = X.copy()
    before = sys.getrefcount(array)
    for legacy in (True, False) * 1000:
        _core.import_array(Producer(array, legacy), "x")
    assert sys.getrefcount(array) == before


def test_results_come_back_in_the_callers_library() -> None:
    tensor = torch.from_numpy(X.copy())
    graph = coremax.topk_graph(tensor, 3)
    assert isinstance(graph.neighbors, torch.Tensor)
    assert graph.neighbors.dtype == torch.int64
    solution = coremax.solve(torch.rand(40), graph, 5)
    assert isinstance(solution.indices, torch.Tensor)
    assert isinstance(coremax.infomax(tensor, torch.rand(40), 5).indices, torch.Tensor)
    assert isinstance(graph.to_csr()[0], torch.Tensor)
    assert np.array_equal(np.asarray(graph.neighbors), coremax.topk_graph(X, 3).neighbors)


@pytest.mark.parametrize("kind", ["columns", "reversed", "fortran", "unaligned", "broadcast"])
def test_scattered_input_is_copied_once_or_refused(kind: str) -> None:
    wide = np.random.default_rng(1).normal(size=(40, 14)).astype(np.float32)
    raw = np.zeros(40 * 7 * 4 + 1, dtype=np.uint8)
    scattered = {
        "columns": wide[:, ::2],
        "reversed": X[:, ::-1],
        "fortran": np.asfortranarray(X),
        "unaligned": raw[1:].view(np.float32).reshape(40, 7),
        "broadcast": np.broadcast_to(np.arange(1, 41, dtype=np.float32)[:, None], (40, 7)),
    }[kind]
    if kind == "unaligned":
        scattered[:] = X
    expected = coremax.topk_graph(np.ascontiguousarray(scattered), 3)
    assert same_bits(coremax.topk_graph(scattered, 3).similarities, expected.similarities)
    with pytest.raises(ValueError, match=r"x can not be used without a copy \(copy=False\)"):
        coremax.topk_graph(scattered, 3, copy=False)


def test_rows_that_lie_apart_need_no_copy() -> None:
    wide = np.random.default_rng(2).normal(size=(80, 20)).astype(np.float32)
    for apart in (wide[::2, 3:10], wide[::-1, :7]):
        graph = coremax.topk_graph(apart, 4, copy=False)
        assert same_bits(graph.similarities, coremax.topk_graph(apart.copy(), 4).similarities)
    assert coremax.topk_graph(torch.from_numpy(wide)[:, 3:10], 4, copy=False).n == 80


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "x must be an array, got NoneType"),
        ("embeddings", "x must be an array, got str"),
        ({"a": 1}, "x must be an array, got dict"),
        ([[1.0, 2.0], [3.0]], "x (can not be read as an array|must be an array of numbers)"),
        (np.zeros((4, 3), dtype=np.complex64), "x must be float32 or .* got complex64"),
        (np.zeros((4, 3), dtype=bool), "got bool"),
        (np.zeros((4, 3), dtype=np.int64), "got int64"),
        (np.array([["a", "b"]]), "got <U1"),
        (np.ma.masked_less(X, 0), "x is a masked array"),
    ],
)
def test_what_is_no_embedding_is_refused(value: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        coremax.topk_graph(value, 1)


def test_tensor_that_requires_grad_says_what_to_do() -> None:
    with pytest.raises(TypeError, match=r"x can not be read through DLPack: .*detach"):
        coremax.topk_graph(torch.rand(4, 3, requires_grad=True), 1)


def test_other_devices_are_refused() -> None:
    with pytest.raises(coremax.DeviceError, match=r"x is on a device .*pass x.cpu\(\)"):
        coremax.topk_graph(Producer(X, legacy=False, device=2), 1)


def test_plain_lists_and_columns_work() -> None:
    solution = coremax.solve([3, 1, 2], coremax.Graph.from_neighbors([[1], [0], [0]], [[0.5], [0.5], [0.0]]), 2)
    assert solution.indices.tolist() == [0, 2]


def test_private_functions_check_again() -> None:
    flat = _core.import_array(np.zeros(3, dtype=np.float32), "x")
    wrong = _core.import_array(np.zeros((3, 2), dtype=np.int64), "x")
    strided = _core.import_array(np.zeros((4, 6), dtype=np.float32)[:, ::2], "x")
    for array, error in ((flat, ValueError), (wrong, TypeError), (strided, ValueError)):
        with pytest.raises(error):
            _core.topk(array, None, 1, "cosine", "", 1, None)
    good = _core.import_array(X, "x")
    rows = _core.import_array(np.array([0, 40]), "rows")
    with pytest.raises(ValueError, match=r"rows\[1\] is not a row of x"):
        _core.topk(good, rows, 1, "cosine", "", 1, None)
    with pytest.raises(ValueError, match="metric must be"):
        _core.topk(good, None, 1, "manhattan", "", 1, None)


@pytest.mark.parametrize("case", ["neighbors", "indptr", "weights", "rows"])
def test_input_that_changes_during_the_call_is_garbage_but_no_crash(case: str) -> None:
    # In a process of its own, so that a crash would be one line here.
    code = f"""
import threading, time, numpy as np, coremax
rng, n, case = np.random.default_rng(0), 20_000, {case!r}
if case == "neighbors":
    good = rng.integers(0, n, (n, 8)); a = good.copy(); bad = [-1, 0]
    call = lambda: coremax.Graph.from_neighbors(a, np.ones((n, 8), dtype=np.float32)).to_csr()
elif case == "indptr":
    good = np.arange(0, 8 * n + 1, 8); a = good.copy(); bad = [2**40, -1]
    call = lambda: coremax.Graph.from_csr(a, rng.integers(0, n, 8 * n), np.ones(8 * n, dtype=np.float32)).to_csr()
elif case == "weights":
    good = rng.random(n); a = good.copy(); bad = [np.nan, -5, 1e300]
    call = lambda: coremax.AliasTable(a).sample(10)
else:
    good = rng.normal(size=(500, 8)).astype(np.float32); a = good.copy(); bad = [np.nan, 3e38, 0]
    def call():
        found = coremax.topk_graph(a, 3).neighbors
        assert found.min() >= 0 and found.max() < 500
stop = False
def change():
    while not stop:
        for value in bad:
            a[:] = value
            a[:] = good
changer = threading.Thread(target=change)
changer.start()
end = time.perf_counter() + 1.5
while time.perf_counter() < end:
    try:
        call()
    except ValueError:
        pass
stop = True
changer.join()
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_dlpack_is_enough() -> None:
    rng = np.random.default_rng(0)
    weights, x, labels = rng.random(40), rng.normal(size=(40, 5)).astype(np.float32), rng.integers(0, 3, 40)
    calls: list[Callable[[Callable[[Any], Any]], Any]] = [
        lambda of: coremax.sampling.inclusion_probabilities(of(weights), 7),
        lambda of: coremax.sampling.systematic(of(weights), 7),
        lambda of: coremax.sampling.stratified(of(labels), 7, weights=of(weights)),
        lambda of: coremax.sample(of(np.log(weights)), 7, replace=True, log_weights=True),
        lambda of: coremax.sampling.largest_remainder(of(weights), 7),
        lambda of: coremax.selection.top(of(weights), 7).indices,
        lambda of: coremax.selection.ccs(of(weights), 7).indices,
        lambda of: coremax.selection.sims(of(weights), 7, labels=of(labels)).indices,
        lambda of: coremax.selection.d2(of(x), of(weights), 7).indices,
        lambda of: coremax.selection.moderate(of(x), 7, labels=of(labels)).indices,
        lambda of: coremax.selection.semdedup(of(x), 7).indices,
        lambda of: coremax.infomax(of(x), of(weights), 7).indices,
        lambda of: coremax.scores.sim(of(x), of(labels)),
    ]
    for number, call in enumerate(calls):
        np.testing.assert_array_equal(
            np.asarray(call(lambda array: Producer(array, legacy=False))), np.asarray(call(lambda array: array)), str(number)
        )


def test_torch_views_of_the_other_sign_are_read_right() -> None:
    weights = torch.tensor([1 - 1j, 2 - 3j]).conj().imag
    assert weights.is_neg()
    np.testing.assert_allclose(coremax.sampling.inclusion_probabilities(weights, 1), [0.25, 0.75])
    assert coremax.selection.top(weights, 1).indices.tolist() == [1]
