"""What is fuzzed: for each reader a function of bytes that raises where the reader breaks its promise.

The promise: a value that is right, or one of the documented exceptions with a message that begins with the file's name or names
the argument. Nothing else is caught, so any other exception, a crash, a hang or a great deal of memory is a find.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import io
import json
import os
import shutil
import tempfile
import traceback
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import coremax
from coremax import DeviceError, _core
from coremax._inputs import arrays as _arrays
from coremax._inputs.keys import as_keys
from coremax._inputs.texts import as_texts
from coremax.cli import _options, _read, _record
from coremax.text import ngram_counts

CORPUS = Path(__file__).parent / "corpus"
_FOLDER: str | None = None


@dataclass(frozen=True)
class Target:
    """A function of bytes, and inputs to begin with.

    Attributes
    ----------
    run : callable
        Raises for a find.
    seeds : callable
        Gives inputs that the reader takes.
    needs : tuple of str
        Modules without which it can not run.
    """

    run: Callable[[bytes], None]
    seeds: Callable[[], Sequence[bytes]]
    needs: tuple[str, ...] = ()


TARGETS: dict[str, Target] = {}


def target(name: str, seeds: Callable[[], Sequence[bytes]], *needs: str) -> Callable[[Callable[[bytes], None]], Any]:
    """Enter a function into `TARGETS`."""

    def enter(run: Callable[[bytes], None]) -> Callable[[bytes], None]:
        TARGETS[name] = Target(run, seeds, needs)
        return run

    return enter


def corpus(name: str) -> list[bytes]:
    """Inputs of a target that are kept: seeds, and what has been found."""
    return [*TARGETS[name].seeds(), *(path.read_bytes() for path in sorted((CORPUS / name).glob("*")))]


def file_with(data: bytes, name: str) -> str:
    """Write the input to a file of one name, in memory where there is such a folder."""
    global _FOLDER
    if _FOLDER is None:
        _FOLDER = tempfile.mkdtemp(prefix="coremax-fuzz-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
        atexit.register(shutil.rmtree, _FOLDER, ignore_errors=True)
    path = os.path.join(_FOLDER, name)
    # A new file each time: one that is still mapped must not change.
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    with open(path, "wb") as file:
        file.write(data)
    return path


class Find(AssertionError):  # noqa: N818  # as fuzzers call it
    """The reader answered, but not as it promises."""


@contextlib.contextmanager
def naming(*names: str, kinds: tuple[type[Exception], ...] = (ValueError, MemoryError)) -> Iterator[None]:
    """Let the documented exceptions pass whose message has one of the names in it, on one line and not endless."""
    try:
        yield
    except kinds as error:
        message = str(error)
        if not any(name in message for name in names):
            raise Find(f"{type(error).__name__} names none of {names}: {message!r}") from error
        if isinstance(error.__cause__, _MISTAKES) and _innermost(error.__cause__).startswith(os.path.dirname(coremax.__file__)):
            raise Find(f"a mistake of ours behind {message!r}") from error


# What a reader that takes any exception of a parser for bad input would hide: none of ours may raise these.
_MISTAKES = (AttributeError, LookupError, NameError, ArithmeticError, AssertionError)


def _innermost(error: BaseException) -> str:
    """The file that an exception was raised in."""
    return traceback.extract_tb(error.__traceback__)[-1].filename


def expect(condition: bool, what: str) -> None:
    """Raise where an answer is wrong."""
    if not condition:
        raise Find(what)


# Files of arrays


def npy(array: Any, **options: Any) -> bytes:
    """Bytes of an .npy file."""
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asarray(array), **options)
    return file.getvalue()


def npz(**arrays: Any) -> bytes:
    """Bytes of an .npz file, some of it compressed."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number, (name, array) in enumerate(arrays.items()):
            archive.writestr(f"{name}.npy", npy(array), zipfile.ZIP_DEFLATED if number % 2 else zipfile.ZIP_STORED)
    return file.getvalue()


def _arrays_of_all_kinds() -> list[Any]:
    floats = np.linspace(-1, 1, 12)
    return [
        *(floats.reshape(3, 4).astype(kind) for kind in ("<f4", ">f8", "<f2", "i1", "<u8", "?")),
        np.asfortranarray(floats.reshape(4, 3)),
        np.array(["a", "ßü", "", "id-4"]),
        np.float32(3),
        np.zeros((0, 3)),
    ]


def _npy_seeds() -> list[bytes]:
    return [npy(array) for array in _arrays_of_all_kinds()] + [
        npy(np.arange(3.0), version=(2, 0)),
        npy(np.arange(3), version=(3, 0)),
    ]


def _array_from(data: bytes, name: str, member: str = "") -> None:
    path = file_with(data, name)
    with naming(path):
        array = _read.read_array(_read.parse_source(path + member))
        expect(isinstance(array, np.ndarray) and array.size > 0 and array.dtype.isnative, f"got {array!r}")
        if array.dtype == object:
            expect(all(type(text) is str for text in array.reshape(-1).tolist()), f"got {array!r} for texts")
        expect(array.dtype.kind in "biufUO" or array.dtype.name == "bfloat16", f"got {array.dtype}")
        array.sum() if array.dtype.kind in "biuf" else array.tolist()  # every element can be looked at


@target("npy", _npy_seeds)
def read_npy(data: bytes) -> None:
    """An .npy file."""
    _array_from(data, "x.npy")


@target("npz", lambda: [npz(x=array) for array in _arrays_of_all_kinds()] + [npz(a=np.arange(3.0), x=np.arange(8.0))])
def read_npz(data: bytes) -> None:
    """An .npz file, the array x of it."""
    _array_from(data, "x.npz", ":x")


def _parquet_seeds() -> list[bytes]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    tables = [
        pa.table({"x": pa.array([1.0, 2.0, 3.0])}),
        pa.table({"x": pa.array([[1.0, 2.0], [3.0, 4.0]], pa.list_(pa.float32()))}),
        pa.table({"x": pa.array([[1, 2], [3, 4]], pa.list_(pa.int8(), 2)), "y": pa.array(["a", None])}),
        pa.table({"x": pa.array(["a", "bb", "a"]).dictionary_encode()}),
    ]
    found = []
    for number, table in enumerate(tables):
        file = io.BytesIO()
        pq.write_table(table, file, compression=["none", "snappy", "zstd", "none"][number], write_statistics=number % 2 == 0)
        found.append(file.getvalue())
    return found


@target("parquet", _parquet_seeds, "pyarrow")
def read_parquet(data: bytes) -> None:
    """A Parquet file, the column x of it."""
    _array_from(data, "x.parquet", ":x")


def _safetensors_seeds() -> list[bytes]:
    def file(**tensors: tuple[str, list[int], bytes]) -> bytes:
        header, body = {}, b""
        for name, (dtype, shape, numbers) in tensors.items():
            header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(body), len(body) + len(numbers)]}
            body += numbers
        text = json.dumps(header).encode()
        return len(text).to_bytes(8, "little") + text + body

    floats = np.arange(6, dtype="<f4").tobytes()
    return [
        file(x=("F32", [2, 3], floats)),
        file(x=("BF16", [12], floats), y=("I8", [24], floats)),
        file(x=("F64", [3], floats), __metadata__=("F32", [0], b"")),
        file(x=("F8_E4M3", [24], floats)),
        file(x=("BOOL", [24], floats), y=("F16", [0, 7], b"")),
    ]


@target("safetensors", _safetensors_seeds, "safetensors", "ml_dtypes")
def read_safetensors(data: bytes) -> None:
    """A .safetensors file, the tensor x of it."""
    _array_from(data, "x.safetensors", ":x")


# Texts


@target(
    "lines",
    lambda: [b"a b\nc\n\nd", "Straße\r\n\u03a3\u038a\u03a3 \u0130\n".encode(), b"\xef\xbb\xbfone\ntwo", b"a\rb\x0cc\x85"],
)
def read_lines(data: bytes) -> None:
    """A file of texts, one a line: counts are those of the texts given one by one."""
    _texts_from(data, "texts.txt")


_RECORDS = [
    b'{"text": "a b"}\n{"text": "c", "id": [1, {"x": null}]}\n',
    b'{"text": "\\ud83d\\ude00 \\u00df"}\r\n\n{"text": ""}',
    '\ufeff{"text": "Grüße", "n": -1.5e300}'.encode(),
]


@target("json_lines", lambda: _RECORDS)
def read_json_lines(data: bytes) -> None:
    """A file of JSON Lines."""
    _texts_from(data, "texts.jsonl")


@target("json", lambda: [b'[{"text": "a b"}, {"text": "c"}]', b'{"text": ["a", "b"]}', *_RECORDS])
def read_json(data: bytes) -> None:
    """A file named .json, which may hold one document or lines."""
    _texts_from(data, "texts.json")


@target("zipped_lines", lambda: [_zipped(b"a b\nc\n"), _zipped(b'{"text": "a"}')])
def read_zipped_lines(data: bytes) -> None:
    """A file of JSON Lines, zipped."""
    _texts_from(data, "texts.jsonl.gz")


def _zipped(data: bytes) -> bytes:
    import gzip

    return gzip.compress(data, mtime=0)


def _texts_from(data: bytes, name: str) -> None:
    path = file_with(data, name)
    with naming(path):
        counts = ngram_counts(Path(path), n_buckets=64, ngrams=2, threads=1)
        most = 2**63 if name.endswith(".gz") else 4 * len(data) + 4
        expect(bool((counts >= 0).all()) and int(counts.sum()) <= most, f"{counts.sum()} n-grams")


@target("texts", lambda: [b"a b\0c", "\u03a3\u038a\u03a3\0ẞ \u0130\0".encode(), b"\xff\xfe\0\xf0\x9f\x92\xa9"])
def count_texts(data: bytes) -> None:
    """Texts as bytes and as str: the same counts, whatever the batches; what is not UTF-8 is named by its place."""
    parts = data.split(b"\0")
    try:
        texts = [part.decode() for part in parts]
    except UnicodeDecodeError:
        with naming("texts["):
            ngram_counts(parts, n_buckets=64, threads=1)
            raise Find("bytes that are not UTF-8 were counted") from None
        return
    counts = ngram_counts(parts, n_buckets=64, threads=1)
    expect(bool((counts == ngram_counts(texts, n_buckets=64, threads=1)).all()), "bytes and str differ")
    expect(bool((counts == sum(ngram_counts([text], n_buckets=64, threads=1) for text in texts)).all()), "the sum differs")


@target("titles", lambda: [b"a\nb\nc\n", b"\xef\xbb\xbfid 1\r\nid 2\r\n", b"a\rb\0\n"])
def read_titles(data: bytes) -> None:
    """A file of titles, one a line, and of ids, of which none may come twice."""
    path = file_with(data, "ids.txt")
    with naming(path):
        titles = list(_read.read_titles(path))
        ids = list(_read.read_ids(path))
        expect(titles == ids and len(set(ids)) == len(ids), "ids are not titles that differ")


# Configurations and options


def _config_seeds() -> list[bytes]:
    document = {
        "command": "select",
        "parameters": {"budget": "10%", "seed": 3, "alpha": 0.5, "sidecar": True, "embeddings": ["a.npy", "ä\n\"'.npz"]},
        "inputs": [{"role": "embeddings", "path": "a.npy", "bytes": 3, "blake2b": "00"}],
    }
    return [_record.to_toml(document, "a comment").encode(), b"a.b = [1, 2.5]\nd = 1979-05-27T07:32:00Z\n'' = inf\n", b""]


@target("config", _config_seeds)
def read_config(data: bytes) -> None:
    """A configuration: TOML, which is written and read again to the same."""
    path, config = file_with(data, "run.toml"), {}
    with naming(path):
        config = _record.read_config(path)
    try:
        text = _record.to_toml(config)
    except TypeError:  # dates and tables in tables, which no record has
        return
    try:
        again = _record.read_config(file_with(b"\n" + text.encode(), "again.toml"))
    except ValueError as error:
        raise Find(f"{config!r} is written as {text!r}") from error
    expect(_sorted(again) == _sorted(config), f"{config!r} is written as {text!r}")


def _sorted(value: Any) -> str:
    """A configuration as text in which the order of keys does not show, and NaN is NaN."""
    if isinstance(value, dict):
        return "{" + ", ".join(sorted(f"{key!r}: {_sorted(part)}" for key, part in value.items())) + "}"
    return "[" + ", ".join(map(_sorted, value)) + "]" if isinstance(value, list) else repr(value)


@target("options", lambda: [b"10%", b"0.1", b"500", b"auto", b"1e-3", b"2 GiB", b"512MB", b"nan", b"x.npz:y", "٣".encode()])
def parse_options(data: bytes) -> None:
    """What options say: budgets, shares, weights, whole numbers, amounts of memory, names of files."""
    text = data.decode("utf-8", "surrogateescape")
    for parse in (_options.parse_budget, _options.parse_share, _options.parse_weight):
        with naming(text, repr(text)):
            found = parse(text)
            expect(found == "auto" or isinstance(found, (int, float)), f"{parse.__name__} gives {found!r}")
            expect(parse is not _options.parse_budget or float(found) > 0, f"a budget of {found!r}")
    with naming(repr(text)):
        expect(0 <= _options.parse_whole(text, 0, 2**64 - 1) < 2**64, "out of range")
    with naming("memory_limit"):
        expect(1 <= (_arrays.as_bytes(text, "memory_limit") or 0) < 2**63, "out of range")
    with naming(text):
        source = _read.parse_source(text)
        again = source.path if source.name is None else f"{source.path}:{source.name}"
        expect(source.text == again == text, f"{source}")


# Saved formats


def _saved(save: Callable[[str], None]) -> bytes:
    path = file_with(b"", "saved.npz")
    save(path)
    return Path(path).read_bytes()


def _graph_seeds() -> list[bytes]:
    x = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    lists = coremax.topk_graph(x, 3, threads=1)
    sparse = coremax.Graph.from_csr(
        np.array([0, 2, 3, 4]), np.array([1, 2, 0, 0]), np.array([0.5, 0.25, 0.5, 0.25]), metric="cosine"
    )
    return [
        _saved(lists.save),
        _saved(sparse.save),
        npz(format=np.array(1), metric=np.array(""), indices=[[1], [0]], values=[[0.5], [0.5]]),
    ]


@target("graph", _graph_seeds)
def load_graph(data: bytes) -> None:
    """A saved graph: what is loaded is a graph, with which a subset can be solved for."""
    path = file_with(data, "graph.npz")
    with naming(path):
        graph = coremax.Graph.load(path)
        if 2 <= graph.n <= 64:
            with naming("graph", "neighbors", "indices", "similarities", "values", "indptr"):  # of what its arrays hold
                kept = coremax.solve(np.ones(graph.n), graph, budget=1, bound=None, threads=1).indices
                expect(len(kept) == 1 and 0 <= kept[0] < graph.n, f"kept {kept}")


@target(
    "alias_table", lambda: [_saved(coremax.AliasTable(weights).save) for weights in ([1.0], [0.5, 0.0, 3.0], np.arange(70.0))]
)
def load_alias_table(data: bytes) -> None:
    """A saved alias table: what is loaded has probabilities that sum to one and draws from them."""
    path = file_with(data, "table.npz")
    with naming(path):
        table = coremax.AliasTable.load(path)
        if table.n <= 10_000:
            probabilities = table.probabilities()
            expect(abs(probabilities.sum() - 1) < 1e-9 and bool((probabilities >= 0).all()), "probabilities do not sum to one")
            expect(bool((probabilities[table.sample(20, threads=1)] > 0).all()), "drew what is never drawn")


# Capsules


class _Tensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p), ("device_type", ctypes.c_int32), ("device_id", ctypes.c_int32), ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16), ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p), ("byte_offset", ctypes.c_uint64),
    ]  # fmt: skip


class _Legacy(ctypes.Structure):
    _fields_ = [("tensor", _Tensor), ("manager", ctypes.c_void_p), ("deleter", ctypes.c_void_p)]


class _Versioned(ctypes.Structure):
    _fields_ = [
        ("major", ctypes.c_uint32), ("minor", ctypes.c_uint32), ("manager", ctypes.c_void_p), ("deleter", ctypes.c_void_p),
        ("flags", ctypes.c_uint64), ("tensor", _Tensor),
    ]  # fmt: skip


_BUFFER = (ctypes.c_double * 64)(*range(1, 65))
_new_capsule = ctypes.pythonapi.PyCapsule_New
_new_capsule.restype, _new_capsule.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
_SIZES = [0, 1, 2, 3, 4, 8, 64, 65, -1, -(2**63), 2**62, 2**63 - 1, 2**32]
_CODES = [(2, 64), (2, 32), (2, 16), (4, 16), (0, 8), (0, 32), (0, 64), (1, 64), (5, 128), (6, 8), (2, 0), (0, 255)]


class Bytes:
    """Takes small decisions out of the input; beyond its end all are the first."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def byte(self) -> int:
        """The next byte."""
        self.at += 1
        return self.data[self.at - 1] if self.at <= len(self.data) else 0

    def one_of(self, choices: Sequence[Any]) -> Any:
        """One of some things."""
        return choices[self.byte() % len(choices)]


class Producer:
    """An array of nobody, as the input describes it."""

    def __init__(self, data: bytes) -> None:
        chosen = Bytes(data)
        self.versioned, self.name = chosen.byte() % 2, chosen.one_of([None, None, None, None, b"dltensor", b"other"])
        device = chosen.one_of([1, 1, 1, 1, 1, 1, 1, 2, 13, 99])
        self.device: Any = chosen.one_of([(1, 0)] * 8 + [(2, 0), (99, 1), (1,), None, ("1", 0), (2**40, 0), 3])
        self.ndim = chosen.one_of([1, 2, 1, 2, 1, 2, 0, 3, -1, 64, 2**31 - 1, -(2**31)])
        n = min(max(self.ndim, 0), 64)
        self.shape = (ctypes.c_int64 * 65)(*(chosen.one_of(_SIZES) for _ in range(n)))
        self.strides = (ctypes.c_int64 * 65)(*(chosen.one_of(_SIZES) for _ in range(n)))
        tensor = _Tensor(device_type=device, ndim=self.ndim)
        tensor.code, tensor.bits = chosen.one_of(_CODES)
        tensor.lanes = chosen.one_of([1, 1, 1, 1, 0, 2, 65535])
        tensor.data = chosen.one_of([ctypes.addressof(_BUFFER)] * 4 + [0, ctypes.addressof(_BUFFER) + 1])
        tensor.shape = chosen.one_of([ctypes.addressof(self.shape)] * 7 + [0])
        tensor.strides = chosen.one_of([0, ctypes.addressof(self.strides)])
        tensor.byte_offset = chosen.one_of([0, 0, 0, 8, 3, 2**63, 2**64 - 8])
        self.tensor = tensor
        self.managed: Any = _Legacy(tensor=tensor)
        if self.versioned:
            self.managed = _Versioned(major=chosen.one_of([1, 1, 1, 0, 2, 2**32 - 1]), flags=chosen.byte(), tensor=tensor)
        self.refuses = chosen.byte() % 16 == 15

    def fits(self) -> bool:
        """Whether all elements lie within the memory there is, which a consumer can not see, and are few if all are one."""
        offset = self.tensor.byte_offset + (self.tensor.data or 0) - ctypes.addressof(_BUFFER)
        shape = self.shape[: max(self.ndim, 0)]
        if 0 in shape:
            return True
        strides = self.strides[: self.ndim] if self.tensor.strides else None
        packed, last = 1, 0
        for axis in reversed(range(len(shape))):
            last += (shape[axis] - 1) * (strides[axis] if strides else packed)
            packed *= shape[axis]
        return (
            0 < packed <= 10**6
            and offset >= 0
            and (last + 1) * ((self.tensor.bits + 7) // 8) + offset <= ctypes.sizeof(_BUFFER)
        )

    def __dlpack_device__(self) -> Any:
        return self.device

    def __dlpack__(self, **options: Any) -> Any:
        if self.refuses:
            raise BufferError("this one is not given away")
        if not self.versioned and options.pop("max_version", None) is not None:
            raise TypeError("max_version is new to this one")
        name = self.name or (b"dltensor_versioned" if self.versioned else b"dltensor")
        self.kept = name  # the capsule does not copy it
        return _new_capsule(ctypes.addressof(self.managed), name, None)


@target(
    "dlpack", lambda: [bytes(14), bytes([1, *bytes(30)]), bytes([0] * 4 + [1, 3, 0, 1, 0]), bytes([1, 0, 0, 0, 1] + [2] * 30)]
)
def import_capsule(data: bytes) -> None:
    """A DLPack capsule that says anything: refused by name, or else a view whose every number is where it says."""
    producer = Producer(data)
    if producer.name == b"dltensor" and producer.versioned:
        return  # a lie about its own layout, which nobody could notice
    with naming("x", kinds=(ValueError, TypeError, DeviceError)):
        view = _core.import_array(producer, "x")
        if view.device != "cpu":
            return
        expect(all(size >= 0 for size in view.shape), f"a shape of {view.shape}")
        expect(len(view.shape) == producer.ndim and producer.tensor.device_type == 1, "of another form")
        if producer.fits():
            for ndim in (1, 2):
                with contextlib.suppress(MemoryError), naming("x", kinds=(ValueError, TypeError)):
                    numbers = _arrays.as_view(producer, "x", ndim=ndim, dtypes=_arrays.FLOAT_TYPES, convert_to="float64")
                    expect(numbers.contiguous and numbers.dtype in _arrays.FLOAT_TYPES, "not as asked for")
            with contextlib.suppress(ValueError, TypeError, MemoryError):
                coremax.sample(producer, 1, threads=1)


@target("arrow", lambda: [bytes(range(first, first + 40)) for first in range(0, 220, 20)], "pyarrow")
def convert_columns(data: bytes) -> None:
    """Columns of Arrow, also through the C interface: numbers, texts and keys are what Python objects say, or refused."""
    import pyarrow as pa

    column = _column(Bytes(data))
    if hasattr(column, "__arrow_c_array__") and len(data) % 2:
        column = pa.array(_Capsules(column))
    values = column.to_pylist()
    for convert in (_arrays.as_array, as_texts, as_keys):
        with naming("x", kinds=(ValueError, TypeError)):
            got: Any = convert(column, "x")
            if convert is as_keys:
                got = [got.values[code] for code in got.codes]
            elif convert is _arrays.as_array:
                got = got.tolist()
            same = [value.decode() if isinstance(value, bytes) else value for value in values]
            expect(repr(got) == repr(same) or got == same, f"{convert.__name__} makes {got!r} of {values!r} ({column.type})")


class _Capsules:
    """An array of a library that Arrow knows by its capsules only."""

    def __init__(self, column: Any) -> None:
        self.column = column

    def __arrow_c_array__(self, requested_schema: Any = None) -> Any:
        return self.column.__arrow_c_array__(requested_schema)


def _column(chosen: Bytes) -> Any:
    """A small column of some type: nulls, slices, chunks, lists and dictionaries of it."""
    import pyarrow as pa

    words = [b"", b"a", "ß".encode(), b"a\0", b"longer than twelve bytes, so not inline", b"1"]
    numbers = [0, 1, 5, 100, 127]
    leaves = ["int8", "uint64", "int32", "float32", "float64", "float16", "bool", "string", "large_string", "binary"]
    leaf = chosen.one_of([*leaves, "string_view", "binary_view", "null"])
    kind = getattr(pa, {"bool": "bool_"}.get(leaf, leaf))()
    texts = leaf.endswith(("string", "view"))

    def item() -> Any:
        if leaf == "null" or chosen.byte() % 16 == 15:
            return None
        if leaf in ("binary", "binary_view"):
            return chosen.one_of([*words, b"\xff"])
        value: Any = chosen.one_of(words).decode() if texts else chosen.one_of(numbers)
        return bool(value % 2) if leaf == "bool" else np.float16(value) if leaf == "float16" else value

    n = chosen.one_of([0, 1, 2, 3, 7])
    shape = chosen.one_of(["plain", "plain", "list", "fixed", "large", "dictionary", "struct"])
    width = chosen.one_of([2, 1, 0, 3])
    if shape in ("list", "large", "fixed"):
        kind = {"list": pa.list_, "large": pa.large_list}[shape](kind) if shape != "fixed" else pa.list_(kind, width)
        ragged = shape != "fixed" and chosen.byte() % 8 == 7
        rows: list[Any] = [[item() for _ in range(width + (ragged and row % 2))] for row in range(n)]
        column = pa.array(rows, kind)
    elif shape == "struct":
        column = pa.array([{"a": item()} for _ in range(n)], pa.struct([("a", kind)]))
    else:
        column = pa.array([item() for _ in range(n)], kind)
        if shape == "dictionary" and not leaf.endswith("view"):
            column = column.dictionary_encode()
    cut = chosen.byte() % 4
    column = column[cut:] if cut < 3 else column
    if chosen.byte() % 4 == 3:
        column = pa.chunked_array([column, column[:0], column[1:]])
    return column
