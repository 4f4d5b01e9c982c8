"""Tables and plots of what is in the store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from . import store
from .proxies import VERSION

OURS = ("infomax", "sims")  # the defaults; other names that begin with these are variants
BASELINES = (
    "random", "class-random", "top", "moderate", "ccs", "d2", "dual-beta", "semdedup", "facility-location", "graph-cut",
    "k-center",
)  # fmt: skip
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

    def keeps(self) -> list[float]:
        """Fractions kept."""
        return sorted({keep for _, _, keep in self.by_place})


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay a table out."""
    return "\n".join(["| " + " | ".join(line) + " |" for line in [header, ["---"] * len(header), *rows]]) + "\n"


def accuracy_table(table: Table, data: str, corruption: str) -> str:
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
    return markdown(["keep", *(f"{keep:.0%}" for _, _, keep in places)], rows)


def summary_table(table: Table) -> str:
    """Each method against random: mean difference by budget, and how many cells were won, tied and lost."""
    rows = []
    for name in table.methods():
        gains = [table.average_gain(name, "random", [keep]) for keep in table.keeps()]
        against = table.count(name, ["random"])
        rows.append(
            [name, *("" if g is None else str(g) for g in gains), *(str(len(against[k])) for k in ("won", "tied", "lost"))]
        )
    return markdown(["points above random", *(f"{keep:.0%}" for keep in table.keeps()), "won", "tied", "lost"], rows)


def verdict_table(table: Table) -> str:
    """Ours against the best baseline of each cell."""
    rows = []
    for name in (name for name in table.methods() if name.startswith(OURS)):
        found = table.count(name)
        total = sum(map(len, found.values()))
        share = (len(found["won"]) + len(found["tied"])) / total if total else 0.0
        rows.append([name, *(str(len(found[k])) for k in ("won", "tied", "lost")), f"{share:.0%}"])
    return markdown(["against the best baseline of each cell", "won", "tied", "lost", "not lost"], rows)


def lost_table(table: Table, method: str) -> str:
    """The cells in which a method lost against the best baseline, or against random."""
    rows = []
    for place in sorted(set(table.count(method)["lost"]) | set(table.count(method, ["random"])["lost"])):
        best = table.best_baseline(place)
        assert best is not None
        behind, to_random = table.difference(place, method, best), table.difference(place, method, "random")
        rows.append([place[0], place[1], f"{place[2]:.0%}", best, str(behind), str(to_random)])
    return markdown(["data", "corruption", "keep", "best baseline", f"{method} - best", f"{method} - random"], rows)


def plot(table: Table, path: Path, methods: Sequence[str]) -> None:
    """Points above random by budget, one panel for each data set and corruption."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    data = sorted({place[0] for place in table.by_place})
    corruptions = sorted({place[1] for place in table.by_place})
    figure, axes = plt.subplots(
        len(data), len(corruptions), figsize=(3.2 * len(corruptions), 2.4 * len(data)), squeeze=False, sharex=True
    )
    for row, name in zip(axes, data, strict=True):
        for axis, corruption in zip(row, corruptions, strict=True):
            _panel(axis, table, name, corruption, methods)
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.tight_layout(rect=(0, 0.04, 1, 1))
    figure.legend(handles, labels, loc="lower center", ncols=len(labels), fontsize=8)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _panel(axis: object, table: Table, data: str, corruption: str, methods: Sequence[str]) -> None:
    from matplotlib.axes import Axes

    assert isinstance(axis, Axes)
    axis.axhline(0, color="black", linewidth=0.8)
    for method in methods:
        places = [(data, corruption, keep) for keep in table.keeps() if (data, corruption, keep) in table.by_place]
        points = [(100 * place[2], found) for place in places if (found := table.difference(place, method, "random"))]
        if points:
            x, y = [x for x, _ in points], [found.value for _, found in points]
            error = [found.half_width if np.isfinite(found.half_width) else 0 for _, found in points]
            axis.errorbar(x, y, error, label=method, linewidth=1.8 if method in OURS else 1, capsize=1.5)
    axis.set_xscale("log")
    axis.set_title(f"{data}, {corruption}", fontsize=8)
    axis.tick_params(labelsize=6)
    axis.set_ylim(-12, 26)


def write_report(folder: Path) -> None:
    """Tables and plots beside each store of the folder."""
    for name in ("test", "validation", "quick"):
        results = store.read(folder / f"{name}.jsonl", VERSION)
        if not results:
            continue
        table = Table(results.values())
        (folder / f"{name}.md").write_text(text(table), encoding="utf-8")
        plot(table, folder / f"{name}.png", _shown(table))
        print(f"{folder / name}.md, .png: {len(results)} cells")


def _shown(table: Table) -> list[str]:
    wanted = ("class-random", "ccs", "dual-beta", "facility-location", "infomax-published", *OURS)
    return [name for name in wanted if name in table.methods()]


def text(table: Table) -> str:
    """Everything, in Markdown."""
    parts = ["## Against random\n", summary_table(table), "## Against the best\n", verdict_table(table)]
    parts += [f"### Cells lost by {name}\n\n{lost_table(table, name)}" for name in OURS if name in table.methods()]
    pairs = sorted({place[:2] for place in table.by_place})
    parts += [f"## {data}, {corruption}\n\n{accuracy_table(table, data, corruption)}" for data, corruption in pairs]
    return "\n".join(parts)
