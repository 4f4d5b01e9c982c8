"""What control groups leave of a Linux machine: processors and memory, of version 1 and 2, as containers limit them.

The kernel's documents are admin-guide/cgroup-v2.rst and admin-guide/cgroup-v1/{memory,cpusets}.rst, scheduler/sched-bwc.rst.
Limits of a group hold for all groups in it, so that every group from the process's own up to the mount counts. In a container
the path that /proc tells may be one of the host, of which only the upper end is there: what is missing is passed over.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

_NONE_FROM = 1 << 60  # version 1 has no word for "no limit" of memory: it shows the largest whole number of pages


def cpus(root: str = "/") -> int | None:
    """Whole processors that the quotas of processor time amount to, rounded up; None without a quota."""
    found = []
    for folder in _folders(root, "cpu"):
        quota, _, period = (_read(folder, "cpu.max") or "").partition(" ")
        found.append((_whole(quota), _whole(period or "100000")))
        found.append((_whole(_read(folder, "cpu.cfs_quota_us")), _whole(_read(folder, "cpu.cfs_period_us"))))
    whole = [-(-quota // period) for quota, period in found if quota is not None and period is not None and quota > 0 < period]
    return max(min(whole), 1) if whole else None


def free_memory(root: str = "/") -> int | None:
    """Bytes that the limits of memory leave, files that the kernel can drop from its cache included; None without a limit.

    `memory.high`, above which the kernel slows a group down until it shrinks, counts as a limit.
    """
    found = []
    for folder in _folders(root, "memory"):
        named = ("memory.max", "memory.high", "memory.limit_in_bytes")
        limits = [limit for name in named if (limit := _whole(_read(folder, name))) is not None and limit < _NONE_FROM]
        if limits:
            used = _whole(_read(folder, "memory.current")) or _whole(_read(folder, "memory.usage_in_bytes")) or 0
            found.append(max(min(limits) - max(used - _cached(folder), 0), 0))
    return min(found) if found else None


def _cached(folder: str) -> int:
    """Bytes of files in memory, of the group and those in it."""
    lines = (_read(folder, "memory.stat") or "").splitlines()
    stat = dict(line.split(" ", 1) for line in lines if " " in line)
    prefix = "total_" if "total_inactive_file" in stat else ""  # of version 1, where the bare names leave out groups within
    return sum(_whole(stat.get(f"{prefix}{kind}_file")) or 0 for kind in ("inactive", "active"))


def _folders(root: str, controller: str) -> Iterator[str]:
    """Folders of the groups this process is in, with one controller or of version 2, each with those above it."""
    top = os.path.join(root, "sys/fs/cgroup")
    mounts = {(top, "/"), (os.path.join(top, controller), "/")}
    for line in (_read(root, "proc/self/cgroup") or "").splitlines():
        _, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        if not names:
            mounts |= {(top, path), (os.path.join(top, "unified"), path)}
        elif controller in names.split(","):
            mounts |= {(os.path.join(top, names), path), (os.path.join(top, controller), path)}
    for mount, path in sorted(mounts):
        parts = [part for part in path.split("/") if part not in ("", "..")]
        for length in range(len(parts), -1, -1):
            yield os.path.join(mount, *parts[:length])


def _read(folder: str, name: str) -> str | None:
    try:
        with open(os.path.join(folder, name), encoding="ascii", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return None


def _whole(text: str | None) -> int | None:
    """A whole number, or None for "max", -1 and what is none."""
    return int(text) if text is not None and text.isdecimal() and text.isascii() and len(text) <= 20 else None
