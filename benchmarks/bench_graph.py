"""The exact graph against faiss: the same data, the same k, the same threads, results compared before times are.

python benchmarks/bench_graph.py [--small] [--rounds N]      needs: pip install ".[bench]"
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

import coremax
from cases import clustered, gaussian
from harness import interleave, machine, median_ratio, print_table

K = 10


def faiss_neighbors(unit: NDArray[np.float32]) -> NDArray[np.int64]:
    """Exact search by faiss, asked for one more since it returns each row itself."""
    return np.asarray(faiss.knn(unit, unit, K + 1, metric=faiss.METRIC_INNER_PRODUCT)[1])


def assert_same(found: NDArray[np.int64], by_faiss: NDArray[np.int64]) -> float:
    """Share of neighbours both name; faiss rounds differently, so near-ties at rank k may differ."""
    shared = np.mean([len(set(a) & set(b[b != i])) / K for i, (a, b) in enumerate(zip(found.tolist(), by_faiss, strict=True))])
    assert shared >= 0.999, f"only {shared:.2%} of the neighbours agree"
    return float(shared)


def run(name: str, x: NDArray[np.float32], rounds: int) -> list[list[str]]:
    """One case: every ISA level and faiss, interleaved."""
    n, d = x.shape
    threads = coremax.show_config("dicts")["threads"]
    faiss.omp_set_num_threads(threads)
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    shared = assert_same(coremax.topk_graph(x, K).neighbors, faiss_neighbors(unit))
    contestants: dict[str, Callable[[], Any]] = {"faiss knn": lambda: faiss_neighbors(unit)}
    for isa in coremax.show_config("dicts")["isas"][1:]:
        contestants[f"coremax {isa}"] = partial(coremax.topk_graph, x, K, isa=isa)
    timings = interleave(contestants, rounds)
    return [
        [
            f"{name}, {n:,} x {d}",
            contestant,
            str(timing),
            f"{median_ratio(timings['faiss knn'], timing):.2f}x",
            f"{2 * n * n * d / timing.median / 1e9:.0f}",
            f"{shared:.4%}",
        ]
        for contestant, timing in timings.items()
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="sizes that take seconds")
    parser.add_argument("--rounds", type=int, default=6)
    options = parser.parse_args()
    sizes = [(2_000, 128)] if options.small else [(20_000, 128), (20_000, 768), (60_000, 128)]
    rows = []
    for n, d in sizes:
        rows += run("normal", gaussian(n, d), options.rounds)
    n, d = sizes[0]
    rows += run("clustered", clustered(n, d, n // 100), options.rounds)
    print(f"{machine()}, faiss {faiss.__version__}, k = {K}, medians of {options.rounds} interleaved rounds\n")
    print_table(["data", "contestant", "seconds (band)", "faster than faiss", "2 n^2 d GFLOP/s", "neighbours shared"], rows)


if __name__ == "__main__":
    main()
