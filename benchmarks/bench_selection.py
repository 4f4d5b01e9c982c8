"""Seconds of every selection method, and of `coremax select` on Fashion-MNIST from file to file, by stage, with peak memory.

python benchmarks/bench_selection.py [--small] [--folder PATH] [--rounds N]     needs: pip install ".[demo]"; the second part
needs the four IDX files and is left out with --small
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import SGDClassifier

from cases import clustered
from coremax.cli.demo_data import load
from coremax.scores import el2n
from coremax.selection import Selection, ccs, d2, infomax, moderate, random, semdedup, sims, top
from harness import interleave, machine, print_table


def methods(n: int, keep: float) -> dict[str, Callable[[], Selection]]:
    """Every method on clustered rows of 64 columns in ten classes, with a score that knows nothing of them."""
    x = clustered(n, 64, max(1, n // 100))
    rng = np.random.default_rng(1)
    score, labels = rng.random(n), rng.integers(0, 10, n)
    return {
        "random": lambda: random(n, keep),
        "top": lambda: top(score, keep),
        "ccs": lambda: ccs(score, keep),
        "sims": lambda: sims(score, keep, labels=labels),
        "moderate": lambda: moderate(x, keep, labels=labels),
        "semdedup": lambda: semdedup(x, keep),
        "d2": lambda: d2(x, score, keep),
        "infomax": lambda: infomax(x, score, keep),
    }


def compare_methods(n: int, rounds: int, keep: float = 0.1) -> None:
    """Print seconds of each method, its answer checked first."""
    contestants = methods(n, keep)
    stages = {}
    for name, run in contestants.items():
        selection = run()
        indices = np.asarray(selection.indices)
        assert len(indices) == round(n * keep), name
        assert (np.diff(indices) > 0).all(), name
        assert 0 <= indices[0] <= indices[-1] < n, name
        stages[name] = ", ".join(f"{stage} {seconds:.2f}" for stage, seconds in (selection.timings or {}).items())
    timings = interleave(contestants, rounds, warm_up=False)
    rows = [[name, str(timing), stages[name]] for name, timing in timings.items()]
    print_table([f"{n:,} x 64, {keep:.0%} kept", "seconds (band)", "stages of the first run"], rows)


def prepare(folder: Path | None, into: Path) -> int:
    """Write pixels, and as importance the EL2N of a linear model after one pass over them; returns how many there are."""
    data = load("fashion-mnist", folder)
    model = SGDClassifier(loss="log_loss", max_iter=1, tol=None, random_state=0).fit(data.train_x, data.train_y)
    np.save(into / "x.npy", data.train_x)
    np.save(into / "el2n.npy", el2n(model.predict_proba(data.train_x), data.train_y))
    return len(data.train_x)


def select(folder: Path) -> tuple[dict[str, Any], float]:
    """Run the command in a process of its own; returns its summary and its peak memory in GB."""
    program = [sys.executable, "-c", "from coremax.cli import main; main()", "select", "x.npy", "--importance", "el2n.npy"]
    options = ["--budget", "10%", "-k", "10", "-o", "kept.npy", "--json"]
    process = subprocess.Popen([*program, *options], cwd=folder, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    summary: dict[str, Any] = json.loads(process.stdout.read())
    usage = os.wait4(process.pid, 0)[2]
    return summary, usage.ru_maxrss / 1e6


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="the four IDX files; default: where Debian's package puts them")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--small", action="store_true", help="5,000 rows, and not the command line")
    options = parser.parse_args()
    print(f"{machine()}, {options.rounds} rounds\n")
    compare_methods(5_000 if options.small else 100_000, options.rounds)
    if not options.small:
        print()
        time_the_command(options.folder, options.rounds)


def time_the_command(folder: Path | None, rounds: int) -> None:
    """Print seconds by stage of `coremax select`."""
    with tempfile.TemporaryDirectory() as name:
        n = prepare(folder, Path(name))
        runs = [select(Path(name)) for _ in range(rounds)]
        kept = np.load(Path(name) / "kept.npy")
    assert kept.shape == (n // 10,)
    assert (np.diff(kept) > 0).all()
    assert kept[-1] < n
    summary = runs[0][0]
    rows = []
    for stage in summary["seconds"]:
        seconds = [run["seconds"][stage] for run, _ in runs]
        rows.append([stage, f"{statistics.median(seconds):.2f} ({min(seconds):.2f}-{max(seconds):.2f})"])
    rows.append(["peak memory, GB", f"{max(memory for _, memory in runs):.2f}"])
    rows.append(["objective, upper bound", f"{summary['objective']:.2f}, {summary['upper_bound']:.2f} ({summary['gap']:.2%})"])
    print_table(["Fashion-MNIST, 60,000 x 784, 10 % kept", "seconds (band)"], rows)


if __name__ == "__main__":
    main()
