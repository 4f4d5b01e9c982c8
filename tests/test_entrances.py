"""Every public entrance with every kind of object for each of its arrays: the right result, or an error that names the argument.

Run as a program it writes the table as a page: ``python tests/test_entrances.py`` (docs/inputs.md).
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import re
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pytest

for library in ("datasets", "jax", "ml_dtypes", "pandas", "polars", "pyarrow", "scipy", "sklearn", "torch"):
    pytest.importorskip(library)

import torch  # noqa: E402

import coremax  # noqa: E402
import entrances  # noqa: E402
from coremax.report.selection_page import Given, _checked  # noqa: E402
from entrances import ENTRANCES, Entrance, entrances_of, public  # noqa: E402
from kinds import KINDS, Kind  # noqa: E402

PAGE = Path(__file__).resolve().parent.parent / "docs" / "inputs.md"
NUMBERS = ("reals", "matrix", "embeddings", "indices", "matrix of indices", "keys", "classes", "epochs", "epochs of flags",
           "embeddings or graph", "embeddings of scikit-learn", "target", "ids", "size")  # fmt: skip
CELLS = [
    (entry, argument) for entry, entrance in ENTRANCES.items() for argument, holds in entrance.arrays.items() if holds in NUMBERS
]


def _report(**arguments: Any) -> Any:
    """What a report makes of its arguments, without the drawing, which takes a hundred times as long."""
    data = _checked(entrances.SELECTION, Given(**arguments))
    return {**{field.name: getattr(data, field.name) for field in dataclasses.fields(data) if field.name != "samples"},
            "names": [data.samples.name(row) for row in range(entrances.N)]}  # fmt: skip


QUICK = {"Selection.report": Entrance(_report, {k: v for k, v in ENTRANCES["Selection.report"].arguments.items() if k != "texts"})}


def plain(result: Any) -> Any:
    """A result as plain Python objects that can be compared, whatever library its arrays are of."""
    if isinstance(result, Enum) or result is None or isinstance(result, (str, bool, int, float)):
        return result
    if isinstance(result, coremax.Selection):
        return plain((result.indices, result.weights, result.n))
    if isinstance(result, coremax.Graph):
        return plain((result._indices, result._values, result._indptr))
    if isinstance(result, coremax.Solution):
        return plain((result.indices, result.x, result.objective))
    if isinstance(result, coremax.AliasTable):
        return plain(result.probabilities())
    if isinstance(result, Mapping):
        return {key: plain(value) for key, value in result.items()}
    if isinstance(result, (list, tuple)):
        return [plain(part) for part in result]
    if hasattr(result, "selection"):
        return plain(result.selection)
    if hasattr(result, "selection_"):
        return plain(result.selection_)
    if isinstance(result, torch.utils.data.Sampler):
        return list(result)
    if hasattr(result, "column_names"):
        return result.to_dict()
    if dataclasses.is_dataclass(result):
        return [plain(getattr(result, field.name)) for field in dataclasses.fields(result)]
    return np.asarray(result).tolist()


def outcome(entrance: Entrance, argument: str, value: Any) -> Any:
    """A plain result, or the error there is."""
    try:
        return plain(entrance(**{argument: value}))
    except Exception as error:
        return error


def judge(entrance: Entrance, argument: str, reference: Any, kind: Kind) -> str:
    """What comes of a kind: "right", "refused", or what is wrong."""
    prepared = kind.prepare(reference)
    found, wanted = outcome(entrance, argument, kind.make(prepared)), outcome(entrance, argument, prepared)
    if not isinstance(found, Exception):
        return "right" if not isinstance(wanted, Exception) and found == wanted else f"SILENT: {found} instead of {wanted!r}"
    if not isinstance(found, (TypeError, ValueError, coremax.DeviceError)):
        return f"TRACEBACK: {found!r}"
    if isinstance(wanted, Exception) and kind.due != "refused":
        return "right" if (type(found), str(found)) == (type(wanted), str(wanted)) else f"ANOTHER ERROR: {found!r} for {wanted!r}"
    return "refused" if re.search(rf"\b{argument}\b", str(found)) else f"UNNAMED: {found!r}"


# Where an entrance takes more than others do, or differs for a reason.
def due(entry: str, argument: str, kind: Kind) -> str:
    """What is due of a kind at an argument."""
    holds = ENTRANCES[entry].arrays[argument]
    return EXCEPTIONS.get((holds, f"{kind.group}: {kind.name}"), EXCEPTIONS.get((f"{entry}.{argument}", f"{kind.group}: {kind.name}"), kind.due))


EXCEPTIONS: dict[tuple[str, str], str] = {}


@functools.cache
def column(entry: str, argument: str) -> dict[Kind, str]:
    """The outcomes of all kinds at an argument."""
    entrance = QUICK.get(entry, ENTRANCES[entry])
    reference = np.asarray(entrance.arguments[argument])
    optional = inspect.signature(public()[entry.partition(" with ")[0]]).parameters[argument].default is None \
        if argument in inspect.signature(public()[entry.partition(" with ")[0]]).parameters else True
    assert not isinstance(outcome(entrance, argument, reference), Exception), outcome(entrance, argument, reference)
    return {kind: judge(entrance, argument, reference, kind) for kind in KINDS if kind.fits(reference) and not (optional and kind.name == "None")}


@pytest.mark.parametrize(("entry", "argument"), CELLS, ids=lambda part: part)
def test_every_kind_is_right_or_refused_by_name(entry: str, argument: str) -> None:
    wrong = {
        f"{kind.group}: {kind.name}": found
        for kind, found in column(entry, argument).items()
        if found not in ("right", "refused") or due(entry, argument, kind) not in (found, "either")
    }
    assert not wrong, "\n".join(f"{kind}: {found}" for kind, found in wrong.items())


if __name__ == "__main__":
    import sys, time
    for entry, argument in CELLS:
        start = time.perf_counter()
        try:
            found = column(entry, argument)
        except BaseException as error:
            print(f"## {entry}.{argument}: BROKEN {error!r}"[:500]); continue
        wrong = {k: f for k, f in found.items() if f not in ("right", "refused") or due(entry, argument, k) not in (f, "either")}
        print(f"## {entry}.{argument} ({ENTRANCES[entry].arrays[argument]}): {len(found)} kinds, {len(wrong)} wrong, {time.perf_counter()-start:.1f} s")
        for kind, f in wrong.items():
            print(f"   {kind.group}: {kind.name} [{due(entry, argument, kind)}] {f}"[:260])
