"""Columns of data frames as NumPy arrays: pandas, Polars and Arrow, none of which is imported here."""

from __future__ import annotations

from typing import Any

import numpy as np

LIBRARIES = ("pandas", "polars", "pyarrow")

Array = np.ndarray[Any, Any]


def to_numpy(column: Any, name: str) -> Array:
    """Turn a column, or a data frame of numbers, into an array.

    Parameters
    ----------
    column : pandas.Series or DataFrame, polars.Series or DataFrame, pyarrow.Array or ChunkedArray
        Of numbers; a column may also hold lists or arrays of one length, which become rows.
    name : str
        For messages.

    Returns
    -------
    numpy.ndarray
        [n] or [n, d]; it owns its memory only where a copy could not be avoided (several chunks, nullable types of pandas,
        columns that lie apart, lists that are Python objects).

    Raises
    ------
    ValueError
        A null (the place is named), or lists of different lengths.
    TypeError
        No column, or one that holds no numbers.
    """
    library, kind = type(column).__module__.partition(".")[0], type(column).__name__
    if library == "pyarrow" and kind.endswith("Array"):
        from . import arrow

        return arrow.to_numpy(column, name)
    if library == "pandas" and kind in ("Series", "DataFrame", "Index", "RangeIndex"):
        return _from_pandas(column, name)
    if library == "polars" and kind in ("Series", "DataFrame"):
        return _from_polars(column, name)
    raise TypeError(f"{name} must be an array or a column of numbers, got a {library} {kind}: pass its columns one by one")


def _from_pandas(column: Any, name: str) -> Array:
    for label, part in column.items() if column.ndim == 2 else [(None, column)]:
        if not isinstance(part.dtype, np.dtype) or part.dtype == object:
            require_no_null(np.asarray(part.isna()), name, label)
    if column.ndim == 2:
        for label, part in column.items():
            if getattr(part.dtype, "kind", "O") not in "biuf":
                raise TypeError(f"{name} must be an array of numbers, got DataFrame whose column {label!r} is of {part.dtype}")
    array = np.asarray(column)
    if array.dtype == object and array.ndim == 2:  # so pandas does with nullable types, although no null is left
        parts = [np.asarray(part) for _, part in column.items()]
        kinds = {part.dtype.kind for part in parts}
        return np.column_stack(parts) if kinds <= set("iuf") or kinds == {"b"} else array
    if array.dtype != object or array.ndim != 1 or not all(isinstance(row, (np.ndarray, list, tuple)) for row in array):
        return array
    common_length(np.fromiter(map(len, array), dtype=np.int64, count=len(array)), name)
    return np.stack(list(array)) if len(array) else array


def _from_polars(column: Any, name: str) -> Array:
    if type(column).__name__ == "DataFrame":
        for part in column.get_columns():
            if part.null_count():
                require_no_null(part.is_null().to_numpy(), name, part.name)
        return np.array(column.to_numpy())
    if column.null_count():
        require_no_null(column.is_null().to_numpy(), name)
    if type(column.dtype).__name__ in ("Array", "List"):
        lists = column.arr.to_list() if type(column.dtype).__name__ == "Array" else column
        width = common_length(lists.list.len().to_numpy(), name)
        if width == 0:
            return np.empty((len(column), 0))
        values = column.explode()
        if values.null_count():
            raise ValueError(null_within(name, int(values.is_null().arg_max()) // width))
        if lists is not column:
            return _shared(column)
        return _shared(values).reshape(len(column), width)
    return _shared(column)


def _shared(column: Any) -> Array:
    """A Polars column without a copy, or else as a copy that owns its memory."""
    try:
        return np.asarray(column.to_numpy(allow_copy=False))
    except RuntimeError:
        return np.array(column.to_numpy())


def require_no_null(mask: Array, name: str, label: Any = None, first: int = 0) -> None:
    """Raise where there is a null, naming the first; `label` is the column of a data frame."""
    if mask.any():
        row = first + int(mask.argmax())
        where = f"{row}" if label is None else f"{row}, {label!r}"
        raise ValueError(f"{name}[{where}] is null ({mask.sum()} of {len(mask)} are): drop these rows or fill them")


def null_within(name: str, row: int) -> str:
    """The message for a list that holds a null."""
    return f"{name}[{row}] holds a null: drop such rows or fill them"


def common_length(lengths: Array, name: str, first: int = 0) -> int:
    """The length of all lists of a column; raises ValueError where they differ."""
    different = np.flatnonzero(lengths != lengths[:1])
    if different.size:
        row = int(different[0])
        raise ValueError(unequal(name, first + row, int(lengths[row]), first, int(lengths[0])))
    return int(lengths[0]) if len(lengths) else 0


def unequal(name: str, row: int, length: int, reference: int, expected: int) -> str:
    """The message for a list of another length."""
    return f"{name}[{row}] has {length} elements, but {name}[{reference}] has {expected}: all must have as many"
