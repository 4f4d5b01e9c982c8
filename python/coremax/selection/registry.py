"""The selection methods by name, for integrations that have one entry to all of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, get_args

from .. import selection
from .._inputs import arrays
from . import Selection

Method = Literal["infomax", "sims", "ccs", "d2", "moderate", "semdedup", "dsir", "top", "random"]
METHODS: tuple[Method, ...] = get_args(Method)
# What a method reads, in the order of its arguments; after them comes the budget.
NEEDS: dict[Method, tuple[str, ...]] = {
    "infomax": ("x", "score"),
    "sims": ("score",),
    "ccs": ("score",),
    "d2": ("x", "score"),
    "moderate": ("x",),
    "semdedup": ("x",),
    "dsir": ("texts", "target"),
    "top": ("score",),
    "random": ("n",),
}


def takes(method: Method, argument: str) -> bool:
    """Whether a method has an argument of this name."""
    return argument in inspect.signature(_function(method)).parameters


def needs(method: Any, argument: str) -> bool:
    """Whether a method reads this; raises ValueError where there is no such method."""
    return argument in NEEDS[arrays.as_choice(method, "method", METHODS)]


def require_options(method: Method, names: Iterable[str]) -> None:
    """Raise TypeError where a method has no such options besides what it reads, the budget, labels and the seed."""
    positional = list(inspect.signature(_function(method)).parameters)[: len(NEEDS[method]) + 1]
    unknown = [name for name in names if not takes(method, name) or name in (*positional, "labels", "seed")]
    if unknown:
        hint = ": the seed has an argument of its own (seed, of estimators random_state)" if "seed" in unknown else ""
        raise TypeError(f"method {method!r} has no option {', '.join(map(repr, unknown))}{hint}")


def needs_more(method: Method, missing: Sequence[str]) -> str:
    """The message for what a method reads and was not given."""
    shown = ["scores (pass importance=)" if name in ("score", "importance") else name for name in missing]
    return f"method {method!r} needs {' and '.join(shown)}"


def choose(
    method: Method, budget: int | float, data: Mapping[str, Any], labels: Any, seed: arrays.Seed, options: Mapping[str, Any]
) -> Selection:
    """Call a method with what it reads of the data ("n", "x", "score", ...), and with labels and seed if it knows them."""
    method = arrays.as_choice(method, "method", METHODS)
    missing = [name for name in NEEDS[method] if data.get(name) is None]
    if missing:
        raise ValueError(needs_more(method, missing))
    if not isinstance(options, Mapping):
        raise TypeError(f"options must be a mapping of names to values, got {type(options).__name__}")
    known = {name: value for name, value in (("labels", labels), ("seed", seed)) if takes(method, name)}
    require_options(method, options)
    return _function(method)(*(data[name] for name in NEEDS[method]), budget, **{**known, **options})


def _function(method: Method) -> Callable[..., Selection]:
    function: Callable[..., Selection] = getattr(selection, arrays.as_choice(method, "method", METHODS))
    return function
