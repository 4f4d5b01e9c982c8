"""What labels and the budget change about InfoMax: contradiction, coverage, floors, alpha."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import coremax
from coremax.scores import contradiction
from coremax.selection import auto_drop_hardest, auto_max_contradiction, coverage, infomax
from helpers import clustered
from oracles import selection as oracle
from oracles import solver as solver_oracle

N, CLASSES = 600, 6
LABELS = np.arange(N) % CLASSES
X = (clustered(CLASSES, 10, CLASSES, seed=0, spread=0)[LABELS] + np.random.default_rng(1).normal(size=(N, 10)) / 3).astype(
    np.float32
)
SCORE = np.random.default_rng(2).random(N)
WRONG = np.sort(np.random.default_rng(3).choice(N, 60, replace=False))
SHIFT = np.random.default_rng(4).integers(1, CLASSES, N)
MISLABELLED = np.where(np.isin(np.arange(N), WRONG), (LABELS + SHIFT) % CLASSES, LABELS)


@given(st.integers(2, 30), st.integers(1, 5), st.integers(1, 4), st.integers(0, 10**6))
def test_contradiction_is_the_oracles(n: int, k: int, n_classes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(-1, n_classes - 1, n)
    graph = coremax.topk_graph(rng.normal(size=(n, 3)).astype(np.float32), min(k, n - 1))
    np.testing.assert_allclose(contradiction(graph, labels), oracle.contradiction(graph.neighbors, labels), rtol=1e-12)


def test_contradiction_with_absent_neighbours() -> None:
    neighbors = np.array([[1, -1], [0, 2], [-1, -1], [1, 2]])
    graph = coremax.Graph.from_neighbors(neighbors, np.where(neighbors < 0, 0, 0.5).astype(np.float32))
    labels = np.array([0, 1, 0, 1])
    np.testing.assert_allclose(contradiction(graph, labels), oracle.contradiction(neighbors, labels))
    assert contradiction(graph, labels)[2] == 0


def test_contradiction_tells_wrong_labels() -> None:
    found = contradiction(coremax.topk_graph(X, 10), MISLABELLED) > 0.8
    # Not all: neighbours count a sample's own label, too, and some have other wrong labels around them.
    assert np.isin(np.flatnonzero(found), WRONG).all()
    assert found.sum() >= 0.85 * len(WRONG)
    assert (contradiction(coremax.topk_graph(X, 10), np.zeros(N, dtype=np.int64)) == 0).all()


def test_rare_classes_are_not_outvoted() -> None:
    # Three samples of a rare class, next to each other at the edge of a frequent one: votes alone would speak against them.
    rng = np.random.default_rng(4)
    x = np.r_[rng.normal(size=(300, 4)), rng.normal(size=(3, 4)) / 10 + 1.5].astype(np.float32)
    labels = np.r_[np.zeros(300, dtype=np.int64), np.ones(3, dtype=np.int64)]
    assert contradiction(coremax.topk_graph(x, 10, metric="euclidean"), labels)[300:].max() < 0.5


def test_contradiction_of_torch_labels_and_bad_ones() -> None:
    graph = coremax.topk_graph(X, 5)
    assert isinstance(contradiction(graph, torch.from_numpy(LABELS)), torch.Tensor)
    with pytest.raises(ValueError, match="labels has 599 elements, but graph has 600"):
        contradiction(graph, LABELS[1:])
    with pytest.raises(TypeError, match=r"graph must be a coremax.Graph, got ndarray"):
        contradiction(X, LABELS)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="compressed rows"):
        contradiction(coremax.Graph.from_csr(*graph.to_csr()), LABELS)


def test_coverage_draws_every_difficulty_equally_often() -> None:
    # 90 % of the scores in the lowest tenth: draws of 2 % without tilt are nearly uniform over ten ranges of score.
    rng = np.random.default_rng(5)
    score = np.r_[rng.random(18_000) / 10, rng.random(2_000)]
    score[:2] = 0, 1
    counts = np.zeros(10)
    for seed in range(20):
        drawn = np.argsort(-coverage(score, 0.02, tilt=0, seed=seed))[:400]
        counts += np.histogram(score[drawn], 10, (0, 1))[0]
    # 8,000 draws, 800 expected each, standard deviation 27; a sparse bin has 40 samples, and as a draw of 400 takes some
    # it loses weight, hence 200.
    assert np.abs(counts - 800).max() < 200
    tilted = np.argsort(-coverage(score, 0.02, tilt=5))[:400]
    assert score[tilted].mean() > 0.65
    assert coverage(score, 0.02).min() == 0


def test_coverage_counts_classes_equally() -> None:
    labels = np.r_[np.zeros(9_000, dtype=np.int64), np.ones(1_000, dtype=np.int64)]
    score = np.random.default_rng(6).random(10_000)
    drawn = np.argsort(-coverage(score, 0.02, labels=labels, tilt=0))[:200]
    # Rare ones would be 20 of 200; with weights 1 / n_y they are half.
    assert 75 < labels[drawn].sum() < 120
    assert labels[np.argsort(-coverage(score, 0.02, tilt=0))[:200]].sum() < 45


def test_coverage_depends_on_seed_and_place_alone() -> None:
    score = np.linspace(0, 1, 100)
    assert np.array_equal(coverage(score, 0.1, seed=3), coverage(score, 0.1, seed=3))
    assert not np.array_equal(coverage(score, 0.1, seed=3), coverage(score, 0.1, seed=4))
    assert isinstance(coverage(torch.from_numpy(score), 0.1), torch.Tensor)
    # Gumbel numbers: their standard deviation is known to 2 % from 2,000. The more is kept, the less is left to chance.
    for keep in (0.1, 0.7):
        constant = coverage(np.ones(2000), keep, seed=1)
        assert constant.std() == pytest.approx((1 - keep) * np.pi / np.sqrt(6), rel=0.1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], 0.1), "score is empty"),
        (([0.0, np.nan], 0.1), r"score\[1\] is nan"),
        (([0.0, 1.0], 1.5), "keep must be finite and from 0 to 1"),
    ],
)
def test_bad_coverage(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        coverage(*arguments)
    with pytest.raises(ValueError, match="labels has 1 elements, but score has 2"):
        coverage([0.0, 1.0], 0.5, labels=np.zeros(1, dtype=np.int64))


def test_contradicted_samples_are_left_out_first() -> None:
    doubt = contradiction(coremax.topk_graph(X, 10), MISLABELLED)
    contradicted = np.flatnonzero(doubt > 0.8)
    kept = infomax(X, SCORE, 0.5, labels=MISLABELLED, max_contradiction=0.8)
    assert not np.isin(contradicted, kept.candidates).any()
    everything = infomax(X, SCORE, 0.5, labels=MISLABELLED, max_contradiction=1, drop_hardest=0)
    assert np.isin(contradicted, everything.candidates).all()
    # More can only be kept with some of them: the least contradicted of each class, until it has its share.
    m = N - len(contradicted) + 20
    many = infomax(X, SCORE, m, labels=MISLABELLED, max_contradiction=0.8)
    back = contradicted[np.isin(contradicted, many.candidates)]
    assert len(back) >= 20
    for i in back:
        same = contradicted[MISLABELLED[contradicted] == MISLABELLED[i]]
        assert np.isin(same[doubt[same] < doubt[i]], many.candidates).all()
    sizes = np.bincount(MISLABELLED)
    assert (np.bincount(MISLABELLED[many.candidates]) >= np.minimum(sizes, m // CLASSES)).all()
    included = infomax(X, SCORE, 0.1, labels=MISLABELLED, include=contradicted[:5])
    assert np.isin(contradicted[:5], included.indices).all()


def test_the_hardest_are_dropped_within_classes() -> None:
    score = SCORE + LABELS / 10  # class 5 is harder than the others, but they overlap
    selection = infomax(X, score, 0.1, labels=LABELS, drop_hardest=0.3)
    sizes = np.bincount(LABELS[selection.candidates])
    assert (sizes == 70).all()
    for c in range(CLASSES):
        members = np.flatnonzero(c == LABELS)
        assert np.array_equal(np.intersect1d(selection.candidates, members), np.sort(members[np.argsort(score[members])[:70]]))


@pytest.mark.parametrize("keep", [0.02, 0.1, 0.4])
def test_classes_keep_their_floor(keep: float) -> None:
    rare = np.where(np.arange(N) < 12, 1, np.where(np.arange(N) < 100, 2, 0))
    m = round(keep * N)
    kept = infomax(X, SCORE, keep, labels=rare, max_contradiction=1, drop_hardest=0)
    counts, sizes = np.bincount(rare[kept.indices]), np.bincount(rare)
    level = next(
        level for level in range(m + 1) if np.minimum(sizes, level).sum() >= m
    )  # an equal share, where there are so many
    assert counts.sum() == m
    assert (counts >= (1 - keep) * np.minimum(sizes, level - 1) - 1e-9).all()
    assert kept.parameters["class_floor"] == pytest.approx(1 - keep)
    free = infomax(X, SCORE, keep, labels=rare, class_floor=0, target="score", max_contradiction=1, drop_hardest=0)
    assert (free.solution.objective if free.solution else 0) > 0
    full = infomax(X, SCORE, 12, labels=rare, class_floor=1.0, max_contradiction=1)
    assert np.bincount(rare[full.indices]).tolist() == [4, 4, 4]
    pinned = infomax(X, SCORE, 12, labels=rare, class_floor=1.0, max_contradiction=1, include=np.arange(8))
    assert np.bincount(rare[pinned.indices]).tolist()[1] >= 8


def test_rare_classes_are_kept_whole() -> None:
    rare = np.where(np.arange(N) < 12, 1, np.where(np.arange(N) < 100, 2, 0))
    hard = np.where(rare > 0, 1 + SCORE, SCORE)
    # Neither the hardest nor the contradicted (labels have nothing to do with X here) of so rare a class are left out.
    for keep, whole in ((0.1, [1]), (0.5, [1, 2])):
        kept = infomax(X, hard, keep, labels=rare, drop_hardest=0.3)
        for c in (1, 2):
            assert np.isin(np.flatnonzero(rare == c), kept.indices).all() == (c in whole)
    without = infomax(X, hard, 0.1, labels=rare, drop_hardest=0.3, exclude=[2, 5], include=[20])
    assert np.array_equal(without.indices[without.indices < 12], [0, 1, 3, 4, 6, 7, 8, 9, 10, 11])
    assert 20 in without.indices
    free = infomax(X, hard, 0.5, labels=rare, drop_hardest=0.3, class_floor=0)
    assert np.isin(np.flatnonzero(rare > 0), free.candidates).all()  # they may be kept, but need not be


@pytest.mark.parametrize("typical", [1, 3])
def test_typical_samples_are_those_nearest_the_centres_of_clusters(typical: int) -> None:
    kept = infomax(X, SCORE, 0.2, labels=LABELS, typical=typical, max_contradiction=1, drop_hardest=0)
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    for c in range(CLASSES):
        members = np.flatnonzero(c == LABELS)
        centres, place = coremax.scores.spherical_kmeans(X[members], typical)
        cosine = (unit[members] * centres[place]).sum(axis=1)
        for cluster in range(typical):
            of_cluster = np.flatnonzero(place == cluster)
            assert members[of_cluster[np.argmax(cosine[of_cluster])]] in kept.indices


def test_the_smallest_budgets_are_typical_samples_alone() -> None:
    few = infomax(X, SCORE, CLASSES, labels=LABELS)
    assert np.bincount(LABELS[few.indices]).tolist() == [1] * CLASSES
    mean = np.stack([X[c == LABELS].mean(axis=0) for c in range(CLASSES)])
    random = np.stack([np.flatnonzero(c == LABELS)[0] for c in range(CLASSES)])

    def distance(rows: Any) -> float:
        return float(np.linalg.norm(X[rows] - mean[LABELS[rows]], axis=1).mean())

    assert distance(few.indices) < 0.9 * distance(random)
    # Whatever the seed of the draws and the score are.
    other = infomax(X, SCORE[::-1].copy(), CLASSES, labels=LABELS, seed=5, drop_hardest=0)
    assert np.array_equal(other.indices, infomax(X, SCORE, CLASSES, labels=LABELS, seed=5, drop_hardest=0).indices)


def test_typical_samples_of_odd_classes() -> None:
    x = X.copy()
    x[LABELS == 1] = 0  # points nowhere
    x[LABELS == 2] = x[2]  # one direction only
    kept = infomax(x, SCORE, 0.1, labels=LABELS, metric="euclidean")
    assert len(np.unique(kept.indices)) == 60
    assert (np.bincount(LABELS[kept.indices]) >= 9).all()
    half = infomax(torch.from_numpy(X).bfloat16(), SCORE, 30, labels=LABELS)
    assert (np.bincount(LABELS[np.asarray(half.indices)]) == 5).all()
    most = [infomax(X, SCORE, 30, labels=LABELS, typical=number).indices for number in (len(X), 2**70)]
    np.testing.assert_array_equal(*most)
    none = infomax(X, SCORE, 30, labels=LABELS, typical=0)
    assert not np.array_equal(none.indices, infomax(X, SCORE, 30, labels=LABELS).indices)


def test_automatic_contradiction_gives_the_benefit_of_the_doubt_to_few() -> None:
    rng = np.random.default_rng(0)
    for c, keep in ((0.05, 0.3), (0.05, 0.5), (0.1, 0.5), (0.2, 0.5), (0.01, 0.05)):
        n_above = round(1000 * c)
        doubt = rng.permutation(np.r_[rng.random(1000 - n_above) * 0.7, 0.7 + 0.3 * (1 - rng.random(n_above))])
        part = np.clip(c / (0.12 * keep) - 1, 0, 1)
        assert (doubt > auto_max_contradiction(doubt, keep)).sum() == round(part * n_above)
    assert auto_max_contradiction(np.zeros(5), 0.5) == 0.7
    assert auto_max_contradiction(np.ones(5), 0.0) == 0.7
    with pytest.raises(ValueError, match="keep must be finite and from 0 to 1"):
        auto_max_contradiction(np.ones(5), 2)
    # 60 of 600 labels are wrong: at a tenth kept they are left out, at 0.9 kept (more than one in ten would have to be) not.
    assert infomax(X, SCORE, 0.1, labels=MISLABELLED).parameters["max_contradiction"] == 0.7
    assert infomax(X, SCORE, 0.9, labels=MISLABELLED).parameters["max_contradiction"] > 0.9


def test_own_groups_and_costs_take_the_place_of_floors() -> None:
    groups = np.arange(N) % 2
    kept = infomax(X, SCORE, 60, labels=LABELS, groups=groups, group_limits={0: (50, 50)})
    assert (groups[kept.indices] == 0).sum() == 50
    assert len(infomax(X, SCORE, 30.0, labels=LABELS, costs=np.ones(N))) == 30


def test_the_induced_graph_is_the_graph_among_candidates() -> None:
    selection = infomax(X, SCORE, 0.05, labels=MISLABELLED, k=6)
    whole, part = coremax.topk_graph(X, 6), selection.graph
    assert part is not None
    position = {int(row): i for i, row in enumerate(selection.candidates)}
    for i, row in enumerate(selection.candidates[:50]):
        wanted = [
            (position[int(j)], max(float(s), 0.0))
            for j, s in zip(whole.neighbors[row], whole.similarities[row], strict=True)
            if int(j) in position
        ]
        found = [(int(j), float(s)) for j, s in zip(part.neighbors[i], part.similarities[i], strict=True) if j >= 0]
        assert found == wanted


def test_automatic_alpha_balances_redundancy_and_importance() -> None:
    for keep in (0.05, 0.5):
        selection = infomax(X, SCORE, keep, target="score")
        assert selection.graph is not None
        scaled = SCORE[selection.candidates]
        scaled = (scaled - scaled.min()) / np.ptp(scaled)
        k = solver_oracle.dense(selection.graph)
        redundancy = 2 * selection.parameters["alpha"] * keep * k.sum(axis=1).mean()
        assert redundancy == pytest.approx((1 - keep) * scaled.std(), rel=1e-5)
    assert infomax(X, np.ones(N), 0.1, target="score").parameters["alpha"] == 0.3
    assert infomax(X[:1], SCORE[:1], 1).parameters["alpha"] == 0.3


def test_as_published_is_an_argument_away() -> None:
    kept = infomax(X, SCORE, 60, target="score", drop_hardest=0, alpha=0.3)
    graph = coremax.topk_graph(X, 10)
    clipped = coremax.Graph.from_neighbors(graph.neighbors, np.maximum(graph.similarities, 0))
    scaled = (SCORE - SCORE.min()) / np.ptp(SCORE)
    assert np.array_equal(kept.indices, coremax.solve(scaled, clipped, 60, alpha=0.3).indices)


def test_automatic_alpha_of_huge_importance() -> None:
    """Its spread overflows: what is wrong is the importance, not an alpha that nobody gave."""
    as_given: dict[str, Any] = {"target": "score", "normalize": "none", "metric": "dot"}
    with pytest.raises(ValueError, match=r"importance\[\d+\] is .*, beyond the range of 1e100"):
        infomax(X, SCORE * 1e300, 10, **as_given)
    kept = infomax(X * np.float32(1e-15), SCORE * 1e95, 10, **as_given)
    assert len(kept) == 10
    assert kept.parameters["alpha"] == 1e100


def test_parameters_say_what_auto_meant() -> None:
    parameters = infomax(X, SCORE, 0.1, labels=LABELS).parameters
    assert parameters["tilt"] == pytest.approx(8 * 0.1)
    assert parameters["drop_hardest"] == auto_drop_hardest(0.1)
    assert (parameters["target"], parameters["max_contradiction"], parameters["typical"]) == ("coverage", 0.7, 10)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"target": "easy"}, ValueError, "target must be one of"),
        ({"tilt": np.inf}, ValueError, "tilt must be finite"),
        ({"tilt": "steep"}, TypeError, "tilt must be a number"),
        ({"alpha": "big"}, TypeError, "alpha must be a number"),
        ({"max_contradiction": 1.2}, ValueError, "max_contradiction must be finite and from 0 to 1"),
        ({"max_contradiction": "some"}, TypeError, "max_contradiction must be a number"),
        ({"typical": -1}, ValueError, "typical must be at least 0"),
        ({"typical": 1.5}, TypeError, "typical must be an int"),
        ({"class_floor": -1}, ValueError, "class_floor must be finite and from 0 to 1"),
        ({"labels": LABELS[1:]}, ValueError, "labels has 599 elements, but x has 600"),
        ({"labels": SCORE}, TypeError, "labels"),
    ],
)
def test_bad_arguments(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        infomax(X, SCORE, 10, **options)
