"""`coremax select` and `coremax info`: files in, files out, one line and exit code 2 for bad input."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

import coremax
from coremax.cli._options import parse_share, parse_weight
from coremax.cli.commands import coremax as command
from coremax.solver._solver import METHODS
from helpers import clustered

N = 200


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    x, score = clustered(N, 8, 10, seed=0), np.random.default_rng(1).random(N)
    np.save("x.npy", x)
    np.save("score.npy", score)
    np.save("labels.npy", np.arange(N) % 3)
    np.savez("both.npz", x=x, score=score)
    np.savez("one.npz", x)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, list(arguments))


def expected(budget: int | float = 0.1, **options: Any) -> list[int]:
    kept = coremax.infomax(np.load("x.npy"), np.load("score.npy"), budget, **options).indices
    return [int(i) for i in kept]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("x", ["x.npy", "one.npz", "both.npz:x"])
@pytest.mark.parametrize("budget", ["10%", "0.1", "20"])
def test_select(x: str, budget: str) -> None:
    result = run("select", x, "--importance", "both.npz:score", "--budget", budget, "-o", "kept.npy")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("kept 20 of 200 by infomax -> kept.npy\nobjective ")
    kept = np.load("kept.npy")
    assert kept.dtype == np.int64
    assert kept.tolist() == expected()


@pytest.mark.usefixtures("folder")
def test_options_reach_the_method() -> None:
    options = ["--alpha", "2", "-k", "4", "--metric", "euclidean", "--partitions", "3", "--normalize", "rank", "--seed", "5"]
    options += ["--target", "score", "--labels", "labels.npy"]
    arguments = [
        "x.npy",
        "--importance",
        "score.npy",
        "--budget",
        "30",
        "-o",
        "kept.txt",
        "--drop-hardest",
        "20%",
        "--threads",
        "2",
    ]
    result = run("select", *arguments, *options, "--memory-limit", "1GB", "--json")
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert summary["parameters"].pop("seed", 5) == 5
    assert summary["parameters"].pop("method") in METHODS
    assert summary["parameters"] == {
        "alpha": 2.0, "k": 4, "metric": "euclidean", "partitions": 3, "target": "score", "tilt": pytest.approx(1.2),
        "normalize": "rank", "drop_hardest": 0.2, "max_contradiction": 0.7, "class_floor": pytest.approx(0.85),
        "typical": 10, "negative_similarities": "clip",
    }  # fmt: skip
    assert (summary["n"], summary["kept"], summary["output"]) == (200, 30, "kept.txt")
    assert summary["upper_bound"] >= summary["objective"]
    assert set(summary["seconds"]) == {"read", "graph", "symmetric", "typical", "solve", "hash", "write", "total"}
    kept = [int(line) for line in Path("kept.txt").read_text().split()]
    parameters = {"alpha": 2.0, "k": 4, "metric": "euclidean", "partitions": 3, "normalize": "rank", "seed": 5}
    labels = np.load("labels.npy")
    assert kept == expected(30, drop_hardest=0.2, target="score", labels=labels, **parameters)


@pytest.mark.usefixtures("folder")
def test_baselines() -> None:
    assert run("select", "x.npy", "--method", "random", "--budget", "15", "-o", "r.npy", "--seed", "3").exit_code == 0
    assert np.array_equal(np.load("r.npy"), coremax.selection.random(N, 15, seed=3).indices)
    assert (
        run("select", "x.npy", "--method", "top", "--importance", "score.npy", "--budget", "15", "-o", "t.npy").exit_code == 0
    )
    assert np.array_equal(np.load("t.npy"), coremax.selection.top(np.load("score.npy"), 15).indices)


@pytest.mark.usefixtures("folder")
def test_the_summary_says_how_many_of_the_hardest_went() -> None:
    common = ("select", "x.npy", "--importance", "score.npy", "--budget", "10%", "-o", "kept.npy", "--drop-hardest")
    for share, told in (("100%", "dropped the hardest 90.0% first"), ("25%", "dropped the hardest 25.0% first")):
        assert told in run(*common, share).stdout


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": "absent.npy"}, "absent.npy: no such file"),
        ({"x": "x.csv"}, r"x.csv: the name must end in .npy, .npz, .parquet, .safetensors"),
        ({"x": "both.npz"}, r"both.npz: name one of its arrays \(x, score\) as both.npz:NAME"),
        ({"x": "both.npz:y"}, r"name one of its arrays"),
        ({"x": "score.npy"}, r"score.npy: embeddings must be two-dimensional \[n, d\], got shape \(200,\)"),
        ({"x": "truncated.npy"}, "truncated.npy: "),
        ({"x": "pickled.npy"}, "pickled.npy: .*Python objects"),
        ({"x": "text.npy"}, "text.npy: is no .npy file$"),
        ({"x": "archive.npy"}, "archive.npy: is no .npy file$"),
        ({"x": "text.npz"}, "text.npz: "),
        ({"x": "nan.npy"}, r"x\[7, 3\] is nan"),
        ({"x": "strings.npy"}, "strings.npy holds text"),
        ({"--importance": "short.npy"}, r"short.npy has shape \(199,\), but x.npy has 200 rows"),
        ({"--importance": "x.npy"}, r"x.npy has shape \(200, 8\), must be one-dimensional"),
        ({"--costs": "huge.npy"}, "huge.npy: the costs have no finite sum"),
        ({"--importance": None}, "--method infomax needs --importance"),
        ({"--budget": "0"}, "budget as a count must be at least 1"),
        ({"--budget": "201"}, "budget must be from 1 to the number of samples, 200, got 201"),
        ({"--budget": "150%"}, "budget as a share must be above 0 and at most 100%"),
        ({"--budget": "some"}, "'some' is no budget"),
        ({"--drop-hardest": "few"}, "'few' is no share"),
        ({"--drop-hardest": "-1"}, "a share must be from 0 to 1"),
        ({"--alpha": "-1"}, "alpha must be finite and from 0"),
        ({"--metric": "l1"}, "'l1' is not one of"),
        ({"-k": "0"}, "k must be at least 1"),
        ({"--threads": "0"}, "'0' is no whole number from 1 to 4096"),
        ({"--memory-limit": "1KB"}, "memory_limit allows 1000"),
        ({"--memory-limit": "1000"}, "memory_limit allows 1000"),
        ({"--memory-limit": "0"}, "--memory-limit must be"),
        ({"--memory-limit": "infGB"}, "--memory-limit must be a number of bytes"),
        ({"--memory-limit": "-1GB"}, "--memory-limit must be a number of bytes"),
        ({"-o": "./x.npy"}, "x.npy is an input as well"),
        ({"-o": "kept.csv"}, "kept.csv: the name must end in .npy or .parquet or .txt"),
        ({"-o": "nowhere/kept.npy"}, "the folder nowhere does not exist"),
        ({"-o": "dangling.npy"}, "dangling.npy: the folder /.*nowhere does not exist"),
        ({"-o": "n" * 300 + ".npy"}, "n.npy: File name too long"),
        ({"-o": "n" * 250 + ".npy"}, "n.npy.toml: File name too long"),
        ({"-o": "folder.npy"}, "'folder.npy' is there already and is no file"),
    ],
)
def test_bad_input_takes_one_line(change: dict[str, str | None], message: str) -> None:
    x, score = np.load("x.npy"), np.load("score.npy")
    np.save("short.npy", score[:-1])
    np.save("pickled.npy", np.array([{}, 1], dtype=object), allow_pickle=True)
    np.save("strings.npy", x.astype(str))
    np.save("nan.npy", np.where((np.arange(N)[:, None] == 7) & (np.arange(8) == 3), np.nan, x))
    Path("truncated.npy").write_bytes(Path("x.npy").read_bytes()[:-100])
    Path("text.npy").write_text("not an array")
    Path("text.npz").write_text("not an archive")
    Path("archive.npy").write_bytes(b"PK" + bytes(30))
    np.save("huge.npy", np.full(N, 1e308))
    Path("dangling.npy").symlink_to("nowhere/kept.npy")
    Path("folder.npy").mkdir()
    before = set(os.listdir())
    arguments = {"x": "x.npy", "--importance": "score.npy", "--budget": "10%", "-o": "kept.npy"} | change
    pairs = [(name, value) for name, value in arguments.items() if name != "x" and value is not None]
    result = run("select", str(arguments["x"]), *(part for pair in pairs for part in pair))
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("coremax: ")
    assert result.stderr.count("\n") == 1
    assert re.search(message, result.stderr), result.stderr
    assert set(os.listdir()) == before, "nothing may be left behind"


def test_info() -> None:
    text = run("info")
    assert text.exit_code == 0
    assert text.stdout.startswith(f"coremax {coremax.__version__} (Python")
    assert json.loads(run("info", "--json").stdout) == coremax.show_config("dicts")


def test_the_installed_command(folder: Path) -> None:
    program = Path(sys.executable).parent / "coremax"
    out = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout
    assert coremax.__version__ in out
    arguments = ["select", "x.npy", "--importance", "score.npy", "--budget", "10%", "-o", "kept.npy"]
    done = subprocess.run([program, *arguments], check=True, capture_output=True, text=True, cwd=folder)
    assert done.stderr == "", "no progress where there is no terminal"


@pytest.mark.parametrize(("text", "share"), [("0", 0.0), ("30%", 0.3), (" 0.25 ", 0.25), ("100%", 1.0), ("auto", "auto")])
def test_shares(text: str, share: float | str) -> None:
    assert parse_share(text) == share


def test_weights() -> None:
    assert (parse_weight("auto"), parse_weight(" 0.3 "), parse_weight("2")) == ("auto", 0.3, 2.0)
    with pytest.raises(ValueError, match="'much' is neither a number nor auto"):
        parse_weight("much")
