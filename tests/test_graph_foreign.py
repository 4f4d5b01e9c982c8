"""Graphs of others: what their lists hold is looked at when they are taken over, not when K is first needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import coremax
from coremax._inputs import neighbors as foreign

from_neighbors, from_csr, from_scipy = coremax.Graph.from_neighbors, coremax.Graph.from_csr, coremax.Graph.from_scipy


def dense(graph: coremax.Graph) -> Any:
    return graph.to_scipy().toarray()


def test_a_repeated_neighbor_counts_once() -> None:
    once = dense(from_neighbors([[1, 2], [0, -1], [0, -1]], [[0.5, 0.25], [0.75, 0], [0.25, 0]]))
    repeated = [[1, 2, 1], [0, 0, 0], [-1, 0, -1]]
    for values in ([[0.5, 0.25, 0.5], [0.75] * 3, [0, 0.25, 0]], [[0.5, 0.25, 0.125], [0.25, 0.75, 0.5], [0, 0.25, 9]]):
        assert np.array_equal(dense(from_neighbors(repeated, values)), once)
    far = from_neighbors([[1, 1], [0, 0]], [[3.0, 1.0], [1.0, 1.0]], metric="euclidean", values_are="distances")
    assert np.array_equal(dense(far), [[0, 0.5], [0.5, 0]]), "the smaller of two distances"
    graph = from_neighbors(repeated, [[0.5, 0.25, 0.5], [0.75] * 3, [0, 0.25, 0]])
    assert graph.neighbors.tolist() == [[1, 2, -1], [0, -1, -1], [-1, 0, -1]]


def test_what_a_caller_passed_is_not_written_to() -> None:
    indices, values = np.array([[1, 1], [0, 0]]), np.ones((2, 2), dtype=np.float32)
    from_neighbors(indices, values)
    assert indices.tolist() == [[1, 1], [0, 0]]
    assert values.tolist() == [[1, 1], [1, 1]]
    different = np.array([[1], [0]]), np.ones((2, 1), dtype=np.float32)
    assert from_neighbors(*different).neighbors is different[0]


def test_entries_stored_twice_count_once_or_are_refused() -> None:
    assert np.array_equal(dense(from_csr([0, 2, 3], [1, 1, 0], [0.5, 0.5, 0.5])), [[0, 0.5], [0.5, 0]])
    with pytest.raises(ValueError, match=r"row 0 names neighbour 1 more than once, with different values: .*sum_duplicates"):
        from_csr([0, 2, 3], [1, 1, 0], [0.5, 0.25, 0.5])
    for kind in ("coo", "csc"):
        rows, columns = np.array([0, 1, 0]), np.array([1, 0, 1])
        twice = scipy.sparse.coo_array((np.array([0.5, 0.5, 0.5]), (rows, columns)), shape=(2, 2))
        if kind == "csc":
            twice = scipy.sparse.csc_array((np.array([0.5, 0.5, 0.5]), np.array([1, 0, 0]), np.array([0, 1, 3])), shape=(2, 2))
        assert np.array_equal(dense(from_scipy(twice)), [[0, 0.5], [0.5, 0]]), kind
    different = scipy.sparse.coo_array((np.array([0.5, 0.25]), (np.array([0, 0]), np.array([1, 1]))), shape=(2, 2))
    with pytest.raises(ValueError, match="row 0 names neighbour 1 more than once"):
        from_scipy(different)
    different.sum_duplicates()
    assert np.array_equal(dense(from_scipy(different)), [[0, 0.375], [0.375, 0]])


@pytest.mark.parametrize(
    ("value", "options", "message"),
    [
        (7.0, {"metric": "cosine"}, "7, but cosines are from -1 to 1"),
        (-1.5, {"metric": "cosine"}, "-1.5, but cosines are from -1 to 1"),
        (2.5, {"metric": "cosine", "values_are": "distances"}, "2.5, but cosine distances are from 0 to 2"),
        (-0.1, {"metric": "cosine", "values_are": "distances"}, "-0.1, but cosine distances are from 0 to 2"),
        (3.0, {"metric": "euclidean"}, "3, but similarities of metric 'euclidean' are"),
        (-3.0, {"metric": "euclidean"}, "-3, but similarities of metric 'euclidean' are"),
        (-3.0, {"metric": "euclidean", "values_are": "distances"}, "-3, but distances are not negative"),
        (-3.0, {"metric": "euclidean", "values_are": "squared distances"}, "-3, but distances are not negative"),
    ],
)
def test_a_value_out_of_range_is_named(value: float, options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"values\[2, 0\] is {message}"):
        from_neighbors([[1], [0], [1]], [[0.5], [0.5], [value]], **options)
    with pytest.raises(ValueError, match=rf"values\[2\] is {message}"):
        from_csr([0, 1, 2, 3], [1, 0, 1], [0.5, 0.5, value], **options)
    # What nobody reads may be anything: the row itself, and what is absent.
    from_neighbors([[1, -1], [0, 1], [1, 2]], [[0.5, value], [0.5, value], [0.5, value]], **options)
    if "values_are" not in options:
        graph = from_neighbors([[1], [0]], [[0.5], [value]])
        object.__setattr__(graph, "metric", options["metric"])
        graph.save(tmp_path / "graph.npz")
        with pytest.raises(ValueError, match=rf"graph.npz': values\[1, 0\] is {message}"):
            coremax.Graph.load(tmp_path / "graph.npz")


def test_what_rounding_explains_is_taken() -> None:
    unit = np.random.default_rng(0).normal(size=(40, 64)).astype(np.float32)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    near = np.arange(40)[:, None] ^ 1
    from_neighbors(near, np.full((40, 1), 1.004), metric="cosine")
    from_neighbors(near, np.full((40, 1), -1e-3), metric="cosine", values_are="distances")
    from_neighbors(near, np.full((40, 1), -1e30), metric="dot")
    from_neighbors(near, np.full((40, 1), 1e30))
    assert from_neighbors(near, (unit[near[:, 0]] * unit).sum(axis=1)[:, None].astype(np.float16), metric="cosine").n == 40


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: from_neighbors([[3], [0]], [[1.0], [1.0]]), "row 0 names neighbour 3, but the graph has rows 0 to 1"),
        (lambda: from_neighbors([[1], [-2]], [[1.0], [1.0]]), "row 1 names neighbour -2"),
        (lambda: from_csr([0, 1, 2], [1, 2], [1.0, 1.0]), "row 1 names neighbour 2, but the graph has rows 0 to 1"),
        (lambda: from_neighbors([[1], [0]], [[np.nan], [1.0]]), "rows 0 and 1 is nan in float32"),
        (lambda: from_neighbors([[1], [0]], [[1.0], [1e300]]), "rows 1 and 0 is inf in float32"),
        (lambda: from_csr([0, 2, 1], [1, 0], [1.0, 1.0]), "indptr must start at 0 and end at the number of indices, 2"),
        (lambda: from_csr([0, 3, 2], [1, 0], [1.0, 1.0]), "indptr falls at row 1"),
        (
            lambda: from_neighbors([[1], [0]], [[np.inf], [1.0]], metric="euclidean", values_are="distances"),
            "distance of rows 0 and 1 is inf",
        ),
    ],
)
def test_what_makes_no_graph_is_refused_at_once(build: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


def test_the_place_is_right_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign, "_ENTRIES", 7)
    x = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    graph = coremax.topk_graph(x, 3)
    indptr = np.arange(51) * 3
    for row in (0, 1, 2, 25, 48, 49):
        values = graph.similarities.copy()
        values[row, 2] = 9
        with pytest.raises(ValueError, match=rf"values\[{row}, 2\] is 9"):
            from_neighbors(graph.neighbors, values, metric="cosine")
        with pytest.raises(ValueError, match=rf"values\[{3 * row + 2}\] is 9"):
            from_csr(indptr, graph.neighbors.ravel(), values.ravel(), metric="cosine")
        repeated = graph.neighbors.copy()
        repeated[row, 2] = repeated[row, 0]
        expected = repeated.copy()
        expected[row, 2] = -1
        assert np.array_equal(from_neighbors(repeated, graph.similarities).neighbors, expected)
    ragged = from_csr(*graph.to_csr())
    assert np.array_equal(ragged.to_csr()[2], graph.to_csr()[2])
    assert from_csr([0, 0, 0, 20, 20], [3] * 20, [0.5] * 20).to_csr()[2].tolist() == [0.25, 0.25]


def test_similarities_that_ascend_are_warned_of() -> None:
    rng = np.random.default_rng(0)
    neighbors = np.array([rng.permutation(40)[:6] for _ in range(40)])
    ascending = np.sort(rng.random((40, 6)), axis=1)
    with pytest.warns(UserWarning, match="the similarities of 40 of 40 rows ascend: are they distances") as caught:
        from_neighbors(neighbors, ascending)
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match="ascend"):
        from_neighbors(neighbors, ascending, metric="cosine")
    with pytest.warns(UserWarning, match="ascend"):  # in the order of distances, as scikit-learn has it
        from_csr(np.arange(41) * 6, neighbors.ravel(), ascending.ravel())
    from_neighbors(neighbors, ascending, metric="euclidean", values_are="distances")
    from_neighbors(neighbors, ascending[:, ::-1])
    from_neighbors(neighbors, rng.random((40, 6)))  # in no order
    from_neighbors(neighbors, ascending - 0.5)  # no distances
    from_neighbors(neighbors, np.ones((40, 6)))  # ties tell nothing
    by_column = np.sort(neighbors, axis=1)
    from_csr(np.arange(41) * 6, by_column.ravel(), ascending.ravel())  # nor does the order of columns
    from_neighbors([[1, 2], [0, 2], [0, 1]], [[0.1, 0.2], [0.3, 0.2], [0.1, 0.1]])  # too few to tell


def test_distances_that_descend_and_mere_neighbours_are_warned_of() -> None:
    rng = np.random.default_rng(0)
    neighbors = np.array([rng.permutation(40)[:6] for _ in range(40)])
    ascending = np.sort(rng.random((40, 6)), axis=1)
    with pytest.warns(UserWarning, match="the distances of 40 of 40 rows descend: are they similarities") as caught:
        from_neighbors(neighbors, ascending[:, ::-1], metric="cosine", values_are="distances")
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match="the squared distances of 40 of 40 rows descend"):
        from_csr(
            np.arange(41) * 6, neighbors.ravel(), ascending[:, ::-1].ravel(), metric="euclidean", values_are="squared distances"
        )
    from_neighbors(neighbors, ascending - 0.5, metric="dot", values_are="distances")  # of large inner products
    from_neighbors(neighbors, rng.random((40, 6)), metric="cosine", values_are="distances")  # in no order
    connectivity = scipy.sparse.csr_array((np.ones(240), neighbors.ravel(), np.arange(41) * 6), shape=(40, 40))
    with pytest.warns(UserWarning, match=r"all 2[0-9]+ distances are 1: do they say only who is a neighbour"):
        from_scipy(connectivity, metric="cosine", values_are="distances")
    from_scipy(connectivity, metric="cosine")  # as similarities of one
    from_neighbors(neighbors, np.zeros((40, 6)), metric="cosine", values_are="distances")  # copies


def test_the_row_itself_does_not_hide_the_order() -> None:
    neighbors = np.array([[i, (i + 1) % 9, (i + 2) % 9] for i in range(9)])
    with pytest.warns(UserWarning, match="of 9 rows ascend"):
        from_neighbors(neighbors, np.tile([0.0, 0.1, 0.2], (9, 1)))
    from_neighbors(neighbors, np.tile([0.0, 0.2, 0.1], (9, 1)))


def test_other_things_than_graphs_are_said_so() -> None:
    lists = np.array([[1], [0]]), np.array([[0.5], [0.5]])
    for other in (lists, np.eye(2), {"indices": 1}, "graph.npz"):
        with pytest.raises(TypeError, match=r"graph must be a coremax.Graph or a SciPy sparse array, got .*Graph.from_scipy"):
            coremax.solve(np.ones(2), other, 1)
        with pytest.raises(TypeError, match=r"graph must be a coremax.Graph, got"):
            coremax.scores.contradiction(other, [0, 1])  # type: ignore[arg-type]
    graph = from_neighbors(*lists)
    with pytest.raises(ValueError, match="importance has 3 elements, but graph has 2 rows"):
        coremax.solve(np.ones(3), graph, 1)
    for kind in ("csr", "csc", "coo", "lil"):
        assert len(coremax.solve(np.ones(2), graph.to_scipy().asformat(kind), 1).indices) == 1
