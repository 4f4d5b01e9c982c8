"""The contestants: functions (problem, fraction kept, seed) -> numbers kept, all by one rule for all data sets."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

import coremax
from coremax import selection
from coremax.sampling import largest_remainder, sample, stratified

from .proxies import Problem

Numbers = NDArray[np.int64]
Method = Callable[[Problem, float, int], Numbers]

SCORE = "el2n"  # of every method that takes one, where its name says no other
NEIGHBOURS = 10


def count(problem: Problem, keep: float) -> int:
    """Samples in a budget: round half up, as coremax does."""
    return max(1, int(np.floor(keep * len(problem.task.y) + 0.5)))


def class_random(problem: Problem, keep: float, seed: int) -> Numbers:
    """As many of each class as there are, at random."""
    labels = problem.task.y
    quotas = largest_remainder(
        np.ones(problem.task.n_classes), count(problem, keep), np.bincount(labels, minlength=problem.task.n_classes)
    )
    return np.sort(stratified(labels, count(problem, keep), quotas=np.asarray(quotas, dtype=np.float64), seed=seed))


def dual_beta(problem: Problem, keep: float, seed: int, c: float = 15.0, c_d: float = 4.0) -> Numbers:
    """DUAL's draw (Cho et al., ICML 2025): weights are the score times the density of a Beta that is easier the more is pruned.

    With r the fraction pruned and mu the mean prediction of the sample of highest score, the Beta has the parameters C - b and
    b = C (1 - mu)(1 - r^c_D), over the mean prediction; C = 15 and c_D = 4 are the paper's for CIFAR-100,
    as we read of them at second hand.
    """
    score, p_y = problem.scores["dual"], np.clip(problem.p_y, 1e-6, 1 - 1e-6)
    pruned = 1 - count(problem, keep) / len(score)
    b = max(c * (1 - p_y[np.argmax(score)]) * (1 - pruned**c_d), 1e-3)
    log_density = (c - b - 1) * np.log(p_y) + (b - 1) * np.log1p(-p_y)
    log_weights = log_density + np.log(score + 1e-12)
    return np.sort(sample(log_weights, count(problem, keep), log_weights=True, seed=seed))


def k_center(problem: Problem, keep: float, seed: int) -> Numbers:
    """Greedy k-center (Sener and Savarese 2018) on the embeddings, within each class by its share; ours."""
    return _by_class(problem, keep, lambda rows, m: _farthest_first(problem.embeddings[rows], m, seed))


def _farthest_first(x: NDArray[np.float32], m: int, seed: int) -> Numbers:
    chosen = [int(np.random.default_rng(seed).integers(len(x)))]
    squares = (x**2).sum(axis=1)
    distance = np.full(len(x), np.inf)
    while len(chosen) < m:
        last = chosen[-1]
        distance = np.minimum(distance, squares + squares[last] - 2 * (x @ x[last]))
        distance[last] = -np.inf
        chosen.append(int(np.argmax(distance)))
    return np.array(chosen)


def facility_location(problem: Problem, keep: float, seed: int) -> Numbers:  # noqa: ARG001  (as the others take it)
    """Greedy facility location, within each class by its share; cosines of all pairs, our lazy greedy.

    apricot's and submodlib's lazy greedy choose the same samples in the same order (tests/test_accuracy.py).
    """
    return _by_class(problem, keep, lambda rows, m: _lazy_facility_location(problem.embeddings[rows], m))


def _lazy_facility_location(x: NDArray[np.float32], m: int) -> Numbers:
    unit = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    similarities = np.maximum(unit @ unit.T, 0)
    covered = np.zeros(len(x), dtype=np.float32)
    heap = [(-float(gain), i) for i, gain in enumerate(similarities.sum(axis=1))]
    heapq.heapify(heap)
    chosen: list[int] = []
    while len(chosen) < m:
        _, i = heapq.heappop(heap)
        gain = -float(np.maximum(similarities[i] - covered, 0).sum())
        if heap and gain > heap[0][0]:
            heapq.heappush(heap, (gain, i))
            continue
        chosen.append(i)
        covered = np.maximum(covered, similarities[i])
    return np.array(chosen)


def _by_class(problem: Problem, keep: float, choose: Callable[[Numbers, int], Numbers]) -> Numbers:
    labels = problem.task.y
    sizes = np.bincount(labels, minlength=problem.task.n_classes)
    quotas = largest_remainder(sizes.astype(np.float64), count(problem, keep), sizes)
    members = [np.flatnonzero(labels == c) for c in range(len(sizes))]
    return np.sort(np.concatenate([rows[choose(rows, int(m))] for rows, m in zip(members, quotas, strict=True) if m]))


def graph_cut(problem: Problem, keep: float, seed: int) -> Numbers:  # noqa: ARG001
    """Graph cut (lambda 1/2) on the neighbour graph: similarity to everything less that of each chosen pair; our greedy."""
    graph = coremax.topk_graph(problem.embeddings, NEIGHBOURS)
    total = np.asarray(graph.to_scipy().sum(axis=1), dtype=np.float64).ravel()
    found = coremax.solve(total, graph, count(problem, keep), alpha=0.5, method="greedy", bound=None)
    return np.asarray(found.indices)


def infomax(problem: Problem, keep: float, seed: int, score: str = SCORE, with_labels: bool = True, **options: Any) -> Numbers:
    """InfoMax with coremax's defaults but for the options given."""
    labels = problem.task.y if with_labels else None
    scores, m = problem.scores[score], count(problem, keep)
    return np.asarray(selection.infomax(problem.embeddings, scores, m, labels=labels, seed=seed, bound=None, **options).indices)


def infomax_quota(problem: Problem, keep: float, seed: int) -> Numbers:
    """InfoMax with every class's share of the budget in proportion to its size, exactly."""
    labels, m = problem.task.y, count(problem, keep)
    sizes = np.bincount(labels, minlength=problem.task.n_classes)
    quotas = largest_remainder(sizes.astype(np.float64), m, sizes)
    limits = {c: (int(q), int(q)) for c, q in enumerate(quotas) if sizes[c]}
    return infomax(problem, keep, seed, groups=labels, group_limits=limits, method="greedy")


def unsupervised(choose: Callable[..., selection.Selection], problem: Problem, keep: float, seed: int) -> Numbers:
    """No labels: principal components, and SSP (distance to the nearest prototype, Sorscher et al. 2022) as score."""
    return np.asarray(choose(problem.raw, problem.scores["ssp"], count(problem, keep), seed).indices)


def sims(problem: Problem, keep: float, seed: int, score: str = SCORE) -> Numbers:
    """SIMS with coremax's defaults."""
    found = selection.sims(problem.scores[score], count(problem, keep), labels=problem.task.y, higher="hard", seed=seed)
    return np.asarray(found.indices)


def ccs(problem: Problem, keep: float, seed: int, score: str = SCORE) -> Numbers:
    """CCS with coremax's defaults."""
    return np.asarray(selection.ccs(problem.scores[score], count(problem, keep), seed=seed).indices)


def _numbers(choose: Callable[[Problem, int, int], selection.Selection], problem: Problem, keep: float, seed: int) -> Numbers:
    return np.asarray(choose(problem, count(problem, keep), seed).indices)


def _d2(problem: Problem, m: int, seed: int) -> selection.Selection:  # noqa: ARG001
    return selection.d2(problem.embeddings, problem.scores[SCORE], m, metric="cosine")


# What the main tables show: eleven baselines, our defaults, and InfoMax as published and without redundancy. Variants use
# greedy, which saves time.
DEFAULT: dict[str, Method] = {
    "random": partial(_numbers, lambda p, m, seed: selection.random(len(p.task.y), m, seed=seed)),
    "class-random": class_random,
    "top": partial(_numbers, lambda p, m, seed: selection.top(p.scores[SCORE], m)),  # noqa: ARG005
    "moderate": partial(_numbers, lambda p, m, seed: selection.moderate(p.embeddings, m, labels=p.task.y)),  # noqa: ARG005
    "ccs": ccs,
    "d2": partial(_numbers, _d2),
    "facility-location": facility_location,
    "graph-cut": graph_cut,
    "k-center": k_center,
    "semdedup": partial(_numbers, lambda p, m, seed: selection.semdedup(p.embeddings, m, seed=seed)),
    "dual-beta": dual_beta,
    "sims": sims,
    "infomax-published": partial(infomax, with_labels=False, target="score", drop_hardest=0, alpha=0.3, method="greedy"),
    "infomax-alpha0": partial(infomax, alpha=0.0, method="greedy"),
    "infomax": infomax,
}
# To see what does what: each differs from `infomax` in what its name says.
VARIANTS: dict[str, Method] = {
    "infomax-untypical": partial(infomax, typical=0),
    "infomax-unlabelled": partial(infomax, with_labels=False, method="greedy"),
    "infomax-quota": infomax_quota,
    **{f"infomax-{solver}": partial(infomax, method=solver) for solver in ("greedy", "pgd", "annealed", "continuation")},
    **{
        f"infomax-{score}": partial(infomax, score=score, method="greedy")
        for score in ("margin", "aum", "forgetting", "sim", "dual")
    },
}
UNSUPERVISED: dict[str, Method] = {
    "unsupervised-top": partial(unsupervised, lambda x, score, m, seed: selection.top(score, m)),  # noqa: ARG005
    "unsupervised-ccs": partial(unsupervised, lambda x, score, m, seed: selection.ccs(score, m, seed=seed)),  # noqa: ARG005
    "unsupervised-sims": partial(
        unsupervised,
        lambda x, score, m, seed: selection.sims(score, m, higher="hard", seed=seed),  # noqa: ARG005
    ),
    "unsupervised-infomax": partial(
        unsupervised, lambda x, score, m, seed: selection.infomax(x, score, m, seed=seed, bound=None)
    ),
}
METHODS = {**DEFAULT, **VARIANTS, **UNSUPERVISED}
