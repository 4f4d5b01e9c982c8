"""The data that benchmarks run on, and the named cases of the graph and of the solver."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from coremax import Graph
from coremax.graph._graph import Metric

Rows = NDArray[np.float32]
Reals = NDArray[np.float64]


def gaussian(n: int, d: int, seed: int = 0) -> Rows:
    """Independent normal numbers: no structure, the hardest case for pruning searches."""
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def clustered(n: int, d: int, n_clusters: int, seed: int = 0, spread: float = 0.5) -> Rows:
    """Gaussian clusters around Gaussian centres, as embeddings look."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(n_clusters, d))
    return (centres[rng.integers(0, n_clusters, n)] + spread * rng.normal(size=(n, d))).astype(np.float32)


def near_duplicates(n: int, d: int, shuffle: bool, n_clusters: int = 100, seed: int = 0) -> Rows:
    """Clusters of n / n_clusters rows within rounding of each other (noise 1e-3), in order of cluster or shuffled."""
    rng = np.random.default_rng(seed)
    cluster = np.arange(n) * n_clusters // n
    if shuffle:
        rng.shuffle(cluster)
    return (rng.normal(size=(n_clusters, d))[cluster] + 1e-3 * rng.normal(size=(n, d))).astype(np.float32)


def grouped_duplicates(n: int, d: int, group: int = 10, seed: int = 0, noise: float = 1e-2) -> Rows:
    """Clusters of some 50 rows, most of which come in groups of `group` rows within `noise` of each other, shuffled."""
    distinct = clustered(-(-n // group), d, max(1, n // 50), seed)
    rng = np.random.default_rng(seed + 1)
    rows = distinct[rng.permutation(np.repeat(np.arange(len(distinct)), group)[:n])]
    return np.asarray(rows + noise * rng.normal(size=(n, d)), dtype=np.float32)


def sorted_gaussian(n: int, d: int, seed: int = 0) -> Rows:
    """Normal numbers in ascending order of the first column: thresholds learnt early mislead."""
    x = gaussian(n, d, seed)
    return x[np.argsort(x[:, 0])]


def uneven(n: int, d: int, seed: int = 0) -> Rows:
    """Normal numbers in rows of log-normal length: a few rows are everybody's neighbours by inner product."""
    lengths = np.random.default_rng(seed + 1).lognormal(size=(n, 1)).astype(np.float32)
    return gaussian(n, d, seed) * lengths


def embedding_like(n: int, d: int) -> Rows:
    """1,000 overlapping clusters (of 20 rows at least) whose column j is scaled by j^-1/2: neighbourhoods as text has them.

    100,000 x 128 against `sentence_embeddings`: a local dimension (maximum likelihood, 20 and 100 neighbours) of 18.6 and 17.8
    against 17.5 and 19.2; cosines of the 1st, 10th and 100th neighbour of .73, .66, .54 against .70, .57, .45. Without the
    scale clusters lie apart and are easy: the cell of a row in an inverted file holds all its neighbours.
    """
    x = clustered(n, d, max(1, min(1000, n // 20)), spread=1)
    x *= np.arange(1, d + 1, dtype=np.float32) ** -0.5
    return x


def fashion_mnist(n: int) -> Rows:
    """Pixels of the first n training images; raises FileNotFoundError where the package is not installed."""
    from coremax.cli.demo_data import load

    return load("fashion-mnist").train_x[:n]


def sentence_embeddings(n: int) -> Rows:
    """Return n of the embeddings that `sentences.py` makes; raises FileNotFoundError until it has."""
    from sentences import load

    x = load()
    return np.ascontiguousarray(x[np.sort(np.random.default_rng(0).permutation(len(x))[:n])])


@dataclass(frozen=True)
class Case:
    """One case of the graph: `make(n)` gives the rows; exact search, or approximate at a wanted recall."""

    make: Callable[[int], Rows]
    n: int
    k: int = 10
    metric: Metric = "cosine"
    approximate: bool = False


ALL = 10**9  # as many rows as the data set has
GRAPH_CASES = {
    "normal-20k": Case(partial(gaussian, d=128), 20_000),
    "normal": Case(partial(gaussian, d=128), 100_000),
    "normal-k50": Case(partial(gaussian, d=128), 100_000, k=50),
    "normal-768": Case(partial(gaussian, d=768), 50_000),
    "duplicates": Case(partial(near_duplicates, d=128, shuffle=True), 100_000),
    "duplicates-sorted": Case(partial(near_duplicates, d=128, shuffle=False), 100_000),
    "sorted": Case(partial(sorted_gaussian, d=128), 100_000),
    "euclidean": Case(partial(gaussian, d=128), 100_000, metric="euclidean"),
    "dot": Case(partial(uneven, d=128), 100_000, metric="dot"),
    "fashion-mnist": Case(fashion_mnist, ALL),
    "sentences": Case(sentence_embeddings, ALL),
    "approximate-clustered": Case(partial(embedding_like, d=128), 100_000, approximate=True),
    "approximate-normal": Case(partial(gaussian, d=128), 100_000, approximate=True),
    "approximate-sentences": Case(sentence_embeddings, ALL, approximate=True),
    "approximate-million": Case(partial(embedding_like, d=128), 1_000_000, approximate=True),
}


def clusters_of(size: int, n: int) -> Rows:
    """Clustered rows of 128 columns, `size` to a cluster on average."""
    return clustered(n, 128, max(1, n // size))


# The rows behind the graphs of the solver, as `make(n)`; real data have only so many rows.
SOLVER_GRAPHS: dict[str, Callable[[int], Rows]] = {
    "clustered": partial(clusters_of, 25),
    "clustered-100": partial(clusters_of, 100),
    "near-duplicates": partial(grouped_duplicates, d=128),
    "sentences": sentence_embeddings,
    "fashion-mnist": fashion_mnist,
}


def uniform_importance(graph: Graph, seed: int = 1) -> Reals:
    """Independent of the graph, in [0, 1)."""
    return np.random.default_rng(seed).random(graph.n)


def heavy_importance(graph: Graph, seed: int = 1) -> Reals:
    """Pareto of shape 2 from zero on: of mean 1 and infinite variance, a few elements matter most."""
    return np.random.default_rng(seed).pareto(2.0, graph.n)


def constant_importance(graph: Graph, seed: int = 1) -> Reals:  # noqa: ARG001  (as the others take it)
    """One everywhere: all that counts is redundancy, and many subsets are as good."""
    return np.ones(graph.n)


def density_importance(graph: Graph, seed: int = 1) -> Reals:
    """Mean similarity to the neighbours, scaled to [0, 1], with 5 % noise: what is important is redundant, too."""
    density = np.asarray(graph.similarities, dtype=np.float64).mean(axis=1)
    low, high = density.min(), density.max()
    scaled = (density - low) / (high - low if high > low else 1.0)
    return np.asarray(scaled + 0.05 * np.random.default_rng(seed).normal(size=graph.n))


IMPORTANCES: dict[str, Callable[[Graph], Reals]] = {
    "uniform": uniform_importance,
    "heavy-tailed": heavy_importance,
    "constant": constant_importance,
    "density": density_importance,
}
