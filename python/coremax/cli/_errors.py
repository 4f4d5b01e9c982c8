"""From exceptions to one line on stderr and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import click

from .._core import __version__
from . import _mapped

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
        # Zeros in place of what was lost of an input may have been found bad before the loss was told.
        raise BadInput(_mapped.loss() or str(error) or type(error).__name__) from error


def unexpected(error: Exception) -> str:
    """One line for an exception that nobody raised for the user, with the place for whoever mends it."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "coremax" in frame.filename] or list(frames)
    place = f"{os.path.basename(own[-1].filename)}:{own[-1].lineno}" if own else "?"
    return f"{type(error).__name__}: {error} (in {place}, version {__version__}: a fault of coremax, please report it)"


def tell(text: str) -> None:
    """Print on stdout.

    Raises
    ------
    BadInput
        It can not be written to, such as a file on a disk that is full.
    """
    try:
        click.echo(text)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise BadInput(f"standard output can not be written: {error.strerror or error}") from error


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
