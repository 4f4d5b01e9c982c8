"""Draw what `bench_solver.py --json` kept: quality against time of each method, and the certified gap over the share kept.

python benchmarks/plot_solver.py RESULTS.jsonl [-o docs/images/solver.png] [--n N]     needs: pip install ".[bench]"
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter

Lines = list[dict[str, Any]]
MARKERS = "osD^vP*Xh<>"
COREMAX_COLOUR = "C3"
OTHER_COLOURS = ["C0", "C1", "C2", "C4", "C5", "C6", "C7", "C8", "C9"]
LEAST_SHORTFALL = 1e-4  # percent: what is drawn for the best itself
LEAST_GAP = 1e-3  # percent


def read(path: Path, n: int | None) -> Lines:
    """Read the latest line of each contestant in each cell, of one size: the one with most lines unless given."""
    latest: dict[tuple[Any, ...], dict[str, Any]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        one = json.loads(line)
        latest[tuple(one[name] for name in ("graph", "n", "importance", "keep", "alpha", "contestant"))] = one
    lines = list(latest.values())
    size = statistics.mode(one["n"] for one in lines) if n is None else n
    return [one for one in lines if one["n"] == size]


def percent(value: float, _: object) -> str:
    """Label of a tick."""
    return f"{value:g} %"


def draw_quality(axes: Any, lines: Lines) -> None:
    """Draw a marker a contestant: medians over cells, and the band of the middle half."""
    for number, contestant in enumerate(dict.fromkeys(one["contestant"] for one in lines)):
        mine = [one for one in lines if one["contestant"] == contestant]
        seconds = statistics.median(statistics.median(one["seconds"]) for one in mine)
        shortfalls = sorted(max(LEAST_SHORTFALL, one["shortfall"]) for one in mine)
        middle = statistics.median(shortfalls)
        low, high = shortfalls[len(shortfalls) // 4], shortfalls[(3 * len(shortfalls)) // 4]
        ours = contestant.startswith("coremax")
        axes.errorbar(
            seconds,
            middle,
            yerr=[[max(0.0, middle - low)], [max(0.0, high - middle)]],
            color=COREMAX_COLOUR if ours else OTHER_COLOURS[number % len(OTHER_COLOURS)],
            marker=MARKERS[number % len(MARKERS)],
            markersize=8,
            linestyle="none",
            elinewidth=1,
            label=contestant,
            zorder=4 if ours else 3,
        )
    n_cells = len({(one["graph"], one["importance"], one["keep"], one["alpha"]) for one in lines})
    axes.set(xscale="log", yscale="log", xlabel="seconds", ylabel="shortfall to the best, of (best - random)")
    axes.set_title(f"{lines[0]['n']:,} elements: medians and middle half of {n_cells} cells")
    axes.yaxis.set_major_formatter(FuncFormatter(percent))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def draw_gap(axes: Any, lines: Lines) -> None:
    """Draw a line an asked-for bound and importance; markers are the kind of bound that was the least."""
    chosen = {"coremax auto": "-", "coremax auto, bound tight": "--"}
    kinds = sorted({one["bound_kind"] for one in lines if one["contestant"] in chosen})
    importances = list(dict.fromkeys(one["importance"] for one in lines))
    for contestant, style in chosen.items():
        for number, importance in enumerate(importances):
            by_keep: dict[float, Lines] = {}
            for one in lines:
                if one["contestant"] == contestant and one["importance"] == importance:
                    by_keep.setdefault(one["keep"], []).append(one)
            if not by_keep:
                continue
            keeps = sorted(by_keep)
            gaps = [max(LEAST_GAP, 100 * statistics.median(one["gap"] for one in by_keep[keep])) for keep in keeps]
            colour = f"C{number}"
            label = f"{importance}, bound {'tight' if 'tight' in contestant else 'fast'}"
            axes.plot(keeps, gaps, style, color=colour, linewidth=1, label=label)
            for keep, gap in zip(keeps, gaps, strict=True):
                marker = MARKERS[kinds.index(statistics.mode(one["bound_kind"] for one in by_keep[keep])) % len(MARKERS)]
                axes.scatter(keep, gap, 40, color=colour, marker=marker, zorder=3)
    for number, kind in enumerate(kinds):
        axes.scatter([], [], 40, color="grey", marker=MARKERS[number % len(MARKERS)], label=f"by {kind}")
    axes.set(yscale="log", xlabel="share kept", ylabel="certified gap", title="Medians over graphs and weights")
    axes.yaxis.set_major_formatter(FuncFormatter(percent))


def main() -> None:
    """Draw the two panels beside each other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/images/solver.png"))
    parser.add_argument("--n", type=int, help="elements; default: the size with most results")
    options = parser.parse_args()
    lines = read(options.results, options.n)
    if not lines:
        parser.error(f"no results of {options.n:,} elements in {options.results}")
    figure, panels = plt.subplots(1, 2, figsize=(15, 5.5), layout="constrained")
    for axes, draw in zip(panels, (draw_quality, draw_gap), strict=True):
        draw(axes, lines)
        axes.grid(which="major", alpha=0.2)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    figure.savefig(options.output, dpi=150)


if __name__ == "__main__":
    main()
