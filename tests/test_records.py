"""Files of texts: their documents are those that pandas, PyArrow and `datasets` find, by one rule for every door."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from coremax._inputs import records
from coremax.cli._read import parse_source, read_ids, read_titles
from coremax.cli._record import read_config
from coremax.cli._write import columns_writer, require_target
from coremax.cli.commands import coremax as command
from coremax.selection import dsir
from coremax.text import ngram_counts
from oracles import records as oracle

pa = pytest.importorskip("pyarrow")
pd = pytest.importorskip("pandas")

MARK = b"\xef\xbb\xbf"
A, B = b'{"text": "a"}', b'{"text": "b"}'
# Plain text: what `datasets` ("text"), PyArrow and pandas make of it, and what Python's text files do.
LINES: dict[str, tuple[bytes, list[str]]] = {
    "line feeds": (b"a\nb\n", ["a", "b"]),
    "open end": (b"a\nb", ["a", "b"]),
    "blank": (b"a\n\nb\n", ["a", "", "b"]),
    "blank at the end": (b"a\nb\n\n", ["a", "b", ""]),
    "spaces": (b"a\n \t \nb\n", ["a", " \t ", "b"]),
    "carriage return and line feed": (b"a\r\nb\r\n", ["a", "b"]),
    "carriage returns": (b"a\rb\rc", ["a", "b", "c"]),
    "mixed": (b"a\rb\nc\r\nd\n", ["a", "b", "c", "d"]),
    "return, return, feed": (b"a\r\r\nb\n", ["a", "", "b"]),
    "mark": (MARK + b"a\nb\n", ["a", "b"]),
    "NUL": (b"a\0b\nc", ["a\0b", "c"]),
    "U+2028 and U+0085": ("a\u2028b\nc\x85d".encode(), ["a\u2028b", "c\x85d"]),
    "form feeds and separators": (b"a\x0cb\nc\x0bd\x1ce", ["a\x0cb", "c\x0bd\x1ce"]),
    "long": (b"x" * 3_000_000 + b"\n" + b"y" * 3_000_000, ["x" * 3_000_000, "y" * 3_000_000]),
}
# JSON Lines, and which of the libraries refuse the file: where all read it, they agree.
OBJECTS: dict[str, tuple[bytes, list[str], set[str]]] = {
    "line feeds": (A + b"\n" + B + b"\n", ["a", "b"], set()),
    "open end": (A + b"\n" + B, ["a", "b"], set()),
    "one": (A, ["a"], set()),
    "blank": (A + b"\n\n" + B + b"\n\n\n", ["a", "b"], set()),
    "blank first": (b"\n\n" + A + b"\n" + B, ["a", "b"], set()),
    "spaces": (A + b"\n  \t \n" + B + b"\n", ["a", "b"], set()),
    "carriage return and line feed": (A + b"\r\n\r\n" + B + b"\r\n", ["a", "b"], set()),
    "spaces around": (b' {"text": "a"} \t\n' + B, ["a", "b"], set()),
    "carriage returns": (A + b"\r" + B + b"\r", ["a", "b"], {"pandas"}),
    "mark": (MARK + A + b"\n" + B + b"\n", ["a", "b"], {"pandas"}),
    "U+2028 and U+0085": ('{"text": "a\u2028b"}\n{"text": "c\x85d"}'.encode(), ["a\u2028b", "c\x85d"], set()),
    "escapes": (b'{"text": "a\\nb\\u00e9"}\n' + B, ["a\nb\u00e9", "b"], set()),
    "other fields": (b'{"url": "x", "text": "a", "n": NaN}\n{"text": "b", "m": {"text": "c"}}', ["a", "b"], set()),
    "an array": (b"[" + A + b",\n" + B + b"]\n", ["a", "b"], {"pandas", "pyarrow"}),
    "an empty text": (b'{"text": ""}\n' + B, ["", "b"], set()),
}
# What no reader here takes, since a library takes it for null, in another sense, or in another number.
REFUSED: dict[str, tuple[bytes, str]] = {
    "null": (A + b'\n{"text": null}\n', r'line 2: is no object with a string "text", but null$'),
    "missing": (A + b'\n\n{"body": "b", "id": 1}\n', r"line 3: is no object .*: its fields are 'body', 'id'$"),
    "number": (b'{"text": 1}\n', r"line 1: is no object .*, but 1$"),
    "list": (b'{"text": ["a"]}\n', r"line 1: is no object .*, but \[\"a\"\]$"),
    "empty object": (b"{}\n", r"line 1: is no object .*, but empty$"),
    "text": (b'"abc"\n', r"line 1: is no object"),
    "twice": (A + b'\n{"text": "a", "text": "b"}\n', r"line 2: has two fields 'text'$"),
    "two objects": (A + b" " + B, r"line 1: is no JSON: Extra data.*an object on each line"),
    "several lines": (b'{\n"text": "a"\n}\n', r"line 1: is no JSON: .*an object on each line"),
    "NUL": (A + b"\n\0\n" + B, r"line 2: is no JSON"),
    "form feed": (A + b"\n\x0c\n" + B, r"line 2: is no JSON"),
    "bare control": (b'{"text": "a\tb"}\n', r"line 1: is no JSON: Invalid control character"),
    "Latin 1": (A + b'\n{"text": "\xff"}\n', r"line 2: is not UTF-8 at byte 10: invalid start byte$"),
    "deep": (b'{"text": ' + b"[" * 100_000, r"line 1: is no JSON"),
    "UTF-16": ('{"text": "a"}\n'.encode("utf-16"), r" is UTF-16, not UTF-8: convert it, for example with iconv -f UTF-16"),
    "UTF-32": ('{"text": "a"}\n'.encode("utf-32"), r" is UTF-32, not UTF-8"),
    "UTF-16 without a mark": ('{"text": "a"}\n'.encode("utf-16-be"), r" is UTF-16 or UTF-32, not UTF-8"),
    "array of texts": (b'["a", "b"]', r'element 0: is no object with a string "text"'),
    "array of another": (b'[{"text": "a"}, {"text": null}]', r"element 1: is no object"),
    "array cut off": (b'[{"text": "a"}, ', r"is no JSON"),
    "array without commas": (b'[{"text": "a"} {"text": "b"}]', r"is no JSON: Expecting ',' or '\]'"),
    "array with a comma too many": (b'[{"text": "a"},]', r"is no JSON"),
    "array and more": (b'[{"text": "a"}]\n{"text": "b"}', r"is no JSON: Extra data"),
    "array twice": (b'[{"text": "a", "text": "b"}]', r"element 0: has two fields"),
    "array of Latin 1": (b'[{"text": "a"},\n{"text": "\xff"}]', r"line 2 is not UTF-8"),
}


@pytest.fixture
def hugging_face(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Path], list[str]]:
    """Texts as `datasets` loads them, from files only."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)

    def load(kind: str, path: Path) -> list[str]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = datasets.load_dataset(kind, data_files=str(path), split="train", cache_dir=str(tmp_path / "cache"))
        return list(found["text"])

    return load


@pytest.mark.parametrize("name", LINES)
def test_lines_are_those_of_others(name: str, tmp_path: Path, hugging_face: Callable[[str, Path], list[str]]) -> None:
    from pyarrow import csv

    content, expected = LINES[name]
    path = tmp_path / "t.txt"
    path.write_bytes(content)
    assert records.read_texts(path) == expected == oracle.lines(content)
    with open(path, encoding="utf-8-sig", newline=None) as file:
        assert [line.removesuffix("\n") for line in file] == expected
    loaded = hugging_face("text", path)
    assert [text.removeprefix("\ufeff") for text in loaded] == expected  # the mark is part of the text there
    if name != "long":  # longer than a block there
        columns = csv.read_csv(
            path, csv.ReadOptions(column_names=["text"]),
            csv.ParseOptions(delimiter="\x01", quote_char=False, ignore_empty_lines=False),
            csv.ConvertOptions(column_types={"text": pa.string()}),
        )  # fmt: skip
        assert columns["text"].to_pylist() == expected
    frame = pd.read_csv(path, sep="\x01", header=None, quoting=3, skip_blank_lines=False, keep_default_na=False)
    assert frame[0].tolist() == expected
    assert read_titles(str(path)).tolist() == [text.rstrip("\0") for text in expected]


@pytest.mark.parametrize("name", OBJECTS)
@pytest.mark.parametrize("ending", records.JSON_ENDINGS)
def test_objects_are_those_of_others(
    name: str, ending: str, tmp_path: Path, hugging_face: Callable[[str, Path], list[str]]
) -> None:
    from pyarrow import json as arrow_json

    content, expected, refused = OBJECTS[name]
    path = tmp_path / f"t{ending}"
    path.write_bytes(content)
    assert records.read_texts(path) == expected
    assert read_titles(str(path)).tolist() == expected
    assert np.array_equal(ngram_counts(path), ngram_counts(expected))
    if ending != ".jsonl":
        return
    readers: dict[str, Callable[[], list[str]]] = {
        "pandas": lambda: pd.read_json(path, lines=True)["text"].tolist(),
        "pyarrow": lambda: arrow_json.read_json(path)["text"].to_pylist(),
        "datasets": lambda: hugging_face("json", path),
    }
    for library, read in readers.items():
        if library in refused:
            with pytest.raises((ValueError, KeyError)):
                read()
        else:
            assert read() == expected, library


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str, tmp_path: Path) -> None:
    content, message = REFUSED[name]
    path = tmp_path / "t.jsonl"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        ngram_counts(path)
    assert str(path) in str(caught.value)


text_of_files = st.lists(
    st.sampled_from([*"ab \t\r\n\x0b\x0c\x1c\x1e\x85\u2028\u2029é\U0001f600\ufeff", "\r\n", "\n\n"]), max_size=30
).map("".join)


@given(text_of_files, st.booleans())
def test_lines_equal_the_oracle(text: str, marked: bool) -> None:
    content = (MARK if marked else b"") + text.encode()
    stream = _stream(content)
    assert [records.as_str(line, place) for place, line in records._lines(stream, "f")] == oracle.lines(content)


@given(
    st.lists(st.tuples(text_of_files, st.sampled_from(["\n", "\r\n", "\r", "\n\n", "\r\n \t\n", " \r\r\n"]))),
    st.booleans(),
    st.booleans(),
)
def test_objects_equal_the_oracle(pairs: list[tuple[str, str]], marked: bool, escaped: bool) -> None:
    lines = [json.dumps({"n": 1, "text": text}, ensure_ascii=escaped) + end for text, end in pairs]
    content = (MARK if marked else b"") + "".join(lines).encode()
    found = [text for _, text in records._objects(records._lines(_stream(content), "f"), "text")]
    assert found == oracle.objects(content) == [text for text, _ in pairs]
    array = "[" + ",".join(lines) + " ]"
    assert [text for _, text in records._elements(_stream(array.encode()), "f", "text")] == found


def _stream(content: bytes) -> Any:
    import io

    return records._text_stream(io.BufferedReader(io.BytesIO(content)), "f")


def _zstandard(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return bytes(sink.getvalue().to_pybytes())


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": _zstandard,
}


@pytest.mark.parametrize("ending", PACKERS)
def test_compressed_files(ending: str, tmp_path: Path, hugging_face: Callable[[str, Path], list[str]]) -> None:
    content = MARK + b"\n".join(b'{"text": "document %d"}' % i for i in range(20_000)) + b"\n"
    expected = [f"document {i}" for i in range(20_000)]
    packed = PACKERS[ending](content)
    # By the content, whatever the name says: under its own, in capitals, without the ending, and with it but not packed.
    for name, stored in (("a.jsonl" + ending, packed), ("A.JSON" + ending.upper(), packed), ("a.jl", packed),
                         ("b.jsonl" + ending, content)):  # fmt: skip
        (tmp_path / name).write_bytes(stored)
        documents = records.Documents(tmp_path / name)
        assert [text for _, text in documents] == expected
        assert documents.share == 1
    if ending != ".zst":  # which wants a library that the tests do not bring
        assert len(hugging_face("json", tmp_path / f"a.jsonl{ending}")) == len(expected)
    # Parts behind each other, as `cat` makes them.
    (tmp_path / "two.jsonl").write_bytes(packed + PACKERS[ending](b'{"text": "last"}'))
    assert records.read_texts(tmp_path / "two.jsonl") == [*expected, "last"]
    (tmp_path / "t.txt").write_bytes(PACKERS[ending](b"a\r\n\nb"))
    assert records.read_texts(tmp_path / "t.txt") == ["a", "", "b"]
    for broken in (packed[: len(packed) // 2], packed[: len(packed) // 2] + bytes(range(256)) + packed[len(packed) // 2 :]):
        (tmp_path / "broken.jsonl").write_bytes(broken)
        with pytest.raises(ValueError, match=r"broken\.jsonl'.*(damaged or cut off|no JSON|not UTF-8)"):
            ngram_counts(tmp_path / "broken.jsonl")


def test_zstandard_without_a_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.jsonl.zst").write_bytes(_zstandard(A))
    for module in ("compression", "zstandard", "pyarrow"):
        monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(ImportError, match=r"a\.jsonl\.zst' is compressed by Zstandard: pip install"):
        ngram_counts(tmp_path / "a.jsonl.zst")


def test_parquet(tmp_path: Path) -> None:
    from pyarrow import parquet as pq

    texts = [f"document {i} é" for i in range(10_000)]
    table = pa.table({"text": texts, "body": pa.array(texts[::-1]).dictionary_encode(), "n": range(10_000)})
    pq.write_table(table, tmp_path / "T.PARQUET", row_group_size=3000)
    assert records.read_texts(tmp_path / "T.PARQUET") == texts
    assert records.read_texts(tmp_path / "T.PARQUET:body") == texts[::-1]
    for name, message in (("n", "'n' must be a column of texts"), ("none", r"no column 'none': .*\(text, body, n\)")):
        with pytest.raises((TypeError, ValueError), match=message):
            ngram_counts(tmp_path / f"T.PARQUET:{name}")
    pq.write_table(pa.table({"text": ["a", "b", None]}), tmp_path / "null.parquet")
    with pytest.raises(ValueError, match=r"null\.parquet', row 2: 'text' is null"):
        ngram_counts(tmp_path / "null.parquet")
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "null.parquet").read_bytes()[:-9])
    with pytest.raises(ValueError, match=r"cut\.parquet' can not be read as Parquet"):
        ngram_counts(tmp_path / "cut.parquet")


def test_other_fields(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "x", "body": "a"}\n{"body": "b"}\n')
    assert records.read_texts(f"{path}:body") == ["a", "b"]
    assert np.array_equal(ngram_counts(Path(f"{path}:body")), ngram_counts(["a", "b"]))
    odd = tmp_path / "b.jsonl:body"
    odd.write_text("plain\n")  # a file that is there goes first
    assert records.read_texts(odd) == ["plain"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"text\na\n", "is a table: read it"),
        ("a.TSV.gz", b"text\na\n", "is a table: read it"),
        ("a.tar.gz", b"", "is packed in a way that is not read here"),
        ("a.zip", b"", "is packed in a way"),
        ("a.npy", b"", "holds no lines of text"),
        ("a.txt", b"PK\x03\x04\x14\0", "is a zip archive"),
        ("a.jsonl", b"\x93NUMPY\x01\0", "is a NumPy file"),
        ("a", b"PAR1\x15\0\x15", "is a Parquet file: end its name in .parquet"),
    ],
)
def test_what_holds_no_texts(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=rf"{name}' {message}"):
        ngram_counts(tmp_path / name)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.jsonl': no such file$"):
        ngram_counts(tmp_path / "none.jsonl:body")
    with pytest.raises(FileNotFoundError, match=r"\*\.jsonl': no such file; a pattern"):
        ngram_counts(tmp_path / "*.jsonl")
    with pytest.raises(IsADirectoryError, match=r"is a folder: pass its files"):
        ngram_counts(tmp_path)
    (tmp_path / "empty.txt").write_bytes(b"")
    assert records.read_texts(tmp_path / "empty.txt") == []


DOCUMENTS = ["the cat sat on the mat", "", "stocks fell on the news", "a cat and a dog", "text url text"]


def test_the_command_reads_by_the_same_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts, targets, raw texts, titles and ids, of every kind of file, and the estimate."""
    from pyarrow import parquet as pq

    monkeypatch.chdir(tmp_path)
    rows = "\n\n".join(json.dumps({"text": text, "body": "x"}) for text in DOCUMENTS).encode()
    pq.write_table(pa.table({"text": DOCUMENTS}), "d.Parquet")
    for name, content in {
        "d.txt": "\r".join(DOCUMENTS).encode(), "d.TXT.GZ": gzip.compress("\n".join(DOCUMENTS).encode()), "d.jsonl": rows,
        "d.JSON": b"[" + rows.replace(b"\n\n", b",") + b"]", "d.jl.zst": _zstandard(rows),
        "d.ndjson": rows.replace(b"\n", b"\r\n"),
    }.items():  # fmt: skip
        Path(name).write_bytes(content)
    Path("ids.txt").write_bytes(MARK + b"a\rb\r\nc\nd\x0c\ne")
    expected = dsir(DOCUMENTS, ["my cat"], 2, raw=DOCUMENTS, min_tokens=1, top=True).indices.tolist()
    for name in [path.name for path in Path().iterdir() if path.name[0] == "d"]:
        arguments = ["select", name, "--method", "dsir", "--target-texts", "t.txt", "--raw-texts", name, "--budget", "2",
                     "--min-tokens", "1", "--best", "--quiet"]  # fmt: skip
        Path("t.txt").write_text("my cat\n")
        for more in (["-o", "o.NPY"], ["-o", "o.TXT", "--ids", "ids.txt"], ["-o", "o.npy", "--dry-run"]):
            outcome = CliRunner().invoke(command, [*arguments, *more])
            assert outcome.exit_code == 0, (name, outcome.output)
        assert np.load("o.NPY").tolist() == expected
        assert records.read_texts("o.TXT") == [["a", "b", "c", "d\x0c", "e"][i] for i in expected]
        if not name.endswith("Parquet"):
            assert read_titles(name).tolist() == DOCUMENTS
    outcome = CliRunner().invoke(command, ["select", "d.jsonl:body", *arguments[2:], "-o", "p.npy", "--raw-texts", "d.jsonl"])
    assert outcome.exit_code == 0, outcome.output
    outcome = CliRunner().invoke(command, ["select", "d.md", *arguments[2:], "-o", "p.npy"])
    assert outcome.exit_code == 2
    assert "texts come from .txt" in outcome.output


def test_estimates_know_what_compressed_files_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("coremax.cli._estimate._TEXT_BYTES", 1 << 20)
    rng = np.random.default_rng(0)
    rows = "".join(json.dumps({"text": " ".join(map(str, rng.integers(0, 10**6, 20)))}) + "\n" for _ in range(40_000)).encode()
    Path("d.jsonl").write_bytes(rows)
    Path("d.jsonl.gz").write_bytes(gzip.compress(rows))
    Path("t.txt").write_text("1 2 3\n")
    needed = []
    for name in ("d.jsonl", "d.jsonl.gz"):
        arguments = ["select", name, "--method", "dsir", "--target-texts", "t.txt", "--budget", "2", "-o", "o.npy",
                     "--dry-run", "--json"]  # fmt: skip
        needed.append(json.loads(CliRunner().invoke(command, arguments).output)["bytes"] - 3 * (1 << 20))
    assert 0.7 < needed[1] / needed[0] < 1.3
    assert 0.7 < needed[0] / (40 * 40_000) < 1.3


def test_configurations(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    for content in (b"a = 1\n", MARK + b'a = 1\r\nb = "x"\r\n'):
        path.write_bytes(content)
        assert read_config(str(path))["a"] == 1
    for content, message in (
        ("a = 1".encode("utf-16"), "is UTF-16, not UTF-8"),
        (b"a = 1\nb = '\xff'\n", "line 2 is not UTF-8"),
        (b"a = \n", "Invalid value"),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=message) as caught:
            read_config(str(path))
        assert "c.toml" in str(caught.value)


def test_endings_of_arrays_in_capitals(tmp_path: Path) -> None:
    path = str(tmp_path / "X.NPY")
    require_target(path, (".npy",), [])
    with open(path, "wb") as file:
        columns_writer(path, {"x": np.arange(3)})(file)
    assert read_ids(path).tolist() == [0, 1, 2]
    for text, name in (("T.Parquet:A:b", "A:b"), ("x.NPZ:İ", "İ"), ("m.SafeTensors:", "")):
        source = parse_source(text)
        assert (source.path + ":" + str(source.name), source.name) == (text, name)
        assert source.suffix == os.path.splitext(source.path)[1].lower()
