"""Which files of a folder, pattern or list are the shards of a data set, in which order, and what their folders say of them.

The rules are those of PyArrow's data sets, Spark and Hive: what begins with _ or . is hidden, folders are looked into, files
come in the order of their paths, and a folder called "year=2024" is a column.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from .._runtime.files import require_local
from . import texts

SUFFIXES = (".parquet", ".parq", ".pq")

_HIDDEN = ("_", ".")
_MAGIC = b"PAR1"
_NULL = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class Shard:
    """A file of a data set.

    Attributes
    ----------
    path : str
        As it is opened.
    name : str
        Its place within the data set, with "/" between folders: where a copy of the data set would have it.
    keys : mapping of str to str or None
        What its folders say: {"year": "2024"} of year=2024; None stands for a null.
    """

    path: str
    name: str
    keys: Mapping[str, str | None] = field(default_factory=dict)


def shards_of(files: Any) -> list[Shard]:
    """List the files of a data set.

    Parameters
    ----------
    files : path, or sequence of paths
        A folder, whose files ending in .parquet, .parq or .pq (in any case), or without an ending but with the content of
        Parquet, are taken, those of the folders within it too, in the order of their paths; names that begin with _ or . are
        hidden. A pattern such as "data/*.parquet" or "data/**/*.parquet", which does not match hidden names unless it begins a
        name so itself. A file, by whatever name. Or a sequence of these, in the order given.

    Returns
    -------
    list of Shard
        At least one.

    Raises
    ------
    TypeError
        No path.
    ValueError
        Nothing found, a file that is not there (such as what a link points to), a file twice, an address such as s3://.
    """
    if isinstance(files, (str, os.PathLike)):
        given = [as_path(files, "files")]
    elif isinstance(files, (bytes, Mapping)) or not isinstance(files, Iterable):
        raise TypeError(f"files must be a path or a sequence of paths, got {type(files).__name__}")
    else:
        given = [as_path(file, "files") for file in texts.iterate(files, "files")]
    if not given:
        raise ValueError("files is empty: pass a folder, a pattern or files")
    found = [(path, base) for item in given for path, base in _expanded(item)]
    seen: set[str] = set()
    for path, _ in found:
        if (place := os.path.abspath(path)) in seen:
            raise ValueError(f"files must have different names, but {path} is there twice")
        seen.add(place)
    folder = given[0] if len(given) == 1 and os.path.isdir(given[0]) else _common_folder([path for path, _ in found])
    return [Shard(path, _relative(path, folder), _keys(path, base)) for path, base in found]


def as_path(value: Any, name: str, *, to_write: bool = False) -> str:
    """Check the path of a local file or folder, to read or to write.

    Raises
    ------
    TypeError, ValueError
        No path; an empty one; an address such as s3://bucket/data.
    """
    if not isinstance(value, (str, os.PathLike)):
        raise TypeError(f"{name} must be a path, got {type(value).__name__}")
    path = os.fsdecode(value)
    if not path:
        raise ValueError(f"{name} must be a path, got an empty text")
    require_local(path, name, to_write=to_write)
    return path


def is_hidden(name: str) -> bool:
    """Whether a name in a folder is none of the data, as PyArrow, Spark and Hive have it."""
    return name.startswith(_HIDDEN)


def _expanded(path: str) -> list[tuple[str, str]]:
    """Files that a path or pattern stands for, and the folder whose name tells nothing of them ("" for none)."""
    if os.path.isdir(path):
        return [(file, path) for file in _of_folder(path)]
    if not os.path.lexists(path) and glob.has_magic(path):
        return [(file, "") for file in _of_pattern(path)]
    _require_target(path)
    return [(path, "")]


def _of_folder(folder: str) -> list[str]:
    files = _in_order(_walk(folder, frozenset()))
    if not files:
        names = sorted(os.listdir(folder))
        there = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "") if names else "nothing"
        raise ValueError(
            f"{folder} holds no file ending in .parquet, .parq or .pq (names that begin with _ or . are hidden); it has {there}"
        )
    return files


def _of_pattern(pattern: str) -> list[str]:
    parts = pattern.split("/")
    fixed = next(number for number, part in enumerate(parts) if glob.has_magic(part))
    begins = {part[:1] for part in parts[fixed:]}
    ends_anyhow = parts[-1] in ("*", "**")
    files: set[str] = set()
    for match in glob.glob(pattern, recursive=True):
        if any(name[:1] in _HIDDEN and name[:1] not in begins for name in match.split("/")[fixed:]):
            continue
        if os.path.isdir(match):
            files.update(_walk(match.rstrip("/"), frozenset()))
        elif not ends_anyhow or _is_shard(match):
            _require_target(match)
            files.add(match)
    if not files:
        raise ValueError(f"no file matches {pattern} (names that begin with _ or . are hidden)")
    return _in_order(files)


def _walk(folder: str, above: frozenset[str]) -> Iterator[str]:
    """The shards below a folder; links are followed."""
    place = os.path.realpath(folder)
    if place in above:
        raise ValueError(f"{folder} is a link to a folder that it lies in")
    try:
        entries = list(os.scandir(folder))
    except OSError as error:
        raise ValueError(f"{folder}: {error.strerror or error}") from None
    for entry in entries:
        if is_hidden(entry.name):
            continue
        if entry.is_dir():
            yield from _walk(entry.path, above | {place})
        elif _is_shard(entry.path):
            _require_target(entry.path)
            yield entry.path


def _is_shard(path: str) -> bool:
    """Whether a file of a folder is one of the data set; Hive and others write files without an ending."""
    ending = os.path.splitext(path)[1].lower()
    if ending or not os.path.isfile(path):
        return ending in SUFFIXES
    try:
        with open(path, "rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


def _require_target(path: str) -> None:
    if os.path.isfile(path):
        return
    if os.path.exists(path):
        raise ValueError(f"{path} is no regular file")
    if os.path.islink(path):
        raise ValueError(f"{path} is a link to {os.readlink(path)}, which does not exist: a part of the data is missing")
    raise ValueError(f"{path}: no such file")


def _in_order(files: Iterable[str]) -> list[str]:
    """By the bytes of the whole path, as PyArrow sorts: "a-b/x" comes before "a/x"."""
    return sorted(files, key=os.fsencode)


def _common_folder(files: list[str]) -> str:
    """The folder that all files lie in, without key=value at its end, which is to stay with the files."""
    folder = os.path.commonpath([os.path.dirname(os.path.abspath(file)) for file in files])
    while "=" in os.path.basename(folder):
        folder = os.path.dirname(folder)
    return folder


def _relative(path: str, folder: str) -> str:
    return os.path.relpath(os.path.abspath(path), os.path.abspath(folder)).replace(os.sep, "/")


def _keys(path: str, base: str) -> dict[str, str | None]:
    """The columns that folders are: of those below the base, or of all that the path names."""
    folders = os.path.dirname(os.path.relpath(path, base) if base else path).split(os.sep)
    keys: dict[str, str | None] = {}
    for folder in folders:
        key, equals, value = folder.partition("=")
        if equals and key:
            keys[unquote(key)] = None if value == _NULL else unquote(value)
    return keys
