"""Rows of Hugging Face data sets and of Parquet shards, read in batches: columns into arrays, keys and numbers of rows.

Shards need not have the same types, as long as they hold the same kind of thing and nothing is lost: lists of any layout, whole
numbers of any width, text in any of its forms. What is wrong with a value is said with its file and its row there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from .._runtime import memory
from .._runtime.files import new_map
from .._runtime.progress import Progress, reporting
from . import arrow, texts
from .columns import require_no_null
from .keys import Keys
from .shards import Shard

Array = np.ndarray[Any, Any]

_LARGEST_EXACT = 2**53  # of the whole numbers that float64 holds
_CELLS = 1000  # rows read at a time to find one of them
_LISTS = ("list", "large_list", "fixed_size_list", "list_view", "large_list_view")
_TEXTS = ("string", "large_string", "string_view", "binary", "large_binary", "binary_view")


# --- Where rows come from ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Batch:
    """Columns of some rows; for messages the number of the first within its file, and the file."""

    columns: Mapping[str, Any]
    first: int
    prefix: str


@dataclass(frozen=True)
class Column:
    """A column that all shards with rows have.

    Attributes
    ----------
    name : str
    label : str
        Name for messages, with the first file that has it.
    types : list of Arrow types
        The different ones, without those of columns that hold nothing but nulls.
    n : int
        Rows of the data set.
    """

    name: str
    label: str
    types: list[Any]
    n: int


class Source(Protocol):
    """Where rows come from."""

    n: int

    def column(self, name: str) -> Column:
        """Look a column up; raises ValueError where it is missing or holds different kinds of things."""

    def batches(self, columns: Sequence[str]) -> Iterator[Batch]:
        """Read columns, some rows at a time."""


class HuggingFace:
    """A Hugging Face data set, through its indices where it has some."""

    def __init__(self, dataset: Any, batch_size: int) -> None:
        self._dataset, self._batch_size = dataset, batch_size
        self.n = len(dataset)

    def column(self, name: str) -> Column:
        """Look a column up, see `Source`."""
        if name not in self._dataset.column_names:
            raise ValueError(f"the data set has no column {name!r}; it has {', '.join(map(repr, self._dataset.column_names))}")
        return Column(name, name, [self._dataset.features.arrow_schema.field(name).type], self.n)

    def class_names(self, name: str) -> list[str]:
        """What the numbers of a column of a ClassLabel stand for; nothing of other columns."""
        return list(getattr(self._dataset.features[name], "names", None) or [])

    def batches(self, columns: Sequence[str]) -> Iterator[Batch]:
        """Read columns, see `Source`."""
        start = 0
        for table in self._dataset.with_format("arrow", columns=list(columns)).iter(self._batch_size):
            yield Batch({name: table.column(name) for name in columns}, start, "")
            start += len(table)


class Parquet:
    """Parquet files. What a file has as a column goes before a folder of that name."""

    def __init__(self, shards: Sequence[Shard], batch_size: int) -> None:
        self.shards, self._batch_size = shards, batch_size
        self._schemas = []
        counts = []
        for shard in shards:
            with opened(shard.path) as file:
                counts.append(file.metadata.num_rows)
                self._schemas.append(file.schema_arrow.remove_metadata())
        self.offsets = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64)
        self.n = int(self.offsets[-1])
        self._folders = _folder_types(shards)

    def column(self, name: str) -> Column:
        """Look a column up, see `Source`."""
        first: tuple[Any, str] | None = None
        found: list[Any] = []
        for number, shard in enumerate(self.shards):
            kind = self._type(number, name)
            if self.offsets[number] == self.offsets[number + 1] or pa.types.is_null(kind):
                continue  # holds nothing that could be of another kind
            if first is None:
                first = kind, shard.path
            elif not _go_together(kind, first[0]):
                raise ValueError(f"column {name!r} is {kind} in {shard.path}, but {first[0]} in {first[1]}")
            if kind not in found:
                found.append(kind)
        label = name if first is None else f"{first[1]}: {name}"
        return Column(name, label, found, self.n)

    def batches(self, columns: Sequence[str]) -> Iterator[Batch]:
        """Read columns, see `Source`."""
        for number, shard in enumerate(self.shards):
            n_rows = int(self.offsets[number + 1] - self.offsets[number])
            if n_rows == 0:
                continue
            inside = [name for name in columns if self._schemas[number].get_field_index(name) >= 0]
            folders = {name: self._of_folder(shard, name) for name in columns if name not in inside}
            start, size = 0, self._batch_size
            read: Iterator[Any] = batches_of(shard.path, size, inside)
            if not inside:
                read = (range(begin, min(begin + size, n_rows)) for begin in range(0, n_rows, size))
            for batch in read:
                if start + len(batch) <= n_rows:
                    parts = {name: batch.column(name) for name in inside}
                    parts |= {name: pa.repeat(value, len(batch)) for name, value in folders.items()}
                    yield Batch(parts, start, f"{shard.path}: ")
                start += len(batch)
            if start != n_rows:
                raise ValueError(f"{shard.path} holds {start} rows, but says it has {n_rows}")

    def _type(self, number: int, name: str) -> Any:
        schema, shard = self._schemas[number], self.shards[number]
        if schema.get_field_index(name) >= 0:  # -1 also for a name that is there twice
            return schema.field(name).type
        if name in schema.names or (name not in self._folders and self.offsets[number] < self.offsets[number + 1]):
            there = ", ".join(map(repr, [*schema.names, *shard.keys]))
            raise ValueError(f"{shard.path} has no column {name!r}, or several; it has {there}")
        return pa.null() if shard.keys.get(name) is None else self._folders[name]

    def _of_folder(self, shard: Shard, name: str) -> Any:
        value = shard.keys.get(name)
        return pa.scalar(value, pa.string()).cast(self._folders.get(name, pa.string()))


def _folder_types(shards: Sequence[Shard]) -> dict[str, Any]:
    """Types of the columns that folders are: int32 where all values are such numbers, else text, as PyArrow has it."""
    kinds: dict[str, Any] = {}
    for shard in shards:
        for key, value in shard.keys.items():
            digits = (value or "0").removeprefix("-")
            whole = value != "" and digits.isascii() and digits.isdecimal() and -(2**31) <= int(value or "0") < 2**31
            kinds[key] = pa.int32() if whole and kinds.get(key, pa.int32()) == pa.int32() else pa.string()
    return kinds


def batches_of(file: str, size: int, columns: list[str] | None = None) -> Iterator[Any]:
    """All columns of a file, or some, in batches."""
    with opened(file) as shard:
        yield from shard.iter_batches(size, columns=columns)


@contextmanager
def opened(file: str) -> Iterator[Any]:
    """A Parquet file; whatever is wrong with it is one line that names it."""
    try:
        with pq.ParquetFile(file) as shard:
            yield shard
    except FileNotFoundError:
        raise ValueError(f"{file}: no such file") from None
    except (OSError, pa.ArrowException) as error:
        raise ValueError(f"{file} can not be read as Parquet: {' '.join(str(error).split())}") from None


# --- What kinds of things columns hold ---------------------------------------------------------------------------------------


def _bare(kind: Any) -> Any:
    """A type without extension, dictionary and runs around it."""
    while True:
        if isinstance(kind, pa.BaseExtensionType):
            kind = kind.storage_type
        elif pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
            kind = kind.value_type
        else:
            return kind


def _is_list(kind: Any) -> bool:
    return str(kind).partition("<")[0] in _LISTS


def _is_number(kind: Any) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _go_together(kind: Any, other: Any) -> bool:
    """Whether columns of two types hold the same kind of thing."""
    kind, other = _bare(kind), _bare(other)
    if _is_list(kind) and _is_list(other):
        sizes = {part.list_size for part in (kind, other) if pa.types.is_fixed_size_list(part)}
        parts = _bare(kind.value_type), _bare(other.value_type)
        if any(map(pa.types.is_null, parts)):
            return len(sizes) < 2
        mixed = pa.types.is_floating(parts[0]) != pa.types.is_floating(parts[1])
        return len(sizes) < 2 and not mixed and _go_together(*parts)
    if _is_number(kind) and _is_number(other):
        return True
    return bool(kind == other or (str(kind) in _TEXTS and str(other) in _TEXTS))


# --- What is made of columns -------------------------------------------------------------------------------------------------


class Reader(Protocol):
    """Takes the parts of a column in their order."""

    def add(self, part: Any, name: str, first: int) -> None:
        """Take a part that has rows; name and the number of its first row are for messages."""

    def result(self) -> Any:
        """What has been made of the whole column."""


def read(source: Source, readers: Mapping[str, tuple[Column, Reader]], progress: Progress, what: str) -> dict[str, Any]:
    """Read columns once through, all of them together.

    Parameters
    ----------
    source : Source
    readers : mapping of str to (Column, Reader)
    progress : bool or callable
    what : str
        Stands at the bar.

    Returns
    -------
    dict
        What each reader made of its column.
    """
    if not readers:
        return {}
    names = list(dict.fromkeys(column.name for column, _ in readers.values()))
    done = 0
    with reporting(progress, what) as report:
        for batch in source.batches(names):
            rows = 0
            for column, reader in readers.values():
                first = batch.first
                for part in _chunks(batch.columns[column.name]):
                    reader.add(part, f"{batch.prefix}{column.name}", first)
                    first += len(part)
                rows = first - batch.first
            done += rows
            if report is not None:
                report(done, source.n)
    return {name: reader.result() for name, (_, reader) in readers.items()}


def _chunks(column: Any) -> list[Any]:
    """The parts of a column that have rows."""
    return [part for part in (column.chunks if isinstance(column, pa.ChunkedArray) else [column]) if len(part)]


class Numbers:
    """A column of numbers [n], of a type that holds those of all shards exactly."""

    def __init__(self, column: Column) -> None:
        for kind in column.types:
            if _is_list(_bare(kind)):
                raise TypeError(f"{column.label} must hold numbers, got {kind}")
        kinds = {arrow.numpy_type(kind, column.label) for kind in column.types}
        common = np.result_type(*kinds) if kinds else np.dtype(np.float64)
        if common.kind == "f" and all(kind.kind in "iu" for kind in kinds):
            common = np.dtype(np.int64)  # of uint64 and others
        self._values, self._done = np.empty(column.n, common), 0

    def add(self, part: Any, name: str, first: int) -> None:
        """Take a part, see `Reader`."""
        rows = _numbers(part, name, first)
        _require_exact(rows, self._values.dtype, name, first)
        self._values[self._done : self._done + len(rows)] = rows
        self._done += len(rows)

    def result(self) -> Array:
        """The numbers [n]."""
        return self._values


def _numbers(part: Any, name: str, first: int) -> Array:
    """A part as an array; raises ValueError where there is a null, in columns of nothing else too."""
    if pa.types.is_null(part.type):
        require_no_null(np.ones(len(part), dtype=bool), name, first=first)
    return arrow.to_numpy(part, name, first=first)


def _require_exact(rows: Array, dtype: np.dtype[Any], name: str, first: int) -> None:
    """Raise where a whole number is too large for the type that holds those of all shards."""
    if rows.dtype.kind not in "iu" or rows.dtype.itemsize < 8 or (dtype.kind != "f" and np.can_cast(rows.dtype, dtype)):
        return
    limit = _LARGEST_EXACT if dtype.kind == "f" else np.iinfo(dtype).max
    bad = np.flatnonzero((rows > limit) | (rows < (-limit if rows.dtype.kind == "i" else 0)))
    if bad.size:
        raise ValueError(f"{name}[{first + bad[0]}] is {rows[bad[0]]}, which {dtype}, as is taken for all shards, can not hold")


class Embeddings:
    """A column of lists of one length as an array [n, d], in memory or mapped from a file in a folder."""

    def __init__(self, column: Column, dtype: str, folder: str | None) -> None:
        self._n, self._dtype, self._folder = column.n, dtype, folder
        self._values: Array | None = None
        self._done = 0
        self._reference = ""
        for kind in column.types:
            bare = _bare(kind)
            inner = _bare(bare.value_type) if _is_list(bare) else None
            if inner is None or not (pa.types.is_floating(inner) or inner in (pa.int8(), pa.null())):
                raise TypeError(f"{column.label} must hold lists of one length, of floating-point numbers or int8, got {kind}")

    def add(self, part: Any, name: str, first: int) -> None:
        """Take a part, see `Reader`."""
        rows = _numbers(part, name, first)
        if self._values is None:
            self._values, self._reference = self._room(rows, name), f"{name}[{first}]"
        if rows.shape[1:] != self._values.shape[1:]:
            width = self._values.shape[1]
            raise ValueError(
                f"{name}[{first}] has {rows.shape[1]} elements, but the first row has {width} ({self._reference}): all must "
                "have as many"
            )
        with np.errstate(over="ignore"):  # float16: infinite, and then refused by its place
            self._values[self._done : self._done + len(rows)] = rows
        self._done += len(rows)

    def result(self) -> Array:
        """The embeddings [n, d]."""
        assert self._values is not None  # there are rows
        return self._values

    def _room(self, rows: Array, name: str) -> Array:
        kind = np.dtype(self._dtype) if rows.dtype.kind == "f" else rows.dtype
        shape = (self._n, *rows.shape[1:])
        if self._folder is not None and 0 not in shape:
            return new_map(os.path.join(self._folder, "embeddings"), kind, shape)
        needed, free = int(np.prod(shape, dtype=object)) * kind.itemsize, memory.available()
        if free is not None and needed > free:
            raise MemoryError(
                f"{name}: {shape[0]} rows of {shape[1]} {kind} take {needed} bytes, but {free} are free: pass scratch= a "
                "folder to map them from, or dtype='float16'"
            )
        return np.empty(shape, dtype=kind)


class KeyColumn:
    """A column of whole numbers, truth values or texts as keys; of texts only the different ones are held."""

    def __init__(self, column: Column) -> None:
        kinds = [_bare(kind) for kind in column.types]
        for kind in kinds:
            if not (str(kind) in _TEXTS or pa.types.is_integer(kind) or pa.types.is_boolean(kind)):
                raise TypeError(f"{column.label} must be a column of whole numbers, truth values or texts, got {kind}")
        self._of_texts = any(str(kind) in _TEXTS for kind in kinds)
        self._codes, self._done = np.empty(column.n, np.int64), 0
        self._numbers: dict[str, int] = {}

    def add(self, part: Any, name: str, first: int) -> None:
        """Take a part, see `Reader`."""
        part = _without_null(part, name, first)
        codes = self._numbered(part, name, first) if self._of_texts else _numbers(part, name, first)
        _require_exact(codes, self._codes.dtype, name, first)
        self._codes[self._done : self._done + len(part)] = codes
        self._done += len(part)

    def _numbered(self, part: Any, name: str, first: int) -> Array:
        if str(part.type).endswith("_view"):
            part = part.cast(pa.large_string() if str(part.type) == "string_view" else pa.large_binary())
        encoded = part if pa.types.is_dictionary(part.type) else part.dictionary_encode()
        used, rows, places = np.unique(encoded.indices.to_numpy(), return_index=True, return_inverse=True)
        found = zip(encoded.dictionary.take(pa.array(used)).to_pylist(), rows.tolist(), strict=True)
        keys = [texts.as_text(key, name, first + row) for key, row in found]
        return np.array([self._numbers.setdefault(key, len(self._numbers)) for key in keys], np.int64)[places.reshape(-1)]

    def result(self) -> Keys | Array:
        """Texts as keys; whole numbers as they are."""
        if not self._of_texts:
            return self._codes
        present = sorted(self._numbers)
        place = np.empty(len(present), np.int64)
        place[[self._numbers[text] for text in present]] = np.arange(len(present))
        return Keys(place[self._codes], present)


class RowsThatAreTrue:
    """A column of truth values as the numbers of the rows that are true."""

    def __init__(self, column: Column) -> None:
        for kind in column.types:
            if not pa.types.is_boolean(_bare(kind)):
                raise TypeError(f"{column.label} must be a column of true and false, got {kind}: or pass the numbers of rows")
        self._parts: list[Array] = []
        self._done = 0

    def add(self, part: Any, name: str, first: int) -> None:
        """Take a part, see `Reader`."""
        self._parts.append(np.flatnonzero(_numbers(part, name, first)) + self._done)
        self._done += len(part)

    def result(self) -> Array:
        """Their numbers, ascending."""
        return np.concatenate([np.empty(0, np.int64), *self._parts])


class UniqueIds:
    """A column of whole numbers, texts or other plain values of which none may be there twice."""

    def __init__(self, column: Column) -> None:
        self._name, self._parts = column.name, list[Any]()
        self._places: list[tuple[str, int]] = []  # file and first row of each part, where there are files
        kinds = [_bare(kind) for kind in column.types]
        for kind in kinds:
            if pa.types.is_nested(kind):
                raise TypeError(f"{column.label} must be a column of integers or text, got {kind}")
        self._type = None if len(set(kinds)) == 1 else pa.int64() if all(map(pa.types.is_integer, kinds)) else None
        if any(str(kind) in _TEXTS for kind in kinds):
            self._type = pa.large_binary() if any("binary" in str(kind) for kind in kinds) else pa.large_string()

    def add(self, part: Any, name: str, first: int) -> None:
        """Take a part, see `Reader`."""
        part = _without_null(part, name, first)
        if pa.types.is_dictionary(part.type):  # the categories of data frames, which every file may number anew
            part = part.dictionary_decode()
        try:
            self._parts.append(part if self._type is None else part.cast(self._type))
            self._places.append((name.removesuffix(self._name), first))
        except pa.ArrowInvalid as error:
            raise ValueError(f"{name}: {error}") from None

    def result(self) -> None:
        """Raise where an id is there twice."""
        everything = pa.chunked_array(self._parts)
        if pc.count_distinct(everything).as_py() == len(everything):
            return
        codes = np.concatenate([part.indices.to_numpy() for part in everything.dictionary_encode().chunks])
        order = np.argsort(codes, kind="stable")
        again = int(order[1:][codes[order[1:]] == codes[order[:-1]]].min())
        first = int(np.flatnonzero(codes == codes[again])[0])
        name, value = self._name, everything[again].as_py()
        places = "".join(self._place(row) for row in (first, again))
        raise ValueError(f"{name}[{again}] is {value!r}, as {name}[{first}] is: ids must be unique{places}")

    def _place(self, row: int) -> str:
        """Where a row is, as the end of a message: nothing where there are no files."""
        starts = np.cumsum([0, *map(len, self._parts)])
        part = int(np.searchsorted(starts, row, "right")) - 1
        file, first = self._places[part]
        return f"; {file}row {first + row - starts[part]}" if file else ""


def _without_null(part: Any, name: str, first: int) -> Any:
    """A part without extension and runs around it; raises where it has a null, be it in its dictionary."""
    while isinstance(part, pa.ExtensionArray):
        part = part.storage
    if pa.types.is_run_end_encoded(part.type):
        part = pc.run_end_decode(part)
    if pa.types.is_dictionary(part.type) and part.dictionary.null_count:
        part = part.dictionary_decode()
    if part.null_count:
        require_no_null(np.asarray(part.is_null()), name, first=first)
    return part


class TextColumn:
    """A column of texts that is read anew, in batches, whenever it is gone through."""

    def __init__(self, source: Source, name: str) -> None:
        self._source, self._column = source, source.column(name)
        for kind in self._column.types:
            if str(_bare(kind)) not in _TEXTS:
                raise TypeError(f"{self._column.label} must be a column of texts, got {kind}")

    def __len__(self) -> int:
        return self._source.n

    def __iter__(self) -> Iterator[str]:
        name = self._column.name
        for batch in self._source.batches([name]):
            first = batch.first
            for part in _chunks(batch.columns[name]):
                plain = _without_null(part, f"{batch.prefix}{name}", first)
                for row, text in enumerate(plain.to_pylist(), first):
                    yield texts.as_text(text, f"{batch.prefix}{name}", row)
                first += len(part)


class Cells(Sequence[Any]):
    """A column of Parquet shards of which single rows are read, for what shows a few of them."""

    def __init__(self, source: Parquet, name: str) -> None:
        self._source, self._name = source, name
        source.column(name)

    def __len__(self) -> int:
        return self._source.n

    def __getitem__(self, row: Any) -> Any:
        """The value of one row, as a Python object; reads its group of rows up to it, a few rows at a time."""
        if not 0 <= row < len(self):
            raise IndexError(row)
        number = int(np.searchsorted(self._source.offsets, row, "right")) - 1
        shard, place = self._source.shards[number], int(row - self._source.offsets[number])
        with opened(shard.path) as file:
            if file.schema_arrow.get_field_index(self._name) < 0:
                return shard.keys.get(self._name)
            group = 0
            while place >= (n_rows := file.metadata.row_group(group).num_rows):
                place, group = place - n_rows, group + 1
            for batch in file.iter_batches(_CELLS, row_groups=[group], columns=[self._name]):
                if place < len(batch):
                    return batch.column(self._name)[place].as_py()
                place -= len(batch)
        raise ValueError(f"{shard.path} holds fewer rows than it says it has")
