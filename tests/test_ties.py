"""Ties go by the seed: where samples are equal to all a method knows of them, their position must not matter.

Data sorted by date are the case to have in mind. Counts over many seeds are compared with their mean; those of a tenth of the
rows spread less than binomial ones (draws without replacement, of which all tenths have the same kinds). Six standard
deviations: false alarm below 2e-9 for each count, below 4e-6 for all here, and seeds are fixed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import coremax
from coremax import datasets, selection
from coremax._inputs import order as _order
from coremax.cli.commands import coremax as command
from coremax.sampling import largest_remainder, stratified
from coremax.sklearn import CoresetSelector
from helpers import THREADS

N, BUDGET, SEEDS, SIGMAS = 400, 40, 40, 6.0
# Every tenth of the rows has the same scores.
SCORES = {
    "constant": np.full(N, 3.0),
    "binary": np.arange(N) % 10 // 7 * 1.0,
    "five levels": np.arange(N) % 5 / 4,
    "rare": np.arange(N) % 40 // 39 * 1.0,
    "whole numbers": np.arange(N) % 5,
}
LABELS = np.arange(N) % 4
Draw = Callable[[Any, Any, int], Any]  # embeddings, scores and a seed to numbers
METHODS: dict[str, Draw] = {
    "infomax": lambda x, score, seed: selection.infomax(x, score, BUDGET, seed=seed, effort="fast", bound=None),
    "infomax, of a score": lambda x, score, seed: selection.infomax(
        x, score, BUDGET, seed=seed, effort="fast", bound=None, target="score"
    ),
    "infomax, dropping half": lambda x, score, seed: selection.infomax(
        x, score, BUDGET, seed=seed, effort="fast", bound=None, drop_hardest=0.5, target="score"
    ),
    "infomax, of classes": lambda x, score, seed: selection.infomax(
        x, score, BUDGET, labels=LABELS, seed=seed, effort="fast", bound=None
    ),
    "sims": lambda x, score, seed: selection.sims(score, BUDGET, seed=seed),
    "sims, of classes": lambda x, score, seed: selection.sims(score, BUDGET, labels=LABELS, class_fraction=1, seed=seed),
    "ccs": lambda x, score, seed: selection.ccs(score, BUDGET, seed=seed),
    "ccs, dropping half": lambda x, score, seed: selection.ccs(score, BUDGET, seed=seed, drop_hardest=0.5),
    "ccs, of ease": lambda x, score, seed: selection.ccs(score, BUDGET, seed=seed, higher="easy"),
    "d2": lambda x, score, seed: selection.d2(x, score, BUDGET, seed=seed),
    "top": lambda x, score, seed: selection.top(score, BUDGET, seed=seed),
}


def embeddings(seed: int) -> Any:
    return np.random.default_rng(seed).normal(size=(N, 6)).astype(np.float32)


def assert_fair(kept: Sequence[Any], n: int = N) -> None:
    """The numbers kept of n, seed by seed: each tenth has its share, and every seed another subset."""
    subsets = {tuple(np.asarray(numbers).tolist()) for numbers in kept}
    assert len(subsets) == len(kept)
    counts = np.bincount(np.concatenate([np.asarray(numbers) for numbers in kept]) * 10 // n, minlength=10)
    mean = counts.sum() / 10
    assert np.abs(counts - mean).max() < SIGMAS * np.sqrt(mean * 0.9), counts.tolist()


@pytest.mark.parametrize("kind", SCORES)
@pytest.mark.parametrize("method", METHODS)
def test_every_tenth_has_its_chance(method: str, kind: str) -> None:
    assert_fair([METHODS[method](embeddings(seed), SCORES[kind], seed).indices for seed in range(SEEDS)])


@pytest.mark.parametrize("method", ["moderate", "semdedup", "d2"])
def test_of_copies_any_may_be_kept(method: str) -> None:
    """Twenty copies of each row; the copies of a row are spread over all tenths."""
    x = np.random.default_rng(0).normal(size=(20, 6)).astype(np.float32)[np.arange(N) % 20]
    options: dict[str, dict[str, Any]] = {"moderate": {"budget": 30}, "semdedup": {"eps": 0.01}, "d2": {"budget": 30}}
    # A complete graph of copies, since the lists of `topk_graph` name those of lower number.
    same = np.where(np.arange(N) % 20 == (np.arange(N) % 20)[:, None], 1.0, 0.0) - np.eye(N)
    graph = coremax.Graph.from_csr(
        np.r_[0, np.cumsum((same > 0).sum(axis=1))], np.nonzero(same)[1], np.ones(int(same.sum()), np.float32), metric="cosine"
    )
    inputs = {"d2": (graph, np.ones(N))}.get(method, (x,))
    function = getattr(selection, method)
    assert_fair([function(*inputs, seed=seed, **options[method]).indices for seed in range(SEEDS)])


SOLVERS = ("auto", "greedy", "heat-bath", "swap-annealing", "pgd", "continuation", "annealed", "softmax", "lp")


def ring(n: int, similarity: float) -> coremax.Graph:
    """Everyone beside two others: rotations change nothing."""
    near = (np.arange(n)[:, None] + [-1, 1]) % n
    return coremax.Graph.from_neighbors(near, np.full((n, 2), similarity, dtype=np.float32))


@pytest.mark.parametrize("similarity", [0.0, 0.5])
@pytest.mark.parametrize("method", SOLVERS)
def test_the_solver_favours_no_position(method: str, similarity: float) -> None:
    graph = ring(N, similarity)
    for importance in (np.ones(N), np.arange(N) % 2.0):
        options: dict[str, Any] = {"method": method, "effort": "fast", "bound": None}
        kept = [coremax.solve(importance, graph, BUDGET, seed=seed, **options).indices for seed in range(SEEDS)]
        assert_fair(kept)
        for threads in THREADS:
            again = coremax.solve(importance, graph, BUDGET, seed=3, threads=threads, **options)
            assert np.array_equal(again.indices, kept[3])


def test_the_solver_favours_no_position_within_limits() -> None:
    graph, ones = ring(N, 0.5), np.ones(N)
    limits: list[dict[str, Any]] = [
        {"groups": LABELS, "group_limits": (5, 15)},
        {"include": np.arange(5, N, 40), "exclude": np.arange(7, N, 40)},
        {"costs": 1.0 + np.arange(N) % 2},
        {"budget": 4, "exclude": np.arange(N)[np.arange(N) % 40 > 1]},  # so few that all are tried
    ]
    for limit in limits:
        options: dict[str, Any] = {"budget": BUDGET, "effort": "fast", "bound": None} | limit
        seeds = range(SEEDS)
        kept = [coremax.solve(ones, graph, seed=seed, **options).indices for seed in seeds]
        counts = np.bincount(np.concatenate(kept) * 10 // N, minlength=10)
        mean = counts.sum() / 10
        assert np.abs(counts - mean).max() < SIGMAS * np.sqrt(mean * 0.9), (limit, counts.tolist())


def test_a_nested_path_favours_no_position() -> None:
    paths = [
        coremax.solve_path(np.ones(N), ring(N, 0.5), [80, 20], nested=True, seed=seed, effort="fast") for seed in range(SEEDS)
    ]
    for larger, smaller in paths:
        assert np.isin(smaller.indices, larger.indices).all()
    assert_fair([smaller.indices for _, smaller in paths])


def test_reordered_elements_are_the_same_problem() -> None:
    """Bounds and values do not depend on whether ties are there: importances a rounding apart give those of equal ones."""
    rng = np.random.default_rng(1)
    graph = coremax.topk_graph(rng.normal(size=(N, 5)).astype(np.float32), 6)
    equal = np.round(rng.random(N), 1)
    apart = equal + np.arange(N) * 1e-13
    one, two = (coremax.solve(importance, graph, 40, alpha=0.2) for importance in (equal, apart))
    assert one.objective == pytest.approx(two.objective, rel=1e-3)
    assert one.objective == pytest.approx(coremax.solver.objective(equal, graph, one.indices, 0.2), rel=1e-12)
    assert one.upper_bound >= max(one.objective, two.objective) - 1e-9
    assert one.x.shape == (N,)
    assert one.x.sum() == pytest.approx(40)


@pytest.mark.parametrize("method", ["infomax", "d2"])
def test_an_estimator_without_scores_counts_all_alike(method: Any) -> None:
    options = {"effort": "fast"} if method == "infomax" else {}
    kept = []
    for seed in range(SEEDS):
        selector = CoresetSelector(0.1, method=method, random_state=seed, options=options).fit(embeddings(seed))
        assert selector.selection_.candidates is None or len(selector.selection_.candidates) == N
        kept.append(selector.sample_indices_)
    assert_fair(kept)


@pytest.mark.parametrize("method", ["infomax", "ccs", "d2", "top"])
def test_data_sets_pass_the_seed_on(method: Any) -> None:
    hugging_face = pytest.importorskip("datasets")
    options = {"effort": "fast"} if method == "infomax" else {}
    kept = []
    for seed in range(20):
        data = hugging_face.Dataset.from_dict({"embedding": list(embeddings(seed)), "score": SCORES["binary"]})
        found = datasets.select(data, BUDGET, embedding="embedding", score="score", method=method, seed=seed, options=options)
        kept.append(found.indices)
    assert_fair(kept)


@pytest.mark.parametrize("method", ["infomax", "ccs", "d2", "top", "moderate"])
def test_the_command_line_passes_the_seed_on(method: str, tmp_path: Path) -> None:
    x, score, out = (str(tmp_path / name) for name in ("x.npy", "score.npy", "kept.npy"))
    np.save(score, SCORES["five levels"])
    kept = []
    for seed in range(12):
        np.save(x, np.ones((N, 2), np.float32) if method == "moderate" else embeddings(seed))
        scored = [] if method == "moderate" else ["--importance", score]
        arguments = ["select", x, *scored, "--method", method, "--budget", str(BUDGET), "--seed", str(seed), "-o", out]
        result = CliRunner().invoke(command, arguments)
        assert result.exit_code == 0, result.output
        kept.append(np.load(out))
    assert_fair(kept)


def test_nothing_is_dropped_where_the_score_says_nothing() -> None:
    x = embeddings(0)
    for drop in ("auto", 0.5, 1.0):
        assert len(selection.infomax(x, np.full(N, 7.0), BUDGET, drop_hardest=drop).candidates) == N
        assert len(selection.ccs(np.full(N, 7.0), BUDGET, drop_hardest=drop).candidates) == N
    # Of a class that is constant nothing is dropped, of the others as much as is asked for.
    score = np.where(LABELS == 2, 5.0, np.random.default_rng(0).random(N))
    kept = selection.infomax(x, score, BUDGET, labels=LABELS, drop_hardest=0.25, max_contradiction=1).candidates
    assert np.bincount(LABELS[kept]).tolist() == [75, 75, 100, 75]
    # Hard is only what is harder than the easiest: 40 samples, though a fifth is asked for.
    few = np.arange(N) % 10 // 9 * 1.0
    for candidates in (
        selection.infomax(x, few, BUDGET, drop_hardest=0.2).candidates,
        selection.ccs(few, BUDGET, drop_hardest=0.2).candidates,
    ):
        assert candidates.tolist() == np.flatnonzero(few == 0).tolist()
    # Of those tied at the cut any goes: as many as asked for, all of the highest score.
    for seed in range(3):
        kept = selection.ccs(SCORES["binary"], BUDGET, drop_hardest=0.1, seed=seed).candidates
        assert len(kept) == 360
        assert (SCORES["binary"][np.setdiff1d(np.arange(N), kept)] == 1).all()


def test_equal_classes_take_turns() -> None:
    """Ten classes of equal size and fifteen places: each has a second one half of the time."""
    labels = np.arange(200) % 10
    draws: dict[str, Callable[[int], Any]] = {
        "stratified": lambda seed: stratified(labels, 15, seed=seed),
        "sims": lambda seed: selection.sims(np.ones(200), 15, labels=labels, class_fraction=1, seed=seed).indices,
        "infomax": lambda seed: (
            selection.infomax(
                np.random.default_rng(seed).normal(size=(200, 4)), np.ones(200), 15, labels=labels, seed=seed, effort="fast"
            ).indices
        ),
    }
    for name, draw in draws.items():
        second = sum(np.bincount(labels[draw(seed)], minlength=10) == 2 for seed in range(100))
        assert np.abs(np.asarray(second) - 50).max() < SIGMAS * 5, (name, second)


def test_quotas_break_ties_by_the_seed() -> None:
    seconds = sum(largest_remainder([1, 1, 1, 1], 6, seed=seed) == 2 for seed in range(400))
    assert np.abs(seconds - 200).max() < SIGMAS * 10
    assert largest_remainder([1, 1, 1, 1], 6).tolist() == [2, 2, 1, 1], "without a seed the first ones"
    for seed in range(20):
        assert largest_remainder([5, 3, 2], 7, seed=seed).tolist() == [4, 2, 1], "no tie: 3.5, 2.1 and 1.4"
        assert largest_remainder([8, 1, 1], 10, [3, 9, 9], seed=seed).tolist() in ([3, 4, 3], [3, 3, 4])


def test_orders() -> None:
    assert _order.shuffled(0, "a", 0).tolist() == []
    assert sorted(_order.shuffled(50, "a", 1).tolist()) == list(range(50))
    assert not np.array_equal(_order.shuffled(50, "a", 1), _order.shuffled(50, "b", 1))
    assert np.array_equal(_order.chances(50, "a", 1)[_order.shuffled(50, "a", 1)], np.arange(50))
    values = np.random.default_rng(0).integers(0, 5, 300) - 2.0
    values[values == 0] *= np.where(np.arange((values == 0).sum()) % 2, -1.0, 1.0)  # zeros of both signs are equal
    order = _order.ascending(values, "a", 2)
    assert (np.diff(values[order]) >= 0).all()
    assert sorted(order.tolist()) == list(range(300))
    assert np.array_equal(_order.ascending(np.arange(9.0)[::-1], "a", 5), np.arange(9)[::-1])
    # All orders of three are equally frequent: 600 draws, six counts of 100 with a standard deviation of 9.1.
    places = [tuple(_order.ascending(np.zeros(3), "a", seed).tolist()) for seed in range(600)]
    assert max(abs(places.count(order) - 100) for order in set(places)) < SIGMAS * 9.2
    assert len(set(places)) == 6


def test_growing_budgets_are_nested() -> None:
    for seed in range(3):
        few, many = (selection.top(SCORES["binary"], budget, seed=seed).indices for budget in (30, 200))
        assert np.isin(few, many).all()


@pytest.mark.parametrize("kind", [np.int64, np.uint64])
def test_top_tells_all_whole_numbers_apart(kind: Any) -> None:
    base = 2**62 if kind is np.int64 else 2**63 + 2**62
    score = np.random.default_rng(0).permutation(1000).astype(kind) + kind(base)
    expected = np.sort(np.argsort(score)[-10:])
    for seed in range(3):
        for stored in (score, score.astype(score.dtype.newbyteorder(">")), score.tolist(), np.repeat(score, 2)[::2]):
            assert np.array_equal(selection.top(stored, 10, seed=seed).indices, expected)
    if kind is np.int64:
        low = np.array([-(2**63), 2**53, 2**53 + 1, -(2**53) - 1], dtype=np.int64)
        assert selection.top(low, 1).indices.tolist() == [2]
        assert selection.top(low, 3).indices.tolist() == [1, 2, 3]


def test_scores_that_would_be_rounded_are_refused() -> None:
    score = np.arange(N) + 2**53
    for call in (
        lambda: selection.ccs(score, 4),
        lambda: selection.sims(score, 4),
        lambda: selection.d2(embeddings(0), score, 4),
        lambda: selection.coverage(score, 0.1),
    ):
        with pytest.raises(ValueError, match=r"score\[1\] is 9007199254740993: beyond 2\^53"):
            call()
    with pytest.raises(ValueError, match=r"importance\[1\] is 9007199254740993"):
        selection.infomax(embeddings(0), score, 4)
    assert len(selection.ccs(score - 2**53, 4)) == 4


def test_copies_that_d2_takes_are_any() -> None:
    # Neighbour lists of more than k copies name those of the lowest numbers, which alone got messages: the others never came.
    rng = np.random.default_rng(0)
    x = np.tile(rng.normal(size=(25, 4)).astype(np.float32), (40, 1))
    tenths = np.zeros(10, dtype=np.int64)
    for seed in range(10):
        kept = selection.d2(x, np.ones(1000), 100, seed=seed).indices
        tenths += np.bincount(kept // 100, minlength=10)
    assert np.abs(tenths - 100).max() < 60
    ours = selection.d2(torch.from_numpy(x).bfloat16(), np.ones(1000), 100, seed=3)
    assert ours.graph is not None
    assert isinstance(ours.indices, torch.Tensor)
    found = np.asarray(ours.graph.neighbors)
    assert (found != np.arange(1000)[:, None]).all()
    assert all(len(set(row)) == 5 for row in found.tolist())
    np.testing.assert_array_equal(x[found], np.repeat(x[:, None], 5, axis=1))


@pytest.mark.parametrize("options", [{}, {"labels": np.arange(1000) % 3}, {"partitions": 3}, {"drop_hardest": 0.3}])
def test_copies_that_infomax_keeps_are_any(options: dict[str, Any]) -> None:
    # Those of the lowest numbers, which all others listed, looked the most redundant.
    x = np.tile(np.random.default_rng(0).normal(size=(25, 4)).astype(np.float32), (40, 1))
    tenths = np.zeros(10, dtype=np.int64)
    for seed in range(10):
        kept = coremax.infomax(x, np.ones(1000), 100, seed=seed, **options).indices
        tenths += np.bincount(kept // 100, minlength=10)
    assert np.abs(tenths - 100).max() < 60
