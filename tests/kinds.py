"""Kinds of objects that an array may come as, for the table of entrances: how each is made of a NumPy array, what is due.

"right" is the very result of the NumPy array, "refused" an error that names the argument. A kind may change the numbers first,
to what its library or type can hold; the result is then compared with that of the changed array.
"""

from __future__ import annotations

import array
import collections
import decimal
import functools
import pathlib
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import scipy.sparse
import torch
from jax.experimental import sparse as jax_sparse

import coremax

Array = np.ndarray[Any, Any]
_TEMPORARY = pathlib.Path(tempfile.mkdtemp(prefix="coremax-kinds-"))


@dataclass(frozen=True)
class Kind:
    """A kind of object.

    Attributes
    ----------
    group, name : str
        The library, and what it is.
    make : callable
        The object of an array.
    due : str
        "right" or "refused"; "either" where entrances differ for a good reason.
    fits : callable
        Whether there is such an object for an array.
    prepare : callable
        The array as the kind can hold it.
    """

    group: str
    name: str
    make: Callable[[Array], Any]
    due: str
    fits: Callable[[Array], bool]
    prepare: Callable[[Array], Array]


def _any(a: Array) -> bool:
    return True


def _vector(a: Array) -> bool:
    return a.ndim == 1


def _matrix(a: Array) -> bool:
    return a.ndim == 2


def _rows(a: Array) -> bool:
    return a.ndim >= 2


def _flat(a: Array) -> bool:
    return a.ndim <= 2


def _real(a: Array) -> bool:
    return bool(a.dtype.kind == "f")


def _whole(a: Array) -> bool:
    return a.dtype.kind in "iu"


def _repeated(a: Array) -> Array:
    return np.repeat(a[:1], len(a), axis=0)


def _not_negative(a: Array) -> bool:
    return _real(a) and bool((a >= 0).all())


def _same(a: Array) -> Array:
    return a


def through(dtype: Any) -> Callable[[Array], Array]:
    """The numbers that a type can hold, in the type they had."""

    def rounded(a: Array) -> Array:
        with np.errstate(all="ignore"):
            return np.asarray(a.astype(dtype)).astype(a.dtype)

    return rounded


def narrow(a: Array) -> Array:
    """As JAX holds numbers unless told otherwise: 32 bits."""
    return a.astype({8: {"f": np.float32, "i": np.int32}[a.dtype.kind]}[a.dtype.itemsize]) if a.dtype.itemsize == 8 else a


KINDS: list[Kind] = []
TEXT_KINDS: list[Kind] = []
GRAPH_KINDS: list[Kind] = []
SIZE_KINDS: list[Kind] = []
TENSOR_KINDS: list[Kind] = []


def _add(
    group: str,
    due: str,
    makers: dict[str, Callable[[Any], Any]],
    fits: Callable[[Any], bool] = _any,
    prepare: Callable[[Any], Any] = _same,
    to: list[Kind] = KINDS,
) -> None:
    to.extend(Kind(group, name, make, due, fits, prepare) for name, make in makers.items())


# --- NumPy --------------------------------------------------------------------------------------------------------------------


def _strided(a: Array) -> Array:
    wide = np.zeros(tuple(2 * size for size in a.shape), a.dtype)
    view = wide[tuple(slice(None, None, 2) for _ in a.shape)]
    view[...] = a
    return view


def _read_only(a: Array) -> Array:
    a = a.copy()
    a.flags.writeable = False
    return a


def _field(a: Array) -> Array:
    records = np.zeros(a.shape, [("byte", "u1"), ("value", a.dtype)])  # packed, so that values are not aligned
    records["value"] = a
    return records["value"]


def _mapped(a: Array) -> Any:
    path = _TEMPORARY / "mapped.npy"
    np.save(path, a)
    return np.load(path, mmap_mode="r")


def _subclass(a: Array) -> Any:
    class Labelled(np.ndarray[Any, Any]):
        pass

    return a.view(Labelled)


def _one_masked(a: Array) -> Any:
    mask = np.zeros(a.shape, bool)
    mask.flat[-1] = True
    return np.ma.masked_array(a, mask)


_add(
    "NumPy",
    "right",
    {
        "strided": _strided,
        "reversed": lambda a: a[::-1].copy()[::-1],
        "Fortran order": np.asfortranarray,
        "read-only": _read_only,
        "field of a record": _field,
        "memory map": _mapped,
        "subclass": _subclass,
    },
)
_add("NumPy", "right", {"big-endian": lambda a: a.astype(a.dtype.newbyteorder(">"))}, lambda a: a.dtype.kind != "b")
_add(
    "NumPy",
    "right",
    {"broadcast": lambda a: np.broadcast_to(a[:1], a.shape)},
    prepare=_repeated,
)
_add("NumPy", "right", {"matrix": lambda a: np.asarray(a).view(np.matrix)}, _matrix)
_add("NumPy", "right", {"float16": lambda a: a.astype(np.float16)}, _real, through(np.float16))
_add("NumPy", "right", {"int32": lambda a: a.astype(np.int32), "uint8": lambda a: a.astype(np.uint8)}, _whole)
_add("NumPy", "either", {"longdouble": lambda a: a.astype(np.longdouble)}, _real, through(np.float32))
_add(
    "NumPy",
    "either",
    {"uint64 as reals": lambda a: a.astype(np.uint64)},
    _not_negative,
    through(np.uint64),
)
_add("NumPy", "refused", {"floats as whole numbers": lambda a: a.astype(np.float64)}, _whole)
_add("NumPy", "refused", {"uint64 beyond int64": lambda a: a.astype(np.uint64) + np.uint64(2**63)}, _whole)
_add(
    "NumPy",
    "refused",
    {
        "masked": lambda a: np.ma.masked_array(a),
        "masked, one": _one_masked,
        "object": lambda a: a.astype(object),
        "complex": lambda a: a.astype(complex),
        "datetime64": lambda a: a.astype(np.int64).astype("datetime64[s]"),
        "timedelta64": lambda a: a.astype(np.int64).astype("timedelta64[s]"),
        "structured": lambda a: np.zeros(a.shape, [("value", a.dtype)]),
        "0-d": lambda a: np.array(a.flat[0]),
        "void": lambda a: np.zeros(a.shape, "V4"),
        "bytes": lambda a: a.astype("S"),
    },
)
_add("NumPy", "refused", {"text": lambda a: a.astype(str)})
_add("NumPy", "refused", {"bool": lambda a: a.astype(bool)}, prepare=through(bool))
_add("ml_dtypes", "either", {"bfloat16": lambda a: a.astype(ml_dtypes.bfloat16)}, _real, through(ml_dtypes.bfloat16))
_add("ml_dtypes", "refused", {"float8": lambda a: a.astype(ml_dtypes.float8_e4m3fn)}, _real, through(ml_dtypes.float8_e4m3fn))
_add("ml_dtypes", "refused", {"int4": lambda a: a.astype(ml_dtypes.int4)}, _real, through(ml_dtypes.int4))

# --- Data frames --------------------------------------------------------------------------------------------------------------


def _frame(a: Array) -> Any:
    return pd.Series(a) if a.ndim == 1 else pd.DataFrame(a)


def _nullable(a: Array) -> Any:
    kind = {"f": "Float", "i": "Int", "b": "boolean"}[a.dtype.kind]
    name = kind if kind == "boolean" else f"{kind}{8 * a.dtype.itemsize}"
    return _frame(a).astype(name)


def _with_null(a: Array) -> Any:
    column = _nullable(a)
    if a.ndim == 1:
        column[1] = pd.NA
    else:
        column.iloc[1, 0] = pd.NA
    return column


def _with_text(a: Array) -> Any:
    return _frame(a).assign(name="text") if a.ndim == 2 else pd.Series(a.astype(str))


def _later_index(a: Array) -> Any:
    column = _frame(a)
    column.index = column.index[::-1]
    return column


_add("pandas", "right", {"Series, DataFrame": _frame, "nullable": _nullable, "other index": _later_index}, _flat)
_add(
    "pandas",
    "right",
    {"Arrow type": lambda a: pd.Series(pa.array(a), dtype=pd.ArrowDtype(pa.from_numpy_dtype(a.dtype)))},
    _vector,
)
_add("pandas", "right", {"Index": pd.Index}, _vector)
_add(
    "pandas",
    "right",
    {"Series of arrays": lambda a: pd.Series(list(a)), "Series of lists": lambda a: pd.Series(a.tolist())},
    _matrix,
)
_add("pandas", "either", {"categorical": lambda a: pd.Series(a).astype("category")}, _vector)
_add("pandas", "refused", {"with NA": _with_null, "with text": _with_text}, _flat)
_add("pandas", "refused", {"dates": lambda a: pd.Series(pd.to_datetime(a.astype(np.int64)))}, _vector)
_add("pandas", "refused", {"Series of ragged lists": lambda a: pd.Series([[1.0], *a.tolist()[1:]])}, _matrix)


def _polars(a: Array) -> Any:
    return pl.Series("a", a) if a.ndim == 1 else pl.DataFrame(a)


def _polars_chunks(a: Array) -> Any:
    part = pl.Series("a", a[:1])
    return part.append(pl.Series("a", a[1:]))


_add("Polars", "right", {"Series, DataFrame": _polars}, _flat)
_add("Polars", "right", {"chunks": _polars_chunks}, _vector)
_add("Polars", "right", {"lists": lambda a: pl.Series("a", a.tolist()), "arrays": lambda a: pl.Series("a", a)}, _matrix)
_add(
    "Polars",
    "refused",
    {
        "with null": lambda a: pl.Series("a", [None, *a[1:].tolist()]),
        "text": lambda a: pl.Series("a", a.astype(str)),
        "dates": lambda a: pl.Series("a", a.astype(np.int64)).cast(pl.Date),
        "LazyFrame": lambda a: _polars(a).to_frame().lazy(),
    },
    _vector,
)

# --- Arrow --------------------------------------------------------------------------------------------------------------------


def _arrow(a: Array) -> Any:
    return pa.array(a) if a.ndim == 1 else pa.array(a.tolist(), pa.list_(_arrow_type(a)))


def _arrow_type(a: Array) -> Any:
    return pa.from_numpy_dtype(a.dtype) if a.ndim <= 2 else pa.list_(pa.from_numpy_dtype(a.dtype))


_add("Arrow", "right", {"array, lists": _arrow, "slice": lambda a: pa.concat_arrays([_arrow(a)[:1], _arrow(a)])[1:]})
_add("Arrow", "right", {"chunks": lambda a: pa.chunked_array([_arrow(a[:1]), _arrow(a[1:])])})
_add("Arrow", "right", {"dictionary": lambda a: pa.array(a).dictionary_encode()}, _vector)
_add(
    "Arrow",
    "right",
    {
        "fixed-size lists": lambda a: pa.array(a.tolist(), pa.list_(_arrow_type(a), a.shape[1])),
        "large lists": lambda a: pa.array(a.tolist(), pa.large_list(_arrow_type(a))),
    },
    _rows,
)
_add("Arrow", "either", {"list views": lambda a: pa.array(a.tolist(), pa.list_view(_arrow_type(a)))}, _rows)
_add("Arrow", "either", {"run-end encoded": lambda a: pa.compute.run_end_encode(pa.array(a))}, _vector)
_add("Arrow", "refused", {"with null": lambda a: pa.array([None, *a[1:].tolist()])})
_add(
    "Arrow",
    "refused",
    {"null in lists": lambda a: pa.array([[None, *a[0, 1:].tolist()], *a[1:].tolist()])},
    _rows,
)
_add("Arrow", "refused", {"ragged lists": lambda a: pa.array([a[0, :1].tolist(), *a[1:].tolist()])}, _rows)
_add(
    "Arrow",
    "refused",
    {
        "text": lambda a: pa.array(a.astype(str)),
        "dates": lambda a: pa.array(a.astype(np.int32)).cast(pa.date32()),
        "Table": lambda a: pa.table({"a": a}),
        "record batch": lambda a: pa.record_batch({"a": pa.array(a)}),
        "Scalar": lambda a: pa.array(a)[0],
    },
    _vector,
)

# --- PyTorch, JAX, SciPy ------------------------------------------------------------------------------------------------------


def _tensor(a: Array) -> Any:
    return torch.tensor(a)


def _wide_tensor(a: Array) -> Any:
    return torch.tensor(_strided(a).base)[tuple(slice(None, None, 2) for _ in a.shape)]


def _with_gradient(a: Array) -> Any:
    return _tensor(a).requires_grad_()


def _quiet(make: Callable[[Array], Any]) -> Callable[[Array], Any]:
    def made(a: Array) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return make(a)

    return made


def _numbered(a: Array) -> bool:
    return bool(a.dtype.kind != "b")


_add(
    "PyTorch",
    "right",
    {
        "tensor": _tensor,
        "strided": _wide_tensor,
        "list of tensors": lambda a: list(_tensor(a)),
        "transposed": lambda a: _tensor(np.ascontiguousarray(a.T)).T if a.ndim == 2 else _tensor(a),
    },
)
_add("PyTorch", "right", {"negated": lambda a: torch.complex(_tensor(a), -_tensor(a)).conj().imag}, _real)
_add("PyTorch", "right", {"bfloat16": lambda a: _tensor(a).bfloat16()}, _real, through(ml_dtypes.bfloat16))
_add(
    "PyTorch",
    "right",
    {"expanded": lambda a: _tensor(a[:1]).expand(a.shape)},
    prepare=_repeated,
)
_add(
    "PyTorch",
    "refused",
    {
        "requires grad": _with_gradient,
        "list of grads": lambda a: list(_with_gradient(a)),
        "one grad in a list": lambda a: [*list(_tensor(a))[:-1], _with_gradient(a)[-1]],
        "grad among floats": lambda a: [*a[:-1].tolist(), _with_gradient(a)[-1]],
        "parameter": lambda a: torch.nn.Parameter(_tensor(a)),
        "quantized": _quiet(lambda a: torch.quantize_per_tensor(_tensor(a).float(), 0.1, 0, torch.qint8)),
        "float8": lambda a: _tensor(a).to(torch.float8_e4m3fn),
    },
    _real,
)
_add(
    "PyTorch",
    "refused",
    {
        "meta": lambda a: _tensor(a).to("meta"),
        "sparse": lambda a: _tensor(a).to_sparse(),
        "list of meta": lambda a: [_tensor(part).to("meta") for part in a],
        "0-d": lambda a: _tensor(a).reshape(-1)[0],
        "complex": lambda a: _tensor(a).to(torch.complex64).conj(),
    },
)
_add("PyTorch", "refused", {"sparse rows": _quiet(lambda a: _tensor(a).to_sparse_csr())}, _matrix)
_add("PyTorch", "refused", {"nested": _quiet(lambda a: torch.nested.nested_tensor(list(_tensor(a))))}, _rows)
_add("JAX", "right", {"array": jnp.asarray, "list of arrays": lambda a: list(jnp.asarray(a))}, _numbered, narrow)
_add("JAX", "refused", {"sparse": lambda a: jax_sparse.BCOO.fromdense(jnp.asarray(a))}, _numbered, narrow)


def _sparse(kind: Any) -> Callable[[Array], Any]:
    return lambda a: kind(np.atleast_2d(a).astype(np.float64))


_add(
    "SciPy",
    "refused",
    {
        "csr_array": _sparse(scipy.sparse.csr_array),
        "coo_matrix": _sparse(scipy.sparse.coo_matrix),
        "dia_array": _sparse(scipy.sparse.dia_array),
    },
    _flat,
)
_add("SciPy", "refused", {"list of rows": lambda a: [scipy.sparse.csr_array(np.atleast_2d(row)) for row in a]}, _flat)

# --- Python -------------------------------------------------------------------------------------------------------------------


class _Odd:
    """An object that raises when NumPy asks it for an array."""

    def __array__(self, *arguments: Any, **keywords: Any) -> Any:
        raise RuntimeError("not today")


def _ragged(a: Array) -> Any:
    return [*a[:-1].tolist(), [1.0]] if a.ndim == 1 else [*a[:-1].tolist(), a[-1].tolist()[:1]]


_add("Python", "right", {"list": lambda a: a.tolist(), "tuple": lambda a: tuple(a.tolist())})
_add("Python", "right", {"list of rows": list})
_add("Python", "right", {"list of 0-d arrays": lambda a: [np.array(value) for value in a]}, _vector)
_add("Python", "right", {"deque": lambda a: collections.deque(a.tolist())})
_add("Python", "either", {"memoryview": lambda a: np.ascontiguousarray(a).data}, _numbered)
_add(
    "Python",
    "right",
    {"array.array": lambda a: array.array({"f": "d", "i": "q"}[a.dtype.kind], a.tolist())},
    lambda a: a.ndim == 1 and a.dtype.kind != "b",
)
_add(
    "Python",
    "refused",
    {
        "generator": lambda a: (part for part in a),
        "iterator": iter,
        "map": lambda a: map(np.asarray, a),
        "mapping": lambda a: dict(enumerate(a.tolist())),
        "values of a mapping": lambda a: dict(enumerate(a.tolist())).values(),
        "mapping of names": lambda a: {"a": a},
        "Counter": lambda a: collections.Counter(range(len(a))),
        "set": lambda a: set(range(len(a))),
        "frozenset": lambda a: frozenset(range(len(a))),
        "str": lambda a: "a" * len(a),
        "path": lambda a: pathlib.Path("a.npy"),
        "bytes": lambda a: b"a" * len(a),
        "bytearray": lambda a: bytearray(len(a)),
        "None": lambda a: None,
        "float": lambda a: 0.5,
        "object": lambda a: object(),
        "function": lambda a: len,
        "class": lambda a: np.ndarray,
        "ragged list": _ragged,
        "odd object": lambda a: _Odd(),
        "list with None": lambda a: [None, *a[1:].tolist()],
        "list of mappings": lambda a: [{"a": 1}] * len(a),
        "list of decimals": lambda a: [decimal.Decimal(1)] * len(a),
        "list of paths": lambda a: [pathlib.Path("a")] * len(a),
        "masked rows": lambda a: [np.ma.masked_array(row, True) for row in np.atleast_2d(a)],
    },
)
_add("Python", "refused", {"list of str": lambda a: [str(value) for value in a.tolist()]}, lambda a: a.ndim == 1)

_X = np.random.default_rng(0).random((8, 3)).astype(np.float32)
_OURS = {
    "Graph": coremax.topk_graph(_X, 2),
    "Selection": coremax.infomax(_X, _X[:, 0], 3, k=2),
    "AliasTable": coremax.AliasTable([1.0]),
    "Solution": coremax.solve(_X[:, 0].astype(np.float64), coremax.topk_graph(_X, 2), 3),
}


def _ours(name: str, a: Any) -> Any:
    return _OURS[name]


_add("coremax", "refused", {name: functools.partial(_ours, name) for name in _OURS})

# --- Texts, graphs, sizes, tensors --------------------------------------------------------------------------------------------

_add(
    "texts",
    "right",
    {
        "tuple": tuple,
        "bytes in a list": lambda a: [text.encode() for text in a],
        "NumPy": np.array,
        "NumPy bytes": lambda a: np.array(a, "S"),
        "NumPy objects": lambda a: np.array(a, object),
        "pandas Series": pd.Series,
        "pandas string": lambda a: pd.Series(a, dtype="string"),
        "pandas category": lambda a: pd.Series(a, dtype="category"),
        "Polars Series": pl.Series,
        "Polars category": lambda a: pl.Series(a, dtype=pl.Categorical),
        "Arrow": pa.array,
        "Arrow large": lambda a: pa.array(a, pa.large_string()),
        "Arrow view": lambda a: pa.array(a, pa.string_view()),
        "Arrow dictionary": lambda a: pa.array(a).dictionary_encode(),
        "Arrow chunks": lambda a: pa.chunked_array([a[:1], a[1:]]),
        "Arrow slice": lambda a: pa.array(["none", *a])[1:],
    },
    to=TEXT_KINDS,
)
_add("texts", "either", {"generator": lambda a: (text for text in a), "deque": collections.deque}, to=TEXT_KINDS)
_add(
    "texts",
    "refused",
    {
        "str": lambda a: "a" * len(a),
        "bytes": lambda a: b"a" * len(a),
        "mapping": lambda a: dict.fromkeys(range(len(a)), "a"),
        "set": set,
        "DataFrame": lambda a: pd.DataFrame({"text": a}),
        "Polars DataFrame": lambda a: pl.DataFrame({"text": a}),
        "Arrow Table": lambda a: pa.table({"text": a}),
        "pandas NA": lambda a: pd.Series([None, *a[1:]], dtype="string"),
        "Polars null": lambda a: pl.Series([None, *a[1:]]),
        "Arrow null": lambda a: pa.array([None, *a[1:]]),
        "list with None": lambda a: [None, *a[1:]],
        "list of numbers": lambda a: list(range(len(a))),
        "NumPy numbers": lambda a: np.arange(len(a)),
        "NumPy matrix of texts": lambda a: np.array(a)[:, None],
        "masked": lambda a: np.ma.masked_array(a, True),
        "Arrow numbers": lambda a: pa.array(range(len(a))),
        "tensor": lambda a: torch.arange(len(a)),
        "sparse": lambda a: scipy.sparse.csr_array(np.eye(len(a))),
        "list of lists": lambda a: [[text] for text in a],
        "None": lambda a: None,
        "number": lambda a: 3,
        "class": lambda a: np.ndarray,
        "Selection": lambda a: _OURS["Selection"],
    },
    to=TEXT_KINDS,
)
_add(
    "graphs",
    "right",
    {
        "csr_array": lambda g: _as_scipy(g),
        "csr_matrix": lambda g: scipy.sparse.csr_matrix(_as_scipy(g)),
    },
    to=GRAPH_KINDS,
)
_add(
    "graphs",
    "either",
    {
        "Graph": lambda g: coremax.Graph.from_scipy(_as_scipy(g)),
        "coo_array": lambda g: _as_scipy(g).tocoo(),
        "csc_array": lambda g: _as_scipy(g).tocsc(),
    },
    to=GRAPH_KINDS,
)
_add(
    "graphs",
    "refused",
    {
        "dense array": lambda g: _as_scipy(g).toarray(),
        "tensor": lambda g: torch.tensor(_as_scipy(g).toarray()),
        "sparse tensor": lambda g: torch.tensor(_as_scipy(g).toarray()).to_sparse(),
        "list": lambda g: _as_scipy(g).toarray().tolist(),
        "DataFrame": lambda g: pd.DataFrame(_as_scipy(g).toarray()),
        "neighbours": lambda g: np.zeros((_as_scipy(g).shape[0], 1), np.int64),
        "not square": lambda g: _as_scipy(g)[:, :3],
        "mapping": lambda g: {0: [1]},
        "str": lambda g: "graph.npz",
        "path": lambda g: pathlib.Path("graph.npz"),
        "None": lambda g: None,
        "number": lambda g: 3,
        "generator": lambda g: iter([1]),
        "class": lambda g: coremax.Graph,
        "Selection": lambda g: _OURS["Selection"],
        "Solution": lambda g: _OURS["Solution"],
    },
    to=GRAPH_KINDS,
)
_add(
    "sizes",
    "right",
    {
        "list": lambda n: list(range(n)),
        "array": np.arange,
        "matrix": lambda n: np.zeros((n, 2)),
        "tensor": torch.arange,
        "Series": lambda n: pd.Series(range(n)),
        "DataFrame": lambda n: pd.DataFrame({"a": range(n)}),
        "NumPy int": np.int64,
        "Polars DataFrame": lambda n: pl.DataFrame({"a": range(n)}),
        "Arrow Table": lambda n: pa.table({"a": range(n)}),
    },
    to=SIZE_KINDS,
)
_add(
    "sizes",
    "refused",
    {
        "float": float,
        "str": lambda n: "a" * n,
        "bytes": lambda n: b"a" * n,
        "mapping": lambda n: dict.fromkeys(range(n)),
        "set": lambda n: set(range(n)),
        "generator": lambda n: iter(range(n)),
        "bool": bool,
        "0-d": np.array,
        "None": lambda n: None,
        "path": lambda n: pathlib.Path("a"),
        "sparse": lambda n: scipy.sparse.csr_array(np.eye(n)),
        "class": lambda n: list,
    },
    to=SIZE_KINDS,
)
_add(
    "tensors",
    "right",
    {"requires grad": lambda a: a.clone().requires_grad_(), "strided": lambda a: torch.stack([a, a], 1)[:, 0]},
    to=TENSOR_KINDS,
)
_add(
    "tensors",
    "refused",
    {
        "whole numbers": lambda a: a.long(),
        "complex": lambda a: a.cfloat(),
        "matrix": lambda a: a[:, None],
        "0-d": lambda a: a[0],
        "meta": lambda a: a.to("meta"),
        "sparse": lambda a: a.to_sparse(),
        "NumPy": lambda a: a.numpy(),
        "list": lambda a: a.tolist(),
        "JAX": lambda a: jnp.asarray(a.numpy()),
        "Series": lambda a: pd.Series(a.numpy()),
        "str": lambda a: "losses",
        "None": lambda a: None,
        "generator": lambda a: (value for value in a),
        "list of tensors": list,
        "mapping": lambda a: {"a": a},
    },
    to=TENSOR_KINDS,
)


def _as_scipy(graph: Any) -> Any:
    return graph.to_scipy() if isinstance(graph, coremax.Graph) else graph
