"""The demo's result as one HTML page: everything inline, nothing loaded from anywhere, light and dark."""

from __future__ import annotations

import base64
import io
import os
from importlib.resources import files
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import imsave

from .._files import replacing
from ..cli.demo import CurvePoint, DemoResult, Trained

__all__ = ["render_page", "write_page"]

_TEMPLATE = "demo_page.html.j2"
# Drawn in a colour that nothing else has and then replaced, so that axes and text follow the colours of the page.
_TEXT_COLOR = "#010203"
_TEXT_KEYS = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
_INFOMAX_COLOR, _RANDOM_COLOR, _EVERYTHING_COLOR = "#d9480f", "#4c7fb8", "#7a8288"


def write_page(result: DemoResult, path: str | os.PathLike[str]) -> None:
    """Write the page, all of it or nothing.

    Parameters
    ----------
    result : DemoResult
        What to show.
    path : path
        File to write; an existing one is replaced.

    Raises
    ------
    OSError
        Where the file can not be written; an existing one is then untouched.
    """
    page = render_page(result)
    with replacing(path) as file:
        file.write(page.encode())


def render_page(result: DemoResult) -> str:
    """Render the page.

    Parameters
    ----------
    result : DemoResult
        What to show.

    Returns
    -------
    str
        HTML without any reference to another file.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(percent=_percent, accuracy=_accuracy, png=_png, number=_number, count=_count)
    template = environment.from_string(files(__package__).joinpath(_TEMPLATE).read_text(encoding="utf-8"))
    return template.render(
        result=result,
        curve_svg=_curve_svg(result),
        headline=_headline(result),
        verdict=_verdict(result),
        share=_share(result.n_kept / result.n_train),
    )


def _headline(result: DemoResult) -> str:
    share = _share(result.n_kept / result.n_train)
    return f"{_percent(result.infomax.accuracy)} test accuracy from {share} of the images"


def _verdict(result: DemoResult) -> str:
    """Say in words what the three accuracies amount to, whoever wins."""
    lead = 100 * (result.infomax.accuracy - result.random.accuracy)
    subsets = len(result.random.accuracies)
    against = f"the mean of {subsets} random choices of as many" if subsets > 1 else "a random choice of as many"
    gain = 100 * (result.infomax.accuracy - result.everything.accuracy)
    return (
        f"InfoMax's choice of {_count(result.n_kept)} images trains a classifier {_points(lead)} {against}, "
        f"and {_points(gain)} all {_count(result.n_train)}."
    )


def _points(lead: float) -> str:
    if abs(lead) < 0.05:
        return "as good as"
    return f"{abs(lead):.1f} points {'better' if lead > 0 else 'worse'} than"


def _share(fraction: float) -> str:
    return f"{100 * fraction:.3g}\u202f%"


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f}\u202f%"


def _accuracy(trained: Trained) -> str:
    spread = "" if trained.spread is None else f" \u00b1 {100 * trained.spread:.1f}"
    return f"{100 * trained.accuracy:.1f}{spread}\u202f%"


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _count(value: int) -> str:
    return f"{value:,}"


def _png(image: np.ndarray[Any, Any]) -> str:
    """Encode a grey image as a data URI, dark on white."""
    buffer = io.BytesIO()
    imsave(buffer, image, cmap="gray_r", vmin=0, vmax=1, format="png")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def _curve_svg(result: DemoResult) -> str:
    """Draw accuracy over the budget as an SVG element whose text and axes have the colour of the text around it."""
    style: dict[Any, Any] = dict.fromkeys(_TEXT_KEYS, _TEXT_COLOR)
    style |= {"svg.fonttype": "none", "svg.hashsalt": "coremax", "font.size": 11, "font.family": "sans-serif"}
    buffer = io.StringIO()
    with rc_context(style):
        figure = Figure(figsize=(5.8, 3.7), layout="constrained")
        _draw_curve(figure.add_subplot(), result)
        figure.savefig(buffer, format="svg", transparent=True, metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    svg = buffer.getvalue()
    return svg[svg.index("<svg") :].replace(_TEXT_COLOR, "currentColor")


def _draw_curve(axes: Axes, result: DemoResult) -> None:
    samples = [point.n_samples for point in result.curve]
    by_chance = np.array([100 * point.random.accuracy for point in result.curve])
    spread = np.array([100 * (point.random.spread or 0.0) for point in result.curve])
    axes.axhline(100 * result.everything.accuracy, color=_EVERYTHING_COLOR, linestyle="--", label="everything")
    axes.plot(samples, [100 * point.infomax.accuracy for point in result.curve], "o-", color=_INFOMAX_COLOR, label="InfoMax")
    axes.plot(samples, by_chance, "s-", color=_RANDOM_COLOR, label="random")
    axes.fill_between(samples, by_chance - spread, by_chance + spread, color=_RANDOM_COLOR, alpha=0.25, linewidth=0)
    axes.set_xscale("log")
    axes.set_xticks(samples, [_tick(point, result) for point in result.curve])
    axes.minorticks_off()
    axes.set_xlabel("images kept")
    axes.set_ylabel("test accuracy in %")
    axes.grid(color=_EVERYTHING_COLOR, alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower right", frameon=False)


def _tick(point: CurvePoint, result: DemoResult) -> str:
    return f"{_count(point.n_samples)}\n{100 * point.n_samples / result.n_train:.1f} %"
