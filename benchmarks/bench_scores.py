"""The scores against their formulas in NumPy, k-means against faiss, and the share of the machine's limits that SIM reaches.

python benchmarks/bench_scores.py [--small] [--rounds N]   needs: pip install ".[bench]" (faiss is left out where it is missing)
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

import coremax
from coremax import scores
from harness import interleave, machine, median_ratio, peaks, print_table, timed

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Problem:
    """Embeddings around a direction for each class, and what two models say of them."""

    x: Floats
    labels: NDArray[np.int64]
    experts: list[Floats]

    @staticmethod
    def make(n: int, d: int, classes: int, seed: int = 0) -> Problem:
        """Draw one; the experts' distributions are peaked at the label."""
        rng = np.random.default_rng(seed)
        labels = rng.integers(0, classes, n)
        x = rng.normal(size=(classes, d)).astype(np.float32)[labels] + rng.standard_normal((n, d), dtype=np.float32)
        return Problem(x, labels, [softmax(rng, labels, classes) for _ in range(2)])


def softmax(rng: np.random.Generator, labels: NDArray[np.int64], classes: int) -> Floats:
    """Distributions peaked at the label."""
    p = rng.standard_normal((len(labels), classes), dtype=np.float32)
    p[np.arange(len(labels)), labels] += 3
    np.exp(p, out=p)
    p /= p.sum(axis=1, keepdims=True)
    return p


def scaled(values: NDArray[np.float64], low: float = 1, high: float = 99) -> NDArray[np.float64]:
    """Between two percentiles."""
    bottom, top = np.percentile(values, [low, high])
    return np.asarray(np.clip((values - bottom) / (top - bottom), 0, 1))


def numpy_sim(problem: Problem) -> NDArray[np.float64]:
    """SIM in a dozen lines of NumPy, float32 where the data is, as one would write it."""
    x, labels = problem.x, problem.labels
    norms = np.linalg.norm(x, axis=1)
    unit = x / norms[:, None]
    classes = int(labels.max()) + 1
    centres = np.stack([unit[labels == c].mean(axis=0) for c in range(classes)])
    cosines = unit @ (centres / np.linalg.norm(centres, axis=1, keepdims=True)).T
    rows = np.arange(len(x))
    own = cosines[rows, labels]
    cosines[rows, labels] = -np.inf
    ratio = np.log((1 - cosines.max(axis=1).astype(np.float64)) / (1 - own.astype(np.float64) + 1e-6))

    def plogp(p: Any) -> Any:
        return (p * np.log(np.maximum(p, np.float32(1e-30)))).sum(axis=1, dtype=np.float64)

    first, second = problem.experts
    divergence = (plogp(first) + plogp(second)) / 2 - plogp((first + second) / 2)
    joined = (1 - divergence / np.log(2)) * scaled(ratio) * scaled(norms.astype(np.float64))
    return scaled(joined, 0, 100)


def numpy_tdds(epochs: list[Floats], window: int, decay: float) -> Any:
    """TDDS with every change in memory."""
    changes = []
    for p, q in pairwise(epochs):
        changes.append(np.abs(q * (np.log(q + np.float32(1e-8)) - np.log(p + np.float32(1e-8)))).sum(axis=1, dtype=np.float64))
    score: Any = 0
    for k in range(len(epochs) - window + 1):
        part = np.stack(changes[k : k + window - 1])
        score = decay * np.sqrt(((part - part.mean(axis=0)) ** 2).sum(axis=0)) + (1 - decay) * score
    return score


def read_bandwidth(array: Floats, threads: int) -> float:
    """GB/s at which NumPy's sums read memory on so many threads, the best of five."""
    parts = np.array_split(array, threads)
    with ThreadPoolExecutor(threads) as pool:
        seconds = min(timed(lambda: list(pool.map(lambda part: part.max(), parts)))[0] for _ in range(5))
    return array.nbytes / seconds / 1e9


def check(problem: Problem, epochs: list[Floats]) -> None:
    """Ours are the formulas' values."""
    ours, plain = scores.sim(problem.x, problem.labels, problem.experts), numpy_sim(problem)
    # float32 cosines and norms in another order, over percentiles some tenths apart
    assert np.abs(ours - plain).max() < 1e-3, np.abs(ours - plain).max()
    np.testing.assert_allclose(scores.tdds(epochs, window=3), numpy_tdds(epochs, 3, 0.9), atol=1e-4)


def compare_sim(problem: Problem, rounds: int, rows: list[list[str]]) -> None:
    """SIM, and what its time means in bytes and operations."""
    contestants = {
        "coremax sim": lambda: scores.sim(problem.x, problem.labels, problem.experts),
        "coremax sim, no experts": lambda: scores.sim(problem.x, problem.labels),
        "NumPy sim": lambda: numpy_sim(problem),
    }
    timings = interleave(contestants, rounds)
    n, d = problem.x.shape
    classes = problem.experts[0].shape[1]
    case = f"{n:,} x {d}, {classes} classes, 2 experts"
    ours = timings["coremax sim"]
    for name, timing in timings.items():
        rows.append([case, name, str(timing), f"{median_ratio(timing, ours):.1f}x"])
    threads = coremax.show_config("dicts")["threads"]
    bandwidth, peak = read_bandwidth(problem.experts[0], threads), peaks(size=2048, types=("float32",))["float32"]
    gigabytes = (2 * problem.x.nbytes + sum(p.nbytes for p in problem.experts)) / 1e9
    gigaflops = 2 * n * d * classes / 1e9
    print(
        f"sim reads {gigabytes:.2f} GB (embeddings twice, probabilities once): {gigabytes / bandwidth:.3f} s at "
        f"{bandwidth:.1f} GB/s; multiplies {gigaflops:.1f} GFLOP: {gigaflops / peak:.3f} s at {peak:.0f} GFLOP/s; takes "
        f"{ours.median:.3f} s, of which the two limits are {(gigabytes / bandwidth + gigaflops / peak) / ours.median:.0%}\n"
    )


def compare_clusters(x: Floats, n_clusters: int, rounds: int, rows: list[list[str]]) -> None:
    """Spherical k-means, 20 steps, rows labelled at the end."""
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    fits: dict[str, float] = {}

    def fit(nearest: Floats) -> float:
        return float(np.einsum("ij,ij->i", unit, nearest).mean(dtype=np.float64))

    def ours() -> None:
        centres, labels = scores.spherical_kmeans(x, n_clusters)
        fits["coremax spherical_kmeans"] = fit(centres[labels])

    contestants: dict[str, Callable[[], object]] = {"coremax spherical_kmeans": ours}
    if importlib.util.find_spec("faiss"):
        import faiss

        faiss.omp_set_num_threads(coremax.show_config("dicts")["threads"])

        def theirs() -> None:
            clusters: Any = faiss.Kmeans(x.shape[1], n_clusters, niter=20, spherical=True, seed=1)
            clusters.train(unit)
            fits["faiss Kmeans(spherical=True)"] = fit(clusters.centroids[clusters.index.search(unit, 1)[1][:, 0]])

        contestants["faiss Kmeans(spherical=True)"] = theirs
    else:
        print("skipped: faiss is not installed")
    timings = interleave(contestants, rounds)
    case = f"{x.shape[0]:,} x {x.shape[1]}, {n_clusters:,} clusters, 20 steps"
    first = timings["coremax spherical_kmeans"]
    for name, timing in timings.items():
        rows.append([case, f"{name}, mean cosine {fits[name]:.4f}", str(timing), f"{median_ratio(timing, first):.1f}x"])
    assert min(fits.values()) > 0.98 * max(fits.values())


def compare_tdds(epochs: list[Floats], rounds: int, rows: list[list[str]]) -> None:
    """TDDS over a few epochs."""
    contestants = {
        "coremax tdds": lambda: scores.tdds(epochs, window=3),
        "NumPy tdds": lambda: numpy_tdds(epochs, 3, 0.9),
    }
    timings = interleave(contestants, rounds)
    n, classes = epochs[0].shape
    for name, timing in timings.items():
        ratio = median_ratio(timing, timings["coremax tdds"])
        rows.append([f"{len(epochs)} epochs of {n:,} x {classes}", name, str(timing), f"{ratio:.1f}x"])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="sizes that take seconds")
    parser.add_argument("--rounds", type=int, default=4)
    options = parser.parse_args()
    n = 50_000 if options.small else 1_000_000
    problem = Problem.make(n, 128, 100)
    rng = np.random.default_rng(1)
    epochs = [softmax(rng, problem.labels[: n // 4], 100) for _ in range(5)]
    check(problem, epochs)
    rows: list[list[str]] = []
    print(f"{machine()}, medians of {options.rounds} interleaved rounds\n")
    compare_sim(problem, options.rounds, rows)
    compare_tdds(epochs, options.rounds, rows)
    compare_clusters(problem.x, 100 if options.small else 1000, options.rounds, rows)
    print_table(["case", "contestant", "seconds (band)", "time relative to coremax"], rows)


if __name__ == "__main__":
    main()
