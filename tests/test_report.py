"""The report of a selection: what it finds out, the page as a document, what users may pass, and the page in a browser."""

from __future__ import annotations

import copy
import dataclasses
import os
import pickle
import re
import shutil
import subprocess
import sys
from collections import Counter
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

for module in ("jinja2", "matplotlib"):
    pytest.importorskip(module)

import matplotlib  # noqa: E402
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from PIL import Image  # noqa: E402

import coremax  # noqa: E402
from coremax import Selection, selection  # noqa: E402
from coremax.report import findings, numbers  # noqa: E402
from coremax.report.tiles import Samples  # noqa: E402
from coremax.solver import _solver  # noqa: E402
from helpers import clustered  # noqa: E402

N = 900
X = clustered(N, 12, 30, seed=0)
SCORE = np.random.default_rng(1).gamma(2, size=N)
LABELS = np.random.default_rng(2).choice([3, 5, 11], N, p=[0.6, 0.3, 0.1])
IMAGES = np.random.default_rng(3).integers(0, 256, size=(N, 6, 5), dtype=np.uint8)
EVERY_SECTION = {"budget", "importance", "redundancy", "map", "classes", "groups", "parameters", "outcome"}
VOID = {"meta", "img", "br", "link", "path", "use", "line", "rect", "stop", "image"}


@pytest.fixture(scope="module")
def chosen() -> Selection:
    return coremax.infomax(X, SCORE, 0.1, labels=LABELS)


class Document(HTMLParser):
    """What a page is made of; asserts that its tags are balanced."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open an element."""
        self.tags[tag] += 1
        self.attributes.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element without content."""
        self.tags[tag] += 1
        self.attributes.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        """Close the element opened last."""
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Gather text."""
        self.text += data

    def all_of(self, attribute: str) -> list[str]:
        """Values of an attribute, wherever it is."""
        return [attributes[attribute] for _, attributes in self.attributes if attribute in attributes]

    @property
    def sections(self) -> set[str]:
        """Ids of the sections."""
        return {attributes["id"] for tag, attributes in self.attributes if tag == "section" and "id" in attributes}

    @property
    def headings(self) -> list[str]:
        """Titles of the galleries."""
        return re.findall(r"(Important, yet pruned|Left out beforehand|Kept)\n", self.text)


# The page as a document


def test_a_selection_needs_nothing_but_itself(chosen: Selection, tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    target.write_text("old")
    assert chosen.report(target) == os.fspath(target)
    text = target.read_text(encoding="utf-8")
    assert text == chosen.report()
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]
    document = Document(text)
    assert document.sections == EVERY_SECTION
    assert document.headings == ["Important, yet pruned", "Left out beforehand"]
    assert "InfoMax kept 90 of 900 samples" in document.text
    assert chosen.solution is not None
    assert f"{chosen.solution.objective:,.6g}" in document.text
    for name, value in chosen.parameters.items():
        assert name.replace("_", " ") in document.text
        assert numbers.number(value) in document.text


def test_the_page_loads_nothing_and_refers_to_itself_alone(chosen: Selection) -> None:
    text = chosen.report(images=IMAGES, texts=["text"] * N)
    assert "http" not in text
    assert "@import" not in text
    assert "<script" not in text
    document = Document(text)
    ids = document.all_of("id")
    assert len(ids) == len(set(ids))
    for reference in document.all_of("src") + document.all_of("href") + document.all_of("xlink:href"):
        assert reference.startswith("data:image/") or reference[1:] in ids
    assert set(re.findall(r"url\(([^)]*)\)", text)) <= {f"#{name}" for name in ids}


def test_the_page_can_be_heard(chosen: Selection) -> None:
    document = Document(chosen.report(images=IMAGES))
    assert document.tags["h1"] == 1
    assert ("html", {"lang": "en"}) in document.attributes
    for tag, attributes in document.attributes:
        if tag == "img":
            assert attributes["alt"]
        if tag == "th":
            assert attributes["scope"] in ("row", "col")
        if attributes.get("role") == "img":
            assert len(attributes["aria-label"]) > 20
    assert document.tags["svg"] == sum(attributes.get("aria-hidden") == "true" for _, attributes in document.attributes)


def test_the_same_bytes_whatever_the_caller_has_set(chosen: Selection) -> None:
    first = chosen.report(images=IMAGES)
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "svg.fonttype": "path"}):
        assert chosen.report(images=IMAGES) == first
        assert matplotlib.rcParams["font.size"] == 30
    again = coremax.infomax(X, SCORE, 0.1, labels=LABELS, threads=1)
    plain, other = (dataclasses.replace(one, timings=None).report(images=IMAGES) for one in (chosen, again))
    assert re.sub(r"<dt>graph</dt>.*", "", plain) == re.sub(r"<dt>graph</dt>.*", "", other)


def test_text_of_users_shows_as_text(chosen: Selection) -> None:
    bad = "<script>alert(1)</script>\" onerror='x' {{ 7 * 7 }}"
    text = chosen.report(texts=[bad] * N, ids=[bad] * N, labels=[f"{bad}{i % 2}" for i in range(N)], title=bad, images=IMAGES)
    document = Document(text)
    assert document.tags["script"] == 0
    assert document.text.count(bad) >= 40
    assert not any(name.startswith("on") for _, attributes in document.attributes for name in attributes)
    assert text.count(chr(0)) == 0


def test_a_page_that_can_not_be_written_leaves_nothing(chosen: Selection, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        chosen.report(tmp_path / "taken")
    with pytest.raises(ValueError, match="texts has 1 elements"):
        chosen.report(tmp_path / "page.html", texts=["one"])
    assert [file.name for file in tmp_path.iterdir()] == ["taken"]


def test_long_names_show_their_beginning(chosen: Selection) -> None:
    assert Samples(1, None, None, ["n" * 80]).name(0) == "n" * 80
    page = chosen.report(ids=["n" * 10_000] * N, labels=["l" * 10_000 + str(label) for label in LABELS])
    assert "n" * 79 + "\u2026" in page
    assert "l" * 79 + "\u2026" in page
    assert len(page) < 500_000


@pytest.mark.parametrize(
    ("path", "error", "message"),
    [
        ("nowhere/page.html", FileNotFoundError, r"No such file or directory: 'nowhere/page.html'$"),
        ("p" * 300, OSError, f"File name too long: '{'p' * 300}'$"),
        ("", ValueError, "the name of the file to write is empty"),
    ],
)
def test_a_name_that_can_not_be_written_is_told_as_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, error: type[Exception], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        selection.random(9, 3).report(path)
    assert os.listdir() == []


def test_names_of_any_length_and_type_the_system_takes(tmp_path: Path) -> None:
    for name in ("p" * 255, "\u00e9" * 127):
        path = str(tmp_path / name)
        assert selection.random(9, 3).report(path) == path
    name_in_bytes: Any = os.fsencode(tmp_path / "bytes.html")
    selection.random(9, 3).report(name_in_bytes)
    assert sorted(os.listdir(tmp_path)) == ["bytes.html", "p" * 255, "\u00e9" * 127]


def test_labels_of_an_arrow_array() -> None:
    pa = pytest.importorskip("pyarrow")
    kept, names = selection.random(9, 3), ["one", "two", "three"] * 3
    assert kept.report(labels=pa.array(names)) == kept.report(labels=names)


def test_lone_surrogates_can_be_written(chosen: Selection, tmp_path: Path) -> None:
    chosen.report(tmp_path / "page.html", texts=["\ud800 a"] * N)
    assert "? a" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_without_the_extra_one_line_says_what_to_install() -> None:
    code = """
import sys
for name in ("jinja2", "matplotlib"):
    sys.modules[name] = None
import coremax
from coremax.solver import _solver  # noqa: E402
chosen = coremax.selection.random(10, 3)
assert "<table" in chosen._repr_html_()
try:
    chosen.report()
except ImportError as error:
    print(error)
"""
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert out == "report() needs jinja2 and matplotlib: pip install 'coremax[report]'\n"


# Every method, with what it knows


@pytest.mark.parametrize(
    ("chosen", "sections"),
    [
        (selection.random(N, 0.1), set()),
        (selection.random(X, 0.1), {"redundancy", "map", "groups"}),
        (selection.top(SCORE, 0.1), {"importance"}),
        (selection.ccs(SCORE, 0.1), {"importance"}),
        (selection.sims(SCORE, 0.1, labels=LABELS), {"importance", "classes"}),
        (selection.d2(X, SCORE, 0.1), {"importance", "redundancy", "map", "groups"}),
        (selection.d2(coremax.topk_graph(X, 5), SCORE, 0.1), {"importance", "groups"}),
        (selection.moderate(X, 0.1, labels=LABELS), {"redundancy", "map", "groups", "classes"}),
        (selection.semdedup(X, 0.5), {"redundancy", "map", "groups"}),
        (coremax.infomax(X, SCORE, 0.1, bound=None), EVERY_SECTION - {"classes", "parameters", "outcome"}),
    ],
    ids=["random", "random-x", "top", "ccs", "sims", "d2", "d2-graph", "moderate", "semdedup", "unbounded"],
)
def test_every_method_tells_what_it_knows(chosen: Selection, sections: set[str]) -> None:
    text = chosen.report()
    assert Document(text).sections == sections | {"parameters", "outcome"}
    assert not re.search(r">[^<]*\b(nan|inf|None)\b|label=\"[^\"]*\b(nan|inf|None)\b", text)
    # What is passed fills the gaps.
    document = Document(chosen.report(embeddings=X, score=SCORE, labels=LABELS, texts=["a b"] * N))
    assert document.sections >= {"importance", "redundancy", "map", "groups", "classes"}
    assert "Kept" in document.headings


def test_documents_that_dsir_keeps() -> None:
    raw = ["the cat sat on the mat", "stocks fell on the news", "a cat and a dog", "short"] * 5
    chosen = coremax.dsir(raw, ["my cat likes the dog"], 4, min_tokens=2)
    document = Document(chosen.report())
    assert "importance" in document.sections  # that of "short" is -infinity
    assert "stocks fell on the news" in document.text


def test_easy_scores_turn_the_order() -> None:
    hard_first = selection.sims(SCORE, 0.1, higher="hard").report(ids=np.arange(N))
    easy_first = selection.sims(-SCORE, 0.1, higher="easy").report(ids=np.arange(N))
    lists = [re.findall(r'<th scope="row">(\d+)</th>', text) for text in (hard_first, easy_first)]
    assert lists[0] == lists[1] != []


def test_copies_and_pickles_hold_no_inputs(chosen: Selection) -> None:
    assert chosen.inputs["embeddings"] is X
    assert chosen.inputs["score"] is SCORE
    assert chosen.inputs["labels"] is LABELS
    for twin in (pickle.loads(pickle.dumps(chosen)), copy.copy(chosen), dataclasses.replace(chosen, inputs={})):
        assert twin.inputs == {}
        assert np.array_equal(twin.indices, chosen.indices)
        assert Document(twin.report()).sections == {"groups", "parameters", "outcome"}
    assert len(pickle.dumps(chosen)) < X.nbytes + 2_000_000


# What it finds out


def test_the_curve_is_solved_within_the_same_limits(chosen: Selection) -> None:
    curve = findings.budget_curve(chosen)
    solution = chosen.solution
    assert solution is not None
    fixed = np.flatnonzero(chosen.inputs["limits"].fixed == 1)
    assert len(fixed) == 30, "ten typical samples of each class stay, so that a quarter of the budget is too little"
    assert [point.n_kept for point in curve] == [45, 68, 90, 135, 180]
    own = next(point for point in curve if point.chosen)
    assert (own.n_kept, own.objective, own.upper_bound) == (90, solution.objective, solution.upper_bound)
    for point in curve:
        assert point.objective <= point.upper_bound
        assert 0 <= point.gap < 0.2
    # Each against a solution made from nothing: within the bound, and not much worse.
    for point in curve:
        limits = chosen.inputs["limits"].scaled(point.n_kept / 90, len(chosen.candidates))
        ranges = dict(enumerate(limits.ranges))
        alone = coremax.solve(
            chosen.inputs["importance"], chosen.graph, point.n_kept, alpha=chosen.parameters["alpha"], groups=limits.groups,
            group_limits=ranges, include=fixed, bound=None,
        )  # fmt: skip
        assert alone.objective <= point.upper_bound * (1 + 1e-9)
        assert point.objective == pytest.approx(alone.objective, rel=0.02)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_scaled_limits_can_be_met_or_are_refused(data: st.DataObject) -> None:
    n = data.draw(st.integers(2, 14))
    groups = np.array(data.draw(st.lists(st.integers(0, 2), min_size=n, max_size=n)))
    budget = data.draw(st.integers(1, n))
    include = data.draw(st.lists(st.integers(0, n - 1), max_size=2, unique=True))
    ends = st.one_of(st.none(), st.integers(0, 5))
    wanted = {int(g): data.draw(st.tuples(ends, ends)) for g in np.unique(groups)}
    costs = data.draw(st.one_of(st.none(), st.just(np.linspace(1, 2, n))))
    from coremax.solver import _constraints

    try:
        limits = _constraints.resolve(n, budget if costs is None else float(budget), include, None, groups, wanted, costs)
        scaled = limits.scaled(data.draw(st.sampled_from([0.25, 0.5, 1.0, 1.5, 2.0])), n)
    except ValueError:
        return
    found = _solver.solve_within(
        _solver.Inputs(np.arange(n, dtype=float), coremax.Graph.from_neighbors([[-1]] * n, [[0.0]] * n), None), scaled
    )
    assert scaled.groups is not None
    if costs is None:
        assert len(found.indices) == scaled.budget
    counts = np.bincount(scaled.groups[found.indices], minlength=len(scaled.ranges))
    assert all(low <= size <= high for size, (low, high) in zip(counts, scaled.ranges, strict=True))
    assert set(include) <= set(found.indices.tolist())


def similarity_of(metric: str, a: Any, b: Any) -> float:
    a, b = a.astype(np.float64), b.astype(np.float64)
    if metric == "euclidean":
        return float(1 / (1 + np.sqrt(((a - b) ** 2).sum())))
    return float(a @ b) if metric == "dot" else float((a / np.sqrt(a @ a)) @ (b / np.sqrt(b @ b)))


@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
@pytest.mark.parametrize("factor", [1.0, 1e-18, 1e120])
def test_nearest_neighbours_are_those_of_the_loop(metric: str, factor: float) -> None:
    x = np.concatenate([X[:60], X[:3]]).astype(np.float64) * factor  # three of them twice
    among = np.sort(np.random.default_rng(0).permutation(63)[:40])
    queries = among[::3]
    scale = findings._largest(x) if metric != "cosine" else 1.0
    found = findings._nearest(x, queries, among, metric, scale)
    for query, value in zip(queries, found, strict=True):
        best = max(similarity_of(metric, x[query], x[other]) for other in among if other != query)
        assert value == pytest.approx(best, rel=1e-6)


def test_blocks_of_rows_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = np.arange(N) % 7 == 0
    whole = findings.redundancy(X, kept, "cosine")
    monkeypatch.setattr(findings, "_BLOCK_ELEMENTS", 5000)
    parts = findings.redundancy(X, kept, "cosine")
    assert whole is not None
    assert parts is not None
    for name in ("edges", "before", "after", "by_chance"):
        np.testing.assert_allclose(getattr(whole, name), getattr(parts, name), rtol=1e-6)


def test_redundancy_falls_where_near_duplicates_go() -> None:
    x = np.repeat(clustered(200, 16, 200, seed=4), 5, axis=0)
    chosen = coremax.infomax(x, np.random.default_rng(0).random(1000), 0.15, drop_hardest=0.0)
    found = findings.redundancy(x, chosen.mask(), "cosine")
    assert found is not None
    before, after, by_chance = found.medians
    assert before == 1
    assert after < by_chance <= 1
    assert found.before.sum() == found.n_queries[0] == 1000
    assert found.after.sum() == found.n_queries[1] == 150


def test_principal_axes_are_those_of_the_decomposition() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(300, 40)) * np.r_[9.0, 5.0, np.linspace(2, 0.1, 38)] + 3
    centre, axes, explained = findings._principal_axes(rows)
    _, sizes, expected = np.linalg.svd(rows - rows.mean(axis=0))
    np.testing.assert_allclose(centre, rows.mean(axis=0))
    np.testing.assert_allclose(np.abs((axes * expected[:2].T).sum(axis=0)), 1, atol=1e-9)
    assert explained == pytest.approx((sizes[:2] ** 2).sum() / (sizes**2).sum())


def joined_by_loop(pairs: list[tuple[int, int, float]], largest: int) -> set[frozenset[int]]:
    groups: list[set[int]] = []
    for i, j, _ in pairs:
        a, b = (next((g for g in groups if one in g), {one}) for one in (i, j))
        if a is b or len(a) + len(b) > largest:
            continue
        groups = [g for g in groups if g is not a and g is not b] + [a | b]
    return {frozenset(g) for g in groups}


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)).filter(lambda pair: pair[0] != pair[1]), max_size=120))
def test_groups_are_those_of_the_loop(pairs: list[tuple[int, int]]) -> None:
    weighted = [(i, j, 1 - place / 1000) for place, (i, j) in enumerate(pairs)]
    members, weakest = findings._joined(*(list(part) for part in zip(*weighted, strict=True))) if weighted else ({}, {})
    assert {frozenset(rows) for rows in members.values()} == joined_by_loop(weighted, findings._LARGEST_GROUP)
    assert members.keys() == weakest.keys()
    assert all(len(rows) <= findings._LARGEST_GROUP for rows in members.values())


def test_exact_duplicates_make_the_first_groups() -> None:
    x = X[:200].copy()
    x[[10, 50, 90, 130]] = x[10]
    x[[7, 8, 9]] = x[7]
    chosen = coremax.infomax(x, SCORE[:200], 40, drop_hardest=0.0, k=5)
    found = findings.near_duplicates(chosen, None, chosen.mask(), "cosine", 50)
    assert found is not None
    members = [set(group.members) for group in found[0]]
    assert any({10, 50, 90, 130} <= rows for rows in members)
    assert any({7, 8, 9} <= rows for rows in members)
    for group in found[0]:
        assert group.n_kept == chosen.mask()[list(group.members)].sum()
        assert chosen.mask()[list(group.members)].tolist() == [True] * group.n_kept + [False] * (
            len(group.members) - group.n_kept
        )


def test_kept_twins_are_the_most_similar_kept_neighbours(chosen: Selection) -> None:
    kept, graph = chosen.mask(), chosen.graph
    assert graph is not None
    rows = chosen.candidates[~kept[chosen.candidates]][:100]
    for row, twin in zip(rows, findings.kept_twins(chosen, kept, rows), strict=True):
        place = int(np.searchsorted(chosen.candidates, row))
        expected = [
            (int(chosen.candidates[j]), float(value))
            for j, value in zip(graph.neighbors[place], graph.similarities[place], strict=True)
            if j >= 0 and kept[chosen.candidates[j]]
        ]
        assert twin == (expected[0] if expected else None)


def test_class_shares() -> None:
    rows = findings.class_shares(["a", "b"], np.array([0, 0, 0, 1]), np.array([True, False, False, True]))
    assert rows == [findings.ClassShare("a", 3, 1, 0.75, 0.5), findings.ClassShare("b", 1, 1, 0.25, 0.5)]


def test_histograms_count_everything(chosen: Selection) -> None:
    found = findings.histogram(SCORE, chosen.mask())
    assert found is not None
    assert (found.kept.sum(), found.pruned.sum()) == (90, 810)
    assert found.mean_kept == pytest.approx(SCORE[chosen.mask()].mean())


# What users pass


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"score": SCORE[:-1]}, ValueError, "score has 899 elements, but the selection has 900"),
        ({"score": np.where(np.arange(N) == 7, np.nan, SCORE)}, ValueError, r"score\[7\] is nan"),
        ({"embeddings": X[:-1]}, ValueError, "embeddings has 899 elements"),
        ({"embeddings": X[:, 0]}, ValueError, "embeddings must be two-dimensional"),
        ({"embeddings": np.where(np.arange(N)[:, None] == 7, np.inf, X)}, ValueError, r"embeddings\[7, 0\] is inf"),
        ({"labels": LABELS[:-1]}, ValueError, "labels has 899 elements"),
        ({"labels": SCORE}, TypeError, "labels must be int64 or int32, booleans or texts, got float64"),
        ({"labels": LABELS[:, None]}, ValueError, "labels must be one-dimensional"),
        ({"labels": "a" * N}, TypeError, "labels must be a sequence with one entry a sample, got str"),
        ({"labels": iter(LABELS)}, TypeError, "labels must be a sequence"),
        ({"labels": np.array(3)}, ValueError, "labels must be one-dimensional"),
        ({"labels": [[1], [2, 3]] * (N // 2)}, ValueError, "labels must be one-dimensional"),
        ({"labels": [["a", "b"]] * N}, ValueError, r"labels must be one-dimensional, got shape \(900, 2\)"),
        ({"coordinates": X}, ValueError, r"coordinates must have shape \(900, 2\)"),
        (
            {"coordinates": np.where(np.arange(2 * N) == 7, np.nan, 1.0).reshape(N, 2)},
            ValueError,
            r"coordinates\[3, 1\] is nan",
        ),
        ({"images": IMAGES[:-1]}, ValueError, "images has 899 elements"),
        ({"images": np.zeros((N, 3))}, ValueError, r"images\[\d+\] must have shape"),
        ({"images": [["a"]] * N}, TypeError, r"images\[\d+\]"),
        ({"images": ["missing.png"] * N}, ValueError, r"images\[\d+\] 'missing.png' can not be shown: .*No such file"),
        ({"images": [__file__] * N}, ValueError, r"images\[\d+\] .*test_report.py' can not be shown"),
        ({"images": [Image.new("L", (0, 3))] * N}, ValueError, r"images\[\d+\] can not be shown"),
        ({"texts": "text"}, TypeError, "texts must be a sequence with one entry a sample, got str"),
        ({"texts": iter(["a"])}, TypeError, "texts must be a sequence"),
        ({"texts": [3] * N}, TypeError, r"texts\[\d+\] must be a str, got int"),
        ({"ids": range(3)}, ValueError, "ids has 3 elements"),
        ({"ids": dict.fromkeys(map(str, range(N)))}, TypeError, "ids must be a sequence with one entry a sample, got dict"),
        ({"ids": X}, ValueError, r"ids must hold one name a sample, got an array of shape \(12,\)"),
        ({"title": 3}, TypeError, "title must be a str, got int"),
    ],
)
def test_bad_arguments_are_named(chosen: Selection, arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        chosen.report(**arguments)


def test_coordinates_take_the_place_of_components(chosen: Selection) -> None:
    angles = np.linspace(0, 6, N)
    text = chosen.report(coordinates=np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32))
    assert "principal components" not in text
    assert "map" in Document(text).sections
    assert text != chosen.report(coordinates=np.stack([angles, angles], axis=1))


@pytest.mark.parametrize("dtype", ["float16", "float64", "int8"])
def test_types_of_embeddings(dtype: str) -> None:
    x = (X * 10).astype(dtype)
    assert Document(coremax.infomax(x, SCORE, 0.1).report()).sections >= {"redundancy", "map", "groups"}


def test_tensors(chosen: Selection) -> None:
    torch = pytest.importorskip("torch")
    x = torch.from_numpy(X)
    there = coremax.infomax(x, torch.from_numpy(SCORE), 0.1, labels=torch.from_numpy(LABELS))
    assert "table" in there._repr_html_()
    text = dataclasses.replace(there, timings=None).report(images=torch.from_numpy(IMAGES), ids=torch.arange(N))
    assert text == dataclasses.replace(chosen, timings=None).report(images=IMAGES, ids=range(N))
    assert Document(coremax.infomax(x.bfloat16(), SCORE, 0.1).report()).sections >= {"redundancy", "map", "groups"}


def test_memory_mapped_and_strided_rows(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    strided = np.concatenate([X, X], axis=1)[:, :12]
    pages = [dataclasses.replace(coremax.infomax(x, SCORE, 0.1), timings=None).report() for x in (X, mapped, strided)]
    assert pages[0] == pages[1] == pages[2]


@pytest.mark.parametrize(
    ("image", "size"),
    [
        (np.zeros((4, 6), dtype=np.uint8), (6, 4)),
        (np.linspace(-3, 3, 24).reshape(4, 6), (6, 4)),
        (np.full((4, 6), np.nan), (6, 4)),
        (np.zeros((3, 4, 6), dtype=np.float32), (6, 4)),
        (np.zeros((4, 6, 1), dtype=bool), (6, 4)),
        (np.zeros((4, 6, 4), dtype=np.int64), (6, 4)),
        (np.zeros((300, 600, 3), dtype=np.uint8), (112, 56)),
        (Image.new("P", (50, 20)), (50, 20)),
        (Image.new("CMYK", (20, 20)), (20, 20)),
        (Image.new("1", (20, 20)), (20, 20)),
    ],
)
def test_images_of_all_kinds(image: Any, size: tuple[int, int]) -> None:
    import base64
    import io

    address = Samples(1, [image], None, None).tile(0, True).image
    assert address is not None
    content = base64.b64decode(address.partition(",")[2])
    assert Image.open(io.BytesIO(content)).size == size
    assert f"image/{Image.open(io.BytesIO(content)).format}".lower() in address


def test_images_from_files_and_floats_keep_their_brightness(tmp_path: Path) -> None:
    import base64
    import io

    Image.new("RGB", (640, 480), (200, 10, 30)).save(tmp_path / "photo.jpg")
    grey = np.array([[0.0, 0.25], [0.5, 1.0]])
    samples = Samples(2, [tmp_path / "photo.jpg", grey], None, None)
    opened = [Image.open(io.BytesIO(base64.b64decode(str(samples.tile(row, False).image).partition(",")[2]))) for row in (0, 1)]
    assert opened[0].size == (112, 84)
    assert np.abs(np.asarray(opened[0].getpixel((50, 40))) - (200, 10, 30)).max() < 8
    assert np.asarray(opened[1]).tolist() == [[0, 64], [128, 255]]


def test_only_what_is_shown_is_read(chosen: Selection) -> None:
    class Counting:
        def __init__(self) -> None:
            self.read: set[int] = set()

        def __len__(self) -> int:
            return N

        def __getitem__(self, row: int) -> str:
            self.read.add(row)
            return "text"

    texts = Counting()
    chosen.report(texts=texts)
    assert 20 < len(texts.read) < 120


def test_long_texts_show_their_beginning(chosen: Selection) -> None:
    text = chosen.report(texts=["  word\n" * 5000] * N)
    assert "word word" in text
    assert "\u2026" in text
    assert len(text) < 400_000


def test_many_classes_show_those_that_changed_most(chosen: Selection) -> None:
    text = chosen.report(labels=np.arange(N) // 9)
    assert "The 30 of 100 classes whose share changed most." in text
    assert "classes" not in Document(chosen.report(labels=np.zeros(N, dtype=int))).sections


# Extremes


@pytest.mark.parametrize("n", [1, 2, 3, 5])
@pytest.mark.parametrize("budget", [1, 1.0])
def test_tiny_data(n: int, budget: int | float) -> None:
    for chosen in (
        coremax.infomax(X[:n], SCORE[:n], budget),
        selection.random(X[:n], budget),
        selection.top(SCORE[:n], budget),
    ):
        document = Document(chosen.report(texts=["x"] * n, labels=LABELS[:n]))
        assert not re.search(r"\bnan\b|\binf\b", document.text)
        assert "<table" in chosen._repr_html_()


@pytest.mark.parametrize(
    "score",
    [
        np.zeros(50),
        np.full(50, -1e308),
        np.linspace(-1, 1, 50) * 1e308,
        np.linspace(-5e-324, 5e-324, 50),
        1e15 + np.arange(50.0),
        np.r_[np.zeros(49), 1e300],
    ],
)
def test_extreme_scores(score: Any) -> None:
    chosen = selection.top(score, 5)
    document = Document(chosen.report(texts=["x"] * 50))
    assert not re.search(r"\bnan\b|\binf\b", document.text)
    chosen._repr_html_()


@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
@pytest.mark.parametrize("factor", [0.0, 1e-300, 1e300])
def test_extreme_embeddings(metric: str, factor: float) -> None:
    chosen = dataclasses.replace(selection.random(60, 20), parameters={"metric": metric})
    document = Document(chosen.report(embeddings=X[:60].astype(np.float64) * factor))
    assert not re.search(r"\bnan\b|\binf\b", document.text)


def test_equal_rows_and_one_column() -> None:
    for x in (np.ones((40, 3), dtype=np.float32), np.arange(1, 41, dtype=np.float32)[:, None]):
        Document(coremax.infomax(x, SCORE[:40], 5, metric="euclidean").report())


def test_limits_costs_and_fixed_elements() -> None:
    costs = np.random.default_rng(0).uniform(1, 3, N)
    for options in (
        {"budget": 150.0, "costs": costs},
        {"budget": 90, "include": [1, 2, 3], "exclude": np.arange(100, 300)},
        {"budget": 90, "groups": LABELS, "group_limits": 0.1},
        {"budget": N, "include": np.arange(N)},
    ):
        chosen = coremax.infomax(X, SCORE, **options)  # type: ignore[arg-type]
        assert "outcome" in Document(chosen.report()).sections


def test_pages_stay_small(chosen: Selection) -> None:
    photographs = np.random.default_rng(0).integers(0, 256, size=(N, 128, 128, 3), dtype=np.uint8)  # noise does not compress
    assert len(chosen.report()) < 600_000
    assert len(chosen.report(images=photographs)) < 2_500_000


# Notebooks


def test_notebooks_show_a_table_and_a_plot(chosen: Selection) -> None:
    solution = chosen.solution
    assert solution is not None
    searched = coremax.solve(chosen.inputs["importance"], chosen.graph, 90, alpha=0.5, method="pgd")
    assert "over the iterations" in searched._repr_html_()
    for view in (chosen._repr_html_(), solution._repr_html_()):
        document = Document(view)
        assert document.tags["table"] == document.tags["svg"] == 1
        assert len(view) < 12_000
        assert f"{solution.objective:,.6g}" in document.text
        assert "90 of " in document.text
    assert repr(chosen) == "Selection(infomax: 90 of 900)"
    assert "http" not in chosen._repr_html_()


def test_notebook_tables_escape_text() -> None:
    odd = dataclasses.replace(selection.random(10, 3), method="<b>x", diagnostics={"<i>": 1.0})
    assert Document(odd._repr_html_()).tags["b"] == Document(odd._repr_html_()).tags["i"] == 0


def test_notebook_tables_import_nothing() -> None:
    code = """
import sys, numpy as np, coremax
x = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
chosen = coremax.infomax(x, x[:, 0], 5)
chosen._repr_html_(), chosen.solution._repr_html_()
print({"jinja2", "matplotlib", "PIL", "markupsafe"} & set(sys.modules))
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "set()"


# In a browser

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
LONG = "unbroken" * 40


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: how wide the page is was not looked at")
@pytest.mark.parametrize("width", [390, 1200])
def test_nothing_is_wider_than_the_window(chosen: Selection, tmp_path: Path, width: int) -> None:
    text = chosen.report(
        images=IMAGES, texts=[LONG] * N, ids=[LONG] * N, labels=[f"{LONG}{i % 3}" for i in range(N)], title=LONG
    )
    pages = {"plain": chosen.report(), "long": text, "images": chosen.report(images=IMAGES, ids=[LONG] * N)}
    for name, content in pages.items():
        # In a frame: a window of Chromium can not be as narrow as a phone.
        asked = "document.title = [f.contentWindow.innerWidth, f.contentDocument.documentElement.scrollWidth].join(' ')"
        frame = f'<iframe id="f" width="{width}" height="2000" style="border:0" srcdoc="{escape(content)}"></iframe>'
        (tmp_path / f"{name}.html").write_text(f"{frame}<script>onload = () => {asked}</script>", encoding="utf-8")
        shown = subprocess.run(
            [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
             "--window-size=1300,2000", "--dump-dom", (tmp_path / f"{name}.html").as_uri()],
            capture_output=True, text=True, check=True, timeout=120,
        ).stdout  # fmt: skip
        title = re.search(r"<title>(\d+) (\d+)</title>", shown)
        assert title is not None
        inner, scrolled = int(title[1]), int(title[2])
        assert inner == width
        assert scrolled <= inner, name
