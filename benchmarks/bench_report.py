"""Seconds and size of a selection's report, by part: the curve over the budget, redundancy, map, near-duplicates, page.

python benchmarks/bench_report.py [--sizes 100000] [--rounds N] [--output FILE]     needs: pip install ".[report]"
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

import coremax
from cases import embedding_like
from coremax.report import findings
from coremax.report.selection_page import Given, render_page
from harness import interleave, machine, print_table

LARGEST, SLOWEST, OF = 5e6, 3.0, 100_000  # bytes, seconds, points


def selection_of(n: int, d: int) -> coremax.Selection:
    """Keep a tenth of points as text has them, in ten classes."""
    rng = np.random.default_rng(0)
    return coremax.infomax(
        embedding_like(n, d), rng.gamma(2, size=n), 0.1, labels=rng.integers(0, 10, n), max_contradiction=1.0
    )


def measure(n: int, d: int, rounds: int, output: Path | None) -> list[str]:
    """One row of the table; the page is checked first."""
    selection = selection_of(n, d)
    images = np.random.default_rng(1).integers(0, 255, size=(n, 8, 8, 3)).astype(np.uint8)
    page = selection.report(images=images)
    assert page == selection.report(images=images), "the same selection gives the same bytes"
    assert "http" not in page
    size = len(page.encode())
    if output is not None:
        output.write_text(page, encoding="utf-8")
    x, kept = selection.inputs["embeddings"], selection.mask()
    parts: dict[str, Callable[[], object]] = {
        "report": lambda: render_page(selection, Given(images=images)),
        "curve": lambda: findings.budget_curve(selection),
        "redundancy": lambda: findings.redundancy(x, kept, "cosine"),
        "map": lambda: findings.map_of(kept, x, None, "cosine"),
        "near-duplicates": lambda: findings.near_duplicates(selection, x, kept, "cosine", 6),
        "notebook": selection._repr_html_,
    }
    timings = interleave(parts, rounds, warm_up=False)
    if n <= OF:
        print(f"{n:,} x {d}: {'meets' if timings['report'].median < SLOWEST and size < LARGEST else 'MISSES'} 3 s and 5 MB")
    return [f"{n:,} x {d}", f"{size / 1e6:.2f}", *(str(timings[name]) for name in parts)]


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100_000])
    parser.add_argument("--columns", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path, help="where the last page goes")
    arguments = parser.parse_args()
    print(machine())
    rows = [measure(n, arguments.columns, arguments.rounds, arguments.output) for n in arguments.sizes]
    print_table(["samples", "MB", "report, s", "curve", "redundancy", "map", "near-duplicates", "notebook"], rows)


if __name__ == "__main__":
    main()
