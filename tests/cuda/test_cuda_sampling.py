"""Sampling on a device against the CPU, bit for bit."""

from __future__ import annotations

import pickle
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import coremax
from coremax import AliasTable, sample

if TYPE_CHECKING:
    from conftest import Device  # type: ignore[import-not-found,unused-ignore]

SIZES = (1, 2, 15, 16, 17, 31, 32, 33, 65, 2049)


def weights_of(n: int, dtype: str = "float64") -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(n)
    weights = rng.random(n) ** 5
    weights[rng.random(n) < 0.2] = 0
    weights[n // 2] = 0.5
    return weights.astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", SIZES)
def test_tables_and_draws_are_those_of_the_cpu(device: Device, n: int, dtype: str) -> None:
    weights = weights_of(n, dtype)
    there, here = AliasTable(device.put(weights)), AliasTable(weights)
    assert (there.n, there.nbytes) == (here.n, here.nbytes)
    np.testing.assert_array_equal(there._table.cells(), here._table.cells())
    np.testing.assert_array_equal(device.get(there.probabilities()), here.probabilities())
    for size, offset in ((0, 0), (1, 0), (33, 7), (600, 2**62 + 1)):
        drawn = there.sample(size, seed=5, offset=offset)
        assert drawn.__dlpack_device__()[0] == 2
        np.testing.assert_array_equal(device.get(drawn), here.sample(size, seed=5, offset=offset))
    positions = np.array([3, 0, 2**63 - 1, 3])
    np.testing.assert_array_equal(device.get(there.sample_at(device.put(positions), seed=5)), here.sample_at(positions, seed=5))


@pytest.mark.parametrize("n", SIZES)
def test_races_are_those_of_the_cpu(device: Device, n: int) -> None:
    for dtype in ("float32", "float64"):
        weights = weights_of(n, dtype)
        n_positive = int((weights > 0).sum())
        with np.errstate(divide="ignore"):
            logs = np.log(weights)
        for size in {0, 1, n_positive // 3, n_positive}:
            got = sample(device.put(weights), size, seed=3)
            np.testing.assert_array_equal(device.get(got), sample(weights, size, seed=3))
            got = sample(device.put(logs), size, log_weights=True, seed=4)
            np.testing.assert_array_equal(device.get(got), sample(logs, size, log_weights=True, seed=4))


def test_drawing_with_replacement(device: Device) -> None:
    weights = weights_of(100)
    np.testing.assert_array_equal(
        device.get(sample(device.put(weights), 50, replace=True, seed=1, device="cuda")),
        sample(weights, 50, replace=True, seed=1),
    )
    with pytest.raises(ValueError, match=r"can not be drawn from with replacement: pass weights.cpu\(\)"):
        sample(device.put(weights), 5, replace=True, log_weights=True)


def test_tables_are_updated_moved_and_saved(device: Device, tmp_path: Path) -> None:
    first, second = weights_of(50), weights_of(70)
    table = AliasTable(device.put(first))
    with pytest.raises(ValueError, match=r"weights\[1\] is nan"):
        table.update(device.put(np.array([1.0, np.nan])))
    np.testing.assert_array_equal(table._table.cells(), AliasTable(first)._table.cells())
    table.update(device.put(second))
    np.testing.assert_array_equal(table._table.cells(), AliasTable(second)._table.cells())
    table.save(tmp_path / "table.npz")
    for restored in (AliasTable.load(tmp_path / "table.npz"), pickle.loads(pickle.dumps(table))):
        np.testing.assert_array_equal(restored.sample(9), device.get(table.sample(9)))  # on the CPU
    table.update(first)
    np.testing.assert_array_equal(table.sample(9), AliasTable(first).sample(9))
    table.update(device.put(first))
    np.testing.assert_array_equal(device.get(table.sample(9)), AliasTable(first).sample(9))


def test_bad_input(device: Device) -> None:
    for weights, message in (
        ([1.0, -2.0, np.nan], r"weights\[1\] is negative \(-2\)"),
        ([1.0, np.inf], r"weights\[1\] is inf; weights must be finite"),
        ([0.0, 0.0], "no positive element"),
        ([], "weights is empty"),
    ):
        with pytest.raises(ValueError, match=message):
            AliasTable(device.put(np.array(weights)))
        with pytest.raises(ValueError, match=message):
            sample(device.put(np.array(weights)), 0)
    there = device.put(np.array([1.0, 0.0, 2.0]))
    with pytest.raises(ValueError, match="size is 3, but only 2 weights are positive"):
        sample(there, 3)
    with pytest.raises(ValueError, match="size is 1152921504606846976, but there are only 3 weights"):
        sample(there, 2**60)
    with pytest.raises(TypeError, match="weights must be float32 or float64, got int64"):
        AliasTable(device.put(np.ones(3, np.int64)))
    with pytest.raises(ValueError, match="weights must be one-dimensional"):
        AliasTable(device.put(np.ones((3, 2))))
    with pytest.raises(ValueError, match="device is 'cpu', but arrays are used where they are"):
        AliasTable(there, device="cpu")
    with pytest.raises(ValueError, match="device is 'cuda', but arrays are used where they are"):
        AliasTable(np.ones(3), device="cuda")
    table = AliasTable(there)
    with pytest.raises(ValueError, match=r"positions\[1\] is negative: -4"):
        table.sample_at(device.put(np.array([1, -4])))
    with pytest.raises(ValueError, match="in one place, got positions on the CPU, table on cuda:0"):
        table.sample_at(np.array([1, 2]))
    with pytest.raises(coremax.DeviceError, match=r"positions is on a device .*pass positions.cpu\(\)"):
        AliasTable(np.ones(3)).sample_at(device.put(np.array([1])))
    with pytest.raises(MemoryError, match="the device has not enough memory left"):
        table.sample(2**50)


def test_threads_share_a_table(device: Device) -> None:
    if device.emulated:
        pytest.skip("the emulated device is for one thread")
    weights = weights_of(100_000)
    table, expected = AliasTable(device.put(weights)), AliasTable(weights).sample(10_000, seed=1)
    results: list[Any] = []
    threads = [threading.Thread(target=lambda: results.append(device.get(table.sample(10_000, seed=1)))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8
    for result in results:
        np.testing.assert_array_equal(result, expected)


def test_large_tables(device: Device) -> None:
    if device.emulated:
        pytest.skip("too much for the emulated device")
    n = 20_000_003
    weights = np.random.default_rng(0).random(n, np.float32)
    there, here = AliasTable(device.put(weights)), AliasTable(weights)
    np.testing.assert_array_equal(there._table.cells(), here._table.cells())
    np.testing.assert_array_equal(device.get(there.sample(n, seed=1)), here.sample(n, seed=1))
    np.testing.assert_array_equal(device.get(sample(device.put(weights), n // 7, seed=2)), sample(weights, n // 7, seed=2))


def test_more_than_two_to_the_31_draws(device: Device) -> None:
    torch: Any = pytest.importorskip("torch")
    if device.emulated or not torch.cuda.is_available():
        pytest.skip("needs a device, and PyTorch to look at so many draws there")
    size = 2**31 + 1000
    weights = torch.rand(1000, device="cuda")
    table = AliasTable(weights)
    drawn = table.sample(size, seed=1)
    assert (drawn.shape, drawn.device.type) == ((size,), "cuda")
    tail = table.sample(1500, seed=1, offset=size - 1500)
    assert torch.equal(drawn[-1500:], tail)
    assert 0 <= int(drawn.min()) <= int(drawn.max()) < 1000


def test_streams_of_torch(device: Device) -> None:
    torch: Any = pytest.importorskip("torch")
    if device.emulated or not torch.cuda.is_available():
        pytest.skip("needs a device and a PyTorch that can use it")
    weights = weights_of(1_000_000, "float32")
    expected = AliasTable(weights).sample(1_000_000, seed=1)
    for _ in range(20):
        with torch.cuda.stream(torch.cuda.Stream()):
            there = torch.from_numpy(weights).cuda(non_blocking=True) * 1  # under way when the table is built
            table = AliasTable(there)
            del there
        with torch.cuda.stream(torch.cuda.Stream()):
            drawn = table.sample(1_000_000, seed=1)
            assert np.array_equal(drawn.cpu().numpy(), expected)


def test_what_runs_on_the_cpu_says_so(device: Any) -> None:
    weights = device.put(np.ones(4))
    with pytest.raises(coremax.DeviceError, match=r"weights is on a device \(cuda:0\).* pass weights.cpu\(\)"):
        coremax.sampling.partial_sample(weights, 2, start=0, seed=1)
    with pytest.raises(coremax.DeviceError, match=r"weights is on a device \(cuda:0\).* pass weights.cpu\(\)"):
        coremax.sampling.inclusion_probabilities(weights, 2)
