"""How much memory the machine has to give."""

from __future__ import annotations


def available() -> int | None:
    """Bytes of physical memory that are free or can be freed; None where the system does not tell."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable:"))
    except (OSError, ValueError, IndexError, StopIteration):
        return None
