"""Arrays, columns and graphs of other libraries, in and out; a library that is not installed is a visible skip."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import coremax
from coremax import _core
from coremax._inputs import arrays
from coremax.graph._graph import Metric, Values
from helpers import clustered, same_bits

N, D, K = 60, 8, 5
X = clustered(N, D, 6, seed=0)
SCORES = np.random.default_rng(1).random(N)
LABELS = np.arange(N) % 3
GRAPH = coremax.topk_graph(X, K)
NEIGHBORS, SIMILARITIES = GRAPH.neighbors, np.maximum(GRAPH.similarities, 0)


def address(array: Any) -> int:
    """Where the numbers of an array of any library lie."""
    return _core.import_array(array, "array").address


# Every public function that takes arrays, as functions of a conversion; each returns arrays.
CALLS: dict[str, Callable[[Callable[[Any], Any]], Any]] = {
    "topk_graph": lambda of: coremax.topk_graph(of(X), K).similarities,
    "solve": lambda of: coremax.solve(of(SCORES), coremax.Graph.from_neighbors(of(NEIGHBORS), of(SIMILARITIES)), 7).indices,
    "objective": lambda of: coremax.objective(of(SCORES), GRAPH, of(np.arange(7))),
    "alias": lambda of: coremax.AliasTable(of(SCORES)).sample(9, seed=1),
    "sample": lambda of: coremax.sample(of(SCORES), 9),
    "inclusion": lambda of: coremax.sampling.inclusion_probabilities(of(SCORES), 9),
    "systematic": lambda of: coremax.sampling.systematic(of(SCORES), 9),
    "stratified": lambda of: coremax.sampling.stratified(of(LABELS), 9, weights=of(SCORES)),
    "infomax": lambda of: coremax.infomax(of(X), of(SCORES), 9, labels=of(LABELS)).indices,
    "limits": lambda of: (
        coremax.solve(
            of(SCORES),
            GRAPH,
            9,
            include=of(np.array([3, 4])),
            exclude=of(np.array([5])),
            groups=of(LABELS),
            group_limits=(2, 4),
        ).indices
    ),
    "costs": lambda of: coremax.solve(of(SCORES), GRAPH, 5.0, costs=of(SCORES + 0.5)).indices,
    "sims": lambda of: coremax.selection.sims(of(SCORES), 9, labels=of(LABELS)).indices,
    "ccs": lambda of: coremax.selection.ccs(of(SCORES), 9).indices,
    "d2": lambda of: coremax.selection.d2(of(X), of(SCORES), 9).indices,
    "moderate": lambda of: coremax.selection.moderate(of(X), 9, labels=of(LABELS)).indices,
    "semdedup": lambda of: coremax.selection.semdedup(of(X), 9).indices,
    "top": lambda of: coremax.selection.top(of(SCORES), 9).indices,
    "sim": lambda of: coremax.scores.sim(of(X), of(LABELS)),
    "margin": lambda of: coremax.scores.margin(of(np.stack([SCORES, 1 - SCORES], axis=1))),
}
EXPECTED = {name: np.asarray(call(lambda array: array)) for name, call in CALLS.items()}


def same_as_numpy(convert: Callable[[Any], Any], names: Any = None) -> None:
    for name in names or CALLS:
        found = np.asarray(CALLS[name](convert))
        np.testing.assert_allclose(found, EXPECTED[name], rtol=1e-5, err_msg=name)


# --- DLPack ------------------------------------------------------------------------------------------------------------------


def test_numpy_results_are_aligned_for_everybody() -> None:
    graph = coremax.topk_graph(X, K)
    for result in (graph.neighbors, graph.similarities, coremax.AliasTable(SCORES).sample(9)):
        assert address(result) % 64 == 0


def test_torch() -> None:
    torch = pytest.importorskip("torch")
    tensor = torch.from_numpy(X.copy())
    assert address(tensor) == tensor.data_ptr()
    result = np.arange(5)
    assert arrays.like(result, tensor).data_ptr() == result.ctypes.data
    same_as_numpy(lambda array: torch.from_numpy(np.ascontiguousarray(array)))
    half = tensor.to(torch.bfloat16)
    assert address(half) == half.data_ptr()
    graph = coremax.topk_graph(half, K, copy=False)
    assert isinstance(graph.neighbors, torch.Tensor)
    assert same_bits(graph.similarities, coremax.topk_graph(half.float(), K).similarities)


def jax_of(array: Any) -> Any:
    return pytest.importorskip("jax").numpy.asarray(array)


def test_jax_in_without_a_copy() -> None:
    x = jax_of(X)
    assert address(x) == x.unsafe_buffer_pointer()
    graph = coremax.topk_graph(x, K, copy=False)
    assert type(graph.neighbors) is type(x)
    assert same_bits(graph.similarities, GRAPH.similarities)


def test_jax_out_without_a_copy() -> None:
    reference = jax_of(X)
    engine = coremax.topk_graph(X, K).similarities
    assert arrays.like(engine, reference).unsafe_buffer_pointer() == engine.ctypes.data


def test_jax_everywhere() -> None:
    jax_of(X)
    # Scores become float32 in JAX, and with them draws may differ in the last bit: those whose answers are exact are compared.
    same_as_numpy(lambda array: jax_of(np.asarray(array)), [name for name in CALLS if name not in ("infomax", "alias")])
    assert type(coremax.infomax(jax_of(X), jax_of(SCORES), 9).indices) is type(jax_of(X))


def test_jax_integers_are_its_own() -> None:
    jax = pytest.importorskip("jax")
    found = coremax.topk_graph(jax_of(X), K).neighbors
    assert found.dtype == (np.int64 if jax.config.jax_enable_x64 else np.int32)
    assert np.array_equal(np.asarray(found), GRAPH.neighbors)
    beyond = np.array([2**31])
    kept = arrays.like(beyond, jax_of(X))  # what JAX's own integers can not hold
    assert int(kept[0]) == 2**31


def test_jax_with_64_bits_shares_integers_too() -> None:
    pytest.importorskip("jax")
    code = """
import jax, numpy as np, coremax
from coremax._inputs import arrays
x = jax.numpy.asarray(np.random.default_rng(0).normal(size=(20, 4)))
assert x.dtype == np.float64
graph = coremax.topk_graph(x, 3, copy=False)
assert graph.neighbors.dtype == np.int64
drawn = coremax.AliasTable(np.ones(9)).sample(5)
assert arrays.like(drawn, x).unsafe_buffer_pointer() == drawn.ctypes.data
"""
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "JAX_ENABLE_X64": "1"})


def test_jax_bfloat16() -> None:
    jax = pytest.importorskip("jax")
    half = jax_of(X).astype(jax.numpy.bfloat16)
    assert address(half) == half.unsafe_buffer_pointer()
    expected = coremax.topk_graph(np.asarray(half.astype("float32")), K)
    graph = coremax.topk_graph(half, K, copy=False)
    assert same_bits(graph.similarities, expected.similarities)
    for select in (coremax.selection.moderate, coremax.selection.semdedup):
        assert np.array_equal(np.asarray(select(half, 9).indices), select(np.asarray(half.astype("float32")), 9).indices)


def test_ml_dtypes_bfloat16() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    half = X.astype(ml_dtypes.bfloat16)
    assert address(half) == half.ctypes.data
    graph = coremax.topk_graph(half, K, copy=False)
    assert isinstance(graph.neighbors, np.ndarray)
    assert same_bits(graph.similarities, coremax.topk_graph(half.astype(np.float32), K).similarities)


def test_ml_dtypes_bfloat16_scores() -> None:
    """As those of PyTorch and JAX: widened."""
    half = SCORES.astype(pytest.importorskip("ml_dtypes").bfloat16)
    wide = half.astype(np.float32)
    assert np.array_equal(coremax.selection.sims(half, 7).indices, coremax.selection.sims(wide, 7).indices)
    found = coremax.solve(half, coremax.Graph.from_neighbors(NEIGHBORS, SIMILARITIES.astype(half.dtype)), 7).indices
    rounded = SIMILARITIES.astype(half.dtype).astype(np.float32)
    assert np.array_equal(found, coremax.solve(wide, coremax.Graph.from_neighbors(NEIGHBORS, rounded), 7).indices)


def test_cupy() -> None:
    cupy = pytest.importorskip("cupy")
    try:
        if not cupy.cuda.is_available():
            pytest.skip("no CUDA device")
        x = cupy.asarray(X)
    except cupy.cuda.runtime.CUDARuntimeError as error:
        pytest.skip(f"no CUDA device: {error}")
    graph = coremax.topk_graph(x, K)
    assert isinstance(graph.neighbors, cupy.ndarray)
    assert same_bits(cupy.asnumpy(graph.similarities), GRAPH.similarities)


# --- Columns -----------------------------------------------------------------------------------------------------------------


def columns(library: str) -> Callable[[Any], Any]:
    """A conversion to the columns of a library; matrices become columns of lists, those of lists of lists stay arrays."""
    module = pytest.importorskip(library)

    def of(array: Any) -> Any:
        array = np.ascontiguousarray(array)
        if library == "pandas":
            return module.Series(array) if array.ndim == 1 else module.Series(list(array))
        if library == "polars":
            return (
                module.Series(array)
                if array.ndim == 1
                else module.Series(array, dtype=module.Array(inner(array), array.shape[1]))
            )
        flat = module.array(array.ravel())
        return flat if array.ndim == 1 else module.FixedSizeListArray.from_arrays(flat, array.shape[1])

    def inner(array: Any) -> Any:
        return {"float32": module.Float32, "float64": module.Float64, "int64": module.Int64}[str(array.dtype)]

    return of


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_columns_everywhere(library: str) -> None:
    same_as_numpy(columns(library))


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_columns_are_shared_where_they_can_be(library: str) -> None:
    of = columns(library)
    for array in (X.astype(np.float64)[:, 0].copy(), X):
        if library == "pandas" and array.ndim == 2:
            continue  # Python objects
        column = of(array)
        view = arrays.as_view(column, "x", ndim=array.ndim, dtypes=arrays.FLOAT_TYPES, copy=False)
        given = column.to_numpy() if library != "pyarrow" or array.ndim == 1 else column.flatten().to_numpy()
        assert view.address == given.ctypes.data


def test_pandas_frames_and_nullable_columns() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=[f"x{i}" for i in range(D)])
    assert same_bits(coremax.topk_graph(frame, K).similarities, GRAPH.similarities)
    frame["kind"] = pandas.array(LABELS, dtype="Int64")
    chosen = coremax.infomax(
        frame[[f"x{i}" for i in range(D)]], pandas.Series(SCORES, dtype="Float64"), 9, labels=frame["kind"]
    )
    assert np.array_equal(chosen.indices, EXPECTED["infomax"])
    assert len(frame.iloc[chosen.indices]) == 9


def test_frames_of_nullable_columns_without_a_null() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X)
    for kinds in ("Float32", {0: "Float32"}):
        assert same_bits(coremax.topk_graph(frame.astype(kinds), K).similarities, GRAPH.similarities)
    for kind in ("string", "boolean"):
        with pytest.raises(TypeError, match="x must be an array of numbers, got DataFrame"):
            coremax.topk_graph(
                frame.assign(other=pandas.array([None] * N, dtype=kind).fillna("0" if kind == "string" else True)), K
            )


def test_numbers_of_samples_from_a_dictionary_of_arrow() -> None:
    arrow = pytest.importorskip("pyarrow")
    fixed = {"include": arrow.array([3, 5]).dictionary_encode(), "exclude": arrow.chunked_array([[7], [9]])}
    same = coremax.solve(SCORES, GRAPH, 7, include=[3, 5], exclude=[7, 9]).indices
    assert np.array_equal(coremax.solve(SCORES, GRAPH, 7, **fixed).indices, same)


def nulls(library: str) -> list[tuple[Any, str]]:
    module = pytest.importorskip(library)
    if library == "pandas":
        return [
            (module.Series([1.0, 2.0, None, None], dtype=kind), r"score\[2\] is null \(2 of 4 are\)")
            for kind in ("Float64", "Int64", "object")
        ] + [(module.Series([1.0, np.nan]), r"score\[1\] is nan")]
    if library == "polars":
        lists = module.Series([[1.0, 2.0], [3.0, None]])
        return [
            (module.Series([1.0, None]), r"score\[1\] is null \(1 of 2 are\)"),
            (module.Series([1, 2, None]), r"score\[2\] is null"),
            (lists, r"score\[1\] holds a null"),
            (lists.cast(module.Array(module.Float64, 2)), r"score\[1\] holds a null"),
        ]
    return [
        (module.array([1.0, None]), r"score\[1\] is null \(1 of 2 are\)"),
        (module.chunked_array([[1, 2], [3, None]]), r"score\[3\] is null"),
    ]


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_the_first_null_is_named(library: str) -> None:
    for column, message in nulls(library):
        with pytest.raises(ValueError, match=message):
            coremax.selection.top(column, 1)


def test_a_frame_names_the_column_of_a_null() -> None:
    polars, pandas = pytest.importorskip("polars"), pytest.importorskip("pandas")
    for frame in (
        polars.DataFrame({"a": [1.0, 2.0], "b": [None, 2.0]}),
        pandas.DataFrame({"a": [1], "b": pandas.array([None])}),
    ):
        with pytest.raises(ValueError, match=r"x\[0, 'b'\] is null"):
            coremax.topk_graph(frame, 1)


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_ragged_lists_and_text_are_refused(library: str) -> None:
    module = pytest.importorskip(library)
    series = module.array if library == "pyarrow" else module.Series
    with pytest.raises(ValueError, match=r"x\[2\] has 1 elements, but x\[0\] has 2"):
        coremax.topk_graph(series([[1.0, 2.0], [3.0, 4.0], [5.0]]), 1)
    with pytest.raises(TypeError, match="score must be"):
        coremax.selection.top(series(["a", "b"]), 1)


def test_several_chunks_are_one_visible_copy() -> None:
    polars, pyarrow = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
    halves = [X[:20], X[20:]]
    chunked = pyarrow.chunked_array([columns("pyarrow")(half) for half in halves])
    joined = polars.concat([columns("polars")(half) for half in halves], rechunk=False)
    for column in (chunked, joined):
        assert same_bits(coremax.topk_graph(column, K).similarities, GRAPH.similarities)
        with pytest.raises(ValueError, match="x can not be used without a copy"):
            coremax.topk_graph(column, K, copy=False)
    one = pyarrow.chunked_array([columns("pyarrow")(X)])
    assert coremax.topk_graph(one, K, copy=False).n == N


def test_tables_say_what_to_pass() -> None:
    pyarrow, polars = pytest.importorskip("pyarrow"), pytest.importorskip("polars")
    with pytest.raises(TypeError, match="got a pyarrow Table: pass its columns one by one"):
        coremax.selection.top(pyarrow.table({"a": [1.0]}), 1)
    with pytest.raises(TypeError, match="got a polars LazyFrame"):
        coremax.selection.top(polars.LazyFrame({"a": [1.0]}), 1)


# --- Graphs ------------------------------------------------------------------------------------------------------------------


def unit(x: Any) -> Any:
    return np.ascontiguousarray(x / np.linalg.norm(x, axis=1, keepdims=True))


def same_graph(found: coremax.Graph, expected: coremax.Graph, tolerance: float = 1e-5) -> None:
    """The same K, and the solver's answer on it."""
    a, b = found.to_scipy(), expected.to_scipy()
    assert abs(a - b).max() < tolerance
    kept = coremax.solve(SCORES, found, 9).indices
    best = coremax.solve(SCORES, expected, 9)
    assert coremax.objective(SCORES, expected, kept, 0.3) == pytest.approx(best.objective, abs=1e-3)


def test_faiss() -> None:
    faiss = pytest.importorskip("faiss")
    inner, squared = faiss.IndexFlatIP(D), faiss.IndexFlatL2(D)
    inner.add(unit(X))
    values, indices = inner.search(unit(X), K + 1)
    same_graph(coremax.Graph.from_neighbors(indices, values, metric="cosine"), coremax.topk_graph(X, K))
    squared.add(X)
    values, indices = squared.search(X, K + 1)
    graph = coremax.Graph.from_neighbors(indices, values, metric="euclidean", values_are="squared distances")
    # faiss expands the square: distances of near points lose digits
    same_graph(graph, coremax.topk_graph(X, K, metric="euclidean"), 1e-3)


def test_faiss_pads_with_absent_neighbors() -> None:
    faiss = pytest.importorskip("faiss")
    index = faiss.IndexFlatL2(D)
    index.add(X[:4])
    values, indices = index.search(X[:4], 7)
    assert (indices == -1).any()
    graph = coremax.Graph.from_neighbors(indices, values, metric="euclidean", values_are="squared distances")
    assert (graph.similarities[indices == -1] == 0).all()
    expected = coremax.topk_graph(X[:4], 3, metric="euclidean").to_scipy()
    assert abs(graph.to_scipy() - expected).max() < 1e-3


@pytest.mark.parametrize(
    ("space", "metric", "values_are"),
    [("cosine", "cosine", "distances"), ("l2", "euclidean", "squared distances"), ("ip", "dot", "distances")],
)
def test_hnswlib(space: str, metric: Metric, values_are: Values) -> None:
    hnswlib = pytest.importorskip("hnswlib")
    index = hnswlib.Index(space, D)
    index.init_index(N, M=N, ef_construction=200, random_seed=1)
    index.set_ef(N)
    index.add_items(X, num_threads=1)
    indices, distances = index.knn_query(X, K + 1, num_threads=1)
    assert indices.dtype == np.uint64
    graph = coremax.Graph.from_neighbors(indices, distances, metric=metric, values_are=values_are)
    assert (graph.neighbors.dtype, graph.similarities.dtype) == (np.int64, np.float32)
    expected = coremax.topk_graph(X, K, metric=metric)
    if space == "ip":  # where a row need not be its own nearest, and so is not always among the K + 1
        expected = coremax.Graph.from_neighbors(*brute_force_ip(K + 1), metric="dot")
    same_graph(graph, expected, 1e-4)


def brute_force_ip(k: int) -> tuple[Any, Any]:
    products = X @ X.T
    order = np.argsort(-products, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(products, order, axis=1)


@pytest.mark.filterwarnings("ignore")
def test_pynndescent() -> None:
    pynndescent = pytest.importorskip("pynndescent")
    indices, distances = pynndescent.NNDescent(X, metric="euclidean", n_neighbors=K + 1, random_state=0).neighbor_graph
    graph = coremax.Graph.from_neighbors(indices, distances, metric="euclidean", values_are="distances")
    expected = coremax.topk_graph(X, K, metric="euclidean")
    assert abs(graph.to_scipy() - expected.to_scipy()).mean() < 1e-3  # it is approximate
    assert len(coremax.solve(SCORES, graph, 9).indices) == 9


def test_scikit_learn_both_ways() -> None:
    neighbors = pytest.importorskip("sklearn.neighbors")
    for metric in ("cosine", "euclidean"):
        ours = coremax.topk_graph(X, K, metric=metric)
        matrix = neighbors.kneighbors_graph(X, K, mode="distance", metric=metric)
        same_graph(coremax.Graph.from_scipy(matrix, metric=metric, values_are="distances"), ours)
        distances = ours.to_scipy(distances=True)
        assert (distances.format, distances.nnz) == ("csr", N * K)
        assert abs(distances - matrix).max() < 1e-5
        found, indices = neighbors.NearestNeighbors(metric=metric).fit(X).kneighbors(n_neighbors=K)
        same_graph(coremax.Graph.from_neighbors(indices, found, metric=metric, values_are="distances"), ours)
        fitted = neighbors.KNeighborsClassifier(K, metric="precomputed").fit(distances, LABELS)  # warns where rows are unsorted
        assert fitted.n_samples_fit_ == N
    ones = coremax.Graph.from_scipy(neighbors.kneighbors_graph(X, K))
    assert set(np.unique(ones.to_csr()[2])) == {0.5, 1.0}


@pytest.mark.parametrize("kind", ["csr_array", "csr_matrix", "csc_array", "coo_array"])
def test_scipy_matrices(kind: str) -> None:
    sparse = pytest.importorskip("scipy.sparse")
    matrix = GRAPH.to_scipy()
    graph = coremax.Graph.from_scipy(getattr(sparse, kind)(matrix), metric="cosine")
    assert abs(graph.to_scipy() - matrix).max() == 0
    if kind.startswith("csr"):
        given = getattr(sparse, kind)(matrix)
        assert address(coremax.Graph.from_scipy(given)._values) == given.data.ctypes.data


def test_distances_of_a_graph_in_compressed_rows_and_of_absent_neighbors() -> None:
    graph = coremax.Graph.from_neighbors([[1, 2], [0, -1], [1, 0]], [[0.5, 0.9], [0.5, 0.0], [0.25, 1.0]], metric="cosine")
    distances = graph.to_scipy(distances=True)
    assert distances.indptr.tolist() == [0, 2, 3, 5]
    assert distances.indices.tolist() == [2, 1, 0, 0, 1]  # ascending distance, the zero of a duplicate stored
    np.testing.assert_allclose(distances.data, [0.1, 0.5, 0.5, 0, 0.75], atol=1e-7)
    again = coremax.Graph.from_scipy(distances, metric="cosine", values_are="distances")
    assert abs(again.to_scipy() - graph.to_scipy()).max() < 1e-6
    assert abs(again.to_scipy(distances=True) - distances).max() < 2**-24 * 1.01


def test_distances_that_are_none() -> None:
    take = coremax.Graph.from_neighbors
    refused: list[tuple[dict[str, Any], str]] = [
        ({"values_are": "distances"}, "metric must be one of"),
        ({"values_are": "squared distances", "metric": "cosine"}, "'squared distances', which are of metric 'euclidean'"),
        ({"values_are": "weights"}, "values_are must be one of"),
    ]
    for arguments, message in refused:
        with pytest.raises(ValueError, match=message):
            take([[1], [0]], [[1.0], [1.0]], **arguments)
    with pytest.raises(ValueError, match=r"values\[1, 0\] is -0.5, but distances are not negative"):
        take([[1], [0]], [[1.0], [-0.5]], metric="euclidean", values_are="distances")
    with pytest.raises(ValueError, match=r"values\[1, 0\] is -0.5, but cosine distances are from 0 to 2"):
        take([[1], [0]], [[1.0], [-0.5]], metric="cosine", values_are="distances")
    tiny = take([[1], [0]], [[-1e-7], [-1e-7]], metric="euclidean", values_are="squared distances")
    assert tiny.similarities.tolist() == [[1.0], [1.0]]
    with pytest.raises(ValueError, match="in float32; distances must be finite"):
        take([[1], [0]], [[np.nan], [1.0]], metric="cosine", values_are="distances")
    with pytest.raises(ValueError, match="only similarities of metric 'cosine' or 'euclidean'"):
        coremax.topk_graph(X, K, metric="dot").to_scipy(distances=True)
    with pytest.raises(ValueError, match="must be above 0"):
        take([[1], [0]], [[0.0], [1.0]], metric="euclidean").to_scipy(distances=True)
    with pytest.raises(ValueError, match="matrix must be square"):
        coremax.Graph.from_scipy(pytest.importorskip("scipy.sparse").csr_array((2, 3)))
    with pytest.raises(TypeError, match="matrix must be a SciPy sparse matrix"):
        coremax.Graph.from_scipy(np.eye(3))


def test_distances_of_damaged_lists_are_refused() -> None:
    """SciPy checks neither places nor pointers: numbers out of range once crashed the process."""
    pytest.importorskip("scipy")
    for neighbors in ([[1], [2]], [[1], [-2]], [[2**40], [0]]):
        with pytest.raises(ValueError, match="but the graph has rows 0 to 1"):
            coremax.Graph.from_neighbors(neighbors, [[0.5], [0.5]], metric="cosine").to_scipy(distances=True)
    for pointers, message in (([0, 1], "must start at 0 and end at"), ([0, 3, 2], "falls at row 1"), ([1, 1, 2], "must start")):
        with pytest.raises(ValueError, match=f"indptr {message}"):
            coremax.Graph.from_csr(pointers, [1, 0], [0.5, 0.5], metric="cosine").to_scipy(distances=True)
    with pytest.raises(ValueError, match="similarities must be finite"):
        coremax.Graph.from_neighbors([[1], [0]], [[np.nan], [0.5]], metric="cosine").to_scipy(distances=True)
    with pytest.raises(TypeError, match="metric must be a str, got 3"):
        coremax.Graph.from_neighbors([[1], [0]], [[0.5], [0.5]], metric=3)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["uint64", "int8"])
def test_distances_of_indices_of_any_type(kind: str) -> None:
    pytest.importorskip("scipy")
    pointers, indices = np.array([0, 1, 2], kind), np.array([1, 0], kind)
    distances = coremax.Graph.from_csr(pointers, indices, [0.5, 0.25], metric="cosine").to_scipy(distances=True)
    assert distances.toarray().tolist() == [[0, 0.5], [0.75, 0]]


@pytest.mark.filterwarnings("ignore")
def test_cleanlab_takes_our_graph() -> None:
    cleanlab = pytest.importorskip("cleanlab")
    pytest.importorskip("datasets")
    x = X.copy()
    x[1] = x[0]  # a duplicate
    x[2] = 50 * np.eye(D)[0]  # an outlier
    graph = coremax.topk_graph(x, 10, metric="euclidean").to_scipy(distances=True)
    lab = cleanlab.Datalab({"label": LABELS}, label_name="label", verbosity=0)
    lab.find_issues(knn_graph=graph, issue_types={"outlier": {}, "near_duplicate": {}})
    issues = lab.get_issues()
    assert issues["is_near_duplicate_issue"].to_numpy().nonzero()[0].tolist() == [0, 1]
    assert issues["outlier_score"].idxmin() == 2
