"""SIM on a device: the bits of the CPU's, and within its tolerance of the formula."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import coremax
from coremax.scores import sim
from oracles import scores as oracle

if TYPE_CHECKING:
    from conftest import Device  # type: ignore[import-not-found,unused-ignore]

Array = np.ndarray[Any, Any]


def labelled(n: int, d: int, classes: int, seed: int = 0) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    x = rng.normal(size=(classes, d))[labels] + 0.7 * rng.normal(size=(n, d))
    return (20 * x * rng.uniform(0.5, 2, size=(n, 1))).astype(np.float32), labels


def softmax(n: int, classes: int, seed: int) -> Array:
    exponentials = np.exp(3 * np.random.default_rng(seed).normal(size=(n, classes)))
    shares: Array = exponentials / exponentials.sum(axis=1, keepdims=True)
    return shares


def there(device: Device, given: Any) -> Any:
    if isinstance(given, list):
        return [device.put(array) for array in given]
    return None if given is None else device.put(given)


def check_same(device: Device, embeddings: Any, labels: Array, probabilities: Any = None, **options: Any) -> Array:
    got = sim(there(device, embeddings), device.put(labels), there(device, probabilities), **options)
    assert got.__dlpack_device__()[0] == 2
    expected: Array = sim(embeddings, labels, probabilities, **options)
    found: Array = device.get(got)
    np.testing.assert_array_equal(found.view(np.int64), expected.view(np.int64))
    return found


@pytest.mark.parametrize("classes", [1, 2, 16, 17, 33])
@pytest.mark.parametrize(("n", "d"), [(1, 1), (31, 15), (65, 16), (130, 65)])
def test_scores_are_those_of_the_cpu(device: Device, n: int, d: int, classes: int) -> None:
    x, labels = labelled(n, d, classes)
    check_same(device, x, labels)
    check_same(device, x, 1000 * labels.astype(np.int32), log=False, rescale=False, percentiles=(5, 90.5), epsilon=0.1)
    experts = [softmax(n, classes, k) for k in range(3)]
    check_same(device, [x, x[:, ::2] + 1], labels, experts)
    check_same(device, x, labels, [experts[0].astype(np.float32), experts[1]], rescale=False)
    check_same(device, [x], labels, experts[0])


@pytest.mark.parametrize("dtype", ["float64", "float16", "int8"])
def test_element_types(device: Device, dtype: str) -> None:
    x, labels = labelled(90, 24, 7)
    check_same(device, x.clip(-127, 127).astype(dtype), labels)


def test_bfloat16(device: Device) -> None:
    x, labels = labelled(90, 24, 7)
    bits = (x.view(np.uint32) >> 16).astype(np.uint16)
    got = sim(device.put(bits, "bfloat16"), device.put(labels), percentiles=(3, 97))
    exact = (bits.astype(np.uint32) << 16).view(np.float32)
    np.testing.assert_array_equal(device.get(got), sim(exact, labels, percentiles=(3, 97)))


def test_scores_agree_with_their_formula(device: Device) -> None:
    models = [labelled(300, d, 6, seed=3)[0] for d in (20, 64)]
    labels = labelled(300, 20, 6, seed=3)[1]
    experts = [softmax(300, 8, seed=k) for k in range(2)]
    got = device.get(sim(there(device, models), device.put(labels), there(device, experts), epsilon=0.05))
    # As on the CPU: the ratio's error over the percentiles' distance, which is of order one or more.
    np.testing.assert_allclose(got, oracle.sim(models, labels, experts, 0.05), atol=2e-4)


def test_nothing_to_tell_apart_is_neutral(device: Device) -> None:
    assert (check_same(device, np.ones((5, 3)), np.array([0, 0, 1, 1, 1])) == 0.5).all()
    x, labels = labelled(80, 6, 4)
    x[[3, 40]] = 0
    assert check_same(device, x, labels)[[3, 40]].tolist() == [0, 0]
    cancel = np.concatenate([x, [[1, 2, 3, 4, 5, 6], [-1, -2, -3, -4, -5, -6]]]).astype(np.float32)
    check_same(device, cancel, np.concatenate([labels, [4, 4]]))
    check_same(device, np.zeros((9, 4)), np.arange(9) % 2)
    check_same(device, x, np.arange(80))
    unit = oracle.unit_rows(labelled(80, 6, 4)[0])
    for given in (unit, unit.astype(np.float32), unit.astype(np.float16)):
        check_same(device, given, labels)
    for scale in (2.0**-400, 2.0**150):
        check_same(device, x.astype(np.float64) * scale, labels)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"labels": np.array([0, 1, 0])}, r"^labels has 3 elements, but embeddings has 4 rows"),
    ({"labels": np.array([0, -1, 0, -5])}, r"^labels\[1\] is -1, but labels must not be negative"),
    (
        {"labels": np.array([0, 0, 3, 4]), "probabilities": np.full((4, 3), 1 / 3)},
        r"^labels\[2\] is 3, but probabilities has classes 0 to 2",
    ),
    ({"probabilities": np.full((3, 2), 0.5)}, r"^probabilities has 3 rows, but embeddings has 4"),
    (
        {"probabilities": [np.full((4, 2), 0.5), np.full((4, 4), 0.25)]},
        r"^probabilities\[1\] must have the shape of probabilities\[0\], \(4, 2\), got \(4, 4\)",
    ),
    (
        {"probabilities": [np.full((4, 2), 0.5), np.array([[0.5, 0.5]] * 3 + [[0.5, 0.7]])]},
        r"^row 3 of probabilities\[1\] sums to 1\.2",
    ),
    ({"probabilities": np.array([[2.0, -1]] * 4)}, r"^probabilities\[0, 0\] is 2, outside \[0, 1\]"),
    ({"probabilities": np.array([[0.5, 0.5], [0.5, np.nan]] * 2)}, r"^probabilities\[1, 1\] is nan"),
    ({"embeddings": [np.ones((4, 2)), np.ones((3, 2))]}, r"^embeddings\[1\] has 3 rows, but embeddings\[0\] has 4"),
    (
        {"embeddings": np.array([[1.0, 2], [3, np.inf], [1, 1], [np.nan, 0]])},
        r"^embeddings\[1, 1\] is inf; embeddings must be finite",
    ),
    ({"embeddings": [np.ones((4, 2)), np.full((4, 2), np.nan)]}, r"^embeddings\[1\]\[0, 0\] is nan"),
    ({"embeddings": np.full((4, 1), 1e-300)}, r"^row 0 of embeddings is too small"),
    ({"embeddings": np.full((4, 1), 1e300)}, r"^embeddings\[0, 0\] is beyond the range of float32"),
    ({"embeddings": np.ones(4)}, r"^embeddings must be two-dimensional"),
    ({"embeddings": np.ones((4, 0))}, r"^embeddings is empty"),
    ({"isa": "scalar"}, r"^isa names a level of the CPU, got 'scalar': embeddings is on cuda:0"),
]


@pytest.mark.parametrize(("change", "message"), BAD)
def test_bad_arguments_are_named_as_on_the_cpu(device: Device, change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {
        "embeddings": np.arange(8.0).reshape(4, 2) + 1,
        "labels": np.array([0, 1, 0, 1]),
        "probabilities": None,
        **change,
    }
    placed = {
        name: there(device, value) if name in ("embeddings", "labels", "probabilities") else value
        for name, value in arguments.items()
    }
    with pytest.raises(ValueError, match=message):
        sim(**placed)
    if "isa" not in change:
        with pytest.raises(ValueError, match=message):
            sim(**arguments)


def test_mixes_are_refused(device: Device) -> None:
    x, labels = labelled(10, 3, 2)
    p = softmax(10, 2, 0)
    with pytest.raises(ValueError, match="in one place, got embeddings on cuda:0, labels on the CPU: move them"):
        sim(device.put(x), labels)
    with pytest.raises(ValueError, match="got embeddings on the CPU, labels on cuda:0"):
        sim(x, device.put(labels))
    with pytest.raises(ValueError, match=r"embeddings\[0\] on cuda:0, embeddings\[1\] on the CPU"):
        sim([device.put(x), x], device.put(labels))
    with pytest.raises(ValueError, match=r"probabilities\[1\] on the CPU"):
        sim(device.put(x), device.put(labels), [device.put(p), p])
    with pytest.raises(TypeError, match="labels must be int64 or int32, got float64"):
        sim(device.put(x), device.put(labels.astype(np.float64)))
    with pytest.raises(TypeError, match="probabilities must be float32 or float64, got float16"):
        sim(device.put(x), device.put(labels), device.put(p.astype(np.float16)))


def test_large_inputs(device: Device) -> None:
    if device.emulated:
        pytest.skip("too much for the emulated device")
    for n, d, classes, dtype in (
        (100_003, 768, 1000, np.float32),
        (200_001, 129, 10, np.float16),
        (50_000, 64, 40_000, np.float32),
    ):
        x, labels = labelled(n, d, classes)
        check_same(device, x.astype(dtype), labels, [softmax(n, 100, 0), softmax(n, 100, 1)] if classes <= 100 else None)


def test_more_elements_than_an_int32_counts(device: Device) -> None:
    if device.emulated:
        pytest.skip("too large for the emulated device")
    n, d = 140_000, 16_384  # 2.3e9
    x = np.zeros((n, d), dtype=np.int8)
    x[np.arange(n), np.arange(n) % 16_000] = 3
    x[:, 16_000:16_008] = np.random.default_rng(0).integers(-2, 3, (n, 8))
    check_same(device, x, np.arange(n) % 3)


def test_arrays_of_torch(device: Device) -> None:
    torch: Any = pytest.importorskip("torch")
    if device.emulated or not torch.cuda.is_available():
        pytest.skip("needs a device and a PyTorch that can use it")
    x, labels = labelled(100_000, 96, 50)
    expected = sim(x, labels, [softmax(100_000, 50, 0), softmax(100_000, 50, 1)])
    for _ in range(5):
        with torch.cuda.stream(torch.cuda.Stream()):
            given = torch.from_numpy(x).cuda(non_blocking=True) * 1  # under way when it is read
            experts = [torch.from_numpy(softmax(100_000, 50, k)).cuda() for k in range(2)]
            got = sim(given, torch.from_numpy(labels).cuda(), experts)
            del given
            assert got.device.type == "cuda"
            assert np.array_equal(got.cpu().numpy(), expected)
    half = torch.from_numpy(x).bfloat16()
    assert torch.equal(sim(half.cuda(), torch.from_numpy(labels).cuda()).cpu(), sim(half, labels))


def test_without_the_backend_the_message_says_so() -> None:
    config: dict[str, Any] = coremax.show_config("dicts")["cuda"]
    if config["available"]:
        pytest.skip("there is a device")

    class OnDevice:
        shape = (3, 2)

        def __dlpack_device__(self) -> tuple[int, int]:
            return 2, 0

    with pytest.raises(coremax.DeviceError, match=r"^embeddings\[0\] is on a device"):
        sim([OnDevice(), OnDevice()], OnDevice(), OnDevice())
