"""Every entrance that takes texts, labels or groups, with columns of every library: one answer, or an error that names it."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets as hugging_face
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import coremax
from coremax import datasets, sampling, scores, selection, text
from coremax.cli.commands import coremax as command
from coremax.report.selection_page import Given, _checked
from coremax.sklearn import CoresetSelector
from text_columns import columns, wrong

N = 48
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 4)).astype(np.float32)
SCORE = RNG.random(N)
NUMBERS = RNG.integers(0, 3, N)
CLASSES = ["", "web", "Bücher"]  # in another order than that of their numbers
TEXTS = [CLASSES[number] for number in NUMBERS]
WORDS = [f"{'lorem ipsum dolor '[: 1 + i % 17]} {i % 7}" for i in range(N)]
GRAPH = coremax.topk_graph(X, 5)
DATA = hugging_face.Dataset.from_dict({"x": X.tolist(), "score": SCORE, "label": TEXTS})


def shown(**given: Any) -> Any:
    """What a report shows of all samples: names, texts, classes; without drawing it."""
    data = _checked(selection.top(SCORE, 9), Given(**given))
    tiles = [data.samples.tile(row, True) for row in range(N)]
    classes = [None] * N if data.classes is None else [data.classes[0][place] for place in data.classes[1]]
    return [(tile.name, tile.text, name) for tile, name in zip(tiles, classes, strict=True)]


LIMITS = {"web": (2, 4), "": 0.5}
KEYS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "infomax labels": ("labels", lambda c: selection.infomax(X, SCORE, 9, labels=c).indices),
    "infomax groups": ("groups", lambda c: selection.infomax(X, SCORE, 9, groups=c).indices),
    "infomax limits": ("groups", lambda c: selection.infomax(X, SCORE, 9, groups=c, group_limits=LIMITS).indices),
    "sims": ("labels", lambda c: selection.sims(SCORE, 9, labels=c).indices),
    "moderate": ("labels", lambda c: selection.moderate(X, 9, labels=c).indices),
    "semdedup": ("clusters", lambda c: selection.semdedup(X, 9, clusters=c).indices),
    "coverage": ("labels", lambda c: selection.coverage(SCORE, 0.2, labels=c)),
    "solve": ("groups", lambda c: coremax.solve(SCORE, GRAPH, 9, groups=c, group_limits=LIMITS).indices),
    "solve_path": ("groups", lambda c: coremax.solve_path(SCORE, GRAPH, [5, 9], groups=c)[-1].indices),
    "stratified": ("labels", lambda c: sampling.stratified(c, 9)),
    "quotas": ("labels", lambda c: sampling.stratified(c, 9, quotas={"web": 2, "Bücher": 1})),
    "contradiction": ("labels", lambda c: scores.contradiction(GRAPH, c)),
    "sim": ("labels", lambda c: scores.sim(X, c)),
    "report": ("labels", lambda c: shown(labels=c)),
    "datasets": ("labels", lambda c: datasets.select(DATA, 9, embedding="x", score="score", labels=c).indices),
    "datasets groups": (
        "groups",
        lambda c: datasets.select(DATA, 9, embedding="x", score="score", options={"groups": c}).indices,
    ),
}


@pytest.mark.parametrize("entrance", KEYS)
def test_keys_of_every_library_give_one_answer(entrance: str) -> None:
    _, call = KEYS[entrance]
    expected = call(TEXTS)
    for kind, column in columns(TEXTS).items():
        assert np.array_equal(call(column), expected), kind


@pytest.mark.parametrize("entrance", sorted(set(KEYS) - {"infomax limits", "solve", "quotas", "report", "coverage"}))
def test_texts_do_what_their_numbers_do(entrance: str) -> None:
    _, call = KEYS[entrance]
    order = np.argsort(np.argsort(CLASSES))  # of each class in the order of its name
    assert np.array_equal(call(TEXTS), call(order[NUMBERS]))


@pytest.mark.parametrize("entrance", KEYS)
def test_what_is_no_column_of_keys_is_refused_by_name(entrance: str) -> None:
    name, call = KEYS[entrance]
    for kind, column in wrong(TEXTS).items():
        with pytest.raises((TypeError, ValueError), match=rf"^{name}\b"):
            pytest.fail(f"{kind}: {call(column)}")


def features(texts: Any) -> Any:
    return text.ngram_counts(texts, n_buckets=64)


CORPORA: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "ngram_counts": ("texts", features),
    "function": ("texts", lambda c: features(lambda: c)),
    "dsir texts": ("texts", lambda c: selection.dsir(c, ["lorem"], 9, min_tokens=1).indices),
    "dsir target": ("target", lambda c: selection.dsir(WORDS, c, 9, min_tokens=1).indices),
    "dsir raw": ("raw", lambda c: selection.dsir_log_weights(WORDS, ["lorem"], raw=c, min_tokens=1)),
    "report texts": ("texts", lambda c: shown(texts=c)),
    "report ids": ("ids", lambda c: shown(ids=c)),
}


@pytest.mark.parametrize("entrance", CORPORA)
def test_texts_of_every_library_give_one_answer(entrance: str) -> None:
    _, call = CORPORA[entrance]
    expected = call(WORDS)
    for kind, column in columns(WORDS).items():
        assert np.array_equal(call(column), expected), kind


@pytest.mark.parametrize("entrance", CORPORA)
def test_what_is_no_column_of_texts_is_refused_by_name(entrance: str) -> None:
    name, call = CORPORA[entrance]
    for kind, column in wrong(WORDS).items():
        if name == "ids" and ("mixture" in kind or kind in ("floats", "levels")):
            continue  # names may be anything
        if name in ("target", "raw") and kind == "floats":
            continue  # counts, if there were as many as buckets
        with pytest.raises((TypeError, ValueError), match=rf"^{name}\b"):
            pytest.fail(f"{kind}: {call(column)}")


def test_columns_of_numbers_are_counts() -> None:
    counts = features(WORDS)
    expected = selection.dsir_log_weights(WORDS, counts, n_buckets=64, min_tokens=1)
    for make in (pd.Series, pl.Series, pa.array):
        assert np.array_equal(selection.dsir_log_weights(WORDS, make(counts), n_buckets=64, min_tokens=1), expected)


def test_a_report_of_dsir_shows_columns_of_texts() -> None:
    for kind, column in columns(WORDS).items():
        chosen = selection.dsir(column, ["lorem"], 9, min_tokens=1)
        samples = _checked(chosen, Given()).samples
        assert [samples.tile(row, True).text for row in range(N)] == [" ".join(line.split()) for line in WORDS], kind


def test_what_can_be_read_once_is_not_read_twice() -> None:
    with pytest.raises(TypeError, match=r"^texts is read twice, but a generator can be read only once"):
        selection.dsir((line for line in WORDS), ["lorem"], 9, min_tokens=1)
    for call in (lambda: selection.sims(SCORE, 9, labels=iter(TEXTS)), lambda: sampling.stratified(map(str, TEXTS), 9)):
        with pytest.raises(TypeError, match=r"^labels must be a column of whole numbers or texts, got (list_iterator|map)"):
            call()


@pytest.mark.parametrize("n", [{"x": X, "y": NUMBERS}, hugging_face.DatasetDict(train=DATA), "data.parquet"])
def test_a_mapping_has_no_length_in_samples(n: Any) -> None:
    with pytest.raises(TypeError, match=r"^n must be an int or a data set that has a length"):
        selection.random(n, 1)


@pytest.mark.parametrize(
    "call",
    [
        lambda c: scores.el2n(np.full((N, 3), 1 / 3), c),
        lambda c: scores.margin(np.full((N, 3), 1 / 3), c),
        lambda c: scores.aum(np.zeros((2, N, 3)), c),
        lambda c: scores.sim(X, c, np.full((N, 3), 1 / 3)),
    ],
)
def test_labels_that_number_columns_are_no_texts(call: Callable[[Any], Any]) -> None:
    call(NUMBERS)
    for kind, column in columns(TEXTS).items():
        with pytest.raises(TypeError, match=r"^labels must be int64 or int32, got texts: here they number the columns"):
            pytest.fail(f"{kind}: {call(column)}")
    for kind, column in wrong(TEXTS).items():
        with pytest.raises((TypeError, ValueError), match=r"^labels\b"):
            pytest.fail(f"{kind}: {call(column)}")


def test_estimators_take_texts_as_targets() -> None:
    expected = CoresetSelector(9, method="moderate").fit(X, TEXTS).sample_indices_
    for kind, column in columns(TEXTS).items():
        if kind == "arrow runs":  # unknown to scikit-learn
            continue
        selector = CoresetSelector(9, method="moderate")
        kept = selector.fit_resample(X, column)[1]
        assert np.array_equal(selector.sample_indices_, expected), kind
        assert len(kept) == 9


# --- Limits and quotas by name -----------------------------------------------------------------------------------------------


def kept_by_name(**arguments: Any) -> dict[str, int]:
    kept = coremax.solve(SCORE, GRAPH, 12, groups=TEXTS, **arguments).indices
    return {name: sum(TEXTS[row] == name for row in kept) for name in CLASSES}


def test_limits_go_by_the_names_of_groups() -> None:
    assert kept_by_name(group_limits={"web": (1, 1), "Bücher": (9, None)})["web"] == 1
    assert kept_by_name(group_limits={"web": (1, 1), "Bücher": (9, None)})["Bücher"] >= 9
    assert kept_by_name(group_limits=pd.Series({"web": 0.0}))["web"] == 0
    assert kept_by_name(group_limits={np.str_("web"): 0.0, b"": (0, 2)})["web"] == 0


def test_a_series_is_read_by_its_index() -> None:
    quotas = pd.Series({2: 1, 0: 8, 1: 0})
    drawn = sampling.stratified(NUMBERS, 9, quotas=quotas)
    assert np.bincount(NUMBERS[drawn], minlength=3).tolist() == [8, 0, 1]
    limits = pd.Series({2: (1, 1), 0: (8, 8), 1: (0, 0)})
    kept = coremax.solve(SCORE, GRAPH, 9, groups=NUMBERS, group_limits=limits).indices
    assert np.bincount(NUMBERS[kept], minlength=3).tolist() == [8, 0, 1]


@pytest.mark.parametrize(
    ("limits", "error", "message"),
    [
        ({"Web": 0.5}, ValueError, r"group_limits has group 'Web', which no element is in; there are '', 'Bücher', 'web'"),
        ({1: 0.5}, ValueError, "group_limits has group 1, which no element is in"),
        ({"web": (1000, 1000)}, ValueError, "group 'web' wants at least 1000, but has"),
        ({"web": (3, 2)}, ValueError, "group_limits of group 'web' has a minimum of 3 above its maximum of 2"),
        ({"web": "few"}, TypeError, "group_limits of group 'web' must be"),
        ([0.1, 0.2, 0.3], ValueError, "pass a mapping for other labels"),
        (pd.DataFrame({"web": [0.1], "": [0.1]}), TypeError, "group_limits must be one column, got a DataFrame"),
        ("web", TypeError, "group_limits must be a fraction"),
        ({0.1, 0.2}, TypeError, "group_limits"),
        (pd.Series([0.1, 0.2], index=["web", "web"]), ValueError, "names 'web' twice"),
    ],
)
def test_limits_that_fit_no_group_are_refused_by_name(limits: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        coremax.solve(SCORE, GRAPH, 12, groups=TEXTS, group_limits=limits)


def test_what_is_left_of_a_group_is_told_by_its_name() -> None:
    with pytest.raises(ValueError, match="group 'web' wants at least"):
        selection.infomax(X, SCORE, 20, groups=TEXTS, group_limits={"web": 1.0}, exclude=[TEXTS.index("web")])


# --- Files -------------------------------------------------------------------------------------------------------------------


def run(*arguments: Any) -> str:
    result = CliRunner().invoke(command, list(map(str, arguments)))
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", X)
    np.save("score.npy", SCORE)
    return tmp_path


ARROW_TYPES = [pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.dictionary(pa.int32(), pa.string())]


@pytest.mark.parametrize("kind", ARROW_TYPES, ids=str)
def test_files_hold_texts_of_every_type(kind: Any, folder: Path) -> None:
    ids = [f"id {i}" for i in range(N)]

    def typed(texts: list[str]) -> Any:
        array = pa.array(texts, pa.string())
        return array.dictionary_encode() if pa.types.is_dictionary(kind) else array.cast(kind)

    pq.write_table(pa.table({"id": typed(ids), "label": typed(TEXTS)}), "t.parquet", row_group_size=7)
    call = ("--budget", 9, "--no-sidecar", "--quiet", "--ids", "t.parquet:id", "--labels", "t.parquet:label")
    run("select", "x.npy", "--importance", "score.npy", *call, "-o", "kept.txt")
    expected = selection.infomax(X, SCORE, 9, labels=TEXTS).indices
    assert Path("kept.txt").read_text("utf-8").splitlines() == [ids[row] for row in expected]


def test_reports_name_the_classes(folder: Path) -> None:
    Path("titles.txt").write_text("\n".join(f"title {i}" for i in range(N)))
    np.save("labels.npy", np.array(TEXTS))
    run("select", "x.npy", "--importance", "score.npy", "--labels", "labels.npy", "--budget", 9, "-o", "kept.npy",
        "--titles", "titles.txt", "--report", "page.html", "--quiet")  # fmt: skip
    assert "Bücher" in Path("page.html").read_text("utf-8")


@pytest.mark.parametrize("output", ["kept.txt", "kept.parquet"])
def test_an_id_that_ends_in_nul_is_another_id(output: str, folder: Path) -> None:
    ids = ["a", "a\0", *(f"{i}\0" for i in range(N - 2))]
    Path("ids.txt").write_text("".join(f"{name}\n" for name in ids))
    pq.write_table(pa.table({"id": ids}), "ids.parquet")
    for file in ("ids.txt", "ids.parquet"):
        run("select", "x.npy", "--importance", "score.npy", "--budget", N, "--ids", file, "-o", output, "--quiet")
        found = Path(output).read_text().split("\n")[:-1] if output == "kept.txt" else pq.read_table(output)["id"].to_pylist()
        assert found == ids
    result = CliRunner().invoke(
        command, ["select", "x.npy", "--importance", "score.npy", "--budget", "9", "--ids", "ids.txt", "-o", "kept.npy"]
    )
    assert result.exit_code == 2
    assert r"the id 'a\x00' would lose the NUL at its end: write .txt or .parquet" in result.output


def test_texts_that_number_no_columns_are_refused(folder: Path) -> None:
    np.save("p.npy", np.full((N, 4), 0.25))
    pq.write_table(pa.table({"label": TEXTS}), "t.parquet")
    result = CliRunner().invoke(command, ["score", "el2n", "p.npy", "--labels", "t.parquet:label", "-o", "s.npy"])
    assert result.exit_code == 2
    assert "t.parquet:label: holds 3 different texts, but the predictions have 4 columns" in result.output
    np.save("p.npy", np.full((N, 3), 1 / 3))
    run("score", "el2n", "p.npy", "--labels", "t.parquet:label", "-o", "s.npy", "--quiet")


# --- Memory ------------------------------------------------------------------------------------------------------------------

MANY = 60_000
LONG = "x" * 200_000
UNEVEN = [LONG, *(f"t{i % 9}" for i in range(MANY - 1))]  # 44.7 GB as an array of fixed width
MANY_SCORES = np.random.default_rng(0).random(MANY)
LONG_CALLS: dict[str, Callable[[], Any]] = {
    "ngram_counts": lambda: text.ngram_counts(UNEVEN),
    "dsir": lambda: selection.dsir(UNEVEN, UNEVEN, 9, min_tokens=0),
    "sims": lambda: selection.sims(MANY_SCORES, 9, labels=UNEVEN),
    "stratified": lambda: sampling.stratified(UNEVEN, 9),
    "groups": lambda: coremax.solve(
        MANY_SCORES, coremax.Graph.from_neighbors(np.full((MANY, 1), -1), np.zeros((MANY, 1), np.float32)), 90, groups=UNEVEN
    ),
    "report": lambda: selection.top(MANY_SCORES, 9).report(labels=UNEVEN, texts=UNEVEN, ids=UNEVEN),
    "sklearn": lambda: CoresetSelector(9, method="moderate").fit(MANY_SCORES[:, None], UNEVEN),
    "datasets": lambda: datasets.select(
        hugging_face.Dataset.from_dict({"t": UNEVEN, "s": MANY_SCORES}), 9, score="s", labels="t", ids=None, method="sims"
    ),
}


@pytest.mark.parametrize("entrance", LONG_CALLS)
def test_one_long_text_takes_no_room_for_the_others(entrance: str) -> None:
    """An array of fixed width is one allocation of 800 KB a row; where it is refused as too large this is a MemoryError."""
    tracemalloc.start()
    try:
        LONG_CALLS[entrance]()
        assert tracemalloc.get_traced_memory()[1] < 2**28
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("call", [lambda: selection.top(UNEVEN, 9), lambda: scores.el2n(np.full((MANY, 2), 0.5), UNEVEN)])
def test_texts_in_place_of_numbers_are_refused_before_they_are_widened(call: Callable[[], Any]) -> None:
    with pytest.raises(TypeError, match=r"must be an array of numbers, got a text as score\[0\]|labels must be int64"):
        call()


def test_files_of_one_long_text_take_no_room_for_the_others(folder: Path) -> None:
    ids = [f"{i} {line}" for i, line in enumerate(UNEVEN)]
    np.save("s.npy", MANY_SCORES)
    Path("ids.txt").write_text("".join(f"{line}\n" for line in ids))
    pq.write_table(pa.table({"id": ids, "label": UNEVEN}), "t.parquet")
    for file in ("ids.txt", "t.parquet:id"):
        tracemalloc.start()
        try:
            run("select", "s.npy", "--method", "sims", "--importance", "s.npy", "--budget", 9, "--ids", file, "--labels",
                "t.parquet:label", "-o", "kept.txt", "--quiet")  # fmt: skip
            assert tracemalloc.get_traced_memory()[1] < 2**28
        finally:
            tracemalloc.stop()
        assert len(Path("kept.txt").read_text().splitlines()) == 9


@pytest.mark.parametrize("file", ["ids.txt", "ids.parquet", "ids.npy"])
def test_memory_is_checked_before_texts_are_read(file: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [f"id {i}" for i in range(N)]
    Path("ids.txt").write_text("\n".join(ids))
    pq.write_table(pa.table({"id": ids}), "ids.parquet")
    np.save("ids.npy", np.array(ids))
    monkeypatch.setattr("coremax._runtime.memory.available", lambda: 100)
    result = CliRunner().invoke(command, ["sample", "score.npy", "--size", "3", "--ids", file, "-o", "kept.txt"])
    assert result.exit_code == 2
    assert f"{file}: takes" in result.output
    assert "but 100 are free" in result.output
