"""Semantic deduplication: against the paper's loop, and what callers may pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from coremax import sample
from coremax._inputs import arrays
from coremax._inputs.arrays import seed_of
from coremax.selection import semdedup
from coremax.selection._semdedup import Keep
from helpers import EDGE_SIZES, THREADS, clustered
from oracles import selection as oracle

N = 240
X = clustered(N, 5, 30, seed=0, spread=0.1)


def similarity(x: Any, clusters: Any, keep: Keep) -> Any:
    """What the loop finds where ties stand in the order of seed 0."""
    order = sample(np.ones(len(x), dtype=np.float32), len(x), seed=seed_of("semdedup", 0))
    return np.array(oracle.semdedup_similarity(x, clusters, keep, np.argsort(order).tolist()))


CLUSTERS = np.random.default_rng(1).choice([-3, 0, 9, 12], N, p=[0.5, 0.3, 0.19, 0.01])


@pytest.mark.parametrize("keep", ["hard", "easy"])
@pytest.mark.parametrize("eps", [0.0, 0.001, 0.01, 0.1, 1.0, 2.0])
def test_keeps_what_the_loop_keeps(keep: Keep, eps: float) -> None:
    expected = similarity(X, CLUSTERS.tolist(), keep)
    assert np.abs(expected[expected > -1] - (1 - eps)).min() > 1e-6, "no cosine within rounding of the limit"
    selection = semdedup(X, eps=eps, clusters=CLUSTERS, keep=keep)
    assert selection.indices.tolist() == np.flatnonzero(expected <= 1 - eps).tolist()
    assert selection.indices.dtype == np.int64
    assert selection.parameters == {"eps": eps, "n_clusters": 4, "keep": keep, "seed": 0}


@pytest.mark.parametrize("budget", [1, 4, 5, 100, N - 1, N, 0.5])
def test_budgets_are_met(budget: int | float) -> None:
    selection = semdedup(X, budget, clusters=CLUSTERS)
    count = budget if isinstance(budget, int) else round(budget * N)
    assert len(selection) == count
    expected = similarity(X, CLUSTERS.tolist(), "hard")
    if count < 4:  # the first of each cluster are tied
        assert (expected[selection.indices] == -1).all()
        return
    assert np.isin(selection.indices, np.argsort(expected, kind="stable")[:count]).all()
    # Its eps, given outright, keeps the same but for rounding of 1 - (1 - cosine).
    again = semdedup(X, eps=max(selection.parameters["eps"] - 1e-12, 0), clusters=CLUSTERS)
    assert np.array_equal(again.indices, selection.indices)


@pytest.mark.parametrize("d", EDGE_SIZES)
def test_any_width_and_height(d: int) -> None:
    for n in (1, 2, 3, 4, 5, 8, 9, 64, 65, 130):
        x = np.random.default_rng(d * 1000 + n).normal(size=(n, d)) + 0.5
        expected = similarity(x, [0] * n, "easy")
        order = np.argsort(expected, kind="stable")
        for budget in (1, n // 2 + 1, n):
            kept = semdedup(x, budget, n_clusters=1, keep="easy").indices
            assert np.abs(np.sort(expected[kept]) - expected[order[:budget]]).max() < 1e-6


def test_of_copies_one_is_left_in_each_cluster() -> None:
    x = np.repeat(np.eye(4), 5, axis=0) * np.arange(1, 21)[:, None]  # of different lengths: only directions count
    for keep in ("hard", "easy", "random"):
        selection = semdedup(x, eps=0.01, clusters=np.zeros(20, dtype=np.int64), keep=keep)
        assert (selection.indices // 5).tolist() == [0, 1, 2, 3]
    first = {int(semdedup(np.ones((9, 3)), 1, n_clusters=1, seed=seed).indices[0]) for seed in range(200)}
    assert first == set(range(9)), "one is missing with a chance of 6e-10"
    own = semdedup(np.ones((9, 3)), eps=0.01, clusters=np.arange(9))
    assert len(own) == 9


def test_a_chain_leaves_its_first_only() -> None:
    angles = np.arange(6) * 0.1
    x = np.c_[np.cos(angles), np.sin(angles)]
    assert len(semdedup(x, eps=1 - np.cos(0.11), n_clusters=1)) == 2, "both ends lie farthest out"


def test_random_order_follows_the_seed() -> None:
    x = np.ones((50, 2))
    firsts = {int(semdedup(x, 1, n_clusters=1, keep="random", seed=seed).indices[0]) for seed in range(20)}
    assert len(firsts) > 5
    assert np.array_equal(semdedup(X, 0.3, keep="random", seed=4).indices, semdedup(X, 0.3, keep="random", seed=4).indices)


def test_own_clusters() -> None:
    selection = semdedup(X, 0.25, n_clusters=6, seed=2)
    assert len(selection) == 60
    assert 1 <= selection.parameters["n_clusters"] <= 6
    assert semdedup(X, 0.25).parameters["n_clusters"] == 1, "one for a thousand samples"
    for threads in THREADS:
        assert np.array_equal(semdedup(X, 0.25, n_clusters=6, seed=2, threads=threads).indices, selection.indices)
    assert set(selection.timings or {}) == {"cluster", "select"}


def test_types_libraries_and_sizes() -> None:
    codes = np.random.default_rng(3).integers(-50, 50, (60, 5)).astype(np.int8)
    expected = semdedup(codes.astype(np.float64), 20, n_clusters=1).indices
    for x in (
        codes,
        codes.astype(np.float16),
        np.asfortranarray(codes.astype(np.float32)),
        codes * 2.0**990,
        codes * 2.0**-1060,
    ):
        assert np.array_equal(semdedup(x, 20, clusters=np.zeros(60, dtype=np.int32)).indices, expected)
    tensor = semdedup(torch.from_numpy(codes).to(torch.bfloat16), 20, n_clusters=1)
    assert isinstance(tensor.indices, torch.Tensor)
    assert np.array_equal(np.asarray(tensor.indices), expected)
    frozen = X.copy()
    frozen.flags.writeable = False
    semdedup(frozen, 9)
    assert np.array_equal(frozen, X)


@pytest.mark.parametrize("d", [3, 40])
def test_a_large_cluster_is_halved_and_keeps_what_the_loop_keeps(d: int) -> None:
    x = clustered(6_500, d, 60, seed=d, spread=0.05)
    x[100::61] = x[7]  # copies, in both halves and beside each other
    selection = semdedup(x, 0.3, n_clusters=1, keep="random")
    unit = (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float64)
    order = sample(np.ones(len(x), dtype=np.float32), len(x), seed=arrays.seed_of("semdedup", 0))
    expected = np.empty(len(x))
    for begin in range(0, len(x), 500):
        cosines = unit[order[begin : begin + 500]] @ unit[order].T
        cosines[np.arange(len(x)) >= begin + np.arange(500)[:, None]] = -1
        expected[order[begin : begin + 500]] = cosines.max(axis=1)
    assert np.abs(np.sort(expected[selection.indices]) - np.sort(expected)[: len(selection)]).max() < 2e-6
    copies = np.r_[7, np.arange(100, len(x), 61)]
    only = semdedup(x, eps=1e-5, n_clusters=1, keep="random").indices
    assert np.isin(copies, only).sum() == 1
    if d == 40:  # in fewer dimensions others are as near as rounding can tell
        gone = np.setdiff1d(np.arange(len(x)), semdedup(x, len(x) - 40, n_clusters=1, keep="random").indices)
        assert np.isin(gone, copies).all(), "copies go first, wherever they lie"


def test_threads_and_isa_do_not_matter_to_a_large_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    x = clustered(4_500, 9, 60, seed=1, spread=0.05)
    found = [semdedup(x, 0.4, n_clusters=1, threads=threads).indices for threads in THREADS]
    monkeypatch.setenv("COREMAX_ISA", "scalar")
    found.append(semdedup(x, 0.4, n_clusters=1).indices)
    assert all(np.array_equal(found[0], other) for other in found)


def test_progress_reaches_the_end_and_an_exception_in_it_stops() -> None:
    x = clustered(6_000, 6, 60, seed=1)
    seen: list[tuple[int, int]] = []
    semdedup(x, 0.4, clusters=np.zeros(6_000, dtype=np.int64), threads=1, progress=lambda *done: seen.append(done))
    assert seen[-1] == (6_000 * 5_999 // 2, 6_000 * 5_999 // 2)
    assert seen == sorted(seen)
    assert 0 < seen[0][0] < 6_000 * 5_999 // 2  # on the way; how often depends on the time it takes

    def stop(done: int, total: int) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        semdedup(x, 0.4, progress=stop)


def bad(row: int, value: Any) -> Any:
    return np.where(np.arange(N)[:, None] == row, value, X)


WORD: Any = "word"  # which is no choice of any argument


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: semdedup(X), TypeError, "pass either budget or eps"),
        (lambda: semdedup(X, 5, eps=0.1), TypeError, "not both"),
        (lambda: semdedup(bad(9, np.nan), 5), ValueError, r"x\[9, 0\] is nan"),
        (lambda: semdedup(bad(9, np.inf), 5), ValueError, r"x\[9, 0\] is inf"),
        (lambda: semdedup(bad(9, 0), 5, n_clusters=1), ValueError, "row 9 of x is all zeros"),
        (lambda: semdedup(bad(9, 0), 5, clusters=CLUSTERS), ValueError, "row 9 of x is all zeros"),
        (lambda: semdedup(X[:0], 5), ValueError, "x is empty"),
        (lambda: semdedup(X[:, :0], 5), ValueError, "x is empty"),
        (lambda: semdedup(X, 0), ValueError, "budget must be from 1"),
        (lambda: semdedup(X, eps=-0.1), ValueError, "eps must be finite and from 0 to 2"),
        (lambda: semdedup(X, eps=np.nan), ValueError, "eps must be finite"),
        (lambda: semdedup(X, 5, clusters=CLUSTERS[1:]), ValueError, "clusters has 239 elements, but x has 240"),
        (lambda: semdedup(X, 5, n_clusters=0), ValueError, "n_clusters must be from 1 to 240"),
        (lambda: semdedup(X, 5, n_clusters=N + 1), ValueError, "n_clusters must be from 1 to 240"),
        (lambda: semdedup(X, 5, n_clusters=WORD), TypeError, "n_clusters must be an int"),
        (lambda: semdedup(X, 5, keep=WORD), ValueError, "keep must be one of"),
    ],
)
def test_bad_arguments(call: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
