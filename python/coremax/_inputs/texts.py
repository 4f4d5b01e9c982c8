"""Columns of texts, of whatever library: one rule for what is one-dimensional, what is a text and what is missing.

Texts are Python strings here, never arrays of fixed width, which would give every text the room of the longest.
"""

from __future__ import annotations

from collections.abc import Iterator, KeysView, Mapping, Set
from typing import Any

import numpy as np

from .columns import require_no_null

_ROWS = 1 << 14  # that are turned into Python objects at a time


def iterate(column: Any, name: str, first: int = 0) -> Iterator[Any]:
    """Give the items of a one-dimensional column one after another, lazily where it is lazy.

    Parameters
    ----------
    column : iterable of str, bytes or paths
        Lists, generators, one-dimensional NumPy arrays of text or objects; columns of pandas, Polars, Arrow (in chunks,
        views, dictionaries, runs) and of Hugging Face data sets.
    name : str
        The argument's name, for messages.
    first : int
        The row that messages count the column's first as.

    Returns
    -------
    iterator
        What lists and generators hold is not looked at here: see `as_text`.

    Raises
    ------
    TypeError
        One text, a mapping, a data frame or a set in place of a column; a column that holds no texts.
    ValueError
        More than one dimension; a null (the place is named).
    """
    if isinstance(column, str | bytes):
        raise TypeError(
            f"{name} must be an iterable of texts, got one {type(column).__name__}: put a text into a list, the name of a file "
            "into pathlib.Path"
        )
    require_column(column, name)
    library, kind = _library(column), type(column).__name__
    if library == "pyarrow" and hasattr(column, "null_count"):
        return _from_arrow(column, name, first)
    if library == "polars" and kind == "Series":
        return _from_polars(column, name, first)
    if library == "pandas" and hasattr(column, "isna"):
        return _from_pandas(column, name, first)
    if isinstance(column, np.ndarray):
        return _from_numpy(column, name)
    if hasattr(column, "__dlpack__") or hasattr(column, "tocsr"):
        raise TypeError(f"{name} must be a column of texts, got a {kind} of numbers")
    try:
        return iter(column)
    except TypeError:
        raise TypeError(f"{name} must be a column of texts, got {kind}") from None


def as_text(item: Any, name: str, number: int) -> str:
    """Check one item of a column: str as it is, bytes as UTF-8.

    Raises
    ------
    TypeError, ValueError
        Anything else, or bytes that are not UTF-8; the place is named.
    """
    if isinstance(item, str):
        return item if type(item) is str else str.__str__(item)  # of NumPy, or a member of an enum of texts: its value
    if isinstance(item, bytes):
        try:
            return item.decode()
        except UnicodeDecodeError as error:
            raise ValueError(f"{name}[{number}] is not UTF-8 at byte {error.start}: {error.reason}") from None
    raise TypeError(f"{name}[{number}] must be a str, got {type(item).__name__}")


def as_texts(column: Any, name: str, n: int | None = None, of: str = "x") -> list[str]:
    """Check a whole column of texts, one for each of n samples of the argument `of`.

    Raises
    ------
    TypeError, ValueError
        As `iterate` and `as_text`; another number of texts than n.
    """
    texts = [as_text(item, name, number) for number, item in enumerate(iterate(column, name))]
    if n is not None and len(texts) != n:
        raise ValueError(f"{name} has {len(texts)} elements, but {of} has {n}")
    return texts


def is_text(column: Any) -> bool:
    """Whether a column holds texts rather than numbers, by its type or, where that does not tell, by its first item."""
    library = _library(column)
    if library == "pyarrow" and hasattr(column, "type"):
        return is_arrow_text(column.type)
    if library == "polars" and hasattr(column, "dtype"):
        return str(column.dtype).partition("(")[0] in ("String", "Utf8", "Categorical", "Enum", "Binary")
    if library == "pandas" and hasattr(column, "dtype") and not isinstance(column.dtype, np.dtype):
        dtype = column.dtype
        dtype = getattr(getattr(dtype, "categories", None), "dtype", dtype)  # of what categories stand for
        arrow = getattr(dtype, "pyarrow_dtype", None)
        return is_arrow_text(arrow) if arrow is not None else str(dtype).startswith(("str", "object"))
    kind = getattr(getattr(column, "dtype", None), "kind", None)
    if (isinstance(column, np.ndarray) or library == "pandas") and kind != "O":
        return kind in ("U", "S", "T")
    if (hasattr(column, "__dlpack__") and kind != "O") or isinstance(column, str | bytes | Mapping | Set):
        return False
    try:
        return len(column) > 0 and isinstance(_first(column), str | bytes)
    except (TypeError, KeyError, IndexError):
        return False


def require_column(column: Any, name: str) -> None:
    """Raise where walking over an argument would give no column: one text, the columns' names of a table, items in no order.

    Raises
    ------
    TypeError
        The argument is named, and so are the columns there are.
    """
    kind = type(column).__name__
    if isinstance(column, str | bytes | bytearray):
        raise TypeError(f"{name} must be an array, got {kind}: put a single item into a list")
    if (names := _column_names(column)) is not None:
        shown = ", ".join(map(repr, names[:10])) + (", ..." if len(names) > 10 else "")
        raise TypeError(f"{name} must be one column, got a {kind} of columns {shown}: pass one of them")
    if hasattr(column, "nlevels") and column.nlevels > 1:
        raise TypeError(f"{name} must be one column, got a {kind} of {column.nlevels} levels")
    if isinstance(column, Set) and not isinstance(column, KeysView):
        raise TypeError(f"{name} must be a column, got a {kind}, whose items have no order: pass a list")


def _library(column: Any) -> str:
    return type(column).__module__.partition(".")[0]


def _first(column: Any) -> Any:
    return column.iloc[0] if hasattr(column, "iloc") else column[0]


def _column_names(table: Any) -> list[str] | None:
    """The names of the columns of a mapping, data frame, table or data set; None for what has none."""
    if _library(table) == "polars" and type(table).__name__ == "LazyFrame":
        return [str(part) for part in table.collect_schema().names()]
    if not isinstance(table, Mapping):  # a mapping of data sets has names of columns as well: for each of them
        for attribute in ("column_names", "columns"):
            names = getattr(table, attribute, None)
            if names is not None and not callable(names):
                return [str(part) for part in names]
    if isinstance(table, Mapping) or (
        callable(getattr(table, "keys", None)) and hasattr(table, "__getitem__") and not hasattr(table, "isna")
    ):
        return [str(key) for key in table.keys()]  # noqa: SIM118  # some have keys and no iterator over them
    fields: Any = getattr(getattr(table, "dtype", None), "names", None)  # of NumPy's records
    return None if fields is None else list(fields)


def _from_numpy(column: Any, name: str) -> Iterator[Any]:
    if isinstance(column, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array: drop its masked elements or fill them (.filled())")
    if column.ndim != 1:
        raise ValueError(f"{name} must be one-dimensional, got shape {column.shape}")
    if column.dtype.kind not in "USTO" and column.size:
        raise TypeError(f"{name} must be a column of texts, got an array of {column.dtype}")
    return _in_parts(column, lambda part: part.tolist())


def _from_pandas(column: Any, name: str, first: int) -> Iterator[Any]:
    require_no_null(np.asarray(column.isna()), name, first=first)
    if not is_text(column) and column.dtype != object and len(column):
        raise TypeError(f"{name} must be a column of texts, got a {type(column).__name__} of {column.dtype}")
    return _in_parts(getattr(column, "array", column), list)


def _from_polars(column: Any, name: str, first: int) -> Iterator[Any]:
    if column.null_count():
        require_no_null(column.is_null().to_numpy(), name, first=first)
    if not is_text(column) and str(column.dtype) not in ("Object", "Null"):
        raise TypeError(f"{name} must be a column of texts, got a Series of {column.dtype}")
    return _in_parts(column, lambda part: part.to_list())


def _from_arrow(column: Any, name: str, first: int) -> Iterator[Any]:
    if not is_arrow_text(column.type) and len(column):
        raise TypeError(f"{name} must be a column of texts, got an Arrow column of {column.type}")
    return _arrow_items(column, name, first)


def _arrow_items(column: Any, name: str, first: int) -> Iterator[Any]:
    done = first
    for start in range(0, len(column), _ROWS):
        part = column[start : start + _ROWS]
        for chunk in part.chunks if hasattr(part, "chunks") else [part]:
            items = _chunk_items(chunk)
            if None in items:  # counts of nulls do not know those of dictionaries and runs
                raise ValueError(f"{name}[{done + items.index(None)}] is null: drop such rows or fill them")
            yield from items
            done += len(items)


def _chunk_items(chunk: Any) -> list[Any]:
    if not hasattr(chunk, "dictionary") or len(chunk.dictionary) > len(chunk):
        items: list[Any] = chunk.to_pylist()
        return items
    values = chunk.dictionary.to_pylist()  # each made once, however often it comes
    return [None if index is None else values[index] for index in chunk.indices.to_pylist()]


def _in_parts(column: Any, as_list: Any) -> Iterator[Any]:
    for start in range(0, len(column), _ROWS):
        yield from as_list(column[start : start + _ROWS])


def is_arrow_text(kind: Any) -> bool:
    """Whether a type of Arrow is one of texts, in dictionaries and runs as well."""
    while (inner := getattr(kind, "storage_type", None) or getattr(kind, "value_type", None)) is not None:
        if "list" in str(kind).partition("<")[0]:
            return False
        kind = inner  # of extensions, dictionaries and runs
    return str(kind) in ("string", "large_string", "string_view", "binary", "large_binary", "binary_view")
