"""The benchmark by trained accuracy, on tiny data."""

from __future__ import annotations

import lzma
import pickle
import re
import struct
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from accuracy import data, nets, proxies, report, run, store
from accuracy.__main__ import KEEPS
from accuracy.methods import METHODS, UNSUPERVISED, _lazy_facility_location, count
from accuracy.rdata import read_rda


def toy(n: int = 300, shape: tuple[int, int, int] | None = (1, 4, 4)) -> data.Task:
    rng = np.random.default_rng(0)
    y = np.arange(n) % 5
    x = (rng.random((5, 16))[y] / 2 + rng.random((n, 16)) / 2).astype(np.float32)
    return data.split("toy", "mlp", x, y, 60, 40, shape)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Folder of the proxies of the data set `toy`."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(proxies, "CACHE_FOLDER", folder)
        patch.setattr(proxies, "_FEWEST", 24)
        patch.setattr(proxies, "_MOST", 24)
        patch.setitem(data.SOURCES, "toy", toy)
        yield folder


@pytest.fixture(scope="module")
def problem(cache: Path) -> proxies.Problem:
    assert cache.is_dir()
    return proxies.prepare("toy", "noise", 1)


def test_the_three_parts_share_no_sample() -> None:
    task = toy()
    parts = [task.x, task.validation_x, task.test_x]
    assert [len(part) for part in parts] == [200, 40, 60]
    assert len(np.unique(np.concatenate(parts), axis=0)) == 300
    assert np.array_equal(toy().x, task.x)


def test_noise_changes_a_fifth_of_the_labels_and_nothing_else() -> None:
    task = toy()
    spoilt = data.spoil(task, "noise", 3)
    assert (spoilt.y != task.y).mean() == pytest.approx(data.NOISE)
    assert spoilt.y.min() == 0
    assert spoilt.y.max() == 4
    assert np.array_equal(spoilt.clean_y, task.y)
    assert spoilt.x is task.x
    assert not np.array_equal(data.spoil(task, "noise", 4).y, spoilt.y)


def test_the_tail_is_a_hundredth_of_the_head() -> None:
    task = data.split(
        "toy", "mlp", np.random.default_rng(0).random((5500, 2)).astype(np.float32), np.arange(5500) % 5, 250, 250
    )
    sizes = np.sort(np.bincount(data.spoil(task, "tail", 0).y))
    assert sizes[-1] / sizes[0] == pytest.approx(data.IMBALANCE, rel=0.1)
    assert (sizes[1:] / sizes[:-1]) == pytest.approx(np.full(4, data.IMBALANCE**0.25), rel=0.1)


@pytest.mark.parametrize("shape", [(1, 4, 4), None])
def test_duplicates_are_near_their_sources(shape: tuple[int, int, int] | None) -> None:
    task = toy(shape=shape)
    spoilt = data.spoil(task, "duplicates", 0)
    changed = np.flatnonzero((spoilt.x != task.x).any(axis=1))
    assert len(changed) == round(data.DUPLICATES * len(task.x))
    assert len(spoilt.x) == len(task.x)
    kept = np.setdiff1d(np.arange(len(task.x)), changed)
    distance = np.linalg.norm(spoilt.x[changed][:, None] - spoilt.x[kept][None], axis=2)
    if shape is None:  # images are shifted, too
        assert np.array_equal(spoilt.y[kept[distance.argmin(axis=1)]], spoilt.y[changed])
        assert len(np.unique(distance.argmin(axis=1))) == round(len(changed) / data.COPIES)


def test_cifar_pickles(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)

    def write(name: str, n: int, key: bytes) -> None:
        batch = {
            b"data": rng.integers(0, 256, (n, 3072), dtype=np.uint8),
            key: [i % 10 for i in range(n)],
            b"batch_label": b"x",
        }
        (tmp_path / name).write_bytes(pickle.dumps(batch))

    for i in range(1, 3):
        write(f"data_batch_{i}", 20, b"labels")
    write("test_batch", 10, b"labels")
    task = data.load(f"cifar10={tmp_path}")
    assert (task.x.shape, task.validation_x.shape, task.test_x.shape) == ((36, 3072), (4, 3072), (10, 3072))
    assert (task.model, task.n_classes, task.image_shape) == ("resnet18", 10, (3, 32, 32))
    assert 0 <= task.x.min() < task.x.max() <= 1
    write("train", 30, b"fine_labels")
    write("test", 10, b"fine_labels")
    assert data.load(f"cifar100={tmp_path}").x.shape == (27, 3072)
    with pytest.raises(FileNotFoundError, match="data_batch_1"):
        data.cifar(tmp_path / "nowhere")


def test_feature_files(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = {"train_x": rng.normal(size=(50, 6)), "train_y": np.arange(50) % 3, "test_x": rng.normal(size=(9, 6))}
    np.savez(tmp_path / "half.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"half\.npz lacks test_y"):
        data.load(f"features={tmp_path / 'half.npz'}")
    np.savez(tmp_path / "f.npz", **arrays, test_y=np.arange(9) % 3)  # type: ignore[arg-type]
    task = data.load(f"features={tmp_path / 'f.npz'}")
    assert (task.name, task.x.shape, task.n_classes) == ("f", (45, 6), 3)
    with pytest.raises(ValueError, match="data must be one of digits"):
        data.load("nothing")


def rda(frame: dict[str, object]) -> bytes:
    """A workspace with one data frame `t` of a factor and an integer column, as R writes it."""

    def integer(*values: int) -> bytes:
        return struct.pack(f">{len(values)}i", *values)

    def string(text: str) -> bytes:
        return integer(9, len(text)) + text.encode()

    def strings(*texts: str) -> bytes:
        return integer(16, len(texts)) + b"".join(map(string, texts))

    codes, levels, numbers = (frame[key] for key in ("codes", "levels", "numbers"))
    factor = integer(13 | 512, len(codes), *codes) + integer(2 | 1024, 1) + string("levels") + strings(*levels)  # type: ignore[arg-type, misc]
    factor += integer(2 | 1024, 1) + string("class") + strings("factor") + integer(254)
    column = integer(13, len(numbers), *numbers)  # type: ignore[arg-type, misc]
    names = integer(2 | 1024, 1) + string("names") + strings("letter", "count")
    names += integer(2 | 1024, (2 << 8) | 255) + strings("data.frame") + integer(254)  # the symbol `class`, seen before
    table = integer(19 | 512, 2) + factor + column + names
    return b"RDX2\nX\n" + integer(2, 0, 0) + integer(2 | 1024, 1) + string("t") + table + integer(254)


@pytest.mark.parametrize("compress", [lzma.compress, bytes])
def test_workspaces_of_r(tmp_path: Path, compress: object) -> None:
    content = rda({"codes": (2, 1, 2), "levels": ("A", "B"), "numbers": (7, 8, 9)})
    # `levels` is symbol 2 and `class` symbol 3: `t` is the first.
    content = content.replace(struct.pack(">i", (2 << 8) | 255), struct.pack(">i", (3 << 8) | 255))
    (tmp_path / "t.rda").write_bytes(compress(content))  # type: ignore[operator]
    table = read_rda(tmp_path / "t.rda")["t"]
    codes, levels = table["letter"]
    assert codes.tolist() == [1, 0, 1]
    assert levels == ["A", "B"]
    assert table["count"].tolist() == [7, 8, 9]
    (tmp_path / "no.rda").write_bytes(b"something else")
    with pytest.raises(ValueError, match=r"no\.rda is no R workspace"):
        read_rda(tmp_path / "no.rda")


def test_perceptrons_trained_together_are_what_they_are_alone() -> None:
    task = toy()
    x, y = torch.from_numpy(task.x), torch.from_numpy(task.y)
    subsets = [np.arange(50), np.arange(100, 130)]

    def trained(which: list[int]) -> torch.Tensor:
        seeds = [10 + i for i in which]
        model = nets.build("mlp", 16, 5, None, seeds)
        nets.train(model, "mlp", x, y, [subsets[i] for i in which], 20, seeds)
        return nets.logits_of(model, x)

    together = trained([0, 1])
    for i in range(2):
        # Only the order of float32 sums differs.
        assert torch.allclose(together[i], trained([i])[0], atol=1e-4)
    assert not torch.allclose(together[0], together[1], atol=1e-2)


@pytest.mark.parametrize("kind", ["conv", "resnet18"])
def test_nets_of_images_learn(kind: str) -> None:
    shape = (1, 8, 8)
    y = np.arange(40) % 2
    x = (np.random.default_rng(0).random((40, 64)) / 4 + y[:, None] / 2).astype(np.float32)
    model = nets.build(kind, 64, 2, shape, [0])
    inputs, labels = torch.from_numpy(x), torch.from_numpy(y)
    nets.train(model, kind, inputs, labels, [np.arange(40)], 12, [0])
    assert nets.features_of(model, inputs).shape == (1, 40, 64 if kind == "conv" else 512)
    if kind == "conv":  # running means of batch normalisation are not there yet after so few steps
        assert nets.accuracies(model, inputs, labels)[0] > 0.8


def test_steps_depend_on_the_budget_alone() -> None:
    assert nets.n_steps(10) == 200
    assert nets.n_steps(128 * 30) == 300
    assert nets.n_steps(10**6) == 500
    order = nets.batches(50, 7, seed=3)
    assert order.shape == (7, nets.BATCH)
    assert sorted(order.flatten()[:50].tolist()) == list(range(50))


def test_proxies_are_cached_and_tell_wrong_labels(problem: proxies.Problem, cache: Path) -> None:
    assert set(problem.scores) == set(proxies.SCORES)
    wrong = problem.task.y != problem.task.clean_y
    for name in ("el2n", "margin", "aum", "sim"):
        assert problem.scores[name][wrong].mean() > problem.scores[name][~wrong].mean(), name
    assert problem.p_y[wrong].mean() < problem.p_y[~wrong].mean()
    (cached,) = cache.glob("accuracy-toy-noise-1-*.npz")
    written = cached.stat().st_mtime_ns
    again = proxies.prepare("toy", "noise", 1)
    assert cached.stat().st_mtime_ns == written
    assert np.array_equal(again.scores["el2n"], problem.scores["el2n"])
    assert again.seconds > 0  # the proxies' time is not forgotten
    assert again.seconds >= 0.5 * problem.seconds


@pytest.mark.parametrize("name", METHODS)
def test_every_method_keeps_the_budget(name: str, problem: proxies.Problem) -> None:
    for keep in (0.1, 0.7):
        kept = METHODS[name](problem, keep, 0)
        assert len(np.unique(kept)) == len(kept) == count(problem, keep)
        assert kept.min() >= 0
        assert kept.max() < len(problem.task.y)


def test_quotas_are_met_exactly(problem: proxies.Problem) -> None:
    sizes = np.bincount(problem.task.y)
    kept = np.bincount(problem.task.y[METHODS["infomax-quota"](problem, 0.3, 0)])
    assert (np.abs(kept - 0.3 * sizes) < 1).all()


def test_the_unsupervised_see_no_labels(problem: proxies.Problem) -> None:
    blind = replace(problem, task=replace(problem.task, y=np.zeros_like(problem.task.y)), scores={"ssp": problem.scores["ssp"]})
    for name in UNSUPERVISED:
        assert np.array_equal(METHODS[name](blind, 0.2, 3), METHODS[name](problem, 0.2, 3)), name


def test_facility_location_is_that_of_others() -> None:
    x = np.random.default_rng(0).normal(size=(120, 8)).astype(np.float32)
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    similarities = np.maximum(unit @ unit.T, 0)
    ours = _lazy_facility_location(x, 20)
    covered = np.zeros(120, dtype=np.float32)
    for chosen in ours:  # the oracle: no sample gains more
        gains = np.maximum(similarities - covered, 0).sum(axis=1)
        assert gains[chosen] == pytest.approx(gains.max(), rel=1e-5)
        covered = np.maximum(covered, similarities[chosen])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        submodlib = pytest.importorskip("submodlib")
        function = submodlib.FacilityLocationFunction(n=120, mode="dense", sijs=similarities, separate_rep=False)
        assert [i for i, _ in function.maximize(budget=20, optimizer="LazyGreedy", show_progress=False)] == ours.tolist()
        apricot = pytest.importorskip("apricot")
        theirs = apricot.FacilityLocationSelection(20, metric="precomputed", optimizer="lazy").fit(
            similarities.astype(np.float64)
        )
        assert theirs.ranking.tolist() == ours.tolist()


def test_class_random_is_balanced(problem: proxies.Problem) -> None:
    kept = METHODS["class-random"](problem, 0.2, 0)
    assert np.ptp(np.bincount(problem.task.y[kept], minlength=5)) <= 1


def test_a_run_goes_on_where_it_was(cache: Path, tmp_path: Path) -> None:
    assert cache.is_dir()
    path, plan = tmp_path / "r.jsonl", run.Plan(("toy",), ("noise",), ("random", "ccs"), (0.001, 0.1, 0.3), 2)
    run.run(plan, path, log=False)
    first = path.read_text()
    assert len(first.splitlines()) == 8  # 0.1 % is fewer samples than classes
    run.run(plan, path, log=False)
    assert path.read_text() == first
    # Killed within the last line: that cell and no other is trained again, and gives the same.
    path.write_text(first[:-20])
    run.run(plan, path, log=False)
    before = {line.split('"select_seconds"')[0] for line in first.splitlines()}
    assert {line.split('"select_seconds"')[0] for line in path.read_text().splitlines() if line.endswith("}")} == before
    assert len(store.read(path, proxies.VERSION)) == 8
    assert store.read(path, proxies.VERSION + 1) == {}


def test_a_run_in_several_processes(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache.is_dir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))  # of the processes: proxies differ from those here, the draws do not
    plan = run.Plan(("digits",), ("clean", "tail"), ("random", "class-random"), (0.03, 0.1), 1)
    run.run(plan, tmp_path / "two.jsonl", jobs=2, log=False)
    run.run(plan, tmp_path / "one.jsonl", log=False)
    two, one = (store.read(tmp_path / f"{name}.jsonl", proxies.VERSION) for name in ("two", "one"))
    assert set(two) == set(one)
    assert len(two) == 6  # 3 % of the long tail is fewer samples than classes
    assert all(two[cell].accuracy == pytest.approx(one[cell].accuracy, abs=0.02) for cell in one)
    spent = store.cpu_seconds(one.values())
    assert all(seconds > 0 for seconds in spent.values())
    assert spent["problems"] == pytest.approx(sum({result.problem_seconds for result in one.values()}))


def table(gains: dict[str, list[float]]) -> report.Table:
    """One place at which random reaches 50 % with every seed, and others so much more."""
    results = [
        store.Result(store.Cell("toy", "clean", name, 0.1, seed, "test"), 0.5 + gain / 100, 10, 0.0, 0.0, 0.0, 0.0, 1)
        for name, values in {"random": [0.0] * 4, **gains}.items()
        for seed, gain in enumerate(values)
    ]
    return report.Table(results)


def test_intervals_and_verdicts() -> None:
    # Student's t with three degrees of freedom: 3.182 * sqrt(5 / 3) / 2.
    assert report.mean([1, 2, 3, 4]).half_width == pytest.approx(3.1824 * 1.29099 / 2, rel=1e-4)
    assert report.mean([1.0]).verdict == "tied"
    found = table({"infomax": [1, 2, 1, 2], "ccs": [3, 1, 0, 1], "sims": [-1, -2, -1, -2]})
    place = ("toy", "clean", 0.1)
    assert found.best_baseline(place) == "ccs"
    assert found.count("infomax") == {"won": [], "tied": [place], "lost": []}
    assert found.count("infomax", ["random"])["won"] == [place]
    assert found.count("sims")["lost"] == [place]
    gain = found.average_gain("infomax", "random", [0.1])
    assert gain is not None
    assert gain.value == pytest.approx(1.5)
    assert found.average_gain("infomax", "random", [0.3]) is None


def test_differences_are_paired_by_seed() -> None:
    found = table({"infomax": [5, -5, 5, -5], "ccs": [4, -6, 4, -6]})
    difference = found.difference(("toy", "clean", 0.1), "infomax", "ccs")
    assert difference is not None
    assert difference.value == pytest.approx(1)
    assert difference.half_width == pytest.approx(0, abs=1e-9)


def test_the_report_is_written(tmp_path: Path) -> None:
    results = [
        store.Result(
            store.Cell("toy", "clean", name, keep, seed, "test"),
            0.5 + 0.01 * seed + behind,
            10,
            0.0,
            1.0,
            2.0,
            3.0,
            proxies.VERSION,
        )
        for name, behind in (("random", 0.0), ("ccs", 0.1), ("infomax", 0.0), ("infomax-<i>", 0.0))
        for keep in KEEPS[:2]
        for seed in range(2)
    ]
    store.append(tmp_path / "test.jsonl", results)
    store.append(tmp_path / "test.jsonl", [replace(results[0], version=-1)])
    report.write_report(tmp_path)
    text = (tmp_path / "test.md").read_text()
    assert text.startswith("16 nets; CPU seconds: problems 6, selection 16, training 32\n")
    assert "| random | 50.50 ± 6.35 | 50.50 ± 6.35 |" in text
    assert "| ccs | **60.50 ± 6.35** | **60.50 ± 6.35** |" in text
    assert "## Cells lost by infomax" in text
    assert "| toy | clean | 1% | ccs | -10.00 ± 0.00 | 0.00 ± 0.00 |" in text
    assert "| toy, clean | 2 | 0 | 0 | 2 | 0% | 0, 2, 0 | 0.00 |" in text
    assert (tmp_path / "test.png").stat().st_size > 1000
    page = (tmp_path / "test.html").read_text()
    assert "<b>60.50 ± 6.35</b>" in page
    assert "infomax-&lt;i&gt;" in page
    assert page.count("<svg") == 1
    assert not re.search(r"(src|href)=\"(?!#)", re.sub(r"xlink:href|xmlns[:a-z]*", "", page))  # nothing is loaded


def test_results_as_parquet(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    cell = store.Cell("toy", "clean", "ccs", 0.1, 3, "test")
    store.write_parquet(tmp_path / "r.parquet", [store.Result(cell, 0.5, 10, 0.0, 1.0, 2.0, 3.0, 4)])
    (row,) = parquet.read_table(tmp_path / "r.parquet").to_pylist()
    assert row == {
        "data": "toy", "corruption": "clean", "method": "ccs", "keep": 0.1, "seed": 3, "part": "test", "accuracy": 0.5,
        "n_kept": 10, "wrong_labels": 0.0, "select_seconds": 1.0, "train_seconds": 2.0, "problem_seconds": 3.0, "version": 4,
    }  # fmt: skip
