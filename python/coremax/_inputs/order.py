"""Orders in which ties stand at random: every selection, cut and quota that ranks values goes through here.

By position the first of equal values would always be kept and the last always left out: data sorted by date would lose the
newest.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from . import arrays

if TYPE_CHECKING:
    from ..graph import Graph

Integers = np.ndarray[Any, np.dtype[np.int64]]

_NEARLY_ONE = 0.99  # below the cosine of a row with its copy, and 1 / (1 + their distance), whatever rounding makes of them


def shuffled(n: int, use: str, seed: arrays.Seed) -> Integers:
    """Return the numbers 0 to n - 1 in a random order, another for each use and seed, the same on every machine."""
    ones = _core.import_array(np.ones(n, dtype=np.float32), "ones")
    return _core.sample_without_replacement(ones, n, False, arrays.seed_of(use, seed), "", 1) if n else np.zeros(0, np.int64)


def chances(n: int, use: str, seed: arrays.Seed) -> Integers:
    """Return a random rank [n] for every element, none twice: the last key of a sort by several."""
    ranks = np.empty(n, dtype=np.int64)
    ranks[shuffled(n, use, seed)] = np.arange(n)
    return ranks


def among_copies(graph: Graph, x: Any, use: str, seed: arrays.Seed, numbers: Integers | None = None) -> Graph:
    """Return a graph of rows whose neighbours among exact copies are any of these, not those of the lowest numbers.

    Parameters
    ----------
    graph : Graph
        Neighbour lists of rows of x, ties to the lower number: of more than k copies of a row all list the same k. -1 stays.
    x : array [n, d]
    use : str
        What for, as in `ascending`.
    seed : int, SeedSequence or Generator
    numbers : array of int64, optional
        Which rows the graph is of; default: all.

    Returns
    -------
    Graph
        As `topk_graph` might have found it of the same rows in another order: copies have changed places. `graph` itself where
        no row has more than k copies.
    """
    similarities = arrays.as_numpy(graph.similarities)
    if similarities.size == 0:
        return graph
    is_tied = (similarities == similarities[:, :1]).all(axis=1)
    if graph.metric != "dot":  # where a copy is as similar as can be: with k = 1 every row would be looked at
        is_tied &= similarities[:, 0] > _NEARLY_ONE
    tied = np.flatnonzero(is_tied)
    if tied.size == 0:
        return graph
    # These rows alone are brought to NumPy, which has no bfloat16.
    rows = np.ascontiguousarray(arrays.as_numpy(arrays.as_array(x, "x")[tied if numbers is None else numbers[tied]]))
    copies = np.unique(rows.view(np.dtype((np.void, rows.itemsize * rows.shape[1]))).reshape(-1), return_inverse=True)[1]
    copies = copies.reshape(-1)
    many = np.bincount(copies)[copies] > graph.k
    tied, copies = tied[many], copies[many]
    if tied.size == 0:
        return graph
    order = shuffled(tied.size, use, seed)
    place = np.arange(graph.n)
    place[tied[np.argsort(copies, kind="stable")]] = tied[order][np.argsort(copies[order], kind="stable")]
    neighbors, values = np.empty(similarities.shape, np.int64), np.empty_like(similarities)
    listed = arrays.as_numpy(graph.neighbors)
    neighbors[place], values[place] = np.where(listed < 0, -1, place[listed]), similarities
    return replace(
        graph,
        _indices=arrays.like(neighbors, graph.neighbors),
        _values=arrays.like(values, graph.similarities),
    )


def ascending(values: np.ndarray[Any, Any], use: str, seed: arrays.Seed) -> Integers:
    """Return the numbers of the values in ascending order, ties in a random one.

    Parameters
    ----------
    values : array [n]
        Without NaN.
    use : str
        What the order is for: those of two uses are independent of each other.
    seed : int, SeedSequence or Generator

    Returns
    -------
    array [n] of int64
        The same for any thread count and machine. Its last ones are the largest values: ``ascending(...)[::-1]`` descends.
    """
    order = shuffled(len(values), use, seed)
    return order[np.argsort(values[order], kind="stable")]
