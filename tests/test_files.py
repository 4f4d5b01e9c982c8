"""Writing files: whole or not at all, with errors that name the file and the cause."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import coremax
from coremax._runtime import files

X = np.random.default_rng(0).normal(size=(3000, 8)).astype(np.float32)
WRITERS: dict[str, Callable[[], Any]] = {
    "graph.npz": lambda: coremax.topk_graph(X, 5).save("graph.npz"),
    "table.npz": lambda: coremax.AliasTable(np.ones(50_000)).save("table.npz"),
    "page.html": lambda: coremax.selection.random(9, 3).report("page.html"),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_is_named_with_its_file(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource")
    signal = pytest.importorskip("signal")
    if name.endswith(".html"):
        pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    Path(name).write_text("of before")
    before = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    WRITERS[name]()  # libraries write files of their own when they are first used
    Path(name).write_text("of before")
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, before[0][1]))
        with pytest.raises(OSError, match=rf"\[Errno 27\] File too large: '{name}'$"):
            WRITERS[name]()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before[0])
        signal.signal(signal.SIGXFSZ, before[1])
    assert os.listdir() == [name]
    assert Path(name).read_text() == "of before"


def test_a_full_disk_under_data_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resource, signal = (pytest.importorskip(name) for name in ("resource", "signal"))
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    from coremax.datasets import select_parquet

    monkeypatch.chdir(tmp_path)
    pq.write_table(pa.table({"emb": list(X), "score": np.arange(3000.0)}), "rows.parquet")
    chosen = select_parquet("rows.parquet", 2000, score="score", method="top")
    scratched: dict[str, Any] = {"embedding": "emb", "method": "semdedup", "scratch": "."}
    assert len(select_parquet("rows.parquet", 5, **scratched).selection) == 5
    limit, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limit[1]))
        with pytest.raises(OSError, match=r"\[Errno 27\] File too large: 'new/rows.parquet'$"):
            chosen.write("new")
        with pytest.raises(OSError, match=r"\[Errno 27\] File too large: '.*/embeddings'$"):
            select_parquet("rows.parquet", 5, **scratched)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, handler)
    assert os.listdir() == ["rows.parquet"]


@pytest.mark.parametrize("output", ["kept.npy", "kept.txt", "kept.parquet"])
def test_a_full_disk_on_the_command_line(output: str, tmp_path: Path) -> None:
    pytest.importorskip("resource")
    if output.endswith(".parquet"):
        pytest.importorskip("pyarrow")
    np.save(tmp_path / "w.npy", np.ones(300_000))
    program = [sys.executable, "-m", "coremax", "sample", "w.npy", "--size", "300000", "-o", output]
    shell = f"ulimit -f 30; {shlex.join(program)}"  # blocks of 512 or 1024 bytes
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"coremax: [Errno 27] File too large: '{output}'\n"
    assert os.listdir(tmp_path) == ["w.npy"]


def test_errors_about_other_files_are_left_alone(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"'absent'$"), files.replacing(tmp_path / "a"):
        open("absent")  # noqa: SIM115  # does not open
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("address", ["s3://bucket/x.npz", "gs://b/x.npz", "hf://datasets/a/x.npz", "https://host/x.npz"])
def test_addresses_are_no_files(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    for call in (
        coremax.topk_graph(X[:9], 2).save,
        coremax.Graph.load,
        coremax.AliasTable([1.0]).save,
        coremax.AliasTable.load,
        coremax.selection.random(9, 3).report,
    ):
        with pytest.raises(ValueError, match=f"^{address} is an address, not a file"):
            call(address)
        with pytest.raises(ValueError, match=f"^{address} is an address, not a file"):
            call(Path(address))  # has one slash only
    with pytest.raises(ValueError, match=f"^{address[:-4]}.txt is an address, not a file"):
        coremax.text.ngram_counts(Path(address).with_suffix(".txt"))
    assert os.listdir() == []
