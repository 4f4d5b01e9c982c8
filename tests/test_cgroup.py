"""Limits of control groups, read from folders that look like those of a kernel."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from coremax._inputs import arrays
from coremax._runtime import cgroup, memory

GIB = 1 << 30
HUGE = str(2**63 - 4096)  # what version 1 shows where there is no limit


def tree(root: Path, files: dict[str, str], groups: str) -> str:
    for name, content in {
        **{f"sys/fs/cgroup/{name}": content for name, content in files.items()},
        "proc/self/cgroup": groups,
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content + "\n")
    return str(root)


V2 = "0::/a/b"
V1 = "5:memory:/docker/1234\n4:cpu,cpuacct:/docker/1234\n3:cpuset:/\n1:name=systemd:/x"
CPUS: list[tuple[dict[str, str], str, int | None]] = [
    ({}, "", None),
    ({"cpu.max": "100000 100000"}, "", 1),  # no word of the group, as in a simulated container
    ({"a/b/cpu.max": "150000 100000"}, V2, 2),
    ({"a/b/cpu.max": "max 100000", "a/cpu.max": "300000 100000", "cpu.max": "900000 100000"}, V2, 3),
    ({"a/b/cpu.max": "900000 100000", "a/cpu.max": "100000 200000"}, V2, 1),
    ({"unified/a/b/cpu.max": "200000 100000"}, V2, 2),
    ({"a/b/cpu.max": "200000"}, V2, 2),
    ({"a/b/cpu.max": "max"}, V2, None),
    ({"cpu.max": "200000 100000"}, "0::/../../x", 2),  # a group outside of the name space
    ({"cpu,cpuacct/docker/1234/cpu.cfs_quota_us": "250000", "cpu,cpuacct/docker/1234/cpu.cfs_period_us": "100000"}, V1, 3),
    ({"cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "100000"}, V1, 1),  # in a container: its group is the mount
    ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, V1, None),
    ({"cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "0"}, V1, None),
    ({"cpu/cpu.cfs_quota_us": "200000"}, V1, None),
    ({"cpu.max": "nonsense here"}, V2, None),
    ({"cpu.max": ""}, V2, None),
    ({"cpu.max": "1" * 5000}, "no such : line\n::::", None),
]


@pytest.mark.parametrize(("files", "groups", "expected"), CPUS)
def test_cpus(files: dict[str, str], groups: str, expected: int | None, tmp_path: Path) -> None:
    assert cgroup.cpus(tree(tmp_path, files, groups)) == expected


def v2_memory(limit: str, current: int, inactive: int = 0, active: int = 0) -> dict[str, str]:
    return {"memory.max": limit, "memory.current": str(current),
            "memory.stat": f"anon 5\nfile 7\ninactive_file {inactive}\nactive_file {active}"}  # fmt: skip


def under(folder: str, files: dict[str, str]) -> dict[str, str]:
    return {f"{folder}/{name}": content for name, content in files.items()}


MEMORY: list[tuple[dict[str, str], str, int | None]] = [
    ({}, "", None),
    (under("a/b", v2_memory("max", GIB)), V2, None),
    (under("a/b", v2_memory(str(4 * GIB), GIB)), V2, 3 * GIB),
    (under("a/b", v2_memory(str(4 * GIB), 3 * GIB, GIB, GIB // 2)), V2, 2 * GIB + GIB // 2),
    ({**under("a/b", v2_memory("max", GIB)), **under("a", v2_memory(str(4 * GIB), 3 * GIB))}, V2, GIB),
    ({**under("a/b", v2_memory(str(9 * GIB), GIB)), "a/b/memory.high": str(2 * GIB)}, V2, GIB),
    (under("a/b", v2_memory(str(GIB), 2 * GIB)), V2, 0),
    ({"memory.max": str(GIB)}, "", GIB),
    ({"memory.max": "plenty", "memory.high": "-5"}, V2, None),
    (
        under("memory/docker/1234", {
            "memory.limit_in_bytes": str(2 * GIB), "memory.usage_in_bytes": str(GIB),
            "memory.stat": f"inactive_file 1\nactive_file 1\ntotal_inactive_file {GIB // 4}\ntotal_active_file {GIB // 4}",
        }),
        V1, GIB + GIB // 2,
    ),
    ({"memory/memory.limit_in_bytes": HUGE, "memory/memory.usage_in_bytes": str(GIB)}, V1, None),
    ({"memory/memory.limit_in_bytes": str(GIB), "memory/memory.usage_in_bytes": "?"}, V1, GIB),
]  # fmt: skip


@pytest.mark.parametrize(("files", "groups", "expected"), MEMORY)
@pytest.mark.parametrize("machine", [None, 3 * GIB // 2])
def test_memory(files: dict[str, str], groups: str, expected: int | None, machine: int | None, tmp_path: Path) -> None:
    root = tree(tmp_path, files, groups)
    assert cgroup.free_memory(root) == expected
    if machine is not None:
        (tmp_path / "proc/meminfo").write_text(f"MemTotal: 9 kB\nMemAvailable:   {machine // 1024} kB\n")
    numbers = [number for number in (expected, machine) if number is not None]
    assert memory.available(root) == (min(numbers) if numbers else None)


def test_default_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COREMAX_NUM_THREADS", raising=False)
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    for quota, expected in ((None, allowed), (1, 1), (10_000, allowed)):
        monkeypatch.setattr(arrays, "_quota", lambda quota=quota: quota)
        assert arrays.as_threads(None) == expected
    monkeypatch.setattr(arrays, "_quota", lambda: 1)
    assert arrays.as_threads(7) == 7
    monkeypatch.setenv("COREMAX_NUM_THREADS", "5")
    assert arrays.as_threads(None) == 5


@pytest.mark.skipif(sys.platform != "linux", reason="control groups are of Linux")
def test_a_container_of_one_cpu() -> None:
    """As `docker run --cpus=1 --memory=...` shows it: other files in place of those of the control groups, for one process."""
    python = f"{sys.executable} -c 'import coremax; from coremax._runtime import memory;"
    python += ' print(coremax.show_config("dicts")["threads"], memory.available())\''
    script = (
        "mount -t tmpfs none /sys/fs/cgroup && echo '100000 100000' > /sys/fs/cgroup/cpu.max && "
        f"echo 123456789 > /sys/fs/cgroup/memory.max && env -u COREMAX_NUM_THREADS {python}"
    )
    mount = "mount -t tmpfs none /sys/fs/cgroup"
    possible = subprocess.run(["unshare", "-m", "bash", "-c", mount], capture_output=True, text=True, check=False)
    if possible.returncode:
        pytest.skip(f"no name space of mounts here: {possible.stderr}")
    result = subprocess.run(["unshare", "-m", "bash", "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["1", "123456789"]
