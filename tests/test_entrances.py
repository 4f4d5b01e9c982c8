"""Every public entrance with every kind of object for each of its arrays: the right result, or an error that names it.

Run as a program it writes the table as a page: ``python tests/test_entrances.py`` (docs/inputs.md).
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import re
import warnings
from collections.abc import Iterator, Mapping
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
from entrances import ENTRANCES, Entrance, entrances_of, parameters, public  # noqa: E402
from kinds import GRAPH_KINDS, KINDS, SIZE_KINDS, TENSOR_KINDS, TEXT_KINDS, Kind  # noqa: E402

PAGE = Path(__file__).resolve().parent.parent / "docs" / "inputs.md"
FACE = public()
KINDS_OF = {
    "texts": TEXT_KINDS,
    "documents": TEXT_KINDS,
    "graph": GRAPH_KINDS,
    "sparse": GRAPH_KINDS,
    "size": SIZE_KINDS,
    "tensor": TENSOR_KINDS,
}
CELLS = [(entry, argument) for entry, entrance in ENTRANCES.items() for argument in entrance.arrays]
# Arguments that may be anything and are no arrays of numbers or texts.
NO_ARRAYS = {"dataset", "group_limits", "images", "loader", "random_state", "state", "target"}
# Arguments that another entrance, which the table has, checks in the same place.
SHARED = {"datasets.prune": "datasets.select", "datasets.select_parquet": "datasets.select",
          "sklearn.CoresetSelector.fit_resample": "sklearn.CoresetSelector.fit"}  # fmt: skip


def _report(**arguments: Any) -> Any:
    """What a report makes of its arguments, without the drawing, which takes a hundred times as long."""
    data = _checked(entrances.SELECTION, Given(**arguments))
    shown = {field.name: getattr(data, field.name) for field in dataclasses.fields(data) if field.name != "samples"}
    tiles = [data.samples.tile(row, True) for row in range(entrances.N)]
    return {**shown, "tiles": [(tile.name, tile.text) for tile in tiles]}


QUICK = {"Selection.report": dataclasses.replace(ENTRANCES["Selection.report"], call=_report)}


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
    if "bfloat16" in str(getattr(result, "dtype", "")):
        result = result.float() if hasattr(result, "float") else result.astype(np.float32)
    values = np.asarray(result)
    return [plain(row) for row in values] if values.dtype == object else values.tolist()


def same(found: Any, wanted: Any, kind: Kind) -> bool:
    """Whether two results are the same; JAX holds reals in 32 bits unless told otherwise."""
    return bool(found == wanted) or (kind.group == "JAX" and bool(_narrow(found) == _narrow(wanted)))


def _narrow(result: Any) -> Any:
    if isinstance(result, list):
        return [_narrow(part) for part in result]
    return float(np.float32(result)) if isinstance(result, float) else result


def outcome(entrance: Entrance, argument: str, value: Any) -> Any:
    """A plain result, or the error there is. A warning, as scikit-learn gives of a y with two axes, is no error to users."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return plain(entrance(**{argument: value}))
    except Exception as error:
        return error


def judge(entrance: Entrance, argument: str, reference: Any, kind: Kind, expected: str) -> str:
    """What comes of a kind: "right", "refused", or what is wrong."""
    prepared = kind.prepare(reference)
    value = kind.make(prepared)
    found, wanted = outcome(entrance, argument, value), outcome(entrance, argument, prepared)
    if not isinstance(found, Exception):
        is_right = not isinstance(wanted, Exception) and same(found, wanted, kind)
        return "right" if is_right else f"SILENT: {found!r:.200} instead of {wanted!r:.200}"
    if not isinstance(found, (TypeError, ValueError, coremax.DeviceError)):
        return f"TRACEBACK: {found!r}"
    if isinstance(wanted, Exception) and expected != "refused":
        return (
            "right" if (type(found), str(found)) == (type(wanted), str(wanted)) else f"ANOTHER ERROR: {found!r} for {wanted!r}"
        )
    named = re.search(rf"\b{argument}\b", str(found)) or (isinstance(value, str) and repr(value) in str(found))
    return "refused" if named else f"UNNAMED: {found!r}"


# Where more is taken than numbers: what is in an array, or an entrance and its argument, and the kinds that are due otherwise.
_NAMES = ("NumPy: text", "NumPy: bytes", "NumPy: object", "NumPy: bool", "pandas: with text", "Polars: text", "Arrow: text",
          "Python: list of str")  # fmt: skip
_WALKED = ("Python: generator", "Python: iterator", "Python: map", "Python: values of a mapping")
# An "either" that is none of two results: names of any kind are shown as they are, and mean nothing.
ANYTHING = "anything"
EXCEPTIONS: dict[tuple[str, str], str] = {
    **{("keys", kind): "right" for kind in _NAMES},
    **{("target", kind): "right" for kind in _NAMES},
    ("target", "NumPy: object"): "refused",  # objects that are no text: numbers are to be numbers
    ("target", "NumPy: bytes"): "either",  # by scikit-learn
    ("target", "NumPy: floats as whole numbers"): "right",
    ("target", "NumPy: uint64 beyond int64"): "right",
    **{("target", f"Arrow: {kind}"): "either" for kind in ("Table", "record batch")},
    # scikit-learn makes reals of whatever it can.
    **{("embeddings of scikit-learn", f"NumPy: {kind}"): "right" for kind in ("object", "bytes", "text", "bool")},
    **{("embeddings of scikit-learn", f"ml_dtypes: {kind}"): "right" for kind in ("float8", "int4")},
    ("embeddings of scikit-learn", "NumPy: matrix"): "refused",
    ("classes", "NumPy: object"): "right",
    **{("sklearn.CoresetSelector.fit_resample.X", f"NumPy: {kind}"): ANYTHING for kind in ("bytes", "text")},  # rows as given
    **{("scores.contradiction.graph", f"graphs: {kind}"): "refused" for kind in ("csr_array", "csr_matrix")},  # it wants lists
    ("torch.SubsetSampler.indices", "coremax: Selection"): ANYTHING,  # its indices
    ("Selection.report.labels", "NumPy: bool"): ANYTHING,  # right, under other names
    **{("epochs", kind): "right" for kind in _WALKED},
    **{("epochs of flags", kind): "right" for kind in (*_WALKED, "NumPy: bool")},
    **{("sampling.stratified.quotas", kind): ANYTHING for kind in ("Python: mapping", "Python: Counter")},
}


def due(entry: str, argument: str, kind: Kind) -> str:
    """What is due of a kind at an argument."""
    holds, name = ENTRANCES[entry].arrays[argument], f"{kind.group}: {kind.name}"
    if holds == "ids":
        return "right" if kind.due == "right" else ANYTHING
    return EXCEPTIONS.get((f"{entry}.{argument}", name), EXCEPTIONS.get((holds, name), kind.due))


def wrong(entry: str, argument: str) -> dict[str, str]:
    """The kinds whose outcome is not what is due, with the outcome."""
    found = {}
    for kind, result in column(entry, argument).items():
        expected = due(entry, argument, kind)
        fine = result in ("right", "refused") if expected == "either" else result == expected
        if not (fine or (expected == ANYTHING and result.partition(":")[0] in ("right", "refused", "SILENT"))):
            found[f"{kind.group}: {kind.name}"] = f"{result} (due: {expected})"
    return found


@functools.cache
def column(entry: str, argument: str) -> dict[Kind, str]:
    """The outcomes of all kinds at an argument."""
    entrance, holds = QUICK.get(entry, ENTRANCES[entry]), ENTRANCES[entry].arrays[argument]
    reference = entrance.arguments[argument]
    reference = reference if holds in KINDS_OF else np.asarray(reference)
    known = inspect.signature(FACE[entry.partition(" with ")[0]]).parameters
    optional = argument not in known or known[argument].default is None
    failed = outcome(entrance, argument, reference)
    assert not isinstance(failed, Exception), failed
    return {
        kind: judge(entrance, argument, reference, kind, due(entry, argument, kind))
        for kind in KINDS_OF.get(holds, KINDS)
        if kind.fits(reference) and not (optional and kind.name == "None")
    }


@pytest.mark.parametrize(("entry", "argument"), CELLS, ids=lambda part: part)
def test_every_kind_is_right_or_refused_by_name(entry: str, argument: str) -> None:
    assert wrong(entry, argument) == {}


def test_no_array_is_missing() -> None:
    missing = {
        f"{name}.{parameter.name}"
        for name, function in FACE.items()
        for parameter in parameters(function)
        if (Any in parameter.members or parameter.name == "texts") and parameter.name not in NO_ARRAYS
        if not any(
            parameter.name in ENTRANCES[entry].arrays for entry in (*entrances_of(name), *entrances_of(SHARED.get(name, name)))
        )
    }
    assert missing == set()


def test_a_wrong_result_and_an_error_without_a_name_are_noticed() -> None:
    """The table can fail."""
    reversed_list = next(kind for kind in KINDS if kind.name == "reversed")
    generator = next(kind for kind in KINDS if kind.name == "generator")

    def silent(weights: Any) -> Any:
        return weights.base if weights.base is not None else weights

    def helpless(weights: Any) -> Any:
        return float(weights) if not isinstance(weights, np.ndarray) else weights

    weights = np.arange(3.0)
    assert judge(Entrance(silent), "weights", weights, reversed_list, "right").startswith("SILENT")
    assert judge(Entrance(helpless), "weights", weights, generator, "refused").startswith("UNNAMED")
    assert judge(Entrance(len), "weights", weights, generator, "refused").startswith("UNNAMED")  # len() takes no keyword


# --- The page -----------------------------------------------------------------------------------------------------------------

_MARKS = {"right": "✓", "refused": "✗"}
_INTRODUCTION = """# What may be passed

Every function, class and method that takes arrays, against every kind of object: ✓ the same result as for the NumPy array with
these numbers, ✗ an error that names the argument and says what to pass instead, ∘ taken as names of another kind; an empty cell
where there is no such object (a matrix of a column). No cell is a traceback from a library, or silent.

Numbers are compared after they have been brought to what the kind can hold: float16 to its 11 bits, JAX to 32 bits. The table
is made by `tests/test_entrances.py`, which asserts every cell and this page: `python tests/test_entrances.py` writes it. How
arrays are read, and when they are copied, is on the page [Interoperation](interop.md).
"""


def page() -> str:
    """The table as Markdown."""
    numbers = [cell for cell in CELLS if ENTRANCES[cell[0]].arrays[cell[1]] not in KINDS_OF]
    groups = dict.fromkeys(kind.group for kind in KINDS)
    sections = [(group, numbers, [kind for kind in KINDS if kind.group == group]) for group in groups]
    for title, kinds in (("Texts", TEXT_KINDS), ("Graphs", GRAPH_KINDS), ("Sizes", SIZE_KINDS), ("Tensors", TENSOR_KINDS)):
        cells = [cell for cell in CELLS if KINDS_OF.get(ENTRANCES[cell[0]].arrays[cell[1]]) is kinds]
        sections.append((title, cells, kinds))
    tables = ["\n".join([f"## {title}", "", *_table(cells, kinds), ""]) for title, cells, kinds in sections]
    return "\n".join([_INTRODUCTION, *tables])


def _table(cells: list[tuple[str, str]], kinds: list[Kind]) -> Iterator[str]:
    yield "| " + " | ".join(["argument", *(kind.name for kind in kinds)]) + " |"
    yield "|" + "---|" * (1 + len(kinds))
    for entry, argument in cells:
        found = column(entry, argument)
        marks = ["" if kind not in found else _MARKS.get(found[kind], "∘") for kind in kinds]
        yield f"| `{entry.partition(' with ')[0]}` `{argument}` | " + " | ".join(marks) + " |"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == page()


if __name__ == "__main__":
    import sys

    for cell in CELLS:
        for name, outcome_of_kind in wrong(*cell).items():
            sys.stderr.write(f"{'.'.join(cell)}: {name}: {outcome_of_kind}\n")
    PAGE.write_text(page())
