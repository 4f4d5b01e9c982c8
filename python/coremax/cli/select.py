"""Selection from files: the logic of `coremax select`, without its options."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .._inputs import records
from ..selection import Selection
from . import _write
from ._errors import require_extra
from ._estimate import estimate_selection, format_estimate
from ._job import Job
from ._methods import METHODS, Knob, accepts, knobs_of
from ._read import read_ids, read_titles


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
        embeddings (for "dsir" the texts), importance, ids, titles, output, report.
    given : dict
        Options by name, None where they were not given; those of other methods are refused.
    """
    report, output = files["report"], str(files["output"])
    # Classes for the report alone, where the method has no use for them.
    shown = given["labels"] if report is not None and not accepts(method, "labels") else None
    knobs = knobs_of(method, given if shown is None else {**given, "labels": None})
    _require_inputs(method, budget, files, {knob.name: value for knob, value in knobs})
    job.parameters |= {knob.name: knob.recorded(value) for knob, value in knobs if value is not None}
    job.parameters = {name: value for name, value in job.parameters.items() if value is not None}
    if report is not None:
        require_extra("report", "matplotlib", "jinja2")
    job.begin(
        {output: _write.FORMATS, **({report: (".html",)} if report is not None else {})},
        [(name, files[name]) for name in ("embeddings", "importance", "ids", "titles")]
        + [(knob.name, value) for knob, value in knobs if knob.file]
        + [("labels", shown)],
    )
    rows, data, arguments = _load(job, method, files, knobs)
    ids, titles = (_of_rows(job, files[name], rows, reader) for name, reader in (("ids", read_ids), ("titles", read_titles)))
    _write.require_writable(output, ids, _most_kept(budget, arguments, ids))
    labels = arguments.get("labels") if shown is None else job.labels(shown, rows)
    call = Call(job, method, data, _total(budget, arguments, given.get("costs")), arguments)
    if job.dry_run:
        job.tell(estimate_selection(call, job), format_estimate)
        return
    chosen = _timed(job, call)
    targets = {output: _write.columns_writer(output, _columns(chosen, ids, files["ids"]))}
    if report is not None:
        with job.stage("report"):
            targets[report] = _write.text_writer(_page(chosen, data, labels, ids, titles, output))
    job.finish(targets, _summary(chosen, output, report), format_summary)


def _total(budget: int | float | None, arguments: dict[str, Any], file: str | None) -> int | float | None:
    """The budget as the function takes it: with costs, a share stands for that share of all of them."""
    if "costs" in arguments and isinstance(budget, float):
        try:
            return budget * math.fsum(arguments["costs"])
        except (OverflowError, ValueError):  # too large, or infinities of both signs
            raise ValueError(f"{file}: the costs have no finite sum") from None
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
    """

    def __init__(
        self, job: Job, method: str, data: dict[str, Any], budget: int | float | None, arguments: dict[str, Any]
    ) -> None:
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
    if files["report"] is None and files["titles"] is not None:
        raise ValueError("--titles are for --report")
    texts = [str(files["embeddings"])] if method == "dsir" else []
    texts += [options[name] for name in ("target_texts", "raw_texts") if options.get(name) is not None]
    for path in texts:
        if not records.is_text_file(path):
            raise ValueError(
                f"{path}: texts come from .txt (a document a line), {', '.join(records.JSON_ENDINGS)} (objects with a field "
                f"text, or FILE:FIELD) and .parquet (FILE:COLUMN); the others also {', '.join(records.COMPRESSED_ENDINGS)}"
            )
        if records.source_of(path).kind == "parquet":
            require_extra("files", "pyarrow")


def _load(
    job: Job, method: str, files: Mapping[str, str | None], knobs: list[tuple[Knob, Any]]
) -> tuple[tuple[int, str] | None, dict[str, Any], dict[str, Any]]:
    """How many rows there are and whose, arrays by what they are, and the further arguments of the method."""
    path = str(files["embeddings"])
    data: dict[str, Any] = {}
    rows: tuple[int, str] | None = None
    if method == "dsir":
        data["texts"] = Path(path)
    else:
        data["x"] = job.matrix(path, "embeddings") if accepts(method, "x") else job.array(path)
        rows = len(data["x"]), path
    if files["importance"] is not None:
        data["importance"] = job.scores(str(files["importance"]), rows)
    arguments = {knob.keyword: _argument(job, knob, value, rows) for knob, value in knobs if value is not None}
    return rows, data, arguments


def _argument(job: Job, knob: Knob, value: Any, rows: tuple[int, str] | None) -> Any:
    if knob.file == "texts":
        return Path(value)
    if knob.file == "numbers":
        return job.numbers(value)
    if knob.file:
        return job.labels(value, rows) if knob.file == "labels" else job.scores(value, rows)
    return None if value == "none" and knob.name in ("bound", "cap") else value


def _of_rows(job: Job, text: str | None, rows: tuple[int, str] | None, reader: Callable[[str], Any]) -> Any:
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


def _page(chosen: Any, data: dict[str, Any], labels: Any, ids: Any, titles: Any, output: str) -> str:
    """The page of `Selection.report`: the only place that calls it."""
    x = data.get("x")
    page: str = chosen.report(
        embeddings=x if x is not None and x.ndim == 2 and x.dtype != object else None,
        score=data.get("importance"),
        labels=labels,
        ids=None if ids is None else ids.tolist(),
        texts=None if titles is None else [str(title) for title in titles.tolist()],
        title=f"{os.path.basename(output)}: {chosen.method}",
    )
    return page


def _summary(chosen: Selection, output: str, report: str | None) -> dict[str, Any]:
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
    return {**summary, "output": output, **({"report": report} if report is not None else {})}


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
        dropped = min(summary["parameters"]["drop_hardest"], 1 - summary["kept"] / summary["n"])
        lines.append(f"dropped the hardest {dropped:.1%} first" if dropped else "dropped none of the hardest")
    lines += [f"{name} {value:.6g}" for name, value in summary.get("diagnostics", {}).items()]
    lines += [f"report: {summary['report']}"] if "report" in summary else []
    return "\n".join([*lines, format_seconds(summary["seconds"])])


def format_seconds(seconds: Mapping[str, float]) -> str:
    """Lay the times of stages out as text."""
    return "seconds: " + ", ".join(f"{stage} {value:.2f}" for stage, value in seconds.items())
