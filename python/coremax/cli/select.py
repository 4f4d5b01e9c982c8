"""Selection from files: the logic of `coremax select`, without its options."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .._inputs import records
from .._inputs.arrays import as_budget
from .._inputs.keys import as_keys
from ..selection import Selection
from . import _write
from ._errors import require_extra
from ._estimate import estimate_selection, format_estimate
from ._job import Job
from ._methods import METHODS, Knob, accepts, knobs_of
from ._paths import file_of
from ._read import Array, is_lines, read_ids, read_names, read_titles, require_file, require_one_file

Rows = tuple[int, str] | None  # how many there are, and of which file
_BY_ROW = ("labels", "clusters", "groups", "costs")  # arguments with an entry for every row
_LOOKED_FOR = 1000  # paths of images, of which there may be millions


def run_select(
    job: Job, method: str, budget: int | float | None, files: Mapping[str, str | None], given: dict[str, Any]
) -> None:
    """Read, select, write.

    Parameters
    ----------
    job : Job
    method : str
        One of METHODS.
    budget : int, float or None
        As `coremax.infomax`; None with semdedup's eps.
    files : mapping of str to str or None
        embeddings (for "dsir" the texts), importance, ids, only, titles, images, output, report.
    given : dict
        Options by name, None where they were not given; those of other methods are refused.
    """
    report, output = files["report"], str(files["output"])
    # Classes for the report alone, where the method has no use for them.
    shown = given["labels"] if report is not None and not accepts(method, "labels") else None
    knobs = knobs_of(method, given if shown is None else {**given, "labels": None})
    _require_inputs(method, budget, files, {knob.name: value for knob, value in knobs})
    job.parameters |= {knob.name: knob.recorded(value) for knob, value in knobs if value is not None}
    job.parameters = {name: value for name, value in job.parameters.items() if value is not None and value != ()}
    if report is not None:
        require_extra("report", "matplotlib", "jinja2")
    job.begin(
        {output: _write.FORMATS, **({report: (".html",)} if report is not None else {})},
        [(name, files[name]) for name in ("embeddings", "importance", "ids", "only", "titles", "images")]
        + [(knob.name, value) for knob, value in knobs if knob.file]
        + [("labels", shown)],
    )
    rows, data = _load(job, method, files)
    ids, titles = (_of_rows(job, files[name], rows, reader) for name, reader in (("ids", read_ids), ("titles", read_titles)))
    names = Names(job, rows, ids, files["ids"])
    arguments = _arguments(job, knobs, names)
    only = None if files["only"] is None else names.read(files["only"])
    labels = arguments.get("labels") if shown is None else job.labels(shown, rows)
    _write.require_writable(output, ids, _most_kept(budget, arguments, ids))
    images = None if files["images"] is None else _images(job, files["images"], rows)
    budget = _total(budget, arguments, given.get("costs"))
    call = Call(job, method, data, budget, arguments) if only is None else _among(only, job, method, data, budget, arguments)
    with _as_typed(files, knobs):
        if job.dry_run:
            job.tell(estimate_selection(call, job), format_estimate)
            return
        chosen = _timed(job, call)
    if call.rows is not None:
        chosen = _of_all(chosen, call.rows, len(data["x"]))
    targets = {output: _write.columns_writer(output, _columns(chosen, ids, files["ids"]))}
    page = None if report is None else (report, lambda: _page(chosen, data, labels, ids, titles, images, output))
    among = {} if call.rows is None else {"among": len(call.rows)}
    job.finish(targets, _summary(chosen, output) | among, format_summary, page)


@contextmanager
def _as_typed(files: Mapping[str, str | None], knobs: list[tuple[Knob, Any]]) -> Iterator[None]:
    """Errors of the methods in the words of the command line: files for arrays, options for arguments."""
    try:
        yield
    except (ValueError, TypeError) as error:
        if type(error) not in (ValueError, TypeError):
            raise
        message = str(error)
        for knob, _ in knobs:
            option = "--" + knob.name.replace("_", "-")
            message = re.sub(rf"\b{knob.keyword}='([^']*)'", rf"{option} \1", message)
            if "_" in knob.keyword:  # which is no word of its own
                message = re.sub(rf"\b{knob.keyword}\b(?!\[)", option, message)
        message = message.replace("--group-limits needs groups", "--group-limits needs --groups")
        named = {"x": files["embeddings"], "importance": files["importance"], "score": files["importance"]}
        named |= {knob.keyword: value for knob, value in knobs if knob.file in ("scores", "labels")}
        for name, file in named.items():
            if file is not None and re.match(rf"(row \d+ of )?{name}\b(\[| is | sums )", message):
                message = f"{file}: {message}"
                break
        raise type(error)(message) from error


def _total(budget: int | float | None, arguments: dict[str, Any], file: str | None) -> int | float | None:
    """The budget as the function takes it: with costs, a share stands for that share of all of them."""
    if "costs" in arguments and isinstance(budget, float):
        try:
            total = budget * math.fsum(arguments["costs"])
        except (OverflowError, ValueError):  # too large, or infinities of both signs
            raise ValueError(f"{file}: the costs have no finite sum") from None
        return int(total) if total == 1 else total  # which as a float of whole costs looks like a share
    return budget


def _most_kept(budget: int | float | None, arguments: dict[str, Any], ids: Any) -> int | None:
    """How many samples are kept, where that is known before work starts."""
    if budget is None or ids is None or "costs" in arguments:
        return None
    return budget if isinstance(budget, int) else math.ceil(budget * len(ids))


def _timed(job: Job, call: Call) -> Selection:
    """Select; the method's own stages, where it tells of them, take the place of the whole."""
    with job.stage("select"):
        chosen = call()
    if chosen.timings:
        del job.seconds["select"]
        job.seconds |= {stage: float(seconds) for stage, seconds in chosen.timings.items()}
    return chosen


class Call:
    """A method with its arguments, which can be called on all rows or on some of them.

    Attributes
    ----------
    method : str
    x : array [n, ...] or None
        What the embeddings' file holds.
    texts : path or None
        Of "dsir".
    arguments : dict
        Of the function, without what is positional.
    rows : array or None
        Numbers of the rows that `x` and the like were cut to.
    """

    def __init__(
        self,
        job: Job,
        method: str,
        data: dict[str, Any],
        budget: int | float | None,
        arguments: dict[str, Any],
        rows: Array | None = None,
    ) -> None:
        self.rows = rows
        self.method, self.x, self.arguments = method, data.get("x"), arguments
        self.texts = data.get("texts")
        self._job, self._data, self._budget = job, data, budget

    def __call__(self) -> Selection:
        """Select from all rows."""
        return self._run(self._data, self.arguments, self._budget, self._job.progress)

    def on(self, rows: np.ndarray[Any, Any]) -> Selection:
        """Select the same share of some rows, without what speaks of all of them (limits, clusters)."""
        data = {name: array[rows] for name, array in self._data.items()}
        left_out = ("include", "exclude", "groups", "group_limits", "costs", "clusters")
        arguments = {name: value for name, value in self.arguments.items() if name not in left_out}
        if "labels" in arguments:
            arguments["labels"] = arguments["labels"][rows]
        for name in ("partitions", "n_clusters"):  # that are possible of all rows are possible of some
            if isinstance(arguments.get(name), int):
                arguments[name] = min(arguments[name], len(rows))
        share = self._budget
        if "costs" in self.arguments:
            share = 0.1  # a total of costs says little of how many
        elif isinstance(share, int):
            n = len(self._data["x"])
            if share > n:
                raise ValueError(f"budget must be from 1 to the number of samples, {n}, got {share}")
            share /= n
        return self._run(data, arguments, share, False)

    def _run(self, data: dict[str, Any], arguments: dict[str, Any], budget: int | float | None, progress: bool) -> Selection:
        method, parameters = self.method, self._job.parameters
        values = {"seed": parameters["seed"], "threads": parameters.get("threads"), "progress": progress}
        keywords = {name: value for name, value in values.items() if accepts(method, name)}
        if method == "dsir":
            return METHODS[method](data["texts"], budget=budget, **arguments, **keywords)
        x = [len(data["x"])] if method == "random" else [data["x"]] if accepts(method, "x") else []
        score = [data["importance"]] if accepts(method, "importance") or accepts(method, "score") else []
        return METHODS[method](*x, *score, budget, **arguments, **keywords)


def _require_inputs(method: str, budget: Any, files: Mapping[str, str | None], options: dict[str, Any]) -> None:
    scored = accepts(method, "importance") or accepts(method, "score")
    if scored and files["importance"] is None:
        raise ValueError(f"--method {method} needs --importance")
    if not scored and files["importance"] is not None and files["report"] is None:
        raise ValueError(f"--importance is not used by --method {method}")
    if budget is None and options.get("eps") is None:
        raise ValueError("--budget is missing: a share (10%, 0.1) or a count (500)")
    if method == "dsir" and options["target_texts"] is None:
        raise ValueError("--method dsir needs --target-texts")
    if options.get("costs") is not None and options.get("groups") is not None and options.get("group_limits") is None:
        raise ValueError(
            "--groups needs --group-limits where --costs are given, such as 10% of the samples of each group: "
            "a group's share of a total cost can not be set"
        )
    for name in ("titles", "images"):
        if files["report"] is None and files[name] is not None:
            raise ValueError(f"--{name} are for --report")
    if method == "dsir" and files["only"] is not None:
        raise ValueError("--only is not for --method dsir, which reads texts one after another: choose among what it keeps")
    texts = [str(files["embeddings"])] if method == "dsir" else []
    texts += [options[name] for name in ("target_texts", "raw_texts") if options.get(name) is not None]
    for path in texts:
        require_one_file(path)
        if not records.is_text_file(path):
            raise ValueError(
                f"{path}: texts come from .txt (a document a line), {', '.join(records.JSON_ENDINGS)} (objects with a field "
                f"text, or FILE:FIELD) and .parquet (FILE:COLUMN); the others also {', '.join(records.COMPRESSED_ENDINGS)}"
            )
        if records.source_of(path).kind == "parquet":
            require_extra("files", "pyarrow")


def _load(job: Job, method: str, files: Mapping[str, str | None]) -> tuple[Rows, dict[str, Any]]:
    """How many rows there are and whose, and arrays by what they are."""
    path = str(files["embeddings"])
    data: dict[str, Any] = {}
    rows: Rows = None
    if method == "dsir":
        data["texts"] = Path(path)
    else:
        data["x"] = job.matrix(path, "embeddings") if accepts(method, "x") else job.array(path)
        if not data["x"].ndim:
            raise ValueError(f"{path} holds one number and no rows")
        rows = len(data["x"]), path
    if files["importance"] is not None:
        data["importance"] = job.scores(str(files["importance"]), rows)
    return rows, data


def _arguments(job: Job, knobs: list[tuple[Knob, Any]], names: Names) -> dict[str, Any]:
    """The further arguments of the method."""
    arguments = {knob.keyword: _argument(job, knob, value, names) for knob, value in knobs if value is not None}
    limits, groups = arguments.get("group_limits"), arguments.get("groups")
    if isinstance(limits, dict) and groups is not None:
        key = {str(value): value for value in as_keys(groups, "groups").values}
        unknown = [name for name in limits if name not in key]
        if unknown:
            shown = ", ".join(list(key)[:10]) + (", ..." if len(key) > 10 else "")
            raise ValueError(f"--group-limits names {unknown[0]!r}, but the groups are {shown}")
        arguments["group_limits"] = {key[name]: limit for name, limit in limits.items()}
    return arguments


def _argument(job: Job, knob: Knob, value: Any, names: Names) -> Any:
    if knob.file == "texts":
        return Path(value)
    if knob.file == "numbers":
        return names.read(value)
    if knob.file:
        return job.labels(value, names.rows, knob.name) if knob.file == "labels" else job.scores(value, names.rows)
    return None if value == "none" and knob.name in ("bound", "cap") else value


class Names:
    """What samples are called in files that name some of them: their numbers, or with `--ids` their ids."""

    def __init__(self, job: Job, rows: Rows, ids: Any, ids_file: str | None) -> None:
        self.rows = rows
        self._job, self._ids, self._ids_file = job, ids, ids_file

    def read(self, text: str) -> Array:
        """Read the numbers of the samples that a file names [m], in its order.

        Raises
        ------
        ValueError
            A name that is no sample's; the file and the place are named.
        """
        with self._job.stage("read"):
            found, are_numbers = read_names(text)
        values, is_text = _listed(found)
        if self._ids is not None and not are_numbers:
            ids, ids_are_text = _listed(self._ids)
            if is_text and not ids_are_text:
                values, is_text = _as_ints(values, text), False
            if not is_text and ids_are_text:  # numbers beside ids of text are numbers
                self._require_no_ids(values, ids, text)
            else:
                place = dict(zip(ids, range(len(ids)), strict=True))
                for number, value in enumerate(values):
                    if value not in place:
                        raise ValueError(f"{text}: entry {number}, {value!r}, is no id of {self._ids_file}")
                return np.array([place[value] for value in values], dtype=np.int64)
        if is_text:
            values = _as_ints(values, text)
        return np.array(values, dtype=np.int64)

    def _require_no_ids(self, numbers: list[int], ids: list[str], text: str) -> None:
        """Raise where numbers, written out, are ids of other samples: either may be meant."""
        place = dict(zip(ids, range(len(ids)), strict=True))
        for number in numbers:
            if place.get(str(number), number) != number:
                raise ValueError(
                    f"{text}: {number} may be the number of a sample or the id {str(number)!r} of sample {place[str(number)]} "
                    f"in {self._ids_file}: save ids as texts, numbers as the column index of a .parquet file"
                )


def _listed(found: Any) -> tuple[list[Any], bool]:
    """A column as a list, and whether it holds texts."""
    values = found.tolist() if hasattr(found, "tolist") else list(found)
    return values, bool(values) and isinstance(values[0], str)


def _as_ints(values: list[str], text: str) -> list[int]:
    for number, value in enumerate(values):
        if not re.fullmatch(r"\s*-?[0-9]+\s*", value):
            raise ValueError(f"{text}: entry {number}, {value!r}, is no whole number (names of samples need --ids)")
    return [int(value) for value in values]


def _among(
    only: Array, job: Job, method: str, data: dict[str, Any], budget: int | float | None, arguments: dict[str, Any]
) -> Call:
    """A call that chooses among some of the rows, as if there were no others."""
    n, rows = len(data["x"]), np.unique(only)
    if rows[0] < 0 or rows[-1] >= n:
        raise ValueError(f"--only names sample {rows[0] if rows[0] < 0 else rows[-1]}, but there are 0 to {n - 1}")
    if budget is not None and "costs" not in arguments:
        budget = as_budget(budget, n)
        if budget > len(rows):
            raise ValueError(f"--budget asks for {budget} of all {n}, but --only leaves {len(rows)}")
    place = np.full(n, -1)
    place[rows] = np.arange(len(rows))
    cut = {name: value[rows] if name in _BY_ROW else value for name, value in arguments.items()}
    for name in ("include", "exclude"):
        if name in cut:
            numbers = np.asarray(cut[name])
            if numbers.min(initial=0) < 0 or numbers.max(initial=0) >= n:
                raise ValueError(f"--{name} names samples from {numbers.min()} to {numbers.max()}, but there are 0 to {n - 1}")
            lost = numbers[place[numbers] < 0]
            if name == "include" and lost.size:
                raise ValueError(f"--include names sample {lost[0]}, which --only leaves out")
            cut[name] = place[numbers[place[numbers] >= 0]]
    return Call(job, method, {name: array[rows] for name, array in data.items()}, budget, cut, rows)


def _of_all(chosen: Selection, rows: Array, n: int) -> Selection:
    """A selection from some of the rows, in numbers of all."""
    candidates = rows if chosen.candidates is None else rows[np.asarray(chosen.candidates)]
    known = {name: value for name, value in chosen.inputs.items() if name in ("importance", "limits")}  # of the candidates
    return replace(chosen, indices=rows[np.asarray(chosen.indices)], n=n, candidates=candidates, inputs=known)


def _images(job: Job, text: str, rows: Rows) -> Any:
    """Pictures of all samples: an array, or paths, of which some are looked for before the work."""
    found: Any = _of_rows(job, text, rows, read_titles) if is_lines(text) else job.array(text)
    if rows is not None and len(found) != rows[0]:
        raise ValueError(f"{text} has {len(found)} images, but {rows[1]} has {rows[0]} rows")
    if getattr(found, "ndim", 1) in (3, 4):
        return found
    names, are_text = _listed(found) if getattr(found, "ndim", 1) == 1 else ([], False)
    if not are_text:
        raise ValueError(f"{text}: images are an array [n, h, w] or [n, h, w, channels], or paths, got shape {found.shape}")
    folder = os.path.dirname(file_of(text))
    paths = [os.path.join(folder, name) for name in names]
    for number in range(0, len(paths), max(len(paths) // _LOOKED_FOR, 1)):
        require_file(paths[number])
    return paths


def _of_rows(job: Job, text: str | None, rows: Rows, reader: Callable[[str], Any]) -> Any:
    """Ids or titles, one for each row, or None."""
    if text is None:
        return None
    with job.stage("read"):
        found = reader(text)
    if rows is not None and len(found) != rows[0]:
        raise ValueError(f"{text} has {len(found)} entries, but {rows[1]} has {rows[0]} rows")
    return found


def _columns(chosen: Selection, ids: Any, ids_file: str | None) -> dict[str, np.ndarray[Any, Any]]:
    indices = np.asarray(chosen.indices)
    if ids is not None and len(ids) != chosen.n:  # of texts, which are counted as they are read
        raise ValueError(f"{ids_file} has {len(ids)} entries, but there are {chosen.n} texts")
    columns = {"index": indices} if ids is None else {"id": ids[indices], "index": indices}
    return columns if chosen.weights is None else {**columns, "weight": np.asarray(chosen.weights)}


def _page(chosen: Any, data: dict[str, Any], labels: Any, ids: Any, titles: Any, images: Any, output: str) -> str:
    """The page of `Selection.report`: the only place that calls it."""
    x = data.get("x")
    page: str = chosen.report(
        embeddings=x if x is not None and x.ndim == 2 and x.dtype != object else None,
        score=data.get("importance"),
        labels=labels,
        images=images,
        ids=None if ids is None else ids.tolist(),
        texts=None if titles is None else [str(title) for title in titles.tolist()],
        title=f"{os.path.basename(output)}: {chosen.method}",
    )
    return page


def _summary(chosen: Selection, output: str) -> dict[str, Any]:
    summary: dict[str, Any] = {
        "method": chosen.method,
        "n": chosen.n,
        "kept": len(chosen),
        "parameters": dict(chosen.parameters),
    }
    if chosen.solution is not None:
        solution = chosen.solution
        summary |= {
            "objective": solution.objective,
            "upper_bound": solution.upper_bound,
            "gap": solution.gap,
            "bound_kind": solution.bound_kind,
            "status": solution.status.value,
        }
    if chosen.diagnostics is not None:
        summary["diagnostics"] = dict(chosen.diagnostics)
    if chosen.invalid is not None:
        summary["invalid"] = {"n": len(chosen.invalid), "first": chosen.invalid[:10].tolist()}
    return {**summary, "output": output}


def format_summary(summary: dict[str, Any]) -> str:
    """Lay a summary out as text."""
    lines = [f"kept {summary['kept']:,} of {summary['n']:,} by {summary['method']} -> {summary['output']}"]
    if "objective" in summary and math.isfinite(summary["upper_bound"]):
        lines.append(
            f"objective {summary['objective']:.6g}, at most {summary['upper_bound']:.6g} is possible"
            f" (gap {summary['gap']:.2%}, {summary['bound_kind']} bound)"
        )
    elif "objective" in summary:
        lines.append(f"objective {summary['objective']:.6g}, without a bound")
    if "drop_hardest" in summary["parameters"]:
        # As many as the budget leaves, see `coremax.infomax`.
        dropped = min(summary["parameters"]["drop_hardest"], 1 - summary["kept"] / summary.get("among", summary["n"]))
        lines.append(f"dropped the hardest {dropped:.1%} first" if dropped else "dropped none of the hardest")
    if "invalid" in summary:
        first = ", ".join(map(str, summary["invalid"]["first"]))
        lines.append(f"left out {summary['invalid']['n']} invalid samples: {first}" + ", ..." * (summary["invalid"]["n"] > 10))
    told = {name: value for name, value in summary.get("diagnostics", {}).items() if name != "n_invalid"}
    lines += [f"{name} {value:.6g}" for name, value in told.items()]
    lines += [f"report: {summary['report']}"] if "report" in summary else []
    return "\n".join([*lines, format_seconds(summary["seconds"])])


def format_seconds(seconds: Mapping[str, float]) -> str:
    """Lay the times of stages out as text."""
    return "seconds: " + ", ".join(f"{stage} {value:.2f}" for stage, value in seconds.items())
