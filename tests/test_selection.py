"""From embeddings and scores to indices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import coremax
from coremax.selection import auto_drop_hardest, infomax, random, top
from coremax.selection._infomax import Normalization
from helpers import clustered
from oracles import solver as oracle

N = 400
X = clustered(N, 12, 20, seed=0)
SCORE = np.random.default_rng(1).random(N)


def test_is_graph_then_solver() -> None:
    selection = infomax(X, SCORE, 40, drop_hardest=0, alpha=0.7, k=6, target="score")
    scaled = (SCORE - SCORE.min()) / (SCORE.max() - SCORE.min())
    graph = coremax.topk_graph(X, 6)
    clipped = coremax.Graph.from_neighbors(graph.neighbors, np.maximum(graph.similarities, 0))
    expected = coremax.solve(scaled, clipped, 40, alpha=0.7)
    assert selection.solution is not None
    assert selection.solution.objective == pytest.approx(expected.objective, abs=1e-9)
    assert np.array_equal(selection.indices, expected.indices)
    assert set(selection.timings or {}) == {"graph", "symmetric", "typical", "solve"}


def test_spreads_where_top_does_not() -> None:
    x = np.repeat(clustered(40, 12, 40, seed=2), 10, axis=0)  # ten exact copies of each point
    score = np.repeat(np.random.default_rng(3).random(40), 10)
    kept = infomax(x, score, 40, alpha=3.0, drop_hardest=0, target="score").indices // 10
    assert np.unique(kept).size >= 38
    assert np.unique(top(score, 40).indices // 10).size == 4


@pytest.mark.parametrize("drop", [0.0, 0.25, 0.9, 1.0])
def test_the_hardest_are_dropped_first(drop: float) -> None:
    selection = infomax(X, SCORE, 60, drop_hardest=drop)
    n_dropped = min(int(drop * N), N - 60)
    expected = np.sort(np.argsort(SCORE, kind="stable")[: N - n_dropped])
    assert np.array_equal(selection.candidates, expected)
    assert np.isin(selection.indices, expected).all()
    assert len(selection) == 60


def test_auto_drop_follows_the_measured_fractions() -> None:
    for keep, best in ((0.01, 0.5), (0.03, 0.3), (0.1, 0.1), (0.3, 0.03), (1.0, 0.0)):
        assert auto_drop_hardest(keep) == pytest.approx(best, abs=0.03)
    fractions = [auto_drop_hardest(keep) for keep in np.linspace(0.001, 1, 200)]
    assert (np.diff(fractions) <= 0).all()
    selection = infomax(X, SCORE, 0.1)
    assert selection.parameters["drop_hardest"] == auto_drop_hardest(0.1)
    assert len(selection.candidates) == N - int(auto_drop_hardest(0.1) * N)


@pytest.mark.parametrize("partitions", [2, 3, 7, 399, 400])
def test_parts_are_random_equal_and_hold_their_edges(partitions: int) -> None:
    selection = infomax(X, SCORE, 40, partitions=partitions, drop_hardest=0, k=4, seed=5)
    assert selection.graph is not None
    matrix = selection.graph.to_scipy()
    from scipy.sparse.csgraph import connected_components

    # Parts are unions of components, so there are at least as many; lists are as long as the part allows.
    assert connected_components(matrix)[0] >= partitions
    lengths = (np.asarray(selection.graph.neighbors) >= 0).sum(axis=1)
    smallest_part = N // partitions
    assert lengths.min() == min(4, smallest_part - 1)
    assert len(selection) == 40
    again = infomax(X, SCORE, 40, partitions=partitions, drop_hardest=0, k=4, seed=5)
    assert np.array_equal(selection.indices, again.indices)


def test_edges_of_parts_carry_true_similarities() -> None:
    selection = infomax(X, SCORE, 40, partitions=3, drop_hardest=0.2, k=4)
    assert selection.graph is not None
    candidates = X[selection.candidates].astype(np.float64)
    unit = candidates / np.linalg.norm(candidates, axis=1, keepdims=True)
    neighbors, similarities = selection.graph.neighbors, selection.graph.similarities
    truth = np.maximum(np.einsum("id,ikd->ik", unit, unit[neighbors]), 0)
    np.testing.assert_allclose(similarities, truth, atol=1e-6)


@pytest.mark.parametrize("normalize", ["minmax", "rank", "none", None])
def test_normalization(normalize: Normalization | None) -> None:
    score = SCORE * 100 - 7
    score[10:20] = score[0]
    selection = infomax(X, score, 40, normalize=normalize, drop_hardest=0, target="score", alpha=0.3)
    ranks = np.array([(np.sum(score < s) + np.sum(score <= s) - 1) / 2 for s in score]) / (N - 1)
    expected = {"minmax": (score - score.min()) / np.ptp(score), "rank": ranks}.get(normalize or "none", score)
    assert selection.graph is not None
    assert selection.solution is not None
    k = oracle.dense(selection.graph)
    assert selection.solution.objective == pytest.approx(oracle.objective(expected, k, selection.indices, 0.3), abs=1e-8)


@pytest.mark.parametrize("score", [np.zeros(N), np.full(N, 1e30), np.r_[np.full(N - 1, -1e308), 1e308], SCORE * 1e-320])
def test_extreme_scores(score: Any) -> None:
    selection = infomax(X, score, 40)
    assert len(selection) == 40
    assert selection.solution is not None
    assert np.isfinite([selection.solution.objective, selection.solution.upper_bound]).all()


def test_negative_similarities() -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(size=(12, 2)).astype(np.float32)
    clipped, kept = (
        infomax(x, rng.random(12), 5, k=11),
        infomax(x, rng.random(12), 5, k=11, negative_similarities="keep"),
    )
    assert clipped.graph is not None
    assert kept.graph is not None
    assert clipped.graph.similarities.min() == 0
    assert kept.graph.similarities.min() < 0


@pytest.mark.parametrize("n", [1, 2, 3])
def test_tiny_data(n: int) -> None:
    for budget in range(1, n + 1):
        selection = infomax(X[:n], SCORE[:n], budget)
        assert len(selection) == budget
        assert selection.mask().sum() == budget
    assert infomax(X[:1], SCORE[:1], 1).indices.tolist() == [0]


def test_all_points_identical() -> None:
    assert len(infomax(np.ones((50, 3), dtype=np.float32), np.ones(50), 0.2)) == 10


def test_mask_and_repr() -> None:
    selection = infomax(X, SCORE, 40)
    assert np.array_equal(np.flatnonzero(selection.mask()), selection.indices)
    assert selection.mask(500).shape == (500,)
    assert repr(selection) == "Selection(infomax: 40 of 400)"
    with pytest.raises(ValueError, match="n must be at least 400"):
        selection.mask(10)


def test_torch_in_torch_out() -> None:
    selection = infomax(torch.from_numpy(X), torch.from_numpy(SCORE), 40)
    assert isinstance(selection.indices, torch.Tensor)
    assert np.array_equal(np.asarray(selection.indices), infomax(X, SCORE, 40).indices)
    assert selection.mask().sum() == 40
    assert torch.from_numpy(X)[selection.indices].shape == (40, 12)


def test_input_is_left_alone() -> None:
    x, score = X.copy(), SCORE.copy()
    x.flags.writeable = score.flags.writeable = False
    infomax(x, score, 40)
    assert np.array_equal(x, X)
    assert np.array_equal(score, SCORE)


@pytest.mark.parametrize(
    ("x", "score", "budget", "options", "error", "message"),
    [
        (X, SCORE[:-1], 10, {}, ValueError, "importance has 399 elements, but x has 400"),
        (X, np.where(np.arange(N) == 9, np.nan, SCORE), 10, {}, ValueError, r"importance\[9\] is nan"),
        (X, np.where(np.arange(N) == 9, -np.inf, SCORE), 10, {}, ValueError, r"importance\[9\] is -inf"),
        (np.where(np.arange(N)[:, None] == 9, np.nan, X), SCORE, 10, {}, ValueError, r"x\[9, 0\] is nan"),
        (
            np.where(np.arange(N)[:, None] == 9, 0, X),
            SCORE,
            10,
            {"drop_hardest": 0},
            ValueError,
            "row 9 of x is all zeros",
        ),
        (X[:0], SCORE[:0], 1, {}, ValueError, "x is empty"),
        (X[:, :0], SCORE, 1, {}, ValueError, "x is empty"),
        (X[0], SCORE, 1, {}, ValueError, "x must be two-dimensional"),
        (X, SCORE[:, None], 1, {}, ValueError, "importance must be one-dimensional"),
        (X, SCORE, 0, {}, ValueError, "budget must be from 1"),
        (X, SCORE, N + 1, {}, ValueError, "got 401"),
        (X, SCORE, 1.01, {}, ValueError, "got 1.01"),
        (X, SCORE, 10, {"k": 0}, ValueError, "k must be at least 1"),
        (X, SCORE, 10, {"partitions": 0}, ValueError, "partitions must be from 1 to 400"),
        (X, SCORE, 10, {"partitions": 401}, ValueError, "partitions must be from 1 to 400"),
        (X, SCORE, 10, {"drop_hardest": -0.1}, ValueError, "drop_hardest must be finite and from 0 to 1"),
        (X, SCORE, 10, {"drop_hardest": "most"}, TypeError, "drop_hardest must be a number"),
        (X, SCORE, 10, {"normalize": "softmax"}, ValueError, "normalize must be one of"),
        (X, SCORE, 10, {"metric": "l2"}, ValueError, "metric must be one of"),
        (X, SCORE, 10, {"negative_similarities": "square"}, ValueError, "negative_similarities must be one of"),
        (X, SCORE, 10, {"alpha": -1}, ValueError, "alpha must be finite"),
        (X, SCORE, 10, {"memory_limit": 10}, MemoryError, "memory_limit allows 10"),
    ],
)
def test_bad_arguments(x: Any, score: Any, budget: Any, options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        infomax(x, score, budget, **options)


def test_random_baseline() -> None:
    selection = random(1000, 0.1, seed=3)
    assert len(selection) == 100
    assert np.unique(selection.indices).size == 100
    assert (np.diff(selection.indices) > 0).all()
    np.testing.assert_allclose(selection.weights, 10)
    assert np.isin(selection.indices, random(np.zeros(1000), 200, seed=3).indices).all(), "nested for a seed"
    assert not np.array_equal(selection.indices, random(1000, 0.1, seed=4).indices)
    # Each of 1000 elements is kept with probability 0.1: over 2000 seeds counts are binomial. 5.5 standard deviations on
    # each of the 1000 counts: false alarm below 4e-5.
    counts = np.zeros(1000)
    for seed in range(2000):
        counts[random(1000, 100, seed=seed).indices] += 1
    assert np.abs(counts - 200).max() <= 5.5 * np.sqrt(2000 * 0.1 * 0.9)
    for n in (0, -1):
        with pytest.raises(ValueError, match="n must be from 1"):
            random(n, 1)


def test_top_baseline() -> None:
    assert top([1.0, 5.0, 4.0, 0.0, 5.0], 2).indices.tolist() == [1, 4]
    assert isinstance(top(torch.rand(5), 2).indices, torch.Tensor)
    with pytest.raises(ValueError, match=r"score\[0\] is nan"):
        top([np.nan, 1.0], 1)
    with pytest.raises(ValueError, match="score is empty"):
        top(np.zeros(0), 1)


def test_limits_speak_of_the_whole_data_set() -> None:
    classes = np.random.default_rng(5).integers(0, 4, N)
    hardest, easiest = int(np.argmax(SCORE)), int(np.argmin(SCORE))
    kept = infomax(X, SCORE, 40, groups=classes, include=[hardest], exclude=[easiest, 7], drop_hardest=0.3).indices
    shares = np.bincount(classes) * 40 / N
    assert (np.abs(np.bincount(classes[kept]) - shares) < 1).all()
    assert hardest in kept  # though it is among those dropped
    assert not {easiest, 7} & set(kept.tolist())
    dropped = np.argsort(SCORE, kind="stable")[-int(0.3 * N) :]
    assert set(dropped.tolist()) & set(kept.tolist()) == {hardest}


def test_costs_take_the_place_of_the_count() -> None:
    costs = np.random.default_rng(6).integers(1, 30, N).astype(np.float64)
    selection = infomax(X, SCORE, 300.0, costs=costs)
    assert 0.95 * 300 <= costs[selection.indices].sum() <= 300
    assert selection.parameters["drop_hardest"] == pytest.approx(auto_drop_hardest(300 / costs.sum()))
    groups = (np.argsort(np.argsort(-SCORE)) < 3).astype(np.int64)  # the three hardest
    dropped = infomax(X, SCORE, 40, groups=groups, group_limits={1: (2, 3)}, drop_hardest=0.005)
    assert (groups[dropped.indices] == 1).sum() == 2  # the group loses no more than it can spare
    assert np.isin(np.argsort(SCORE)[-3:-1], dropped.indices).all()
