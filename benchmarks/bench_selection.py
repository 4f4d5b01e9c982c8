"""`coremax select` on the 60,000 training images of Fashion-MNIST, from file to file: seconds by stage and peak memory.

python benchmarks/bench_selection.py [--folder PATH] [--rounds N]     needs: pip install ".[demo]" and the four IDX files
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import SGDClassifier

from coremax.cli.demo_data import load
from coremax.scores import el2n
from harness import machine, print_table


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
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="the four IDX files; default: where Debian's package puts them")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        n = prepare(options.folder, Path(name))
        runs = [select(Path(name)) for _ in range(options.rounds)]
        kept = np.load(Path(name) / "kept.npy")
    assert kept.shape == (n // 10,)
    assert (np.diff(kept) > 0).all()
    assert kept[-1] < n
    summary = runs[0][0]
    print(f"{machine()}, {options.rounds} runs\n")
    rows = []
    for stage in summary["seconds"]:
        seconds = [run["seconds"][stage] for run, _ in runs]
        rows.append([stage, f"{statistics.median(seconds):.2f} ({min(seconds):.2f}-{max(seconds):.2f})"])
    rows.append(["peak memory, GB", f"{max(memory for _, memory in runs):.2f}"])
    rows.append(["objective, upper bound", f"{summary['objective']:.2f}, {summary['upper_bound']:.2f} ({summary['gap']:.2%})"])
    print_table(["Fashion-MNIST, 60,000 x 784, 10 % kept", "seconds (band)"], rows)


if __name__ == "__main__":
    main()
