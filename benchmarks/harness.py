"""Timing that can be trusted on a shared machine: interleaved rounds in alternating order, medians with their band."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import coremax


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


def interleave(contestants: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, Timing]:
    """Time all contestants in turn, every other round in reverse order, after one round that does not count."""
    names = list(contestants)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds + 1):
        for name in names if number % 2 else reversed(names):
            start = time.perf_counter()
            contestants[name]()
            if number > 0:
                seconds[name].append(time.perf_counter() - start)
    return {name: Timing(tuple(values)) for name, values in seconds.items()}


def median_ratio(a: Timing, b: Timing) -> float:
    """Median over the rounds of a / b: what a drifting machine leaves standing."""
    return statistics.median(x / y for x, y in zip(a.seconds, b.seconds, strict=True))


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
