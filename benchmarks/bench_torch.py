"""The samplers for PyTorch against its own: nanoseconds per index that a sampler yields, and the memory it takes to do so.

python benchmarks/bench_torch.py [--small] [--rounds N]   needs: pip install ".[test]"
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DistributedSampler, RandomSampler, WeightedRandomSampler

import coremax
from coremax.torch import ImportanceSampler, SubsetSampler
from harness import interleave, machine, median_ratio, print_table, timed


def weights_of(n: int) -> NDArray[np.float64]:
    """Weights that are neither equal nor far apart."""
    return np.random.default_rng(0).random(n)


def distributed_sampler(n: int) -> Iterable[int]:
    """Torch's, as the only rank there is: it makes the whole list in any case."""
    data: Any = range(n)
    return DistributedSampler(data, 1, 0)


# Each yields n indices; rank 3 of 8 has an epoch eight times as long.
SAMPLERS: dict[str, dict[str, Callable[[int], Iterable[int]]]] = {
    "with replacement": {
        "coremax ImportanceSampler": lambda n: ImportanceSampler(weights_of(n)),
        "coremax, rank 3 of 8": lambda n: ImportanceSampler(weights_of(n), 8 * n, rank=3, world_size=8),
        "torch WeightedRandomSampler": lambda n: WeightedRandomSampler(torch.from_numpy(weights_of(n)), n),  # type: ignore[arg-type]
    },
    "shuffled": {
        "coremax SubsetSampler": lambda n: SubsetSampler(n),
        "coremax, rank 3 of 8": lambda n: SubsetSampler(8 * n, rank=3, world_size=8),
        "torch RandomSampler": lambda n: RandomSampler(range(n)),
        "torch DistributedSampler": distributed_sampler,
    },
}


def run_through(sampler: Iterable[int]) -> None:
    """Take indices as a batch sampler does, 256 at a time."""
    iterator = iter(sampler)
    while list(islice(iterator, 256)):
        pass


def check(n: int) -> None:
    """Ranks cover an epoch without overlap; draws are frequent as their weights; a resumed epoch goes on where it was left."""
    shares = [list(SubsetSampler(n, seed=1, rank=rank, world_size=4, drop_last=False)) for rank in range(4)]
    merged = np.array(shares).T.ravel()[:n]
    assert np.array_equal(np.sort(merged), np.arange(n))
    weights = np.random.default_rng(0).random(n)
    sampler = ImportanceSampler(weights, 400_000, seed=1)
    draws = np.array(list(sampler))
    assert np.array_equal(
        draws, np.array([list(ImportanceSampler(weights, 400_000, seed=1, rank=r, world_size=2)) for r in (0, 1)]).T.ravel()
    )
    expected = 400_000 * np.add.reduceat(weights, np.arange(0, n, n // 10)[:10]) / weights.sum()
    counts = np.bincount(np.minimum(draws // (n // 10), 9), minlength=10)
    assert np.abs(counts - expected).max() < 6 * np.sqrt(expected.max())
    deque(islice(iter(sampler), 300_001), maxlen=0)
    resumed = ImportanceSampler(weights, 400_000)
    resumed.load_state_dict(sampler.state_dict())
    assert list(resumed) == draws[300_001:].tolist()


def extra_megabytes(case: str, name: str, n: int) -> float:
    """Growth of the largest resident size of a fresh process while a sampler yields the first tenth of its indices."""
    command = [sys.executable, __file__, "--child", case, name, str(n)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def child(case: str, name: str, n: int) -> None:
    """Print the growth in megabytes; what the sampler holds from the start (weights, table) does not count."""
    sampler = SAMPLERS[case][name](n)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
    before = peak_kilobytes()
    deque(islice(iter(sampler), n // 10), maxlen=0)
    print((peak_kilobytes() - before) / 1024)


def peak_kilobytes() -> int:
    """The largest resident size of this process; getrusage would begin with that of the parent."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1])


def resumption(n: int) -> tuple[float, float]:
    """Seconds from a loaded state in the middle of an epoch to the next index; and by running through the first half."""
    sampler = SubsetSampler(n, seed=1)
    state = {**sampler.state_dict(), "position": n // 2}

    def resume() -> int:
        sampler.load_state_dict(state)
        return next(iter(sampler))

    def skip() -> int:
        return next(islice(iter(theirs), n // 2, None))

    theirs = RandomSampler(range(n))
    return timed(resume)[0], timed(skip)[0]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="sizes that take seconds")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        case, name, size = options.child
        child(case, name, int(size))
        return
    n = 100_000 if options.small else 10_000_000
    check(100_003)
    torch.set_num_threads(coremax.show_config("dicts")["threads"])
    rows = []
    for case, kinds in SAMPLERS.items():
        timings = interleave({name: partial(run_through, kind(n)) for name, kind in kinds.items()}, options.rounds)
        ours = next(iter(timings.values()))
        for name, timing in timings.items():
            band = f"{timing.median / n * 1e9:.0f} ({min(timing.seconds) / n * 1e9:.0f}-{max(timing.seconds) / n * 1e9:.0f})"
            memory = f"{extra_megabytes(case, name, n):.0f}"
            rows.append([f"{case}, n = {n:,}", name, band, f"{median_ratio(timing, ours):.1f}x", memory])
    print(f"{machine()}, torch {torch.__version__}, medians of {options.rounds} interleaved rounds\n")
    print_table(["case", "contestant", "ns per index (band)", "relative to coremax", "MB while iterating"], rows)
    ours_seconds, theirs_seconds = resumption(n)
    print(f"\nresuming in the middle of {n:,}: {ours_seconds * 1e3:.1f} ms, by skipping in torch {theirs_seconds * 1e3:.0f} ms")


if __name__ == "__main__":
    main()
