"""SIM against its formula in float64, part by part and as a whole, and where its formula has nothing to say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from numpy.typing import NDArray

from coremax import _core
from coremax.scores import sim, spherical_kmeans, ssp
from helpers import EDGE_SIZES, ISAS, THREADS, clustered, output_when_interrupted
from oracles import scores as oracle

# Cosines are float32 products, within 1e-6 for up to 128 columns; what is near a centre is scaled by d_P + epsilon.
DISTANCE_TOLERANCE = 1e-6


def softmax(n: int, classes: int, seed: int, sharpness: float = 3.0) -> NDArray[np.float64]:
    logits = sharpness * np.random.default_rng(seed).normal(size=(n, classes))
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: NDArray[np.float64] = exponentials / exponentials.sum(axis=1, keepdims=True)
    return probabilities


def labelled(n: int, d: int, classes: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Embeddings around a direction for each class, of different length."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    x = rng.normal(size=(classes, d))[labels] + 0.7 * rng.normal(size=(n, d))
    return (x * rng.uniform(0.5, 2, size=(n, 1))).astype(np.float32), labels


def separability(x: Any, labels: Any, epsilon: float = 1e-6, log: bool = True, isa: str = "", threads: int = 2) -> Any:
    dense = np.unique(labels, return_inverse=True)[1].reshape(-1).astype(np.int32)
    view, label_view = _core.import_array(x, "x"), _core.import_array(dense, "labels")
    return _core.separability(view, "x", label_view, int(dense.max()) + 1, epsilon, log, isa, threads)


def agreement(models: list[Any], isa: str = "", threads: int = 2) -> Any:
    return _core.agreement([_core.import_array(model, "p") for model in models], ["p"] * len(models), isa, threads)


def robust_scale(values: Any, low: float, high: float, tolerance: float = 0.0) -> Any:
    return _core.robust_scale(_core.import_array(np.array(values, np.float64), "values"), low, high, tolerance)


@pytest.mark.parametrize(("n", "d", "classes"), [(1, 1, 1), (7, 3, 2), (300, 33, 5), (500, 128, 40), (900, 17, 300)])
@pytest.mark.parametrize("log", [True, False])
def test_separability_agrees_with_its_formula(n: int, d: int, classes: int, log: bool) -> None:
    x, labels = labelled(n, d, classes, seed=n)
    ratio, norm = separability(x, labels, epsilon=0.01, log=log)
    expected_ratio, expected_norm = oracle.sim_parts(x, labels, 0.01, log)
    # An error of a distance, over a distance of at least epsilon, for a ratio of up to 2 / epsilon.
    np.testing.assert_allclose(ratio, expected_ratio, rtol=DISTANCE_TOLERANCE / 0.01, atol=2 * DISTANCE_TOLERANCE / 0.01)
    np.testing.assert_allclose(norm, expected_norm, rtol=1e-14)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("classes", EDGE_SIZES)
def test_agreement_agrees_with_its_formula(isa: str, classes: int) -> None:
    for n_models in (1, 2, 3, 7):
        models: list[Any] = [softmax(30, classes, seed=k) for k in range(n_models)]
        np.testing.assert_allclose(agreement(models, isa), oracle.agreement(models), atol=1e-14)
        models[0] = models[0].astype(np.float32)
        np.testing.assert_allclose(agreement(models, isa), oracle.agreement(models), atol=1e-14)


def test_agreement_at_its_ends() -> None:
    same = softmax(50, 9, seed=0)
    np.testing.assert_allclose(agreement([same] * 3), 1, atol=1e-15)
    assert (agreement([same, same]) == 1).all()
    sure = np.eye(4)
    np.testing.assert_allclose(agreement([sure, sure[::-1].copy()]), 0, atol=1e-15)
    np.testing.assert_allclose(agreement([sure, sure[[1, 2, 3, 0]], sure[[2, 3, 0, 1]]]), 0, atol=1e-15)
    # Four experts, two classes: log 2 is all they can differ by.
    np.testing.assert_allclose(agreement([np.array([[1.0, 0]])] * 2 + [np.array([[0, 1.0]])] * 2), 0, atol=1e-15)
    tiny = np.array([[1.0, 5e-324, 1e-308, 0.0]])
    np.testing.assert_allclose(agreement([tiny, tiny[:, ::-1].copy()]), 0, atol=1e-15)
    half = softmax(40, 6, seed=1) * 1.01  # sums are put right
    np.testing.assert_allclose(
        agreement([half, softmax(40, 6, seed=2)]), oracle.agreement([half, softmax(40, 6, seed=2)]), atol=1e-14
    )


def test_robust_scaling() -> None:
    rng = np.random.default_rng(0)
    for n in (1, 2, 3, 10, 101, 1000):
        values = rng.normal(size=n).round(1)
        for low, high in ((0, 100), (1, 99), (25, 75), (50, 50), (0, 0), (100, 100)):
            np.testing.assert_allclose(robust_scale(values, low, high), oracle.robust_scale(values, low, high), atol=1e-13)
    assert robust_scale([3.0, 3, 3], 1, 99).tolist() == [0.5, 0.5, 0.5]
    assert robust_scale([1.0] + 500 * [3] + [9], 1, 99).tolist() == [0] + 500 * [0.5] + [1]
    assert robust_scale([1.0, 1 + 1e-9], 0, 100).tolist() == [0, 1]
    assert robust_scale([1.0, 1 + 1e-9], 0, 100, 1e-8).tolist() == [0.5, 0.5]
    assert robust_scale([0.5, 1.0, 1 + 1e-9, 1 - 1e-9, 1.5], 30, 70, 1e-8).tolist() == [0, 0.5, 0.5, 0.5, 1]
    assert robust_scale([-1e300, 0, 1e300], 0, 100).tolist() == [0, 0.5, 1]


@pytest.mark.parametrize("log", [True, False])
@pytest.mark.parametrize("rescale", [True, False])
def test_sim_agrees_with_its_formula(log: bool, rescale: bool) -> None:
    models = [labelled(400, d, 6, seed=3)[0] for d in (20, 64)]
    labels = labelled(400, 20, 6, seed=3)[1]
    experts = [softmax(400, 8, seed=k) for k in range(2)]
    got = sim(models, labels, experts, epsilon=0.05, log=log, rescale=rescale)
    assert got.dtype == np.float64
    # The scaled separability errs by the ratio's error over the percentiles' distance, which is of order one or more.
    np.testing.assert_allclose(got, oracle.sim(models, labels, experts, 0.05, log, rescale), atol=2e-4)
    alone = sim(models[0], labels, epsilon=0.05, log=log, rescale=rescale)
    np.testing.assert_allclose(alone, oracle.sim(models[:1], labels, [], 0.05, log, rescale), atol=2e-4)
    assert np.array_equal(alone, sim([models[0]], labels, [experts[0]], epsilon=0.05, log=log, rescale=rescale))
    if rescale:
        assert got.min() == 0
        assert got.max() == 1


def test_easy_samples_score_high() -> None:
    x, labels = labelled(3000, 32, 10, seed=0)
    mislabelled = labels.copy()
    mislabelled[:150] = (labels[:150] + 1) % 10
    score = sim(x, mislabelled)
    assert np.median(score[:150]) < np.quantile(score[150:], 0.05)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.float64, np.int8, torch.bfloat16])
def test_same_bits_on_every_level_and_thread_count(dtype: Any) -> None:
    x, labels = labelled(5000, 24, 7, seed=1)
    x = (20 * x).round()
    given: Any = torch.from_numpy(x).to(dtype) if isinstance(dtype, torch.dtype) else x.clip(-127, 127).astype(dtype)
    plain = np.asarray(given.float() if isinstance(given, torch.Tensor) else given, np.float32)
    experts = [softmax(5000, 7, seed=k).astype(np.float32) for k in range(3)]
    expected = sim(plain, labels, experts, threads=1, isa="scalar")
    for isa in ISAS:
        for threads in THREADS:
            got = sim(given, labels, experts, threads=threads, isa=isa)
            assert isinstance(got, torch.Tensor) == isinstance(given, torch.Tensor)
            assert np.array_equal(np.asarray(got).view(np.int64), expected.view(np.int64))


def test_labels_may_be_any_numbers() -> None:
    x, labels = labelled(300, 8, 4, seed=2)
    expected = sim(x, labels)
    for given in (
        labels.astype(np.int32),
        labels.tolist(),
        torch.from_numpy(labels),
        10**15 * labels,
        7 * labels,
        labels.astype(np.uint8),
    ):
        assert np.array_equal(sim(x, given), expected)
    # Their order decides nothing but ties.
    np.testing.assert_allclose(sim(x, 3 - labels), expected, atol=1e-12)
    frozen, wide = x.copy(), np.full((300, 12), np.nan, np.float32)
    frozen.flags.writeable = False
    wide[:, 2:10] = x
    for array in (frozen, wide[:, 2:10], np.asfortranarray(x), x.tolist()):
        assert np.array_equal(sim(array, labels), expected)


def test_one_class_counts_the_distance_to_its_centre_only() -> None:
    x, _ = labelled(50, 6, 1, seed=0)
    ratio, _ = separability(x, np.zeros(50, np.int64), log=False, epsilon=0.5)
    unit = oracle.unit_rows(x)
    centre = oracle.mean_directions(x, np.zeros(50), 1)[0]
    assert centre is not None
    np.testing.assert_allclose(ratio, 2 / (1.5 - unit @ centre), rtol=1e-5)
    assert np.isfinite(sim(x, np.zeros(50, np.int64), [np.ones((50, 1))] * 3)).all()


def test_one_member_is_its_own_centre() -> None:
    x, labels = labelled(60, 8, 3, seed=0)
    labels[5] = 3
    ratio, _ = separability(x, labels)
    assert ratio.argmax() == 5
    assert np.isfinite(sim(x, labels)).all()
    assert np.isfinite(sim(x, np.arange(60))).all()


def test_nothing_to_tell_apart_is_neutral() -> None:
    assert (sim(np.ones((5, 3)), [0, 0, 1, 1, 1]) == 0.5).all()
    assert sim(np.ones((1, 3)), [0]).tolist() == [0.5]
    assert sim([[0.0, 0.0]], [7]).tolist() == [0.5]
    # Rows of one direction: their distances to the centres are rounding.
    rng = np.random.default_rng(0)
    along = np.outer(1 + rng.random(200), rng.normal(size=30)).astype(np.float32)
    unit = along / np.linalg.norm(along, axis=1, keepdims=True)
    assert (sim(unit, rng.integers(0, 3, 200)) == 0.5).all()
    # Unit vectors of any type: their norms are rounding, so separability alone decides.
    x, labels = labelled(500, 40, 5, seed=6)
    unit = oracle.unit_rows(x)
    expected = oracle.robust_scale(oracle.sim_parts(unit, labels, 0.01, True)[0], 1, 99)
    for given in (unit, unit.astype(np.float32), unit.astype(np.float16), torch.from_numpy(unit).to(torch.bfloat16)):
        norms_alike = np.asarray(sim(given, labels, epsilon=0.01))
        bound = {torch.bfloat16: 0.03, np.dtype(np.float16): 0.003}.get(getattr(given, "dtype", None), 1e-3)
        np.testing.assert_allclose(norms_alike, expected, atol=bound)


def test_zero_embeddings_and_classes_that_cancel() -> None:
    x, labels = labelled(80, 6, 4, seed=1)
    x[[3, 40]] = 0
    ratio, norm = separability(x, labels, epsilon=0.5, log=False)
    assert norm[[3, 40]].tolist() == [0, 0]
    np.testing.assert_allclose(ratio[[3, 40]], 1 / 1.5)
    score = sim(x, labels)
    assert score[[3, 40]].tolist() == [0, 0]
    assert np.isfinite(score).all()
    x = np.concatenate([x, [[1, 2, 3, 4, 5, 6], [-1, -2, -3, -4, -5, -6]]]).astype(np.float32)
    labels = np.concatenate([labels, [4, 4]])
    ratio, _ = separability(x, labels, epsilon=0.5, log=False)
    expected, _ = oracle.sim_parts(x, labels, 0.5, False)
    np.testing.assert_allclose(ratio, expected, rtol=1e-5)
    assert np.isfinite(sim(np.zeros((9, 4)), np.arange(9) % 2)).all()


def test_extreme_lengths() -> None:
    x, labels = labelled(200, 8, 3, seed=2)
    for scale in (2.0**-400, 2.0**150):
        wide = x.astype(np.float64) * scale
        np.testing.assert_allclose(sim(wide, labels), sim(x.astype(np.float64), labels), atol=1e-12)
    assert np.isfinite(sim(np.where(np.arange(200)[:, None] % 2, x * 2.0**100, x * 2.0**-100).astype(np.float32), labels)).all()


BAD: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"labels": [0, 1, 0]}, ValueError, r"^labels has 3 elements, but embeddings has 4 rows"),
    ({"labels": [0, -1, 0, -5]}, ValueError, r"^labels\[1\] is -1, but labels must not be negative"),
    (
        {"labels": [0, 0, 3, 1], "probabilities": np.full((4, 3), 1 / 3)},
        ValueError,
        r"^labels\[2\] is 3, but probabilities has classes 0 to 2",
    ),
    ({"labels": [0.5, 1, 1, 1]}, TypeError, r"^labels must be int64 or int32"),
    ({"probabilities": np.full((3, 2), 0.5)}, ValueError, r"^probabilities has 3 rows, but embeddings has 4"),
    (
        {"probabilities": [np.full((4, 2), 0.5), np.full((4, 4), 0.25)]},
        ValueError,
        r"^probabilities\[1\] must have the shape of probabilities\[0\], \(4, 2\), got \(4, 4\)",
    ),
    (
        {"probabilities": [np.full((4, 2), 0.5), np.array([[0.5, 0.5]] * 3 + [[0.5, 0.7]])]},
        ValueError,
        r"^row 3 of probabilities\[1\] sums to 1\.2",
    ),
    ({"probabilities": np.array([[2.0, -1]] * 4)}, ValueError, r"^probabilities\[0, 0\] is 2, outside \[0, 1\]"),
    ({"probabilities": np.array([[0.5, 0.5], [0.5, np.nan]] * 2)}, ValueError, r"^probabilities\[1, 1\] is nan"),
    ({"embeddings": [np.ones((4, 2)), np.ones((3, 2))]}, ValueError, r"^embeddings\[1\] has 3 rows, but embeddings\[0\] has 4"),
    (
        {"embeddings": np.array([[1.0, 2], [3, np.inf], [1, 1], [np.nan, 0]])},
        ValueError,
        r"^embeddings\[1, 1\] is inf; embeddings must be finite",
    ),
    ({"embeddings": [np.ones((4, 2)), np.full((4, 2), np.nan)]}, ValueError, r"^embeddings\[1\]\[0, 0\] is nan"),
    ({"embeddings": np.full((4, 1), 1e-300)}, ValueError, r"^row 0 of embeddings is too small"),
    ({"embeddings": np.ones(4)}, ValueError, r"^embeddings must be two-dimensional"),
    ({"embeddings": np.ones((4, 0))}, ValueError, r"^embeddings is empty"),
    ({"embeddings": None}, TypeError, r"^embeddings must be an array"),
    ({"epsilon": 0}, ValueError, r"^epsilon must be finite and from 1e-12 to 1"),
    ({"percentiles": (99, 1)}, ValueError, r"^percentiles must ascend"),
    ({"percentiles": (0, 101)}, ValueError, r"^percentiles\[1\] must be"),
    ({"percentiles": 5}, TypeError, r"^percentiles must be two numbers"),
    ({"isa": "none"}, ValueError, r"none"),
]


@pytest.mark.parametrize(("change", "error", "message"), BAD)
def test_bad_arguments(change: dict[str, Any], error: type[Exception], message: str) -> None:
    arguments: dict[str, Any] = {"embeddings": np.arange(8.0).reshape(4, 2) + 1, "labels": [0, 1, 0, 1], **change}
    with pytest.raises(error, match=message):
        sim(**arguments)


def test_ssp_is_the_distance_to_the_nearest_centre() -> None:
    x = clustered(600, 20, 8, seed=0)
    x[17] = 0
    centres, _ = spherical_kmeans(x, 8, seed=3)
    got = ssp(x, 8, seed=3)
    assert got.dtype == np.float64
    np.testing.assert_allclose(got, 1 - (oracle.unit_rows(x) @ centres.T).max(axis=1), atol=DISTANCE_TOLERANCE)
    assert got[17] == 1
    assert (got >= 0).all()
    assert isinstance(ssp(torch.from_numpy(x), 8), torch.Tensor)
    with pytest.raises(ValueError, match=r"^n_clusters must be from 1 to 600, got 601"):
        ssp(x, 601)


def test_ctrl_c_stops_it() -> None:
    out = output_when_interrupted("""
import numpy as np, coremax
x = np.random.default_rng(0).normal(size=(200_000, 256)).astype(np.float32)
print("ready", flush=True)
try:
    while True:
        coremax.scores.sim(x, np.arange(200_000) % 50_000)
except KeyboardInterrupt:
    print("stopped")
""")
    assert out == "ready\nstopped\n"


@pytest.mark.parametrize(
    "kind", [np.asarray, list, torch.from_numpy, pa.array, pd.Series, lambda labels: pd.Series(labels, dtype="boolean")]
)
def test_truth_values_are_two_classes(kind: Any) -> None:
    x, labels = labelled(40, 4, 2, seed=3)
    expected = sim(x, labels)
    np.testing.assert_array_equal(sim(x, kind(labels == 1)), expected)
    with pytest.raises(TypeError, match=r"^labels must be int64 or int32, got bool"):  # they number columns there
        sim(x, labels == 1, softmax(40, 2, seed=0))
