"""What a call costs beside the engine: every public entry point on the smallest input, against its engine called directly.

    python benchmarks/bench_overhead.py [--small] [--rounds N]

Both run on the calling thread (threads=1) and are timed by that thread's own clock, so that other programs count little; the
two are interleaved, and the table has medians over rounds. "over the engine" is what the Python layer adds: checks, views of
the arguments, results in the caller's library. Functions that have no single engine behind them are measured whole.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import coremax
from coremax import _core
from coremax._inputs import arrays

LIMIT = 20.0  # microseconds over the engine
IMPORT_LIMIT = 60.0  # milliseconds over NumPy

X = np.array([[1.0, 0.1], [0.1, 1.0]], dtype=np.float32)
WEIGHTS = np.array([1.0, 2.0])
INDICES = np.array([0])
PROBABILITIES = np.array([[0.25, 0.75], [0.5, 0.5]])
LABELS = np.array([0, 1])


def cases() -> dict[str, tuple[Callable[[], object], Callable[[], object] | None]]:
    """Name -> the call, and the engine's part of it."""
    isa = arrays.resolve_isa(None)
    x, weights, indices = (_core.import_array(array, "x") for array in (X, WEIGHTS, INDICES))
    probabilities, labels = _core.import_array(PROBABILITIES, "p"), _core.import_array(LABELS, "labels")
    graph, table = coremax.topk_graph(X, 1), coremax.AliasTable(WEIGHTS)
    indptr, columns, values = (_core.import_array(part, "part") for part in graph._symmetric(1))
    near, similar = (_core.import_array(array, "lists") for array in (graph.neighbors, graph.similarities))
    engine_table = _core.build_alias_table(weights, 1)
    options: dict[str, Any] = {
        "method": "auto", "effort": "default", "bound": "fast", "max_iterations": -1, "tolerance": 1e-6, "temperature": 0.0,
        "time_limit": 0.0, "polish": True, "seed": 0,
    }  # fmt: skip
    return {
        "topk_graph(2 x 2, k=1)": (
            lambda: coremax.topk_graph(X, 1, threads=1),
            lambda: _core.topk(x, None, 1, "cosine", isa, 1, None, "automatic", None, 0),
        ),
        "Graph.from_neighbors": (lambda: coremax.Graph.from_neighbors(graph.neighbors, graph.similarities), None),
        "Graph.to_csr (first)": (
            lambda: coremax.Graph.from_neighbors(graph.neighbors, graph.similarities)._symmetric(1),
            lambda: _core.symmetric(None, near, similar, 1),
        ),
        "solve(2, budget=1)": (
            lambda: coremax.solve(WEIGHTS, graph, 1, threads=1),
            lambda: _core.solve(
                weights, indptr, columns, values, alpha=0.3, budget=1, cost_limit=0.0, costs=None, groups=None, limits=[],
                fixed=None, within=None, x0=None, options=options, callback=None, threads=1, progress=None,
            ),
        ),
        "objective": (
            lambda: coremax.objective(WEIGHTS, graph, INDICES),
            lambda: _core.objective(weights, indptr, columns, values, subset=indices, alpha=0.3, threads=1),
        ),
        "AliasTable(2 weights)": (
            lambda: coremax.AliasTable(WEIGHTS, threads=1),
            lambda: _core.build_alias_table(weights, 1),
        ),
        "AliasTable.sample(1)": (lambda: table.sample(1, threads=1), lambda: engine_table.sample(1, 0, 0, "", 1)),
        "AliasTable.sample_at": (
            lambda: table.sample_at(INDICES, threads=1),
            lambda: engine_table.sample_at(indices, 0, 1),
        ),
        "sample(2, 1)": (
            lambda: coremax.sample(WEIGHTS, 1, threads=1),
            lambda: _core.sample_without_replacement(weights, 1, False, 0, "", 1),
        ),
        "sample(2, 1, replace=True)": (
            lambda: coremax.sample(WEIGHTS, 1, replace=True, threads=1),
            lambda: _core.build_alias_table(weights, 1).sample(1, 0, 0, "", 1),
        ),
        "scores.margin(2 x 2)": (
            lambda: coremax.scores.margin(PROBABILITIES, threads=1),
            lambda: _core.score_probabilities("margin", probabilities, None, 1),
        ),
        "scores.el2n(2 x 2)": (
            lambda: coremax.scores.el2n(PROBABILITIES, LABELS, threads=1),
            lambda: _core.score_probabilities("el2n", probabilities, labels, 1),
        ),
        "selection.top": (lambda: coremax.selection.top(WEIGHTS, 1), None),
        "infomax(2 x 2)": (lambda: coremax.infomax(X, WEIGHTS, 1, threads=1), None),
    }  # fmt: skip


def cost(run: Callable[[], object], calls: int) -> float:
    """Microseconds a call, by the thread's clock."""
    start = time.thread_time_ns()
    for _ in range(calls):
        run()
    return (time.thread_time_ns() - start) / calls / 1e3


def measure(rounds: int, calls: int) -> list[tuple[str, float, float | None]]:
    """Median microseconds of each call, and of its engine."""
    found = []
    for name, (call, engine) in cases().items():
        pairs = []
        for number in range(rounds + 1):
            whole = cost(call, calls)
            alone = None if engine is None else cost(engine, calls)
            if number:  # the first warms up
                pairs.append((whole, alone))
        whole = statistics.median(pair[0] for pair in pairs)
        over = None if engine is None else statistics.median(pair[0] - (pair[1] or 0.0) for pair in pairs)
        found.append((name, whole, over))
    return found


def import_milliseconds(module: str, rounds: int) -> float:
    """Time that a fresh interpreter takes to import a module after NumPy, compiled as pip leaves it."""
    code = f"import time, numpy; s = time.perf_counter(); import {module}; print((time.perf_counter() - s) * 1e3)"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    call = partial(subprocess.run, [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    call()  # leaves the compiled files
    return statistics.median(float(call().stdout) for _ in range(rounds))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--small", action="store_true", help="few calls: to see that it runs")
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    print(f"{'microseconds of the calling thread':<34}{'call':>9}{'over the engine':>18}")
    worst = 0.0
    for name, whole, over in measure(arguments.rounds, 20 if arguments.small else 500):
        print(f"{name:<34}{whole:>9.1f}{'' if over is None else format(over, '18.1f')}")
        worst = max(worst, over or 0.0)
    print(f"most over the engine: {worst:.1f} (wanted: below {LIMIT:g})")
    print(
        f"import coremax over NumPy: {import_milliseconds('coremax', arguments.rounds):.1f} ms (wanted: below {IMPORT_LIMIT:g})"
    )


if __name__ == "__main__":
    main()
