"""The samplers against NumPy and PyTorch.

python benchmarks/bench_sampling.py [--small] [--rounds N]   needs: pip install ".[test]"
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

import coremax
from harness import interleave, machine, median_ratio, print_table


def check(weights: np.ndarray[tuple[int], np.dtype[np.float64]]) -> None:
    """Draw frequencies of tenths of the weights within 6 standard deviations."""
    draws = coremax.sample(weights, 1_000_000, replace=True)
    n_bins = 10
    expected = np.add.reduceat(weights, np.arange(0, len(weights), len(weights) // n_bins)[:n_bins]) / weights.sum()
    counts = np.bincount(np.minimum(draws // (len(weights) // n_bins), n_bins - 1), minlength=n_bins)
    assert np.abs(counts - 1e6 * expected).max() < 6 * np.sqrt(1e6 * expected.max())


def exponential_top_k(weights: NDArray[np.float32], size: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw without replacement as NumPy users do: Efraimidis and Spirakis (2006) in float32, in the order drawn."""
    uniform = rng.random(len(weights), dtype=np.float32)
    np.subtract(1, uniform, out=uniform)  # no logarithm of zero
    times = np.divide(-np.log(uniform, out=uniform), weights, out=uniform)
    first = np.argpartition(times, size)[:size]
    return first[np.argsort(times[first])]


def without_replacement(weights: NDArray[np.float64], size: int, rng: np.random.Generator) -> dict[str, Callable[[], object]]:
    """Return the contestants of draws without replacement."""
    n, narrow, logs = len(weights), weights.astype(np.float32), np.log(weights)
    probabilities, tensor = weights / weights.sum(), torch.from_numpy(weights)
    return {
        "coremax sample, float64": lambda: coremax.sample(weights, size),
        "coremax sample, float32": lambda: coremax.sample(narrow, size),
        "coremax sample, logarithms": lambda: coremax.sample(logs, size, log_weights=True),
        "NumPy exponential top-k, float32": lambda: exponential_top_k(narrow, size, rng),
        "NumPy choice": lambda: rng.choice(n, size, replace=False, p=probabilities),
        "torch.multinomial": lambda: torch.multinomial(tensor, size),
    }


def check_without(weights: NDArray[np.float64], size: int) -> None:
    """The sum of weights drawn, with Horvitz-Thompson weights: that of all, within 1 %."""
    draws = coremax.sample(weights, size)
    assert len(np.unique(draws)) == size
    estimate = (weights[draws] / coremax.sampling.inclusion_probabilities(weights, size)[draws]).sum()
    assert abs(estimate / weights.sum() - 1) < 0.01


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="sizes that take seconds")
    parser.add_argument("--rounds", type=int, default=4)
    options = parser.parse_args()
    n = 100_000 if options.small else 10_000_000
    weights = np.random.default_rng(0).random(n)
    check(weights)
    skewed = np.exp(3 * np.random.default_rng(2).normal(size=n))
    check_without(weights, n // 10)
    probabilities, tensor = weights / weights.sum(), torch.from_numpy(weights)
    rng, table = np.random.default_rng(1), coremax.AliasTable(weights)
    torch.set_num_threads(coremax.show_config("dicts")["threads"])
    rows = []
    groups = {
        f"build, n = {n:,}": {"coremax AliasTable": lambda: coremax.AliasTable(weights)},
        f"{n:,} draws with replacement": {
            "coremax AliasTable.sample": lambda: table.sample(n),
            "NumPy choice": lambda: rng.choice(n, n, p=probabilities),
            "torch.multinomial": lambda: torch.multinomial(tensor, n, replacement=True),
        },
    }
    for kind, given in {"uniform": weights, "log-normal": skewed}.items():
        groups[f"{n // 10:,} of {n:,} without, {kind} weights"] = without_replacement(given, n // 10, rng)
    for case, contestants in groups.items():
        timings = interleave(contestants, options.rounds)
        ours = next(iter(timings.values()))
        rows += [[case, name, str(timing), f"{median_ratio(timing, ours):.1f}x"] for name, timing in timings.items()]
    print(f"{machine()}, torch {torch.__version__}, medians of {options.rounds} interleaved rounds\n")
    print_table(["case", "contestant", "seconds (band)", "time relative to coremax"], rows)


if __name__ == "__main__":
    main()
