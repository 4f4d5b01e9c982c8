"""Arrays out of files: .npy and .safetensors mapped into memory, .npz and .parquet read. Nothing is believed unchecked.

A file that lies (about its shape, its size, its type) or is damaged makes a ValueError of one line that begins with its name,
one that does not fit into memory a MemoryError; pickles are never opened.
"""

from __future__ import annotations

import fnmatch
import glob
import json
import math
import os
import re
import stat
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._inputs import records
from .._inputs.texts import as_text, is_arrow_text, iterate
from .._runtime import memory
from .._runtime.files import require_local
from .._runtime.progress import Progress, reporting
from . import _mapped
from ._errors import MissingExtra, require_extra

Array = np.ndarray[Any, Any]

# The formats, and whether a file of theirs may hold several arrays: FILE:NAME.
FORMATS = {".npy": False, ".npz": True, ".parquet": True, ".safetensors": True}
_SAFETENSORS_TYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U8": "u1", "BOOL": "?",
}  # fmt: skip
_NAMED = re.compile(
    r"(.*?(?:{})):(.*)".format("|".join(re.escape(suffix) for suffix, named in FORMATS.items() if named)), re.I | re.S
)
_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,17}")  # of int64
_PARQUET_ROWS, _PARQUET_VALUES = 1 << 16, 1 << 17  # read at a time, at most
_TEXT_ROWS = 1 << 13  # of texts, which may be long
_TEXT_BYTES = 64  # of a Python string beside its characters, with the reference to it
_LINES_FACTOR = 4  # memory for the lines of a file, in its size: bytes become the text and then the lines of it


@dataclass(frozen=True)
class Source:
    """FILE or FILE:NAME, taken apart.

    Attributes
    ----------
    text : str
        As typed.
    path : str
        The file.
    name : str or None
        The array, tensor, column or columns in it.
    """

    text: str
    path: str
    name: str | None = None

    @property
    def suffix(self) -> str:
        """Ending of the file's name, in lower case."""
        return ending_of(self.path)


def parse_source(text: str) -> Source:
    """Take FILE or FILE:NAME apart; raises ValueError for a name that is no array's."""
    require_one_file(text)
    if ending_of(text) in FORMATS and os.path.exists(text):
        return Source(text, text)
    if named := _NAMED.fullmatch(text):
        return Source(text, named[1], named[2])
    if ending_of(text) not in FORMATS:
        raise ValueError(f"{text}: the name must end in {', '.join(FORMATS)} (or be FILE:NAME)")
    return Source(text, text)


def require_one_file(text: str) -> None:
    """Raise ValueError for an address, a folder or a pattern where a file is wanted, and say what to do instead."""
    require_local(text)
    if os.path.isdir(text):
        raise ValueError(
            f"{text}: is a folder, and a file is wanted: name one in it; the rows of a folder of Parquet files are selected by "
            "coremax.datasets.select_parquet in Python"
        )
    if glob.has_magic(text.partition(":")[0]) and not os.path.exists(text) and not os.path.exists(text.partition(":")[0]):
        raise ValueError(
            f"{text}: is a pattern, and one file is wanted: join the files first, or, of Parquet files, use "
            "coremax.datasets.select_parquet in Python"
        )


def ending_of(path: str) -> str:
    """Ending of a file's name, in lower case: X.NPY is .npy."""
    return os.path.splitext(path)[1].lower()


def require_file(path: str) -> os.stat_result:
    """Raise ValueError unless this is a file with something in it that can be opened; pipes and devices are none."""
    try:
        path.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{os.fsencode(path)!r}: the name of the file is not UTF-8, so no record could repeat it") from None
    require_one_file(path)
    try:
        status = os.stat(path)
        if stat.S_ISREG(status.st_mode):
            with open(path, "rb"):
                pass
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file") from None
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror or error}") from None
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{path}: {'is a folder' if stat.S_ISDIR(status.st_mode) else 'is no regular file'}")
    if status.st_size == 0:
        raise ValueError(f"{path}: the file is empty")
    return status


@contextmanager
def naming(text: str) -> Iterator[None]:
    """Put the name of the input before whatever goes wrong with it."""
    try:
        with warnings.catch_warnings():  # of NumPy on old headers, of Arrow: the outcome is checked
            warnings.simplefilter("ignore")
            yield
    except MissingExtra:
        raise
    except MemoryError as error:
        raise MemoryError(f"{text}: {error or 'does not fit into memory'}") from None
    except Exception as error:  # whoever parses a hostile file may raise anything
        raise ValueError(f"{text}: {str(error) or type(error).__name__}") from error


def read_array(source: Source, progress: Progress = False) -> Array:
    """Read an array of numbers or of text.

    Parameters
    ----------
    source : Source
        A .npy or .safetensors file is mapped, not loaded.
    progress : bool or callable
        Of a Parquet file.

    Returns
    -------
    numpy.ndarray
        Real numbers or booleans in native byte order (bfloat16 is that of ml_dtypes), or text: Python strings in an array of
        objects, each with room of its own.

    Raises
    ------
    ValueError, MemoryError
        The file is named.
    """
    require_file(source.path)
    with naming(source.text):
        if source.suffix == ".npy":
            array = _npy(source.path)
        elif source.suffix == ".npz":
            array = _npz(source.path, source.name)
        elif source.suffix == ".safetensors":
            array = _safetensors(source.path, source.name)
        else:
            array = _parquet(source.path, source.name, progress)
        if array.size == 0:
            raise ValueError(f"holds no elements, its shape is {array.shape}")
        return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _npy(path: str) -> Array:
    with open(path, "rb") as file:  # NumPy would take it for an archive or a pickle
        if file.read(len(np.lib.format.MAGIC_PREFIX)) != np.lib.format.MAGIC_PREFIX:
            raise ValueError("is no .npy file")
    try:
        mapped: Any = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        if "Python objects" not in str(error):
            raise
        raise ValueError("holds Python objects, which are not read: save numbers or texts, as by array.astype(str)") from None
    size = os.path.getsize(path)
    if mapped.offset + mapped.nbytes != size:
        raise ValueError(
            f"its header speaks of {mapped.dtype} {mapped.shape}, {mapped.offset + mapped.nbytes} bytes in all, but the file "
            f"has {size}"
        )
    _require_plain(mapped.dtype)
    array = _mapped.watch(np.asarray(mapped), path)
    return _texts(array) if array.dtype.kind in "US" else array


def _npz(path: str, name: str | None) -> Array:
    with zipfile.ZipFile(path) as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist() if info.filename.endswith(".npy")}
        info = members[_chosen(list(members), name, path, "array")]
        _require_memory(info.file_size, "uncompressed")
        with archive.open(info) as member:
            shape, dtype = _npy_header(member)
            _require_plain(dtype)
            if member.tell() + math.prod(shape) * dtype.itemsize != info.file_size:
                raise ValueError(f"its header speaks of {dtype} {shape}, but {info.file_size} bytes were stored")
        with archive.open(info) as member:
            array: Array = np.lib.format.read_array(member, allow_pickle=False)
            if member.read(1):  # the end of the member is where its checksum is compared
                raise ValueError("has bytes beyond its array")
            return _texts(array) if array.dtype.kind in "US" else array


def _npy_header(file: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(file)
    else:
        raise ValueError(f"is an array of format {version}, which is for records: pass numbers")
    if any(length < 0 for length in shape):
        raise ValueError(f"its header speaks of shape {shape}")
    return shape, dtype


def _safetensors(path: str, name: str | None) -> Array:
    require_extra("files", "safetensors")
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:  # checks the header: every byte in one tensor, sizes that fit
        name = _chosen(list(file.keys()), name, path, "tensor")
    with open(path, "rb") as raw:
        length = int.from_bytes(raw.read(8), "little")
        tensor = json.loads(raw.read(length))[name]
    if tensor["dtype"] == "BF16":
        require_extra("files", "ml_dtypes")
        import ml_dtypes

        dtype: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
    elif tensor["dtype"] in _SAFETENSORS_TYPES:
        dtype = np.dtype(_SAFETENSORS_TYPES[tensor["dtype"]])
    else:
        raise ValueError(f"{name} is {tensor['dtype']}; pass one of BF16, {', '.join(_SAFETENSORS_TYPES)}")
    shape = tuple(tensor["shape"])
    if 0 in shape:
        return np.empty(shape, dtype)
    return _mapped.watch(np.asarray(np.memmap(path, dtype, "r", 8 + length + tensor["data_offsets"][0], shape)), path)


def _parquet(path: str, name: str | None, progress: Progress) -> Array:
    require_extra("files", "pyarrow")
    import pyarrow.parquet as pq

    from .._inputs.arrow import to_numpy

    # A stream: pages of a mapped file, or a column's chunk read at once, would count as memory beside the array.
    with pq.ParquetFile(path, buffer_size=1 << 16, pre_buffer=False) as file, reporting(progress, "read") as report:
        n_rows = file.metadata.num_rows
        columns = _parquet_columns(file.schema_arrow.names, name, path)
        texts = [column for column in columns if is_arrow_text(file.schema_arrow.field(column).type)]
        if texts and len(columns) > 1:
            raise ValueError(f"column {texts[0]} can not stand beside others as one of an embedding's: it holds text")
        if texts:
            return _parquet_texts(path, texts[0], report)
        result: Array | None = None
        done = 0
        for batch in file.iter_batches(_rows_at_a_time(file.metadata, columns), columns=columns, use_threads=len(columns) > 1):
            parts = [to_numpy(batch.column(column), column, done) for column in columns]
            part = parts[0] if len(parts) == 1 else _side_by_side(parts, columns)
            if result is None:
                _require_memory(n_rows * part.nbytes // max(len(part), 1), f"for {n_rows} rows")
                result = np.empty((n_rows, *part.shape[1:]), part.dtype)
            if part.shape[1:] != result.shape[1:]:
                raise ValueError(f"rows from {done} on hold {part.shape[1:]} numbers, those before {result.shape[1:]}")
            result[done : done + len(part)] = part
            done += len(part)
            if report is not None:
                report(done, n_rows)
        if result is None or done != n_rows:
            raise ValueError(f"has {done} rows" + (f", but speaks of {n_rows}" if n_rows else ""))
        return result


def _rows_at_a_time(metadata: Any, columns: list[str]) -> int:
    """So many that what Arrow holds of a batch, several times over, stays small beside any array worth asking about."""
    values = 0
    if metadata.num_row_groups:
        group = metadata.row_group(0)
        chunks = [group.column(number) for number in range(group.num_columns)]
        values = sum(
            chunk.num_values for chunk in chunks if f"{chunk.path_in_schema}.".startswith(tuple(f"{c}." for c in columns))
        )
    return max(1, min(_PARQUET_ROWS, _PARQUET_VALUES * group.num_rows // values)) if values else _PARQUET_ROWS


def _parquet_columns(names: Sequence[str], name: str | None, path: str) -> list[str]:
    """A column, or several: A,B,C or a pattern such as emb_*."""
    if len(set(names)) != len(names):
        raise ValueError("has two columns of one name")
    if name is not None and name not in names:
        found = [match for part in name.split(",") for match in ([part] if part in names else fnmatch.filter(names, part))]
        if found and all(part in names or fnmatch.filter(names, part) for part in name.split(",")):
            return list(dict.fromkeys(found))
    return [_chosen(names, name, path, "column")]


def _side_by_side(parts: list[Array], columns: list[str]) -> Array:
    for part, column in zip(parts, columns, strict=True):
        if part.ndim != 1 or part.dtype.kind not in "iuf":
            raise ValueError(
                f"column {column} can not stand beside others as one of an embedding's: {part.dtype} {part.shape[1:]}"
            )
    return np.stack(parts, axis=1)


def _parquet_texts(path: str, column: str, report: Any) -> Array:
    """A column of text. Its values come as a dictionary a batch, so that one that is often there is held once in each."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, read_dictionary=[column]) as file:
        n_rows = file.metadata.num_rows
        place = next(leaf for leaf in range(len(file.schema)) if file.schema.column(leaf).path == column)
        groups = map(file.metadata.row_group, range(file.metadata.num_row_groups))
        needed = sum(group.column(place).total_uncompressed_size for group in groups) + n_rows * _TEXT_BYTES
        _require_memory(needed, f"for the {n_rows} texts of {column}")
        result = np.empty(n_rows, object)
        done = 0
        for batch in file.iter_batches(_TEXT_ROWS, columns=[column]):
            rows = [as_text(item, column, done + row) for row, item in enumerate(iterate(batch.column(0), column, done))]
            result[done : done + len(rows)] = rows
            done += len(rows)
            if report is not None:
                report(done, n_rows)
    if done != n_rows:
        raise ValueError(f"has {done} rows, but speaks of {n_rows}")
    return result


def _texts(array: Array) -> Array:
    """Texts of fixed width as Python strings."""
    _require_memory(array.size * _TEXT_BYTES, f"for {array.size} texts")
    found = np.empty(array.size, object)
    found[:] = [as_text(item, "text", row) for row, item in enumerate(iterate(array.reshape(-1), "text"))]
    return found.reshape(array.shape)


def _chosen(names: Sequence[str], name: str | None, path: str, what: str) -> str:
    if name is None and len(names) == 1:
        return names[0]
    if name not in names:
        shown = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "") if names else "none"
        raise ValueError(f"name one of its {what}s ({shown}) as {os.path.basename(path)}:NAME")
    assert name is not None
    return name


def _require_plain(dtype: np.dtype[Any]) -> None:
    if dtype.kind not in "biufUS" or dtype.shape:
        hint = ": keep bfloat16 in a .safetensors file" if dtype.kind == "V" and dtype.itemsize == 2 else ""
        raise ValueError(f"holds {dtype}, no real numbers{hint}")


def _require_memory(needed: int, what: str) -> None:
    free = memory.available()
    if free is not None and needed > free:
        raise MemoryError(f"takes {needed} bytes {what}, but {free} are free")


def read_titles(text: str) -> Array:
    """Read what samples are called: whole numbers, or text as objects, from an array file, or texts as of documents."""
    if is_lines(text):
        path = records.source_of(text).path
        require_file(path)
        with naming(text):
            _require_memory(_LINES_FACTOR * os.path.getsize(path), "as lines of text")
        found = records.read_texts(text)
        ids = np.empty(len(found), dtype=object)
        ids[:] = found
    else:
        ids = read_array(parse_source(text))
    if ids.ndim != 1 or ids.dtype.kind not in "iuO":
        kind = "text" if ids.dtype.kind == "O" else ids.dtype
        raise ValueError(f"{text}: must hold whole numbers or text, one for each sample, got {kind} {ids.shape}")
    return ids


def read_keys(text: str) -> Array:
    """Read keys of samples as texts of lines or JSON Lines; where all are whole numbers as Python writes them, as numbers."""
    keys = read_titles(text)
    if all(_WHOLE.fullmatch(key) for key in keys.tolist()):
        return keys.astype(np.int64)
    return keys


def read_ids(text: str) -> Array:
    """Read titles of which none may come twice."""
    ids = read_titles(text)
    if ids.dtype == object:
        first_row: dict[str, int] = {}
        for row, title in enumerate(ids.tolist()):
            if first_row.setdefault(title, row) != row:
                raise ValueError(f"{text}: the id {title!r} comes twice, in rows {first_row[title]} and {row}")
        return ids
    order = np.argsort(ids, kind="stable")
    again = np.flatnonzero(ids[order[1:]] == ids[order[:-1]])
    if again.size:
        first, second = order[again[0]], order[again[0] + 1]
        raise ValueError(f"{text}: the id {ids[first].item()!r} comes twice, in rows {first} and {second}")
    return ids


def is_lines(text: str) -> bool:
    """Whether a file holds a text a line, or an object a line."""
    return records.is_text_file(text) and records.source_of(text).kind != "parquet"


def read_names(text: str) -> tuple[Any, bool]:
    """Read what some samples are called, and whether these are their numbers for certain.

    That is so of the column "index" of a Parquet file as the command line writes it, which is read where none is named.
    """
    if is_lines(text):
        return read_titles(text), False
    source = parse_source(text)
    if source.suffix == ".parquet" and source.name is None:
        require_extra("files", "pyarrow")
        import pyarrow.parquet as pq

        require_file(source.path)
        with naming(text), pq.ParquetFile(source.path) as file:
            if "index" in file.schema_arrow.names:
                source = Source(text, source.path, "index")
    found = read_array(source)
    if found.ndim == 2 and found.shape[1] == 1:
        found = found[:, 0]
    if found.ndim != 1 or found.dtype.kind not in "iuO":
        hint = ": pass numbers, np.flatnonzero of the mask" if found.dtype.kind == "b" else ""
        raise ValueError(f"{text}: must hold numbers of samples or ids, one a row, got {found.dtype} {found.shape}{hint}")
    return found, source.name == "index"
