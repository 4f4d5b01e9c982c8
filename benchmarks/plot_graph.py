"""Draw what `bench_graph.py --json` kept: each contestant's time relative to coremax's in the same rounds.

python benchmarks/plot_graph.py RESULTS.jsonl [-o docs/images/graph.png]     needs: pip install ".[bench]"
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter

from bench_graph import WANTED

Results = dict[str, dict[str, dict[str, Any]]]  # case, contestant: what was kept of it
MARKERS = "osD^vP*Xh<>"
COREMAX_COLOUR = "C3"
OTHER_COLOURS = ["C0", "C1", "C2", "C4", "C5", "C6", "C7", "C8", "C9"]


def read(path: Path, approximate: bool) -> Results:
    """Read the latest result of each contestant in each case that had coremax in it; a case has one machine."""
    cases: Results = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        one = json.loads(line)
        if one["approximate"] == approximate and one["ratio"] is not None:
            cases.setdefault(one["case"], {})[one["contestant"]] = one
    return cases


def label(name: str, contestants: dict[str, dict[str, Any]]) -> str:
    """Two lines: what the case is, and what the ratios are of."""
    base = min(
        (one for one in contestants.values() if one["contestant"].startswith("coremax")), key=lambda one: abs(one["ratio"] - 1)
    )
    shape = f"{base['n']:,} x {base['d']}, k = {base['k']}, {base['metric']}"
    return f"{name.removeprefix('approximate-')}: {shape}\n{base['contestant']} {statistics.median(base['seconds']):.2f} s"


def draw(axes: Any, cases: Results, title: str) -> None:
    """Draw a line of markers a case; hollow where the wanted recall is missed."""
    names = list(dict.fromkeys(contestant for contestants in cases.values() for contestant in contestants))
    for number, contestant in enumerate(names):
        ours = contestant.startswith("coremax")
        colour = COREMAX_COLOUR if ours else OTHER_COLOURS[number % len(OTHER_COLOURS)]
        for row, contestants in enumerate(cases.values()):
            if contestant in contestants:
                one = contestants[contestant]
                face = colour if one["recall"] >= WANTED else "none"
                axes.scatter(
                    one["ratio"],
                    row,
                    70,
                    facecolor=face,
                    edgecolor=colour,
                    marker=MARKERS[number % len(MARKERS)],
                    zorder=4 if ours else 3,
                )
        axes.scatter([], [], 70, color=colour, marker=MARKERS[number % len(MARKERS)], label=contestant)
    axes.axvline(1, color=COREMAX_COLOUR, linewidth=1)
    axes.set(xscale="log", title=title, xlabel="time relative to coremax (to the right: slower)", ylim=(len(cases) - 0.5, -0.5))
    axes.set_yticks(range(len(cases)), [label(*item) for item in cases.items()])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}x"))
    axes.grid(axis="x", which="both", alpha=0.2)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)


def main() -> None:
    """Draw the exact cases above the approximate ones."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/images/graph.png"))
    options = parser.parse_args()
    panels = {
        "Exact": read(options.results, approximate=False),
        f"Approximate, recall {WANTED} wanted (hollow: missed), index and search of all rows": read(
            options.results, approximate=True
        ),
    }
    panels = {title: cases for title, cases in panels.items() if cases}
    heights = [len(cases) + 2 for cases in panels.values()]
    figure, axes = plt.subplots(
        len(panels), figsize=(12, 0.6 * sum(heights)), height_ratios=heights, layout="constrained", squeeze=False
    )
    for panel, (title, cases) in zip(axes.flat, panels.items(), strict=True):
        draw(panel, cases, title)
    figure.savefig(options.output, dpi=150)


if __name__ == "__main__":
    main()
