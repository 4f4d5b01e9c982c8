"""Which options each method of `coremax select` has, read off the functions' signatures, and how their text is understood."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import click

from .. import selection
from ..graph._graph import METRICS
from ..selection import NORMALIZATIONS, TARGETS
from ..selection._infomax import NEGATIVES
from ..selection._moderate import CENTERS
from ..selection._result import MEANINGS
from ..selection._semdedup import KEEP
from ..selection._sims import SCALES
from ..solver._solver import BOUNDS, EFFORTS
from ..solver._solver import METHODS as SOLVERS
from ..text._text import HASHES
from ._options import SHARE, WEIGHT, ParsedText, SectionedOption

METHODS: dict[str, Callable[..., selection.Selection]] = {
    "infomax": selection.infomax,
    "sims": selection.sims,
    "ccs": selection.ccs,
    "d2": selection.d2,
    "moderate": selection.moderate,
    "semdedup": selection.semdedup,
    "dsir": selection.dsir,
    "top": selection.top,
    "random": selection.random,
}
# A name ends at the last "=" before a limit, so that it may have commas and signs of equality.
_NAMED_LIMIT = re.compile(r"(?P<name>.+?)=(?P<limit>[^=,]*)(?:,|$)", re.DOTALL)
# What the functions call the things that `--importance` and the argument stand for.
_GIVEN = ("x", "n", "texts", "importance", "score", "budget", "seed", "threads", "progress", "copy")


def _parse_cap(text: str) -> Any:
    if text.strip() == "none":
        return "none"
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{text!r} is neither a number nor none") from None


def _parse_mean(text: str) -> Any:
    if text.strip() == "auto":
        return "auto"
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 2):
        raise ValueError(f"{text!r} is no mean: pass auto, a number, or two such as 0,0.3")
    return numbers[0] if len(numbers) == 1 else tuple(numbers)


def _parse_clusters(text: str) -> Any:
    if text.strip() == "auto":
        return "auto"
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{text!r} is neither a whole number nor auto") from None


def _parse_end(text: str) -> Any:
    """One end of a range of a group: a count, a share, or open."""
    stripped = text.strip()
    if stripped == "":
        return None
    if stripped.endswith("%"):
        return float(stripped[:-1]) / 100
    return int(stripped) if stripped.isdecimal() else float(stripped)


def _parse_limits(text: str) -> Any:
    """A limit of all groups, or a mapping of names to limits: NAME=LIMIT, several with commas between them."""
    if "=" not in text:
        return _parse_limit(text)
    limits: dict[str, Any] = {}
    rest = text
    while rest:
        found = _NAMED_LIMIT.match(rest)
        if found is None:
            raise ValueError(f"{rest!r} is no limit of a group: pass its name and what it keeps, such as news=10%,web=5:100")
        name, limit = found["name"].strip(), _parse_limit(found["limit"])
        if name in limits:
            raise ValueError(f"{text!r} names the group {name!r} twice")
        limits[name], rest = limit, rest[found.end() :]
    return limits


def _parse_limit(text: str) -> Any:
    parts = text.split(":")
    try:
        ends = tuple(map(_parse_end, parts))
    except ValueError:
        ends = ()
    if len(ends) == 2:
        if isinstance(ends[0], float) and ends[0] > 0 and isinstance(ends[1], int) and ends[1] == 1:
            raise ValueError(f"{text!r} has a share and the count 1: write 100% (or 1.0) for all of the group, or two counts")
        return ends
    if len(ends) == 1 and isinstance(ends[0], float):
        return ends[0]
    raise ValueError(f"{text!r} is no limit: pass a share of each group such as 10%, or fewest and most such as 5:100 or 5%:")


def merged_limits(given: Sequence[Any] | None) -> Any:
    """One limit of all groups, or one mapping of names to limits, from what `--group-limits` was given in all.

    Raises
    ------
    ValueError
        Several that can not stand together.
    """
    if not given:
        return None
    if len(given) == 1:
        return given[0]
    merged: dict[str, Any] = {}
    for limits in given:
        if not isinstance(limits, dict):
            raise ValueError("--group-limits may come several times with names only, such as --group-limits news=10%")
        for name, limit in limits.items():
            if name in merged:
                raise ValueError(f"--group-limits names the group {name!r} twice")
            merged[name] = limit
    return merged


def _limit_as_text(limit: Any) -> str:
    """A limit as it is typed."""
    return ":".join("" if end is None else repr(end) for end in limit) if isinstance(limit, tuple) else repr(limit)


@dataclass(frozen=True)
class Knob:
    """An option of some methods.

    Attributes
    ----------
    flags : str
        As typed, "--drop-hardest" or "-k/--neighbors".
    type : click type
    help : str
    argument : str
        What the function calls it; default: the option's name.
    file : str
        What the option's file holds ("scores", "labels", "numbers", "texts"), where it names one.
    multiple : bool
        Whether the option may come several times.
    only : sequence of str
        Methods, where others have an argument of this name that means something else.
    """

    flags: str
    type: Any
    help: str
    argument: str = ""
    file: str = ""
    multiple: bool = False
    only: Sequence[str] = ()

    @property
    def name(self) -> str:
        """Name of the option in configurations."""
        return self.flags.split("/")[0].lstrip("-").replace("-", "_")

    @property
    def keyword(self) -> str:
        """Name of the function's argument."""
        return self.argument or self.name

    @property
    def defaults(self) -> dict[str, Any]:
        """Methods that have it, with their defaults."""
        found = {}
        for method, function in METHODS.items():
            parameter = inspect.signature(function).parameters.get(self.keyword)
            if parameter is not None and (not self.only or method in self.only):
                found[method] = None if parameter.default is inspect.Parameter.empty else parameter.default
        return found

    def option(self) -> SectionedOption:
        """The option of click; its default is None, so that it shows what was given."""
        methods = list(self.defaults)
        texts = {_shown(value) for value in self.defaults.values()}
        if len(texts) > 1:
            default = ", ".join(f"{method} {_shown(value)}" for method, value in self.defaults.items() if _shown(value))
        else:
            default = texts.pop()
        notes = [", ".join(methods)] if len(methods) > 1 else []
        notes += [f"default: {default}"] if default and not self.file else []
        text = self.help + (f" [{'; '.join(notes)}]" if notes else "")
        section = f"Of --method {methods[0]}" if len(methods) == 1 else "Of several methods"
        flags = (*self.flags.split("/"), "k") if self.name == "k" else (self.flags,)
        kind = {} if self.type is bool else {"type": self.type, "metavar": "FILE" if self.file else None}
        return SectionedOption(flags, default=None, help=text, section=section, multiple=self.multiple, **kind)

    def recorded(self, value: Any) -> Any:
        """A value as a configuration holds it, so that reading it as text gives the value."""
        if self.name == "group_limits":
            named = isinstance(value, dict)
            return [f"{name}={_limit_as_text(limit)}" for name, limit in value.items()] if named else _limit_as_text(value)
        return ",".join(map(repr, value)) if isinstance(value, tuple) else value


def _shown(value: Any) -> str:
    if value is None or value is False:
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)


_INT = click.INT
_FLOAT = click.FLOAT
_METRICS = click.Choice(METRICS)

_ALL = [
    Knob("--labels", str, "Classes [n].", file="labels"),
    Knob("-k/--neighbors", _INT, "Neighbours per sample in the graph."),
    Knob("--metric", _METRICS, "Of the graph; d2: euclidean (its default) or cosine."),
    Knob("--memory-limit", str, "For the graph, for example 2GB."),
    Knob("--drop-hardest", SHARE, "Share of the hardest left out first."),
    Knob("--higher", click.Choice(MEANINGS), "What a higher score means."),
    Knob("--isa", str, "Instruction-set level, see `coremax info`."),
    Knob("--invalid", click.Choice(["raise", "drop"]), "Samples with NaN, infinity or no direction: an error, or left out."),
    # infomax
    Knob("--alpha", WEIGHT, "Weight of the redundancy."),
    Knob("--target", click.Choice(TARGETS), "What the scores are made into.", only=["infomax"]),
    Knob("--tilt", WEIGHT, "How much more the hardest count, with --target coverage."),
    Knob("--normalize", click.Choice(NORMALIZATIONS), "Scale of the importance."),
    Knob("--partitions", _INT, "Build the graph within this many random parts."),
    Knob("--max-contradiction", WEIGHT, "With --labels: above this a sample is left out as mislabelled."),
    Knob("--class-floor", WEIGHT, "With --labels: least part of an equal share a class keeps."),
    Knob("--typical", _INT, "With --labels: most samples of each class that are kept for being typical of it."),
    Knob("--negative-similarities", click.Choice(NEGATIVES), "Set them to 0, or reward them."),
    Knob("--include", str, "Numbers (with --ids: ids) that must be kept.", file="numbers"),
    Knob("--exclude", str, "Numbers (with --ids: ids) that must not be kept.", file="numbers"),
    Knob("--groups", str, "A group for every sample [n].", file="labels"),
    Knob(
        "--group-limits", ParsedText("limits", _parse_limits),
        "What each group keeps of its samples: a share (10%), or fewest:most (5:100, 5%:); or of some groups by name "
        "(news=10%,web=5:100), may be repeated. Default: its share of the budget; needed with --costs.", multiple=True,
    ),
    Knob("--costs", str, "Costs [n]; --budget is then their total (a whole number) or a share of all costs.", file="scores"),
    Knob("--solver", click.Choice(SOLVERS), "How the subset is searched for.", argument="method", only=["infomax"]),
    Knob("--effort", click.Choice(EFFORTS), "How long."),
    Knob(
        "--bound", click.Choice([*(kind for kind in BOUNDS if kind is not None), "none"]),
        "How much time the upper bound may take.",
    ),
    Knob("--max-iterations", _INT, "Of the relaxed solvers."),
    # sims
    Knob("--class-fraction", _FLOAT, "Share of the budget drawn class by class."),
    Knob(
        "--target-mean", ParsedText("mean", _parse_mean),
        "Mean ease of the target: auto, a number, or two: where nothing and where everything is pruned (0,0.3).",
    ),
    Knob("--target-std", _FLOAT, "Its standard deviation."),
    Knob("--cap", ParsedText("number", _parse_cap), "Most a weight may be, in mean weights, or none."),
    Knob("--bins", _INT, "Of the histogram of scores."),
    Knob("--density-floor", _FLOAT, "Least density a weight is divided by."),
    Knob("--scale", click.Choice(SCALES), "How ease is brought to [0, 1]."),
    # the others
    Knob("--strata", _INT, "Ranges of difficulty."),
    Knob("--gamma", _FLOAT, "Of the reverse messages."),
    Knob("--gamma-forward", _FLOAT, "Of the forward messages."),
    Knob("--center", click.Choice(CENTERS), "Centre of a class."),
    Knob("--eps", _FLOAT, "Instead of --budget: samples closer than this to an earlier one go."),
    Knob("--n-clusters", ParsedText("number", _parse_clusters), "Clusters of k-means."),
    Knob("--clusters", str, "Clusters made elsewhere [n].", file="labels"),
    Knob("--keep", click.Choice(KEEP), "Which samples of a cluster come first, and stay."),
    Knob("--target-texts", str, "Texts to look like.", argument="target", file="texts", only=["dsir"]),
    Knob("--raw-texts", str, "Where the raw distribution comes from; default: all texts.", argument="raw", file="texts"),
    Knob("--n-buckets", _INT, "Of the hashed n-grams."),
    Knob("--ngrams", _INT, "Longest n-gram."),
    Knob("--hash", click.Choice(HASHES), "sha256: as the authors' package."),
    Knob("--smoothing", _FLOAT, "Added to the probabilities."),
    Knob("--min-tokens", _INT, "Shorter documents are never kept."),
    Knob("--best/--draw", bool, "Keep the highest weights, or draw by weight (default).", argument="top", only=["dsir"]),
]  # fmt: skip


# Those that some method of this build has.
KNOBS = [knob for knob in _ALL if knob.defaults]


def accepts(method: str, argument: str) -> bool:
    """Whether the function of a method has an argument of this name."""
    return argument in inspect.signature(METHODS[method]).parameters


def knobs_of(method: str, given: dict[str, Any]) -> list[tuple[Knob, Any]]:
    """The options of a method with their values, given or by default.

    Raises
    ------
    ValueError
        An option was given that is not of the method.
    """
    found = []
    for knob in KNOBS:
        defaults, value = knob.defaults, given.get(knob.name)
        value = merged_limits(value) if knob.multiple else value
        if method in defaults:
            found.append((knob, defaults[method] if value is None else value))
        elif value is not None:
            raise ValueError(f"--{knob.name.replace('_', '-')} belongs to --method {' and '.join(defaults)}, not to {method}")
    return found
