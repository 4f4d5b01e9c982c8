"""Results as lines of JSON, one a cell, appended as cells end: a run that was killed goes on where it was. And as Parquet."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Cell:
    """What is trained and measured once."""

    data: str
    corruption: str
    method: str
    keep: float
    seed: int
    part: str  # "test" or "validation"


@dataclass(frozen=True)
class Result:
    """A cell with what came out.

    Attributes
    ----------
    cell : Cell
    accuracy : float
        In [0, 1].
    n_kept : int
    wrong_labels : float
        Their share among the kept.
    select_seconds, train_seconds : float
        Of all threads of the process, so that what else the machine does counts little. Nets trained together share theirs
        equally.
    problem_seconds : float
        The same for loading, spoiling, proxies and scores, which all cells of a problem share.
    version : int
    """

    cell: Cell
    accuracy: float
    n_kept: int
    wrong_labels: float
    select_seconds: float
    train_seconds: float
    problem_seconds: float
    version: int


def _row(result: Result) -> dict[str, Any]:
    fields = asdict(result)
    return {**fields.pop("cell"), **fields}


def append(path: Path, results: Iterable[Result]) -> None:
    """Write whole lines at the end of the file, beginning a new one where the last was cut short."""
    lines = "".join(json.dumps(_row(result)) + "\n" for result in results)
    path.parent.mkdir(parents=True, exist_ok=True)
    cut_short = path.is_file() and not path.read_bytes().endswith(b"\n") and path.stat().st_size > 0
    with open(path, "a", encoding="utf-8") as file:
        file.write("\n" * cut_short + lines)


def read(path: Path, version: int) -> dict[Cell, Result]:
    """All results of this version; a line that was cut short by a kill is passed over, the last result of a cell counts."""
    found: dict[Cell, Result] = {}
    if not path.is_file():
        return found
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            fields = json.loads(line)
        except json.JSONDecodeError:
            continue
        cell = Cell(**{name: fields.pop(name) for name in Cell.__dataclass_fields__})
        if fields["version"] == version:
            found[cell] = Result(cell, **fields)
    return found


def write_parquet(path: Path, results: Iterable[Result]) -> None:
    """Write a table with a row for every result, columns by the names of the fields."""
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.Table.from_pylist([_row(result) for result in results]), path)


def cpu_seconds(results: Iterable[Result]) -> dict[str, float]:
    """Sums of what the results took: "problems" (each counted once), "selection", "training"."""
    found = list(results)
    problems = {(r.cell.data, r.cell.corruption, r.cell.seed): r.problem_seconds for r in found}
    return {
        "problems": sum(problems.values()),
        "selection": sum(r.select_seconds for r in found),
        "training": sum(r.train_seconds for r in found),
    }
