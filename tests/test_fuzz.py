"""The fuzz targets of tests/fuzz: every input of the corpus, and some thousands of inputs that a seeded mutator makes of it.

The same run each time. `PYTHONPATH=tests python -m fuzz` looks further, guided by coverage (CONTRIBUTING.md).
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("click", reason="click is not installed: the readers of the command line are not fuzzed")

from fuzz import mutate, targets

# Enough that what is broken at many places is found here; what is rare is for the fuzzer, and then in the corpus.
INPUTS, SECONDS = 400, 2.0


@pytest.fixture(params=list(targets.TARGETS))
def name(request: pytest.FixtureRequest) -> str:
    """Each target that can run here."""
    for module in targets.TARGETS[request.param].needs:
        pytest.importorskip(module, reason=f"{module} is not installed: {request.param} is not fuzzed")
    return str(request.param)


def test_the_corpus(name: str) -> None:
    """What has been found is mended, and the seeds are read."""
    for data in targets.corpus(name):
        targets.TARGETS[name].run(data)


def test_mutated_inputs(name: str) -> None:
    """Bounded by time too, for slow machines: then fewer of the same inputs."""
    end = time.monotonic() + SECONDS
    for number, data in enumerate(mutate.inputs(targets.corpus(name), INPUTS, seed=1)):
        try:
            targets.TARGETS[name].run(data)
        except Exception as error:
            raise AssertionError(f"{name}, input {number}: {data!r}") from error
        if time.monotonic() > end:
            break


def test_every_kept_input_belongs_to_a_target() -> None:
    assert {folder.name for folder in targets.CORPUS.iterdir()} <= set(targets.TARGETS)


def test_inputs_are_the_same_for_the_same_seed() -> None:
    first, again, other = (list(mutate.inputs([b"abc", b"defgh"], 50, seed)) for seed in (3, 3, 4))
    assert first == again != other
    assert len(set(first)) > 25


@pytest.mark.parametrize(
    ("name", "broken", "by", "data"),
    [
        ("npy", "coremax.cli._read._require_plain", lambda dtype: None, targets.npy([1 + 2j])),
        ("npz", "coremax.cli._read._chosen", lambda *_: "missing", targets.npz(x=[1.0])),
        ("options", "coremax.cli._options.parse_whole", lambda *_: -1, b"-3"),
        ("texts", "fuzz.targets.ngram_counts", lambda texts, **_: np.array([len(texts[0])]), b"a\0b"),
        ("config", "coremax.cli._record._value", repr, b"a = true"),
    ],
)
def test_broken_readers_are_found(
    name: str, broken: str, by: Callable[..., Any], data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A target that finds nothing where something is wrong would be worth nothing."""
    targets.TARGETS[name].run(data)
    module, _, function = broken.rpartition(".")
    monkeypatch.setattr(importlib.import_module(module), function, by)
    with pytest.raises(targets.Find):
        targets.TARGETS[name].run(data)
