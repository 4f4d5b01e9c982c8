"""The sparse top-k similarity graph of a set of embeddings."""

from __future__ import annotations

import functools
import os
import sys
import time
from dataclasses import dataclass, field
from typing import IO, Any, Literal, get_args

import numpy as np

from .. import _core
from .._inputs import arrays as _arrays
from .._inputs import checks, devices
from .._inputs import invalid as _invalid
from .._inputs import neighbors as _neighbors
from .._runtime import amounts, files
from .._runtime import memory as _memory
from .._runtime.errors import DeviceError
from .._runtime.progress import Progress, as_progress, reporting
from . import cuda

__all__ = ["Estimate", "Graph", "GraphStats", "estimate", "topk_graph"]

Metric = Literal["cosine", "dot", "euclidean"]
Values = Literal["similarities", "distances", "squared distances"]
Mode = Literal["exact", "approximate"]
METRICS: tuple[Metric, ...] = get_args(Metric)
VALUES: tuple[Values, ...] = get_args(Values)
MODES: tuple[Mode, ...] = get_args(Mode)
_FILE_VERSION = 1
_ALWAYS_FREE = 1 << 25
_CLUSTERED_ROWS = 1 << 15  # timed for an estimate of the approximate mode, which answers fewer exactly
_SymmetricParts = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]


@dataclass(frozen=True)
class GraphStats:
    """How a graph was built.

    Attributes
    ----------
    seconds : float
        Wall time of the search.
    isa : str
        Instruction-set level used; the device, such as "cuda:0", of a search there.
    threads : int
        Threads used; 0 on a device.
    extra_bytes : int
        Memory allocated beyond the input and the output.
    recall : float
        Share of the true neighbours found: 1.0 of an exact search, else estimated from rows that were answered exactly.
    recall_interval : tuple of float
        95 % confidence interval of the recall over rows (normal approximation); (1.0, 1.0) of an exact search.
    n_sampled : int
        Rows the recall was measured on; 0 of an exact search.
    """

    seconds: float
    isa: str
    threads: int
    extra_bytes: int
    recall: float = 1.0
    recall_interval: tuple[float, float] = (1.0, 1.0)
    n_sampled: int = 0


@dataclass(frozen=True, eq=False, repr=False)
class Graph:
    """A directed neighbour graph with similarities as weights.

    Built by `topk_graph`, or from anybody's neighbour lists by `from_neighbors` and `from_csr`. The solver reads it as the
    symmetric matrix K = (A + A^T) / 2 with a zero diagonal, where A_ij is the similarity of j in the list of i. K is built
    and kept when it is first needed: what is written to the arrays afterwards is not seen.

    Attributes
    ----------
    metric : str or None
        Metric of the similarities, None where the graph came from outside.
    stats : GraphStats or None
        How it was built, None where the graph came from outside.
    """

    _indices: Any
    _values: Any
    _indptr: Any
    metric: str | None
    stats: GraphStats | None
    _cache: dict[str, _SymmetricParts] = field(default_factory=dict, init=False)

    @classmethod
    def from_neighbors(
        cls, indices: Any, values: Any, *, metric: Metric | None = None, values_are: Values = "similarities"
    ) -> Graph:
        """Take over neighbour lists of equal length, such as faiss, hnswlib, pynndescent, scikit-learn or cuVS return.

        Parameters
        ----------
        indices : array [n, k] of int64 or int32
            Neighbours of each row; -1 marks an absent one, and a row's own number is ignored. A neighbour that is repeated in
            a list, as by indices that keep a vector in several cells, counts once, with the highest of its similarities.
        values : array [n, k] of float32 or float64
            Similarities, or what `values_are` says.
        metric : str, optional
            Recorded in the graph; needed for distances. Values must be in its range: "cosine" in [-1, 1], "euclidean" as
            1 / (1 + d) in [0, 1], give or take 0.01 of rounding in half precision; any finite ones under others.
        values_are : {"similarities", "distances", "squared distances"}
            Distances become similarities, in a new array of float32: 1 / (1 + d) under "euclidean", 1 - d under "cosine" and
            "dot", which is how libraries turn an inner product into a distance. See Notes.

        Returns
        -------
        Graph
            Holds the two arrays, without a copy where they are contiguous, of an accepted type and no neighbour is repeated.
            Arrays on a CUDA device stay there, and `solve` works on the graph there; what they hold is checked in a copy on
            the host, and a repeated neighbour is refused.

        Raises
        ------
        ValueError, TypeError
            Where shapes differ or a type is wrong, a neighbour is no row, a value is not finite, out of the metric's range or
            a negative distance (the place is named; what rounding may explain counts as zero), or the metric has no such
            distances.

        Warns
        -----
        UserWarning
            Where the similarities of nearly all rows ascend, as distances do, or distances descend, as similarities do; where
            all distances are 1, as those of a matrix that says only who is a neighbour.

        Notes
        -----
        What others return, for vectors x:

        - faiss `IndexFlatIP` over unit vectors: `metric="cosine"`; `IndexFlatL2`: `metric="euclidean", values_are="squared
          distances"`;
        - hnswlib space "cosine": `metric="cosine", values_are="distances"`; space "l2": `metric="euclidean",
          values_are="squared distances"`; space "ip": `metric="dot", values_are="distances"`;
        - pynndescent `neighbor_graph` and scikit-learn `kneighbors`, metrics "cosine" and "euclidean": the metric, and
          `values_are="distances"`; the former has the two arrays in this order, the latter distances first. Of metric
          "sqeuclidean" they are squared distances; pynndescent's "dot" is of unit vectors: `metric="cosine"`.

        A row in its own list, in whatever place, is ignored: ask them for k + 1 neighbours to get k others. Absent neighbours
        (-1) may have any value.
        """
        metric = _checked_values_are(values_are, metric)
        if (call := devices.device_of_arrays(indices=indices, values=values)) is not None:
            if values_are != "similarities":
                raise ValueError(f"values_are is {values_are!r}, but on a device values must be similarities")
            cuda.check_lists(call, None, indices, values, metric)
            return cls(indices, values, None, metric, None)
        indices, values = _arrays.as_array(indices, "indices"), _arrays.as_array(values, "values")
        index_view = _arrays.as_view(indices, "indices", ndim=2, dtypes=_arrays.INDEX_TYPES, convert_to="int64")
        value_view = _arrays.as_view(values, "values", ndim=2, dtypes=_arrays.FLOAT_TYPES, convert_to="float32")
        if index_view.shape != value_view.shape:
            raise ValueError(f"indices has shape {index_view.shape}, but values has {value_view.shape}")
        if isinstance(indices, np.ndarray) and indices.dtype.name not in _arrays.INDEX_TYPES:
            indices = indices.astype(np.int64)
        return cls(*_checked(indices, values, None, metric, values_are), None, metric, None)

    @classmethod
    def from_csr(
        cls, indptr: Any, indices: Any, values: Any, *, metric: Metric | None = None, values_are: Values = "similarities"
    ) -> Graph:
        """Take over a graph in compressed rows; `from_scipy` does so for a SciPy matrix.

        Parameters
        ----------
        indptr : array [n + 1] of int64 or int32
            Where each row begins in the other two arrays.
        indices : array [nnz] of int64 or int32
            Neighbours in any order; a row's own number is ignored. A neighbour stored twice counts once where the values agree
            (to a part in a thousand), and is refused where they differ: to SciPy such entries are a sum, which
            `matrix.sum_duplicates()` makes of them.
        values : array [nnz] of float32 or float64
            Similarities, or what `values_are` says.
        metric, values_are
            As of `from_neighbors`.

        Returns
        -------
        Graph
            A symmetric matrix given here is K itself, since (K + K^T) / 2 = K. On a CUDA device as `from_neighbors`.

        Raises
        ------
        ValueError, TypeError
            Where lengths do not fit, pointers are none, a type is wrong, a neighbour is stored twice with different values;
            else as `from_neighbors`, which warns, too, where rows in another order than that of their columns ascend.
        """
        metric = _checked_values_are(values_are, metric)
        if (call := devices.device_of_arrays(indptr=indptr, indices=indices, values=values)) is not None:
            if values_are != "similarities":
                raise ValueError(f"values_are is {values_are!r}, but on a device values must be similarities")
            cuda.check_lists(call, indptr, indices, values, metric)
            return cls(indices, values, indptr, metric, None)
        indptr, indices = _arrays.as_array(indptr, "indptr"), _arrays.as_array(indices, "indices")
        values = _arrays.as_array(values, "values")
        pointers = _arrays.as_view(indptr, "indptr", ndim=1, dtypes=_arrays.INDEX_TYPES, convert_to="int64")
        index_view = _arrays.as_view(indices, "indices", ndim=1, dtypes=_arrays.INDEX_TYPES, convert_to="int64")
        value_view = _arrays.as_view(values, "values", ndim=1, dtypes=_arrays.FLOAT_TYPES, convert_to="float32")
        if pointers.shape[0] < 1:
            raise ValueError("indptr is empty: it needs one element more than the graph has rows")
        _arrays.require_length(value_view.shape[0], "values", index_view.shape[0], "indices")
        return cls(*_checked(indices, values, indptr, metric, values_are), indptr, metric, None)

    @classmethod
    def from_scipy(cls, matrix: Any, *, metric: Metric | None = None, values_are: Values = "similarities") -> Graph:
        """Take over a SciPy sparse matrix or array, such as scikit-learn's `kneighbors_graph` returns.

        Parameters
        ----------
        matrix : sparse matrix or array [n, n] of numbers
            Row i holds the neighbours of sample i. All that is stored is read, zeros too; entries stored twice as in
            `from_csr`. Of `kneighbors_graph`, "connectivity" means similarities of one, and `mode="distance"` needs
            `values_are="distances"`.
        metric, values_are
            As of `from_neighbors`.

        Returns
        -------
        Graph
            Holds the matrix's own arrays where it is in compressed rows (CSR) of float32 or float64.

        Raises
        ------
        ValueError, TypeError
            No sparse matrix, one that is not square, and as `from_csr`.

        Examples
        --------
        >>> import coremax
        >>> from sklearn.neighbors import kneighbors_graph
        >>> near = kneighbors_graph([[0.0], [1.0], [3.0]], 1, mode="distance")
        >>> graph = coremax.Graph.from_scipy(near, metric="euclidean", values_are="distances")
        >>> coremax.solve([1.0, 0.9, 0.8], graph, 2).indices
        array([0, 2])
        """
        if not hasattr(matrix, "tocsr"):
            raise TypeError(f"matrix must be a SciPy sparse matrix or array, got {type(matrix).__name__}")
        if len(matrix.shape) != 2 or matrix.shape[0] != matrix.shape[1]:
            raise ValueError(f"matrix must be square, got shape {tuple(matrix.shape)}")
        indptr, indices, values = _compressed_rows(matrix)
        values = values.astype(np.float32) if values.dtype.kind == "b" else values
        return cls.from_csr(indptr, indices, values, metric=metric, values_are=values_are)

    @property
    def n(self) -> int:
        """Number of rows."""
        return int(self._indptr.shape[0]) - 1 if self._indptr is not None else int(self._indices.shape[0])

    @property
    def k(self) -> int:
        """Neighbours of each row; raises ValueError for a graph in compressed rows, whose lists may differ in length."""
        return int(self.neighbors.shape[1])

    @property
    def neighbors(self) -> Any:
        """Neighbours [n, k] int64, in descending similarity, ties to the lower number."""
        return self._lists(self._indices)

    @property
    def similarities(self) -> Any:
        """Similarities [n, k] float32 of the neighbours."""
        return self._lists(self._values)

    def _lists(self, array: Any) -> Any:
        if self._indptr is not None:
            raise ValueError("this graph was given in compressed rows; its lists have no common length: use to_csr()")
        return array

    def _symmetric(self, threads: int | None = None) -> _SymmetricParts:
        """K as the solver takes it: indptr int64, indices int32, values float32; built once."""
        if not self._cache:
            if (call := cuda.place(self)) is not None:
                raise DeviceError(f"the graph is on a device ({call.name}); this function runs on the CPU: pass graph.cpu()")
            self._cache["symmetric"] = self._build_symmetric(_arrays.as_threads(threads))
        return self._cache["symmetric"]

    def _build_symmetric(self, threads: int) -> _SymmetricParts:
        pointers, ndim = None, 2
        if self._indptr is not None:
            pointers, ndim = _arrays.as_view(self._indptr, "indptr", ndim=1, dtypes=["int64"], convert_to="int64"), 1
        indices = _arrays.as_view(self._indices, "indices", ndim=ndim, dtypes=_arrays.INDEX_TYPES, convert_to="int64")
        values = _arrays.as_view(self._values, "values", ndim=ndim, dtypes=_arrays.FLOAT_TYPES, convert_to="float32")
        return _core.symmetric(pointers, indices, values, threads)

    def to_csr(self) -> tuple[Any, Any, Any]:
        """Return the symmetric K of the objective in compressed rows.

        Returns
        -------
        indptr : array [n + 1] of int64
        indices : array [nnz] of int64, ascending within a row
        values : array [nnz] of float32
            K = (A + A^T) / 2 with a zero diagonal; arrays are copies in the library the graph's lists came from, and where
            these are: on a device nothing goes through the host.
        """
        if (call := cuda.place(self)) is not None:
            return cuda.to_csr(call, self)
        indptr, indices, values = self._symmetric()
        return tuple(_arrays.like(a, self._indices) for a in (indptr.copy(), indices.astype(np.int64), values.copy()))

    def cpu(self) -> Graph:
        """Copy a graph from its device, into NumPy's arrays; a graph on the CPU is returned as it is."""
        if cuda.place(self) is None:
            return self
        pointers = None if self._indptr is None else cuda.on_host(self._indptr)
        lists = cuda.on_host(self._indices), cuda.on_host(self._values)
        return Graph(*lists, pointers, self.metric, self.stats)

    def to_scipy(self, *, distances: bool = False) -> Any:
        """Return the graph as a SciPy matrix (needs SciPy; a graph on a device goes by `cpu`).

        Parameters
        ----------
        distances : bool
            False: K of the objective, symmetric. True: distances of the neighbours as scikit-learn's
            `kneighbors_graph(mode="distance")` has them, directed and ascending within each row, zeros of duplicates stored:
            what cleanlab's `knn_graph` and scikit-learn's `metric="precomputed"` take.

        Returns
        -------
        scipy.sparse.csr_array or csr_matrix
            K [n, n] of float32; or the distances [n, n] of float32 as a csr_matrix, which is what these libraries ask for:
            1 - s under "cosine", 1 / s - 1 under "euclidean", of float32 similarities, so that a distance is off by up to
            2^-24 or (1 + d)^2 2^-24. Absent neighbours are left out.

        Raises
        ------
        ValueError
            Distances of a graph whose metric is unknown or "dot", or with a similarity that is none of its metric.
        """
        from scipy.sparse import csr_array, csr_matrix

        if not checks.as_flag(distances, "distances"):
            indptr, indices, values = self._symmetric()
            return csr_array((values.copy(), indices.copy(), indptr.copy()), shape=(self.n, self.n))
        self._build_symmetric(_arrays.as_threads(None))  # for its checks of the contents: SciPy makes none, and would crash
        rows, columns, values = self._edges()
        lengths = _as_distances(values, self.metric)
        order = np.lexsort((columns, lengths, rows))
        indptr = np.searchsorted(rows, np.arange(self.n + 1))
        return csr_matrix((lengths[order], columns[order], indptr), shape=(self.n, self.n))

    def _edges(self) -> _SymmetricParts:
        """Row, column and similarity of every neighbour that is present and not the row itself, row by row."""
        columns, values = _arrays.as_numpy(self._indices).reshape(-1), _arrays.as_numpy(self._values).reshape(-1)
        columns = columns.astype(np.int64, copy=False)  # of whatever type they came in
        counts = np.full(self.n, self.k) if self._indptr is None else np.diff(_arrays.as_numpy(self._indptr).astype(np.int64))
        rows = np.repeat(np.arange(self.n), counts)
        present = (columns != -1) & (columns != rows)
        return rows[present], columns[present], values[present]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the graph to an .npz file under exactly this name; raises OSError with name and cause where that fails."""
        with files.replacing(path) as file:
            self.write(file)

    def write(self, file: IO[bytes]) -> None:
        """Write what `load` reads to a file that is open for bytes; `save` is this to a file of a name, whole or not at all."""
        graph = self.cpu()
        arrays = {"indices": graph._indices, "values": graph._values}
        if graph._indptr is not None:
            arrays["indptr"] = graph._indptr
        plain = {name: _arrays.as_numpy(array) for name, array in arrays.items()}
        files.write_archive(file, _FILE_VERSION, {"metric": np.array(self.metric or ""), **plain})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Graph:
        """Read a graph that `save` wrote; raises ValueError where the file holds none, or one that makes no sense."""
        arrays = files.load_archive(path, "graph", _FILE_VERSION, {"metric", "indices", "values"})
        metric: Any = str(arrays["metric"]) or None  # checked with all else
        with files.naming(path):
            if "indptr" in arrays:
                return cls.from_csr(arrays["indptr"], arrays["indices"], arrays["values"], metric=metric)
            return cls.from_neighbors(arrays["indices"], arrays["values"], metric=metric)

    def __reduce__(self) -> tuple[Any, ...]:
        return Graph, (self._indices, self._values, self._indptr, self.metric, self.stats)  # without K, which can be rebuilt

    def __repr__(self) -> str:
        shape = f"n={self.n}, " + (f"k={self.k}" if self._indptr is None else f"nnz={self._indices.shape[0]}")
        return f"Graph({shape}, metric={self.metric!r})"


def topk_graph(
    x: Any,
    k: int = 10,
    *,
    metric: Metric = "cosine",
    mode: Mode = "exact",
    recall: float = 0.95,
    seed: _arrays.Seed = 0,
    memory_limit: int | str | None = None,
    threads: int | None = None,
    isa: str | None = None,
    copy: bool | None = None,
    progress: Progress = False,
) -> Graph:
    """Find the k most similar other rows of every row.

    Parameters
    ----------
    x : array [n, d] of float32, float16, bfloat16, int8 or float64
        Embeddings, n >= 2; may be memory-mapped and larger than memory. Rows are converted to float32 tile by tile, never as a
        whole. Rows may lie apart in memory; where the elements of a row do, x is copied once. An array on a CUDA device is
        searched there, see Notes.
    k : int
        Neighbours per row, 1 to n - 1.
    metric : {"cosine", "dot", "euclidean"}
        Similarity: the cosine (clipped to at most 1), the inner product, or 1 / (1 + Euclidean distance).
    mode : {"exact", "approximate"}
        Exact in float32; or only a share of the true neighbours, which pays from some 100,000 rows on. Similarities are exact
        either way. Where leaving pairs out would not save time (few rows, or no structure to go by) the answer is exact.
    recall : float
        Approximate: the share of true neighbours aimed at, in (0, 1]. `stats.recall` tells what share was found.
    seed : int, SeedSequence or Generator
        Approximate: of the partition and the sample. The same seed gives the same graph on any thread count.
    memory_limit : int or str, optional
        Bytes (or "2GB") that output and working memory may take together. The exact search falls back to a slower way that
        needs little. Default: that way where working memory would not fit into the machine's free memory.
    threads : int, optional
        Default: COREMAX_NUM_THREADS, else every CPU this process may use.
    isa : str, optional
        Instruction-set level, see `coremax.show_config`. Default: COREMAX_ISA, else the best there is.
    copy : bool, optional
        False makes a copy of x an error.
    progress : bool or callable
        True draws a bar on stderr; a function is called as function(rows done, rows in all).

    Returns
    -------
    Graph
        Neighbours in descending similarity, ties to the lower number. A row is excluded from its own list by its number, so
        exact duplicates of it are kept. Arrays belong to the library of x.

    Raises
    ------
    ValueError
        NaN or infinity in x (the place is named), a zero row under "cosine", an inner product beyond float32, wrong shape,
        k out of range, an unknown metric, mode or ISA level.
    TypeError
        A type of x that is not accepted.
    MemoryError
        Before work starts, where memory_limit can not hold.

    Notes
    -----
    The exact graph is the same bits for any thread count, tile size and ISA level: scores are summed in one canonical order (16
    lanes, fused multiply-add). Ties are decided on the float32 score; for "euclidean" that is the squared distance. Each pair
    of rows is compared once, in low precision (int8, int16 or bfloat16, as the CPU has it); only pairs that a proven error
    bound can not rule out are scored in float32. The method is ours.

    Time O(n^2 d), half of n^2 pairs; `estimate` predicts it. Memory beyond the output is at most 2 n d + 64 n + 24 n k bytes +
    256 MB (for up to 16 threads; d rounded up to a multiple of 64), or, the slower way, 8 n bytes and a few megabytes per
    thread. The approximate search adds 32 n bytes and up to 300 MB of tables over pairs of groups. It partitions rows by
    k-means into 4 sqrt(n) groups and compares only groups that share neighbours, as a sample of rows that is answered exactly
    tells: O(n^1.5 d) where rows cluster.

    On a CUDA device the exact graph has the same bits as on the CPU. Pairs are compared in bfloat16 on tensor cores. Work is
    put into the stream that the library of x is using, and waited for; threads and progress mean nothing there, an isa and
    mode="approximate" are refused. Memory beyond the output is 2 n d + 40 n + 16 n k bytes (the last term at most 512 MB)
    and up to 160 MB, d rounded up to a multiple of 16, or 8 n bytes the slower way.

    Examples
    --------
    >>> import numpy as np
    >>> import coremax
    >>> x = np.array([[1, 0], [0.9, 0.1], [0, 1], [1, 0]], dtype=np.float32)
    >>> coremax.topk_graph(x, k=1).neighbors.ravel()
    array([3, 0, 1, 0])
    """
    metric = _arrays.as_choice(metric, "metric", METRICS)
    mode = _arrays.as_choice(mode, "mode", MODES)
    target = _checked_recall(recall)
    number = _arrays.as_seed(seed)
    copy, progress = checks.as_optional_flag(copy, "copy"), as_progress(progress)
    limits = Limits(memory_limit, threads, isa)
    if call := devices.device_of_arrays(x=x):
        return _on_device(call, x, k, metric, mode, limits, copy)
    view = _arrays.as_view(x, "x", ndim=2, dtypes=_arrays.EMBEDDING_TYPES, copy=copy, strided_rows=True)
    approximate = (target, number) if mode == "approximate" else None
    with _invalid.naming("x", lambda: _invalid.bad_rows(x, zero=metric == "cosine")):
        neighbors, similarities, stats = search(view, None, k, metric, limits, progress, approximate)
    return Graph(_arrays.like(neighbors, x), _arrays.like(similarities, x), None, metric, stats)


def _on_device(call: devices.CudaDevice, x: Any, k: int, metric: str, mode: str, limits: Limits, copy: bool | None) -> Graph:
    """Search on the CUDA device that x is on, in its library's stream; returns when the graph is there."""
    if mode != "exact":
        raise ValueError(
            f"mode is {mode!r}, which runs on the CPU only: x is on {call.name}, where mode='exact' is fast; or pass x.cpu()"
        )
    if limits.isa is not None:
        raise ValueError(
            f"isa names a level of the CPU, got {limits.isa!r}: x is on {call.name}; leave it out, or pass x.cpu()"
        )
    view = call.view(x, "x", ndim=2, dtypes=_arrays.EMBEDDING_TYPES, copy=copy, strided_rows=True)
    n, d = view.shape
    k = _checked_k(k, n, view.shape)
    engine = devices.extension()
    ways = {how: engine.topk_extra_bytes(n, d, k, how, call.place) for how in ("automatic", "direct")}
    limit = _arrays.as_bytes(limits.memory, "memory_limit")
    how, extra = _fitting(ways, 12 * n * k, limit, sys.maxsize if limit is None else limit, f"on {call.name}", "lower k")
    neighbors, similarities = call.empty((n, k), "int64", like=x), call.empty((n, k), "float32", like=x)
    start = time.perf_counter()
    outputs = call.output(neighbors), call.output(similarities)
    with _invalid.naming("x", lambda: _invalid.bad_rows(cuda.on_host(_arrays.widened(x)), zero=metric == "cosine")):
        engine.topk(view, k, metric, how, *outputs, call.place)
    stats = GraphStats(time.perf_counter() - start, call.name, 0, extra)
    return Graph(call.handed_over(neighbors, like=x), call.handed_over(similarities, like=x), None, metric, stats)


def _checked_values_are(values_are: Any, metric: Any) -> Metric | None:
    """The metric, once it is clear what values mean under it."""
    how = _arrays.as_choice(values_are, "values_are", VALUES)
    if metric is not None and not isinstance(metric, str):
        raise TypeError(f"metric must be a str, got {metric!r}")
    checked = _arrays.as_optional_choice(metric, "metric", METRICS)
    if how != "similarities":
        _arrays.as_choice(metric, "metric", METRICS)
    if how == "squared distances" and metric != "euclidean":
        raise ValueError(f"values_are is 'squared distances', which are of metric 'euclidean', but metric is {metric!r}")
    return checked


def _checked(indices: Any, values: Any, indptr: Any, metric: str | None, values_are: str) -> tuple[Any, Any]:
    """Indices and similarities of lists from elsewhere, once what they hold makes sense; each neighbour of a row once."""
    pointers = None if indptr is None else _arrays.as_numpy(indptr)
    lists = _neighbors.Lists(_arrays.as_numpy(indices), _arrays.as_numpy(values), pointers)
    repeated = _neighbors.check(lists, metric, values_are)
    if repeated.size:
        plain_indices, plain_values = _neighbors.without(lists, repeated)
        indices, values = _arrays.like(plain_indices, indices), _arrays.like(plain_values, values)
    return indices, _as_similarities(values, metric, values_are, indices)


def _compressed_rows(matrix: Any) -> _SymmetricParts:
    """Row pointers, columns and values of a SciPy matrix, whose own conversion would add up what is stored twice."""
    if matrix.format == "csr":
        return matrix.indptr, matrix.indices, matrix.data
    entries = matrix.tocoo()
    rows, columns = entries.row.astype(np.int64), entries.col.astype(np.int64)
    order = np.lexsort((columns, rows))
    return np.searchsorted(rows[order], np.arange(matrix.shape[0] + 1)), columns[order], entries.data[order]


def _as_similarities(values: Any, metric: str | None, values_are: str, indices: Any) -> Any:
    """Values as they are, or made of distances; where indices are -1 there is none."""
    if values_are == "similarities":
        return values
    with np.errstate(over="ignore", invalid="ignore"):
        distances = np.asarray(_arrays.as_numpy(values), dtype=np.float64)
        present = _arrays.as_numpy(indices) != -1
        if metric == "euclidean":
            distances = np.maximum(distances, 0)
            found = 1 / (1 + (np.sqrt(distances) if values_are == "squared distances" else distances))
        else:
            found = 1 - distances if metric == "dot" else np.minimum(1 - distances, 1)
        return _arrays.like(np.where(present, found, 0).astype(np.float32), values)


def _as_distances(similarities: np.ndarray[Any, Any], metric: str | None) -> np.ndarray[Any, Any]:
    if metric not in ("cosine", "euclidean"):
        raise ValueError(
            f"only similarities of metric 'cosine' or 'euclidean' are distances too, and this graph's is {metric!r}"
        )
    if metric == "euclidean" and not (similarities > 0).all():
        raise ValueError("similarities of a euclidean graph are 1 / (1 + distance) and must be above 0")
    wide = similarities.astype(np.float64)
    return np.maximum(1 / wide - 1 if metric == "euclidean" else 1 - wide, 0).astype(np.float32)


@dataclass(frozen=True)
class Limits:
    """What a search may use, as the caller said it."""

    memory: int | str | None
    threads: int | None
    isa: str | None


def search(
    x: _core.Array,
    rows: np.ndarray[Any, Any] | None,
    k: int,
    metric: str,
    limits: Limits,
    progress: Progress,
    approximate: tuple[float, int] | None = None,
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], GraphStats]:
    """Run the engine over x, or over the rows of x named; for this module and `selection`."""
    n, d = (x.shape[0] if rows is None else len(rows)), x.shape[1]
    k = _checked_k(k, n, x.shape)
    n_threads = _arrays.as_threads(limits.threads)
    level = _arrays.resolve_isa(limits.isa)
    limit = _arrays.as_bytes(limits.memory, "memory_limit")
    how, extra = _affordable(n, d, k, level, n_threads, limit, approximate is not None)
    row_view = None if rows is None else _core.import_array(rows, "rows")
    recall, seed = approximate or (None, 0)
    start = time.perf_counter()
    with reporting(progress, "graph") as report:
        neighbors, similarities, found = _core.topk(x, row_view, k, metric, level, n_threads, report, how, recall, seed)
    seconds = time.perf_counter() - start
    return neighbors, similarities, GraphStats(seconds, level, n_threads, extra, found[0], (found[1], found[2]), found[3])


def _checked_recall(recall: float) -> float:
    target = _arrays.as_real(recall, "recall", 0, 1)
    if target == 0:
        raise ValueError("recall must be above 0 and at most 1, got 0")
    return target


def _checked_k(k: int, n: int, shape: tuple[int, ...]) -> int:
    if n < 2 or shape[1] < 1:
        raise ValueError(f"x must have at least 2 rows and 1 column, got shape {shape}")
    return _arrays.as_count(k, "k", 1, n - 1)


def _affordable(n: int, d: int, k: int, isa: str, threads: int, limit: int | None, approximate: bool) -> tuple[str, int]:
    """Choose the search that fits into memory, and tell what it takes; raises MemoryError where none does."""
    if approximate:
        ways = {"approximate": _core.topk_extra_bytes(n, d, k, isa, "approximate", threads)}
    else:
        ways = {how: _core.topk_extra_bytes(n, d, k, isa, how, threads) for how in ("automatic", "direct")}
    room = _free_memory(max(ways.values()) + 12 * n * k) if limit is None else limit
    advice = "lower k or threads" + (", or use mode='exact'" if approximate else "")
    return _fitting(ways, 12 * n * k, limit, room, f"for {threads} threads", advice)


def _fitting(ways: dict[str, int], output: int, limit: int | None, room: int, where: str, advice: str) -> tuple[str, int]:
    """The first way that room is enough for, or the least where the caller has set no limit."""
    for how, extra in ways.items():
        if extra + output <= room:
            return how, extra
    least = min(ways, key=lambda how: ways[how])
    if limit is None:
        return least, ways[least]
    raise MemoryError(
        f"the graph needs {ways[least] + output} bytes ({output} for the result, {ways[least]} of working memory "
        f"{where}), memory_limit allows {limit}: {advice}"
    )


@dataclass(frozen=True)
class Estimate:
    """What a graph will take on this machine; printed as text, in hours and minutes where it is long.

    Attributes
    ----------
    seconds : float
        Wall time: of the exact mode for data without structure, of the approximate mode for data that clusters.
    extra_bytes : int
        Working memory beyond the input and the output.
    output_bytes : int
        Of the neighbours (int64) and similarities (float32).
    mode : {"exact", "approximate"}
        Of the search.
    most_seconds : float
        Wall time where rows do not cluster: in the approximate mode that of the exact one, which then answers.
    """

    seconds: float
    extra_bytes: int
    output_bytes: int
    mode: str = "exact"
    most_seconds: float = 0.0

    def __str__(self) -> str:
        most = (
            ""
            if self.mode == "exact"
            else f" where rows cluster, up to {amounts.duration(self.most_seconds)} where they do not"
        )
        memory = f"{amounts.size(self.extra_bytes)} of working memory and {amounts.size(self.output_bytes)} for the result"
        return f"about {amounts.duration(self.seconds)}{most}; {memory}"


def estimate(
    n: int,
    d: int,
    k: int = 10,
    *,
    metric: Metric = "cosine",
    mode: Mode = "exact",
    recall: float = 0.95,
    threads: int | None = None,
    isa: str | None = None,
) -> Estimate:
    """Predict time and memory of a graph before it is built.

    Two small graphs of normal data are built and timed (about 0.2 s at d = 128, once per process and setting), and
    a n^2 + b n is put through their times, b in proportion to k from k = 512 on. For n >= 20,000 predictions were within 30 %
    of normal data's times on an otherwise idle machine; clusters and near-duplicates can take up to twice as long.

    For the approximate mode a graph of 32,768 rows in clusters of 64 is timed, too (about a second at d = 128): its time grows
    in proportion to n, but for the share of the 4 sqrt(n) centres that every row is compared with. At d = 64 and 262,144 such
    rows the prediction was 20 % above the time. Data that clusters less takes longer, up to the exact mode's time. The
    models are ours.

    Parameters
    ----------
    n, d, k : int
        Rows, columns, neighbours per row.
    metric, mode, recall, threads, isa
        As of `topk_graph`.

    Returns
    -------
    Estimate
        Seconds, and bytes beyond the input.

    Raises
    ------
    ValueError, TypeError
        As `topk_graph`, for arguments out of range.

    Examples
    --------
    >>> import coremax
    >>> plan = coremax.graph.estimate(100_000, 128)
    >>> plan.output_bytes
    12000000
    >>> plan.seconds > 0
    True
    >>> print(coremax.graph.estimate(1_000_000, 4, mode="approximate"))  # doctest: +ELLIPSIS
    about ... where rows cluster, up to ... where they do not; ... of working memory and 120 MB for the result
    """
    n, d = _arrays.as_count(n, "n", 2), _arrays.as_count(d, "d", 1)
    k = _arrays.as_count(k, "k", 1, n - 1)
    metric = _arrays.as_choice(metric, "metric", METRICS)
    n_threads, level = _arrays.as_threads(threads), _arrays.resolve_isa(isa)
    mode, target = _arrays.as_choice(mode, "mode", MODES), _checked_recall(recall)
    quadratic, linear = _calibrate(d, k, metric, n_threads, level)
    exact = (quadratic * n + linear) * n
    extra = _core.topk_extra_bytes(n, d, k, level, "automatic" if mode == "exact" else "approximate", n_threads)
    seconds = exact
    if mode == "approximate" and n > _CLUSTERED_ROWS:
        seconds = min(exact, _approximate_seconds(n, d, k, metric, target, n_threads, level, quadratic))
    return Estimate(seconds, extra, 12 * n * k, mode, exact)


def _approximate_seconds(n: int, d: int, k: int, metric: str, recall: float, threads: int, isa: str, quadratic: float) -> float:
    """In proportion to the clustered rows that were timed, and what comparing rows with 4 sqrt(n) centres takes."""

    def with_centres(rows: int) -> float:
        return float(4 * quadratic * rows**1.5)  # by the time of a pair of the exact graph, which has rows^2 / 2 of them

    timed = _clustered_seconds(d, min(k, _CLUSTERED_ROWS // 64), metric, recall, threads, isa)
    longer = max(1.0, k / (_CLUSTERED_ROWS // 64))
    return max(timed - with_centres(_CLUSTERED_ROWS), timed / 2) * longer * n / _CLUSTERED_ROWS + with_centres(n)


@functools.lru_cache(maxsize=64)
def _clustered_seconds(d: int, k: int, metric: str, recall: float, threads: int, isa: str) -> float:
    """Time of an approximate graph of rows in clusters of 64."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((_CLUSTERED_ROWS // 64, d), dtype=np.float32)
    x = centres[rng.integers(0, len(centres), _CLUSTERED_ROWS)]
    x += np.float32(0.5) * rng.standard_normal(x.shape, dtype=np.float32)
    view = _core.import_array(x, "x")
    stats: GraphStats = search(view, None, k, metric, Limits(None, threads, isa), False, (recall, 0))[2]
    return stats.seconds


@functools.lru_cache(maxsize=64)
def _calibrate(d: int, k: int, metric: str, threads: int, isa: str) -> tuple[float, float]:
    """Seconds per squared row and per row, from the better of two runs at two sizes that large graphs behave like."""
    smaller = 512 if isa == "scalar" else 8192
    sizes = (smaller, 2 * smaller)
    shorter = min(k, smaller // 16)  # longer lists are taken to cost in proportion
    x = np.random.default_rng(0).standard_normal((sizes[1], d), dtype=np.float32)
    views = [_core.import_array(x[:size], "x") for size in sizes]
    limits = Limits(None, threads, isa)
    per_row = [
        min(search(view, None, shorter, metric, limits, False)[2].seconds for _ in range(2)) / view.shape[0] for view in views
    ]
    # Timings may be disturbed: neither term is taken for less than a tenth of the smaller run.
    tenth = per_row[0] / sizes[0] / 10
    quadratic = min(max((per_row[1] - per_row[0]) / (sizes[1] - sizes[0]), tenth), 9 * tenth)
    return quadratic, (per_row[0] - quadratic * sizes[0]) * k / shorter


def _free_memory(wanted: int) -> int:
    """Bytes of physical memory that are free or can be freed; half of all where the system does not tell.

    Nobody is asked for as little as may be wanted at any time.
    """
    if wanted <= _ALWAYS_FREE:
        return wanted
    if (free := _memory.available()) is not None:
        return free
    pages = os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 1 << 21
    return pages * 4096 // 2
