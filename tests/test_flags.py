"""Flags and names of the whole public face: what is no flag and no choice is refused by name, and type checkers know both."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

for library in ("datasets", "pyarrow", "sklearn", "torch", "typing_extensions"):
    pytest.importorskip(library)

from entrances import ENTRANCES, Parameter, entrances_of, parameters, public  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
FACE = public()
PARAMETERS = [(name, parameter) for name, function in FACE.items() for parameter in parameters(function)]
FLAGS = [(name, parameter) for name, parameter in PARAMETERS if parameter.is_flag]
CHOICES = [(name, parameter) for name, parameter in PARAMETERS if parameter.choices]
# Texts of any content, and names of which only a run can tell whether they are there.
FREE_TEXTS = {"device", "embedding", "ids", "isa", "memory_limit", "text", "title"}
PATHS = {"files", "folder", "path", "scratch"}


def name_of(case: Any) -> str | None:
    """For the ids of tests."""
    return case.name if isinstance(case, Parameter) else case if isinstance(case, str) else None


def call(name: str, **arguments: Any) -> Any:
    """Call an entrance with an argument replaced."""
    return ENTRANCES[entrances_of(name)[0]](**arguments)


def test_every_entrance_has_a_call_and_is_there() -> None:
    assert {name for name in FACE if not entrances_of(name)} == set()
    assert {entry.partition(" with ")[0] for entry in ENTRANCES} == set(FACE)


def test_the_face_has_flags_and_choices() -> None:
    assert len(FLAGS) > 25
    assert len(CHOICES) > 40
    assert ("solve", "polish") in {(name, parameter.name) for name, parameter in FLAGS}
    assert ("solve_path", "effort") in {(name, parameter.name) for name, parameter in CHOICES}


@pytest.mark.parametrize(("name", "parameter"), FLAGS, ids=name_of)
def test_what_is_no_flag_is_refused(name: str, parameter: Parameter) -> None:
    values: tuple[Any, ...] = ("False", "true", "", 0, 1, 0.0, np.array([True]), [], None)
    for value in values:
        if value is None and parameter.may_be_none:
            continue
        with pytest.raises(TypeError, match=rf"^{parameter.name} must be .*, got "):
            call(name, **{parameter.name: value})


@pytest.mark.parametrize(("name", "parameter"), FLAGS, ids=name_of)
def test_flags_of_numpy_are_flags(name: str, parameter: Parameter) -> None:
    if parameter.name != "progress":  # True would draw a bar
        call(name, **{parameter.name: np.True_})
    call(name, **{parameter.name: np.False_})


@pytest.mark.parametrize(("name", "parameter"), CHOICES, ids=name_of)
def test_what_is_no_choice_is_refused_with_the_choices(name: str, parameter: Parameter) -> None:
    for value in ("", "no such", parameter.choices[0] + "x", parameter.choices[-1].upper(), b"fast"):
        with pytest.raises((ValueError, TypeError), match=rf"^{parameter.name} must be ") as raised:
            call(name, **{parameter.name: value})
        if isinstance(value, str):
            assert all(repr(choice) in str(raised.value) for choice in parameter.choices), raised.value
    if not parameter.may_be_none:
        with pytest.raises((ValueError, TypeError), match=rf"^{parameter.name} must be "):
            call(name, **{parameter.name: None})


def test_every_name_that_has_choices_is_typed_as_a_literal() -> None:
    defaults = [(name, p.name) for name, p in PARAMETERS if isinstance(p.default, str) and p.default not in p.choices]
    assert defaults == []
    texts = {p.name for _, p in PARAMETERS if str in p.members}
    assert texts <= FREE_TEXTS | PATHS, texts


SNIPPET = """
import coremax, numpy as np
from coremax import datasets, graph, sampling, scores, selection, sklearn, text
x = np.ones((3, 2), np.float32)
g = coremax.topk_graph(x, 1)
SHARES = dict([(0, 1.0)])
coremax.solve(x[0], g, 1, effort="best", bound=None)
coremax.infomax(x, x[0], 1, alpha="auto", normalize=None)
sampling.stratified([0, 1], 1, quotas="equal")
sampling.stratified([0, 1], 1, quotas=np.ones(2))
sampling.stratified([0, 1], 1, quotas=SHARES)
{wrong}
"""
TYPOS = [
    'coremax.solve(x[0], g, 1, effort="bset")',
    'coremax.solve(x[0], g, 1, bound="loose")',
    'coremax.solve_path(x[0], g, [1], effort="bset")',
    "coremax.solve_path(x[0], g, [1], polsh=False)",
    'coremax.topk_graph(x, 1, metric="cosin")',
    'coremax.infomax(x, x[0], 1, alpha="atuo")',
    'coremax.infomax(x, x[0], 1, normalize="min")',
    'coremax.sample(x[0], 1, replace="False")',
    'sampling.stratified([0, 1], 1, quotas="equl")',
    'scores.loss_weights(x[0], strategy="upper")',
    'selection.sims(x[0], 1, higher="harder")',
    'selection.semdedup(x, 1, n_clusters="atuo")',
    'datasets.prune(None, 1, method="tpo")',
    'sklearn.CoresetSelector(method="tpo")',
    'text.ngram_counts(["a"], hash="sha")',
]


def test_a_typo_fails_type_checks(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    checked = tmp_path / "checked.py"
    checked.write_text(SNIPPET.format(wrong="\n".join(TYPOS)))
    first = SNIPPET.index("{wrong}")
    before = SNIPPET[:first].count("\n") + 1
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--config-file",
        str(ROOT / "pyproject.toml"),
        "--cache-dir",
        str(ROOT / ".mypy_cache"),
    ]
    done = subprocess.run([*command, str(checked)], capture_output=True, text=True, cwd=ROOT)
    lines = {int(line) for line in re.findall(r"checked\.py:(\d+): error", done.stdout)}
    assert lines == set(range(before, before + len(TYPOS))), done.stdout + done.stderr
