"""Graphs whose lists are on a CUDA device, for `graph` and `_cuda_solver`."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from .._inputs import arrays, devices
from .._inputs import neighbors as _neighbors

if TYPE_CHECKING:
    from .. import _cuda
    from ._graph import Graph

# K of graphs on devices, by the graph and the device; a graph does not keep what a process can not pass on.
_built: weakref.WeakKeyDictionary[Graph, dict[int, _cuda.SymmetricGraph]] = weakref.WeakKeyDictionary()


def place(graph: Graph) -> devices.CudaDevice | None:
    """Find the device that a graph is on."""
    return devices.device_of_arrays(values=graph._values, indices=graph._indices, indptr=graph._indptr)


def check_lists(call: devices.CudaDevice, indptr: Any, indices: Any, values: Any, metric: str | None) -> None:
    """Raise where shapes, types or contents do not fit; contents are looked at in a copy on the host."""
    ndim = 2 if indptr is None else 1
    index_view = call.view(indices, "indices", ndim=ndim, dtypes=arrays.INDEX_TYPES, convert_to="int64")
    value_view = call.view(values, "values", ndim=ndim, dtypes=arrays.FLOAT_TYPES, convert_to="float32")
    if indptr is None:
        if index_view.shape != value_view.shape:
            raise ValueError(f"indices has shape {index_view.shape}, but values has {value_view.shape}")
    else:
        pointers = call.view(indptr, "indptr", ndim=1, dtypes=arrays.INDEX_TYPES, convert_to="int64")
        if pointers.shape[0] < 1:
            raise ValueError("indptr is empty: it needs one element more than the graph has rows")
        arrays.require_length(value_view.shape[0], "values", index_view.shape[0], "indices")
    lists = _neighbors.Lists(on_host(indices), on_host(values), None if indptr is None else on_host(indptr))
    if (repeated := _neighbors.check(lists, metric, "similarities")).size:
        raise ValueError(
            f"indices: {repeated.size} entries of the lists repeat a neighbour of their row, entry {repeated[0]} first: "
            "set them to -1"
        )


def symmetric(call: devices.CudaDevice, graph: Graph) -> _cuda.SymmetricGraph:
    """K on the device, built once."""
    known = _built.setdefault(graph, {})
    if call.number not in known:
        pointers, ndim = None, 2
        if graph._indptr is not None:
            pointers, ndim = call.view(graph._indptr, "indptr", ndim=1, dtypes=["int64"], convert_to="int64"), 1
        indices = call.view(graph._indices, "indices", ndim=ndim, dtypes=arrays.INDEX_TYPES, convert_to="int64")
        values = call.view(graph._values, "values", ndim=ndim, dtypes=arrays.FLOAT_TYPES, convert_to="float32")
        known[call.number] = devices.extension().SymmetricGraph(pointers, indices, values, call.place)
    return known[call.number]


def to_csr(call: devices.CudaDevice, graph: Graph) -> tuple[Any, Any, Any]:
    """As `Graph.to_csr`, on the device."""
    k, like = symmetric(call, graph), graph._indices
    indptr = call.empty((k.n + 1,), "int64", like)
    indices, values = call.empty((k.n_entries,), "int64", like), call.empty((k.n_entries,), "float32", like)
    k.copy_to(call.output(indptr), call.output(indices), call.output(values), call.place)
    return call.handed_over(indptr, like), call.handed_over(indices, like), call.handed_over(values, like)


def on_host(array: Any) -> np.ndarray[Any, Any]:
    """Copy an array of a device."""
    if hasattr(array, "cpu"):
        return np.asarray(array.cpu())
    if hasattr(array, "get"):
        return np.asarray(array.get())
    if hasattr(array, "read"):
        return np.frombuffer(array.read(), dtype=array.dtype).reshape(array.shape)
    return np.asarray(array)  # JAX
