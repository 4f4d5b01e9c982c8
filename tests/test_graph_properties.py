"""Invariances of the graph that hold for any data."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import coremax
from coremax.graph._graph import Metric
from helpers import ISAS, same_bits
from oracles import graph as oracle

EXACT_METRICS: st.SearchStrategy[Metric] = st.sampled_from(["dot", "euclidean"])  # on integers


@st.composite
def integer_points(draw: st.DrawFn) -> NDArray[np.float32]:
    """Small integers in float32: scores are exact, ties abound."""
    n, d = draw(st.integers(2, 40)), draw(st.integers(1, 20))
    seed = draw(st.integers(0, 2**32 - 1))
    return np.random.default_rng(seed).integers(-2, 3, size=(n, d)).astype(np.float32)


@settings(deadline=None, max_examples=150)
@given(integer_points(), st.data())
def test_exact_on_integers(x: NDArray[np.float32], data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(x) - 1))
    metric = data.draw(EXACT_METRICS)
    graph = coremax.topk_graph(x, k, metric=metric, isa=data.draw(st.sampled_from(ISAS)), threads=data.draw(st.integers(1, 3)))
    neighbors, similarities = oracle.topk(x, k, metric)
    assert np.array_equal(graph.neighbors, neighbors)
    assert np.array_equal(graph.similarities, similarities.astype(np.float32))


@settings(deadline=None, max_examples=60)
@given(integer_points(), st.data())
def test_a_smaller_k_is_a_prefix(x: NDArray[np.float32], data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(x) - 1))
    longest = coremax.topk_graph(x + np.float32(0.5), len(x) - 1)
    assert np.array_equal(coremax.topk_graph(x + np.float32(0.5), k).neighbors, longest.neighbors[:, :k])


@settings(deadline=None, max_examples=60)
@given(integer_points(), st.integers(-100, 100))
def test_a_power_of_two_changes_no_neighbour(x: NDArray[np.float32], exponent: int) -> None:
    k = len(x) - 1
    scaled = x * np.float32(2.0**exponent)
    # The inner products themselves must stay within float32.
    for metric in ("dot", "euclidean") if abs(exponent) < 55 else ("euclidean",):
        assert np.array_equal(
            coremax.topk_graph(x, k, metric=metric).neighbors, coremax.topk_graph(scaled, k, metric=metric).neighbors
        )
    shifted = x + np.float32(0.5)
    assert same_bits(
        coremax.topk_graph(shifted, k).similarities,
        coremax.topk_graph(shifted * np.float32(2.0**exponent), k).similarities,
    )


@settings(deadline=None, max_examples=60)
@given(integer_points())
def test_similarities_are_symmetric(x: NDArray[np.float32]) -> None:
    n = len(x)
    for metric in ("dot", "euclidean"):
        graph = coremax.topk_graph(x, n - 1, metric=metric)
        matrix = np.zeros((n, n), dtype=np.float32)
        np.put_along_axis(matrix, graph.neighbors, graph.similarities, axis=1)
        assert same_bits(matrix, np.ascontiguousarray(matrix.T))
