"""One run of a command: the files it reads and writes, what it took, and the record of it."""

from __future__ import annotations

import json
import math
import os
import shlex
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import click
import numpy as np
from click.core import ParameterSource

from .._inputs.keys import Keys, as_keys
from . import _mapped
from ._errors import BadInput, is_watched, tell
from ._paths import FROM_FILE, FROM_FOLDER, KEY, file_of, file_options, relative, resolved, with_paths
from ._read import Array, is_lines, parse_source, read_array, read_keys, require_file
from ._record import Fingerprint, read_config, require_same, to_toml, versions
from ._write import Writer, require_target, text_writer, write_all

SIDECAR = ".toml"
# Of the command line itself; what a record holds are all others.
HOUSEKEEPING = ("config", "save_config", "sidecar", "as_json", "quiet", "dry_run")


@dataclass
class Job:
    """What all commands that go from files to files have in common.

    Attributes
    ----------
    command : str
        Name, such as "select" or "score el2n".
    parameters : dict
        What the command was told, by option; whoever runs it may add what it stands for.
    sidecar, as_json, quiet, dry_run : bool
        As on the command line.
    config, save_config : str or None
        As on the command line.
    recorded : dict
        Inputs that must be what the configuration says, by role and name.
    files : frozenset of str
        Parameters that name files.
    seconds : dict
        Of each stage.
    """

    command: str
    parameters: dict[str, Any]
    sidecar: bool = True
    as_json: bool = False
    quiet: bool = False
    dry_run: bool = False
    config: str | None = None
    save_config: str | None = None
    recorded: dict[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)
    files: frozenset[str] = frozenset()
    seconds: dict[str, float] = field(default_factory=dict)
    _inputs: list[tuple[str, str, str]] = field(default_factory=list)  # role, name, file
    _prints: dict[str, Fingerprint] = field(default_factory=dict)  # by file
    _found: dict[str, tuple[int, ...]] = field(default_factory=dict)  # what each file was when the run began
    _started: float = field(default_factory=time.perf_counter)

    @property
    def progress(self) -> bool:
        """Whether bars are drawn."""
        return is_watched() and not self.as_json and not self.quiet

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a part of the run."""
        start = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start

    def begin(self, outputs: Mapping[str, Iterable[str]], inputs: Iterable[tuple[str, str | None]]) -> None:
        """Check the names of all files before anything is read.

        Parameters
        ----------
        outputs : mapping of str to iterable of str
            Names of the files to write, with the endings they may have.
        inputs : iterable of (role, name)
            Inputs; those whose name is None are not there.
        """
        self._inputs = [(role, text, file_of(text)) for role, text in inputs if text is not None]
        files = [file for _, _, file in self._inputs]
        targets = list(outputs.items())
        if self.sidecar:
            targets.append((targets[0][0] + SIDECAR, (SIDECAR,)))
        if self.save_config is not None:
            targets.append((self.save_config, (SIDECAR,)))
        for path, endings in targets:
            require_target(path, endings, files)
        if len({os.path.realpath(path) for path, _ in targets}) < len(targets):
            raise ValueError(f"two results go to one file: {', '.join(path for path, _ in targets)}")
        for role, text, file in self._inputs:
            self._found[file] = _identity(require_file(file))
            if (role, text) in self.recorded:
                require_same(file, self.recorded[role, text], str(self.config), self.progress)
        if self.sidecar and not self.dry_run:
            self._prints = {file: Fingerprint(file) for file in set(files)}

    def array(self, text: str) -> Array:
        """Read an array."""
        with self.stage("read"):
            return read_array(parse_source(text), self.progress)

    def matrix(self, text: str, what: str) -> Array:
        """Read numbers [n, d]."""
        found = self.array(text)
        if found.ndim != 2:
            raise ValueError(f"{text}: {what} must be two-dimensional [n, d], got shape {found.shape}")
        return _numbers(found, text)

    def scores(self, text: str, rows: tuple[int, str] | None = None) -> Array:
        """Read real numbers [n], of half precision brought to float32; rows: how many, and whose."""
        found = _numbers(self._vector(text, rows), text)
        return found.astype(np.float32) if found.dtype.kind == "V" or found.dtype == np.float16 else found

    def labels(self, text: str, rows: tuple[int, str] | None = None, what: str = "labels") -> Array | Keys:
        """Read classes [n]: whole numbers as they are, texts (of lines, too) numbered in alphabetical order."""
        found = self._vector(text, rows, of_lines=True)
        return found if found.dtype.kind in "iub" else as_keys(found, f"{text}: {what}")

    def _vector(self, text: str, rows: tuple[int, str] | None, of_lines: bool = False) -> Array:
        if of_lines and is_lines(text):
            with self.stage("read"):
                found = read_keys(text)
        else:
            found = self.array(text)
        if found.ndim == 2 and found.shape[1] == 1:
            found = found[:, 0]
        if found.ndim != 1:
            raise ValueError(f"{text} has shape {found.shape}, must be one-dimensional")
        if rows is not None and len(found) != rows[0]:
            raise ValueError(f"{text} has shape {found.shape}, but {rows[1]} has {rows[0]} rows")
        return found

    def finish(
        self,
        targets: Mapping[str, Writer],
        summary: dict[str, Any],
        text: Callable[[dict[str, Any]], str],
        report: tuple[str, Callable[[], str]] | None = None,
    ) -> None:
        """Write the results, the first of `targets` with the record beside it, and tell about it on stdout.

        Parameters
        ----------
        targets : mapping of str to writer
            Written all or none.
        summary : dict
            What is told.
        text : callable
            Lays the summary out.
        report : (name, callable) or None
            A page made when the results are written, which stand whatever becomes of it.
        """
        _mapped.require_whole()
        for file, then in self._found.items():
            if _identity(require_file(file)) != then:
                raise ValueError(f"{file} was written to while it was read: run again when it is whole; nothing was written")
        with self.stage("hash"):
            inputs = [
                {"role": role, "path": name, **self._prints[file].result(self.progress)}
                for role, name, file in self._inputs
                if file in self._prints
            ]
        output = next(iter(targets))
        extra: dict[str, Writer] = {}
        if self.sidecar:
            extra[output + SIDECAR] = text_writer(self._record(output, inputs, summary))
        if self.save_config is not None:
            extra[self.save_config] = text_writer(to_toml(self._configuration(self.save_config)))
        with self.stage("write"):
            write_all({**targets, **extra})
        summary = {**summary, **({"sidecar": output + SIDECAR} if self.sidecar else {})}
        failure = None if report is None else self._reported(*report)
        if report is not None:
            summary |= {"report": report[0]} if failure is None else {"report_error": failure}
        self.seconds["total"] = time.perf_counter() - self._started
        self.tell({**summary, "seconds": self.seconds}, text)
        if failure is not None:
            raise BadInput(f"{output} is written, but its report is not: {failure}")

    def _reported(self, path: str, page: Callable[[], str]) -> str | None:
        """Write a page; returns why it can not be written, which is no reason to lose the results."""
        try:
            with self.stage("report"):
                write_all({path: text_writer(page())})
        except Exception as error:
            return str(error) or type(error).__name__
        return None

    def _configuration(self, path: str) -> dict[str, Any]:
        """What a file of this name says so that `--config` repeats the run from any working directory."""
        parameters = with_paths(self.parameters, self.files, lambda text: relative(text, path))
        return {"command": self.command, KEY: FROM_FILE, "parameters": parameters}

    def _record(self, output: str, inputs: list[dict[str, Any]], summary: dict[str, Any]) -> str:
        path = output + SIDECAR
        told = with_paths(summary, frozenset({"output"}), lambda text: relative(text, path))
        record = {
            **self._configuration(path),
            "resolved": dict(summary.get("parameters", {})),
            "versions": versions(),
            "result": {key: value for key, value in told.items() if isinstance(value, (int, float, str))},
            "seconds": dict(self.seconds),
            "inputs": [{**entry, "path": relative(entry["path"], path)} for entry in inputs],
        }
        comment = f"Of {output}, by coremax; `coremax {self.command} --config {shlex.quote(path)}` repeats the run."
        return to_toml(record, one_line_comment(comment))

    def tell(self, summary: dict[str, Any], text: Callable[[dict[str, Any]], str]) -> None:
        """Print a summary, unless asked to be quiet."""
        if self.as_json:
            tell(json.dumps(_finite(summary)))
        elif not self.quiet:
            tell(text(summary))


def _identity(status: os.stat_result) -> tuple[int, ...]:
    """What changes when a file is written to or another takes its name."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def one_line_comment(text: str) -> str:
    """Text that can stand behind a # in TOML."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _finite(value: Any) -> Any:
    """The same for JSON, which has no infinity: null."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _numbers(array: Array, text: str) -> Array:
    if array.dtype == object:
        raise ValueError(f"{text} holds text, not numbers")
    return array


def open_job(context: click.Context, parameters: dict[str, Any]) -> Job:
    """Make the job of the command that runs, from its parameters; takes those out that are of the command line itself."""
    house = {name: parameters.pop(name) for name in HOUSEKEEPING if name in parameters}
    if house.get("config") is not None:
        _spare_earlier_report(context, parameters, bool(house.get("quiet")))
    job = Job(command_name(context), dict(parameters), **house, files=file_options(context.command))
    recorded = context.meta.get("coremax.recorded", {})
    for entry in recorded.get("inputs", []):
        # What is named on the command line is the user's choice; what the record names must be what it was.
        if context.get_parameter_source(entry["role"]) is ParameterSource.DEFAULT_MAP:
            job.recorded[entry["role"], entry["path"]] = entry
    then = recorded.get("versions", {})
    now = versions() if then else {}
    different = [
        f"{name} {then[name]} then, {now[name]} now"
        for name in ("coremax", "numpy")
        if name in then and then[name] != now[name]
    ]
    if different and not job.quiet:
        click.echo(f"coremax: {job.config}: {', '.join(different)}; the result may differ", err=True)
    return job


def _spare_earlier_report(context: click.Context, parameters: dict[str, Any], quiet: bool) -> None:
    """Give the report of a run with an output of its own a name of its own, where the recorded one is there already."""
    report, output = parameters.get("report"), parameters.get("output")
    if report is None or context.get_parameter_source("report") is not ParameterSource.DEFAULT_MAP:
        return
    before = (context.default_map or {}).get("output")
    if not os.path.exists(report) or before is None or os.path.realpath(before) == os.path.realpath(str(output)):
        return
    name = os.path.splitext(str(output))[0] + ".html"
    if os.path.exists(name):
        raise ValueError(f"{report} and {name} are there already: name another file with --report")
    parameters["report"] = name
    if not quiet:
        click.echo(f"coremax: the report goes to {name}, as {report} is that of an earlier run", err=True)


def command_name(context: click.Context) -> str:
    """The command as typed after "coremax"."""
    names: list[str] = []
    scope: click.Context | None = context
    while scope is not None and scope.parent is not None:
        names.insert(0, str(scope.info_name))
        scope = scope.parent
    return " ".join(names)


def load_config(context: click.Context, _: click.Parameter, path: str | None) -> str | None:
    """Callback of --config: what the file gives stands in for what the command line does not."""
    if path is None:
        return None
    try:
        config = read_config(path)
        defaults = _defaults(context.command, command_name(context), config, path)
        if config.get(KEY, FROM_FOLDER) == FROM_FILE:
            defaults = with_paths(defaults, file_options(context.command), lambda text: resolved(text, path))
            config["inputs"] = [{**entry, "path": resolved(entry["path"], path)} for entry in config.get("inputs", [])]
        context.default_map = defaults
    except (ValueError, MemoryError) as error:
        raise click.BadParameter(str(error)) from error
    context.meta["coremax.recorded"] = config
    return path


def _defaults(command: click.Command, name: str, config: Mapping[str, Any], path: str) -> dict[str, Any]:
    given = config.get("parameters")
    if not isinstance(given, dict):
        raise ValueError(f"{path}: there is no table [parameters]")
    if config.get("command", name) != name:
        raise ValueError(f"{path}: is of `coremax {config['command']}`, not of `coremax {name}`")
    known = {
        spelled.lstrip("-").replace("-", "_"): option
        for option in command.params
        if option.name not in HOUSEKEEPING
        for spelled in (*option.opts, str(option.name))
    }
    defaults: dict[str, Any] = {}
    for key, value in given.items():
        option = known.get(key.replace("-", "_"))
        if option is None:
            raise ValueError(f"{path}: `coremax {name}` has no parameter {key!r}")
        if option.name in defaults:
            raise ValueError(f"{path}: {option.name!r} is given twice, by two spellings or names: keep one of them")
        defaults[str(option.name)] = _as_typed(option, value, f"{path}: {key}")
    _check_record(config, path)
    return defaults


def _as_typed(option: click.Parameter, value: Any, place: str) -> Any:
    """A value as it would stand on the command line, so that it is checked in the same way."""
    if getattr(option, "is_flag", False):
        if not isinstance(value, bool):
            raise ValueError(f"{place} must be true or false, got {value!r}")
        return value
    if option.nargs == -1 or getattr(option, "multiple", False):
        values = value if isinstance(value, list) else [value]
        return tuple(_as_text(item, place) for item in values)
    return _as_text(value, place)


def _as_text(value: Any, place: str) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError(f"{place} must be a number or a text, got {value!r}")
    return value if isinstance(value, str) else repr(value)


def _check_record(config: Mapping[str, Any], path: str) -> None:
    if config.get(KEY, FROM_FOLDER) not in (FROM_FILE, FROM_FOLDER):
        raise ValueError(f"{path}: {KEY} must be {FROM_FILE!r} or {FROM_FOLDER!r}, got {config[KEY]!r}")
    inputs, found = config.get("inputs", []), config.get("versions", {})
    if not isinstance(found, dict) or not isinstance(inputs, list):
        raise ValueError(f"{path}: [versions] and [[inputs]] must be tables")
    for entry in inputs:
        if not isinstance(entry, dict) or not {"role", "path", "bytes", "blake2b"} <= set(entry):
            raise ValueError(f"{path}: each of [[inputs]] needs role, path, bytes and blake2b")
        if not isinstance(entry["role"], str) or not isinstance(entry["path"], str):
            raise ValueError(f"{path}: role and path of [[inputs]] must be texts")
