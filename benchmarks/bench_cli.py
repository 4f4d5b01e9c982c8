"""What the command line costs over the library: `coremax select` from file to file, hashes of its inputs and record included,
against a program that maps the same file, calls `infomax` and saves the numbers.

python benchmarks/bench_cli.py [--small] [--rows N] [--dimensions D] [--partitions N] [--rounds N]
the bar: 5 % at 1,000,000 x 128
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from cases import clustered
from coremax.cli._record import hash_file
from harness import interleave, machine, median_ratio, print_table

LIBRARY = """
import json, sys, time
start = time.perf_counter()
import numpy as np, coremax
begin = time.perf_counter()
chosen = coremax.infomax(np.load("x.npy", mmap_mode="r"), np.load("score.npy"), 0.1, k=10, partitions=int(sys.argv[1]))
np.save("library.npy", chosen.indices)
print(json.dumps({"import": begin - start, "call": time.perf_counter() - begin}))
"""
COMMAND = [sys.executable, "-c", "from coremax.cli import main; main()", "select", "x.npy", "--importance", "score.npy"]
COMMAND += ["--budget", "10%", "-k", "10", "-o", "command.npy", "--json"]


def run(program: list[str], folder: Path) -> tuple[Any, float]:
    """Run in a process of its own; returns the JSON it prints and its CPU seconds, which other processes disturb little."""
    process = subprocess.Popen(program, cwd=folder, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    printed = process.stdout.read()
    _, process.returncode, usage = os.wait4(process.pid, 0)
    assert process.returncode == 0
    return json.loads(printed), usage.ru_utime + usage.ru_stime


def main() -> None:
    """Print seconds of both, and what the command line adds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dimensions", type=int, default=128)
    parser.add_argument("--partitions", type=int, default=1, help="of infomax: the graph costs a part, all else is the same")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--small", action="store_true", help="20,000 rows")
    options = parser.parse_args()
    n = 20_000 if options.small else options.rows
    print(f"{machine()}, {options.rounds} rounds\n", flush=True)
    calls: list[dict[str, float]] = []
    runs: list[dict[str, float]] = []
    cpu: dict[str, list[float]] = {"library": [], "command": []}

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "x.npy", clustered(n, options.dimensions, max(1, n // 100)))
        np.save(folder / "score.npy", np.random.default_rng(1).random(n))

        def library() -> None:
            out, seconds = run([sys.executable, "-c", LIBRARY, str(options.partitions)], folder)
            cpu["library"].append(seconds)
            calls.append(out)

        def command() -> None:
            out, seconds = run([*COMMAND, "--partitions", str(options.partitions)], folder)
            cpu["command"].append(seconds)
            runs.append(out["seconds"])

        timings = interleave({"library": library, "command": command}, options.rounds, warm_up=options.small)
        assert np.array_equal(np.load(folder / "command.npy"), np.load(folder / "library.npy"))
        start = time.perf_counter()
        hash_file(str(folder / "x.npy"))
        hashing, size = time.perf_counter() - start, os.path.getsize(folder / "x.npy")
    stages = {stage: statistics.median(run[stage] for run in runs) for stage in runs[0]}
    rows = [
        ["process of the library", str(timings["library"])],
        ["of it, infomax and its files", f"{statistics.median(call['call'] for call in calls):.3f}"],
        ["process of the command", str(timings["command"])],
        ["of it, " + ", ".join(stages), ", ".join(f"{seconds:.3f}" for seconds in stages.values())],
        ["command / library, processes", f"{median_ratio(timings['command'], timings['library']):.3f}"],
        ["CPU seconds of the processes, library, command", ", ".join(f"{statistics.median(v):.2f}" for v in cpu.values())],
        ["command / library, CPU seconds", f"{statistics.median(b / a for a, b in zip(*cpu.values(), strict=True)):.3f}"],
        ["stages of the command beside graph, symmetric, solve", f"{_beside(stages):.2%} of its total"],
        ["one thread's hash of the embeddings alone", f"{hashing:.3f} ({size / hashing / 1e9:.2f} GB/s)"],
    ]
    print_table([f"{n:,} x {options.dimensions}, 10 % kept", "seconds (band)"], rows)


def _beside(stages: dict[str, float]) -> float:
    return 1 - sum(stages[stage] for stage in ("graph", "symmetric", "solve")) / stages["total"]


if __name__ == "__main__":
    main()
