"""Tables and plots of what is in the store."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import store
from .proxies import VERSION

OURS = ("infomax", "sims")  # the defaults; other names that begin with these are variants
BASELINES = (
    "random", "class-random", "top", "moderate", "ccs", "d2", "dual-beta", "semdedup", "facility-location", "graph-cut",
    "k-center",
)  # fmt: skip
if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TICKS = (1, 3, 10, 30, 70)  # of the fraction kept, in percent
SMALL = (0.01, 0.03, 0.05, 0.1)  # fractions kept for which the average gain is told
Reals = NDArray[np.float64]
Place = tuple[str, str, float]  # data, corruption, fraction kept


@dataclass(frozen=True)
class Mean:
    """A mean with the half-width of its 95 % interval by Student's t; infinite for a single value."""

    value: float
    half_width: float
    n: int

    @property
    def verdict(self) -> str:
        """Of a difference: "won", "lost", or "tied" where the interval holds zero."""
        return "won" if self.value > self.half_width else "lost" if self.value < -self.half_width else "tied"

    def __str__(self) -> str:
        return f"{self.value:.2f}" + (f" ± {self.half_width:.2f}" if np.isfinite(self.half_width) else "")


def mean(values: Iterable[float]) -> Mean:
    """Mean and interval of independent values."""
    from scipy.stats import t

    x = np.asarray(list(values), dtype=np.float64)
    half = float(t.ppf(0.975, len(x) - 1) * x.std(ddof=1) / np.sqrt(len(x))) if len(x) > 1 else np.inf
    return Mean(float(x.mean()), half, len(x))


class Table:
    """Accuracies in percent by place, method and seed."""

    def __init__(self, results: Iterable[store.Result]) -> None:
        self.by_place: dict[Place, dict[str, dict[int, float]]] = {}
        for result in results:
            cell = result.cell
            methods = self.by_place.setdefault((cell.data, cell.corruption, cell.keep), {})
            methods.setdefault(cell.method, {})[cell.seed] = 100 * result.accuracy

    def among(self, parts: Collection[str]) -> Table:
        """The places of a data set, of a corruption or of both."""
        found = Table([])
        found.by_place = {place: methods for place, methods in self.by_place.items() if set(parts) <= set(place[:2])}
        return found

    def accuracy(self, place: Place, method: str) -> Mean | None:
        """Over all seeds there are; None where there are none."""
        found = self.by_place[place].get(method)
        return mean(found.values()) if found else None

    def difference(self, place: Place, method: str, other: str) -> Mean | None:
        """Over the seeds that both have: same data, same proxies, same starting weights."""
        a, b = (self.by_place[place].get(name, {}) for name in (method, other))
        seeds = sorted(set(a) & set(b))
        return mean(a[seed] - b[seed] for seed in seeds) if seeds else None

    def best_baseline(self, place: Place, baselines: Sequence[str] = BASELINES) -> str | None:
        """The one of highest mean: chosen after the fact, cell by cell, which flatters it."""
        means = {name: found for name in baselines if (found := self.accuracy(place, name)) is not None}
        return max(means, key=lambda name: means[name].value) if means else None

    def count(self, method: str, baselines: Sequence[str] | None = None) -> dict[str, list[Place]]:
        """Places where the method won, tied and lost against the best baseline there (or one of those named)."""
        found: dict[str, list[Place]] = {"won": [], "tied": [], "lost": []}
        for place in sorted(self.by_place):
            best = self.best_baseline(place, BASELINES if baselines is None else baselines)
            difference = None if best is None else self.difference(place, method, best)
            if difference is not None:
                found[difference.verdict].append(place)
        return found

    def average_gain(self, method: str, other: str, keeps: Sequence[float]) -> Mean | None:
        """Mean difference over these budgets; the interval is over pairs of data set and corruption."""
        blocks: dict[tuple[str, str], list[float]] = {}
        for data, corruption, keep in self.by_place:
            difference = self.difference((data, corruption, keep), method, other) if keep in keeps else None
            if difference is not None:
                blocks.setdefault((data, corruption), []).append(difference.value)
        return mean(float(np.mean(values)) for values in blocks.values()) if blocks else None

    def methods(self) -> list[str]:
        """All there are, ours last."""
        names = {name for by_method in self.by_place.values() for name in by_method}
        return sorted(names, key=lambda name: (name.startswith(OURS), name != "random", name))

    def data(self) -> list[str]:
        """Names of the data sets."""
        return sorted({place[0] for place in self.by_place})

    def corruptions(self) -> list[str]:
        """Ways they were spoilt."""
        return sorted({place[1] for place in self.by_place})

    def keeps(self) -> list[float]:
        """Fractions kept."""
        return sorted({keep for _, _, keep in self.by_place})


@dataclass(frozen=True)
class Section:
    """One table under its title."""

    title: str
    header: list[str]
    rows: list[list[str]]

    def __str__(self) -> str:
        lines = [self.header, ["---"] * len(self.header), *self.rows]
        return f"## {self.title}\n\n" + "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def accuracy_section(table: Table, data: str, corruption: str) -> Section:
    """Methods by budgets: mean and interval; bold where no other method's mean is higher."""
    places = [(data, corruption, keep) for keep in table.keeps() if (data, corruption, keep) in table.by_place]
    columns = [{name: table.accuracy(place, name) for name in table.methods()} for place in places]
    tops = [max(found.value for found in column.values() if found is not None) for column in columns]

    def shown(found: Mean | None, top: float) -> str:
        return "" if found is None else f"**{found}**" if found.value == top else str(found)

    rows = [
        [name, *(shown(column[name], top) for column, top in zip(columns, tops, strict=True))]
        for name in table.methods()
        if any(column[name] for column in columns)
    ]
    return Section(f"{data}, {corruption}", ["keep", *(f"{keep:.0%}" for _, _, keep in places)], rows)


def summary_section(table: Table, other: str, names: Sequence[str]) -> Section:
    """These methods against another: mean difference by budget, and how many cells were won, tied and lost."""
    rows = []
    for name in names:
        gains = [table.average_gain(name, other, [keep]) for keep in table.keeps()]
        against = table.count(name, [other])
        rows.append(
            [name, *("" if g is None else str(g) for g in gains), *(str(len(against[k])) for k in ("won", "tied", "lost"))]
        )
    return Section(f"Points above {other}", ["", *(f"{keep:.0%}" for keep in table.keeps()), "won", "tied", "lost"], rows)


def verdict_section(table: Table) -> Section:
    """Ours against the best baseline of each cell."""
    rows = [[name, *_verdicts(table, name)] for name in table.methods() if name.startswith(OURS)]
    return Section("Against the best baseline of each cell", ["", "won", "tied", "lost", "not lost"], rows)


def _verdicts(table: Table, name: str) -> list[str]:
    """Won, tied, lost and the share not lost."""
    found = table.count(name)
    total = sum(map(len, found.values()))
    share = (len(found["won"]) + len(found["tied"])) / total if total else 0.0
    return [*(str(len(found[k])) for k in ("won", "tied", "lost")), f"{share:.0%}"]


def bars_section(table: Table, name: str) -> Section:
    """One method by data set, by corruption and by both: against the best baseline, and against random."""
    rows = []
    data, corruptions = table.data(), table.corruptions()
    parts: list[tuple[str, ...]] = [(), *((c,) for c in corruptions), *((d,) for d in data)]
    for part in [*parts, *((d, c) for d in data for c in corruptions)]:
        among = table.among(part)
        if not among.by_place:
            continue
        random = among.count(name, ["random"])
        small = among.average_gain(name, "random", SMALL)
        rows.append([
            ", ".join(part) or "all", str(len(among.by_place)), *_verdicts(among, name),
            ", ".join(str(len(random[k])) for k in ("won", "tied", "lost")), "" if small is None else str(small),
        ])  # fmt: skip
    header = [
        "",
        "cells",
        "won",
        "tied",
        "lost",
        "not lost",
        "against random: won, tied, lost",
        "points above random, keep <= 10 %",
    ]
    return Section(f"{name} against the best baseline", header, rows)


def rivals_section(table: Table, name: str) -> Section:
    """One method against each baseline, whichever is best where."""
    rows = []
    for other in (other for other in BASELINES if other in table.methods()):
        gains = [table.average_gain(name, other, [keep]) for keep in table.keeps()]
        against = table.count(name, [other])
        counts = [str(len(against[k])) for k in ("won", "tied", "lost")]
        rows.append([other, *("" if gain is None else str(gain) for gain in gains), *counts])
    return Section(f"{name} less each baseline", ["", *(f"{keep:.0%}" for keep in table.keeps()), "won", "tied", "lost"], rows)


def lost_section(table: Table, method: str) -> Section:
    """The cells in which a method lost against the best baseline, or against random."""
    rows = []
    for place in sorted(set(table.count(method)["lost"]) | set(table.count(method, ["random"])["lost"])):
        best = table.best_baseline(place)
        assert best is not None
        behind, to_random = table.difference(place, method, best), table.difference(place, method, "random")
        rows.append([place[0], place[1], f"{place[2]:.0%}", best, str(behind), str(to_random)])
    header = ["data", "corruption", "keep", "best baseline", f"{method} - best", f"{method} - random"]
    return Section(f"Cells lost by {method}", header, rows)


def sections(table: Table) -> list[Section]:
    """Everything there is to say."""
    names = table.methods()
    variants = [name for name in names if name.startswith("infomax-")]
    found = [summary_section(table, "random", names), verdict_section(table)]
    if "infomax" in names:
        found += [bars_section(table, "infomax"), rivals_section(table, "infomax"), summary_section(table, "infomax", variants)]
    found += [lost_section(table, name) for name in OURS if name in names]
    pairs = sorted({place[:2] for place in table.by_place})
    return found + [accuracy_section(table, data, corruption) for data, corruption in pairs]


def plot(table: Table, methods: Sequence[str]) -> Figure:
    """Points above random by budget, one panel for each data set and corruption."""
    from matplotlib.figure import Figure

    data, corruptions = table.data(), table.corruptions()
    figure = Figure(figsize=(3.2 * len(corruptions), 2.4 * len(data)))
    axes = figure.subplots(len(data), len(corruptions), squeeze=False, sharex=True)
    for row, name in zip(axes, data, strict=True):
        for axis, corruption in zip(row, corruptions, strict=True):
            _panel(axis, table, name, corruption, methods)
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.tight_layout(rect=(0, 0.04, 1, 1))
    figure.legend(handles, labels, loc="lower center", ncols=len(labels), fontsize=8)
    return figure


def _panel(axis: Axes, table: Table, data: str, corruption: str, methods: Sequence[str]) -> None:
    axis.axhline(0, color="grey", linewidth=0.8)
    for method in methods:
        places = [(data, corruption, keep) for keep in table.keeps() if (data, corruption, keep) in table.by_place]
        points = [(100 * place[2], found) for place in places if (found := table.difference(place, method, "random"))]
        if points:
            x, y = [x for x, _ in points], [found.value for _, found in points]
            error = [found.half_width if np.isfinite(found.half_width) else 0 for _, found in points]
            ours = method in OURS
            color = "#d9480f" if method == "infomax" else None
            axis.errorbar(
                x, y, error, label=method, linewidth=2 if ours else 1, capsize=1.5, color=color, zorder=3 if ours else 2
            )
    axis.set_xscale("log")
    axis.set_xticks(_TICKS, [f"{tick} %" for tick in _TICKS])
    axis.minorticks_off()
    axis.set_title(f"{data}, {corruption}", fontsize=8)
    axis.tick_params(labelsize=6)
    axis.set_ylim(-12, 42)


_TEXT_COLOR = "#010203"  # drawn in a colour that nothing else has, which then becomes that of the page's text


def page(table: Table, name: str, note: str) -> str:
    """Render one page of HTML that loads nothing from anywhere."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup
    from matplotlib import rc_context

    keys: tuple[Any, ...] = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
    buffer = io.StringIO()
    with rc_context({**dict.fromkeys(keys, _TEXT_COLOR), "svg.fonttype": "none", "svg.hashsalt": "coremax"}):
        metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        plot(table, _shown(table)).savefig(buffer, format="svg", transparent=True, metadata=metadata)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :].replace(_TEXT_COLOR, "currentColor")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((Path(__file__).parent / "page.html.j2").read_text(encoding="utf-8"))
    return template.render(name=name, note=note, plot=Markup(svg), sections=sections(table), ours=OURS)


def write_report(folder: Path) -> None:
    """Beside each store of the folder: tables in Markdown, the plot, a page of HTML with both, and the results as Parquet."""
    for name in ("test", "validation", "quick"):
        results = store.read(folder / f"{name}.jsonl", VERSION)
        if not results:
            continue
        table, path = Table(results.values()), folder / name
        seconds = store.cpu_seconds(results.values())
        note = f"{len(results):,} nets; CPU seconds: " + ", ".join(f"{part} {spent:,.0f}" for part, spent in seconds.items())
        if find_spec("pyarrow"):  # of coremax[bench]
            store.write_parquet(path.with_suffix(".parquet"), results.values())
        path.with_suffix(".md").write_text("\n".join([note, "", *map(str, sections(table))]), encoding="utf-8")
        path.with_suffix(".html").write_text(page(table, name, note), encoding="utf-8")
        plot(table, _shown(table)).savefig(path.with_suffix(".png"), dpi=110)
        print(f"{path}.*: {note}")


def _shown(table: Table) -> list[str]:
    wanted = ("class-random", "ccs", "dual-beta", "facility-location", "infomax-published", *reversed(OURS))
    return [name for name in wanted if name in table.methods()]
