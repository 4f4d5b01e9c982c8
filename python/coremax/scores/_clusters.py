"""Spherical k-means, and the score that is made of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _core
from .._inputs import arrays
from .._inputs import invalid as _invalid
from .._runtime.progress import Progress, reporting
from ._inputs import embeddings


def spherical_kmeans(
    x: Any,
    n_clusters: int,
    *,
    n_iterations: int = 20,
    sample_per_cluster: int | None = 256,
    seed: arrays.Seed = 0,
    threads: int | None = None,
    isa: str | None = None,
    progress: Progress = False,
) -> tuple[Any, Any]:
    """Cluster rows by the direction they point in: k-means under cosine similarity.

    Parameters
    ----------
    x : array [n, d] of float32, float16, bfloat16, int8 or float64
        Any length: rows count by their direction. Zero rows have none: they move no centre and are labelled 0.
    n_clusters : int
        From 1 to n.
    n_iterations : int
        At most so many steps; it ends where no row changes its cluster. 0: the centres are those of the start.
    sample_per_cluster : int, optional
        The centres are found from this many rows per cluster, drawn evenly over x; None: from all rows. The labels are always
        those of all rows.
    seed : int, SeedSequence or Generator
        Decides the sample and the start.
    threads : int, optional
        Does not change the result.
    isa : str, optional
        Instruction-set level; does not change the result.
    progress : bool or callable
        True: a bar on stderr (needs coremax[cli]); a function is called with (done, total).

    Returns
    -------
    centres : array [n_clusters, d] of float32
        Unit rows.
    labels : array [n] of int64
        The centre of largest cosine similarity for each row, ties to the lower number.

    Raises
    ------
    ValueError
        A value that is not finite (its place is named), no row but zero rows, n_clusters out of range.

    Notes
    -----
    Spherical k-means (Dhillon and Modha, Machine Learning 42, 2001), started by k-means++ (Arthur and Vassilvitskii 2007) on a
    sample of 16 rows per cluster, fewer above some thousands of clusters. A cluster that loses all its rows moves to the row
    that fits its own centre worst. Where there are fewer distinct directions than clusters, the spare centres repeat centre 0
    and stay empty. Similarities are exact float32 products in a fixed order: the same bits everywhere. Time
    O(n_iterations * min(n, sample_per_cluster * n_clusters) * n_clusters * d + n * n_clusters * d); no copy of x is made.

    Examples
    --------
    >>> import numpy as np
    >>> from coremax.scores import spherical_kmeans
    >>> centres, labels = spherical_kmeans(np.array([[2.0, 0.0], [0.0, 1.0], [0.5, 0.0]]), 2)
    >>> bool(labels[0] == labels[2] != labels[1])
    True
    """
    view, x = embeddings(x, "x")
    centres, labels, _ = clustered(view, x, "x", n_clusters, n_iterations, sample_per_cluster, seed, threads, isa, progress)
    return arrays.like(centres, x), arrays.like(labels.astype(np.int64), x)


def ssp(
    x: Any,
    n_clusters: int,
    *,
    n_iterations: int = 20,
    sample_per_cluster: int | None = 256,
    seed: arrays.Seed = 0,
    threads: int | None = None,
    isa: str | None = None,
    progress: Progress = False,
) -> Any:
    """Self-supervised prototypes: the cosine distance to the nearest cluster centre; higher is harder.

    Parameters
    ----------
    x : array [n, d] of float32, float16, bfloat16, int8 or float64
        Embeddings of a self-supervised model.
    n_clusters : int
        From 1 to n. The paper takes the number of classes and finds that it hardly matters.
    n_iterations, sample_per_cluster, seed, threads, isa, progress
        As `spherical_kmeans`.

    Returns
    -------
    array [n] of float64
        1 - max_c cos(x_i, centre_c), in [0, 2]; 1 for a zero row. Known to float32.

    Raises
    ------
    ValueError
        As `spherical_kmeans`.

    Notes
    -----
    Sorscher et al., "Beyond neural scaling laws", NeurIPS 2022, section "self-supervised prototypes": k-means in the embedding
    space of SWaV, difficulty is the cosine distance to the nearest centroid. That the clusters are found under cosine
    similarity, too, is ours.

    Examples
    --------
    >>> import numpy as np
    >>> from coremax.scores import ssp
    >>> ssp(np.array([[1.0, 0.0], [0.8, 0.6], [0.8, -0.6]]), 1).round(3)
    array([0. , 0.2, 0.2])
    """
    view, x = embeddings(x, "x")
    cosine = clustered(view, x, "x", n_clusters, n_iterations, sample_per_cluster, seed, threads, isa, progress)[2]
    return arrays.like(1 - cosine.astype(np.float64), x)


def clustered(
    view: _core.Array,
    x: Any,
    name: str,
    n_clusters: int,
    n_iterations: int,
    sample_per_cluster: int | None,
    seed: arrays.Seed,
    threads: int | None,
    isa: str | None,
    progress: Progress,
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Centres, labels and the cosine of every row with its centre."""
    n_clusters = arrays.as_count(n_clusters, "n_clusters", 1, min(view.shape[0], 2**31 - 1))
    n_iterations = arrays.as_count(n_iterations, "n_iterations", 0, 2**31)
    per_cluster = 0 if sample_per_cluster is None else arrays.as_count(sample_per_cluster, "sample_per_cluster", 1, 2**31)
    level, n_threads, bits = arrays.resolve_isa(isa), arrays.as_threads(threads), arrays.as_seed(seed)
    with _invalid.naming(name, lambda: _invalid.bad_rows(x)), reporting(progress, "clusters") as report:
        return _core.spherical_kmeans(view, name, n_clusters, n_iterations, per_cluster, bits, level, n_threads, report)
