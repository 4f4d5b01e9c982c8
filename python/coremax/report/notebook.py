"""Tables that notebooks show for a selection and a solution: a few rows and a small plot, made without any extra library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from .._inputs import arrays
from ..selection import Selection
from ..solver import Solution
from .numbers import count, full, gap, seconds, share, stages

__all__ = ["METHOD_NAMES", "fact_rows", "selection_html", "solution_html"]

METHOD_NAMES = {
    "infomax": "InfoMax", "sims": "SIMS", "ccs": "CCS", "d2": "D2", "semdedup": "SemDeDup", "dsir": "DSIR",
    "moderate": "Moderate", "random": "Random choice", "top": "Highest scores",
}  # fmt: skip
_MOST_SCORES = 100_000  # of a larger data set every so many are looked at
_BINS, _WIDTH, _HEIGHT = 32, 224, 72
_ACCENT, _MUTED = "#e8590c", "#868e96"


def selection_html(selection: Selection) -> str:
    """Show how many were kept, how well, and the scores of kept and pruned samples."""
    rows = [("method", METHOD_NAMES.get(selection.method, selection.method)), *fact_rows(selection)]
    return _view("Selection", rows, *_score_plot(selection))


def solution_html(solution: Solution) -> str:
    """Show what was found, how good it is at least, and the way there."""
    rows = [("kept", _kept(solution.indices.shape[0], solution.x.shape[0])), *_quality(solution)]
    rows += [("method", f"{solution.method}, {count(solution.iterations)} iterations, {count(solution.swaps)} swaps")]
    rows += [("ended", solution.status.value.replace("_", " ")), ("time", _times(solution.timings))]
    plot, caption = _history_plot(solution)
    return _view("Solution", rows, *((plot, caption) if plot else _time_plot(solution)))


def fact_rows(selection: Selection) -> list[tuple[str, str]]:
    """Return what is known of every selection, as name and text."""
    rows = [("kept", _kept(len(selection), selection.n))]
    if selection.solution is not None:
        rows += _quality(selection.solution)
    rows += [(name.replace("_", " "), full(value)) for name, value in (selection.diagnostics or {}).items()]
    if selection.timings:
        rows.append(("time", _times(selection.timings)))
    return rows


def _kept(n_kept: int, n: int) -> str:
    return f"{count(n_kept)} of {count(n)} ({share(n_kept / max(n, 1))})"


def _quality(solution: Solution) -> list[tuple[str, str]]:
    rows = [("objective", full(solution.objective))]
    if np.isfinite(solution.upper_bound):
        rows.append(("upper bound", f"{full(solution.upper_bound)} ({solution.bound_kind.replace('_', ' ')})"))
        rows.append(("gap", f"at most {gap(solution.gap)}"))
    return rows


def _times(timings: Mapping[str, float]) -> str:
    total = seconds(sum(timings.values()))
    return f"{total} ({stages(timings)})" if len(timings) > 1 else total


def _view(title: str, rows: Sequence[tuple[str, str]], plot: str, caption: str) -> str:
    cell = "padding:1px 10px 1px 0;text-align:left;border:0;background:none;vertical-align:top"
    body = "".join(
        f'<tr style="background:none"><th scope="row" style="{cell};font-weight:400;opacity:.75">{escape(name)}</th>'
        f'<td style="{cell};font-variant-numeric:tabular-nums">{escape(text)}</td></tr>'
        for name, text in rows
    )
    table = f'<table style="border:0;margin:0;border-collapse:collapse">{body}</table>'
    figure = ""
    if plot:
        figure = (
            f'<figure style="margin:0">{plot}<figcaption style="font-size:.85em;opacity:.75">{caption}</figcaption></figure>'
        )
    return (
        f'<div style="font-size:.95em"><strong>{escape(title)}</strong>'
        f'<div style="display:flex;flex-wrap:wrap;gap:8px 24px;align-items:flex-start">{table}{figure}</div></div>'
    )


def _score_plot(selection: Selection) -> tuple[str, str]:
    """Densities of the score, of the pruned filled and of the kept as a line; empty without scores."""
    try:
        score = np.asarray(arrays.as_numpy(selection.inputs["score"]))
    except (KeyError, TypeError, ValueError, RuntimeError, BufferError):
        return "", ""
    step = max(1, len(score) // _MOST_SCORES)
    kept_rows = arrays.as_numpy(selection.indices)[:: max(1, len(selection) // _MOST_SCORES)]
    everything, kept = (part[np.isfinite(part)].astype(np.float64) for part in (score[::step], score[kept_rows]))
    if len(everything) < 2 or len(kept) == 0:
        return "", ""
    low, high = min(float(everything.min()), float(kept.min())), max(float(everything.max()), float(kept.max()))
    if not (high > low and np.isfinite(4 * max(abs(low), abs(high)))):
        return "", ""
    heights = [np.histogram((part - low) / (high - low), _BINS, (0, 1))[0] / len(part) for part in (everything, kept)]
    highest = max(part.max() for part in heights)
    fill, line = (_stairs(part / highest) for part in heights)
    plot = (
        f'<polygon points="0,{_HEIGHT} {fill} {_WIDTH},{_HEIGHT}" fill="{_MUTED}" fill-opacity=".4"/>'
        f'<polyline points="{line}" fill="none" stroke="{_ACCENT}" stroke-width="1.6"/>'
    )
    label = "Distribution of the score among all samples (grey) and among the kept (orange)"
    return _svg(plot, label), f"score, {low:.3g} to {high:.3g}: everything (grey), kept (orange)"


def _stairs(heights: np.ndarray[Any, Any]) -> str:
    corners = []
    for place, height in enumerate(heights):
        y = _HEIGHT - (_HEIGHT - 3) * height
        corners += [f"{_WIDTH * (place + side) / _BINS:.1f},{y:.1f}" for side in (0, 1)]
    return " ".join(corners)


def _history_plot(solution: Solution) -> tuple[str, str]:
    """The objective over the iterations, from its lowest value to the bound; empty where there were no iterations."""
    try:
        history = np.asarray(arrays.as_numpy(solution.history), dtype=np.float64)
    except (TypeError, ValueError, RuntimeError, BufferError):
        return "", ""
    history = history[np.isfinite(history)]
    if len(history) < 3:
        return "", ""
    values = history[np.linspace(0, len(history) - 1, min(len(history), _WIDTH)).astype(int)] / 2
    low, high = values.min(), max(values.max(), solution.objective / 2)
    if not high > low:
        return "", ""
    heights = _HEIGHT - 3 - (_HEIGHT - 6) * (values - low) / (high - low)
    x = np.linspace(0, _WIDTH, len(values))
    line = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, heights, strict=True))
    plot = f'<polyline points="{line}" fill="none" stroke="{_ACCENT}" stroke-width="1.6"/>'
    text = f"objective over the iterations, {2 * low:.6g} to {2 * high:.6g}"
    return _svg(plot, text.capitalize()), text


def _time_plot(solution: Solution) -> tuple[str, str]:
    """The seconds of the stages as bars."""
    longest, height = max(solution.timings.values(), default=0.0), _HEIGHT / max(len(solution.timings), 1)
    if not longest > 0:
        return "", ""
    bars = "".join(
        f'<rect x="0" y="{place * height + 2:.1f}" width="{max(1.0, _WIDTH * value / longest):.1f}" '
        f'height="{height - 4:.1f}" fill="{_ACCENT}"/>'
        for place, value in enumerate(solution.timings.values())
    )
    text = "seconds of " + ", ".join(name.replace("_", " ") for name in solution.timings)
    return _svg(bars, text.capitalize()), escape(text)


def _svg(content: str, label: str) -> str:
    axis = f'<line x1="0" y1="{_HEIGHT}" x2="{_WIDTH}" y2="{_HEIGHT}" stroke="{_MUTED}"/>'
    return (
        f'<svg role="img" aria-label="{escape(label)}" width="{_WIDTH}" height="{_HEIGHT + 1}" '
        f'viewBox="0 0 {_WIDTH} {_HEIGHT + 1}" style="max-width:100%">{content}{axis}</svg>'
    )
