"""Scores of training dynamics and weights by loss against their formulas, and every way of passing epochs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from coremax.scores import aum, dual, forgetting, loss_weights, tdds
from coremax.scores._losses import STRATEGIES, Strategy
from helpers import EDGE_SIZES, ISAS, THREADS
from oracles import scores as oracle

# Float64 sums of at most some hundred terms of order one.
TOLERANCE = 1e-13


def softmax(shape: tuple[int, ...], seed: int) -> NDArray[np.float64]:
    logits = 3 * np.random.default_rng(seed).normal(size=shape)
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probabilities: NDArray[np.float64] = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return probabilities


def refilled(epochs: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Hand out one buffer again and again, as a loader may."""
    buffer = np.empty_like(epochs[0])
    for epoch in epochs:
        buffer[...] = epoch
        yield buffer
    buffer[...] = 0


class Refilled:
    """The same with a length, as a data set of epochs may be."""

    def __init__(self, epochs: NDArray[Any]) -> None:
        self._epochs = epochs

    def __len__(self) -> int:
        return len(self._epochs)

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return refilled(self._epochs)


def every_way(epochs: NDArray[Any]) -> list[Any]:
    """One array, a list, a tuple, iterators, other libraries."""
    frozen = epochs.copy()
    frozen.flags.writeable = False
    tensor = torch.from_numpy(epochs.copy())
    return [
        epochs,
        list(epochs),
        tuple(epochs),
        iter(epochs),
        refilled(epochs),
        Refilled(epochs),
        frozen,
        tensor,
        list(tensor),
        epochs[:, ::-1].copy()[:, ::-1],
        epochs.tolist(),
    ]


def assert_every_way(score: Any, epochs: NDArray[Any]) -> Any:
    expected = score(epochs)
    assert expected.dtype == np.float64
    for given_epochs in every_way(epochs):
        got = score(given_epochs)
        first = given_epochs[0] if isinstance(given_epochs, list) else given_epochs
        assert isinstance(got, torch.Tensor) == isinstance(first, torch.Tensor)
        assert np.array_equal(np.asarray(got), expected)
    return expected


def test_forgetting() -> None:
    rng = np.random.default_rng(0)
    for n_epochs, n in ((1, 4), (2, 5), (20, 300)):
        correct = rng.random((n_epochs, n)) < 0.6
        expected = oracle.forgetting(correct)
        assert np.array_equal(assert_every_way(forgetting, correct), expected)
        for dtype in (np.int64, np.uint8, np.float32, np.float64):
            assert np.array_equal(forgetting(correct.astype(dtype)), expected)
    never = np.zeros((6, 3), bool)
    never[2, 1] = True
    assert forgetting(never).tolist() == [6, 1, 6]
    assert forgetting(never, never_learned=0).tolist() == [0, 1, 0]
    assert forgetting(np.ones((6, 2), bool)).tolist() == [0, 0]
    # Nothing that was learned can reach what was never learned.
    assert forgetting([[1], [0], [1], [0], [1], [0]]).tolist() == [3]


def test_forgetting_refuses() -> None:
    with pytest.raises(ValueError, match=r"^correct\[1\]\[2\] is 2; it must be 0 or 1"):
        forgetting([[0, 1, 1], [0, 1, 2]])
    with pytest.raises(ValueError, match=r"^correct\[0\]\[0\] is nan"):
        forgetting([[np.nan, 1.0]])
    with pytest.raises(ValueError, match=r"^correct\[1\] has 2 elements, but correct\[0\] has 3"):
        forgetting([[0, 1, 1], [0, 1]])
    with pytest.raises(TypeError, match=r"^correct\[0\] can not be read through DLPack: "):
        forgetting([torch.zeros(3, requires_grad=True)])
    with pytest.raises(ValueError, match=r"^correct\[0\] must be one-dimensional"):
        forgetting([[[True]]])
    with pytest.raises(ValueError, match=r"^never_learned must be"):
        forgetting([[True]], never_learned=-1)
    with pytest.raises(TypeError, match=r"^correct\[0\] must be an array of numbers"):
        forgetting([["yes"]])
    refuse_no_epochs(forgetting, "correct", 1)


def refuse_no_epochs(score: Any, name: str, least: int) -> None:
    nothing: list[Any] = [[], iter([]), np.empty((0, 3))]
    for epochs in nothing:
        with pytest.raises(ValueError, match=rf"^{name} must have at least (window = )?{least} epochs, got 0$"):
            score(epochs)
    wrong: Any
    for wrong in (None, 5, "abc", {}, np.float64(1)):
        with pytest.raises(TypeError, match=rf"^{name} must be an array or an iterable with one array per epoch"):
            score(wrong)


@pytest.mark.parametrize("classes", EDGE_SIZES)
def test_aum(classes: int) -> None:
    rng = np.random.default_rng(classes)
    logits = 5 * rng.normal(size=(4, 33, classes))
    labels = rng.integers(0, classes, 33)
    got = assert_every_way(lambda epochs: aum(epochs, labels), logits)
    np.testing.assert_allclose(got, oracle.aum(logits, labels.tolist()), atol=10 * TOLERANCE)
    margins = np.stack([oracle.aum(epoch[None], labels.tolist()) for epoch in logits])
    np.testing.assert_allclose(assert_every_way(aum, margins), got, atol=10 * TOLERANCE)
    for threads in THREADS:
        assert np.array_equal(aum(logits, labels, threads=threads), got)
    for narrow in (logits.astype(np.float32), logits.astype(np.float16)):
        np.testing.assert_allclose(aum(narrow, labels), oracle.aum(narrow, labels.tolist()), atol=10 * TOLERANCE)
    bfloat = torch.from_numpy(logits).to(torch.bfloat16)
    np.testing.assert_allclose(aum(bfloat, labels).numpy(), oracle.aum(bfloat.float(), labels.tolist()), atol=10 * TOLERANCE)


def test_aum_refuses() -> None:
    logits = np.zeros((2, 3, 4))
    logits[1, 2, 3] = np.inf
    with pytest.raises(ValueError, match=r"^logits\[1\]\[2, 3\] is inf; logits must be finite"):
        aum(logits, [0, 1, 2])
    for label in (-1, 4):
        with pytest.raises(ValueError, match=rf"^labels\[1\] is {label}, but logits\[0\] has classes 0 to 3"):
            aum(logits, [0, label, 2])
    with pytest.raises(ValueError, match=r"^labels has 2 elements, but the rows of logits\[0\] has 3"):
        aum(logits, [0, 1])
    with pytest.raises(ValueError, match=r"^logits\[0\] must be one-dimensional"):
        aum(np.zeros((2, 3, 4)))
    with pytest.raises(ValueError, match=r"^logits\[1\]\[0\] is nan"):
        aum([[1.0], [np.nan]])
    with pytest.raises(ValueError, match=r"^logits\[1\] has 2 elements, but logits\[0\] has 1"):
        aum([[1.0], [1.0, 2.0]])
    refuse_no_epochs(aum, "logits", 1)


@pytest.mark.parametrize(("n_epochs", "window"), [(2, 2), (10, 10), (11, 10), (30, 10), (7, 3)])
def test_dual(n_epochs: int, window: int) -> None:
    p = np.random.default_rng(n_epochs).random((n_epochs, 70))
    got = assert_every_way(lambda epochs: dual(epochs, window=window), p)
    np.testing.assert_allclose(got, oracle.dual(p, window), atol=TOLERANCE)
    for narrow in (p.astype(np.float32), p.astype(np.float16)):
        np.testing.assert_allclose(dual(narrow, window=window), oracle.dual(narrow, window), atol=TOLERANCE)


def test_dual_of_many_samples_and_of_settled_ones() -> None:
    p = np.random.default_rng(0).random((4, 100_001)).astype(np.float32)  # more than one block of columns
    np.testing.assert_allclose(dual(p, window=3), oracle.dual(p, 3), atol=TOLERANCE)
    assert dual(np.full((5, 2), 0.25), window=3).tolist() == [0, 0]
    assert dual(np.array([[0.0], [1.0]] * 3), window=2)[0] == pytest.approx(0.5 * np.sqrt(0.5))


def test_dual_refuses() -> None:
    for value in (-0.1, 1.5):
        with pytest.raises(ValueError, match=rf"^p_y\[1\]\[0\] is {value}, outside \[0, 1\]"):
            dual([[0.5], [value]], window=2)
    with pytest.raises(ValueError, match=r"^p_y\[0\]\[1\] is nan"):
        dual([[0.5, np.nan]], window=2)
    with pytest.raises(ValueError, match=r"^p_y must have at least window = 10 epochs, got 9$"):
        dual(np.full((9, 2), 0.5))
    with pytest.raises(ValueError, match=r"^window must be at least 2, got 1"):
        dual(np.full((9, 2), 0.5), window=1)
    with pytest.raises(ValueError, match=r"^p_y\[1\] has 1 elements, but p_y\[0\] has 2"):
        dual([[0.5, 0.5], [0.5]], window=2)
    refuse_no_epochs(dual, "p_y", 10)


@pytest.mark.parametrize(("n_epochs", "window", "decay"), [(3, 3, 0.9), (10, 10, 0.9), (14, 5, 0.3), (12, 3, 1.0), (6, 4, 0.0)])
def test_tdds(n_epochs: int, window: int, decay: float) -> None:
    for classes in (1, 2, 17):
        p = softmax((n_epochs, 40, classes), seed=classes)
        got = assert_every_way(lambda epochs: tdds(epochs, window=window, decay=decay), p)
        np.testing.assert_allclose(got, oracle.tdds(p, window, decay), atol=TOLERANCE)
    losses = np.random.default_rng(1).normal(size=(n_epochs, 50))
    got = assert_every_way(lambda epochs: tdds(epochs, window=window, decay=decay), losses)
    np.testing.assert_allclose(got, oracle.tdds(losses, window, decay), atol=TOLERANCE)


def test_tdds_shifts_its_window() -> None:
    """Only what happens late counts once the window has moved on: one that never moves would see the early change alone."""
    early, late = np.zeros((40, 1)), np.zeros((40, 1))
    early[3:] = 1
    late[36:] = 1
    assert tdds(late, window=5)[0] > 1e6 * tdds(early, window=5)[0]


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("threads", THREADS)
def test_tdds_is_the_same_everywhere(isa: str, threads: int) -> None:
    p = softmax((5, 3000, 13), seed=0).astype(np.float32)
    p[:, 0] = np.eye(13)[[0, 3, 0, 12, 0]]
    expected = tdds(p, window=3, threads=1, isa="scalar")
    got = tdds(p, window=3, threads=threads, isa=isa)
    assert np.array_equal(got.view(np.int64), expected.view(np.int64))
    np.testing.assert_allclose(got, oracle.tdds(p, 3, 0.9), atol=1e-12)


def test_tdds_refuses() -> None:
    p = softmax((4, 6, 3), seed=0)
    spoiled = p.copy()
    spoiled[2, 4] = [0.5, 0.5, 0.5]
    with pytest.raises(ValueError, match=r"^row 4 of probabilities sums to 1\.5, not 1"):
        tdds(spoiled, window=3)
    with pytest.raises(ValueError, match=r"^probabilities must have at least window = 10 epochs, got 4$"):
        tdds(p)
    with pytest.raises(
        ValueError, match=r"^probabilities\[1\] must have the shape of probabilities\[0\], \(6, 3\), got \(5, 3\)"
    ):
        tdds([p[0], p[1][:5]], window=3)
    for mixed in ([p[0], p[1][:, 0]], [p[0][:, 0], p[1]]):
        with pytest.raises(ValueError, match=r"^probabilities\[1\] must have the shape of probabilities\[0\]"):
            tdds(mixed, window=3)
    with pytest.raises(ValueError, match=r"^probabilities\[1\]\[0\] is inf"):
        tdds([[0.0], [np.inf]], window=3)
    for option, value in (("window", 2), ("decay", 1.5), ("epsilon", 0.0)):
        with pytest.raises(ValueError, match=rf"^{option} must be"):
            tdds(p, **{option: value})  # type: ignore[arg-type]
    for function, epochs in ((tdds, p), (dual, [[0.5], [0.5]])):
        with pytest.raises(ValueError, match=rf"must have at least window = {2**70} epochs"):
            function(epochs, window=2**70)
    refuse_no_epochs(tdds, "probabilities", 10)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("temperature", [0.01, 0.4, 1.0, 100.0])
def test_loss_weights(strategy: Strategy, temperature: float) -> None:
    losses = np.random.default_rng(0).exponential(size=257)
    got = loss_weights(losses, strategy=strategy, temperature=temperature)
    np.testing.assert_allclose(got, oracle.loss_weights(losses, strategy, temperature), rtol=1e-9, atol=1e-300)
    assert isinstance(loss_weights(torch.from_numpy(losses), strategy=strategy), torch.Tensor)
    assert loss_weights([3.0, 3.0], strategy=strategy).tolist() == [0.5, 0.5]
    assert loss_weights([-7], strategy=strategy).tolist() == [1]


@given(
    losses=hnp.arrays(np.float64, st.integers(1, 20), elements=st.floats(allow_nan=False, allow_infinity=False)),
    strategy=st.sampled_from(STRATEGIES),
    temperature=st.floats(1e-300, 1e300),
)
def test_loss_weights_are_weights(losses: NDArray[np.float64], strategy: Strategy, temperature: float) -> None:
    weights = loss_weights(losses, strategy=strategy, temperature=temperature)
    assert (weights >= 0).all()
    assert weights.sum() == pytest.approx(1, abs=1e-12)
    order = np.argsort(losses, kind="stable")
    if strategy == "linupper":
        assert (np.diff(weights[order]) >= -1e-15).all()
    ends = weights[order[0]] - weights[order[-1]]
    assert strategy == "linupper" or abs(ends) <= 1e-12


def test_loss_weights_refuses() -> None:
    unknown: Any = "upper"
    with pytest.raises(ValueError, match=r"^losses\[1\] is nan; losses must be finite"):
        loss_weights([1.0, np.nan])
    with pytest.raises(ValueError, match=r"^losses is empty"):
        loss_weights([])
    with pytest.raises(ValueError, match=r"^strategy must be one of"):
        loss_weights([1.0], strategy=unknown)
    with pytest.raises(ValueError, match=r"^temperature must be"):
        loss_weights([1.0], temperature=0.0)
    with pytest.raises(ValueError, match=r"^losses must be one-dimensional"):
        loss_weights([[1.0]])
