"""Second names of arguments: what is called importance at one door and score at another answers to both."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

_P = ParamSpec("_P")
_R = TypeVar("_R")


def aliased(**names: str) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Let a function take an argument by another name, too.

    Parameters
    ----------
    **names
        The argument's own name by its other name, as in ``@aliased(importance="score")``.

    Returns
    -------
    function
        A decorator. Signature and types are those of the function itself, which the other name is no part of.

    Raises
    ------
    TypeError
        From the function, where an argument is given by both names.
    """

    def decorate(function: Callable[_P, _R]) -> Callable[_P, _R]:
        places = {own: place for place, own in enumerate(inspect.signature(function).parameters)}

        @functools.wraps(function)
        def call(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            for other, own in names.items():
                if other in kwargs:
                    if own in kwargs or len(args) > places[own]:
                        raise TypeError(_both(own, other))
                    kwargs[own] = kwargs.pop(other)
            return function(*args, **kwargs)

        return call

    return decorate


def either(value: Any, other: Any, name: str, other_name: str) -> Any:
    """The value of an optional argument that has two names in the signature; raises TypeError where both are given."""
    if value is not None and other is not None:
        raise TypeError(_both(name, other_name))
    return other if value is None else value


def _both(own: str, other: str) -> str:
    return f"{own} and {other} are two names of one argument: pass one of them"
