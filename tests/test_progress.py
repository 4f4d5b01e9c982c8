"""Progress of what takes seconds at a million samples and is no single call of an engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import coremax
from coremax import scores, selection
from coremax.selection import _moderate
from helpers import clustered

N = 1200
X = clustered(N, 6, 5, seed=3)
LABELS = np.arange(N) % 4
GRAPH = coremax.topk_graph(X, 3)

CALLS: dict[str, Callable[[Any], Any]] = {
    "moderate": lambda progress: selection.moderate(X, 0.2, labels=LABELS, progress=progress).indices,
    "moderate by the median": lambda progress: selection.moderate(X, 0.2, center="median", progress=progress).indices,
    "contradiction": lambda progress: scores.contradiction(GRAPH, LABELS, progress=progress),
}


@pytest.mark.parametrize("name", CALLS)
def test_progress_reaches_the_end_and_changes_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_moderate, "_BLOCK_ELEMENTS", 600)
    monkeypatch.setattr("coremax.scores._neighbours._VOTES", 900)
    seen: list[tuple[int, int]] = []
    found = CALLS[name](lambda *done: seen.append(done))
    assert seen == sorted(seen)
    assert seen[-1][0] == seen[-1][1]
    assert len(seen) > 4
    assert np.array_equal(found, CALLS[name](False))

    def stop(done: int, total: int) -> None:
        raise RuntimeError(f"stopped at {done} of {total}")

    with pytest.raises(RuntimeError, match="stopped at"):
        CALLS[name](stop)


def test_infomax_tells_of_each_stage(capfd: pytest.CaptureFixture[str]) -> None:
    coremax.infomax(X, np.arange(N) / N, 0.1, labels=LABELS, progress=True)
    drawn = capfd.readouterr().err
    assert all(stage in drawn for stage in ("graph", "contradiction", "typical", "solve"))
