"""What a report tells, as numbers: the curve over the budget, redundancy before and after, groups of near-duplicates, a map."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._inputs import arrays
from ..graph import Graph
from ..graph._graph import Limits, search
from ..selection import Selection
from ..solver._solver import Inputs, solve_within

__all__ = [
    "ClassShare",
    "CurvePoint",
    "Group",
    "Histogram",
    "Map",
    "Redundancy",
    "budget_curve",
    "class_shares",
    "histogram",
    "kept_twins",
    "map_of",
    "near_duplicates",
    "redundancy",
]

_Array = np.ndarray[Any, Any]

# Of the chosen budget. Above it the bound costs more: many elements go without the last.
_CURVE, _CURVE_OF_MANY, _MANY = (0.25, 0.5, 0.75, 1.5, 2.0), (0.25, 0.5, 1.5), 30_000
_MOST_BINS, _FEWEST_BINS = 40, 12
# Of the search for nearest neighbours by brute force.
_MULTIPLICATIONS, _MOST_QUERIES, _FEWEST_QUERIES = 8e9, 2000, 200
_BLOCK_ELEMENTS = 1 << 21  # of embeddings brought to float64 at a time: 16 MB
_MAP_POINTS, _MAP_KEPT, _PCA_ROWS, _PCA_WIDTH, _PCA_ROUNDS = 20_000, 2_000, 4_000, 8, 16
_PAIRS_PER_SAMPLE, _MOST_PAIRS, _LARGEST_GROUP = 0.1, 30_000, 24
_GRAPH_ROWS, _GRAPH_K, _GRAPH_ELEMENTS = 20_000, 5, 2_560_000


@dataclass(frozen=True)
class CurvePoint:
    """What another budget would give."""

    n_kept: int
    objective: float
    upper_bound: float
    gap: float
    chosen: bool


@dataclass(frozen=True, eq=False)
class Histogram:
    """Counts of kept and of pruned samples in the same bins."""

    edges: _Array
    kept: _Array
    pruned: _Array
    mean_kept: float
    mean_pruned: float


@dataclass(frozen=True, eq=False)
class Redundancy:
    """Similarity to the nearest other sample: of everything, of the kept among themselves, of a random choice of as many."""

    edges: _Array
    before: _Array
    after: _Array
    by_chance: _Array
    medians: tuple[float, float, float]
    n_queries: tuple[int, int, int]
    metric: str


@dataclass(frozen=True)
class ClassShare:
    """One class before and after."""

    name: str
    n: int
    n_kept: int
    share: float
    share_kept: float


@dataclass(frozen=True, eq=False)
class Map:
    """Positions in the plane of some pruned and some kept samples."""

    pruned: _Array
    kept: _Array
    n_pruned: int
    n_kept: int
    explained: float | None


@dataclass(frozen=True)
class Group:
    """Samples joined by pairs at least that similar, kept ones first."""

    members: tuple[int, ...]
    n_kept: int
    similarity: float


def budget_curve(selection: Selection) -> list[CurvePoint]:
    """Objective and bound at budgets around the chosen one; empty where the selection has no solution or lacks its inputs."""
    solution, graph = selection.solution, selection.graph
    importance, limits = selection.inputs.get("importance"), selection.inputs.get("limits")
    if solution is None or graph is None or importance is None or limits is None:
        return []
    points = [CurvePoint(len(selection), solution.objective, solution.upper_bound, solution.gap, True)]
    inputs = Inputs(importance, graph, None)
    start = np.zeros(inputs.n)
    start[arrays.as_numpy(solution.indices)] = 1
    for factor in _CURVE if inputs.n <= _MANY else _CURVE_OF_MANY:
        try:
            scaled = limits.scaled(factor, inputs.n)
        except ValueError:
            continue  # no subset of that size meets the limits
        if scaled.costs is None and scaled.budget in {point.n_kept for point in points}:
            continue
        found = solve_within(
            inputs,
            scaled,
            alpha=selection.parameters["alpha"],
            method="heat-bath",
            effort="fast",
            bound="linear" if np.isfinite(solution.upper_bound) else None,
            x0=start,
        )
        points.append(CurvePoint(len(found.indices), found.objective, found.upper_bound, found.gap, False))
    return sorted(points, key=lambda point: point.n_kept)


def histogram(score: _Array, kept: _Array) -> Histogram | None:
    """Distribution of the score over kept and pruned; None where float64 has no room for its range."""
    finite = np.isfinite(score)
    if not finite.any():
        return None
    low, high = float(score[finite].min()), float(score[finite].max())
    if not np.isfinite(4 * max(abs(low), abs(high))):
        return None
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-290):
        width = max(abs(low), 1.0) / 2
        low, high = low - width, high + width
    of_kept, of_pruned = score[finite & kept], score[finite & ~kept]
    edges = np.linspace(low, high, _bins(len(of_kept)) + 1)
    return Histogram(
        edges, np.histogram(of_kept, edges)[0], np.histogram(of_pruned, edges)[0], _mean(of_kept), _mean(of_pruned)
    )


def _bins(n: int) -> int:
    """Fewer for fewer samples, whose counts would be noise."""
    return int(np.clip(2 * n**0.5, _FEWEST_BINS, _MOST_BINS))


def _mean(values: _Array) -> float:
    return float(values.mean()) if len(values) else float("nan")


def class_shares(names: list[str], place: _Array, kept: _Array) -> list[ClassShare]:
    """Every class with its samples before and after."""
    before, after = np.bincount(place, minlength=len(names)), np.bincount(place[kept], minlength=len(names))
    of_all, of_kept = before / max(before.sum(), 1), after / max(after.sum(), 1)
    rows = zip(names, before.tolist(), after.tolist(), of_all.tolist(), of_kept.tolist(), strict=True)
    return [ClassShare(*row) for row in rows]


def redundancy(x: _Array, kept: _Array, metric: str) -> Redundancy | None:
    """Similarity to the nearest neighbour, of a random sample of rows; None where there are fewer than two to compare."""
    n, n_kept = len(kept), int(kept.sum())
    if n_kept < 2:
        return None
    rng = np.random.default_rng(0)
    everything = np.arange(n)
    subsets = everything, np.flatnonzero(kept), np.sort(rng.permutation(n)[:n_kept])
    scale = _largest(x) if metric != "cosine" else 1.0
    n_queries = int(np.clip(_MULTIPLICATIONS / (n * x.shape[1]), _FEWEST_QUERIES, _MOST_QUERIES))
    found = []
    for subset in subsets:
        queries = np.sort(rng.permutation(subset)[:n_queries])
        found.append(_nearest(x, queries, subset, metric, scale))
    joined = np.concatenate(found)
    if not np.isfinite(4 * float(np.abs(joined).max())):
        return None
    low, high = float(np.quantile(joined, 0.002)), float(joined.max())
    edges = np.linspace(low, max(high, low + 1e-6 * max(abs(low), 1.0)), _bins(len(found[1])) + 1)
    before, after, by_chance = (np.histogram(np.maximum(values, low), edges)[0] for values in found)
    medians = tuple(float(np.median(values)) for values in found)
    sizes = tuple(len(values) for values in found)
    return Redundancy(edges, before, after, by_chance, medians, sizes, metric)  # type: ignore[arg-type]


def _nearest(x: _Array, queries: _Array, among: _Array, metric: str, scale: float) -> _Array:
    """Similarity of each query row to the nearest other row of an ascending `among`, which holds the queries."""
    of_queries = _floats(x, queries, metric, scale)
    narrow = of_queries.astype(np.float32)
    squares = (narrow * narrow).sum(axis=1)
    best, nearest = np.full(len(queries), -np.inf, dtype=np.float32), np.zeros(len(queries), dtype=np.int64)
    place = np.searchsorted(among, queries)
    rows = np.arange(len(queries))
    for begin, end in _blocks(len(among), max(x.shape[1], len(queries))):
        block = _floats(x, among[begin:end], metric, scale).astype(np.float32)
        closeness = narrow @ block.T
        if metric == "euclidean":
            closeness = 2 * closeness - squares[:, None] - (block * block).sum(axis=1)
        own = (place >= begin) & (place < end)
        closeness[rows[own], place[own] - begin] = -np.inf
        found = closeness.argmax(axis=1)
        values = closeness[rows, found]
        better = values > best
        best[better], nearest[better] = values[better], among[begin + found[better]]
    # Once more in float64: so that equal rows are equal, and the answer hardly depends on how a library sums.
    of_nearest = _floats(x, nearest, metric, scale)
    if metric == "euclidean":
        distances = np.sqrt(((of_queries - of_nearest) ** 2).sum(axis=1)) * scale
        return np.asarray(1 / (1 + np.minimum(distances, 1e300)))
    products = (of_queries * of_nearest).sum(axis=1)
    if metric == "cosine":
        return np.asarray(np.round(np.minimum(products, 1.0), 9))
    with np.errstate(over="ignore"):
        return np.asarray(products * scale * scale)


def _floats(x: _Array, rows: _Array, metric: str, scale: float) -> _Array:
    """Rows as float64: of length one for the cosine, in units of `scale` otherwise."""
    block = np.asarray(x[rows], dtype=np.float64)
    if metric != "cosine":
        return np.asarray(block / scale)
    largest = np.abs(block).max(axis=1, keepdims=True)
    block = block / np.where(largest > 0, largest, 1)
    return np.asarray(block / np.maximum(np.sqrt((block * block).sum(axis=1, keepdims=True)), 1e-300))


def _largest(x: _Array) -> float:
    """Largest magnitude of a matrix; 1 where all are zero."""
    largest = max(
        (float(np.abs(x[begin:end].astype(np.float64)).max()) for begin, end in _blocks(len(x), x.shape[1])), default=0
    )
    return largest or 1.0


def _blocks(n: int, width: int) -> Iterator[tuple[int, int]]:
    step = max(1, _BLOCK_ELEMENTS // max(width, 1))
    for begin in range(0, n, step):
        yield begin, min(begin + step, n)


def map_of(kept: _Array, x: _Array | None, coordinates: _Array | None, metric: str) -> Map | None:
    """Positions of a random sample of the pruned and of the kept; None without anything to go by, or where all are in one."""
    rng = np.random.default_rng(1)
    pruned_rows, kept_rows = (
        np.sort(rng.permutation(np.flatnonzero(of))[:most]) for of, most in ((~kept, _MAP_POINTS), (kept, _MAP_KEPT))
    )
    explained = None
    if coordinates is not None:
        pruned, chosen = coordinates[pruned_rows], coordinates[kept_rows]
    elif x is not None and len(x) > 1:
        scale = _largest(x) if metric != "cosine" else 1.0
        centre, axes, explained = _principal_axes(_floats(x, np.sort(rng.permutation(len(x))[:_PCA_ROWS]), metric, scale))
        pruned, chosen = (
            np.concatenate(
                [np.zeros((0, 2))]
                + [
                    (_floats(x, rows[begin:end], metric, scale) - centre) @ axes
                    for begin, end in _blocks(len(rows), x.shape[1])
                ]
            )
            for rows in (pruned_rows, kept_rows)
        )
    else:
        return None
    everything = np.concatenate([pruned, chosen])
    largest = float(np.abs(everything).max())
    if not largest > 0:
        return None
    pruned, chosen, everything = pruned / largest, chosen / largest, everything / largest
    if not np.ptp(everything, axis=0).max() > 1e-12:
        return None
    return Map(pruned, chosen, len(pruned_rows), len(kept_rows), explained)


def _principal_axes(rows: _Array) -> tuple[_Array, _Array, float]:
    """Mean, first two principal axes [d, 2] and the share of the variance they hold, by subspace iteration."""
    centre = rows.mean(axis=0)
    rows = rows - centre
    total = float((rows * rows).sum())
    width = min(_PCA_WIDTH, rows.shape[1])
    basis = np.linalg.qr(np.random.default_rng(2).normal(size=(rows.shape[1], width)))[0]
    for _ in range(_PCA_ROUNDS if width < rows.shape[1] else 0):
        basis = np.linalg.qr(rows.T @ (rows @ basis))[0]
    _, sizes, rotation = np.linalg.svd(rows @ basis, full_matrices=False)
    axes = np.zeros((rows.shape[1], 2))
    axes[:, : min(2, width)] = (basis @ rotation.T)[:, :2]
    # The sign of an axis is arbitrary: its largest entry is made positive.
    axes *= np.where(axes[np.abs(axes).argmax(axis=0), [0, 1]] < 0, -1, 1)
    return centre, axes, float((sizes[:2] ** 2).sum()) / total if total > 0 else 0.0


def near_duplicates(
    selection: Selection, x: _Array | None, kept: _Array, metric: str, most: int
) -> tuple[list[Group], int] | None:
    """The largest groups of most similar samples, and how many samples were looked at; None without graph and embeddings."""
    edges = _edges(selection.graph, selection.candidates, x, metric)
    if edges is None:
        return None
    sources, targets, similarities, n_seen = edges
    n_pairs = min(len(similarities), _MOST_PAIRS, 50 + int(_PAIRS_PER_SAMPLE * n_seen))
    if n_pairs == 0:
        return [], n_seen
    cut = -np.partition(-similarities, n_pairs - 1)[n_pairs - 1]
    strong = np.flatnonzero(similarities >= cut)
    strong = strong[np.argsort(-similarities[strong], kind="stable")][:n_pairs]
    members, weakest = _joined(sources[strong].tolist(), targets[strong].tolist(), similarities[strong].tolist())
    roots = sorted(members, key=lambda root: (-len(members[root]), -weakest[root], root))[:most]
    groups = []
    for root in roots:
        rows = sorted(members[root], key=lambda row: (not kept[row], row))
        groups.append(Group(tuple(rows), int(kept[rows].sum()), weakest[root]))
    return groups, n_seen


def _edges(
    graph: Graph | None, candidates: _Array | None, x: _Array | None, metric: str
) -> tuple[_Array, _Array, _Array, int] | None:
    """Pairs of samples with their similarities, from the graph or, without one, from one of a random part of the rows."""
    if graph is None:
        if x is None or len(x) < 2:
            return None
        most = min(_GRAPH_ROWS, max(2, int((_GRAPH_ROWS * _GRAPH_ELEMENTS / x.shape[1]) ** 0.5)))
        rows = np.sort(np.random.default_rng(3).permutation(len(x))[:most])
        with np.errstate(over="ignore"):
            part = np.ascontiguousarray(_floats(x, rows, metric, 1.0), dtype=np.float32)
        if metric == "cosine":  # rows of zeros have no neighbours
            nonzero = part.any(axis=1)
            part, rows = part[nonzero], rows[nonzero]
        if len(rows) < 2 or not np.isfinite(part).all():
            return None
        view = arrays.as_view(part, "embeddings", ndim=2, dtypes=["float32"])
        try:
            neighbors, values, _ = search(view, None, min(_GRAPH_K, len(rows) - 1), metric, Limits(None, None, None), False)
        except ValueError:
            return None  # inner products beyond float32
        return np.repeat(rows, neighbors.shape[1]), rows[neighbors.ravel()], values.ravel(), len(rows)
    if graph._indptr is None:
        neighbors, values = (arrays.as_numpy(array) for array in (graph.neighbors, graph.similarities))
        sources, targets = np.repeat(np.arange(graph.n), neighbors.shape[1]), neighbors.ravel()
        there = (targets >= 0) & (targets != sources)
        sources, targets, values = sources[there], targets[there], values.ravel()[there]
    else:
        indptr, targets, values = graph._symmetric()
        sources = np.repeat(np.arange(graph.n), np.diff(indptr))
    if candidates is not None:
        numbers = arrays.as_numpy(candidates)
        sources, targets = numbers[sources], numbers[targets]
    return sources, targets, values, graph.n


def _joined(sources: list[int], targets: list[int], similarities: list[float]) -> tuple[dict[int, list[int]], dict[int, float]]:
    """Groups that pairs in descending similarity make, none too large: members and the similarity of the last pair by root."""
    root_of: dict[int, int] = {}
    members: dict[int, list[int]] = {}
    weakest: dict[int, float] = {}
    for i, j, similarity in zip(sources, targets, similarities, strict=True):
        a, b = root_of.setdefault(i, i), root_of.setdefault(j, j)
        if a == b:
            continue
        of_a, of_b = members.get(a, [a]), members.get(b, [b])
        if len(of_a) + len(of_b) > _LARGEST_GROUP:
            continue
        if len(of_a) < len(of_b):
            a, b, of_a, of_b = b, a, of_b, of_a
        for row in of_b:
            root_of[row] = a
        members[a], weakest[a] = of_a + of_b, similarity
        members.pop(b, None)
        weakest.pop(b, None)
    return members, weakest


def kept_twins(selection: Selection, kept: _Array, rows: _Array) -> list[tuple[int, float] | None]:
    """The most similar kept neighbour of each of some candidates, as far as their lists tell; None where there is none."""
    graph = selection.graph
    if graph is None or graph._indptr is not None:
        return [None] * len(rows)
    candidates = np.arange(selection.n) if selection.candidates is None else arrays.as_numpy(selection.candidates)
    place = np.searchsorted(candidates, rows)
    neighbors = np.asarray(arrays.as_numpy(graph.neighbors)[place])
    similarities = arrays.as_numpy(graph.similarities)[place]
    twins: list[tuple[int, float] | None] = []
    for of_row, values in zip(neighbors, similarities, strict=True):
        numbers = np.where(of_row >= 0, candidates[of_row], -1)
        among_kept = np.flatnonzero((of_row >= 0) & kept[numbers])
        best = among_kept[np.argmax(values[among_kept])] if len(among_kept) else None
        twins.append(None if best is None else (int(numbers[best]), float(values[best])))
    return twins
