"""Keys of samples, such as labels, groups and strata: whole numbers or texts, numbered from 0."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from . import arrays, texts

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TYPES = (*arrays.INDEX_TYPES, "bool")


@dataclass(frozen=True, eq=False)
class Keys:
    """Keys of n samples, numbered. Stands for the column it was made of wherever keys are taken.

    Attributes
    ----------
    codes : array [n] of int64
        The number of each sample's key.
    present : array [m] of int64 or bool, or list [m] of str
        The keys there are, ascending: those of number 0, 1, ...
    """

    codes: NDArray[np.int64]
    present: NDArray[Any] | list[str]

    @property
    def values(self) -> list[Any]:
        """The keys there are as Python objects, ascending."""
        return self.present if isinstance(self.present, list) else list(self.present.tolist())

    @property
    def sizes(self) -> NDArray[np.int64]:
        """How many samples have each key [m]."""
        return np.bincount(self.codes, minlength=len(self.present))

    def name(self, code: int) -> str:
        """A key as messages show it."""
        value = self.present[code]
        return repr(value) if isinstance(value, str) else str(value)

    def of_mapping(self, given: Mapping[Any, Any], name: str, what: str) -> dict[int, Any]:
        """Entries of a mapping from keys, by the numbers of these; `what` a key is called, for messages.

        Raises
        ------
        ValueError
            A key that no sample has.
        """
        number = {value: code for code, value in enumerate(self.values)}
        found = {}
        for key, entry in given.items():
            known = key.decode("utf-8", "replace") if isinstance(key, bytes) else key
            if known not in number:
                shown = ", ".join(map(self.name, range(min(len(number), 10)))) + (", ..." if len(number) > 10 else "")
                raise ValueError(f"{name} has {what} {key!r}, which no element is in; there are {shown}")
            found[number[known]] = entry
        return found

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, rows: Any) -> Keys:
        """The keys of some samples, of which some may now be nobody's."""
        return Keys(self.codes[rows], self.present)


def as_keys(column: Any, name: str, n: int | None = None, of: str = "x") -> Keys:
    """Check keys and number them.

    Parameters
    ----------
    column : array or column [n] of whole numbers, booleans or texts
        Any array library, lists, columns of pandas, Polars and Arrow; texts as `texts.as_texts` takes them.
    name, n, of
        The argument's name, and how many elements the argument `of` has, for messages.

    Raises
    ------
    TypeError
        Neither whole numbers nor texts, or a mixture; a table, a mapping, a set or an iterator in place of a column.
    ValueError
        Another dimension or length, or a null; the place is named.

    Notes
    -----
    Texts are in the order of their code points. O(n log n), without an array of fixed width.
    """
    if isinstance(column, Keys):
        keys = _without_absent(column)
    else:
        texts.require_column(column, name)
        if not hasattr(column, "__len__") and not hasattr(column, "__dlpack__"):
            raise TypeError(f"{name} must be a column of whole numbers or texts, got {type(column).__name__}: pass a list")
        keys = number_texts(texts.iterate(column, name), name) if holds_texts(column, name) else _of_numbers(column, name)
    if n is not None:
        arrays.require_length(len(keys), name, n, of)
    return keys


def number_texts(items: Iterable[Any], name: str) -> Keys:
    """Number texts, of which only the different ones are held."""
    number: dict[str, int] = {}
    codes = np.fromiter(
        (
            number.setdefault(item if type(item) is str else texts.as_text(item, name, row), len(number))
            for row, item in enumerate(items)
        ),
        np.int64,
    )
    present = sorted(number)
    place = np.empty(len(present), np.int64)
    place[[number[text] for text in present]] = np.arange(len(present))
    return Keys(place[codes], present)


def as_mapping(given: Any) -> Mapping[Any, Any] | None:
    """What tells something of each key by name: a mapping, or a pandas Series whose index names them; None for all else.

    Raises
    ------
    ValueError
        A name that comes twice.
    """
    if isinstance(given, Mapping):
        return given
    index = getattr(given, "index", None)
    if type(given).__module__.partition(".")[0] != "pandas" or getattr(given, "ndim", 0) != 1 or callable(index):
        return None
    if index is None or type(index).__name__ == "RangeIndex":
        return None
    if not index.is_unique:
        raise ValueError(f"the index of a Series of limits or quotas names {index[index.duplicated()][0]!r} twice")
    return dict(zip(index.tolist(), given.tolist(), strict=True))


def _without_absent(keys: Keys) -> Keys:
    there = keys.sizes > 0
    if there.all():
        return keys
    present = keys.present
    left = [key for key, kept in zip(present, there, strict=True) if kept] if isinstance(present, list) else present[there]
    return Keys((np.cumsum(there) - 1)[keys.codes], left)


def holds_texts(column: Any, name: str) -> bool:
    """Whether a column is one of texts.

    Raises
    ------
    TypeError
        A mixture of texts, numbers and nothing; the place is named.
    """
    is_text = texts.is_text(column)
    if not _of_objects(column):
        return is_text
    if isinstance(column, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array: drop its masked elements or fill them (.filled())")
    right = (str, bytes) if is_text else (int, np.integer, np.bool_)
    kinds = set(map(type, column))
    if all(issubclass(kind, right) for kind in kinds) or not (is_text or any(map(_is_no_number, kinds))):
        return is_text
    row, item = next((row, item) for row, item in enumerate(column) if not isinstance(item, right))
    if row == 0:
        raise TypeError(f"{name} must hold whole numbers or texts, got {item!r:.80} as {name}[0]")
    raise TypeError(f"{name}[{row}] must be {'a text' if is_text else 'a whole number'} as {name}[0] is, got {item!r:.80}")


def is_bool(column: Any) -> bool:
    """Whether a column holds truth values, by its type or, where that does not tell, by its first item."""
    kind = getattr(column, "dtype", getattr(column, "type", None))
    kind = getattr(getattr(kind, "categories", None), "dtype", kind)  # of what categories stand for
    if kind is not None and str(kind) != "object":
        return str(kind).lower().removeprefix("torch.").partition("[")[0] in ("bool", "boolean")
    return _of_objects(column) and len(column) > 0 and isinstance(next(iter(column)), bool | np.bool_)


def _of_objects(column: Any) -> bool:
    """Whether the items tell what they are, and not the column's type."""
    dtype = getattr(column, "dtype", None)
    if dtype is not None:
        return str(dtype) == "object" and getattr(column, "ndim", 1) == 1
    return isinstance(column, Sequence) and not hasattr(column, "__dlpack__")


def _is_no_number(kind: type) -> bool:
    return issubclass(kind, str | bytes | type(None)) or kind.__name__ in ("NAType", "NaTType")


def _of_numbers(column: Any, name: str) -> Keys:
    array = as_array(column, name)
    try:
        arrays.as_view(array, name, ndim=1, dtypes=_TYPES, convert_to="int64")
    except TypeError as error:
        what = str(error).rpartition(", got ")[2]
        raise TypeError(f"{name} must be int64 or int32, booleans or texts, got {what}") from None
    values = np.asarray(arrays.as_numpy(array))
    found, codes = np.unique(values.astype(np.int64) if values.size == 0 else values, return_inverse=True)
    present = found if found.dtype == bool else found.astype(np.int64, copy=False)
    return Keys(codes.reshape(-1).astype(np.int64, copy=False), present)


def as_array(column: Any, name: str) -> Any:
    """An array of numbers: Python's of objects gathered, booleans and the other byte order as NumPy has them."""
    if _of_objects(column) and all(issubclass(kind, int | np.integer | np.bool_) for kind in set(map(type, column))):
        try:
            return np.array(list(column)) if len(column) else np.empty(0, np.int64)
        except OverflowError:
            raise ValueError(f"{name} holds whole numbers beyond the range of int64") from None
    if type(column).__module__.partition(".")[0] == "pandas" and type(column).__name__ != "Series":
        column = sys.modules["pandas"].Series(column)  # of indexes and of what columns are made of
    if _of_objects(column) and any(issubclass(kind, list | tuple) for kind in set(map(type, column))):
        lengths = {len(row) if isinstance(row, list | tuple) else None for row in column}
        if len(lengths) > 1:  # NumPy would call it ragged
            raise ValueError(f"{name} must be one-dimensional, got lists in it")
    array = arrays.as_array(column, name)
    if isinstance(array, np.ndarray):
        return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))
    if str(getattr(array, "dtype", "")).endswith("bool"):
        try:
            return np.asarray(arrays.as_numpy(array))
        except (TypeError, ValueError, RuntimeError, BufferError):
            pass  # on a device, say: refused as all arrays are
    return array
