"""Pruning of Hugging Face data sets and of folders of Parquet files, by columns: embeddings, scores, labels, groups, costs.

Rows are read in batches: what is held is the embeddings as one array, and a number for each row of every other column. Rows are
numbered through all shards in the order of their paths.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, get_args

import numpy as np

from ._inputs import arrays
from ._inputs.aliases import either
from ._inputs.keys import as_keys
from ._inputs.shards import SUFFIXES, Shard, as_path, shards_of
from ._runtime.files import naming_file
from ._runtime.progress import Progress, as_progress
from .selection import Selection, registry
from .selection._result import as_scores

try:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from ._inputs import rows as _rows
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
Integers = np.ndarray[Any, np.dtype[np.int64]]
PathLike = str | os.PathLike[str]
_Source = _rows.HuggingFace | _rows.Parquet


def select(
    dataset: Any,
    budget: int | float,
    *,
    embedding: str | None = None,
    importance: Any = None,
    labels: Any = None,
    groups: Any = None,
    group_limits: Any = None,
    costs: Any = None,
    include: Any = None,
    exclude: Any = None,
    ids: str | None = None,
    text: str | None = None,
    target: Any = None,
    method: registry.Method = "infomax",
    options: Mapping[str, Any] | None = None,
    seed: arrays.Seed = 0,
    dtype: Float = "float32",
    batch_size: int = 10_000,
    scratch: PathLike | None = None,
    progress: Progress = False,
    score: Any = None,
) -> Selection:
    """Select the rows of a Hugging Face data set that are worth training on.

    Parameters
    ----------
    dataset : datasets.Dataset
        Of one split. Its order, selections and shuffles count as they are.
    budget : int or float
        As of `coremax.infomax`: a count, a fraction, or with costs the total allowed.
    embedding : str, optional
        Column of lists of numbers of one length, for methods that look at embeddings.
    importance : str or array [n], optional
        Column of numbers, or scores from elsewhere, for methods that need them.
    labels : str or array [n], optional
        Column of whole numbers (such as a ClassLabel), truth values or texts, or classes from elsewhere.
    groups, group_limits, costs, include, exclude : optional
        Of `coremax.infomax`. groups may be a column as of labels, whose values `group_limits` speaks of; costs a column of
        numbers; include and exclude columns of true and false. Classes of a ClassLabel go by their numbers or their names.
    ids : str, optional
        Column of whole numbers or texts that must be unique.
    text : str, optional
        Column of texts, for method "dsir".
    target : optional
        For method "dsir": texts to look like (a list, or the `pathlib.Path` of a text file), counts, or the `pathlib.Path` of
        Parquet files, of which the column `text` is read. For other methods the option of that name.
    method : {"infomax", "sims", "ccs", "d2", "moderate", "semdedup", "dsir", "top", "random"}
        A function of `coremax.selection`.
    options : dict, optional
        Further arguments of that function; "clusters" of "semdedup" may be a column as of labels.
    seed : int, SeedSequence or Generator
        Of the method.
    dtype : {"float32", "float16"}
        What floating-point embeddings are kept as (numbers beyond float16 become infinite, and are refused); int8 ones stay
        as they are.
    batch_size : int
        Rows read at a time.
    scratch : path, optional
        Folder for a temporary file that the embeddings are mapped from, where memory can not hold them.
    progress : bool or callable
        Bars (need tqdm), or a function(done, total): of reading, and of the method where it has one.
    score : optional
        Another name of importance.

    Returns
    -------
    Selection
        Numbers of the rows kept, ascending; graph, solution and `report` as of the method.

    Raises
    ------
    ValueError, TypeError
        A column that is missing, holds a null (the row is named), lists of different lengths or something of another kind; an
        id that is there twice (both rows are named); arguments and values that the method refuses.
    MemoryError
        Embeddings that memory can not hold.

    Notes
    -----
    Reads only the columns named. Arrow's batches are viewed, not copied, and written to one array of n d elements. Columns of
    keys take 8 bytes a row and every different text once.
    """
    source = _rows.HuggingFace(_checked_dataset(dataset), arrays.as_count(batch_size, "batch_size", 1))
    given = _given(
        importance, score, embedding=embedding, labels=labels, groups=groups, group_limits=group_limits, costs=costs,
        include=include, exclude=exclude, text=text, target=target,
    )  # fmt: skip
    return _select(source, budget, given, ids, method, options, seed, dtype, scratch, progress)


class SelectArguments(TypedDict, total=False):
    """The arguments of `select` that `prune` passes on, so that type checkers see into them."""

    embedding: str | None
    importance: Any
    labels: Any
    groups: Any
    group_limits: Any
    costs: Any
    include: Any
    exclude: Any
    ids: str | None
    text: str | None
    target: Any
    method: registry.Method
    options: Mapping[str, Any] | None
    seed: arrays.Seed
    dtype: Float
    batch_size: int
    scratch: PathLike | None
    progress: Progress
    score: Any


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
    ValueError, TypeError, MemoryError
        As `select`.

    Examples
    --------
    >>> import numpy as np
    >>> from datasets import Dataset
    >>> from coremax.datasets import prune
    >>> rows = Dataset.from_dict({"text": list("abcd"), "score": [0.1, 0.9, 0.8, 0.3]})
    >>> prune(rows, 2, importance="score", method="top")["text"][:]
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
    """The rows to keep of Parquet files. Its length is the number of rows kept; iterating gives `shards`.

    Attributes
    ----------
    selection : Selection
        In numbers that go through all shards.
    files : tuple of str
        The shards, in the order of their paths.
    offsets : array [shards + 1] of int64
        Number of the first row of each shard, and of all rows.
    sources : tuple of Shard
        The path of each shard, its name within the data set, and what its folders say.
    """

    selection: Selection
    files: tuple[str, ...]
    offsets: Integers
    sources: tuple[Shard, ...] = field(default=())

    @property
    def indices(self) -> Any:
        """Numbers of the rows kept, through all shards, ascending."""
        return self.selection.indices

    @property
    def n(self) -> int:
        """How many rows there are in all."""
        return self.selection.n

    @property
    def weights(self) -> Any:
        """1 / inclusion probability of each row kept where the method samples, else None."""
        return self.selection.weights

    def mask(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return a boolean mask over all rows that is true for those kept."""
        return self.selection.mask()

    def __len__(self) -> int:
        return len(self.selection)

    def __iter__(self) -> Iterator[tuple[str, Integers]]:
        return self.shards()

    def shards(self) -> Iterator[tuple[str, Integers]]:
        """Yield each file and the rows of it to keep, ascending, counted from its own first."""
        kept = np.asarray(self.selection.indices)
        bounds = np.searchsorted(kept, self.offsets)
        for number, file in enumerate(self.files):
            yield file, kept[bounds[number] : bounds[number + 1]] - self.offsets[number]

    def report(self, path: PathLike | None = None, **arguments: Any) -> str:
        """Write one page that shows what was kept, what was pruned, and why.

        Parameters
        ----------
        path : path, optional
            HTML file to write.
        **arguments
            Of `Selection.report`; embeddings, importance, labels, texts and ids may also be names of columns. Of texts and ids
            only the rows that are shown are read.

        Returns
        -------
        str
            The path as given; the page where there is none.

        Raises
        ------
        ValueError, TypeError, ImportError, OSError
            As `Selection.report`; a column that is missing or of another kind.
        """
        named = {name: column for name, column in arguments.items() if isinstance(column, str) and name != "title"}
        if named:
            source = _rows.Parquet(self.sources, 10_000)
            if not np.array_equal(source.offsets, self.offsets):
                raise ValueError("the files have other numbers of rows than when they were selected from")
            arguments = {**arguments, **{name: _shown_column(source, name, column) for name, column in named.items()}}
        return self.selection.report(path, **arguments)

    def write(self, folder: PathLike) -> list[str]:
        """Write the rows kept as new shards, of the names, folders, columns and metadata of the old ones.

        All columns are compressed as the first one was. A shard is written where the old one was within the data set: below the
        folder selected from, else below what the files have in common, folders such as "year=2024" included. What began with _
        or . and was selected by name loses that, as it would be hidden.

        Parameters
        ----------
        folder : path
            Must not exist; it appears when all shards are written, or not at all. Not within the folder selected from, whose
            data it would become a part of.

        Returns
        -------
        list of str
            The files. A shard of which nothing is kept gives none.

        Raises
        ------
        ValueError
            The folder exists, or a shard can not be read or is no longer what it was; two would get one name.
        OSError
            A file can not be written; the message names it and the cause.
        """
        target = Path(as_path(folder, "folder", to_write=True))
        if os.path.lexists(target):  # a link to nowhere, too
            raise ValueError(f"{target} is there already: name a new folder")
        if not target.parent.is_dir():
            raise ValueError(f"the folder {target.parent} does not exist")
        names = [_visible(shard.name) for shard in self.sources] or [os.path.basename(file) for file in self.files]
        if len(set(names)) < len(names):
            twice = next(name for number, name in enumerate(names) if name in names[:number])
            raise ValueError(f"two shards would be written as {twice}: select from their common folder, or rename one")
        # Hidden: what an interruption leaves of it is no part of a data set.
        temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
        with naming_file(str(target), str(temporary)):
            temporary.mkdir()
        try:
            written = []
            for number, (file, rows) in enumerate(self.shards()):
                if len(rows):
                    place = temporary / names[number]
                    with naming_file(str(target / names[number]), str(place)):
                        place.parent.mkdir(parents=True, exist_ok=True)
                        _copy_rows(file, rows, int(np.diff(self.offsets)[number]), place)
                    written.append(str(target / names[number]))
            os.rename(temporary, target)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        return written

    def __repr__(self) -> str:
        n_files = f"{len(self.files)} file" + ("" if len(self.files) == 1 else "s")
        return f"ShardSelection({self.selection.method}: {len(self)} of {self.n} rows in {n_files})"

    def _repr_html_(self) -> str:
        return self.selection._repr_html_()


def select_parquet(
    files: PathLike | Sequence[PathLike],
    budget: int | float,
    *,
    embedding: str | None = None,
    importance: Any = None,
    labels: Any = None,
    groups: Any = None,
    group_limits: Any = None,
    costs: Any = None,
    include: Any = None,
    exclude: Any = None,
    ids: str | None = None,
    text: str | None = None,
    target: Any = None,
    method: registry.Method = "infomax",
    options: Mapping[str, Any] | None = None,
    seed: arrays.Seed = 0,
    dtype: Float = "float32",
    batch_size: int = 10_000,
    scratch: PathLike | None = None,
    progress: Progress = False,
    score: Any = None,
) -> ShardSelection:
    """Select the rows of Parquet files that are worth training on, without loading the files whole.

    Parameters
    ----------
    files : path, or sequence of paths
        A folder: files ending in .parquet, .parq or .pq (in any case), or with no ending and the content of Parquet, are taken,
        those in folders within it too, in the order of their paths. Names that begin with _ or . are hidden, as for PyArrow,
        Spark and Hive. Or a pattern such as "data/**/*.parquet", a file, or a sequence of these, in the order given. Addresses
        such as s3://bucket/data are refused: copy the files here first.
    budget, embedding, importance, labels, groups, group_limits, costs, include, exclude, ids, text, target
        As of `select`. Folders called "key=value" are columns, too, of int32 where all values are such numbers, else of text;
        a column of a file goes before a folder of its name.
    method, options, seed, dtype, batch_size, scratch, progress, score
        As of `select`.

    Returns
    -------
    ShardSelection
        `shards()` tells the rows to keep of each file, `write(folder)` writes them as new files.

    Raises
    ------
    ValueError, TypeError, MemoryError
        As `select`; also for no file, a link to a file that is not there, a file that is truncated or no Parquet, or a column
        that holds another kind of thing than in the first file (both are named). Types that hold the same are taken as one: any
        layout of lists, any width of numbers as long as none is lost, dictionaries and plain texts. Files without rows count
        as they are.

    Examples
    --------
    >>> import os, tempfile
    >>> import pyarrow as pa
    >>> import pyarrow.parquet as pq
    >>> from coremax.datasets import select_parquet
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pq.write_table(pa.table({"score": [0.1, 0.9]}), os.path.join(folder, "a.parquet"))
    ...     pq.write_table(pa.table({"score": [0.8, 0.3]}), os.path.join(folder, "b.parquet"))
    ...     chosen = select_parquet(folder, 2, importance="score", method="top")
    >>> chosen
    ShardSelection(top: 2 of 4 rows in 2 files)
    >>> [rows.tolist() for _, rows in chosen.shards()]
    [[1], [0]]
    """
    source = _rows.Parquet(shards_of(files), arrays.as_count(batch_size, "batch_size", 1))
    given = _given(
        importance, score, embedding=embedding, labels=labels, groups=groups, group_limits=group_limits, costs=costs,
        include=include, exclude=exclude, text=text, target=target,
    )  # fmt: skip
    chosen = _select(source, budget, given, ids, method, options, seed, dtype, scratch, progress)
    return ShardSelection(chosen, tuple(shard.path for shard in source.shards), source.offsets, tuple(source.shards))


def _checked_dataset(dataset: Any) -> Any:
    if isinstance(dataset, Mapping):
        raise TypeError(f"dataset has several splits ({', '.join(map(str, dataset))}): pass one of them")
    if not all(hasattr(dataset, name) for name in ("with_format", "select", "column_names", "__len__")):
        kind = type(dataset).__name__
        raise TypeError(f"dataset must be a datasets.Dataset, got {kind}: pass one split, loaded without streaming=True")
    return dataset


# --- From rows to a selection ------------------------------------------------------------------------------------------------

# Columns by what becomes of them: keys, or the numbers of the rows that are true; all else is numbers.
_KEYS = ("labels", "groups", "clusters")
_TRUTHS = ("include", "exclude")
# Where a method's argument has another name here.
_ARGUMENTS = {"x": "embedding", "score": "importance", "texts": "text"}
_READ = ("x", "score", "costs", *_KEYS)


def _given(importance: Any, score: Any, **others: Any) -> dict[str, Any]:
    """What was given, with the scores by either name, and the name for messages."""
    scores = either(importance, score, "importance", "score")
    return {**others, "importance": scores, "called": "importance" if score is None else "score"}


def _select(
    source: _Source,
    budget: int | float,
    given: Mapping[str, Any],
    ids: str | None,
    method: registry.Method,
    options: Mapping[str, Any] | None,
    seed: arrays.Seed,
    dtype: Float,
    scratch: PathLike | None,
    progress: Progress,
) -> Selection:
    dtype, progress = arrays.as_choice(dtype, "dtype", _FLOATS), as_progress(progress)
    method = arrays.as_choice(method, "method", registry.METHODS)
    wanted = _wanted(method, given, options)
    if ids is not None and not isinstance(ids, str):
        raise TypeError(f"ids must be the name of a column, got {type(ids).__name__}")
    if scratch is not None and not os.path.isdir(as_path(scratch, "scratch")):
        raise ValueError(f"scratch must be a folder that is there, got {os.fspath(scratch)!r}")
    columns = {name: source.column(value) for name, value in wanted.items() if _is_column(name, value)}
    if ids is not None:
        columns["ids"] = source.column(ids)
    if source.n == 0:
        raise ValueError("there are no rows")
    for name in ("texts", "target", "raw"):
        if name in wanted:
            wanted[name] = _corpus(source, name, wanted[name], given["text"])
    arguments = {name: _checked(source, name, value, given["called"]) for name, value in wanted.items() if name not in columns}
    if "groups" in columns and isinstance(source, _rows.HuggingFace):
        names = source.class_names(columns["groups"].name)
        arguments["group_limits"] = _by_number(arguments.get("group_limits"), names)
    with tempfile.TemporaryDirectory(prefix="coremax-", dir=scratch) if scratch is not None else _nothing() as folder:
        arguments |= _read_columns(source, columns, dtype, folder, progress)
        arguments.pop("ids", None)
        data = {"n": source.n, **{name: arguments.pop(name) for name in registry.NEEDS[method] if name in arguments}}
        if progress is not False and registry.takes(method, "progress"):
            arguments.setdefault("progress", progress)
        return registry.choose(method, budget, data, arguments.pop("labels", None), seed, arguments)


def _read_columns(
    source: _Source, columns: Mapping[str, _rows.Column], dtype: Float, folder: str | None, progress: Progress
) -> dict[str, Any]:
    """Read the columns: the large one of embeddings last, when nothing is wrong with the others."""
    readers = {name: (column, _reader(name, column, dtype, folder)) for name, column in columns.items()}
    last = {name: readers.pop(name) for name in ("x",) if name in readers}
    found = _rows.read(source, readers, progress, "read columns")
    return found | _rows.read(source, last, progress, "read embeddings")


@contextmanager
def _nothing() -> Iterator[None]:
    yield None


def _wanted(method: registry.Method, given: Mapping[str, Any], options: Mapping[str, Any] | None) -> dict[str, Any]:
    """What the method is to get, by the names of its arguments: columns by their names, all else as it is.

    Raises
    ------
    ValueError, TypeError
        Something that the method needs and was not given, does not know, or that was given twice.
    """
    wanted: dict[str, Any] = {}
    for name in ("x", "score", "texts"):
        if registry.needs(method, name):
            wanted[name] = given[_ARGUMENTS[name]]
        elif name == "texts" and given["text"] is not None:
            raise ValueError(f"method {method!r} does not look at texts")
    if options is not None and not isinstance(options, Mapping):
        raise TypeError(f"options must be a mapping of names to values, got {type(options).__name__}")
    for name, value in (options or {}).items():
        if given.get(name) is not None:
            raise TypeError(f"{name} is given twice: as an argument and in options")
        if name in registry.NEEDS[method] and name != "target":
            raise TypeError(f"method {method!r} has no option {name!r}")
        wanted[name] = value
    for name in ("labels", "groups", "group_limits", "costs", "include", "exclude", "target"):
        if given[name] is not None:
            wanted[name] = given[name]
        if wanted.get(name) is not None and not registry.takes(method, name):
            raise ValueError(f"method {method!r} does not look at {name}")
    missing = [_ARGUMENTS.get(name, name) for name in registry.NEEDS[method] if name != "n" and wanted.get(name) is None]
    if missing:
        raise ValueError(registry.needs_more(method, missing))
    read_here = [name for name in wanted if name not in registry.NEEDS[method] and name != "labels"]
    registry.require_options(method, read_here)
    return wanted


def _by_number(limits: Any, names: list[str]) -> Any:
    """Limits of a ClassLabel's classes, by their numbers where they are by their names."""
    if not isinstance(limits, Mapping):
        return limits
    return {names.index(group) if group in names else group: limit for group, limit in limits.items()}


def _is_column(name: str, value: Any) -> bool:
    return name in (*_READ, *_TRUTHS) and isinstance(value, str)


def _reader(name: str, column: _rows.Column, dtype: Float, folder: str | None) -> _rows.Reader:
    if name == "x":
        return _rows.Embeddings(column, dtype, folder)
    if name == "ids":
        return _rows.UniqueIds(column)
    if name in _TRUTHS:
        return _rows.RowsThatAreTrue(column)
    return _rows.KeyColumn(column) if name in _KEYS else _rows.Numbers(column)


def _checked(source: _Source, name: str, value: Any, called: str) -> Any:
    """Arrays of the caller, once their length is right."""
    if name not in _READ or value is None:
        return value
    argument = called if name == "score" else _ARGUMENTS.get(name, name)
    if isinstance(value, (int, float, np.number)) or getattr(value, "shape", None) == ():
        raise TypeError(f"{argument} must be the name of a column, or an array, got {value!r:.80}")
    if name in _KEYS:
        keys = as_keys(value, argument, source.n, "the data set")
        return keys if isinstance(keys.present, list) else value
    array = arrays.as_array(value, argument)
    if name == "score":
        as_scores(array, argument)  # which has another name in the methods
    arrays.require_length(array.shape[0], argument, source.n, "the data set")
    return value


def _corpus(source: _Source, name: str, given: Any, column: Any) -> Any:
    """Texts for "dsir": a column of the data set, or of other Parquet files; all else it takes itself."""
    if name == "texts":
        if not isinstance(column, str):
            raise TypeError(f"text must be the name of a column, got {type(column).__name__}")
        return _rows.TextColumn(source, column)
    if isinstance(given, os.PathLike):
        path = as_path(given, name)
        if os.path.isdir(path) or os.path.splitext(path)[1].lower() in SUFFIXES:
            return _rows.TextColumn(_rows.Parquet(shards_of(path), 10_000), column)
    return given


def _shown_column(source: _rows.Parquet, name: str, column: str) -> Any:
    """A column for a report."""
    if name in ("texts", "ids", "images"):
        return _rows.Cells(source, column)
    found = source.column(column)
    reader: _rows.Reader
    if name == "labels":
        reader = _rows.KeyColumn(found)
    elif name in ("importance", "score"):
        reader = _rows.Numbers(found)
    elif name == "embeddings":
        reader = _rows.Embeddings(found, "float32", None)
    else:
        raise TypeError(f"{name} must not be the name of a column, got {column!r}")
    return _rows.read(source, {name: (found, reader)}, False, "")[name]


# --- From a selection to rows ------------------------------------------------------------------------------------------------


def _visible(name: str) -> str:
    """The name of a shard without what would hide it."""
    return "/".join(part.lstrip("_.") or part for part in name.split("/"))


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
    with _rows.opened(file) as shard:
        metadata, schema = shard.metadata, shard.schema_arrow
    if metadata.num_rows != n:
        raise ValueError(f"{file} has {metadata.num_rows} rows, but had {n} when they were selected")
    codec = metadata.row_group(0).column(0).compression.lower()
    with pq.ParquetWriter(target, schema, compression="none" if codec == "uncompressed" else codec) as writer:
        waiting: list[Any] = []
        start = 0
        for batch in _rows.batches_of(file, _ROWS_PER_GROUP):
            low, high = np.searchsorted(rows, [start, start + len(batch)])
            if low < high:
                waiting.extend(_taken(batch, rows[low:high] - start))
            start += len(batch)
            if waiting and (start == n or sum(map(len, waiting)) >= _ROWS_PER_GROUP):
                writer.write_table(pa.Table.from_batches(waiting, schema))
                waiting = []
