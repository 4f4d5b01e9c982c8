"""The samplers against NumPy, SciPy and PyTorch.

python benchmarks/bench_sampling.py [--small] [--rounds N]   needs: pip install ".[test]"
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from scipy.stats.sampling import DiscreteAliasUrn

import coremax
from harness import Timing, interleave, machine, median_ratio, print_table, timed

FALSE_ALARM = 1e-6
BINS = 1000
# Bytes a table of n takes from and to memory: three passes read the weights, the weights and the cells; two write the cells.
BUILD_BYTES = 5 * 8

Contestants = dict[str, Callable[[], object]]


def check(weights: NDArray[np.float64], draws: int) -> str:
    """Chi-square of draws over a thousand ranges of elements; raises AssertionError with a false-alarm rate of 1e-6."""
    n = len(weights)
    edges = np.arange(BINS) * n // BINS
    expected = np.add.reduceat(weights, edges) / weights.sum() * draws
    table, counts = coremax.AliasTable(weights), np.zeros(BINS)
    step = min(draws, 10_000_000)
    for offset in range(0, draws, step):
        found = np.searchsorted(edges, table.sample(step, seed=7, offset=offset), side="right") - 1
        counts += np.bincount(found, minlength=BINS)
    pvalue = float(stats.chisquare(counts, expected).pvalue)
    assert pvalue > FALSE_ALARM, f"chi-square over {BINS} bins, n = {n:,}, {draws:,} draws: p = {pvalue:.1e}"
    return f"chi-square over {BINS:,} bins, n = {n:,}, {draws:,} draws: p = {pvalue:.3f}"


def copy_bandwidth(size: int) -> float:
    """Bytes a second that copying moves on all threads, reads and writes both counted: the best of some."""
    source = torch.ones(size, dtype=torch.float64)
    target = torch.empty_like(source)
    return 16 * size / min(timed(lambda: target.copy_(source))[0] for _ in range(8))


def urn(weights: NDArray[np.float64]) -> Any:
    """SciPy's alias table, which warns of rounding in its squared histogram for any large table."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return DiscreteAliasUrn(weights, random_state=np.random.default_rng(1))


def with_replacement(weights: NDArray[np.float64], size: int, *, small_rivals: bool) -> Contestants:
    """Everybody's best setting for many draws from the same weights: what can be prepared is prepared before."""
    n, rng = len(weights), np.random.default_rng(1)
    table, theirs = coremax.AliasTable(weights), urn(weights)
    found: Contestants = {
        "coremax AliasTable.sample": lambda: table.sample(size),
        "SciPy DiscreteAliasUrn.rvs": lambda: theirs.rvs(size),
    }
    if small_rivals:
        probabilities, cumulative = weights / weights.sum(), np.cumsum(weights)
        cumulative /= cumulative[-1]
        wide, narrow = torch.from_numpy(weights), torch.from_numpy(weights.astype(np.float32))
        found |= {
            "NumPy choice(p=)": lambda: rng.choice(n, size, p=probabilities),
            "NumPy searchsorted of a prepared sum": lambda: cumulative.searchsorted(rng.random(size), side="right"),
            "torch.multinomial float64": lambda: torch.multinomial(wide, size, replacement=True),
            "torch.multinomial float32": lambda: torch.multinomial(narrow, size, replacement=True),
        }
    return found


def rows_of(case: str, contestants: Contestants, rounds: int, elements: int) -> tuple[list[list[str]], Timing]:
    """Times of all contestants, per element and relative to the first; and the first's."""
    timings = interleave(contestants, rounds)
    ours = next(iter(timings.values()))
    rows = [
        [case, name, str(timing), f"{timing.median / elements * 1e9:.2f}", f"{median_ratio(timing, ours):.1f}x"]
        for name, timing in timings.items()
    ]
    return rows, ours


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
    scale, rounds = 100 if options.small else 1, options.rounds
    n, n_cached, n_large = 10_000_000 // scale, 100_000, 30_000_000 // scale
    torch.set_num_threads(coremax.show_config("dicts")["threads"])
    rng = np.random.default_rng(0)
    weights, cached, large = rng.random(n), rng.random(n_cached), rng.random(n_large)
    for data in (weights, cached, large):
        print(check(data, 100_000_000 // scale))
    print()

    table, rows = coremax.AliasTable(weights), []
    builders: Contestants = {
        "coremax AliasTable.update": lambda: table.update(weights),
        "coremax AliasTable": lambda: coremax.AliasTable(weights),
        "SciPy DiscreteAliasUrn": lambda: urn(weights),
    }
    more, update = rows_of(f"build, n = {n:,}", builders, rounds, n)
    rows += more
    bandwidth = copy_bandwidth(n)
    size = max(n, 1_000_000)
    for data, small_rivals in ((cached, True), (weights, True), (large, False)):
        case = f"{size:,} draws with replacement, n = {len(data):,}"
        rows += rows_of(case, with_replacement(data, size, small_rivals=small_rivals), rounds, size)[0]

    skewed = np.exp(3 * rng.normal(size=n))
    check_without(weights, n // 10)
    for name, data in (("uniform", weights), ("log-normal", skewed)):
        case = f"{n // 10:,} of {n:,} without, {name} weights"
        rows += rows_of(case, without_replacement(data, n // 10, rng), rounds, n)[0]

    print(f"{machine()}, torch {torch.__version__}, medians of {rounds} interleaved rounds\n")
    print_table(["case", "contestant", "seconds (band)", "ns per element", "time relative to coremax"], rows)
    bound = BUILD_BYTES * n / bandwidth
    print(
        f"\nA copy moves {bandwidth / 1e9:.1f} GB/s; the build's {BUILD_BYTES} bytes per element at that rate would take "
        f"{bound / n * 1e9:.2f} ns each: update reaches {bound / update.median:.0%} of it."
    )


if __name__ == "__main__":
    main()
