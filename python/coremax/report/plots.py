"""The plots of the report."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from .findings import CurvePoint, Histogram, Map, Redundancy
from .page import KEPT, PRUNED, RIVAL, data_uri, new_figure, svg, tidy

__all__ = ["curve_svg", "importance_svg", "map_png", "redundancy_svg"]

_Array = np.ndarray[Any, Any]
# Of the map, which can not follow the colours of the page: told apart on light and on dark ground.
_MAP_KEPT, _MAP_PRUNED = "#e8590c", "#868e96"
_MAP_WIDTH, _MAP_DPI = 5.4, 170
_BIG = FuncFormatter(lambda value, _: f"{value / 1e6:g}M" if abs(value) >= 1e6 else f"{value:,.6g}")


def curve_svg(points: list[CurvePoint]) -> Markup:
    """Objective and bound over the number kept, and the gap between them."""
    figure = new_figure(3.7)
    sizes = [point.n_kept for point in points]
    bounded = [point for point in points if np.isfinite(point.upper_bound)]
    if bounded:
        axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(2.6, 1))
        of_bounded = [point.n_kept for point in bounded]
        axes.plot(of_bounded, [point.upper_bound for point in bounded], "--", color=RIVAL, linewidth=1.6, label="upper bound")
        below.plot(of_bounded, [100 * point.gap for point in bounded], "o-", color=RIVAL, markersize=4, linewidth=1.6)
        below.set_ylim(bottom=0)
        below.set_ylabel("gap in %")
        below.yaxis.set_major_locator(MaxNLocator(3))
        tidy(below)
    else:
        axes = below = figure.subplots()
    axes.plot(sizes, [point.objective for point in points], "o-", color=KEPT, markersize=4, linewidth=1.8, label="objective")
    chosen = next(point for point in points if point.chosen)
    axes.plot([chosen.n_kept], [chosen.objective], "o", color=KEPT, markersize=9, label="this selection")
    axes.set_ylabel("objective")
    axes.yaxis.set_major_formatter(_BIG)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    tidy(axes)
    below.set_xlabel("samples kept")
    below.set_xlim(left=0)
    below.xaxis.set_major_formatter(_BIG)
    below.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.legend(loc="best")
    return svg(figure, "curve")


def importance_svg(found: Histogram) -> Markup:
    """Distribution of the score among kept and pruned, and the share that was kept at every score."""
    figure = new_figure(3.7)
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(2.2, 1))
    for counts, color, label in ((found.pruned, PRUNED, "pruned"), (found.kept, KEPT, "kept")):
        if counts.sum():
            _steps(axes, found.edges, counts, color, label)
    axes.set_ylabel("% of samples")
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_locator(MaxNLocator(4))
    tidy(axes)
    axes.legend(loc="best")
    total = found.kept + found.pruned
    there = total > 0
    middles = (found.edges[1:] + found.edges[:-1]) / 2
    width = found.edges[1] - found.edges[0]
    below.bar(middles[there], 100 * found.kept[there] / total[there], width, color=KEPT, alpha=0.75)
    below.axhline(100 * found.kept.sum() / total.sum(), color=PRUNED, linestyle="--", linewidth=1.2)
    below.set_ylabel("% kept")
    below.set_xlabel("importance")
    below.yaxis.set_major_locator(MaxNLocator(3))
    below.xaxis.set_major_locator(MaxNLocator(6))
    tidy(below)
    return svg(figure, "importance")


def redundancy_svg(found: Redundancy) -> Markup:
    """Distributions of the similarity to the nearest other sample."""
    figure = new_figure(3.4)
    axes = figure.subplots()
    series = (
        (found.before, PRUNED, "everything", "-"),
        (found.by_chance, RIVAL, "random, as many", "--"),
        (found.after, KEPT, "kept", "-"),
    )
    for counts, color, label, line in series:
        _steps(axes, found.edges, counts, color, label, line, fill=color is not RIVAL)
    what = {"cosine": "cosine", "dot": "inner product", "euclidean": "similarity"}[found.metric]
    axes.set_xlabel(f"{what} with the nearest other sample")
    axes.set_ylabel("% of samples")
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_locator(MaxNLocator(6))
    tidy(axes)
    axes.legend(loc="best")
    return svg(figure, "redundancy")


def _steps(axes: Axes, edges: _Array, counts: _Array, color: str, label: str, line: str = "-", *, fill: bool = True) -> None:
    shares = 100 * counts / counts.sum()
    if fill:
        axes.stairs(shares, edges, fill=True, color=color, alpha=0.22, linewidth=0)
    axes.stairs(shares, edges, color=color, linewidth=1.7, linestyle=line, label=label)


def map_png(found: Map) -> tuple[str, int, int]:
    """Draw kept points over pruned ones: a picture with a clear ground, and its width and height."""
    everything = np.concatenate([found.pruned, found.kept])
    low, high = everything.min(axis=0), everything.max(axis=0)
    width, height = np.maximum(high - low, 1e-3 * (high - low).max())
    shape = float(np.clip(height / width, 0.5, 1.0))
    figure = Figure(figsize=(_MAP_WIDTH, _MAP_WIDTH * shape), dpi=_MAP_DPI)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    for points, color, opacity, room in ((found.pruned, _MAP_PRUNED, 0.5, 3e4), (found.kept, _MAP_KEPT, 0.85, 8e3)):
        size = float(np.clip(room / max(len(points), 1), 2.0, 26))
        axes.scatter(points[:, 0], points[:, 1], s=size, color=color, alpha=opacity, linewidths=0)
    margin = 0.03 * np.maximum(high - low, 1e-3 * (high - low).max())
    axes.set_xlim(low[0] - margin[0], high[0] + margin[0])
    axes.set_ylim(low[1] - margin[1], high[1] + margin[1])
    if 0.5 <= height / width <= 1.0:
        axes.set_aspect("equal")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", transparent=True, metadata={"Software": None})
    pixels = figure.get_size_inches() * _MAP_DPI
    return data_uri(buffer.getvalue(), "png"), int(pixels[0]), int(pixels[1])
