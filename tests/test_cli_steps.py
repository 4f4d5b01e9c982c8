"""Selections in several steps, limits by the names of groups, pictures for reports, and files that are none."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

import coremax
from coremax import selection
from coremax.cli._methods import METHODS, _parse_limits, merged_limits
from coremax.cli._options import parse_budget
from coremax.cli.commands import coremax as command
from coremax.solver._solver import BOUNDS
from helpers import clustered

N = 120
X = clustered(N, 8, 10, seed=0)
SCORE = np.random.default_rng(1).random(N)
GROUPS = np.array(["news", "web", "R,D", "a=b"])[np.arange(N) % 4]
CHOSEN = np.arange(5, 95, 2)  # of an earlier step


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", X)
    np.save("score.npy", SCORE)
    np.save("labels.npy", np.arange(N) % 3)
    np.save("groups.npy", GROUPS)
    np.save("chosen.npy", CHOSEN)
    Path("ids.txt").write_text("".join(f"id {i}\n" for i in range(N)))
    np.save("ids.npy", np.arange(N) + 1000)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, list(arguments))


def kept(*arguments: str) -> list[int]:
    """Select from x.npy; the numbers kept."""
    result = run("select", "x.npy", *arguments, "-o", "kept.npy")
    assert result.exit_code == 0, (result.output, result.exception)
    numbers: list[int] = np.load("kept.npy").tolist()
    return numbers


def refused(*arguments: str) -> str:
    """A command that must fail; returns its line."""
    result = run(*arguments)
    assert result.exit_code == 2, (result.output, result.exception)
    assert result.stderr.count("\n") == 1
    return result.stderr


OPTIONS = {
    "infomax": ("--importance", "score.npy", "--labels", "labels.npy"),
    "sims": ("--importance", "score.npy", "--labels", "labels.npy"),
    "ccs": ("--importance", "score.npy"),
    "d2": ("--importance", "score.npy"),
    "moderate": ("--labels", "labels.npy"),
    "semdedup": ("--n-clusters", "4"),
    "top": ("--importance", "score.npy"),
    "random": (),
}


@pytest.mark.parametrize("method", [method for method in METHODS if method != "dsir"])
def test_only_some_are_chosen_among(method: str) -> None:
    found = kept("--method", method, *OPTIONS[method], "--budget", "10%", "--only", "chosen.npy")
    assert len(found) == 12, "a share of all"
    assert set(found) <= set(CHOSEN.tolist())
    assert found == sorted(found)


def test_what_only_means() -> None:
    assert kept(*OPTIONS["infomax"], "--budget", "9", "--only", "chosen.npy") == [
        int(i) for i in CHOSEN[coremax.infomax(X[CHOSEN], SCORE[CHOSEN], 9, labels=CHOSEN % 3).indices]
    ]
    np.save("costs.npy", np.arange(1, N + 1))
    np.save("some.npy", [7, 8, 9])
    np.save("three.npy", [7, 11, 13])
    options: tuple[str, ...] = ("--importance", "score.npy", "--costs", "costs.npy", "--budget", "10%")
    options += ("--groups", "groups.npy", "--group-limits", "10%:90%", "--only", "chosen.npy")
    found = kept(*options, "--exclude", "some.npy")
    direct = coremax.infomax(
        X[CHOSEN], SCORE[CHOSEN], 0.1 * N * (N + 1) / 2, costs=CHOSEN + 1, groups=GROUPS[CHOSEN], group_limits=(0.1, 0.9),
        exclude=[1, 2],
    )  # fmt: skip
    assert found == [int(i) for i in CHOSEN[direct.indices]]
    assert set(kept(*options, "--include", "three.npy")) >= {7, 11, 13}
    no_result = ("select", "x.npy", *options, "-o", "k.npy")
    assert "--include names sample 8, which --only leaves out" in refused(*no_result, "--include", "some.npy")
    np.save("far.npy", [999])
    assert "--exclude names samples from 999 to 999" in refused(*no_result, "--exclude", "far.npy")


def test_a_report_on_some_of_the_rows() -> None:
    pytest.importorskip("matplotlib")
    common = ("select", "x.npy", *OPTIONS["infomax"], "--budget", "9", "--only", "chosen.npy", "--ids", "ids.txt")
    assert run(*common, "-o", "k.txt", "--report", "page.html").exit_code == 0
    page = Path("page.html").read_text()
    assert all(name in page for name in Path("k.txt").read_text().splitlines()[:1])
    assert "upper bound" in page


@pytest.mark.parametrize("ids", [(), ("--ids", "ids.txt"), ("--ids", "ids.npy")], ids=["numbers", "texts", "ints"])
@pytest.mark.parametrize("step", ["step.npy", "step.txt", "step.parquet"])
def test_the_output_of_a_step_is_the_input_of_the_next(ids: tuple[str, ...], step: str) -> None:
    if step.endswith("parquet"):
        pytest.importorskip("pyarrow")
    first = run("select", "x.npy", "--method", "random", "--budget", "40", "--seed", "3", *ids, "-o", step)
    assert first.exit_code == 0, first.output
    numbers = selection.random(N, 40, seed=3).indices
    again = ("--method", "top", "--importance", "score.npy", "--budget", "7")
    result = run("select", "x.npy", *again, "--only", step, *ids, "-o", "next.parquet" if ids else "next.npy")
    assert result.exit_code == 0, result.output
    expected = numbers[selection.top(SCORE[numbers], 7).indices]
    if ids:
        import pyarrow.parquet as pq

        found = pq.read_table("next.parquet")["index"].to_numpy()
    else:
        found = np.load("next.npy")
    assert np.array_equal(found, expected)
    # The same names stand for what must and must not be kept.
    included = run("select", "x.npy", "--importance", "score.npy", "--budget", "60", "--include", step, *ids, "-o", "k.npy")
    assert included.exit_code == 0, included.output


def test_names_that_are_none() -> None:
    common = ("select", "x.npy", "--method", "random", "--budget", "2", "-o", "k.npy", "--only")
    Path("some.txt").write_text("3\nid 4\n")
    assert "some.txt: entry 1, 'id 4', is no whole number (names of samples need --ids)" in refused(*common, "some.txt")
    assert "entry 0, '3', is no id of ids.txt" in refused(*common, "some.txt", "--ids", "ids.txt")
    assert "entry 0, 5, is no id of ids.npy" in refused(*common, "chosen.npy", "--ids", "ids.npy")
    np.save("mask.npy", np.ones(N, dtype=bool))
    assert "got bool (120,): pass numbers, np.flatnonzero of the mask" in refused(*common, "mask.npy")
    np.save("far.npy", [3, N])
    assert "--only names sample 120, but there are 0 to 119" in refused(*common, "far.npy")
    np.save("one.npy", [3])
    assert "--budget asks for 2 of all 120, but --only leaves 1" in refused(*common, "one.npy")
    dsir = ("select", "ids.txt", "--method", "dsir", "--target-texts", "ids.txt", "--budget", "2", "-o", "k.npy")
    assert "--only is not for --method dsir" in refused(*dsir, "--only", "one.npy")
    # Numbers beside ids of text are numbers.
    assert run(*common, "chosen.npy", "--ids", "ids.txt").exit_code == 0


@pytest.mark.parametrize(
    ("given", "limits"),
    [
        (("10%",), 0.1),
        (("5:100",), (5, 100)),
        (("50%:",), (0.5, None)),
        (("news=10%,web=5:100",), {"news": 0.1, "web": (5, 100)}),
        (("news=10%", "web=5:", "R,D=:3"), {"news": 0.1, "web": (5, None), "R,D": (None, 3)}),
        (("R,D=1:2,a=b=3:4,news=0.25",), {"R,D": (1, 2), "a=b": (3, 4), "news": 0.25}),
    ],
)
def test_limits_as_typed(given: tuple[str, ...], limits: Any) -> None:
    assert merged_limits([_parse_limits(text) for text in given]) == limits


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("news=10%", "5:9"), "may come several times with names only"),
        (("news=10%", "news=5:9"), "names the group 'news' twice"),
        (("news=10%,news=5:9",), "names the group 'news' twice"),
        (("news=10%,web",), "'web' is no limit of a group"),
        (("news=",), "'' is no limit"),
        (("50%:1",), "'50%:1' has a share and the count 1: write 100%"),
        (("nws=10%",), "--group-limits names 'nws', but the groups are R,D, a=b, news, web"),
    ],
)
def test_limits_that_are_none(given: tuple[str, ...], message: str) -> None:
    options = [part for text in given for part in ("--group-limits", text)]
    common = ("select", "x.npy", "--importance", "score.npy", "--budget", "20", "--groups", "groups.npy", "-o", "k.npy")
    assert message in refused(*common, *options)


def test_limits_by_name() -> None:
    common = ("--importance", "score.npy", "--budget", "30", "--groups", "groups.npy")
    found = kept(*common, "--group-limits", "news=4:4,R,D=13:13", "--group-limits", "a=b=10%")
    counts = {name: int((GROUPS[found] == name).sum()) for name in np.unique(GROUPS)}
    assert counts == {"news": 4, "R,D": 13, "a=b": 3, "web": 10}
    assert run("select", "--config", "kept.npy.toml", "-o", "again.npy").exit_code == 0
    assert np.load("again.npy").tolist() == found
    by_number = kept("--importance", "score.npy", "--budget", "30", "--groups", "labels.npy", "--group-limits", "2=1:1")
    assert (np.array(by_number) % 3 == 2).sum() == 1


def test_groups_and_labels_of_lines() -> None:
    Path("groups.txt").write_text("".join(f"{name}\n" for name in GROUPS))
    with gzip.open("docs.jsonl.gz", "wt") as file:
        file.writelines(json.dumps({"text": str(i), "source": name}) + "\n" for i, name in enumerate(GROUPS.tolist()))
    Path("labels.txt").write_text("".join(f"{i % 3}\n" for i in range(N)))
    common = ("--importance", "score.npy", "--budget", "30", "--group-limits", "news=4:4,R,D=13:13")
    found = kept(*common, "--groups", "groups.npy")
    for source in ("groups.txt", "docs.jsonl.gz:source"):
        assert kept(*common, "--groups", source) == found
    assert run("select", "--config", "kept.npy.toml", "-o", "again.npy").exit_code == 0
    assert np.load("again.npy").tolist() == found
    classes = ("--importance", "score.npy", "--budget", "30", "--labels")
    assert kept(*classes, "labels.txt") == kept(*classes, "labels.npy"), "lines of whole numbers are numbers"
    Path("labels.txt").write_text("0\n" * (N - 1))
    message = refused("select", "x.npy", *classes, "labels.txt", "-o", "k.npy")
    assert "labels.txt has shape (119,), but x.npy has 120 rows" in message


def test_errors_speak_of_files_and_options() -> None:
    common = ("select", "x.npy", "--importance", "score.npy", "--budget", "30", "-o", "k.npy")
    assert "coremax: --group-limits needs --groups\n" in refused(*common, "--group-limits", "10%")
    x, score = X.copy(), SCORE.copy()
    score[7] = np.inf
    np.save("score.npy", score)
    assert refused(*common).startswith("coremax: score.npy: importance[7] is inf; scores must be finite; --invalid drop leaves")
    x[8], x[5, 1] = 0, np.nan
    np.save("x.npy", x)
    np.save("score.npy", SCORE)
    assert refused(*common).startswith("coremax: x.npy: x[5, 1] is nan; embeddings must be finite (2 in all: 5, 8); --inv")
    x[5] = 0
    np.save("x.npy", x)
    message = refused(*common)
    assert message.startswith("coremax: x.npy: row 5 of x is all zeros")
    assert "use --metric euclidean" in message


def test_the_hardest_dropped_are_a_share_of_those_chosen_among() -> None:
    common = ("select", "x.npy", "--importance", "score.npy", "--budget", "27", "--drop-hardest", "0.8", "-o", "k.npy")
    assert "dropped the hardest 40.0% first" in run(*common, "--only", "chosen.npy").output  # 18 of 45
    assert "dropped the hardest 77.5% first" in run(*common).output


def test_groups_and_classes_keep_their_names() -> None:
    common = ("select", "x.npy", "--importance", "score.npy", "--budget", "20", "-o", "k.npy")
    message = refused(*common, "--groups", "groups.npy", "--group-limits", "news=90:90")
    assert "group 'news' wants at least 90, but has 30 elements" in message
    pytest.importorskip("matplotlib")
    assert run(*common, "--labels", "groups.npy", "--report", "page.html").exit_code == 0
    assert "R,D" in Path("page.html").read_text()


def test_costs_need_limits_of_groups() -> None:
    np.save("costs.npy", np.arange(1, N + 1))
    common = ("select", "x.npy", "--importance", "score.npy", "--groups", "groups.npy", "--costs", "costs.npy", "--budget")
    assert "--groups needs --group-limits where --costs are given" in refused(*common, "10%", "-o", "k.npy")
    assert run(*common, "10%", "--group-limits", ":20%", "-o", "k.npy").exit_code == 0
    np.save("costs.npy", np.ones(N, dtype=np.int64))
    ones = ("--importance", "score.npy", "--costs", "costs.npy", "--drop-hardest", "0", "--target", "score", "--alpha", "0")
    assert len(kept(*ones, "--budget", f"{100 / N}%")) == 1, "one is a total of one here, however it came about"


@pytest.mark.parametrize(("text", "hint"), [("1e3", "; write 1000 for a count"), ("500.0", "; write 500"), ("1.5", "got 1.5$")])
def test_counts_are_written_as_such(text: str, hint: str) -> None:
    with pytest.raises(ValueError, match=hint):
        parse_budget(text)


@pytest.mark.parametrize("bound", BOUNDS)
def test_every_bound_of_the_solver(bound: str | None) -> None:
    assert kept("--importance", "score.npy", "--budget", "9", "--bound", bound or "none")


def test_images() -> None:
    pytest.importorskip("matplotlib")
    from PIL import Image

    common = ("select", "x.npy", "--importance", "score.npy", "--budget", "9", "-o", "kept.npy")
    pixels = np.random.default_rng(0).integers(0, 255, (N, 6, 6), dtype=np.uint8)
    np.save("images.npy", pixels)
    pages = []
    assert run(*common, "--report", "page.html", "--images", "images.npy").exit_code == 0
    pages.append(Path("page.html").read_text())
    Path("pictures/of").mkdir(parents=True)
    for i in range(N):
        Image.fromarray(pixels[i]).save(f"pictures/of/{i}.png")
    Path("pictures/list.txt").write_text("".join(f"of/{i}.png\n" for i in range(N)))
    assert run(*common, "--report", "page.html", "--images", "pictures/list.txt").exit_code == 0
    pages.append(Path("page.html").read_text())
    assert pages[0].count("data:image/png") == pages[1].count("data:image/png") > 10
    assert "--images are for --report" in refused(*common, "--images", "images.npy")
    with_report = (*common, "--report", "page.html", "--images")
    assert "images are an array [n, h, w]" in refused(*with_report, "x.npy")
    np.save("short.npy", pixels[1:])
    assert "short.npy has 119 images, but x.npy has 120 rows" in refused(*with_report, "short.npy")
    Path("pictures/of/0.png").unlink()
    assert "pictures/of/0.png: no such file" in refused(*with_report, "pictures/list.txt")
    assert "pictures: is a folder, and a file is wanted" in refused(*with_report, "pictures")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("s3://bucket/x.npy", "--budget", "5"), "s3://bucket/x.npy is an address, not a file"),
        (("https://host/x.parquet:emb", "--budget", "5"), "https://host/x.parquet is an address, not a file"),
        (("x.npy", "--budget", "5", "--ids", "gs://b/ids.txt"), "gs://b/ids.txt is an address"),
        (("x.npy", "--budget", "5", "-o", "hf://a/kept.npy"), "hf://a/kept.npy is an address"),
        (("x.npy", "--budget", "5", "--config", "s3://a/kept.toml"), "s3://a/kept.toml is an address"),
        (("x.npy", "--budget", "5", "--save-config", "s3://a/kept.toml"), "s3://a/kept.toml is an address"),
        ((".", "--budget", "5"), ".: is a folder, and a file is wanted: name one in it"),
        (("part-*.npy", "--budget", "5"), "part-*.npy: is a pattern, and one file is wanted"),
        (("x.npy", "--budget", "5", "--ids", "*.txt"), "*.txt: is a pattern"),
        (("x.npy", "score.npy", "--budget", "5"), "EMBEDDINGS is one file; a pattern such as *.npy becomes several"),
        (("x.npy", "--budget", "5", "-o", "."), ".: is a folder: name a file in it, such as ./kept.npy"),
    ],
)
def test_what_is_no_file(arguments: tuple[str, ...], message: str) -> None:
    output = () if "-o" in arguments else ("-o", "k.npy")
    before = set(os.listdir())
    assert message in refused("select", *arguments, "--method", "random", *output)
    assert set(os.listdir()) == before


def test_folders_and_patterns_of_texts() -> None:
    for texts, message in ((".", ".: is a folder, and a file is wanted"), ("*.jsonl", "*.jsonl: is a pattern")):
        for documents, target in ((texts, "target.txt"), ("documents.txt", texts)):
            given = ("--method", "dsir", "--target-texts", target, "--budget", "5", "-o", "k.npy")
            assert message in refused("select", documents, *given)


def test_names_with_brackets_are_files() -> None:
    np.save("part[1].npy", X)
    assert run("select", "part[1].npy", "--method", "random", "--budget", "5", "-o", "k[2].npy").exit_code == 0


def test_the_package_is_a_command() -> None:
    done = subprocess.run([sys.executable, "-m", "coremax", "--version"], capture_output=True, text=True, check=True)
    assert coremax.__version__ in done.stdout


def test_numbers_that_may_be_ids() -> None:
    # They were numbers without a word: --only of the ids "0", "1", "2", saved as integers, chose among other samples.
    np.save("only.npy", np.arange(3))
    given = ("--method", "random", "--budget", "2", "--only", "only.npy", "-o", "k.txt")
    Path("digits.txt").write_text("".join(f"{N - 1 - i}\n" for i in range(N)))
    message = f"only.npy: 0 may be the number of a sample or the id '0' of sample {N - 1} in digits.txt"
    assert message in refused("select", "x.npy", "--ids", "digits.txt", *given)
    for ids in ("".join(f"{i}\n" for i in range(N)), "".join(f"id {i}\n" for i in range(N))):  # the same by both, no ids
        Path("digits.txt").write_text(ids)
        assert run("select", "x.npy", "--ids", "digits.txt", *given).exit_code == 0


def test_two_names_of_one_option() -> None:
    given = ("select", "x.npy", "--method", "top", "--budget", "5", "-o", "k.npy")
    message = "--importance and --score are two names of one option: pass one of them"
    assert message in refused(*given, "--importance", "score.npy", "--score=labels.npy")
    Path("c.toml").write_text('[parameters]\nscore = "score.npy"\nmethod = "infomax"\nbudget = 5\nneighbors = 4\n')
    expected = kept("--importance", "score.npy", "--budget", "5", "-k", "4")
    assert kept("--config", "c.toml") == expected
    Path("c.toml").write_text('[parameters]\nscore = "score.npy"\nimportance = "labels.npy"\n')
    assert "c.toml: 'importance' is given twice, by two spellings or names" in refused(*given, "--config", "c.toml")
    Path("c.toml").write_text("[parameters]\ndrop-hardest = 0.1\ndrop_hardest = 0.2\n")
    assert "c.toml: 'drop_hardest' is given twice" in refused(*given, "--config", "c.toml")
