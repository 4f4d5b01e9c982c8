"""Pruning of Hugging Face data sets and of folders of Parquet files, by a column of embeddings and a column of scores.

Rows are read in batches: what is held is the embeddings as one array, the scores and the labels. Rows are numbered through all
shards in the order of their names.
"""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, get_args

import numpy as np

from . import _arrays, _methods
from ._inputs.keys import as_keys, number_texts
from ._inputs.texts import is_text, iterate
from .selection import Selection
from .selection._result import as_scores

try:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    from . import _arrow
    from ._columns import require_no_null
except ImportError as error:
    raise ImportError('coremax.datasets needs PyArrow: pip install "coremax[datasets]"') from error

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["ShardSelection", "prune", "select", "select_parquet"]

Float = Literal["float32", "float16"]
_FLOATS: tuple[Float, ...] = get_args(Float)
_MOST_SLICES = 64  # a selection of more contiguous ranges is kept as an indices mapping
_ROWS_PER_GROUP = 1 << 16

Array = np.ndarray[Any, Any]
PathLike = str | os.PathLike[str]


def select(
    dataset: Any,
    budget: int | float,
    *,
    embedding: str | None = None,
    score: Any = None,
    labels: Any = None,
    ids: str | None = None,
    method: _methods.Method = "infomax",
    options: Mapping[str, Any] | None = None,
    seed: _arrays.Seed = 0,
    dtype: Float = "float32",
    batch_size: int = 10_000,
    scratch: PathLike | None = None,
) -> Selection:
    """Select the rows of a Hugging Face data set that are worth training on.

    Parameters
    ----------
    dataset : datasets.Dataset
        Of one split. Its order, selections and shuffles count as they are.
    budget : int or float
        As of `coremax.infomax`.
    embedding : str, optional
        Column of lists of numbers of one length, for methods that look at embeddings.
    score : str or array [n], optional
        Column of numbers, or scores from elsewhere, for methods that need them.
    labels : str or array [n], optional
        Column of integers (such as a ClassLabel) or of texts, or classes from elsewhere.
    ids : str, optional
        Column of integers or text that must be unique.
    method : {"infomax", "sims", "ccs", "d2", "moderate", "semdedup", "top", "random"}
        A function of `coremax.selection`.
    options : dict, optional
        Further arguments of that function.
    seed : int, SeedSequence or Generator
        Of the method.
    dtype : {"float32", "float16"}
        What floating-point embeddings are kept as (numbers beyond float16 become infinite, and are refused); int8 ones stay
        as they are.
    batch_size : int
        Rows read at a time.
    scratch : path, optional
        Folder for a temporary file that the embeddings are mapped from, where memory can not hold them.

    Returns
    -------
    Selection
        Numbers of the rows kept, ascending; graph, solution and `report` as of the method.

    Raises
    ------
    ValueError, TypeError
        A column that is missing, holds a null (the row is named), lists of different lengths or no numbers; an id that is
        there twice (both rows are named); arguments and values that the method refuses.

    Notes
    -----
    Reads only the columns named. Arrow's batches are viewed, not copied, and written to one array of n d elements.
    """
    source = _HuggingFace(_checked_dataset(dataset), _arrays.as_count(batch_size, "batch_size", 1))
    return _select(source, budget, embedding, score, labels, ids, method, options, seed, dtype, scratch)


class SelectArguments(TypedDict, total=False):
    """The arguments of `select` that `prune` passes on, so that type checkers see into them."""

    embedding: str | None
    score: Any
    labels: Any
    ids: str | None
    method: _methods.Method
    options: Mapping[str, Any] | None
    seed: _arrays.Seed
    dtype: Float
    batch_size: int
    scratch: PathLike | None


def prune(dataset: Any, budget: int | float, **arguments: Unpack[SelectArguments]) -> Any:
    """Keep the rows of a Hugging Face data set that are worth training on.

    Parameters
    ----------
    dataset : datasets.Dataset
        Of one split.
    budget : int or float
        As of `coremax.infomax`.
    **arguments
        Of `select`.

    Returns
    -------
    datasets.Dataset
        The rows kept, in their order. Where they form few contiguous ranges these are slices of the table, without an indices
        mapping; else it is `dataset.select(indices)`. The fingerprint is a function of the data set's and of the rows, so that
        what `map` and `filter` have cached for it is found again.

    Raises
    ------
    ValueError, TypeError
        As `select`.

    Examples
    --------
    >>> import numpy as np
    >>> from datasets import Dataset
    >>> from coremax.datasets import prune
    >>> rows = Dataset.from_dict({"text": list("abcd"), "score": [0.1, 0.9, 0.8, 0.3]})
    >>> prune(rows, 2, score="score", method="top")["text"][:]
    ['b', 'c']
    """
    chosen = select(dataset, budget, **arguments)
    runs = _runs(np.asarray(chosen.indices))
    if len(runs) > _MOST_SLICES:
        return dataset.select(chosen.indices)
    from datasets import concatenate_datasets

    slices = [dataset.select(range(begin, end)) for begin, end in runs]
    return slices[0] if len(slices) == 1 else concatenate_datasets(slices, info=dataset.info, split=dataset.split)


@dataclass(frozen=True, eq=False, repr=False)
class ShardSelection:
    """The rows to keep of a folder of Parquet files.

    Attributes
    ----------
    selection : Selection
        In numbers that go through all shards.
    files : tuple of str
        The shards, in the order of their names.
    offsets : array [shards + 1] of int64
        Number of the first row of each shard, and of all rows.
    """

    selection: Selection
    files: tuple[str, ...]
    offsets: np.ndarray[Any, np.dtype[np.int64]]

    def shards(self) -> Iterator[tuple[str, np.ndarray[Any, np.dtype[np.int64]]]]:
        """Yield each file and the rows of it to keep, ascending, counted from its own first."""
        kept = np.asarray(self.selection.indices)
        bounds = np.searchsorted(kept, self.offsets)
        for number, file in enumerate(self.files):
            yield file, kept[bounds[number] : bounds[number + 1]] - self.offsets[number]

    def write(self, folder: PathLike) -> list[str]:
        """Write the rows kept as new shards, of the names, columns and metadata of the old ones.

        All columns are compressed as the first one was. Folders that the old shards lie in (such as "year=2024") are not made
        again, nor are columns of their names.

        Parameters
        ----------
        folder : path
            Must not exist; it appears when all shards are written, or not at all.

        Returns
        -------
        list of str
            The files. A shard of which nothing is kept gives none.

        Raises
        ------
        ValueError
            The folder exists, or a shard can not be read or is no longer what it was.
        """
        target = Path(_path(folder, "folder"))
        if os.path.lexists(target):  # a link to nowhere, too
            raise ValueError(f"{target} is there already: name a new folder")
        if not target.parent.is_dir():
            raise ValueError(f"the folder {target.parent} does not exist")
        temporary = target.with_name(f"{target.name}.{uuid.uuid4().hex}.tmp")
        temporary.mkdir()
        try:
            written = []
            for number, (file, rows) in enumerate(self.shards()):
                if len(rows):
                    _copy_rows(file, rows, int(np.diff(self.offsets)[number]), temporary / Path(file).name)
                    written.append(str(target / Path(file).name))
            os.rename(temporary, target)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        return written

    def __repr__(self) -> str:
        return f"ShardSelection({len(self.selection)} of {self.selection.n} rows in {len(self.files)} files)"


def select_parquet(
    files: PathLike | Sequence[PathLike],
    budget: int | float,
    *,
    embedding: str | None = None,
    score: Any = None,
    labels: Any = None,
    ids: str | None = None,
    method: _methods.Method = "infomax",
    options: Mapping[str, Any] | None = None,
    seed: _arrays.Seed = 0,
    dtype: Float = "float32",
    batch_size: int = 10_000,
    scratch: PathLike | None = None,
) -> ShardSelection:
    """Select the rows of a folder of Parquet files that are worth training on, without loading the files whole.

    Parameters
    ----------
    files : path, or sequence of paths
        A folder, whose files ending in .parquet are taken in the order of their names; a file; or files in the order given.
    budget, embedding, score, labels, ids, method, options, seed, dtype, batch_size, scratch
        As of `select`.

    Returns
    -------
    ShardSelection
        `shards()` tells the rows to keep of each file, `write(folder)` writes them as new files.

    Raises
    ------
    ValueError, TypeError
        As `select`; also for no file, a file that is truncated or no Parquet, or a column whose type is not that of the first
        file. The message names the file.

    Examples
    --------
    >>> import os, tempfile
    >>> import pyarrow as pa
    >>> import pyarrow.parquet as pq
    >>> from coremax.datasets import select_parquet
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pq.write_table(pa.table({"score": [0.1, 0.9]}), os.path.join(folder, "a.parquet"))
    ...     pq.write_table(pa.table({"score": [0.8, 0.3]}), os.path.join(folder, "b.parquet"))
    ...     chosen = select_parquet(folder, 2, score="score", method="top")
    >>> [rows.tolist() for _, rows in chosen.shards()]
    [[1], [0]]
    """
    source = _Parquet(_listed(files), _arrays.as_count(batch_size, "batch_size", 1))
    chosen = _select(source, budget, embedding, score, labels, ids, method, options, seed, dtype, scratch)
    return ShardSelection(chosen, tuple(source.files), source.offsets)


# --- Where rows come from ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Batch:
    """Columns of some rows: the number of the first, and for messages the same within a file, and the file."""

    start: int
    columns: Mapping[str, Any]
    first: int
    prefix: str


class _HuggingFace:
    """Batches of columns of a Hugging Face data set, through its indices where it has some."""

    def __init__(self, dataset: Any, batch_size: int) -> None:
        self._dataset, self._batch_size = dataset, batch_size
        self.n = len(dataset)

    def require(self, columns: Sequence[str]) -> None:
        for name in columns:
            if name not in self._dataset.column_names:
                raise ValueError(
                    f"the data set has no column {name!r}; it has {', '.join(map(repr, self._dataset.column_names))}"
                )

    def batches(self, columns: Sequence[str]) -> Iterator[_Batch]:
        start = 0
        for table in self._dataset.with_format("arrow", columns=list(columns)).iter(self._batch_size):
            yield _Batch(start, {name: table.column(name) for name in columns}, start, "")
            start += len(table)


class _Parquet:
    """Batches of columns of Parquet files."""

    def __init__(self, files: list[str], batch_size: int) -> None:
        self.files, self._batch_size = files, batch_size
        counts = []
        for file in files:
            with _opened(file) as shard:
                counts.append(shard.metadata.num_rows)
        self.offsets = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64)
        self.n = int(self.offsets[-1])

    def require(self, columns: Sequence[str]) -> None:
        first: dict[str, Any] = {}
        for file in self.files:
            with _opened(file) as shard:
                schema = shard.schema_arrow
            for name in columns:
                if schema.get_field_index(name) < 0:  # -1 also for a name that is there twice
                    raise ValueError(f"{file} has no column {name!r}, or several; it has {', '.join(map(repr, schema.names))}")
                kind = first.setdefault(name, schema.field(name).type)
                if schema.field(name).type != kind:
                    raise ValueError(f"column {name!r} is {schema.field(name).type} in {file}, but {kind} in {self.files[0]}")

    def batches(self, columns: Sequence[str]) -> Iterator[_Batch]:
        for number, file in enumerate(self.files):
            begin, end = self.offsets[number : number + 2].tolist()
            start = begin
            for batch in _batches_of(file, self._batch_size, list(columns)):
                if start + len(batch) <= end:
                    yield _Batch(start, {name: batch.column(name) for name in columns}, start - begin, f"{file}: ")
                start += len(batch)
            if start != end:
                raise ValueError(f"{file} holds {start - begin} rows, but says it has {end - begin}")


def _batches_of(file: str, size: int, columns: list[str] | None = None) -> Iterator[Any]:
    with _opened(file) as shard:
        yield from shard.iter_batches(size, columns=columns)


@contextmanager
def _opened(file: str) -> Iterator[Any]:
    """A Parquet file; whatever is wrong with it is one line that names it."""
    try:
        with pq.ParquetFile(file) as shard:
            yield shard
    except FileNotFoundError:
        raise ValueError(f"{file}: no such file") from None
    except (OSError, pa.ArrowException) as error:
        raise ValueError(f"{file} can not be read as Parquet: {' '.join(str(error).split())}") from None


def _listed(files: Any) -> list[str]:
    if isinstance(files, (str, os.PathLike)):
        path = Path(files)
        found = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
        if not found:
            raise ValueError(f"{path} holds no file ending in .parquet (folders within it are not looked into: pass files)")
        return [str(file) for file in found]
    if isinstance(files, bytes) or not isinstance(files, Iterable):
        raise TypeError(f"files must be a path or a sequence of paths, got {type(files).__name__}")
    names = [_path(file, "files") for file in files]
    if not names:
        raise ValueError("files is empty")
    if len({Path(name).name for name in names}) < len(names):
        raise ValueError("files must have different names, in whatever folder: new shards are called as the old ones")
    return names


def _path(value: Any, name: str) -> str:
    if not isinstance(value, (str, os.PathLike)):
        raise TypeError(f"{name} must be a path, got {type(value).__name__}")
    return str(os.fspath(value))


def _checked_dataset(dataset: Any) -> Any:
    if isinstance(dataset, Mapping):
        raise TypeError(f"dataset has several splits ({', '.join(map(str, dataset))}): pass one of them")
    if not all(hasattr(dataset, name) for name in ("with_format", "select", "column_names", "__len__")):
        kind = type(dataset).__name__
        raise TypeError(f"dataset must be a datasets.Dataset, got {kind}: pass one split, loaded without streaming=True")
    return dataset


# --- From rows to a selection ------------------------------------------------------------------------------------------------


def _select(
    source: _HuggingFace | _Parquet,
    budget: int | float,
    embedding: str | None,
    score: Any,
    labels: Any,
    ids: str | None,
    method: _methods.Method,
    options: Mapping[str, Any] | None,
    seed: _arrays.Seed,
    dtype: Float,
    scratch: PathLike | None,
) -> Selection:
    dtype = _arrays.as_choice(dtype, "dtype", _FLOATS)
    given = {"x": ("embedding", embedding), "score": ("score", score)}
    needed = {what: pair for what, pair in given.items() if _methods.needs(method, what)}
    for argument, value in needed.values():
        if value is None:
            raise ValueError(f"method {method!r} needs {argument}")
    if labels is not None and not _methods.takes(method, "labels"):
        raise ValueError(f"method {method!r} does not look at labels")
    if ids is not None and not isinstance(ids, str):
        raise TypeError(f"ids must be the name of a column, got {type(ids).__name__}")
    source.require([name for name in (embedding, score, labels, ids) if isinstance(name, str)])
    if scratch is not None and not os.path.isdir(_path(scratch, "scratch")):
        raise ValueError(f"scratch must be a folder that is there, got {os.fspath(scratch)!r}")
    if source.n == 0:
        raise ValueError("there are no rows")
    if ids is not None:
        _require_unique(source, ids)
    with tempfile.TemporaryDirectory(prefix="coremax-", dir=scratch) if scratch is not None else _nothing() as folder:
        data: dict[str, Any] = {"n": source.n}
        for what, (argument, value) in needed.items():
            data[what] = _values(source, argument, value, dtype, folder)
        classes = None if labels is None else _classes(source, labels)
        return _methods.choose(method, budget, data, classes, seed, options or {})


@contextmanager
def _nothing() -> Iterator[None]:
    yield None


def _values(source: _HuggingFace | _Parquet, what: str, given: Any, dtype: str, folder: str | None) -> Any:
    """A whole column; arrays of the caller are passed on, once their length is right."""
    if not isinstance(given, str):
        array = _arrays.as_array(given, what)
        if not array.shape:
            raise TypeError(f"{what} must be the name of a column, or an array, got {given!r}")
        _arrays.require_length(len(as_scores(array, what)), what, source.n, "the data set")
        return given
    result: Array | None = None
    done = 0
    for batch in source.batches([given]):
        name = f"{batch.prefix}{given}"
        for part in _chunks(batch.columns[given]):
            first = done - batch.start + batch.first
            rows = _arrow.to_numpy(part, name, first=first)
            if result is None:
                result = _room(source.n, rows, what, dtype, folder, name)
            if rows.shape[1:] != result.shape[1:]:
                raise ValueError(f"{name}[{first}] has {rows.shape[1]} elements, but the first row has {result.shape[1]}")
            with np.errstate(over="ignore"):  # float16: infinite, and then refused by its place
                result[done : done + len(rows)] = rows
            done += len(rows)
    assert result is not None
    return result


def _classes(source: _HuggingFace | _Parquet, given: Any) -> Any:
    """Labels of the caller as they are, once they are right, or a whole column of whole numbers or texts."""
    if not isinstance(given, str):
        if not hasattr(given, "__len__") and not hasattr(given, "__dlpack__"):
            raise TypeError(f"labels must be the name of a column, or an array, got {given!r}")
        as_keys(given, "labels", source.n, "the data set")
        return given
    first = next(iter(source.batches([given]))).columns[given]
    if not is_text(first):
        return _values(source, "labels", given, "float32", None)
    keys = number_texts(
        itertools.chain.from_iterable(
            iterate(part, f"{batch.prefix}{given}", first)
            for batch in source.batches([given])
            for first, part in _with_first(batch, given)
        ),
        given,
    )
    # Each name is held once.
    return pa.DictionaryArray.from_arrays(pa.array(keys.codes), pa.array(keys.present, pa.large_string()))


def _with_first(batch: _Batch, column: str) -> Iterator[tuple[int, Any]]:
    """The parts of a column of a batch, with the numbers of their first rows within the file."""
    first = batch.first
    for part in _chunks(batch.columns[column]):
        yield first, part
        first += len(part)


def _chunks(column: Any) -> list[Any]:
    """The parts of a column that have rows."""
    return [part for part in (column.chunks if isinstance(column, pa.ChunkedArray) else [column]) if len(part)]


def _room(n: int, rows: Array, what: str, dtype: str, folder: str | None, name: str) -> Array:
    """Memory, or a mapped file, for all rows of a column whose first batch this is."""
    lists = what == "embedding"
    if rows.ndim != 1 + lists or (lists and rows.dtype.kind != "f" and rows.dtype != np.int8):
        wanted = "lists of one length, of floating-point numbers or int8" if lists else "numbers"
        raise TypeError(f"{name} must hold {wanted}, got {rows.dtype} of shape {('n', *rows.shape[1:])}")
    kind = np.dtype(dtype) if lists and rows.dtype.kind == "f" else rows.dtype
    shape = (n, *rows.shape[1:])
    if folder is not None and lists and 0 not in shape:
        return np.memmap(os.path.join(folder, "embeddings"), dtype=kind, mode="w+", shape=shape)
    return np.empty(shape, dtype=kind)


def _require_unique(source: _HuggingFace | _Parquet, ids: str) -> None:
    """Raise where an id is there twice."""
    parts: list[Any] = []
    for batch in source.batches([ids]):
        name = f"{batch.prefix}{ids}"
        for first, chunk in _with_first(batch, ids):
            part = _comparable(chunk, name)
            if part.null_count:
                require_no_null(np.asarray(part.is_null()), name, first=first)
            parts.append(part)
    everything = pa.chunked_array(parts)  # there are rows, and so parts
    if pc.count_distinct(everything).as_py() == len(everything):
        return
    codes = np.concatenate([part.indices.to_numpy() for part in everything.dictionary_encode().chunks])
    order = np.argsort(codes, kind="stable")
    again = int(order[1:][codes[order[1:]] == codes[order[:-1]]].min())
    first = int(np.flatnonzero(codes == codes[again])[0])
    raise ValueError(f"{ids}[{again}] is {everything[again].as_py()!r}, as {ids}[{first}] is: ids must be unique")


def _comparable(column: Any, name: str) -> Any:
    """Ids as a type that Arrow can count the distinct values of."""
    if isinstance(column, pa.ExtensionArray):  # such as UUIDs
        return _comparable(column.storage, name)
    kind = column.type
    if pa.types.is_dictionary(kind):  # the categories of data frames, which every file may number anew
        return _comparable(column.dictionary_decode(), name)
    if pa.types.is_run_end_encoded(kind):
        return _comparable(pc.run_end_decode(column), name)
    if str(kind) in ("string_view", "binary_view"):
        return column.cast(pa.large_string() if str(kind) == "string_view" else pa.large_binary())
    if pa.types.is_nested(kind):
        raise TypeError(f"{name} must be a column of integers or text, got {kind}")
    return column


# --- From a selection to rows ------------------------------------------------------------------------------------------------


def _runs(indices: Array) -> list[tuple[int, int]]:
    """Contiguous ranges [begin, end) of ascending numbers."""
    breaks = np.flatnonzero(np.diff(indices) != 1) + 1
    begins, ends = indices[np.r_[0, breaks]], indices[np.r_[breaks - 1, len(indices) - 1]] + 1
    return list(zip(begins.tolist(), ends.tolist(), strict=True))


def _taken(batch: Any, rows: Array) -> list[Any]:
    try:
        return [batch.take(pa.array(rows))]
    except pa.ArrowNotImplementedError:  # of string_view, say; ranges can be had of any type
        return [batch.slice(begin, end - begin) for begin, end in _runs(rows)]


def _copy_rows(file: str, rows: Array, n: int, target: Path) -> None:
    """Write some rows of a Parquet file to another, a few at a time."""
    with _opened(file) as shard:
        metadata, schema = shard.metadata, shard.schema_arrow
    if metadata.num_rows != n:
        raise ValueError(f"{file} has {metadata.num_rows} rows, but had {n} when they were selected")
    codec = metadata.row_group(0).column(0).compression.lower()
    with pq.ParquetWriter(target, schema, compression="none" if codec == "uncompressed" else codec) as writer:
        waiting: list[Any] = []
        start = 0
        for batch in _batches_of(file, _ROWS_PER_GROUP):
            low, high = np.searchsorted(rows, [start, start + len(batch)])
            if low < high:
                waiting.extend(_taken(batch, rows[low:high] - start))
            start += len(batch)
            if waiting and (start == n or sum(map(len, waiting)) >= _ROWS_PER_GROUP):
                writer.write_table(pa.Table.from_batches(waiting, schema))
                waiting = []
