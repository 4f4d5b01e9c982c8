"""Selection from files: the logic of `coremax select`, without its options."""

from __future__ import annotations

import os
import time
from typing import Any

from .. import selection
from ..selection import Selection
from ._files import read_array, writer

METHODS = ("infomax", "random", "top")


def run_select(
    embeddings: str,
    importance: str | None,
    budget: int | float,
    output: str,
    *,
    labels: str | None = None,
    method: str,
    seed: int,
    options: dict[str, Any],
) -> dict[str, Any]:
    """Read, select, write.

    Parameters
    ----------
    embeddings : str
        File of the embeddings [n, d]; for "random" and "top" only its length counts.
    importance : str or None
        File of the scores [n]; "random" needs none.
    budget : int or float
        As `coremax.infomax`.
    output : str
        File for the numbers of the samples to keep.
    labels : str or None
        File of the classes [n], for "infomax".
    method : {"infomax", "random", "top"}
    seed : int
    options : dict
        Further arguments of `coremax.infomax`.

    Returns
    -------
    dict
        What was done, ready for JSON: method, n, kept, parameters, seconds by stage and, for InfoMax, objective, upper
        bound, gap and status.
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method}")
    if importance is None and method != "random":
        raise ValueError(f"--method {method} needs --importance")
    write = writer(output)
    for source in (embeddings, importance, labels):
        if source is not None and os.path.realpath(source.partition(".npz:")[0]) == os.path.realpath(output):
            raise ValueError(f"{output} is an input as well: name another file for the result")
    start = time.perf_counter()
    x = read_array(embeddings)
    if x.ndim != 2:
        raise ValueError(f"{embeddings}: embeddings must be two-dimensional [n, d], got shape {x.shape}")
    scores = None if importance is None else read_array(importance)
    if scores is not None and scores.shape != x.shape[:1]:
        raise ValueError(f"{importance} has shape {scores.shape}, but {embeddings} has {x.shape[0]} rows")
    if labels is not None:
        options = {**options, "labels": read_array(labels)}
    read = time.perf_counter()
    chosen = _choose(method, x, scores, budget, seed, options)
    selected = time.perf_counter()
    write(chosen.indices)
    written = time.perf_counter()
    seconds = {"read": read - start, **(chosen.timings or {"select": selected - read}), "write": written - selected}
    return {**_summary(chosen), "output": output, "seconds": {**seconds, "total": written - start}}


def _choose(method: str, x: Any, scores: Any, budget: int | float, seed: int, options: dict[str, Any]) -> Selection:
    if method == "random":
        return selection.random(x, budget, seed=seed)
    if method == "top":
        return selection.top(scores, budget)
    return selection.infomax(x, scores, budget, seed=seed, **options)


def _summary(chosen: Selection) -> dict[str, Any]:
    summary: dict[str, Any] = {
        "method": chosen.method,
        "n": chosen.n,
        "kept": len(chosen),
        "parameters": dict(chosen.parameters),
    }
    if chosen.solution is not None:
        solution = chosen.solution
        summary |= {
            "objective": solution.objective,
            "upper_bound": solution.upper_bound,
            "gap": solution.gap,
            "bound_kind": solution.bound_kind,
            "status": solution.status.value,
        }
    return summary


def format_summary(summary: dict[str, Any]) -> str:
    """Lay a summary out as text."""
    lines = [f"kept {summary['kept']:,} of {summary['n']:,} by {summary['method']} -> {summary['output']}"]
    if "objective" in summary:
        lines.append(
            f"objective {summary['objective']:.6g}, at most {summary['upper_bound']:.6g} is possible"
            f" (gap {summary['gap']:.2%}, {summary['bound_kind']} bound)"
        )
        dropped = summary["parameters"]["drop_hardest"]
        lines.append(f"dropped the hardest {dropped:.1%} first" if dropped else "dropped none of the hardest")
    lines.append("seconds: " + ", ".join(f"{stage} {seconds:.2f}" for stage, seconds in summary["seconds"].items()))
    return "\n".join(lines)
