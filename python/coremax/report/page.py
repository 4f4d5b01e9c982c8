"""What all pages share: the templates' environment, numbers as text, plots in the page's colours, writing whole or not at all.

Plots are SVG elements. They are drawn in colours that nothing else has, which are then replaced by variables of the style
sheet, so that one plot serves light and dark pages.
"""

from __future__ import annotations

import base64
import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .._runtime.files import replacing
from . import numbers

__all__ = [
    "GRID",
    "KEPT",
    "PRUNED",
    "RIVAL",
    "data_uri",
    "environment",
    "new_figure",
    "plotting",
    "svg",
    "tidy",
    "write",
]

_TEXT, KEPT, PRUNED, RIVAL, GRID = "#010203", "#010204", "#010205", "#010206", "#010207"
_VARIABLES = {_TEXT: "currentColor", KEPT: "var(--accent)", PRUNED: "var(--muted)", RIVAL: "var(--rival)", GRID: "var(--line)"}
_STYLE: dict[Any, Any] = dict.fromkeys(
    ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), _TEXT
) | {
    "svg.fonttype": "none",
    "svg.hashsalt": "coremax",
    "font.size": 10.5,
    "font.family": "sans-serif",
    "axes.linewidth": 0.8,
    "legend.frameon": False,
}  # fmt: skip


def environment() -> Environment:
    """Templates of this folder, with every value escaped."""
    made = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, loader=FunctionLoader(_template)
    )
    made.filters.update({name: getattr(numbers, name) for name in numbers.__all__})
    return made


def _template(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def write(page: str, path: str | os.PathLike[str]) -> None:
    """Write a page, all of it or nothing."""
    with replacing(path) as file:
        file.write(page.encode("utf-8", "replace"))


def data_uri(content: bytes, kind: str) -> str:
    """A file as an address that holds it."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


@contextmanager
def plotting() -> Iterator[None]:
    """Settings that every plot is made and saved with, whatever the caller has set."""
    with rc_context():
        import matplotlib

        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


def new_figure(height: float) -> Figure:
    """An empty figure of the width that all have."""
    return Figure(figsize=(4.7, height), layout="constrained")


def tidy(axes: Axes) -> None:
    """Leave a plot the lines it needs."""
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(length=3)


def svg(figure: Figure, name: str) -> Markup:
    """Turn a figure into an SVG element for the page; `name` tells its ids from those of others."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    text = buffer.getvalue()
    text = re.sub(r"<!--.*?-->\s*|<metadata>.*?</metadata>\s*", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r' xmlns(:\w+)?="[^"]*"', "", text)  # known to HTML
    text = re.sub(r"(?<=font: )([\d.]+px) [^;\"]*", r"\1 inherit", text)
    text = _with_own_ids(text, name)
    for drawn, variable in _VARIABLES.items():
        text = text.replace(drawn, variable)
    # For the page's readers the element is a picture, described by what is around it.
    return Markup(text.replace("<svg", '<svg aria-hidden="true" focusable="false"', 1))


def _with_own_ids(text: str, name: str) -> str:
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', text))
    text = re.sub(r' id="([^"]+)"', lambda match: f' id="{name}-{match[1]}"' if match[1] in used else "", text)
    return re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", text)
