"""The record beside every output: it repeats the run exactly, and says when something has changed."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import re
import shlex
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import coremax
from coremax.cli._methods import KNOBS, METHODS
from coremax.cli._record import Fingerprint, to_toml
from coremax.cli.commands import coremax as command
from helpers import clustered, interruptible

tomllib = pytest.importorskip("tomllib" if sys.version_info >= (3, 11) else "tomli")

N = 200
PROGRAM = [sys.executable, "-c", "from coremax.cli import main; main()"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(1)
    np.save("x.npy", clustered(N, 8, 10, seed=0))
    np.save("score.npy", rng.random(N))
    np.save("labels.npy", np.arange(N) % 3)
    np.save("costs.npy", 1 + rng.random(N))
    np.save("three.npy", np.array([3, 1, 4]))
    probabilities = rng.random((N, 3))
    np.save("p.npy", probabilities / probabilities.sum(axis=1, keepdims=True))
    Path("raw.txt").write_text("".join(f"text number {i} of {i % 7} kinds\n" for i in range(50)))
    Path("target.jsonl").write_text('{"text": "number 3 of kinds"}\n')
    return tmp_path


def toml(text: str) -> dict[str, Any]:
    document: dict[str, Any] = tomllib.loads(text)
    return document


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, list(arguments))


def record_of(*arguments: str) -> dict[str, Any]:
    """Run a command and return the record beside its output."""
    result = run(*arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    return toml(Path(arguments[arguments.index("-o") + 1] + ".toml").read_text())


def refused(*arguments: str) -> str:
    """Run a command that must fail and leave every file alone; returns its line."""
    before = {name: os.stat(name).st_mtime_ns for name in os.listdir()}
    result = run(*arguments)
    assert result.exit_code == 2, (result.output, result.exception)
    assert result.stderr.count("\n") == 1
    assert {name: os.stat(name).st_mtime_ns for name in os.listdir()} == before
    return result.stderr


SELECT = ("select", "x.npy", "--importance", "score.npy", "--budget", "10%", "-o", "kept.npy")

COMMANDS = {
    "infomax": (*SELECT, "--alpha", "0.5", "--labels", "labels.npy", "--bound", "none", "--drop-hardest", "10%"),
    "limits": (*SELECT, "--groups", "labels.npy", "--group-limits", "2:50%", "--include", "three.npy", "--solver", "greedy"),
    "costs": (*SELECT[:5], "20%", *SELECT[6:], "--costs", "costs.npy"),
    "sims": (*SELECT, "--method", "sims", "--target-mean", "0.2,0.7", "--cap", "none", "--higher", "hard"),
    "ccs": (*SELECT, "--method", "ccs", "--strata", "7"),
    "d2": (*SELECT, "--method", "d2", "-k", "4", "--metric", "cosine"),
    "top": (*SELECT, "--method", "top"),
    "moderate": ("select", "x.npy", "--method", "moderate", "--budget", "9", "-o", "kept.npy"),
    "semdedup": ("select", "x.npy", "--method", "semdedup", "--eps", "0.1", "--n-clusters", "3", "-o", "kept.npy"),
    "random": ("select", "x.npy", "--method", "random", "--budget", "100%", "-o", "kept.npy"),
    "dsir": ("select", "raw.txt", "--method", "dsir", "--target-texts", "target.jsonl", "--min-tokens", "1", "--budget", "5",
             "--best", "-o", "kept.npy"),
    "graph": ("graph", "x.npy", "-k", "4", "--mode", "approximate", "-o", "graph.npz"),
    "sample": ("sample", "score.npy", "--size", "50", "--replace", "--seed", "3", "-o", "drawn.npy"),
    "el2n": ("score", "el2n", "p.npy", "p.npy", "--labels", "labels.npy", "-o", "el2n.npy"),
    "sim": ("score", "sim", "x.npy", "--labels", "labels.npy", "--probabilities", "p.npy", "--probabilities", "p.npy", "-o",
            "sim.npy"),
}  # fmt: skip


@pytest.mark.usefixtures("folder")
def test_what_a_record_holds() -> None:
    record = record_of(*SELECT, "--labels", "labels.npy", "--seed", "7")
    assert record["command"] == "select"
    assert record["parameters"]["alpha"] == "auto"
    assert record["parameters"]["budget"] == 0.1
    assert record["parameters"]["seed"] == 7
    assert record["resolved"]["alpha"] > 0
    assert record["versions"]["coremax"] == coremax.__version__
    assert record["versions"]["numpy"] == np.__version__
    assert {"python", "platform", "isa", "cpus"} <= set(record["versions"])
    assert record["result"]["kept"] == 20
    assert {"read", "graph", "solve"} <= set(record["seconds"])
    for entry, role in zip(record["inputs"], ("embeddings", "importance", "labels"), strict=True):
        content = Path(entry["path"]).read_bytes()
        assert entry["role"] == role
        assert entry["bytes"] == len(content)
        assert entry["blake2b"] == hashlib.blake2b(content, digest_size=16).hexdigest()
    assert run(*SELECT, "--no-sidecar", "-o", "bare.npy").exit_code == 0
    assert not Path("bare.npy.toml").exists()


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("arguments", COMMANDS.values(), ids=COMMANDS)
def test_a_record_repeats_its_run(arguments: tuple[str, ...]) -> None:
    name = arguments[:2] if arguments[0] == "score" else arguments[:1]
    output = arguments[arguments.index("-o") + 1]
    record = record_of(*arguments)
    first, sidecar = Path(output).read_bytes(), output + ".toml"
    Path(output).unlink()
    again = run(*name, "--config", sidecar)
    assert again.exit_code == 0, again.output
    assert again.stderr == ""
    assert Path(output).read_bytes() == first, "the same bits"
    repeated = toml(Path(sidecar).read_text())
    for table in ("command", "parameters", "resolved", "inputs", "result"):
        assert repeated[table] == record[table]
    # What the command line gives goes before the configuration.
    other = output.replace(".", "-other.")
    assert run(*name, "--config", sidecar, "-o", other, "--threads", "1").exit_code == 0
    assert Path(other).read_bytes() == first


def test_a_hash_that_takes_long_tells_of_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(path: str, note: Any) -> str:
        for done in range(8):
            note(done, 8)
            time.sleep(0.15)
        return "abc"

    monkeypatch.setattr("coremax.cli._record.hash_file", slow)
    seen: list[int] = []
    found = Fingerprint("x.npy").result(lambda done, _: seen.append(done))
    assert found == {"bytes": os.path.getsize("x.npy"), "blake2b": "abc"}
    assert seen
    assert seen == sorted(seen)


def test_an_input_that_vanishes_takes_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(path: str, note: Any) -> str:
        raise FileNotFoundError(2, "No such file or directory", path)

    monkeypatch.setattr("coremax.cli._record.hash_file", gone)
    assert "No such file or directory" in refused(*SELECT)


@pytest.mark.usefixtures("folder")
def test_changed_inputs_are_refused_unless_named() -> None:
    record_of(*SELECT)
    first, score = np.load("kept.npy"), np.load("score.npy")
    np.save("score.npy", score[::-1])
    message = refused("select", "--config", "kept.npy.toml")
    assert "score.npy has changed since kept.npy.toml was written (same size, other content)" in message
    np.save("score.npy", score.astype(np.float32))
    assert "928 bytes, 1728 then" in refused("select", "--config", "kept.npy.toml")
    np.save("score.npy", score[::-1])
    assert run("select", "--config", "kept.npy.toml", "--importance", "score.npy").exit_code == 0
    assert not np.array_equal(np.load("kept.npy"), first)
    Path("score.npy").unlink()
    assert "score.npy: no such file" in refused("select", "--config", "kept.npy.toml")


@pytest.mark.parametrize("place", [".", "out", "link"])
def test_a_record_means_the_same_from_any_folder(place: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("elsewhere").mkdir()
    Path("out").mkdir()
    Path("far/off").mkdir(parents=True)
    Path("link").symlink_to("far/off")
    np.savez("both.npz", score=np.load("score.npy"))
    output = os.path.join(place, "kept.npy")
    record = record_of("select", "x.npy", "--importance", "both.npz:score", "--budget", "10%", "-o", output)
    assert record["paths_from"] == "this file"
    assert record["parameters"]["output"] == "kept.npy"
    first = Path(output).read_bytes()
    assert run("select", "x.npy", "--importance", str(folder / "score.npy"), "--budget", "9", "-o", "abs.npy",
               "--save-config", os.path.join(place, "saved.toml"), "--no-sidecar").exit_code == 0  # fmt: skip
    saved = toml(Path(place, "saved.toml").read_text())["parameters"]
    assert saved["importance"] == str(folder / "score.npy"), "absolute paths stay"
    monkeypatch.chdir("elsewhere")
    (folder / "elsewhere/x.npy").write_text("another file of the name")
    again = run("select", "--config", f"../{output}.toml", "-o", "again.npy")
    assert (again.exit_code, again.stderr) == (0, "")
    assert Path("again.npy").read_bytes() == first
    Path("again.npy.toml").rename("moved.toml")  # in the same folder, so that it means the same
    assert run("select", "--config", "moved.toml", "-o", "third.npy").exit_code == 0
    assert Path("third.npy").read_bytes() == first
    Path("..", output).unlink()
    assert run("select", "--config", f"../{output}.toml").exit_code == 0, "the output as well"
    assert Path("..", output).read_bytes() == first
    assert run("select", "--config", f"../{place}/saved.toml").exit_code == 0
    assert set(os.listdir()) == {"x.npy", "again.npy", "moved.toml", "third.npy", "third.npy.toml"}


def test_records_without_the_key_mean_the_working_directory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = to_toml({key: value for key, value in record_of(*SELECT).items() if key != "paths_from"})
    Path("below").mkdir()
    Path("below/old.toml").write_text(text)
    assert run("select", "--config", "below/old.toml", "-o", "again.npy").exit_code == 0
    assert Path("again.npy").read_bytes() == Path("kept.npy").read_bytes()
    monkeypatch.chdir("below")
    assert "x.npy: no such file" in refused("select", "--config", "old.toml")
    Path("odd.toml").write_text("paths_from = 'home'\n" + text)
    assert "paths_from must be 'this file' or 'working directory', got 'home'" in refused("select", "--config", "odd.toml")


@pytest.mark.usefixtures("folder")
def test_a_report_that_fails_leaves_the_selection(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    assert run(*SELECT).exit_code == 0
    first, record = Path("kept.npy").read_bytes(), toml(Path("kept.npy.toml").read_text())
    Path("kept.npy").unlink()
    Path("kept.npy.toml").unlink()
    Path("page.html").write_text("of before")

    def full(*_: Any, **__: Any) -> str:
        raise OSError(28, "No space left on device", "page.html")

    monkeypatch.setattr("coremax.Selection.report", full)
    result = run(*SELECT, "--report", "page.html")
    assert result.exit_code == 2
    assert result.stdout.startswith("kept 20 of 200 by infomax -> kept.npy\n")
    assert "report:" not in result.stdout
    assert result.stderr == (
        "coremax: kept.npy is written, but its report is not: [Errno 28] No space left on device: 'page.html'\n"
    )
    assert Path("kept.npy").read_bytes() == first
    assert toml(Path("kept.npy.toml").read_text())["inputs"] == record["inputs"]
    assert Path("page.html").read_text() == "of before"
    found = json.loads(run(*SELECT, "--report", "page.html", "--json").stdout)
    assert "No space left" in found["report_error"]


@pytest.mark.usefixtures("folder")
def test_another_output_leaves_the_report_of_the_first_alone() -> None:
    pytest.importorskip("matplotlib")
    assert run(*SELECT, "--report", "page.html", "--labels", "labels.npy").exit_code == 0
    first = Path("page.html").read_bytes()
    again = run("select", "--config", "kept.npy.toml", "-o", "new.npy", "--budget", "5%")
    assert again.exit_code == 0, again.output
    assert again.stderr == "coremax: the report goes to new.html, as page.html is that of an earlier run\n"
    assert Path("page.html").read_bytes() == first
    assert Path("new.html").read_bytes() != first
    assert toml(Path("new.npy.toml").read_text())["parameters"]["report"] == "new.html"
    Path("new.npy").unlink()
    message = refused("select", "--config", "kept.npy.toml", "-o", "new.npy")
    assert "page.html and new.html are there already: name another file with --report" in message
    assert run("select", "--config", "kept.npy.toml", "-o", "new.npy", "--report", "new.html").exit_code == 0
    assert run("select", "--config", "kept.npy.toml").exit_code == 0, "the same run over its own files"


@pytest.mark.usefixtures("folder")
def test_other_versions_are_told_of() -> None:
    record_of(*SELECT)
    text = Path("kept.npy.toml").read_text().replace(f'coremax = "{coremax.__version__}"', 'coremax = "0.0.1"')
    Path("old.toml").write_text(text)
    result = run("select", "--config", "old.toml")
    assert result.exit_code == 0
    assert result.stderr == f"coremax: old.toml: coremax 0.0.1 then, {coremax.__version__} now; the result may differ\n"
    assert run("select", "--config", "old.toml", "--quiet").stderr == ""


@pytest.mark.usefixtures("folder")
def test_configurations_by_hand() -> None:
    lines = '[parameters]\nembeddings = "x.npy"\nimportance = "score.npy"\n'
    Path("run.toml").write_text(f'{lines}budget = "5%"\ndrop-hardest = 0.2\n')
    record = record_of("select", "--config", "run.toml", "--save-config", "saved.toml", "-o", "kept.npy")
    assert record["parameters"]["budget"] == 0.05
    assert record["parameters"]["drop_hardest"] == 0.2
    saved = toml(Path("saved.toml").read_text())
    assert saved == {"command": "select", "paths_from": "this file", "parameters": record["parameters"]}
    first = np.load("kept.npy")
    assert run("select", "--config", "saved.toml").exit_code == 0
    assert np.array_equal(np.load("kept.npy"), first)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("colour = 3", "has no parameter 'colour'"),
        ("budget = 1.5", "a budget as a share must be above 0"),
        ("k = 2.5", "'2.5' is not a valid integer"),
        ("strata = 3", "--strata belongs to --method ccs, not to infomax"),
        ("seed = -1", "'-1' is no whole number from 0"),
        ("method = 'best'", "'best' is not one of"),
        ("labels = 3", "3: the name must end in"),
        ("sidecar = false", "has no parameter 'sidecar'"),
        ("[inputs]", "[[inputs]] must be tables"),
    ],
)
def test_configurations_are_checked_as_the_command_line_is(line: str, message: str) -> None:
    Path("bad.toml").write_text(f"[parameters]\nembeddings = 'x.npy'\nimportance = 'score.npy'\n{line}\n")
    budget = () if "budget" in line else ("--budget", "5")
    assert message in refused("select", "--config", "bad.toml", "-o", "other.npy", *budget)


@pytest.mark.usefixtures("folder")
def test_a_configuration_belongs_to_its_command() -> None:
    Path("bad.toml").write_text("command = 'sample'\n[parameters]\n")
    assert "is of `coremax sample`, not of `coremax select`" in refused("select", "--config", "bad.toml", "-o", "other.npy")
    assert "x.npy: " in refused("select", "--config", "x.npy", "-o", "other.npy")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_records_never_end_in_a_traceback(data: st.DataObject, folder: Path) -> None:
    record = record_of("sample", "score.npy", "--size", "50", "-o", "drawn.npy")
    content = bytearray(to_toml({**record, "seconds": {}}).encode())  # the same in every example
    for _ in range(data.draw(st.integers(1, 3), "edits")):
        place = data.draw(st.integers(0, len(content) - 1), "place")
        content[place : place + data.draw(st.integers(0, 2))] = data.draw(
            st.sampled_from(b'09-.,="[]{}\n\\ax\xff').map(lambda c: bytes([c]))
        )
    Path("damaged.toml").write_bytes(content)
    result = run("sample", "--config", "damaged.toml", "-o", "again.npy")
    assert result.exit_code in (0, 2), result.exception
    assert result.exit_code == 0 or result.stderr.count("\n") == 1
    assert Path("again.npy").exists() == (result.exit_code == 0)
    Path("again.npy").unlink(missing_ok=True)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SCALARS = st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | TEXTS
TABLES = st.dictionaries(TEXTS, SCALARS | st.lists(TEXTS, max_size=3), max_size=4)


@given(SCALARS, TABLES, st.lists(TABLES, min_size=1, max_size=3))
def test_toml_reads_back(scalar: Any, table: dict[str, Any], tables: list[dict[str, Any]]) -> None:
    document = {"scalar": scalar, "table": table, "tables": tables}
    assert toml(to_toml(document, "a comment")) == document
    assert "nan" in to_toml({"a": float("nan"), "b": None})


def test_every_argument_of_a_method_has_an_option() -> None:
    elsewhere = {"x", "n", "texts", "importance", "score", "budget", "seed", "threads", "progress", "copy"}
    for method, function in METHODS.items():
        offered = {knob.keyword for knob in KNOBS if method in knob.defaults}
        assert set(inspect.signature(function).parameters) - elsewhere == offered, method


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("method", [method for method in METHODS if method not in ("infomax", "dsir")])
def test_options_of_other_methods_are_refused(method: str) -> None:
    message = refused(
        "select", "x.npy", "--importance", "score.npy", "--method", method, "--budget", "5", "-o", "k.npy", "--alpha", "1"
    )
    assert f"--alpha belongs to --method infomax, not to {method}" in message


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("name", COMMANDS)
def test_dry_runs_write_nothing(name: str) -> None:
    arguments = COMMANDS[name]
    before = set(os.listdir())
    result = run(*arguments, "--dry-run", "--save-config", "saved.toml")
    assert result.exit_code == 0, (result.output, result.exception)
    assert "nothing was written" in result.stdout
    found = json.loads(run(*arguments, "--dry-run", "--json").stdout)
    assert found["input_bytes"] > 0
    if arguments[0] != "score":
        assert found["seconds"]["total"] > 0
        assert found["bytes"] > 0
    assert set(os.listdir()) == before


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((*SELECT[:5], "201", *SELECT[6:]), "budget must be from 1 to the number of samples, 200, got 201"),
        ((*SELECT, "--include", "far.npy"), r"include\[1\] is 999"),
        ((*SELECT, "--groups", "labels.npy", "--group-limits", "90:90"), "group 0 wants at least 90"),
        ((*SELECT, "--group-limits", "10%"), "--group-limits needs --groups"),
        ((*SELECT, "--costs", "negative.npy"), r"costs\[0\] is -1"),
        (("select", "odd.jsonl", *COMMANDS["dsir"][2:]), "odd.jsonl.*line 2"),
        (("graph", "nan.npy", "-o", "g.npz"), "is nan"),
        (("graph", "x.npy", "--mode", "approximate", "--recall", "2", "-o", "g.npz"), "recall must be"),
        (("graph", "x.npy", "--memory-limit", "1KB", "-o", "g.npz"), "memory_limit allows 1000"),
        (("sample", "score.npy", "--size", "201", "-o", "d.npy"), "only 200 weights are positive"),
        (("sample", "score.npy", "--size", "2000000", "-o", "d.npy"), "there are 200 weights"),
        (("sample", "score.npy", "--size", "-1", "-o", "d.npy"), "-1 is not in the range"),
        (("sample", "negative.npy", "--size", "1", "-o", "d.npy"), "is negative"),
        (("score", "el2n", "p.npy", "--labels", "three.npy", "-o", "e.npy"), "labels has 3 elements"),
    ],
)
def test_dry_runs_refuse_what_the_run_would(arguments: tuple[str, ...], message: str) -> None:
    np.save("far.npy", np.array([1, 999]))
    np.save("negative.npy", np.full(N, -1.0))
    np.save("nan.npy", np.full((N, 4), np.nan, dtype=np.float32))
    Path("odd.jsonl").write_text('{"text": "a b"}\n{"body": "c d"}\n')
    assert re.search(message, refused(*arguments, "--dry-run"))
    refused(*arguments)


@pytest.mark.usefixtures("folder")
def test_dry_runs_on_some_of_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coremax.cli._estimate._ROWS", 50)
    for budget in ("200", "100%"):
        result = run(*SELECT[:5], budget, *SELECT[6:], "--include", "three.npy", "--dry-run")
        assert result.exit_code == 0, result.output
        assert "by a trial on 50 of 200 rows" in result.stdout
    assert "from 1 to the number of samples, 200, got 201" in refused(*SELECT[:5], "201", *SELECT[6:], "--dry-run")


@pytest.mark.parametrize(("sign", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_leaves_nothing_half_written(folder: Path, sign: signal.Signals, code: int) -> None:
    # Minutes of work, and the interruption comes while the engine runs.
    np.save("large.npy", np.random.default_rng(0).normal(size=(120_000, 512)).astype(np.float16))
    np.save("scores.npy", np.random.default_rng(0).random(120_000))
    Path("kept.npy").write_bytes(b"an earlier result")
    before = set(os.listdir())
    arguments = ["select", "large.npy", "--importance", "scores.npy", "--budget", "10%", "-o", "kept.npy", "--isa", "scalar"]
    with interruptible([*PROGRAM, *arguments], stderr=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        time.sleep(3)
        assert process.poll() is None
        process.send_signal(sign)
        out, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert out == ""
    assert err.strip() in ("coremax: interrupted", "")
    assert set(os.listdir()) == before
    assert Path("kept.npy").read_bytes() == b"an earlier result"


@pytest.mark.usefixtures("folder")
def test_an_interruption_while_writing_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(file: Any, *_: Any, **__: Any) -> None:
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "save", interrupted)
    before = set(os.listdir())
    assert run(*SELECT).exit_code == 130
    assert set(os.listdir()) == before


@pytest.mark.usefixtures("folder")
def test_the_record_tells_a_command_that_can_be_pasted() -> None:
    assert run(*SELECT[:-1], "of mine.npy").exit_code == 0
    first = Path("of mine.npy.toml").read_text().partition("\n")[0]
    assert shlex.split(first.split("`")[1]) == ["coremax", "select", "--config", "of mine.npy.toml"]


@pytest.mark.usefixtures("folder")
def test_streams_that_are_closed_or_full() -> None:
    shell = f"{shlex.join(PROGRAM)} {shlex.join(SELECT)}"
    closed = subprocess.run(f"{shell} 2>&-", shell=True, capture_output=True, text=True, check=False)
    assert closed.returncode == 0
    assert "kept 20 of 200" in closed.stdout
    if os.path.exists("/dev/full"):
        for arguments in ("--help", "info", "score"):
            line = f"{shlex.join(PROGRAM)} {arguments} > /dev/full"
            full = subprocess.run(line, shell=True, capture_output=True, text=True, check=False)
            assert full.returncode == 2
            assert full.stderr.startswith("coremax: ")
            assert full.stderr.count("\n") == 1


@pytest.mark.usefixtures("folder")
def test_quiet_and_json() -> None:
    assert run(*SELECT, "--quiet").output == ""
    summary = json.loads(run(*SELECT, "--json", "--bound", "none").stdout)
    assert summary["upper_bound"] is None, "JSON has no infinity"
    assert summary["sidecar"] == "kept.npy.toml"


@pytest.mark.usefixtures("folder")
def test_bars_are_drawn_on_a_terminal() -> None:
    fcntl, pty, termios = (pytest.importorskip(name) for name in ("fcntl", "pty", "termios"))
    main, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
    drawn = b""
    with subprocess.Popen([*PROGRAM, *SELECT], stderr=terminal, stdout=subprocess.PIPE) as process:
        os.close(terminal)
        try:
            while block := os.read(main, 4096):
                drawn += block
        except OSError:  # the other end is closed
            pass
        process.communicate()
    os.close(main)
    assert process.returncode == 0
    assert b"graph:" in drawn
    assert b"it/s" in drawn
