"""Selection methods as their papers write them, one sample at a time, in float64."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]
Ranks = Callable[[int, str], Sequence[int]]  # of n elements for a use: ties go to the lower rank


def ccs_quotas(
    hardness: Sequence[float], budget: int, n_dropped: int, strata: int, ranks: Ranks
) -> tuple[list[int], dict[int, int], dict[int, int]]:
    """Algorithm 1 of CCS up to the draws: stratum of each sample (-1: dropped), sizes and quotas of the strata."""
    n = len(hardness)
    drop_rank = ranks(n, "drop_hardest")
    easiest_first = sorted(range(n), key=lambda i: (hardness[i], drop_rank[i]))
    left = easiest_first[: max(n - n_dropped, budget, hardness.count(min(hardness)))]
    low, high = hardness[left[0]], hardness[left[-1]]
    stratum = [-1] * n
    for i in left:
        position = (hardness[i] / 2 - low / 2) / (high / 2 - low / 2) if high / 2 > low / 2 else 0.0
        stratum[i] = min(int(position * strata), strata - 1)
    sizes = {b: stratum.count(b) for b in range(strata)}
    quotas: dict[int, int] = {}
    waiting = [b for b in sizes if sizes[b]]
    visit_rank = dict(zip(waiting, ranks(len(waiting), "strata"), strict=True))
    while waiting:
        smallest = min(waiting, key=lambda b: (sizes[b], visit_rank[b]))
        quotas[smallest] = min(sizes[smallest], budget // len(waiting))
        budget -= quotas[smallest]
        waiting.remove(smallest)
    return stratum, sizes, quotas | {b: 0 for b in sizes if not sizes[b]}


def d2(distances: Reals, score: Sequence[float], budget: int, k: int, gamma: float, gamma_forward: float) -> list[int]:
    """D2 pruning on a full matrix of distances, in the order taken."""
    n = len(score)
    edges: list[set[int]] = [set() for _ in range(n)]
    for i in range(n):
        for j in sorted((j for j in range(n) if j != i), key=lambda j: (distances[i, j], j))[:k]:
            edges[i].add(j)
            edges[j].add(i)
    value = [score[i] + sum(math.exp(-gamma_forward * distances[i, j]) * score[j] for j in sorted(edges[i])) for i in range(n)]
    order: list[int] = []
    while len(order) < budget:
        best = max((i for i in range(n) if i not in order), key=lambda i: (value[i], -i))
        order.append(best)
        for j in edges[best]:
            value[j] -= math.exp(-gamma * distances[best, j]) * value[best]
    return order


def moderate(x: Any, labels: Sequence[int], budget: int, center: str, ranks: Ranks) -> list[int]:
    """The middle ranks of the distances to the centre of the own class."""
    x = np.asarray(x, dtype=np.float64)
    middle = np.mean if center == "mean" else np.median
    distances = []
    for row, label in zip(x, labels, strict=True):
        members = x[[other == label for other in labels]]
        distances.append(math.sqrt(sum((a - b) ** 2 for a, b in zip(row, middle(members, axis=0), strict=True))))
    rank = ranks(len(x), "moderate")
    ranked = sorted(range(len(x)), key=lambda i: (distances[i], rank[i]))
    low = (len(x) - budget) // 2
    return sorted(ranked[low : low + budget])


def semdedup_similarity(x: Any, clusters: Sequence[int], keep: str, rank: Sequence[int]) -> list[float]:
    """For each sample the highest cosine to one before it in its cluster, hard or easy first; -1 for the first."""
    unit = np.asarray(x, dtype=np.float64)
    unit = unit / np.linalg.norm(unit, axis=1, keepdims=True)
    result = [-1.0] * len(unit)
    for cluster in set(clusters):
        members = [i for i in range(len(unit)) if clusters[i] == cluster]
        centroid = unit[members].sum(axis=0)
        centroid /= max(float(np.linalg.norm(centroid)), 1e-300)
        sign = 1 if keep == "hard" else -1
        members.sort(key=lambda i: (sign * round(float(unit[i] @ centroid), 6), rank[i]))
        for place, i in enumerate(members):
            for j in members[:place]:
                result[i] = max(result[i], float(unit[i] @ unit[j]))
    return result


def sims_weights(ease: Sequence[float], mean: float, std: float, cap: float, bins: int, floor: float) -> Reals:
    """Weights q / p of SIMS: the target over the floored density of a histogram over [0, 1], mean one, then capped."""
    counts = [0] * bins
    for value in ease:
        counts[min(int(value * bins), bins - 1)] += 1
    weights = []
    for value in ease:
        density = max(counts[min(int(value * bins), bins - 1)] * bins / len(ease), floor)
        weights.append(math.exp(-0.5 * ((value - mean) / std) ** 2) / density)
    average = math.fsum(weights) / len(weights)
    return np.array([min(weight / average, cap) for weight in weights])


def contradiction(neighbors: NDArray[np.int64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Votes of the neighbours of neighbours against the own label, by the formula of `coremax.scores.contradiction`."""
    classes, sizes = np.unique(labels, return_counts=True)
    result = np.zeros(len(labels))
    for i in range(len(labels)):
        votes = dict.fromkeys(classes.tolist(), 0)
        for j in neighbors[i]:
            for far in neighbors[j] if j >= 0 else []:
                if far >= 0:
                    votes[int(labels[far])] += 1
        size = dict(zip(classes.tolist(), sizes.tolist(), strict=True))
        own = int(labels[i])
        others = [c for c in votes if c != own]
        most = max((votes[c] for c in others), default=0)
        densest = max((votes[c] / size[c] for c in others), default=0)
        if most > 0:
            result[i] = min(most / (most + votes[own]), densest / (densest + votes[own] / size[own]))
    return result
