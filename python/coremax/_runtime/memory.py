"""How much memory there is to have."""

from __future__ import annotations

import os

from . import cgroup


def available(root: str = "/") -> int | None:
    """Bytes of physical memory that are free or can be freed, for this process; None where the system does not tell.

    The least of what the machine has and what control groups, such as a container's, leave. Another root is for tests.
    """
    found = [bytes_ for bytes_ in (_of_machine(root), cgroup.free_memory(root)) if bytes_ is not None]
    return min(found) if found else None


def _of_machine(root: str) -> int | None:
    try:
        with open(os.path.join(root, "proc/meminfo"), encoding="ascii") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable:"))
    except (OSError, ValueError, IndexError, StopIteration):
        return None
