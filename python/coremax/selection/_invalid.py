"""Leaving out samples that nothing can be computed from, for every method that reads embeddings or scores."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal, ParamSpec

import numpy as np

from .._inputs import arrays
from .._inputs import invalid as _invalid
from .._runtime.warnings import warn
from ..graph import Graph
from ..solver import _constraints
from ._result import Integers, Selection

Invalid = Literal["raise", "drop"]
CHOICES = ("raise", "drop")
_SCORES = ("score", "importance")
_OF_SAMPLES = ("x", *_SCORES, "labels", "groups", "costs", "clusters")  # arguments with an entry for every sample
_Arguments = ParamSpec("_Arguments")


def leaving_out_invalid(
    zero_rows: Callable[[Mapping[str, Any]], bool],
) -> Callable[[Callable[_Arguments, Selection]], Callable[_Arguments, Selection]]:
    """Give the argument `invalid` of a method its meaning; `zero_rows` tells whether rows of zeros are invalid to it."""

    def decorate(method: Callable[_Arguments, Selection]) -> Callable[_Arguments, Selection]:
        signature = inspect.signature(method)

        @functools.wraps(method)
        def call(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> Selection:
            if arrays.as_choice(kwargs.get("invalid", "raise"), "invalid", CHOICES) == "drop":
                bound = signature.bind(*args, **kwargs)
                bound.apply_defaults()
                return _on_valid(method, {**bound.arguments, "invalid": "raise"}, zero_rows(bound.arguments))
            try:
                return method(*args, **kwargs)
            except ValueError as error:
                if not any(_invalid.is_about(error, name) for name in ("x", *_SCORES)):
                    raise
                bound = signature.bind(*args, **kwargs)
                bound.apply_defaults()
                bad = _invalid_samples(bound.arguments, zero_rows(bound.arguments))
                if not bad.size:
                    raise
                message = _invalid.without_list(str(error)) + _invalid.listed(bad)
                raise ValueError(f"{message}; invalid='drop' leaves such samples out") from None

        return call

    return decorate


def _invalid_samples(arguments: Mapping[str, Any], zero_rows: bool) -> Integers:
    """Numbers of the samples whose row or score is invalid, ascending; arguments of other shapes are the method's to refuse."""
    found = [np.zeros(0, dtype=np.int64)]
    x = arguments.get("x")
    if x is not None and not isinstance(x, Graph):
        array = arrays.as_array(x, "x")
        if arrays.as_view(array, "x", ndim=2, dtypes=arrays.EMBEDDING_TYPES, strided_rows=True).shape[1]:
            found.append(_invalid.bad_rows(array, zero=zero_rows))
    for name in _SCORES:
        if arguments.get(name) is not None:
            array = arrays.as_array(arguments[name], name)
            arrays.as_view(array, name, ndim=1, dtypes=arrays.FLOAT_TYPES, convert_to="float64")
            found.append(_invalid.bad_values(array))
    return np.unique(np.concatenate(found))


def _on_valid(method: Callable[..., Selection], arguments: dict[str, Any], zero_rows: bool) -> Selection:
    """Call a method on the valid samples and speak of them by their numbers among all."""
    bad = _invalid_samples(arguments, zero_rows)
    if not bad.size:
        return _told(method(**arguments), None)
    if isinstance(arguments.get("x"), Graph):
        raise ValueError("invalid='drop' can not leave samples out of a Graph: pass the embeddings it was made of as x")
    first = next(name for name in _OF_SAMPLES if arguments.get(name) is not None)
    n = _length(arguments[first])
    for name in _OF_SAMPLES:
        if arguments.get(name) is not None:
            arrays.require_length(_length(arguments[name]), name, n, first)
    if len(bad) == n:
        raise ValueError(f"all {n} samples are invalid: nothing is left to choose from")
    valid = np.setdiff1d(np.arange(n), bad, assume_unique=True)
    taken = {name: take(arguments[name], valid) for name in _OF_SAMPLES if arguments.get(name) is not None}
    chosen = method(**{**arguments, **taken, **_budget(arguments, n, len(valid)), **_fixed(arguments, n, valid, bad)})
    warn(f"invalid samples are left out, {_invalid.counted(bad)}")
    return _told(_renumbered(chosen, n, valid, arguments), bad)


def _budget(arguments: Mapping[str, Any], n: int, n_valid: int) -> dict[str, Any]:
    """A fraction is one of all samples, the invalid among them."""
    budget = arguments["budget"]
    if budget is None or arguments.get("costs") is not None:
        return {}
    count = arrays.as_budget(budget, n)
    if count > n_valid:
        raise ValueError(f"the budget is {count} of {n} samples, but only {n_valid} of them are valid")
    return {"budget": count}


def _fixed(arguments: Mapping[str, Any], n: int, valid: Integers, bad: Integers) -> dict[str, Any]:
    """What must and must not be kept, in numbers of the valid samples."""
    fixed = _constraints.fixed_of(n, arguments.get("include"), arguments.get("exclude"))
    if fixed is None:
        return {}
    wanted = bad[fixed[bad] > 0]
    if wanted.size:
        raise ValueError(f"include names sample {wanted[0]}, which is invalid{_invalid.listed(wanted)}")
    return {"include": np.flatnonzero(fixed[valid] > 0), "exclude": np.flatnonzero(fixed[valid] < 0)}


def _renumbered(chosen: Selection, n: int, valid: Integers, arguments: Mapping[str, Any]) -> Selection:
    candidates = valid if chosen.candidates is None else valid[arrays.as_numpy(chosen.candidates)]
    whole = {"embeddings": "x", "score": "score", "labels": "labels"}
    if "importance" in arguments:
        whole["score"] = "importance"
    inputs = {name: arguments[whole[name]] if name in whole else value for name, value in chosen.inputs.items()}
    indices = arrays.like(valid[arrays.as_numpy(chosen.indices)], chosen.indices)
    return replace(chosen, indices=indices, n=n, candidates=candidates, inputs=inputs)


def _told(chosen: Selection, bad: Integers | None) -> Selection:
    n_invalid = 0 if bad is None else len(bad)
    return replace(
        chosen,
        invalid=bad,
        parameters={**chosen.parameters, "invalid": "drop"},
        diagnostics={**(chosen.diagnostics or {}), "n_invalid": n_invalid},
    )


def among_valid(chosen: Selection, valid: Integers) -> Selection:
    """A selection that left out invalid samples as one of the others alone, for the report."""
    inputs = {
        name: take(value, valid) if name in ("embeddings", "score", "labels") and value is not None else value
        for name, value in chosen.inputs.items()
    }
    return replace(
        chosen,
        indices=np.searchsorted(valid, arrays.as_numpy(chosen.indices)),
        n=len(valid),
        candidates=np.searchsorted(valid, arrays.as_numpy(chosen.candidates)),
        inputs=inputs,
        parameters={**chosen.parameters, "invalid": f"drop ({len(chosen.invalid)} of {chosen.n} samples left out)"},
        invalid=None,
    )


def take(column: Any, rows: Integers) -> Any:
    """Some entries of a column or rows of a matrix, in the library it is of."""
    library = type(column).__module__.partition(".")[0]
    if isinstance(column, (list, tuple)):
        return [column[row] for row in rows.tolist()]
    if library == "pandas":
        return column.iloc[rows]
    return column.take(rows) if library == "pyarrow" else column[rows]


def _length(column: Any) -> int:
    return len(column) if hasattr(column, "__len__") else len(arrays.as_array(column, "column"))
