"""What the commands share: a group whose errors take one line, help in sections, option types, options of every command."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import click
from click.core import ParameterSource

from ._errors import is_watched, one_line, unexpected
from ._job import load_config

__all__ = [
    "BUDGET",
    "SEED",
    "SHARE",
    "THREADS",
    "WEIGHT",
    "Files",
    "OneLineGroup",
    "SectionedCommand",
    "SectionedOption",
    "housekeeping",
    "parse_budget",
    "parse_share",
    "parse_weight",
    "progress_printer",
]


class SectionedOption(click.Option):
    """An option that stands in a section of the help."""

    def __init__(self, declarations: Sequence[str], *, section: str, **arguments: Any) -> None:
        super().__init__(declarations, **arguments)
        self.section = section


class Files(click.Argument):
    """One file or more, which a configuration may give."""

    def consume_value(self, ctx: click.Context, opts: Mapping[str, Any]) -> tuple[Any, ParameterSource]:
        """Look into the configuration where there is none, which click does from 8.3 on only."""
        value, source = super().consume_value(ctx, opts)
        if value in ((), None) and ctx.lookup_default(str(self.name)):
            return ctx.lookup_default(str(self.name)), ParameterSource.DEFAULT_MAP
        return value, source


class SectionedCommand(click.Command):
    """A command whose help lists the options by section, in the order of their first appearance."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse, and say what several files may have come from."""
        self._require_one_name_each(ctx, args)
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            if "unexpected extra argument" not in error.message:
                raise
            (argument,) = (str(option.name).upper() for option in self.params if isinstance(option, click.Argument))
            raise click.UsageError(
                f"{error.message}: {argument} is one file; a pattern such as *.npy becomes several: join them first", ctx
            ) from None

    def _require_one_name_each(self, ctx: click.Context, args: list[str]) -> None:
        """Raise UsageError where an option is given by two of its names, of which the last would win."""
        given = {argument.partition("=")[0] for argument in args}
        for option in self.params:
            names = [name for name in option.opts if name.startswith("--") and name in given]
            if len(names) > 1:
                raise click.UsageError(f"{' and '.join(names)} are two names of one option: pass one of them", ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the sections, see `click.Command.format_options`."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for option in self.get_params(ctx):
            record = None if isinstance(option, click.Argument) else option.get_help_record(ctx)
            if record is not None:
                sections.setdefault(getattr(option, "section", "Run"), []).append(record)
        for section, records in sections.items():
            with formatter.section(section):
                # A narrow left column: what follows a long option goes to the next line.
                formatter.write_dl(records, col_max=26)


class OneLineGroup(click.Group):
    """A group that reports every error of its commands as one line on stderr; the exit code is 2 for bad input."""

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
            click.echo(f"coremax: {one_line(error.format_message())}", err=True)
            sys.exit(error.exit_code)
        except click.Abort:
            click.echo("coremax: interrupted", err=True)
            sys.exit(130)
        except OSError as error:  # the help, to a disk that is full
            click.echo(f"coremax: standard output can not be written: {one_line(error.strerror or str(error))}", err=True)
            sys.exit(2)
        except Exception as error:
            click.echo(f"coremax: {one_line(unexpected(error))}", err=True)
            sys.exit(1)
        sys.exit(code if isinstance(code, int) else 0)


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
        hint = f"; write {budget:.0f} for a count" if stripped[-1] != "%" and 1 < budget < 1e15 and budget.is_integer() else ""
        raise ValueError(f"a budget as a share must be above 0 and at most 100% (or 1.0), got {text}{hint}")
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


def parse_whole(text: str, least: int, most: int) -> int:
    """Read a whole number within limits; raises ValueError where it is none."""
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if not least <= number <= most:
        raise ValueError(f"{text!r} is no whole number from {least} to {most}")
    return number


class ParsedText(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.4 on only
    """Type of an option whose text a function reads; its ValueError is the message."""

    def __init__(self, name: str, parse: Callable[[str], int | float | str]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | float | str:
        """Read the text; numbers are defaults, or come from Python, and are checked as their text is."""
        try:
            return self._parse(value if isinstance(value, str) else repr(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


BUDGET = ParsedText("budget", parse_budget)
SHARE = ParsedText("share", parse_share)
WEIGHT = ParsedText("number", parse_weight)
SEED = ParsedText("integer", partial(parse_whole, least=0, most=2**64 - 1))
THREADS = ParsedText("integer", partial(parse_whole, least=1, most=4096))
SIZE = click.IntRange(0, 2**60)
SIZE.name = "integer"  # in messages, where click would speak of "a valid integer range"


def progress_printer() -> Callable[[str], None]:
    """Return a function that prints lines of progress to stderr where that is a terminal, and is silent elsewhere."""
    shown = is_watched()
    return lambda line: click.echo(line, err=True) if shown else None


def housekeeping(output: str) -> list[click.Parameter]:
    """Make the options that every command from files to files has; output: what -o says."""

    def file(*declarations: str, **arguments: Any) -> SectionedOption:
        return SectionedOption(declarations, section="Files", **arguments)

    def run(*declarations: str, **arguments: Any) -> SectionedOption:
        return SectionedOption(declarations, section="Run", **arguments)

    given = "TOML with parameters, such as the record of an earlier run; what is given here goes before it."
    record = "Keep a record beside the output, OUTPUT.toml: parameters, versions, hashes of inputs, times. [default: sidecar]"
    threads = "Results are the same for any number. Default: COREMAX_NUM_THREADS, else every CPU."
    return [
        file("-o", "--output", metavar="FILE", required=True, help=output),
        file("--config", metavar="FILE", is_eager=True, callback=load_config, help=given),
        file("--save-config", metavar="FILE", help="Write the parameters of this run to a .toml file."),
        file("--sidecar/--no-sidecar", default=True, help=record),
        run("--seed", type=SEED, default=0, show_default=True, help="Of everything random."),
        run("--threads", type=THREADS, help=threads),
        run("--dry-run", is_flag=True, help="Check the inputs, estimate time and memory (score: sizes), write nothing."),
        run("--json", "as_json", is_flag=True, help="Print one JSON object instead of text."),
        run("-q", "--quiet", is_flag=True, help="Print errors only."),
    ]
