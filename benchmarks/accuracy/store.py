"""Results as lines of JSON, one a cell, appended as cells end: a run that was killed goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path


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
    """A cell with what came out: accuracy in [0, 1], the share of wrong labels among those kept, seconds."""

    cell: Cell
    accuracy: float
    n_kept: int
    wrong_labels: float
    select_seconds: float
    train_seconds: float
    version: int


def append(path: Path, results: Iterable[Result]) -> None:
    """Write whole lines at the end of the file, beginning a new one where the last was cut short."""
    lines = "".join(
        json.dumps({**asdict(r.cell), **{k: v for k, v in asdict(r).items() if k != "cell"}}) + "\n" for r in results
    )
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
