"""One name for importance and score: what one door calls importance and another score answers to both at either."""

from __future__ import annotations

import inspect
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import coremax
from coremax._inputs.aliases import aliased, either
from coremax.selection import ccs, coverage, d2, infomax, sims, top
from helpers import clustered

X = clustered(60, 6, 4, seed=0)
SCORE = np.random.default_rng(1).random(60)
GRAPH = coremax.topk_graph(X, 4)
# Function, what it calls the scores, what else it takes.
DOORS: list[tuple[Any, str, dict[str, Any]]] = [
    (infomax, "importance", {"x": X, "budget": 5}),
    (d2, "score", {"x": X, "budget": 5}),
    (sims, "score", {"budget": 5}),
    (ccs, "score", {"budget": 5}),
    (top, "score", {"budget": 5}),
    (coverage, "score", {"keep": 0.1}),
    (coremax.solve, "importance", {"graph": GRAPH, "budget": 5}),
    (coremax.objective, "importance", {"graph": GRAPH, "indices": [1, 2]}),
]


def told(result: Any) -> Any:
    return np.asarray(getattr(result, "indices", result)).tolist()


@pytest.mark.parametrize(("function", "own", "others"), DOORS, ids=lambda part: getattr(part, "__name__", ""))
def test_scores_by_either_name(function: Any, own: str, others: dict[str, Any]) -> None:
    by_name = [told(function(**{name: SCORE}, **others)) for name in ("importance", "score")]
    assert by_name[0] == by_name[1]
    with pytest.raises(TypeError, match="are two names of one argument: pass one of them"):
        function(importance=SCORE, score=SCORE, **others)
    assert own in inspect.signature(function).parameters
    assert pickle.loads(pickle.dumps(function)) is function


def test_positional_and_by_its_other_name() -> None:
    with pytest.raises(TypeError, match="score and importance are two names of one argument"):
        top(SCORE, 5, importance=SCORE)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unexpected keyword argument 'scores'"):
        top(scores=SCORE, budget=5)  # type: ignore[call-arg]


def test_the_report_takes_both() -> None:
    pytest.importorskip("matplotlib")
    pytest.importorskip("jinja2")
    chosen = coremax.selection.random(60, 5)
    assert chosen.report(score=SCORE) == chosen.report(importance=SCORE)  # type: ignore[call-arg]


def test_the_command_line_takes_both(tmp_path: Path) -> None:
    click_testing = pytest.importorskip("click.testing")
    from coremax.cli.commands import coremax as command

    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "s.npy", SCORE)
    kept = []
    for name in ("importance", "score"):
        arguments = ["select", "{}/x.npy", f"--{name}", "{}/s.npy", "--budget", "5", "-o", f"{{}}/{name}.npy"]
        done = click_testing.CliRunner().invoke(command, [part.format(tmp_path) for part in arguments])
        assert done.exit_code == 0, done.output
        kept.append(np.load(tmp_path / f"{name}.npy").tolist())
    assert kept[0] == kept[1] == infomax(X, SCORE, 5).indices.tolist()


def test_names_of_any_function() -> None:
    @aliased(b="a")
    def double(a: int, *, c: int = 0) -> int:
        """Twice a, and c."""
        return 2 * a + c

    assert (double(1), double(a=1), double(b=1, c=1)) == (2, 2, 3)  # type: ignore[call-arg]
    assert double.__doc__ == "Twice a, and c."
    assert list(inspect.signature(double).parameters) == ["a", "c"]
    assert (either(1, None, "a", "b"), either(None, 2, "a", "b"), either(None, None, "a", "b")) == (1, 2, None)
    with pytest.raises(TypeError, match="a and b are two names"):
        either(0, 0, "a", "b")
