"""Every file that a command reads, of every kind: the result of the plain .npy, or exit 2 with one line that names it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pa = pytest.importorskip("pyarrow")
for library in ("click", "ml_dtypes", "safetensors"):
    pytest.importorskip(library)

import pyarrow.parquet as pq  # noqa: E402
from click.testing import CliRunner, Result  # noqa: E402
from safetensors.numpy import save_file  # noqa: E402

from coremax.cli.commands import coremax as command  # noqa: E402
from helpers import clustered  # noqa: E402

N, CLASSES = 24, 3
Array = np.ndarray[Any, Any]
_rng = np.random.default_rng(0)
_LOGITS = _rng.normal(size=(N, CLASSES))
DATA: dict[str, Array] = {
    "x": clustered(N, 4, 3, seed=0) + 4,
    "score": _rng.random(N),
    "labels": np.arange(N) % CLASSES,
    "rows": np.array([1, 5, 9]),
    "probabilities": np.exp(_LOGITS) / np.exp(_LOGITS).sum(1, keepdims=True),
}
# Commands, with the data that stands for each file: the table varies one file at a time.
COMMANDS = {
    "select": "select {x} --importance {score} --labels {labels} --budget 6",
    "select within limits": "select {x} --importance {score} --groups {labels} --group-limits 0.5 --include {rows} --budget 12",
    "select without some": "select {x} --importance {score} --exclude {rows} --budget 6",
    "select by costs": "select {x} --importance {score} --costs {score} --budget 5",
    "select top": "select {x} --importance {score} --method top --budget 6",
    "graph": "graph {x} -k 3",
    "sample": "sample {score} --size 5",
    "score margin": "score margin {probabilities} --labels {labels}",
    "score el2n": "score el2n {probabilities} --labels {labels}",
    "score entropy": "score entropy {probabilities}",
    "score ssp": "score ssp {x} --n-clusters 2",
}


# What the data are called by the functions that the commands call.
NAMES = {
    "x": ["x must", "x[", "x has"],
    "score": ["score", "importance", "weights"],
    "labels": ["labels", "groups"],
    "rows": ["include", "exclude"],
    "probabilities": ["probabilities"],
}


# --- Kinds of files -----------------------------------------------------------------------------------------------------------


def _npy(change: Callable[[Array], Any]) -> Callable[[Array, str], str]:
    def write(a: Array, stem: str) -> str:
        np.save(f"{stem}.npy", change(a), allow_pickle=True)
        return f"{stem}.npy"

    return write


def _parquet(change: Callable[[Array], Any]) -> Callable[[Array, str], str]:
    def write(a: Array, stem: str) -> str:
        pq.write_table(pa.table({"a": change(a)}), f"{stem}.parquet")
        return f"{stem}.parquet:a"

    return write


def _bytes(suffix: str, content: bytes) -> Callable[[Array, str], str]:
    def write(a: Array, stem: str) -> str:
        Path(stem + suffix).write_bytes(content)
        return stem + suffix

    return write


def _npz(a: Array, stem: str) -> str:
    np.savez(f"{stem}.npz", other=np.zeros(3), a=a)
    return f"{stem}.npz:a"


def _safetensors(a: Array, stem: str) -> str:
    save_file({"a": np.ascontiguousarray(a), "other": np.zeros(3)}, f"{stem}.safetensors")
    return f"{stem}.safetensors:a"


def _cut(write: Callable[[Array, str], str]) -> Callable[[Array, str], str]:
    def cut(a: Array, stem: str) -> str:
        name = write(a, stem)
        path = Path(name.partition(":")[0])
        path.write_bytes(path.read_bytes()[:-20])
        return name

    return cut


def _folder(a: Array, stem: str) -> str:
    Path(stem).mkdir()
    np.save(f"{stem}/a.npy", a)
    return stem


def _lists(a: Array, width: int = -1) -> Any:
    kind = pa.from_numpy_dtype(a.dtype)
    return pa.array(a.tolist(), kind if a.ndim == 1 else pa.list_(kind, width if width < 0 else a.shape[1]))


def _large_lists(a: Array) -> Any:
    return _lists(a) if a.ndim == 1 else _lists(a).cast(pa.large_list(pa.from_numpy_dtype(a.dtype)))


def _null(a: Array) -> Any:
    return pa.array([None, *a[1:].tolist()])


RIGHT: dict[str, Callable[[Array, str], str]] = {
    "big-endian": _npy(lambda a: a.astype(a.dtype.newbyteorder(">"))),
    "Fortran order": _npy(np.asfortranarray),
    ".npz": _npz,
    ".safetensors": _safetensors,
    "Parquet": _parquet(_lists),
    "Parquet, large lists": _parquet(_large_lists),
    "Parquet, fixed lists": _parquet(lambda a: _lists(a, 1)),
    "Parquet, dictionary": _parquet(lambda a: pa.array(a).dictionary_encode() if a.ndim == 1 else _lists(a)),
}
OTHER: dict[str, Callable[[Array, str], str]] = {
    "objects": _npy(lambda a: a.astype(object)),
    "structured": _npy(lambda a: np.zeros(a.shape, [("a", a.dtype)])),
    "complex": _npy(lambda a: a.astype(complex)),
    "dates": _npy(lambda a: a.astype(np.int64).astype("datetime64[s]")),
    "0-d": _npy(lambda a: np.array(1.0)),
    "another dimension": _npy(lambda a: a[..., None]),
    "fewer rows": _npy(lambda a: a[:-1]),
    "no rows": _npy(lambda a: a[:0]),
    "bool": _npy(lambda a: a.astype(bool)),
    "text": _npy(lambda a: a.astype(str)),
    "NaN": _npy(lambda a: np.full(a.shape, np.nan)),
    "cut off": _cut(_npy(lambda a: a)),
    ".npz without a name": lambda a, stem: _npz(a, stem).partition(":")[0],
    ".npz, no such name": lambda a, stem: _npz(a, stem) + "b",
    ".npz cut off": _cut(_npz),
    ".safetensors cut off": _cut(_safetensors),
    "Parquet, null": _parquet(_null),
    "Parquet, text": _parquet(lambda a: pa.array([str(i) for i in range(len(a))])),
    "Parquet, string view": _parquet(lambda a: pa.array([str(i) for i in range(len(a))], pa.string_view())),
    "Parquet, dates": _parquet(lambda a: pa.array(np.arange(len(a), dtype=np.int32)).cast(pa.date32())),
    "Parquet, decimals": _parquet(lambda a: pa.array(np.arange(len(a))).cast(pa.decimal128(38, 2))),
    "Parquet, bool": _parquet(lambda a: pa.array(np.arange(len(a)) > 2)),
    "Parquet, structs": _parquet(lambda a: pa.array([{"b": 1}] * len(a))),
    "Parquet, maps": _parquet(lambda a: pa.array([[("b", 1)]] * len(a), pa.map_(pa.string(), pa.int64()))),
    "Parquet, lists of text": _parquet(lambda a: pa.array([["b"]] * len(a))),
    "Parquet, ragged lists": _parquet(lambda a: pa.array([[1.0], *[[1.0, 2.0]] * (len(a) - 1)])),
    "Parquet, nulls only": _parquet(lambda a: pa.nulls(len(a))),
    "Parquet, no such column": lambda a, stem: _parquet(_lists)(a, stem) + "b",
    "Parquet cut off": _cut(_parquet(_lists)),
    "missing": lambda a, stem: f"{stem}-missing.npy",
    "folder": _folder,
    "glob": lambda a, stem: _folder(a, stem) + "/*.npy",
    "no suffix": _bytes("", b"abc"),
    "wrong suffix": _bytes(".bin", b"abc"),
    "a picture": _bytes(".png", b"\x89PNG\r\n\x1a\n"),
    **{f"empty {suffix}": _bytes(suffix, b"") for suffix in (".npy", ".npz", ".parquet", ".safetensors", ".txt", ".csv")},
    **{f"noise {suffix}": _bytes(suffix, bytes(range(256))) for suffix in (".npy", ".npz", ".parquet", ".safetensors", ".txt")},
}
CELLS = [(name, place) for name, line in COMMANDS.items() for place in range(line.count("{"))]


def run(line: str, files: list[str], output: str) -> Result:
    """Run a command in this process, with a file for each place."""
    parts = iter(files)
    words = [next(parts) if word.startswith("{") else word for word in line.split()]
    return CliRunner().invoke(command, [*words, "-o", output, "--threads", "1"])


def result_of(path: str) -> Any:
    """What a command wrote, without what tells of the run."""
    found = np.load(path)
    if isinstance(found, np.ndarray):
        return found.tolist()
    with found:
        return {name: found[name].tolist() for name in found.files}


@pytest.mark.parametrize(("name", "place"), CELLS, ids=str)
def test_every_kind_of_file(name: str, place: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    line = COMMANDS[name]
    holds = re.findall(r"{(\w+)}", line)
    suffix = ".npz" if line.startswith("graph") else ".npy"
    for what in holds:
        np.save(f"{what}.npy", DATA[what])
    plain = [f"{what}.npy" for what in holds]
    reference = run(line, plain, f"reference{suffix}")
    assert reference.exit_code == 0, reference.output
    before = line.split("{")[place].split()[-1]  # the option, or the command of an argument
    names = [before.lstrip("-").replace("-", "_"), *NAMES[holds[place]]]
    wrong = {}
    for number, (kind, write) in enumerate({**RIGHT, **OTHER}.items()):
        given = write(DATA[holds[place]], f"file{number}")
        output = f"out{number}{suffix}"
        found = run(line, [*plain[:place], given, *plain[place + 1 :]], output)
        if problem := _problem(found, kind in RIGHT, given, names, f"reference{suffix}", output):
            wrong[kind] = f"{problem}: {found.output[-300:]} {found.exception!r}"
    assert wrong == {}, "\n".join(f"{kind}: {text}" for kind, text in wrong.items())


def _problem(found: Result, is_right: bool, given: str, names: list[str], reference: str, output: str) -> str:
    """What is wrong with an outcome, or nothing."""
    if found.exit_code == 0:
        return "other result" if is_right and result_of(output) != result_of(reference) else ""
    if is_right or found.exit_code != 2 or not (found.exception is None or isinstance(found.exception, SystemExit)):
        return f"exit {found.exit_code}"
    lines = [text for text in found.stderr.splitlines() if text.strip()]
    if len(lines) != 1:
        return f"{len(lines)} lines"
    return "" if any(name in lines[0] for name in [given.partition(":")[0], *names]) else "unnamed"
