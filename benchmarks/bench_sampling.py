"""The samplers against NumPy and PyTorch.

python benchmarks/bench_sampling.py [--small] [--rounds N]   needs: pip install ".[test]"
"""

from __future__ import annotations

import argparse

import numpy as np
import torch

import coremax
from harness import interleave, machine, median_ratio, print_table


def check(weights: np.ndarray[tuple[int], np.dtype[np.float64]]) -> None:
    """Draw frequencies of tenths of the weights within 6 standard deviations."""
    draws = coremax.sample(weights, 1_000_000, replace=True)
    n_bins = 10
    expected = np.add.reduceat(weights, np.arange(0, len(weights), len(weights) // n_bins)[:n_bins]) / weights.sum()
    counts = np.bincount(np.minimum(draws // (len(weights) // n_bins), n_bins - 1), minlength=n_bins)
    assert np.abs(counts - 1e6 * expected).max() < 6 * np.sqrt(1e6 * expected.max())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="sizes that take seconds")
    parser.add_argument("--rounds", type=int, default=4)
    options = parser.parse_args()
    n = 100_000 if options.small else 10_000_000
    weights = np.random.default_rng(0).random(n)
    check(weights)
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
        f"{n // 10:,} of {n:,} without": {
            "coremax sample": lambda: coremax.sample(weights, n // 10),
            "NumPy choice": lambda: rng.choice(n, n // 10, replace=False, p=probabilities),
            "torch.multinomial": lambda: torch.multinomial(tensor, n // 10),
        },
    }
    for case, contestants in groups.items():
        timings = interleave(contestants, options.rounds)
        ours = next(iter(timings.values()))
        rows += [[case, name, str(timing), f"{median_ratio(timing, ours):.1f}x"] for name, timing in timings.items()]
    print(f"{machine()}, torch {torch.__version__}, medians of {options.rounds} interleaved rounds\n")
    print_table(["case", "contestant", "seconds (band)", "time relative to coremax"], rows)


if __name__ == "__main__":
    main()
