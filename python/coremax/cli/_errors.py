"""From exceptions to one line on stderr and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import click

LONGEST = 600


class BadInput(click.ClickException):
    """What the user passed can not be used; exit code 2."""

    exit_code = 2


class MissingExtra(BadInput):
    """A library of an optional extra is not installed."""


@contextmanager
def bad_input_exits() -> Iterator[None]:
    """Turn the exceptions the package raises for bad input into `BadInput`; a context manager and a decorator."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OverflowError as error:
        raise BadInput(f"a number is out of range: {error}") from error
    except (ValueError, TypeError, OSError, MemoryError, ImportError) as error:  # the last tells what to install
        raise BadInput(str(error) or type(error).__name__) from error


def require_extra(extra: str, *modules: str) -> None:
    """Raise `MissingExtra` where a module of an optional extra is not installed."""
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        raise MissingExtra(f"this needs {', '.join(missing)}: pip install 'coremax[{extra}]'")


def is_watched() -> bool:
    """Whether somebody sees stderr; it is None where the command was started with it closed."""
    return sys.stderr is not None and sys.stderr.isatty()


def one_line(message: str) -> str:
    """Make one line of a message that may quote a hostile file: no line breaks, no control codes, no end in sight."""
    line = " ".join(message.split())
    line = "".join(character if character.isprintable() else ascii(character)[1:-1] for character in line)
    return line if len(line) <= LONGEST else line[: LONGEST - 4] + " ..."
