"""Samples that nothing can be computed from: all are named at once, and a method may leave them out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import coremax
from coremax import sampling, scores, selection
from coremax.cli.commands import coremax as command
from helpers import clustered

N = 90
X = clustered(N, 6, 5, seed=3)
SCORE = np.random.default_rng(4).random(N)
LABELS = np.arange(N) % 3
NAN, ZERO, BAD_SCORE = [5, 17, 18], [30, 31], [2, 17]


def damaged() -> tuple[Any, Any]:
    x, score = X.copy(), SCORE.copy()
    x[NAN, [0, 3, 5]] = [np.nan, np.inf, -np.inf]
    x[ZERO] = 0
    score[BAD_SCORE] = np.nan
    return x, score


# Each method, with the numbers that it can not take; rows of zeros matter where cosines do.
METHODS: dict[str, tuple[Callable[..., coremax.selection.Selection], list[int]]] = {
    "infomax": (lambda x, s, lab, **o: coremax.infomax(x, s, 20, labels=lab, **o), NAN + ZERO + BAD_SCORE),
    "infomax euclidean": (lambda x, s, lab, **o: coremax.infomax(x, s, 20, metric="euclidean", **o), NAN + BAD_SCORE),
    "d2": (lambda x, s, lab, **o: selection.d2(x, s, 20, **o), NAN + BAD_SCORE),
    "d2 cosine": (lambda x, s, lab, **o: selection.d2(x, s, 20, metric="cosine", **o), NAN + ZERO + BAD_SCORE),
    "moderate": (lambda x, s, lab, **o: selection.moderate(x, 20, labels=lab, **o), NAN),
    "semdedup": (lambda x, s, lab, **o: selection.semdedup(x, 20, clusters=lab, **o), NAN + ZERO),
    "semdedup by eps": (lambda x, s, lab, **o: selection.semdedup(x, eps=0.05, n_clusters=2, **o), NAN + ZERO),
    "sims": (lambda x, s, lab, **o: selection.sims(s, 20, labels=lab, **o), BAD_SCORE),
    "ccs": (lambda x, s, lab, **o: selection.ccs(s, 20, **o), BAD_SCORE),
    "top": (lambda x, s, lab, **o: selection.top(s, 20, **o), BAD_SCORE),
}


@pytest.mark.parametrize("name", METHODS)
def test_the_others_are_chosen_from_as_if_they_were_all(name: str) -> None:
    method, numbers = METHODS[name]
    x, score = damaged()
    bad = np.unique(numbers)
    valid = np.setdiff1d(np.arange(N), bad)
    with pytest.warns(UserWarning, match=f"invalid samples are left out, {len(bad)} in all: {bad[0]}, {bad[1]}") as caught:
        found = method(x, score, LABELS, invalid="drop")
    assert caught[0].filename == __file__
    expected = method(x[valid], score[valid], LABELS[valid])
    assert found.indices.tolist() == valid[expected.indices].tolist()
    assert (found.n, found.invalid.tolist()) == (N, bad.tolist())
    assert found.diagnostics is not None
    assert found.diagnostics["n_invalid"] == len(bad)
    assert found.parameters["invalid"] == "drop"
    candidates = np.arange(len(valid)) if expected.candidates is None else expected.candidates
    assert found.candidates.tolist() == valid[candidates].tolist()


@pytest.mark.parametrize("name", METHODS)
def test_all_are_named_at_once(name: str) -> None:
    method, numbers = METHODS[name]
    bad = np.unique(numbers)
    listed = f"\\({len(bad)} in all: {', '.join(map(str, bad.tolist()))}\\); invalid='drop' leaves such samples out$"
    with pytest.raises(ValueError, match=listed):
        method(*damaged(), LABELS)


@pytest.mark.parametrize("name", METHODS)
def test_where_all_are_valid_nothing_is_said(name: str) -> None:
    method, _ = METHODS[name]
    plain, dropping = method(X, SCORE, LABELS), method(X, SCORE, LABELS, invalid="drop")
    assert dropping.indices.tolist() == plain.indices.tolist()
    assert dropping.invalid is None
    assert dropping.diagnostics is not None
    assert dropping.diagnostics["n_invalid"] == 0
    with pytest.raises(ValueError, match="invalid must be one of 'raise', 'drop', got 'skip'"):
        method(X, SCORE, LABELS, invalid="skip")


def test_only_the_first_ten_are_shown() -> None:
    score = SCORE.copy()
    score[np.arange(12) * 5] = np.nan
    with pytest.raises(ValueError, match=r"score\[0\] is nan; .* \(12 in all: 0, 5, 10, 15, 20, 25, 30, 35, 40, 45, \.\.\.\)"):
        selection.top(score, 3)
    one = SCORE.copy()
    one[7] = np.inf
    with pytest.raises(ValueError, match=r"^score\[7\] is inf; scores must be finite; invalid='drop'"):
        selection.top(one, 3)


def test_errors_of_other_things_stay_as_they_are() -> None:
    x, _ = damaged()
    with pytest.raises(ValueError, match=r"budget must be from 1 to the number of samples, 90, got 91$"):
        selection.moderate(x, 91)
    with pytest.raises(TypeError, match="budget"):
        selection.top(SCORE, "half")  # type: ignore[arg-type]


def test_limits_speak_of_all_samples() -> None:
    x, score = damaged()
    bad = np.unique(NAN + ZERO + BAD_SCORE)
    with pytest.warns(UserWarning, match="left out"):
        found = coremax.infomax(x, score, 0.5, include=[0, 89], exclude=[1, 5], groups=LABELS, invalid="drop")
    assert len(found) == 45, "half of all, the invalid among them"
    assert {0, 89} <= set(found.indices.tolist())
    assert not {1, *bad.tolist()} & set(found.indices.tolist())
    with pytest.raises(ValueError, match="include names sample 17, which is invalid"):
        coremax.infomax(x, score, 20, include=[0, 17], invalid="drop")
    with pytest.raises(ValueError, match="the budget is 86 of 90 samples, but only 84 of them are valid"):
        coremax.infomax(x, score, 86, invalid="drop")
    with pytest.raises(ValueError, match="all 3 samples are invalid"):
        selection.top([np.nan] * 3, 1, invalid="drop")
    with pytest.raises(ValueError, match="labels has 89 elements, but x has 90"):
        coremax.infomax(x, score, 20, labels=LABELS[1:], invalid="drop")
    with pytest.raises(ValueError, match="can not leave samples out of a Graph"):
        selection.d2(coremax.topk_graph(X, 3), score, 9, metric="cosine", invalid="drop")
    with pytest.warns(UserWarning, match="left out"):
        priced = coremax.infomax(x, score, 12.5, costs=np.ones(N), invalid="drop")
    assert len(priced) == 12


@pytest.mark.parametrize("library", ["torch", "bfloat16", "lists", "pandas", "polars", "pyarrow", "mapped"])
def test_any_library(library: str, tmp_path: Path) -> None:
    x, score = damaged()
    wide: Any
    if library in ("torch", "bfloat16"):
        wide = torch.from_numpy(x).to(torch.bfloat16 if library == "bfloat16" else torch.float32), torch.from_numpy(score)
    elif library == "lists":
        wide = x.tolist(), score.tolist()
    elif library == "mapped":
        np.save(tmp_path / "x.npy", x)
        wide = np.load(tmp_path / "x.npy", mmap_mode="r"), score
    else:
        module = pytest.importorskip(library)
        wide = x, module.array(score) if library == "pyarrow" else module.Series(score)
    with pytest.warns(UserWarning, match="6 in all: 2, 5, 17, 18, 30, 31"):
        found = coremax.infomax(wide[0], wide[1], 20, labels=LABELS.tolist(), invalid="drop")
    assert type(found.indices) is (torch.Tensor if library in ("torch", "bfloat16") else np.ndarray)
    assert not set(np.asarray(found.indices).tolist()) & {2, 5, 17, 18, 30, 31}


def test_the_report_shows_the_others() -> None:
    x, score = damaged()
    with pytest.warns(UserWarning, match="left out"):
        found = coremax.infomax(x, score, 20, labels=LABELS, invalid="drop")
    page = found.report(texts=[f"text {i}" for i in range(N)])
    assert "drop (6 of 90 samples left out)" in page
    assert "text 17" not in page


def test_the_command_line(tmp_path: Path) -> None:
    x, score = damaged()
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "s.npy", score)
    call = ["select", str(tmp_path / "x.npy"), "--importance", str(tmp_path / "s.npy"), "-o", str(tmp_path / "kept.npy")]
    refused = CliRunner().invoke(command, [*call, "--budget", "20"])
    assert refused.exit_code == 2
    assert "6 in all: 2, 5, 17, 18, 30, 31" in refused.stderr
    with pytest.warns(UserWarning, match="left out"):
        done = CliRunner().invoke(command, [*call, "--budget", "20", "--invalid", "drop"])
    assert "left out 6 invalid samples: 2, 5, 17, 18, 30, 31" in done.output
    with pytest.warns(UserWarning, match="left out"):
        told = CliRunner().invoke(
            command, [*call[:-1], str(tmp_path / "again.npy"), "--budget", "20", "--invalid", "drop", "--json"]
        )
    assert json.loads(told.stdout)["invalid"] == {"n": 6, "first": [2, 5, 17, 18, 30, 31]}


def test_datasets_pass_the_option_on() -> None:
    rows = pytest.importorskip("datasets").Dataset.from_dict({"score": [0.1, float("nan"), 0.8, 0.3]})
    from coremax.datasets import select

    with pytest.raises(ValueError, match=r"score\[1\] is nan"):
        select(rows, 2, score="score", method="top")
    with pytest.warns(UserWarning, match="1 in all: 1"):
        assert select(rows, 2, score="score", method="top", options={"invalid": "drop"}).indices.tolist() == [2, 3]


WEIGHTS = np.array([1.0, np.nan, 2.0, -1.0, np.inf])
PROBABILITIES = np.array([[0.5, 0.5], [0.9, 0.9], [np.nan, 1], [1, 0], [0, 2]])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: coremax.topk_graph(damaged()[0], 3), r"x\[5, 0\] is nan; .*\(5 in all: 5, 17, 18, 30, 31\)$"),
        (
            lambda: coremax.topk_graph(np.vstack([X, 0 * X[:3]]), 3),
            r"row 90 of x is all zeros: .*\(3 in all: 90, 91, 92\)$",
        ),
        (lambda: coremax.topk_graph(damaged()[0], 3, metric="dot"), r"\(3 in all: 5, 17, 18\)$"),
        (lambda: scores.spherical_kmeans(damaged()[0], 3), r"x\[5, 0\] is nan; .*\(3 in all: 5, 17, 18\)$"),
        (lambda: scores.sim([X, damaged()[0]], LABELS), r"embeddings\[1\]\[5, 0\] is nan; .*\(3 in all: 5, 17, 18\)$"),
        (lambda: scores.margin(PROBABILITIES), r"row 1 of probabilities.*\(3 in all: 1, 2, 4\)$"),
        (lambda: scores.sim(X[:5], LABELS[:5] % 2, PROBABILITIES), r"probabilities.*\(3 in all: 1, 2, 4\)$"),
        (lambda: scores.loss_weights(WEIGHTS), r"losses\[1\] is nan; losses must be finite \(2 in all: 1, 4\)$"),
        (lambda: coremax.AliasTable(WEIGHTS), r"weights\[1\] is nan; .*\(3 in all: 1, 3, 4\)$"),
        (lambda: coremax.AliasTable([1.0]).update(WEIGHTS), r"weights\[1\] is nan; .*\(3 in all: 1, 3, 4\)$"),
        (lambda: coremax.sample(WEIGHTS, 1), r"weights\[1\] is nan; .*\(3 in all: 1, 3, 4\)$"),
        (lambda: coremax.sample(WEIGHTS, 1, log_weights=True), r"weights\[1\] is nan; .*\(2 in all: 1, 4\)$"),
        (lambda: sampling.systematic(WEIGHTS, 1), r"weights\[1\] is nan; .*\(3 in all: 1, 3, 4\)$"),
        (lambda: sampling.largest_remainder(WEIGHTS, 1), r"shares\[1\] is nan; .*\(3 in all: 1, 3, 4\)$"),
        (
            lambda: coremax.solve(WEIGHTS, coremax.topk_graph(X[:5], 2), 1),
            r"importance\[1\] is nan; .*\(2 in all: 1, 4\)$",
        ),
        (
            lambda: coremax.solve(np.ones(5), coremax.topk_graph(X[:5], 2), 1.0, costs=WEIGHTS),
            r"costs\[1\] is nan; .*\(3 in all: 1, 3, 4\)$",
        ),
    ],
)
def test_every_entrance_names_all(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
