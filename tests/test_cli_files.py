"""Files in and out of the command line: every format, and files that are damaged, hostile or no files at all."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from coremax.cli._read import parse_source, read_array, read_ids, read_titles
from coremax.cli.commands import coremax as command

N = 40
X = np.random.default_rng(0).normal(size=(N, 4)).astype(np.float32)
SCORE = np.random.default_rng(1).random(N)
LABELS = np.arange(N) % 3
IDS = [f"doc-{i}" for i in range(N)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", X)
    np.save("score.npy", SCORE)
    np.savez("data.npz", x=X, score=SCORE)
    np.savez_compressed("packed.npz", x=X, score=SCORE)
    return tmp_path


def write_parquet(path: str = "table.parquet", **changed: Any) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    columns = {
        "fixed": pa.FixedSizeListArray.from_arrays(pa.array(X.ravel()), X.shape[1]),
        "lists": pa.array(X.tolist(), pa.list_(pa.float32())),
        "score": SCORE,
        "id": IDS,
        "number": np.arange(N) * 10,
        "language": pa.array(["en", "de"] * (N // 2)).dictionary_encode(),
        **{f"part_{j}": X[:, j] for j in range(X.shape[1])},
        **changed,
    }
    pq.write_table(pa.table(columns), path, row_group_size=16)


def write_safetensors(path: str = "data.safetensors") -> None:
    torch, safe = pytest.importorskip("torch"), pytest.importorskip("safetensors.torch")
    x = torch.from_numpy(X)
    safe.save_file({"x": x, "half": x.half(), "brain": x.bfloat16(), "score": torch.from_numpy(SCORE)}, path)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, list(arguments))


def read(text: str) -> np.ndarray[Any, Any]:
    return read_array(parse_source(text))


def select(x: str, *more: str, output: str = "kept.npy") -> Result:
    return run("select", x, "--importance", "score.npy", "--budget", "10", "-o", output, "-k", "3", *more)


def assert_refused(result: Result, before: set[str]) -> None:
    assert result.exit_code == 2, (result.output, result.exception)
    assert result.stdout == ""
    assert result.stderr.startswith("coremax: ")
    assert result.stderr.count("\n") == 1
    assert set(os.listdir()) == before, "nothing may be left behind"


@pytest.mark.usefixtures("folder")
def test_numpy_formats_give_the_same_numbers() -> None:
    np.save("fortran.npy", np.asfortranarray(X))
    np.save("big.npy", X.astype(">f4"))
    for text in ("x.npy", "fortran.npy", "big.npy", "data.npz:x", "packed.npz:x"):
        found = read(text)
        assert found.dtype == np.float32
        assert np.array_equal(found, X)
    assert not read("x.npy").flags.owndata, "mapped"


@pytest.mark.usefixtures("folder")
def test_parquet() -> None:
    write_parquet()
    names = ",".join(f"part_{j}" for j in range(X.shape[1]))
    for column in ("fixed", "lists", "part_*", names, "part_0,part_[1-3]"):
        found = read(f"table.parquet:{column}")
        assert found.dtype == np.float32
        assert np.array_equal(found, X), column
    assert np.array_equal(read("table.parquet:score"), SCORE)
    assert read("table.parquet:id").tolist() == IDS
    assert read("table.parquet:language").tolist() == ["en", "de"] * (N // 2)
    seen: list[tuple[int, int]] = []
    read_array(parse_source("table.parquet:score"), lambda done, total: seen.append((done, total)))
    assert seen[-1] == (N, N)


@pytest.mark.usefixtures("folder")
def test_safetensors_is_mapped() -> None:
    write_safetensors()
    assert np.array_equal(read("data.safetensors:x"), X)
    assert np.array_equal(read("data.safetensors:half"), X.astype(np.float16))
    brain = read("data.safetensors:brain")
    assert str(brain.dtype) == "bfloat16"
    assert not brain.flags.owndata
    assert np.abs(brain.astype(np.float32) - X).max() < 0.02


@pytest.mark.usefixtures("folder")
def test_every_format_selects_the_same() -> None:
    write_parquet()
    write_safetensors()
    kept = []
    for x in ("x.npy", "packed.npz:x", "table.parquet:fixed", "table.parquet:part_*", "data.safetensors:x"):
        assert select(x).exit_code == 0
        kept.append(np.load("kept.npy").tolist())
    assert kept.count(kept[0]) == len(kept)
    assert select("data.safetensors:brain").exit_code == 0
    assert select("table.parquet:fixed", "--labels", "table.parquet:language").exit_code == 0


@pytest.mark.usefixtures("folder")
def test_outputs() -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    write_parquet()
    for output in ("kept.npy", "kept.txt", "kept.parquet"):
        assert select("x.npy", output=output).exit_code == 0
    kept = np.load("kept.npy").tolist()
    assert [int(line) for line in Path("kept.txt").read_text().splitlines()] == kept
    assert pq.read_table("kept.parquet").to_pydict() == {"index": kept}
    Path("ids.txt").write_text("\n".join(IDS) + "\n")
    wanted = [IDS[i] for i in kept]
    for ids in ("ids.txt", "table.parquet:id"):
        for output in ("kept.npy", "kept.txt", "kept.parquet"):
            assert select("x.npy", "--ids", ids, output=output).exit_code == 0
        assert np.load("kept.npy").tolist() == wanted
        assert Path("kept.txt").read_text().splitlines() == wanted
        assert pq.read_table("kept.parquet").to_pydict() == {"id": wanted, "index": kept}
    assert select("x.npy", "--ids", "table.parquet:number").exit_code == 0
    assert np.load("kept.npy").tolist() == [10 * i for i in kept]
    assert run("select", "x.npy", "--method", "random", "--budget", "10", "-o", "drawn.parquet").exit_code == 0
    assert pq.read_table("drawn.parquet").to_pydict()["weight"] == [4.0] * 10


@pytest.mark.usefixtures("folder")
def test_ids_may_not_repeat_and_titles_may() -> None:
    Path("ids.txt").write_text("\n".join(["a", "b", "a"]))
    assert read_titles("ids.txt").tolist() == ["a", "b", "a"]
    with pytest.raises(ValueError, match=r"ids.txt: the id 'a' comes twice, in rows 0 and 2"):
        read_ids("ids.txt")
    Path("ids.txt").write_text("\n".join(IDS[:-1]))
    before = set(os.listdir())
    result = select("x.npy", "--ids", "ids.txt")
    assert_refused(result, before)
    assert "ids.txt has 39 entries, but x.npy has 40 rows" in result.stderr
    Path("ids.txt").write_bytes(b"\xff\xfe\n" * N)
    assert_refused(select("x.npy", "--ids", "ids.txt"), before)


def npy(header: str, data: bytes = b"\0" * 64, version: bytes = b"\x01\x00") -> bytes:
    text = header.encode()
    length = struct.pack("<H" if version[0] == 1 else "<I", len(text))
    return b"\x93NUMPY" + version + length + text + data


HOSTILE_NPY = {
    "longer than the file": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1000, 4)}\n"),
    "shorter than the file": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 4)}\n"),
    "another type": npy("{'descr': '<f8', 'fortran_order': False, 'shape': (4, 4)}\n"),
    "beyond 64 bits": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 16)}\n"),
    "negative": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-4, -4)}\n"),
    "boolean": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (True, 16)}\n"),
    "no elements": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 4)}\n", b""),
    "objects": npy("{'descr': '|O', 'fortran_order': False, 'shape': (8,)}\n"),
    "records": npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (16,)}\n"),
    "complex": npy("{'descr': '<c8', 'fortran_order': False, 'shape': (4, 2)}\n"),
    "times": npy("{'descr': '<M8[s]', 'fortran_order': False, 'shape': (4, 2)}\n"),
    "void": npy("{'descr': '|V2', 'fortran_order': False, 'shape': (4, 8)}\n"),
    "code": npy("__import__('os').abort()\n"),
    "deep": npy("(" * 9000 + ")" * 900 + "\n"),
    "long": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4, 4)}" + " " * 20_000 + "\n"),
    "no dictionary": npy("[1, 2]\n"),
    "no header": b"\x93NUMPY\x01\x00",
    "another version": npy("{}\n", version=b"\x09\x00"),
    "a pickle": b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x94.",
    "an archive": b"PK\x05\x06" + b"\0" * 18,
    "nothing": b"",
    "control codes": npy("\x1b[2J\x07\n"),
}


@pytest.mark.usefixtures("folder")
def test_objects_of_python_are_told_the_remedy() -> None:
    np.save("bad.npy", np.array(["a", 1.5], dtype=object))
    message = "coremax: bad.npy: holds Python objects, which are not read: save numbers or texts, as by array.astype(str)\n"
    assert select("bad.npy").stderr == message


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("content", HOSTILE_NPY.values(), ids=HOSTILE_NPY)
def test_hostile_npy(content: bytes) -> None:
    Path("bad.npy").write_bytes(content)
    before = set(os.listdir())
    result = select("bad.npy")
    assert_refused(result, before)
    assert result.stderr.startswith("coremax: bad.npy: ")
    assert "\x1b" not in result.stderr
    assert len(result.stderr) < 1000
    with zipfile.ZipFile("bad.npz", "w") as archive:
        archive.writestr("x.npy", content)
    packed = select("bad.npz")
    assert_refused(packed, before | {"bad.npz"})
    assert packed.stderr.startswith("coremax: bad.npz: ")


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("extra", [b"\0", b"\0" * 16, b"\0" * 4096])
def test_bytes_beyond_the_array_are_refused(extra: bytes) -> None:
    content = Path("x.npy").read_bytes() + extra
    Path("bad.npy").write_bytes(content)
    with zipfile.ZipFile("bad.npz", "w") as archive:
        archive.writestr("x.npy", content)
    before = set(os.listdir())
    for name in ("bad.npy", "bad.npz"):
        result = select(name)
        assert_refused(result, before)
        assert f"{name}: its header speaks of float32 (40, 4), " in result.stderr


@pytest.mark.usefixtures("folder")
def test_an_archive_that_does_not_fit_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez_compressed("bomb.npz", x=np.zeros((1000, 1000)))
    assert os.path.getsize("bomb.npz") < 20_000
    monkeypatch.setattr("coremax._runtime.memory.available", lambda: 10**6)
    before = set(os.listdir())
    result = select("bomb.npz")
    assert_refused(result, before)
    assert "bomb.npz: takes 8000128 bytes uncompressed, but 1000000 are free" in result.stderr


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("column", "changed", "message"),
    [
        ("score", [None, *SCORE[1:]], r"score[0] is null"),
        ("id", [*IDS[:-1], None], r"id[39] is null"),
        ("lists", [*X.tolist()[:-1], [1.0]], r"has 1 elements"),
        ("lists", [[1.0, None]] * N, r"lists[0] holds a null"),
        ("score", [[{"a": 1}]] * N, r"must be a column of numbers"),
        ("absent", SCORE, r"name one of its columns"),
        ("part_0,id", SCORE, r"can not stand beside others"),
        ("part_0,nothing_*", SCORE, r"name one of its columns"),
    ],
)
def test_hostile_parquet(column: str, changed: Any, message: str) -> None:
    if "," in column or column == "absent":
        write_parquet()
    else:
        write_parquet(**{column: changed})
    before = set(os.listdir())
    role = "--ids" if column == "id" else "--importance" if column == "score" else None
    arguments = ["select", f"table.parquet:{column}" if role is None else "x.npy", "--budget", "5", "-o", "kept.npy"]
    if role != "--importance":
        arguments += ["--importance", "score.npy"]
    if role is not None:
        arguments += [role, f"table.parquet:{column}"]
    result = run(*arguments)
    assert_refused(result, before)
    assert message in result.stderr


@pytest.mark.usefixtures("folder")
def test_what_is_no_file() -> None:
    Path("null.npy").symlink_to("/dev/null")
    Path("folder.npy").mkdir()
    os.mkfifo("pipe.npy")
    Path("loop.npy").symlink_to("loop.npy")
    before = set(os.listdir())
    for name, message in (
        ("null.npy", "is no regular file"),
        ("pipe.npy", "is no regular file"),
        ("folder.npy", "is a folder"),
        ("loop.npy", "symbolic links"),
        ("x" * 300 + ".npy", "too long"),
        ("x.npy/y.npy", "Not a directory"),
    ):
        result = select(name)
        assert_refused(result, before)
        assert message in result.stderr
    for name in ("\udcff.npy", "a\udcffb.npz:x"):
        assert_refused(select(name), before)
        assert_refused(select("x.npy", output="\udcff.npy"), before)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read and write everything")
@pytest.mark.usefixtures("folder")
def test_what_may_not_be_touched() -> None:
    before = set(os.listdir())
    os.chmod("score.npy", 0)
    assert_refused(select("x.npy"), before)
    os.chmod("score.npy", 0o644)
    os.chmod(".", 0o500)
    assert_refused(select("x.npy"), before)
    os.chmod(".", 0o700)


@pytest.mark.usefixtures("folder")
def test_an_input_is_never_an_output() -> None:
    os.link("x.npy", "other-name.npy")
    Path("link.npy").symlink_to("score.npy")
    content = {name: Path(name).read_bytes() for name in ("x.npy", "score.npy")}
    before = set(os.listdir())
    for output in ("./x.npy", "score.npy", "other-name.npy", "link.npy"):
        assert_refused(select("x.npy", output=output), before)
    os.rename("score.npy", "kept.npy.toml")
    Path("link.npy").unlink()
    before = set(os.listdir())
    bad = run("select", "x.npy", "--method", "random", "--budget", "3", "-o", "kept.npy", "--save-config", "kept.npy.toml")
    assert_refused(bad, before)
    assert "two results go to one file" in bad.stderr
    assert Path("x.npy").read_bytes() == content["x.npy"]
    assert Path("kept.npy.toml").read_bytes() == content["score.npy"]


@pytest.mark.usefixtures("folder")
def test_an_earlier_output_stays_where_a_run_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    assert select("x.npy").exit_code == 0
    files = {name: Path(name).read_bytes() for name in os.listdir()}

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    for place in ("coremax.cli._job.to_toml", "numpy.save"):
        with monkeypatch.context() as patch:
            patch.setattr(place, full)
            assert_refused(select("x.npy", "--seed", "3"), set(files))
    assert {name: Path(name).read_bytes() for name in os.listdir()} == files


FORMATS = ["npy", "npz", "packed.npz", "parquet", "safetensors"]


def intact(kind: str, folder: Path) -> tuple[bytes, str]:
    """Bytes of a sound file of a format, and how to name its array."""
    path = folder / f"sound.{kind.rpartition('.')[2]}"
    if kind == "npy":
        np.save(path, X)
    elif kind == "npz":
        np.savez(path, x=X, y=SCORE)
    elif kind == "packed.npz":
        np.savez_compressed(path, x=X, y=SCORE)
    elif kind == "parquet":
        write_parquet(str(path))
    else:
        pytest.importorskip("safetensors")
        write_safetensors(str(path))
    return path.read_bytes(), {"npy": "", "parquet": ":fixed"}.get(kind, ":x")


@pytest.mark.parametrize("kind", FORMATS)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_files_never_end_in_a_traceback(kind: str, data: st.DataObject, folder: Path) -> None:
    sound, name = intact(kind, folder)
    content = bytearray(sound[: data.draw(st.integers(0, len(sound)), "length")])
    for _ in range(data.draw(st.integers(0, 4), "flips") if content else 0):
        content[data.draw(st.integers(0, len(content) - 1), "place")] = data.draw(st.integers(0, 255), "byte")
    bad = f"bad.{kind.rpartition('.')[2]}"
    Path(bad).write_bytes(content)
    before = set(os.listdir())
    result = run(
        "select", bad + name, "--importance", "score.npy", "--budget", "4", "-o", "never.npy", "-k", "2", "--no-sidecar"
    )
    if result.exit_code == 0:
        Path("never.npy").unlink()
    else:
        assert_refused(result, before)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=300) | st.text(max_size=100).map(str.encode))
@example(content=b'command = "select"\n[parameters]\nbudget = [1, 2]\n')
@example(content=b'command = "select"\n[parameters]\nbudget = true\n')
@example(content=b"[parameters]\nembeddings = 1979-05-27\n")
@example(content=b"[parameters]\nreplace = 1\n")
@example(content=b'[parameters]\nembeddings = "a\\u0000b.npy"\nbudget = 1\n')
@example(content=b"a = " + b"[" * 250)
@example(content=b'inputs = [1]\n[parameters]\n[versions]\ncoremax = ["x"]\n')
@example(
    content=b"[[inputs]]\nrole = 'embeddings'\npath = 'x.npy'\nbytes = ''\nblake2b = 3\n[parameters]\nembeddings = 'x.npy'\n"
)
def test_damaged_configurations_never_end_in_a_traceback(content: bytes, folder: Path) -> None:
    Path("run.toml").write_bytes(content)
    before = set(os.listdir())
    assert_refused(run("select", "--config", "run.toml", "--budget", "3", "--method", "random", "-o", "never.npy"), before)


@pytest.mark.usefixtures("folder")
def test_a_missing_library_is_named() -> None:
    write_parquet()
    code = "import sys; sys.modules['pyarrow'] = None; sys.argv[0] = 'coremax'; from coremax.cli import main; main()"
    arguments = ["select", "table.parquet:fixed", "--method", "random", "--budget", "3", "-o", "kept.npy"]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "coremax: this needs pyarrow: pip install 'coremax[files]'\n"
