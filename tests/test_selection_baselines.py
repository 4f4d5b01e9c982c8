"""CCS, D2 pruning and moderate coresets: against their papers' loops, and what callers may pass."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import coremax
from coremax._inputs import order as _order
from coremax.sampling import stratified
from coremax.selection import Selection, auto_drop_hardest, ccs, d2, moderate, random, sims
from coremax.selection._d2 import DistanceMetric
from coremax.selection._moderate import Center
from helpers import THREADS, clustered
from oracles import selection as oracle

MANY = settings(deadline=None, max_examples=80)
N = 300
X = clustered(N, 6, 12, seed=0)
SCORE = np.random.default_rng(1).random(N)
LABELS = np.random.default_rng(2).integers(-1, 3, N)
# Few values, so that ties are common.
SCORES = st.lists(st.integers(-2, 4).map(float) | st.floats(-1e308, 1e308) | st.floats(0, 1), min_size=1, max_size=40)
METHODS: dict[str, Callable[[int | float], Selection]] = {
    "ccs": lambda budget: ccs(SCORE, budget),
    "d2": lambda budget: d2(X, SCORE, budget),
    "moderate": lambda budget: moderate(X, budget, labels=LABELS),
}


def ranks_of(seed: int) -> oracle.Ranks:
    """The order that ties stand in."""
    return lambda n, use: _order.chances(n, use, seed).tolist()


def check(selection: Selection, n: int, budget: int) -> None:
    indices = np.asarray(selection.indices)
    assert indices.dtype == np.int64
    assert len(indices) == budget
    assert (np.diff(indices) > 0).all()
    assert indices.min() >= 0
    assert indices.max() < n
    assert selection.n == n


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("budget", [1, 2, 7, 150, N - 1, N, 0.1, 1.0])
def test_budgets_are_met(method: str, budget: int | float) -> None:
    selection = METHODS[method](budget)
    check(selection, N, budget if isinstance(budget, int) else round(budget * N))
    assert np.array_equal(selection.indices, METHODS[method](budget).indices)
    assert selection.method == method
    assert selection.timings is not None
    assert all(seconds >= 0 for seconds in selection.timings.values())


@MANY
@given(SCORES, st.data())
def test_ccs_gives_what_the_algorithm_gives(score: list[float], data: Any) -> None:
    n = len(score)
    budget = data.draw(st.integers(1, n))
    drop = data.draw(st.sampled_from([0.0, 0.1, 0.5, 1.0]))
    strata = data.draw(st.sampled_from([1, 2, 5, 50]))
    higher = data.draw(st.sampled_from(["hard", "easy"]))
    seed = data.draw(st.integers(0, 9))
    selection = ccs(score, budget, drop_hardest=drop, strata=strata, higher=higher, seed=seed)
    check(selection, n, budget)
    hardness = [value if higher == "hard" else -value for value in score]
    stratum, sizes, quotas = oracle.ccs_quotas(hardness, budget, int(drop * n), strata, ranks_of(seed))
    kept = [stratum[i] for i in selection.indices]
    assert {b: kept.count(b) for b in quotas} == quotas
    assert selection.weights.tolist() == [sizes[b] / quotas[b] for b in kept]


def test_ccs_draws_evenly_within_strata() -> None:
    score = np.repeat([0.0, 1.0], [10, 30])
    counts = np.zeros(40)
    for seed in range(3000):
        counts[ccs(score, 12, drop_hardest=0, seed=seed).indices] += 1
    expected = np.repeat([6 / 10, 6 / 30], [10, 30])
    # Binomial counts; 5.5 standard deviations on each of 40: false alarm below 2e-6.
    assert (np.abs(counts - 3000 * expected) <= 5.5 * np.sqrt(3000 * expected * (1 - expected))).all()


def test_ccs_drops_the_hardest() -> None:
    selection = ccs(SCORE, 0.1)
    assert selection.parameters["drop_hardest"] == auto_drop_hardest(0.1)
    n_left = N - int(auto_drop_hardest(0.1) * N)
    assert np.array_equal(selection.candidates, np.sort(np.argsort(SCORE)[:n_left]))
    assert np.isin(selection.indices, selection.candidates).all()
    easy = ccs(-SCORE, 0.1, higher="easy")
    assert np.array_equal(easy.indices, selection.indices)
    assert ccs(np.ones(5), 2, drop_hardest=0.6).candidates.tolist() == [0, 1, 2, 3, 4], "nothing is harder than another"
    some = ccs([0.0, 1.0, 0.0, 1.0, 1.0], 1, drop_hardest=0.8).candidates.tolist()
    assert some == [0, 2], "none of the easiest, however much is to be dropped"
    assert len(ccs(np.arange(100.0), 10, drop_hardest=0.29).candidates) == 71, "0.29 * 100 is below 29"


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("seed", range(6))
def test_d2_takes_what_the_loop_takes(metric: DistanceMetric, seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, k = int(rng.integers(2, 60)), int(rng.integers(1, 6))
    x = rng.normal(size=(n, 3)).astype(np.float32)
    score = rng.normal(size=n) if seed % 2 else rng.random(n)  # negative values rise when their neighbours are taken
    plain = x.astype(np.float64)
    if metric == "cosine":
        plain /= np.linalg.norm(plain, axis=1, keepdims=True)
    distances = np.linalg.norm(plain[:, None] - plain, axis=2)
    gamma, forward = float(rng.choice([0.0, 0.1, 1.0])), float(rng.choice([0.0, 1.0]))
    order = oracle.d2(distances, score.tolist(), n, min(k, n - 1), gamma, forward)
    for budget in (1, n // 2 + 1, n):
        selection = d2(x, score, budget, k=k, gamma=gamma, gamma_forward=forward, metric=metric)
        check(selection, n, budget)
        assert selection.indices.tolist() == sorted(order[:budget])
        assert selection.weights is None


def test_d2_on_a_graph_is_d2_on_its_rows() -> None:
    for metric in ("euclidean", "cosine"):
        graph = coremax.topk_graph(X, 5, metric=metric)
        expected = d2(X, SCORE, 60, metric=metric)
        assert np.array_equal(d2(graph, SCORE, 60).indices, expected.indices)
        unlabelled = coremax.Graph.from_neighbors(graph.neighbors, graph.similarities)
        assert np.array_equal(d2(unlabelled, SCORE, 60, metric=metric).indices, expected.indices)
        assert expected.graph is not None
        assert np.array_equal(expected.graph.neighbors, graph.neighbors)
    for threads in THREADS:
        assert np.array_equal(d2(X, SCORE, 60, threads=threads).indices, d2(X, SCORE, 60).indices)


def test_d2_ties_and_scales() -> None:
    for score in (np.ones(9), np.zeros(9)):
        firsts = {int(d2(np.ones((9, 2)), score, 1, k=8, seed=seed).indices[0]) for seed in range(200)}
        assert firsts == set(range(9)), "one is missing with a chance of 6e-10"
    assert d2(X[:1], SCORE[:1], 1).indices.tolist() == [0]
    expected = d2(X, SCORE, 50).indices
    for factor in (2.0**1000, 2.0**-1000):
        assert np.array_equal(d2(X, SCORE * factor, 50).indices, expected)


@pytest.mark.parametrize("center", ["mean", "median"])
@pytest.mark.parametrize("n", [1, 2, 3, 10, 41])
def test_moderate_keeps_the_middle(center: Center, n: int) -> None:
    rng = np.random.default_rng(n)
    x, labels = rng.normal(size=(n, 4)), rng.integers(0, 3, n)
    for budget in {1, n // 3 + 1, n}:
        selection = moderate(x, budget, labels=labels, center=center)
        check(selection, n, budget)
        assert selection.indices.tolist() == oracle.moderate(x, labels.tolist(), budget, center, ranks_of(0))
        assert moderate(x, budget, center=center).indices.tolist() == oracle.moderate(x, [0] * n, budget, center, ranks_of(0))


def test_moderate_in_any_type_and_size() -> None:
    codes = np.random.default_rng(3).integers(-50, 50, (60, 5)).astype(np.int8)
    expected = moderate(codes.astype(np.float64), 20).indices
    for x in (codes, codes.astype(np.float16), codes.astype(np.float32), np.asfortranarray(codes)[:, :], codes * 2.0**990):
        assert np.array_equal(moderate(x, 20).indices, expected)
    tiny = codes * 2.0**-1060
    assert np.array_equal(moderate(tiny, 20).indices, expected)
    tensor = moderate(torch.from_numpy(codes).to(torch.bfloat16), 20)
    assert isinstance(tensor.indices, torch.Tensor)
    assert np.array_equal(np.asarray(tensor.indices), expected)
    kept = {int(moderate(np.ones((5, 2)), 1, seed=seed).indices[0]) for seed in range(150)}
    assert kept == set(range(5)), "one is missing with a chance of 1e-14"


def test_indices_come_back_in_the_library_of_the_first_argument() -> None:
    assert isinstance(ccs(torch.from_numpy(SCORE), 5).indices, torch.Tensor)
    assert isinstance(d2(torch.from_numpy(X), SCORE, 5).indices, torch.Tensor)
    graph = coremax.topk_graph(X, 5, metric="euclidean")
    assert isinstance(d2(graph, torch.from_numpy(SCORE), 5).indices, torch.Tensor)


NAN = np.where(np.arange(N) == 9, np.nan, SCORE)
NAN_ROW = np.where(np.arange(N)[:, None] == 9, np.nan, X)
DOT = coremax.topk_graph(X, 3, metric="dot")
BARE = coremax.Graph.from_neighbors(DOT.neighbors, -DOT.similarities)
NAME: Any = "dot"  # which is no choice of any argument here


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ccs(NAN, 5), ValueError, r"score\[9\] is nan"),
        (lambda: ccs([], 5), ValueError, "score is empty"),
        (lambda: ccs(SCORE, 0), ValueError, "budget must be from 1"),
        (lambda: ccs(SCORE, N + 1), ValueError, "got 301"),
        (lambda: ccs(SCORE, 5, strata=0), ValueError, "strata must be from 1"),
        (lambda: ccs(SCORE, 5, drop_hardest=1.5), ValueError, "drop_hardest must be finite and from 0 to 1"),
        (lambda: ccs(SCORE, 5, drop_hardest=NAME), TypeError, "drop_hardest must be a number"),
        (lambda: ccs(SCORE, 5, higher=NAME), ValueError, "higher must be one of 'hard', 'easy'"),
        (lambda: ccs(SCORE[:, None], 5), ValueError, "score must be one-dimensional"),
        (lambda: d2(X, NAN, 5), ValueError, r"score\[9\] is nan"),
        (lambda: d2(NAN_ROW, SCORE, 5), ValueError, r"x\[9, 0\] is nan"),
        (lambda: d2(NAN_ROW[9:10], SCORE[:1], 1), ValueError, r"x\[0, 0\] is nan"),
        (lambda: d2(X, SCORE[:-1], 5), ValueError, "score has 299 elements, but x has 300"),
        (lambda: d2(X[0], SCORE, 5), ValueError, "x must be two-dimensional or a Graph"),
        (lambda: d2(X[:0], SCORE[:0], 5), ValueError, "x is empty"),
        (lambda: d2(X, SCORE, 5, k=0), ValueError, "k must be at least 1"),
        (lambda: d2(X, SCORE, 5, gamma=-0.1), ValueError, "gamma must be finite and at least 0"),
        (lambda: d2(X, SCORE, 5, metric=NAME), ValueError, "metric must be 'euclidean', 'cosine' or None"),
        (lambda: d2(DOT, SCORE, 5), ValueError, "metric of the graph must be one of 'euclidean', 'cosine', got 'dot'"),
        (lambda: d2(DOT, SCORE, 5, metric="cosine"), ValueError, "metric is 'cosine', but that of the graph 'dot'"),
        (lambda: d2(BARE, SCORE, 5), ValueError, "metric of the graph .* got None"),
        (lambda: d2(BARE, SCORE, 5, metric="euclidean"), ValueError, "must be above 0"),
        (lambda: d2(X, SCORE, 5, memory_limit=10), MemoryError, "memory_limit allows 10"),
        (lambda: moderate(NAN_ROW, 5), ValueError, r"x\[9, 0\] is nan"),
        (lambda: moderate(X[:0], 5), ValueError, "x is empty"),
        (lambda: moderate(X[:, :0], 5), ValueError, "x is empty"),
        (lambda: moderate(X, 5, labels=LABELS[1:]), ValueError, "labels has 299 elements, but x has 300"),
        (lambda: moderate(X, 5, labels=SCORE), TypeError, "labels must be int64 or int32"),
        (lambda: moderate(X, 5, center=NAME), ValueError, "center must be one of 'mean', 'median'"),
        (lambda: moderate(X, 0.0), ValueError, "budget as a fraction"),
    ],
)
def test_bad_arguments(call: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_inputs_are_left_alone() -> None:
    x, score, labels = X.copy(), SCORE.copy(), LABELS.copy()
    for array in (x, score, labels):
        array.flags.writeable = False
    ccs(score, 9)
    d2(x, score, 9)
    moderate(x, 9, labels=labels)
    assert np.array_equal(x, X)
    assert np.array_equal(score, SCORE)


def test_methods_draw_independently_of_each_other() -> None:
    """With the same seed; by chance two draws of n / 10 share n / 100. False alarm below 1e-6 for each pair."""
    n, size = 10_000, 1000
    labels = np.zeros(n, np.int64)
    draws = {
        "sample": coremax.sample(np.ones(n), size),
        "stratified": stratified(labels, size),
        "random": random(n, size).indices,
        "ccs": ccs(np.arange(n) / n, size, drop_hardest=0).indices,
        "sims": sims(np.zeros(n), size).indices,
    }
    for (a, first), (b, second) in itertools.combinations(draws.items(), 2):
        shared = len(np.intersect1d(first, second))
        assert 100 - 5 * 9 <= shared <= 100 + 5 * 9, (a, b)
