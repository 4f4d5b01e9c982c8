"""Paths in records and configurations: relative to the file that names them, so that they mean the same from any folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import click

from .._inputs import records
from ._read import parse_source

# A key of records. Files without it, written by hand or by an earlier version, mean paths from the working directory.
KEY, FROM_FILE, FROM_FOLDER = "paths_from", "this file", "working directory"


def file_options(command: click.Command) -> frozenset[str]:
    """Names of the parameters of a command that name files: its arguments, and options shown with FILE."""
    return frozenset(
        str(option.name) for option in command.params if isinstance(option, click.Argument) or option.metavar == "FILE"
    )


def relative(text: str, record: str) -> str:
    """A file (FILE or FILE:NAME) as a record of this name holds it; absolute paths stay."""
    path, name = _apart(text)
    if os.path.isabs(path):
        return text
    # The system goes upwards from where a link leads to: so are steps upwards meant here and taken by `resolved`.
    folder = os.path.realpath(os.path.dirname(path)) if os.pardir in path.split(os.sep) else os.path.dirname(path)
    target, start = os.path.abspath(os.path.join(folder, os.path.basename(path))), os.path.abspath(os.path.dirname(record))
    below = os.path.commonpath([target, start]) == start
    return os.path.relpath(target, start if below else os.path.realpath(start)) + name


def resolved(text: str, record: str) -> str:
    """A file as a record of this name holds it, seen from the working directory."""
    path, name = _apart(text)
    folder = os.path.dirname(record)
    if os.path.isabs(path) or not folder:
        return text
    if os.path.realpath(folder) != os.path.abspath(folder):
        folder = os.path.realpath(folder)
    return os.path.normpath(os.path.join(folder, path)) + name


def with_paths(parameters: Mapping[str, Any], files: frozenset[str], change: Callable[[str], str]) -> dict[str, Any]:
    """Parameters whose files (a text, or several) are changed."""

    def changed(value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return type(value)(map(changed, value))
        return change(value) if isinstance(value, str) else value

    return {name: changed(value) if name in files else value for name, value in parameters.items()}


def file_of(text: str) -> str:
    """The file of FILE or FILE:NAME; raises ValueError where none is read under such a name."""
    return records.source_of(text).path if records.is_text_file(text) else parse_source(text).path


def _apart(text: str) -> tuple[str, str]:
    """The path, and the name in it with its colon, which may be empty."""
    try:
        path = file_of(text)
    except ValueError:  # outputs, and what is refused later
        path = text
    return path, text[len(path) :]
