"""The demo's result as one HTML page: everything inline, nothing loaded from anywhere, light and dark."""

from __future__ import annotations

import io
import os
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.image import imsave

from ..cli.demo import CurvePoint, DemoResult, Trained
from .numbers import count, percent, share
from .page import KEPT, PRUNED, RIVAL, data_uri, environment, new_figure, plotting, svg, tidy, write

__all__ = ["render_page", "write_page"]


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
    write(render_page(result), path)


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
    page = environment()
    page.filters.update(accuracy=_accuracy, png=_png)
    return page.get_template("demo_page.html.j2").render(
        result=result,
        curve_svg=_curve_svg(result),
        headline=_headline(result),
        verdict=_verdict(result),
    )


def _headline(result: DemoResult) -> str:
    return f"{percent(result.infomax.accuracy)} test accuracy from {share(result.n_kept / result.n_train)} of the images"


def _verdict(result: DemoResult) -> str:
    """Say in words what the three accuracies amount to, whoever wins."""
    lead = 100 * (result.infomax.accuracy - result.random.accuracy)
    subsets = len(result.random.accuracies)
    against = f"the mean of {subsets} random choices of as many" if subsets > 1 else "a random choice of as many"
    gain = 100 * (result.infomax.accuracy - result.everything.accuracy)
    return (
        f"InfoMax's choice of {count(result.n_kept)} images trains a classifier {_points(lead)} {against}, "
        f"and {_points(gain)} all {count(result.n_train)}."
    )


def _points(lead: float) -> str:
    if abs(lead) < 0.05:
        return "as good as"
    return f"{abs(lead):.1f} points {'better' if lead > 0 else 'worse'} than"


def _accuracy(trained: Trained) -> str:
    spread = "" if trained.spread is None else f" \u00b1 {100 * trained.spread:.1f}"
    return f"{100 * trained.accuracy:.1f}{spread}\u202f%"


def _png(image: np.ndarray[Any, Any]) -> str:
    """Encode a grey image as a data URI, dark on white."""
    buffer = io.BytesIO()
    imsave(buffer, image, cmap="gray_r", vmin=0, vmax=1, format="png")
    return data_uri(buffer.getvalue(), "png")


def _curve_svg(result: DemoResult) -> Markup:
    """Draw accuracy over the budget."""
    with plotting():
        figure = new_figure(3.1)
        _draw_curve(figure.add_subplot(), result)
        return svg(figure, "curve")


def _draw_curve(axes: Axes, result: DemoResult) -> None:
    samples = [point.n_samples for point in result.curve]
    by_chance = np.array([100 * point.random.accuracy for point in result.curve])
    spread = np.array([100 * (point.random.spread or 0.0) for point in result.curve])
    axes.axhline(100 * result.everything.accuracy, color=PRUNED, linestyle="--", label="everything")
    axes.plot(samples, [100 * point.infomax.accuracy for point in result.curve], "o-", color=KEPT, label="InfoMax")
    axes.plot(samples, by_chance, "s-", color=RIVAL, label="random")
    axes.fill_between(samples, by_chance - spread, by_chance + spread, color=RIVAL, alpha=0.25, linewidth=0)
    axes.set_xscale("log")
    axes.set_xticks(samples, [_tick(point, result) for point in result.curve])
    axes.minorticks_off()
    axes.set_xlabel("images kept")
    axes.set_ylabel("test accuracy in %")
    tidy(axes)
    axes.legend(loc="lower right")


def _tick(point: CurvePoint, result: DemoResult) -> str:
    return f"{count(point.n_samples)}\n{100 * point.n_samples / result.n_train:.1f} %"
