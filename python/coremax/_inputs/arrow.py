"""Columns of Arrow as NumPy arrays: nulls refused with their place, memory shared where Arrow has the numbers in one piece."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .columns import common_length, null_within, require_no_null, unequal

Array = np.ndarray[Any, Any]


def to_numpy(column: Any, name: str, first: int = 0) -> Array:
    """Turn a column into an array.

    Parameters
    ----------
    column : pyarrow.Array or pyarrow.ChunkedArray
        Of numbers, or of lists of numbers that are all of one length (fixed-size or not; lists of lists alike).
    name : str
        For messages.
    first : int
        The row that messages count the column's first as.

    Returns
    -------
    numpy.ndarray
        [n], or [n, d] of lists, of Arrow's element type. Read-only and without a copy where there is one chunk; several chunks
        are copied once, and so are booleans (bits in Arrow) and dictionaries.

    Raises
    ------
    ValueError
        A null, or a list of another length than the first one's; the place is named.
    TypeError
        A type that is no number, such as text.
    """
    kind = column.type
    if isinstance(column, pa.ChunkedArray):
        starts = itertools.accumulate(map(len, column.chunks), initial=first)
        return joined([to_numpy(chunk, name, start) for chunk, start in zip(column.chunks, starts, strict=False)], kind, name)
    numpy_type(kind, name)
    if column.null_count:
        require_no_null(column.is_null().to_numpy(zero_copy_only=False), name, first=first)
    if isinstance(column, pa.ExtensionArray):
        return to_numpy(column.storage, name, first)
    if pa.types.is_dictionary(kind):
        return to_numpy(column.dictionary_decode(), name, first)
    if pa.types.is_run_end_encoded(kind):
        return to_numpy(pc.run_end_decode(column), name, first)
    if _is_list(kind):
        values, width = column.flatten(), _width(column, name, first)
        if values.null_count:
            raise ValueError(null_within(name, first + values.is_null().index(True).as_py() // width))
        numbers = to_numpy(values, name)
        return numbers.reshape(len(column), width, *numbers.shape[1:])
    if pa.types.is_boolean(kind):
        return np.asarray(column.to_numpy(zero_copy_only=False))
    return np.asarray(column.to_numpy(zero_copy_only=True))


def joined(parts: Sequence[Array], kind: Any, name: str) -> Array:
    """One array of the parts of a column: the only one itself, several of them copied once."""
    if not parts:
        return np.empty((0, 0) if _is_list(kind) else 0, dtype=numpy_type(kind, name))
    filled = [part for part in parts if len(part)] or list(parts[:1])
    start = 0
    for part in filled:
        if part.shape[1:] != filled[0].shape[1:]:
            raise ValueError(unequal(name, start, part.shape[1], 0, filled[0].shape[1]))
        start += len(part)
    return filled[0] if len(filled) == 1 else np.concatenate(filled)


def numpy_type(kind: Any, name: str) -> np.dtype[Any]:
    """The element type of what `to_numpy` makes of a column; raises TypeError where that is no number."""
    while True:
        if isinstance(kind, pa.BaseExtensionType):
            kind = kind.storage_type
        elif _is_list(kind) or pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
            kind = kind.value_type
        else:
            break
    if pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        dtype: np.dtype[Any] = np.dtype(kind.to_pandas_dtype())
        return dtype
    raise TypeError(f"{name} must be a column of numbers, or of lists of numbers of one length, got {kind}")


def _is_list(kind: Any) -> bool:
    return str(kind).partition("<")[0] in ("list", "large_list", "fixed_size_list", "list_view", "large_list_view")


def _width(column: Any, name: str, first: int) -> int:
    if pa.types.is_fixed_size_list(column.type):
        return int(column.type.list_size)
    return common_length(column.value_lengths().to_numpy(), name, first)
