"""What the commands share: a group whose errors take one line, option types, and the step from exceptions to exit code 2."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from typing import Any

import click

__all__ = [
    "BUDGET",
    "SHARE",
    "WEIGHT",
    "BadInput",
    "OneLineGroup",
    "bad_input_exits",
    "parse_budget",
    "parse_share",
    "parse_weight",
    "progress_printer",
    "require_extra",
]


class BadInput(click.ClickException):
    """What the user passed can not be used; exit code 2."""

    exit_code = 2


class OneLineGroup(click.Group):
    """A group that reports every error of its commands as one line on stderr with exit code 2."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run, see `click.Group.main`."""
        run = partial(super().main, args, prog_name, complete_var, standalone_mode=False, **extra)
        if not standalone_mode:
            return run()
        try:
            code: object = run()
        except click.ClickException as error:
            click.echo(f"coremax: {' '.join(error.format_message().split())}", err=True)
            sys.exit(2)
        except click.Abort:
            click.echo("coremax: interrupted", err=True)
            sys.exit(130)
        sys.exit(code if isinstance(code, int) else 0)


@contextmanager
def bad_input_exits() -> Iterator[None]:
    """Turn the exceptions the package raises for bad input into `BadInput`; a context manager and a decorator."""
    try:
        yield
    except (ValueError, TypeError, OSError, MemoryError) as error:
        raise BadInput(str(error) or type(error).__name__) from error


def require_extra(extra: str, *modules: str) -> None:
    """Raise `BadInput` where a module of an optional extra is not installed."""
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        raise BadInput(f"this command needs {', '.join(missing)}: pip install 'coremax[{extra}]'")


def parse_budget(text: str) -> int | float:
    """Read a budget: "10%" and "0.1" are fractions, "500" is a count, "1.0" and "100%" are everything.

    Parameters
    ----------
    text : str
        What the user typed.

    Returns
    -------
    int or float
        As the package takes it.

    Raises
    ------
    ValueError
        It is none of these, or out of range.
    """
    stripped = text.strip()
    try:
        if stripped.endswith("%"):
            budget: int | float = float(stripped[:-1]) / 100
        else:
            budget = int(stripped) if stripped.lstrip("+-").isdecimal() else float(stripped)
    except ValueError:
        raise ValueError(f"{text!r} is no budget: pass a share such as 10% or 0.1, or a count such as 500") from None
    if isinstance(budget, int) and budget < 1:
        raise ValueError(f"a budget as a count must be at least 1, got {text}")
    if isinstance(budget, float) and not 0 < budget <= 1:
        raise ValueError(f"a budget as a share must be above 0 and at most 100% (or 1.0), got {text}")
    return budget


def parse_share(text: str) -> float | str:
    """Read a share: "30%" or "0.3", or the word "auto"; raises ValueError where it is neither or out of range."""
    stripped = text.strip()
    if stripped == "auto":
        return stripped
    try:
        share = float(stripped[:-1]) / 100 if stripped.endswith("%") else float(stripped)
    except ValueError:
        raise ValueError(f"{text!r} is no share: pass something such as 30% or 0.3, or auto") from None
    if not 0 <= share <= 1:
        raise ValueError(f"a share must be from 0 to 1 (or 100%), got {text}")
    return share


def parse_weight(text: str) -> float | str:
    """Read a number, or the word "auto"; raises ValueError where it is neither."""
    stripped = text.strip()
    if stripped == "auto":
        return stripped
    try:
        return float(stripped)
    except ValueError:
        raise ValueError(f"{text!r} is neither a number nor auto") from None


class ParsedText(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.4 on only
    """Type of an option whose text a function reads; its ValueError is the message."""

    def __init__(self, name: str, parse: Callable[[str], int | float | str]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | float | str:
        """Read the text, and pass numbers through."""
        if isinstance(value, (int, float)):
            return value
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


BUDGET = ParsedText("budget", parse_budget)
SHARE = ParsedText("share", parse_share)
WEIGHT = ParsedText("number", parse_weight)


def progress_printer() -> Callable[[str], None]:
    """Return a function that prints lines of progress to stderr where that is a terminal, and is silent elsewhere."""
    shown = sys.stderr.isatty()
    return lambda line: click.echo(line, err=True) if shown else None
