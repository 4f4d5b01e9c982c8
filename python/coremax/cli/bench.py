"""`coremax bench`: the three engines on this machine, each compared with plain NumPy before it is timed."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import click
import numpy as np

from .._runtime.config import show_config
from ..graph import Graph, topk_graph
from ..sampling import AliasTable, sample
from ..solver import objective, solve

Array = np.ndarray[Any, Any]
Log = Callable[[str], object]

_K, _KEEP, _ALPHA = 10, 0.1, 0.3
_CHECKED_ROWS = 200
_SIGMAS = 6.0  # a correct sampler is that far off once in five hundred million times


class WrongAnswer(click.ClickException):
    """An engine's answer differs from NumPy's; exit code 1."""


def run_bench(rows: int, dimensions: int, weights: int, *, rounds: int, threads: int | None, log: Log) -> dict[str, Any]:
    """Check and time the engines.

    Parameters
    ----------
    rows, dimensions : int
        Of the embeddings, ten clusters of normal data.
    weights : int
        Categories of the sampling, log-normal.
    rounds : int
        Of each timing.
    threads : int or None
    log : callable
        Told of each stage.

    Returns
    -------
    dict
        machine, settings, and results: a list of engine, what, seconds (median), least, most, rate, unit, numpy_seconds.

    Raises
    ------
    WrongAnswer
        An engine's answer is wrong.
    """
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(10, dimensions))
    x = (centres[rng.integers(0, 10, rows)] + rng.normal(size=(rows, dimensions))).astype(np.float32)
    importance, mass = rng.random(rows), rng.lognormal(size=weights)
    results = [
        *_graph(x, rounds, threads, log),
        *_solver(x, importance, rounds, threads, log),
        *_sampling(mass, rounds, threads, log),
    ]
    config = show_config("dicts")
    machine = {
        "processor": platform.processor() or platform.machine(),
        "isa": config["isa"],
        "threads": threads or config["threads"],
    }
    settings = {"rows": rows, "dimensions": dimensions, "k": _K, "keep": _KEEP, "weights": weights, "rounds": rounds}
    return {"version": config["version"], "machine": machine, "settings": settings, "results": results}


def _graph(x: Array, rounds: int, threads: int | None, log: Log) -> list[dict[str, Any]]:
    log("graph: checking")
    n, d = x.shape
    graph = topk_graph(x, _K, threads=threads)
    some = np.linspace(0, n - 1, min(_CHECKED_ROWS, n)).astype(np.int64)
    unit = x.astype(np.float64) / np.linalg.norm(x.astype(np.float64), axis=1, keepdims=True)
    cosines = unit[some] @ unit.T
    cosines[np.arange(len(some)), some] = -np.inf
    best = -np.sort(-cosines, axis=1)[:, :_K]
    _require(np.allclose(graph.similarities[some], best, atol=1e-5), "the graph's similarities differ from NumPy's")
    log("graph: timing")
    seconds = _times(lambda: topk_graph(x, _K, threads=threads), rounds)
    block = unit[: min(1000, n)].astype(np.float32)
    narrow = unit.astype(np.float32)
    peer = _times(lambda: np.argpartition(block @ narrow.T, -_K - 1, axis=1), rounds)
    return [
        _row(
            "graph",
            f"exact, {n:,} x {d}, k = {_K}",
            seconds,
            n * n * d / 1e9,
            "G pair dims/s",
            statistics.median(peer) * n / len(block),
        )
    ]


def _solver(x: Array, importance: Array, rounds: int, threads: int | None, log: Log) -> list[dict[str, Any]]:
    log("solver: checking")
    graph = topk_graph(x, _K, threads=threads)
    n, budget = len(importance), max(1, round(_KEEP * len(importance)))
    solution = solve(importance, graph, budget, alpha=_ALPHA, threads=threads)
    chosen = np.asarray(solution.indices)
    _require(len(np.unique(chosen)) == len(chosen) == budget, "the subset has another size than the budget")
    _require(np.isclose(solution.objective, _objective(importance, graph, chosen)), "the objective differs from NumPy's")
    _require(np.isclose(solution.objective, objective(importance, graph, chosen, _ALPHA)), "the two objectives differ")
    _require(solution.upper_bound >= solution.objective - 1e-9 * abs(solution.objective), "the bound is below the objective")
    top = np.argsort(-importance)[:budget]
    of_top = _objective(importance, graph, top)  # where that is optimal, the two differ by the order of the sum
    _require(
        solution.objective >= of_top or np.isclose(solution.objective, of_top),
        "the subset is worse than that of highest importance",
    )
    log("solver: timing")
    seconds = _times(lambda: solve(importance, graph, budget, alpha=_ALPHA, threads=threads), rounds)
    return [_row("solver", f"{budget:,} of {n:,}, gap {solution.gap:.2%}", seconds, n / 1e3, "k samples/s", None)]


def _objective(importance: Array, graph: Graph, chosen: Array) -> float:
    """Sum of importance less alpha times the similarities within, each unordered pair twice: the lists count each edge once."""
    kept = np.zeros(len(importance), bool)
    kept[chosen] = True
    inside = kept[:, None] & kept[graph.neighbors]
    return float(importance[chosen].sum() - _ALPHA * graph.similarities.astype(np.float64)[inside].sum())


def _sampling(mass: Array, rounds: int, threads: int | None, log: Log) -> list[dict[str, Any]]:
    log("sampling: checking")
    n = len(mass)
    table = AliasTable(mass, threads=threads)
    heavy = np.argsort(-mass)[: n // 2]
    share = float(mass[heavy].sum() / mass.sum())
    hits = np.isin(table.sample(n, seed=1), heavy).mean()
    _require(abs(hits - share) < _SIGMAS * np.sqrt(share * (1 - share) / n) + 1e-9, "draws do not follow the weights")
    without = sample(mass, n // 10, seed=2, threads=threads)
    _require(len(np.unique(without)) == n // 10, "a draw without replacement has repetitions")
    log("sampling: timing")
    rng, probabilities = np.random.default_rng(0), mass / mass.sum()
    found = [
        ("build an alias table", lambda: AliasTable(mass, threads=threads), n, None),
        ("draw with replacement", lambda: table.sample(n, seed=3), n, lambda: rng.choice(n, n, p=probabilities)),
        (
            "draw a tenth without",
            lambda: sample(mass, n // 10, seed=4, threads=threads),
            n,
            lambda: rng.choice(n, n // 10, replace=False, p=probabilities),
        ),
    ]
    return [
        _row(
            "sampling",
            f"{what}, {n:,}",
            _times(run, rounds),
            count / 1e6,
            "M weights/s",
            None if peer is None else statistics.median(_times(peer, rounds)),
        )
        for what, run, count, peer in found
    ]


def _require(holds: Any, otherwise: str) -> None:
    if not holds:
        raise WrongAnswer(otherwise)


def _times(run: Callable[[], object], rounds: int) -> list[float]:
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return seconds


def _row(engine: str, what: str, seconds: list[float], work: float, unit: str, peer: float | None) -> dict[str, Any]:
    median = statistics.median(seconds)
    return {
        "engine": engine, "what": what, "seconds": median, "least": min(seconds), "most": max(seconds), "rate": work / median,
        "unit": unit, "numpy_seconds": peer,
    }  # fmt: skip


def format_bench(found: dict[str, Any]) -> str:
    """Lay the results out as a table."""
    machine = found["machine"]
    lines = [
        f"coremax {found['version']} on {machine['processor']}, {machine['isa']}, {machine['threads']} threads; "
        f"medians of {found['settings']['rounds']}, answers checked",
        "",
        f"{'engine':<9} {'what':<36} {'ms':>9} {'rate':>20} {'NumPy':>7}",
    ]
    for row in found["results"]:
        rate = f"{row['rate']:.3g} {row['unit']}"
        peer = "" if row["numpy_seconds"] is None else f"{row['numpy_seconds'] / row['seconds']:.3g} x"
        lines.append(f"{row['engine']:<9} {row['what']:<36} {1000 * row['seconds']:>9,.1f} {rate:>20} {peer:>7}")
    return "\n".join([*lines, "", "NumPy: how many times as long plain NumPy takes (the graph: a block of rows, scaled up)"])
