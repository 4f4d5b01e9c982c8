"""What a sample's neighbours say of its label."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._inputs import arrays
from .._inputs.keys import as_keys
from .._runtime.progress import Progress, reporting
from ..graph import Graph

_VOTES = 1 << 22  # counted at a time: 32 MB


def contradiction(graph: Graph, labels: Any, *, progress: Progress = False) -> Any:
    """How much the neighbours contradict the label of each sample; higher is harder, and above 0.75 probably mislabelled.

    Parameters
    ----------
    graph : Graph
        Neighbour lists, as `coremax.topk_graph` makes them: of embeddings of a model that has learnt the labels for a short
        while, or of one that has never seen them.
    labels : array or column [n] of whole numbers or texts
        Classes.
    progress : bool or callable
        True draws a bar on stderr; a function is called as function(rows done, rows in all).

    Returns
    -------
    array [n] of float64
        In [0, 1], in the library of labels; 0 where there are no neighbours or one class only.

    Raises
    ------
    ValueError, TypeError
        Labels of another length than the graph; a graph without neighbour lists.

    Notes
    -----
    Ours, after the nearest-neighbour voters of the literature on noisy labels (Zhu, Dong and Liu, "Detecting corrupted labels
    without training a model to predict", ICML 2022). Neighbours of neighbours vote, each as often as there are ways to it: v_c
    votes for class c, of which there are n_c samples. With y the sample's own class,

        r = min(max_c v_c / v_y, max_c (v_c / n_c) / (v_y / n_y)),  c other than y,      contradiction = r / (1 + r).

    The second ratio, votes by how many a class could have, keeps rare classes from being outvoted by their number; the first
    keeps a few rare neighbours from outvoting many. O(n k^2 + n C), memory O(n) and 32 MB.

    Examples
    --------
    >>> import numpy as np
    >>> import coremax
    >>> from coremax.scores import contradiction
    >>> x = np.random.default_rng(0).normal(size=(60, 2)) + np.repeat([[0.0, 9.0], [9.0, 0.0]], 30, axis=0)
    >>> labels = np.repeat([0, 1], 30)
    >>> labels[7] = 1
    >>> np.flatnonzero(contradiction(coremax.topk_graph(x.astype(np.float32), 5), labels) > 0.75)
    array([7])
    """
    if not isinstance(graph, Graph):
        raise TypeError(
            f"graph must be a coremax.Graph, got {type(graph).__name__}: make one by topk_graph or Graph.from_neighbors"
        )
    classes = as_keys(labels, "labels", graph.n, "graph").codes
    lists = np.asarray(arrays.as_numpy(arrays.as_array(graph.neighbors, "graph")))
    return arrays.like(of_lists(lists, classes, progress), labels)


def of_lists(
    lists: np.ndarray[Any, Any], place: np.ndarray[Any, Any], progress: Progress = False
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Contradiction by neighbour lists, -1 for absent ones, and classes numbered from 0."""
    n, k = lists.shape
    sizes = np.bincount(place)
    result = np.zeros(n)
    if k == 0 or len(sizes) < 2:
        return result
    # Absent neighbours vote for a class beyond all others.
    padded = np.append(place, len(sizes))
    second = np.vstack([lists, np.full((1, k), -1)])
    block = max(1, _VOTES // max(k * k, len(sizes)))
    with reporting(progress, "contradiction") as report:
        for start in range(0, n, block):
            rows = np.arange(start, min(start + block, n))
            votes = _votes(padded[second[lists[rows]].reshape(len(rows), -1)], len(sizes))
            result[rows] = _against(votes, place[rows], sizes)
            if report is not None:
                report(start + len(rows), n)
    return result


def _votes(voted: np.ndarray[Any, Any], n_classes: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Votes [rows, classes] from the classes voted for [rows, k^2]."""
    of_row = voted + (n_classes + 1) * np.arange(len(voted))[:, None]
    counts = np.bincount(of_row.reshape(-1), minlength=len(voted) * (n_classes + 1))
    return counts.reshape(len(voted), -1)[:, :n_classes].astype(np.float64)


def _against(
    votes: np.ndarray[Any, Any], own: np.ndarray[Any, Any], sizes: np.ndarray[Any, Any]
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Contradiction, written without division by votes that may be none."""
    rows = np.arange(len(votes))

    def against(weighted: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        mine = weighted[rows, own]
        others = weighted.copy()
        others[rows, own] = 0
        most = others.max(axis=1)
        return np.asarray(np.divide(most, most + mine, out=np.zeros(len(rows)), where=most > 0))

    return np.asarray(np.minimum(against(votes), against(votes / sizes)))
