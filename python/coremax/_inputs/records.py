"""Texts out of files: one rule of what the documents of a file are, for everything that reads lines, objects or titles.

The rule
--------
By the name (upper and lower case alike; the endings of compression are looked through):

* .jsonl, .ndjson, .jl, .jsonlines, .json: JSON, an object a line (JSON Lines), or all of the file one array of objects. The
  document is the field "text", or F in FILE:F. Lines of white space are no documents. A missing field, null, a number, a
  second field of the same name, two objects on a line, an object over several lines: refused, with the line.
- .parquet: the column "text", or C in FILE:C, of texts without nulls.
- anything else: plain text, a document a line; an empty line is an empty document. Tables (.csv), archives and arrays are
  refused by name and by their first bytes.

By the content, whatever the name: gzip, bzip2, xz and Zstandard are unpacked. Text is UTF-8; a byte order mark at the front is
dropped; UTF-16 and UTF-32 are refused. A line ends in a line feed, a carriage return or both, as in Python's text files, and
in nothing else: form feeds, U+0085, U+2028 and NUL belong to the text. The last line needs no end.

These are the documents that pandas (`read_json(lines=True)`), PyArrow (`json.read_json`) and Hugging Face `datasets` ("json",
"text") find, in the same number and order, wherever they agree (tests/test_records.py). Where they do not, this reader follows
those that find more in a file (carriage returns and marks at the front, which pandas refuses in JSON), and refuses what one
of them reads in another sense or as null.
"""

from __future__ import annotations

import io
import os
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from .._runtime import memory
from .._runtime.files import require_local
from . import texts

JSON_ENDINGS = (".jsonl", ".ndjson", ".jl", ".jsonlines", ".json")
COMPRESSED_ENDINGS = (".gz", ".bz2", ".xz", ".zst")
TEXT_ENDINGS = (".txt", *JSON_ENDINGS, ".parquet")  # what the command line takes for texts

_FIELD = "text"
_NO_TEXTS = {
    ".csv .tsv": "is a table: read it, for example with pandas.read_csv, and pass its column of texts",
    ".zip .tar .tgz .7z .rar .lz4 .lzma .br .z .sz .snappy": "is packed in a way that is not read here: unpack it "
    f"({', '.join(COMPRESSED_ENDINGS)} are read as they are)",
    ".npy .npz .safetensors .arrow .feather .orc .h5 .hdf5 .pkl .pt": "holds no lines of text: pass a file of lines, "
    "JSON Lines or .parquet",
}
# First bytes of what is no text, none of which a text can begin with by chance.
_MAGIC = {
    b"\x93NUMPY": "a NumPy file",
    b"PK\x03\x04": "a zip archive",
    b"PK\x05\x06": "a zip archive",
    b"ARROW1\0\0": "an Arrow file",
    b"\x89HDF\r\n": "an HDF5 file",
    b"SQLite format 3\0": "a database",
    b"\x7fELF": "a program",
    b"\x80\x04\x95": "a pickle",
}
_WIDE = {b"\xff\xfe\0\0": "UTF-32", b"\0\0\xfe\xff": "UTF-32", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
_MARK = b"\xef\xbb\xbf"
_SPACE = b" \t\r\n"  # of JSON
_BUFFER = 1 << 20
_ROWS = 1 << 12  # of a Parquet file that are turned into Python objects at a time


@dataclass(frozen=True)
class Source:
    """FILE or FILE:FIELD, taken apart.

    Attributes
    ----------
    path : str
        The file.
    kind : {"lines", "json", "parquet"}
    field : str
        Field or column of the documents.
    """

    path: str
    kind: str
    field: str = _FIELD


# FILE:FIELD; not compiled on import, which would take as long as that of a module.
_NAMED = r"(.+?(?:(?:{})(?:{})?|\.parquet)):(.+)".format(
    "|".join(map(re.escape, JSON_ENDINGS)), "|".join(map(re.escape, COMPRESSED_ENDINGS))
)


def source_of(name: str | os.PathLike[str]) -> Source:
    """Take FILE or FILE:FIELD apart; a file that is there under the whole name is meant first.

    Raises
    ------
    ValueError
        A file whose name says that it holds no texts.
    """
    path, field = _taken_apart(name)
    ending = ending_of(path)
    for endings, why in _NO_TEXTS.items():
        if ending in endings.split():
            raise ValueError(f"{path!r} {why}")
    return Source(path, "json" if ending in JSON_ENDINGS else "parquet" if ending == ".parquet" else "lines", field)


def is_text_file(name: str | os.PathLike[str]) -> bool:
    """Whether FILE or FILE:FIELD has an ending of texts, which the command line asks for."""
    return ending_of(_taken_apart(name)[0]) in TEXT_ENDINGS


def is_there(text: str) -> bool:
    """Whether a text is FILE or FILE:FIELD of a file with an ending of texts that exists."""
    return is_text_file(text) and os.path.isfile(_taken_apart(text)[0])


def _taken_apart(name: str | os.PathLike[str]) -> tuple[str, str]:
    path = os.fsdecode(name)
    named = None if os.path.exists(path) else re.fullmatch(_NAMED, path, re.IGNORECASE | re.DOTALL)
    return (path, _FIELD) if named is None else (named[1], named[2])


def ending_of(path: str) -> str:
    """Ending of a file's name in lower case, without that of a compression."""
    stem, ending = os.path.splitext(path.lower())
    return os.path.splitext(stem)[1] if ending in COMPRESSED_ENDINGS else ending


class Documents:
    """The documents of a file, in order; iterated once.

    Parameters
    ----------
    name : path
        FILE or FILE:FIELD.

    Yields
    ------
    place : str
        File and line, element or row, for messages.
    text : str or bytes
        Bytes are those of a line and not yet checked to be UTF-8: see `as_str`.

    Raises
    ------
    OSError, ValueError
        The file, and the place where there is one, are named.
    ImportError
        A Parquet or Zstandard file without a library that reads it; it says what to install.
    """

    def __init__(self, name: str | os.PathLike[str]) -> None:
        self.source = source_of(name)
        self._share = 0.0
        self._packed: io.BufferedReader | None = None

    @property
    def share(self) -> float:
        """About how much of the file has been read, from 0 to 1: of what is stored, compressed as it may be."""
        if self._packed is not None:
            self._share = self._packed.tell() / max(os.fstat(self._packed.fileno()).st_size, 1)
        return self._share

    def __iter__(self) -> Iterator[tuple[str, str | bytes]]:
        path = self.source.path
        with open_file(path) as packed:
            if self.source.kind == "parquet":
                yield from self._rows()
                return
            self._packed = packed
            try:
                yield from self._texts(_text_stream(packed, path))
                self._share, self._packed = 1.0, None
            finally:
                self._share, self._packed = self.share, None

    def _texts(self, stream: io.BufferedReader) -> Iterator[tuple[str, str | bytes]]:
        path, field = self.source.path, self.source.field
        if self.source.kind == "lines":
            yield from _lines(stream, path)
        elif stream.peek(1).lstrip(_SPACE)[:1] == b"[":
            yield from _elements(stream, path, field)
        else:
            yield from _objects(_lines(stream, path), field)

    def _rows(self) -> Iterator[tuple[str, str]]:
        path, field = self.source.path, self.source.field
        try:
            import pyarrow as pa
            import pyarrow.parquet as pq
        except ImportError:
            raise ImportError(f"{path!r} needs PyArrow: pip install 'coremax[files]'") from None
        try:
            self._share = 1.0  # where there are no rows
            with pq.ParquetFile(path) as table:
                names, done = table.schema_arrow.names, 0
                if names.count(field) != 1:
                    shown = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
                    raise ValueError(f"{path!r} has no column {field!r}: name one of its columns ({shown}) as FILE:COLUMN")
                for batch in table.iter_batches(_ROWS, columns=[field]):
                    column = batch.column(0)
                    if column.null_count:
                        row = done + column.is_null().to_pylist().index(True)
                        raise ValueError(f"{path!r}, row {row}: {field!r} is null")
                    for number, text in enumerate(texts.iterate(column, f"{path!r}: the column {field!r}"), done):
                        self._share = (number + 1) / table.metadata.num_rows
                        yield f"{path!r}, row {number}:", text
                    done += len(batch)
        except (pa.ArrowException, OSError) as error:  # neither names the file
            raise ValueError(f"{path!r} can not be read as Parquet: {error}") from None


def read_texts(name: str | os.PathLike[str]) -> list[str]:
    """All documents of a file; see `Documents`."""
    return [as_str(text, place) for place, text in Documents(name)]


def as_str(text: str | bytes, place: str) -> str:
    """Decode a line, which `place` names; raises ValueError where it is not UTF-8."""
    try:
        return text if isinstance(text, str) else text.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"{place} is not UTF-8 at byte {error.start}: {error.reason}") from None


def decode_file(content: bytes, path: str) -> str:
    """Decode all of a file, such as a configuration, by the rule above; the lines keep their ends."""
    _require_utf8(content[:_BUFFER], path)
    try:
        return content.removeprefix(_MARK).decode()
    except UnicodeDecodeError as error:
        line = len(content[: error.start].splitlines()) or 1
        raise ValueError(f"{path}: line {line} is not UTF-8: {error.reason}") from None


def open_file(path: str) -> io.BufferedReader:
    """Open a file; OSError says what to do about a folder, a pattern and a missing file."""
    try:
        return io.BufferedReader(open(path, "rb", buffering=0), _BUFFER)
    except IsADirectoryError:
        raise IsADirectoryError(f"{path!r} is a folder: pass its files, such as sorted(Path(...).glob('*.jsonl'))") from None
    except FileNotFoundError:
        require_local(path)
        hint = "; a pattern stands for no files here: pass them one by one" if re.search(r"[*?\[]", path) else ""
        raise FileNotFoundError(f"{path!r}: no such file{hint}") from None


def _text_stream(packed: io.BufferedReader, path: str) -> io.BufferedReader:
    """The bytes of UTF-8 text in a file, unpacked, from behind its byte order mark on."""
    unpacked = _unpacked(packed, path)
    stream = packed if unpacked is None else io.BufferedReader(unpacked, _BUFFER // 16)
    with _naming(path):
        head = stream.peek(1)
    _require_utf8(head, path)
    for magic, what in _MAGIC.items():
        if head.startswith(magic):
            raise ValueError(f"{path!r} is {what}, not a file of texts")
    if head.startswith(b"PAR1") and b"\0" in head:
        raise ValueError(f"{path!r} is a Parquet file: end its name in .parquet")
    if head.startswith(_MARK):
        stream.read(len(_MARK))
    return stream


def _unpacked(packed: io.BufferedReader, path: str) -> Any:
    """A raw stream of what is packed in a file, by its first bytes; None where it is not packed."""
    head = packed.peek(1)
    if head.startswith(b"\x1f\x8b"):
        import gzip

        return gzip.GzipFile(fileobj=packed)
    if re.match(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)", head):
        import bz2

        return bz2.BZ2File(packed)
    if head.startswith(b"\xfd7zXZ\0"):
        import lzma

        return lzma.LZMAFile(packed)
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        return _zstandard(packed, path)
    return None


def _zstandard(packed: Any, path: str) -> Any:
    """Python has a reader of its own from 3.14 on."""
    try:
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]

        return zstd.ZstdFile(packed)
    except ImportError:
        pass
    try:
        import zstandard  # type: ignore[import-not-found,unused-ignore]

        return zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True)
    except ImportError:
        pass
    try:
        import pyarrow as pa

        return pa.CompressedInputStream(pa.PythonFile(packed, "r"), "zstd")
    except (ImportError, NotImplementedError):  # Arrow may be built without
        raise ImportError(f"{path!r} is compressed by Zstandard: pip install 'coremax[files]' or zstandard") from None


def _require_utf8(head: bytes, path: str) -> None:
    """Raise where the first bytes are those of a wider encoding, with its mark or with a NUL beside every ASCII character."""
    found = next((name for mark, name in _WIDE.items() if head.startswith(mark)), None)
    start = head[:1024]
    if found is None and len(start) >= 4 and not (any(start[0::2]) and any(start[1::2])) and any(start):
        found = "UTF-16 or UTF-32"
    if found is not None:
        raise ValueError(f"{path!r} is {found}, not UTF-8: convert it, for example with iconv -f {found[:6]} -t UTF-8")


@contextmanager
def _naming(path: str) -> Iterator[None]:
    """Turn what goes wrong while a file is unpacked into a ValueError that names it."""
    try:
        yield
    except Exception as error:
        unpacking = isinstance(error, (EOFError, zlib.error)) or type(error).__name__ in ("LZMAError", "ZstdError")
        if unpacking or (isinstance(error, OSError) and error.errno is None):  # of gzip, bzip2 and Arrow
            raise ValueError(f"{path!r}: what is compressed in it is damaged or cut off: {error}") from None
        raise


def _lines(stream: io.BufferedReader, path: str) -> Iterator[tuple[str, bytes]]:
    """Lines without their ends; those of bytes end as in Python's text files, unlike those of str."""
    number = 0
    with _naming(path):
        for block in stream:  # up to a line feed
            for line in block.splitlines():
                number += 1
                yield f"{path!r}, line {number}:", line


def _objects(lines: Iterator[tuple[str, bytes]], field: str) -> Iterator[tuple[str, str]]:
    import json  # here, because few need it

    for place, line in lines:
        if not line.strip(_SPACE):
            continue
        text = as_str(line, place)
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ValueError(
                f"{place} is no JSON: {error} (wanted: an object on each line, or one array of objects in all of the file)"
            ) from None
        yield place, _field_of(value, field, place, text)


def _elements(stream: io.BufferedReader, path: str, field: str) -> Iterator[tuple[str, str]]:
    """The objects of an array, decoded one at a time; its text is in memory as a whole."""
    import json  # here, because few need it

    text = decode_file(_all_of(stream, path), path)
    decoder, space = json.JSONDecoder(), re.compile(r"[ \t\r\n]*")
    at, number, follows = text.index("[") + 1, 0, ""
    try:
        while True:
            at = _end(space, text, at)
            if text[at : at + 1] == "]" and follows != ",":
                break
            value, end = decoder.raw_decode(text, at)
            place = f"{path!r}, element {number}:"
            yield place, _field_of(value, field, place, text[at:end])
            at, number = _end(space, text, end), number + 1
            follows = text[at : at + 1]
            if follows == ",":
                at += 1
            elif follows != "]":
                raise json.JSONDecodeError("Expecting ',' or ']'", text, at)
        if _end(space, text, at + 1) < len(text):
            raise json.JSONDecodeError("Extra data behind the array", text, at + 1)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{path!r} is no JSON: {error}") from None


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return at if found is None else found.end()


def _all_of(stream: io.BufferedReader, path: str) -> bytes:
    """All bytes, unless they and the text made of them would not fit into memory."""
    free, size, parts = memory.available(), 0, []
    with _naming(path):
        while part := stream.read(_BUFFER):
            parts.append(part)
            size += len(part)
            if free is not None and 4 * size > free:
                raise MemoryError(
                    f"{path!r}: an array of JSON is read as a whole and does not fit into memory: make it JSON Lines"
                )
    return b"".join(parts)


def _field_of(value: Any, field: str, place: str, text: str) -> str:
    import json  # here, because few need it

    found = value.get(field) if isinstance(value, dict) else None
    if isinstance(found, str):
        # Of two fields readers take the first, the last or neither. The name may also be a text, or a field further in.
        if text.count(json.dumps(field)) > 1 and [key for key, _ in json.loads(text, object_pairs_hook=list)].count(field) > 1:
            raise ValueError(f"{place} has two fields {field!r}")
        return found
    if not isinstance(value, dict):
        why = ""
    elif field in value:
        why = f", but {json.dumps(found)[:40]}"
    else:
        why = f": its fields are {', '.join(map(repr, list(value)[:10]))}" if value else ", but empty"
    raise ValueError(f'{place} is no object with a string "{field}"{why}')
