"""The solver against the projected gradient as the field writes it in NumPy, and against top-by-importance.

python benchmarks/bench_solver.py [--small] [--rounds N]     needs: pip install ".[test]"
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from numpy.typing import NDArray

import coremax
from cases import clustered
from harness import interleave, machine, print_table

ALPHA = 0.3
ITERATIONS = 300


def numpy_pgd(importance: NDArray[np.float64], k: Any, budget: int) -> NDArray[np.int64]:
    """Projected gradient over a SciPy matrix with a bisected projection, rounded by taking the largest."""
    n = len(importance)
    step = 1 / (2 * ALPHA * float(np.asarray(abs(k).sum(axis=1)).max()))
    x = np.full(n, budget / n)
    for _ in range(ITERATIONS):
        y = x + step * (importance - 2 * ALPHA * (k @ x))
        low, high = y.min() - 1, y.max()
        for _ in range(50):
            middle = (low + high) / 2
            low, high = (middle, high) if np.clip(y - middle, 0, 1).sum() > budget else (low, middle)
        x = np.clip(y - low, 0, 1)
    return np.sort(np.argsort(-x, kind="stable")[:budget])


def run(n: int, keep: float, rounds: int) -> list[list[str]]:
    """One size and budget."""
    graph = coremax.topk_graph(clustered(n, 64, n // 25), 10)
    importance, budget, k = np.random.default_rng(1).random(n), round(keep * n), graph.to_scipy().astype(np.float64)
    found: dict[str, Any] = {}
    timings = interleave(
        {
            "coremax": lambda: found.update({"coremax": coremax.solve(importance, graph, budget, alpha=ALPHA)}),
            "NumPy PGD": lambda: found.update({"NumPy PGD": numpy_pgd(importance, k, budget)}),
        },
        rounds,
    )
    solution: coremax.Solution = found["coremax"]
    values = {
        "coremax": coremax.objective(importance, graph, solution.indices, ALPHA),
        "NumPy PGD": coremax.objective(importance, graph, found["NumPy PGD"], ALPHA),
        "top": coremax.objective(importance, graph, coremax.selection.top(importance, budget).indices, ALPHA),
    }
    assert abs(values["coremax"] - solution.objective) <= 1e-9 * n
    assert values["coremax"] <= solution.upper_bound
    case = f"n = {n:,}, keep {keep:.0%}"
    return [
        [
            case,
            name,
            str(timings.get(name, "")),
            f"{value:.2f}",
            f"{solution.upper_bound:.2f} ({solution.gap:.2%})" if name == "coremax" else "",
        ]
        for name, value in values.items()
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="sizes that take seconds")
    parser.add_argument("--rounds", type=int, default=4)
    options = parser.parse_args()
    rows = []
    for n in [2_000] if options.small else [5_000, 50_000]:
        for keep in (0.1, 0.3, 0.5):
            rows += run(n, keep, options.rounds)
    print(f"{machine()}, alpha = {ALPHA}, k = 10, medians of {options.rounds} interleaved rounds\n")
    print_table(["case", "method", "seconds (band)", "f", "upper bound (gap)"], rows)


if __name__ == "__main__":
    main()
