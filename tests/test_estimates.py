"""How long and how much: the approximate mode, units that people read, and the memory that a Parquet file takes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import coremax
from coremax import _core
from coremax._runtime import amounts
from coremax.cli._estimate import format_estimate
from coremax.cli.commands import coremax as command


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.00123, "0.00123 s"), (9.87, "9.87 s"), (59.9, "59.9 s"), (59.96, "1 min"), (250.4, "4 min 10 s"),
        (3599.4, "59 min 59 s"),
        (3599.6, "1 h"), (12_000, "3 h 20 min"), (86_399, "1 d"), (190_000, "2 d 5 h"), (1e9, "11,574 d 2 h"),
    ],
)  # fmt: skip
def test_durations(seconds: float, text: str) -> None:
    assert amounts.duration(seconds) == text


def test_the_approximate_mode_is_known() -> None:
    for n in (10_000, 1_000_000):
        exact = coremax.graph.estimate(n, 8, 5, threads=2)
        plan = coremax.graph.estimate(n, 8, 5, mode="approximate", recall=0.9, threads=2)
        assert plan.extra_bytes == _core.topk_extra_bytes(n, 8, 5, coremax.show_config("dicts")["isa"], "approximate", 2)
        assert plan.output_bytes == exact.output_bytes
        assert plan.most_seconds == exact.seconds == exact.most_seconds
        assert (plan.mode, exact.mode) == ("approximate", "exact")
        # Few rows are answered exactly; of many no more than the exact mode takes.
        assert plan.seconds == exact.seconds if n == 10_000 else 0 < plan.seconds < exact.seconds
    assert coremax.graph.estimate(2_000_000, 8, 5, mode="approximate", recall=0.9, threads=2).seconds > 1.9 * plan.seconds


def test_estimates_as_text() -> None:
    plan = coremax.graph.Estimate(12_000, 1_500_000_000, 120_000_000)
    assert str(plan) == "about 3 h 20 min; 1.5 GB of working memory and 120 MB for the result"
    plan = coremax.graph.Estimate(100, 1_500_000, 120_000, "approximate", 7200)
    assert str(plan).startswith("about 1 min 40 s where rows cluster, up to 2 h where they do not; ")
    found = {"seconds": {"graph": 11_000.0, "solve": 1000.0, "total": 12_000.0}, "bytes": 10**9, "input_bytes": 10**6}
    assert "would take about 3 h 20 min (graph 3 h 3 min, solve 16 min 40 s)" in format_estimate(found)


def test_bad_modes_are_refused() -> None:
    with pytest.raises(ValueError, match="mode must be one of"):
        coremax.graph.estimate(100, 8, mode="fast")  # type: ignore[arg-type,unused-ignore]
    with pytest.raises(ValueError, match="recall must be"):
        coremax.graph.estimate(100, 8, mode="approximate", recall=0)


def test_a_dry_run_passes_the_mode_on(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32))
    call = ["graph", str(tmp_path / "x.npy"), "-o", str(tmp_path / "g.npz"), "--dry-run"]
    told = CliRunner().invoke(command, [*call, "--mode", "approximate"])
    assert re.search(r"up to .* where rows do not cluster", told.output)
    assert "most_seconds" in json.loads(CliRunner().invoke(command, [*call, "--mode", "approximate", "--json"]).stdout)
    assert "cluster" not in CliRunner().invoke(command, call).output


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the peak is read from /proc")
@pytest.mark.parametrize("kind", ["lists of one length", "lists"])
def test_a_parquet_file_takes_the_memory_of_its_array(tmp_path: Path, kind: str) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    n, d = 150_000, 128

    def write(rows: int, name: str) -> None:
        x = np.random.default_rng(0).normal(size=(rows, d)).astype(np.float32)
        if kind == "lists":
            table = pa.table({"e": pa.ListArray.from_arrays(np.arange(rows + 1, dtype=np.int32) * d, x.ravel())})
        else:
            table = pa.table({"e": pa.FixedSizeListArray.from_arrays(x.ravel(), d)})
        pq.write_table(table, tmp_path / name)

    write(10, "few.parquet")
    write(n, "many.parquet")
    code = """
import sys
from coremax.cli._read import parse_source, read_array

def peak():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))

few = read_array(parse_source(sys.argv[1]))  # so that libraries are loaded
before = peak()
array = read_array(parse_source(sys.argv[2]))
print((peak() - before) / array.nbytes)
"""
    files = [str(tmp_path / "few.parquet"), str(tmp_path / "many.parquet")]
    out = subprocess.run([sys.executable, "-c", code, *files], check=True, capture_output=True, text=True).stdout
    assert 0.9 < float(out) < 1.3
