"""The demo: its data, its story end to end on a small data set, its page, and its command."""

from __future__ import annotations

import dataclasses
import gzip
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

for module in ("click", "sklearn", "matplotlib", "jinja2"):
    pytest.importorskip(module)

from click.testing import CliRunner  # noqa: E402

import coremax  # noqa: E402
from coremax.cli import commands, demo_data  # noqa: E402
from coremax.cli._options import parse_budget  # noqa: E402
from coremax.cli.demo import DemoResult, format_result, run_demo, to_json  # noqa: E402
from coremax.cli.demo_data import LabelledImages, load, read_idx  # noqa: E402
from coremax.report.demo_page import render_page, write_page  # noqa: E402


@pytest.fixture(scope="module")
def small() -> LabelledImages:
    digits = load("digits")
    return dataclasses.replace(
        digits,
        train_x=digits.train_x[:400],
        train_y=digits.train_y[:400],
        test_x=digits.test_x[:150],
        test_y=digits.test_y[:150],
    )


@pytest.fixture(scope="module")
def result(small: LabelledImages) -> DemoResult:
    return run_demo(small, budget=0.1, n_random=2, budgets=(0.02, 0.3), seed=1)


def idx_bytes(array: np.ndarray[Any, Any]) -> bytes:
    sides = b"".join(side.to_bytes(4, "big") for side in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sides + array.astype(np.uint8).tobytes()


def write_fashion_mnist(
    folder: Path, n_train: int = 300, n_test: int = 60, *, zipped: bool = True
) -> dict[str, np.ndarray[Any, Any]]:
    """Four files of noise around one bright row per class, so that classes can be told apart."""
    rng = np.random.default_rng(0)
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    for split, n in (("train", n_train), ("t10k", n_test)):
        labels = np.arange(n) % 10
        images = rng.integers(0, 120, size=(n, 12, 9))
        images[np.arange(n), labels] += 130
        arrays[f"{split}-images-idx3-ubyte"], arrays[f"{split}-labels-idx1-ubyte"] = images, labels
    for name, array in arrays.items():
        content = idx_bytes(array)
        (folder / f"{name}.gz").write_bytes(gzip.compress(content)) if zipped else (folder / name).write_bytes(content)
    return arrays


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(commands.coremax, list(arguments))


def assert_bad_input(outcome: Any, *words: str) -> None:
    assert outcome.exit_code == 2
    assert outcome.stdout == ""
    assert outcome.stderr.startswith("coremax: ")
    assert outcome.stderr.count("\n") == 1
    for word in words:
        assert word in outcome.stderr


# Data


def test_digits_are_split_once_and_for_all() -> None:
    first, second = load("digits"), load("digits")
    assert first.train_x.dtype == np.float32
    assert first.train_y.dtype == np.int64
    assert (len(first.train_x), len(first.test_x)) == (1437, 360)
    assert first.train_x.min() == 0
    assert first.train_x.max() == 1
    assert first.image_shape == (8, 8)
    assert len(first.class_names) == 10
    np.testing.assert_array_equal(first.test_x, second.test_x)
    per_class = np.bincount(first.test_y)
    assert per_class.max() - per_class.min() <= 3


@pytest.mark.parametrize("zipped", [True, False])
def test_fashion_mnist_from_a_folder(tmp_path: Path, zipped: bool) -> None:
    arrays = write_fashion_mnist(tmp_path, zipped=zipped)
    data = load("fashion-mnist", tmp_path)
    assert data.image_shape == (12, 9)
    assert data.train_x.dtype == np.float32
    assert data.train_y.dtype == np.int64
    np.testing.assert_array_equal(np.rint(data.train_x * 255).reshape(-1, 12, 9), arrays["train-images-idx3-ubyte"])
    np.testing.assert_array_equal(data.test_y, arrays["t10k-labels-idx1-ubyte"])


def test_missing_files_say_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"train-images.*apt-get install dataset-fashion-mnist or pass --folder"):
        load("fashion-mnist", tmp_path)


def test_unknown_names_and_needless_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'cifar'"):
        load("cifar")
    with pytest.raises(ValueError, match="no folder"):
        load("digits", tmp_path)


GOOD = idx_bytes(np.arange(24).reshape(4, 3, 2))


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "no IDX file"),
        (GOOD[:-1], "truncated"),
        (GOOD[:9], "truncated"),
        (GOOD + b"\0", "too long"),
        (b"\0\0\x0d\x03" + GOOD[4:], "no IDX file"),
        (b"\0\0\x08\x01" + GOOD[4:], "no IDX file"),
        (gzip.compress(GOOD, mtime=0)[:-9], "truncated"),
        (gzip.compress(GOOD, mtime=0)[:12] + b"\xff" * 20, "damaged"),
        (gzip.compress(GOOD[:-1], mtime=0), "truncated"),
        (bytes([0, 0, 8, 3]) + b"\xff" * 12, "truncated"),
    ],
)
def test_malformed_idx_files_are_named(tmp_path: Path, content: bytes, fault: str) -> None:
    path = tmp_path / "images-idx3-ubyte"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"images-idx3-ubyte.*{fault}"):
        read_idx(path, ndim=3)


def test_idx_files_of_zero_and_some_elements(tmp_path: Path) -> None:
    for array in (np.arange(24).reshape(4, 3, 2), np.zeros((0, 3, 2))):
        path = tmp_path / "array"
        path.write_bytes(idx_bytes(array))
        np.testing.assert_array_equal(read_idx(path, ndim=3), array)


@pytest.mark.parametrize(
    ("name", "array", "fault"),
    [
        ("train-labels-idx1-ubyte", np.zeros(299), "299 labels"),
        ("train-labels-idx1-ubyte", np.full(300, 10), "class 10"),
        ("t10k-images-idx3-ubyte", np.zeros((60, 5, 5)), "test images of"),
    ],
)
def test_files_that_do_not_fit_together(tmp_path: Path, name: str, array: np.ndarray[Any, Any], fault: str) -> None:
    write_fashion_mnist(tmp_path)
    (tmp_path / f"{name}.gz").write_bytes(idx_bytes(array))
    with pytest.raises(ValueError, match=fault):
        load("fashion-mnist", tmp_path)


# The story


def test_the_numbers_are_consistent(result: DemoResult, small: LabelledImages) -> None:
    assert (result.n_train, result.n_test, result.n_kept) == (400, 150, 40)
    assert [row.n_samples for row in result.rows] == [400, 40, 40]
    assert [len(row.accuracies) for row in result.rows] == [1, 2, 1]
    assert [point.n_samples for point in result.curve] == [8, 40, 120]
    assert result.curve[1].infomax is result.infomax
    # The hardest of each class, rounded down, and those whose label is contradicted.
    assert int(coremax.selection.auto_drop_hardest(0.1) * 400) - 10 <= result.n_dropped <= 100
    assert result.upper_bound >= result.objective
    assert set(result.seconds) == {"embed", "score", "graph", "solve", "total"}
    for row in result.rows:
        # Far from what guessing one of ten classes gives, far from a number that is no share.
        assert 0.3 < row.accuracy <= 1


def test_the_same_seed_tells_the_same_story(result: DemoResult, small: LabelledImages) -> None:
    # With as many threads: embeddings and proxies are then the same to the last bit, which clusters may hang on.
    again = run_demo(small, budget=40, n_random=2, budgets=(0.02, 0.3), seed=1)
    assert again.infomax.accuracies == result.infomax.accuracies
    assert again.random.accuracies == result.random.accuracies
    assert again.objective == pytest.approx(result.objective, rel=1e-4)


def test_galleries_show_what_they_say(result: DemoResult, small: LabelledImages) -> None:
    assert [gallery.title for gallery in result.galleries] == ["Kept", "Pruned: redundant", "Pruned: easy", "Pruned: too hard"]
    shown = {gallery.title: {tile.images[0].tobytes() for tile in gallery.tiles} for gallery in result.galleries}
    assert not shown["Kept"] & (shown["Pruned: redundant"] | shown["Pruned: easy"] | shown["Pruned: too hard"])
    for gallery in result.galleries:
        for tile in gallery.tiles:
            assert all(image.shape == small.image_shape for image in tile.images)


@pytest.mark.parametrize("budget", [1, 400, 1.0])
def test_extreme_budgets(small: LabelledImages, budget: int | float) -> None:
    extreme = run_demo(small, budget=budget, n_random=1, budgets=())
    assert extreme.random.spread is None
    assert len(extreme.curve) == 1
    assert "\u00b1 0" not in render_page(extreme)
    assert "mean of" not in format_result(extreme)


def test_progress_is_told_line_by_line(small: LabelledImages) -> None:
    lines: list[str] = []
    run_demo(small, n_random=1, budgets=(), log=lines.append)
    assert [line.partition(":")[0] for line in lines[:3]] == ["embed", "score", "graph"]
    assert sum(line.startswith("train on") for line in lines) == 3


@pytest.mark.parametrize(
    "bad", [{"budget": 0}, {"budget": 401}, {"budgets": (1.5,)}, {"n_random": 0}, {"seed": -1}, {"threads": 0}]
)
def test_bad_arguments_are_refused(small: LabelledImages, bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(bad)).removesuffix("s")):
        run_demo(small, **bad)


def test_json_is_plain(result: DemoResult) -> None:
    plain = to_json(result)
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain


# The page


def test_the_page_is_complete_and_self_contained(result: DemoResult, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("old")
    write_page(result, path)
    page = path.read_text(encoding="utf-8")
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]
    assert len(page) < 2_000_000
    assert page.count("<table>") == 2
    assert page.count("<svg") == 1
    assert page.count("data:image/png;base64,") == sum(len(tile.images) for g in result.galleries for tile in g.tiles)
    for reference in re.findall(r"(?:src|href)\s*=\s*[\"']([^\"']*)|url\(([^)]*)\)", page):
        assert "".join(reference).startswith(("data:", "#"))
    assert "@import" not in page
    assert f"{100 * result.infomax.accuracy:.1f}" in page
    assert str(result.parameters["metric"]) in page


def test_the_page_is_the_same_for_the_same_result(result: DemoResult) -> None:
    assert render_page(result) == render_page(result)


def test_the_page_admits_defeat(result: DemoResult) -> None:
    beaten = dataclasses.replace(
        result, infomax=dataclasses.replace(result.infomax, accuracies=(result.random.accuracy - 0.1,))
    )
    assert "10.0 points worse than the mean of 2 random choices" in render_page(beaten)


def test_text_is_escaped(result: DemoResult) -> None:
    assert "<b>x" not in render_page(dataclasses.replace(result, data="<b>x"))


def test_a_page_that_can_not_be_written_leaves_nothing(result: DemoResult, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        write_page(result, tmp_path / "taken")
    assert [file.name for file in tmp_path.iterdir()] == ["taken"]


# The command


@pytest.mark.parametrize(
    ("text", "budget"), [("10%", 0.1), ("0.1", 0.1), ("500", 500), ("1", 1), ("1.0", 1.0), ("100%", 1.0), (" 2.5 % ", 0.025)]
)
def test_budgets(text: str, budget: int | float) -> None:
    parsed = parse_budget(text)
    assert parsed == pytest.approx(budget)
    assert type(parsed) is type(budget)


@pytest.mark.parametrize("text", ["", "%", "ten", "0", "-3", "0.0", "1.5", "101%", "0%", "nan", "inf%", "1e400", "1_0%x"])
def test_bad_budgets(text: str) -> None:
    with pytest.raises(ValueError, match="budget"):
        parse_budget(text)


def test_command_prints_a_table_and_writes_the_page(tmp_path: Path) -> None:
    write_fashion_mnist(tmp_path)
    page = tmp_path / "out.html"
    outcome = invoke("demo", "--data", "fashion-mnist", "--folder", str(tmp_path), "--budget", "30", "--output", str(page))
    assert outcome.exit_code == 0
    assert outcome.stderr == ""
    for words in ("everything", "random (mean of 5)", "InfoMax", "test accuracy", "score", "graph", "solve", str(page)):
        assert words in outcome.stdout
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_command_prints_json(tmp_path: Path, small: LabelledImages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "load", lambda *_: small)
    outcome = invoke("demo", "--json", "--threads", "1", "--seed", "3", "--output", str(tmp_path / "out.html"))
    assert outcome.exit_code == 0
    printed = json.loads(outcome.stdout)
    assert printed["n_kept"] == 40
    assert printed["seed"] == 3
    assert printed["page"] == str(tmp_path / "out.html")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--budget", "ten"], ["ten", "10%"]),
        (["--budget", "5000"], ["5000", "1437"]),
        (["--data", "cifar"], ["cifar"]),
        (["--threads", "0"], ["--threads"]),
        (["--wrong"], ["--wrong"]),
        (["--output", "{tmp}/missing/page.html"], ["missing"]),
        (["--output", "{tmp}"], ["folder"]),
        (["--data", "fashion-mnist", "--folder", "{tmp}"], ["apt-get install dataset-fashion-mnist or pass --folder"]),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(tmp_path: Path, arguments: list[str], words: list[str]) -> None:
    assert_bad_input(invoke("demo", *(argument.replace("{tmp}", str(tmp_path)) for argument in arguments)), *words)


def test_unknown_commands_are_bad_input() -> None:
    assert_bad_input(invoke("dance"), "dance")


def test_version_and_help() -> None:
    assert coremax.__version__ in invoke("--version").stdout
    for arguments in ([], ["--help"]):
        outcome = invoke(*arguments)
        assert outcome.exit_code == 0
        assert "demo" in outcome.stdout


def test_the_command_line_starts_without_the_demo_libraries() -> None:
    """The other commands must not need, or wait for, what only the demo imports."""
    code = "import sys; import coremax.cli.commands; print({'sklearn', 'matplotlib', 'jinja2'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "set()"


@pytest.mark.skipif(not demo_data.FASHION_MNIST_FOLDER.is_dir(), reason="Debian's dataset-fashion-mnist is not installed")
def test_the_real_fashion_mnist() -> None:
    data = load("fashion-mnist")
    assert (data.train_x.shape, data.test_x.shape) == ((60000, 784), (10000, 784))
    np.testing.assert_array_equal(np.bincount(data.train_y), np.full(10, 6000))
