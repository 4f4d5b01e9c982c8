"""`coremax score`, `graph`, `sample` and `bench` against the library, the report's wiring, and how the help reads."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

import coremax
from coremax import sampling, scores, selection
from coremax.cli._errors import LONGEST, one_line
from coremax.cli._methods import KNOBS
from coremax.cli.commands import coremax as command
from coremax.cli.score import KINDS
from helpers import clustered

N, CLASSES, EPOCHS = 60, 3, 12
RNG = np.random.default_rng(0)
X = clustered(N, 6, 4, seed=0)
LABELS = RNG.integers(0, CLASSES, N)
PROBABILITIES = RNG.dirichlet(np.ones(CLASSES), (2, N))
LOGITS = RNG.normal(size=(EPOCHS, N, CLASSES))
CORRECT = RNG.random((EPOCHS, N)) < 0.7
OF_LABEL = RNG.random((EPOCHS, N))
LOSSES = RNG.random(N)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    arrays = {
        "x": X, "y": LABELS, "p0": PROBABILITIES[0], "p1": PROBABILITIES[1], "logits": LOGITS, "first": LOGITS[0],
        "second": LOGITS[1], "correct": CORRECT, "of_label": OF_LABEL, "losses": LOSSES,
    }  # fmt: skip
    for name, array in arrays.items():
        np.save(f"{name}.npy", array)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, list(arguments))


SCORES: list[tuple[str, tuple[str, ...], Any]] = [
    ("el2n", ("p0.npy", "--labels", "y.npy"), lambda: scores.el2n(PROBABILITIES[0], LABELS)),
    ("el2n", ("p0.npy", "p1.npy", "--labels", "y.npy"), lambda: scores.el2n(list(PROBABILITIES), LABELS)),
    ("margin", ("p0.npy",), lambda: scores.margin(PROBABILITIES[0])),
    ("margin", ("p0.npy", "--labels", "y.npy"), lambda: scores.margin(PROBABILITIES[0], LABELS)),
    ("entropy", ("p0.npy", "p1.npy"), lambda: scores.entropy(list(PROBABILITIES))),
    ("sim", ("x.npy", "--labels", "y.npy"), lambda: scores.sim(X, LABELS)),
    (
        "sim", ("x.npy", "x.npy", "--labels", "y.npy", "--probabilities", "p0.npy", "--probabilities", "p1.npy"),
        lambda: scores.sim([X, X], LABELS, list(PROBABILITIES)),
    ),
    ("ssp", ("x.npy", "--n-clusters", "4", "--seed", "2"), lambda: scores.ssp(X, 4, seed=2)),
    ("contradiction", ("x.npy", "--labels", "y.npy"), lambda: scores.contradiction(coremax.topk_graph(X, 10), LABELS)),
    ("contradiction", ("g.npz", "--labels", "y.npy"), lambda: scores.contradiction(coremax.topk_graph(X, 5), LABELS)),
    ("forgetting", ("correct.npy",), lambda: scores.forgetting(CORRECT)),
    ("forgetting", ("correct.npy", "--never-learned", "0"), lambda: scores.forgetting(CORRECT, never_learned=0.0)),
    ("aum", ("logits.npy", "--labels", "y.npy"), lambda: scores.aum(LOGITS, LABELS)),
    ("aum", ("first.npy", "second.npy", "--labels", "y.npy"), lambda: scores.aum(LOGITS[:2], LABELS)),
    ("dual", ("of_label.npy", "--window", "5"), lambda: scores.dual(OF_LABEL, window=5)),
    ("tdds", ("of_label.npy", "--decay", "0.5"), lambda: scores.tdds(OF_LABEL, decay=0.5)),
    ("loss-weights", ("losses.npy", "--strategy", "quadratic"), lambda: scores.loss_weights(LOSSES, strategy="quadratic")),
]  # fmt: skip


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(("kind", "arguments", "expected"), SCORES)
def test_scores(kind: str, arguments: tuple[str, ...], expected: Any) -> None:
    coremax.topk_graph(X, 5).save("g.npz")
    result = run("score", kind, *arguments, "-o", "out.npy", "--json")
    assert result.exit_code == 0, (result.output, result.exception)
    assert np.array_equal(np.load("out.npy"), expected())
    assert json.loads(result.stdout)["n"] == N
    assert run("score", kind, *arguments, "-o", "out.txt").exit_code == 0
    assert [float(line) for line in Path("out.txt").read_text().split()] == expected().tolist()


def test_every_score_is_tested() -> None:
    assert {kind for kind, _, _ in SCORES} == set(KINDS)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("el2n", "p0.npy"), "Missing option '--labels'"),
        (("el2n",), "Missing argument 'FILES...'"),
        (("el2n", "y.npy", "--labels", "y.npy"), "y.npy: probabilities must be two-dimensional"),
        (("el2n", "p0.npy", "--labels", "losses.npy"), "labels must be"),
        (("el2n", "x.npy", "--labels", "y.npy"), "probabilities"),
        (("ssp", "x.npy", "x.npy", "--n-clusters", "3"), "this score takes one file, got 2"),
        (("ssp", "x.npy"), "Missing option '--n-clusters'"),
        (("dual", "of_label.npy", "--window", "99"), "at least window = 99 epochs"),
        (("contradiction", "damaged.npz", "--labels", "y.npy"), "holds no coremax graph"),
        (("dual", "of_label.npy", "--window", "1" + 30 * "0"), "must have at least window = 1"),
        (("best", "x.npy"), "No such command 'best'"),
        (("entropy", "p0.npy", "--window", "3"), "No such option"),
    ],
)
def test_bad_scores_take_one_line(arguments: tuple[str, ...], message: str) -> None:
    Path("damaged.npz").write_bytes(b"PK damaged")
    before = set(os.listdir())
    result = run("score", *arguments, "-o", "out.npy")
    assert result.exit_code == 2, (result.output, result.exception)
    assert result.stdout == ""
    assert result.stderr.startswith("coremax: ")
    assert result.stderr.count("\n") == 1
    assert message in result.stderr
    assert set(os.listdir()) == before


@pytest.mark.usefixtures("folder")
def test_graph() -> None:
    result = run("graph", "x.npy", "-k", "4", "--metric", "euclidean", "-o", "g.npz")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("4 neighbours of 60 rows by euclidean -> g.npz\nseconds: ")
    found, expected = coremax.Graph.load("g.npz"), coremax.topk_graph(X, 4, metric="euclidean")
    assert np.array_equal(found.neighbors, expected.neighbors)
    assert np.array_equal(found.similarities, expected.similarities)
    assert found.metric == "euclidean"
    assert run("graph", "x.npy", "-k", "60", "-o", "other.npz").exit_code == 2
    assert run("graph", "x.npy", "-o", "other.npy").exit_code == 2
    assert sorted(os.listdir()).count("g.npz.toml") == 1


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("options", [(), ("--replace",), ("--log-weights",)])
def test_sample(options: tuple[str, ...]) -> None:
    assert run("sample", "losses.npy", "--size", "20", "--seed", "4", *options, "-o", "drawn.npy").exit_code == 0
    flags: dict[str, Any] = {option[2:].replace("-", "_"): True for option in options}
    expected = sampling.sample(LOSSES, 20, seed=4, **flags)
    assert np.load("drawn.npy").tolist() == expected.tolist()
    Path("ids.txt").write_text("\n".join(f"doc {i}" for i in range(N)))
    arguments = ("sample", "losses.npy", "--size", "20", "--seed", "4", *options, "--ids", "ids.txt", "-o", "drawn.txt")
    assert run(*arguments).exit_code == 0
    assert Path("drawn.txt").read_text().splitlines() == [f"doc {i}" for i in expected]
    assert run("sample", "x.npy", "--size", "3", "-o", "no.npy").exit_code == 2
    assert "'10%' is not a valid integer." in run("sample", "losses.npy", "--size", "10%", "-o", "no.npy").stderr
    more = run("sample", "losses.npy", "--size", "61", *options, "-o", "more.npy")
    assert more.exit_code == (0 if "--replace" in options else 2)


@pytest.mark.usefixtures("folder")
def test_the_report_gets_what_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    given: dict[str, Any] = {}

    def report(self: selection.Selection, path: None = None, **arguments: Any) -> str:
        given.update(arguments, selection=self)
        return "a page"

    monkeypatch.setattr(selection.Selection, "report", report, raising=False)
    Path("titles.txt").write_text("\n".join(["same"] * N))
    arguments = ("select", "x.npy", "--importance", "losses.npy", "--labels", "y.npy", "--budget", "5", "-o", "kept.npy")
    result = run(*arguments, "--report", "page.html", "--titles", "titles.txt")
    assert result.exit_code == 0, (result.output, result.exception)
    assert Path("page.html").read_text() == "a page"
    assert "report: page.html" in result.stdout
    assert np.array_equal(given["embeddings"], X)
    assert np.array_equal(given["score"], LOSSES)
    assert np.array_equal(given["labels"], LABELS)
    assert given["texts"] == ["same"] * N
    assert given["ids"] is None
    assert given["selection"].indices.tolist() == np.load("kept.npy").tolist()
    # Scores and classes that the method has no use for are for the report.
    random = ("select", "x.npy", "--method", "random", "--budget", "5", "-o", "kept.npy")
    assert run(*random, "--importance", "losses.npy", "--labels", "y.npy", "--report", "page.html").exit_code == 0
    assert np.array_equal(given["score"], LOSSES)
    assert np.array_equal(given["labels"], LABELS)
    assert run(*random, "--importance", "losses.npy").exit_code == 2
    assert run(*random, "--labels", "y.npy").exit_code == 2
    before = set(os.listdir())
    assert run(*arguments, "--report", "page.pdf").exit_code == 2
    assert run(*arguments, "--titles", "titles.txt").exit_code == 2

    def failing(*_: Any, **__: Any) -> None:
        raise ValueError("no page")

    monkeypatch.setattr(selection.Selection, "report", failing, raising=False)
    assert run(*arguments, "--report", "other.html").stderr == "coremax: kept.npy is written, but its report is not: no page\n"
    assert set(os.listdir()) == before


def test_a_real_report(folder: Path) -> None:
    if not hasattr(selection.Selection, "report"):
        pytest.skip("this build makes no pages yet")
    pytest.importorskip("matplotlib")
    arguments = ("select", "x.npy", "--importance", "losses.npy", "--labels", "y.npy", "--budget", "5", "-o", "kept.npy")
    result = run(*arguments, "--report", "page.html")
    assert result.exit_code == 0, (result.output, result.exception)
    assert "<html" in Path("page.html").read_text()[:1000]


def test_bench() -> None:
    result = run("bench", "--rows", "2000", "--dimensions", "16", "--weights", "5000", "--rounds", "1")
    assert result.exit_code == 0, (result.output, result.exception)
    assert all(len(line) <= 90 for line in result.stdout.splitlines()[1:])
    found = json.loads(run("bench", "--rows", "2000", "--weights", "5000", "--rounds", "1", "--json").stdout)
    assert [row["engine"] for row in found["results"]] == ["graph", "solver", "sampling", "sampling", "sampling"]
    assert all(row["seconds"] > 0 and row["rate"] > 0 for row in found["results"])


def test_bench_where_the_highest_importance_is_optimal() -> None:
    # In one dimension every similarity is 1: all choices are equally redundant.
    result = run("bench", "--rows", "2000", "--dimensions", "1", "--weights", "1000", "--rounds", "1")
    assert result.exit_code == 0, result.output


def test_bench_stops_at_a_wrong_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    right = coremax.topk_graph

    def wrong(x: Any, k: int, **options: Any) -> coremax.Graph:
        graph = right(x, k, **options)
        return coremax.Graph.from_neighbors(graph.neighbors, graph.similarities * np.float32(0.99), metric="cosine")

    monkeypatch.setattr("coremax.cli.bench.topk_graph", wrong)
    result = run("bench", "--rows", "2000", "--weights", "5000", "--rounds", "1")
    assert result.exit_code == 1
    assert result.stderr == "coremax: the graph's similarities differ from NumPy's\n"


@pytest.mark.parametrize(
    "arguments",
    [(), ("select",), ("graph",), ("sample",), ("score",), *(("score", kind) for kind in KINDS), ("bench",), ("demo",)],
)
def test_help_fits_80_columns(arguments: tuple[str, ...]) -> None:
    result = CliRunner().invoke(command, [*arguments, "--help"], terminal_width=80)
    assert result.exit_code == 0
    # Choices are never broken: their own line may be longer.
    assert all(len(line) <= 80 or "|" in line for line in result.stdout.splitlines())
    assert "..." not in result.stdout.replace("FILES...", "").replace("[ARGS]...", ""), "no short help is cut"


def test_help_tells_which_way_a_score_points() -> None:
    """As the methods take it where `--higher` is not given."""
    text = " ".join(run("select", "--help").stdout.split())
    assert "Of infomax, ccs, d2 and top (higher = harder) and of sims (higher = easier)" in text
    defaults = next(knob.defaults for knob in KNOBS if knob.name == "higher")
    assert defaults == {"sims": "easy", "ccs": "hard"}


def test_messages_are_one_clean_line() -> None:
    assert one_line("a\n\tb\r\nc") == "a b c"
    assert one_line("\x1b[31mred\x07\udcff") == r"\x1b[31mred\x07\udcff"
    assert len(one_line("long " * 1000)) <= LONGEST


@pytest.mark.usefixtures("folder")
def test_what_nobody_foresaw_takes_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise KeyError("lost\nkey")

    monkeypatch.setattr("coremax.cli.commands.run_select", broken)
    result = run("select", "x.npy", "--method", "random", "--budget", "5", "-o", "kept.npy")
    assert result.exit_code == 1
    assert result.stderr.startswith("coremax: KeyError: 'lost")
    assert "a fault of coremax, please report it" in result.stderr
    assert result.stderr.count("\n") == 1
