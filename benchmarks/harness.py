"""Timing that can be trusted on a shared machine: interleaved rounds in alternating order, medians with their band."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

import coremax

Result = TypeVar("Result")

# What takes minutes to make and is kept between runs: embeddings, graphs, values of the solver's opponents.
CACHE_FOLDER = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "coremax-bench"


@dataclass(frozen=True)
class Timing:
    """Seconds of one contestant over the rounds."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """Median over the rounds."""
        return statistics.median(self.seconds)

    def __str__(self) -> str:
        return f"{self.median:.3f} ({min(self.seconds):.3f}-{max(self.seconds):.3f})"


def interleave(
    contestants: Mapping[str, Callable[[], object]], rounds: int | Mapping[str, int], *, warm_up: bool = True
) -> dict[str, Timing]:
    """Time all contestants in turn, every other round in reverse order, after one round that does not count.

    A contestant with fewer rounds than others takes part in the first of them; without `warm_up` the caller has run each once.
    """
    names = list(contestants)
    limits = {name: rounds if isinstance(rounds, int) else rounds[name] for name in names}
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(0 if warm_up else 1, max(limits.values()) + 1):
        for name in names if number % 2 else reversed(names):
            if number > limits[name]:
                continue
            elapsed, _ = timed(contestants[name])
            if number > 0:
                seconds[name].append(elapsed)
    return {name: Timing(tuple(values)) for name, values in seconds.items()}


def timed(run: Callable[[], Result]) -> tuple[float, Result]:
    """Run once; returns the seconds it took and its result."""
    start = time.perf_counter()
    result = run()
    return time.perf_counter() - start, result


def median_ratio(a: Timing, b: Timing) -> float:
    """Median of a / b over the rounds that both took part in: what a drifting machine leaves standing."""
    return statistics.median(x / y for x, y in zip(a.seconds, b.seconds, strict=False))


def peaks(size: int = 4096, repeats: int = 5, types: tuple[str, ...] = ("float32", "bfloat16", "int8")) -> dict[str, float]:
    """GFLOP/s of NumPy's and torch's matrix products of size^3 by type, the best of some: what software here has reached.

    Where the processor has no instructions for a type, torch's product of it takes a hundred times as long as that of float32:
    ask for the types that are used.
    A share of it may exceed 1: vector units may do more, and by symmetry half of 2 n^2 d operations do.
    """
    floats = np.random.default_rng(0).normal(size=(size, size)).astype(np.float32)
    products: list[tuple[str, Callable[[], object]]] = [("float32", partial(np.matmul, floats, floats))]
    try:
        import torch
    except ImportError:
        print("skipped: peaks of torch's matrix products: not installed")
    else:
        tensor = torch.from_numpy(floats)
        narrow, codes = tensor.bfloat16(), (32 * tensor).clamp(-127, 127).to(torch.int8)
        products.append(("float32", partial(torch.mm, tensor, tensor)))
        products.append(("bfloat16", partial(torch.mm, narrow, narrow)))
        products.append(("int8", partial(torch._int_mm, codes, codes)))
    found: dict[str, float] = {}
    for name, multiply in ((name, multiply) for name, multiply in products if name in types):
        seconds = min(timed(multiply)[0] for _ in range(repeats + 1))
        found[name] = max(found.get(name, 0), 2 * size**3 / seconds / 1e9)
    return found


def machine() -> str:
    """One line on the machine and the build."""
    config = coremax.show_config("dicts")
    model = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            model = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), model)
    build = f"coremax {config['version']} on {config['isa']}, compiler {config['compiler']}"
    return f"{model}, {config['threads']} threads, {build}"


def print_table(header: list[str], rows: list[list[str]]) -> None:
    """Print a Markdown table."""
    print("| " + " | ".join(header) + " |")
    print("|" + "---|" * len(header))
    for row in rows:
        print("| " + " | ".join(row) + " |")
