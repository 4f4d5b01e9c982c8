"""The scores against their formulas in float64, and what callers may pass."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from coremax.scores import el2n, entropy, margin
from helpers import EDGE_SIZES, THREADS
from oracles import scores as oracle

# Sums of at most 65 terms of order one in float64; both sides take the same rounded probabilities.
TOLERANCE = 1e-13


def softmax(n: int, classes: int, seed: int, dtype: Any = np.float64) -> NDArray[Any]:
    logits = 3 * np.random.default_rng(seed).normal(size=(n, classes))
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: NDArray[Any] = (exponentials / exponentials.sum(axis=1, keepdims=True)).astype(dtype)
    return probabilities


def classes_of(n: int, classes: int, seed: int) -> NDArray[np.int64]:
    return np.random.default_rng(seed).integers(0, classes, n)


def assert_scores(got: Any, expected: NDArray[np.float64]) -> None:
    assert got.dtype == np.float64
    np.testing.assert_allclose(got, expected, rtol=TOLERANCE, atol=TOLERANCE)


# Every score as a function of probabilities and labels, and its oracle.
SCORES: list[tuple[Callable[..., Any], Callable[..., Any]]] = [
    (el2n, oracle.el2n),
    (margin, oracle.margin),
    (lambda p, _, **options: margin(p, **options), lambda p, _: oracle.margin(p)),
    (lambda p, _, **options: entropy(p, **options), lambda p, _: oracle.entropy(p)),
]
scores = pytest.mark.parametrize(("score", "formula"), SCORES, ids=["el2n", "margin", "margin without labels", "entropy"])
Function = Callable[..., Any]


@scores
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("classes", EDGE_SIZES)
def test_scores_agree_with_their_formulas(score: Function, formula: Function, dtype: Any, classes: int) -> None:
    for n in (1, 2, 33):
        probabilities = softmax(n, classes, seed=classes, dtype=dtype)
        labels = classes_of(n, classes, seed=n)
        assert_scores(score(probabilities, labels), formula(probabilities, labels.tolist()))


@scores
@pytest.mark.parametrize("threads", THREADS)
def test_threads_do_not_change_the_scores(score: Function, formula: Function, threads: int) -> None:
    probabilities = softmax(10_000, 5, seed=1)
    labels = classes_of(10_000, 5, seed=1)
    got = score(probabilities, labels, threads=threads)
    assert np.array_equal(got.view(np.int64), score(probabilities, labels, threads=1).view(np.int64))
    assert_scores(got[-20:], formula(probabilities[-20:], labels[-20:].tolist()))


def test_known_values() -> None:
    sure, wrong, unsure = [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.5, 0.5, 0.0]
    probabilities = [sure, wrong, unsure]
    labels = [0, 0, 1]
    assert el2n(probabilities, labels).tolist() == pytest.approx([0, math.sqrt(2), math.sqrt(0.5)], abs=1e-15)
    assert margin(probabilities, labels).tolist() == [0, 2, 1]
    assert margin(probabilities).tolist() == [0, 0, 1]
    assert entropy(probabilities).tolist() == pytest.approx([0, 0, math.log(2)], abs=1e-15)


def test_extreme_probabilities() -> None:
    probabilities = np.array([[1.0, 5e-324, 1e-308], [1.0 + 1e-12, 0.0, 0.0], [0.99, 0.0, 0.0], [1.0, 0.0199, 0.0]])
    labels = [0, 0, 0, 1]
    assert_scores(el2n(probabilities, labels), oracle.el2n(probabilities, labels))
    assert_scores(margin(probabilities, labels), oracle.margin(probabilities, labels))
    got = entropy(probabilities)
    assert (got >= 0).all()
    assert_scores(got, np.maximum(oracle.entropy(probabilities), 0))
    one_class = np.ones((3, 1))
    assert el2n(one_class, [0, 0, 0]).tolist() == [0, 0, 0]
    assert margin(one_class).tolist() == [0, 0, 0]
    assert entropy(one_class).tolist() == [0, 0, 0]


def test_half_precision_softmax_passes() -> None:
    for dtype in (torch.float16, torch.bfloat16):
        probabilities = torch.from_numpy(softmax(200, 100, seed=2)).to(dtype).to(torch.float32)
        assert_scores(entropy(probabilities).numpy(), oracle.entropy(probabilities.numpy()))
    narrow = softmax(50, 10, seed=3, dtype=np.float16)
    assert_scores(entropy(narrow), oracle.entropy(narrow))


@scores
def test_several_models_are_averaged(score: Function, formula: Function) -> None:
    models = [softmax(40, 7, seed) for seed in range(3)]
    labels = classes_of(40, 7, seed=4)
    mean = np.mean([formula(model, labels.tolist()) for model in models], axis=0)
    assert_scores(score(models, labels), mean)
    assert_scores(score(tuple(models), labels), mean)
    assert_scores(score([models[0]], labels), formula(models[0], labels.tolist()))
    # The scores are averaged, not the probabilities.
    assert not np.allclose(score(models, labels), score(np.mean(models, axis=0), labels))


def test_models_must_have_one_shape() -> None:
    with pytest.raises(ValueError, match=r"^probabilities of all models must have one shape, got "):
        entropy([softmax(40, 7, 0), softmax(39, 7, 1)])
    bad = softmax(40, 7, 1)
    bad[3, 2] = np.nan
    with pytest.raises(ValueError, match=r"^probabilities\[3, 2\] is nan"):
        entropy([softmax(40, 7, 0), bad])
    with pytest.raises(ValueError, match=r"must have one shape, got \(1, 7\) and \(1, 3\)$"):
        el2n([softmax(1, 7, 0), softmax(1, 3, 1)], [5])


@scores
def test_libraries_and_layouts(score: Function, formula: Function) -> None:
    plain = softmax(30, 6, seed=5)
    labels = classes_of(30, 6, seed=6)
    expected = score(plain, labels)
    frozen = plain.copy()
    frozen.flags.writeable = False
    wide = np.full((30, 9), np.nan)
    wide[:, 2:8] = plain
    frozen_labels = labels.copy()
    frozen_labels.flags.writeable = False
    for probabilities in (
        frozen,
        wide[:, 2:8],
        np.asfortranarray(plain),
        plain[::-1].copy()[::-1],
        plain.tolist(),
        plain.astype(">f8"),
    ):
        for given in (
            labels,
            frozen_labels,
            labels.astype(np.int32),
            labels.astype(np.uint8),
            labels.tolist(),
            np.repeat(labels, 2)[::2],
        ):
            got = score(probabilities, given)
            assert isinstance(got, np.ndarray)
            assert np.array_equal(got, expected)
    for tensor in (torch.from_numpy(plain), torch.from_numpy(wide)[:, 2:8], torch.from_numpy(np.asfortranarray(plain))):
        got = score(tensor, torch.from_numpy(labels))
        assert isinstance(got, torch.Tensor)
        assert got.dtype == torch.float64
        assert np.array_equal(got.numpy(), expected)
    assert (frozen == plain).all()


BAD_ROWS: list[tuple[float, str]] = [
    (math.nan, r"^probabilities\[7, 2\] is nan; probabilities must be finite"),
    (math.inf, r"^probabilities\[7, 2\] is inf; probabilities must be finite"),
    (-math.inf, r"^probabilities\[7, 2\] is -inf; probabilities must be finite"),
    (-0.25, r"^probabilities\[7, 2\] is -0\.25, outside \[0, 1\]; pass probabilities \(a softmax\), not logits"),
    (-1e-300, r"^probabilities\[7, 2\] is -1e-300, outside \[0, 1\]"),
    (1.5, r"^probabilities\[7, 2\] is 1\.5, outside \[0, 1\]"),
    (0.125, r"^row 7 of probabilities sums to 0\.875, not 1; pass probabilities \(a softmax\)"),
    (0.5, r"^row 7 of probabilities sums to 1\.25, not 1"),
]


@scores
@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize(("value", "message"), BAD_ROWS)
def test_bad_rows_are_named(score: Function, formula: Function, value: float, message: str, threads: int) -> None:
    probabilities = np.full((9000, 4), 0.25)
    probabilities[7, 2] = value
    probabilities[5000, 1] = np.nan  # named only if it were the first
    with pytest.raises(ValueError, match=message):
        score(probabilities, np.zeros(9000, np.int64), threads=threads)
    if abs(value) < 1e30:
        with pytest.raises(ValueError, match=message):
            score(probabilities.astype(np.float32) if value != -1e-300 else probabilities, np.zeros(9000, np.int64))


@scores
def test_sums_within_the_tolerance_pass(score: Function, formula: Function) -> None:
    for total in (0.981, 1.019):
        assert score([[total - 0.5, 0.5]], [0]).shape == (1,)
    for total in (0.979, 1.021):
        with pytest.raises(ValueError, match=rf"^row 0 of probabilities sums to {total}, not 1"):
            score([[total - 0.5, 0.5]], [0])


@pytest.mark.parametrize("score", [el2n, margin])
def test_bad_labels(score: Function) -> None:
    probabilities = np.full((3, 4), 0.25)
    for label in (-1, 4, 10**12, -(2**63)):
        with pytest.raises(ValueError, match=rf"^labels\[1\] is {label}, but probabilities has classes 0 to 3$"):
            score(probabilities, [0, label, 3])
    with pytest.raises(ValueError, match=r"^labels has 2 elements, but probabilities has 3 rows"):
        score(probabilities, [0, 1])
    with pytest.raises(ValueError, match=rf"^labels holds {2**63}, beyond the range of int64"):
        score(probabilities, np.array([0, 1, 2**63], np.uint64))
    with pytest.raises(ValueError, match=r"^labels must be one-dimensional, got shape \(3, 1\)"):
        score(probabilities, [[0], [1], [2]])
    for labels in ([0.0, 1.0, 2.0], [True, False, True], ["a", "b", "c"], [1j, 0, 0]):
        with pytest.raises(TypeError, match=r"^labels must be int64 or int32, got "):
            score(probabilities, labels)
    with pytest.raises(TypeError, match=r"^labels must be an array, got str"):
        score(probabilities, "abc")


def test_el2n_needs_labels() -> None:
    with pytest.raises(ValueError, match="el2n needs labels"):
        el2n([[1.0]], None)
    with pytest.raises(TypeError, match="labels"):
        el2n([[1.0]])  # type: ignore[call-arg]


@scores
def test_bad_probabilities(score: Function, formula: Function) -> None:
    for shape in ((0, 3), (3, 0), (0, 0)):
        with pytest.raises(ValueError, match=r"^probabilities is empty"):
            score(np.empty(shape), np.zeros(shape[0], np.int64))
    for bad, got in (([0.5, 0.5], r"\(2,\)"), (1.0, r"\(\)"), (np.ones((1, 1, 1)), r"\(1, 1, 1\)"), ([], r"\(0,\)")):
        with pytest.raises(ValueError, match=f"^probabilities must be two-dimensional, got shape {got}"):
            score(bad, [0])
    for other in ([["a"]], [[1j]], [[True]], np.array([[1.0]], dtype=object)):
        with pytest.raises(TypeError, match=r"^probabilities must be (float32 or float64|an array of numbers), got "):
            score(other, [0])
    none: Any
    for none in (None, "abc", {}):
        with pytest.raises(TypeError, match=r"^probabilities must be an array, got "):
            score(none, [0])
    with pytest.raises(ValueError, match=r"^threads must be from 1 to 4096, got 0"):
        score([[1.0]], [0], threads=0)
