"""Durations and sizes as people read them."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """Seconds; from a minute on two units such as "4 min 10 s" or "3 h 20 min"."""
    if seconds < 59.95:
        return f"{seconds:.3g} s"
    if (whole := round(seconds)) < 3600:
        large, small, rest, units = whole // 60, whole % 60, "s", "min"
    elif (whole := round(seconds / 60)) < 24 * 60:
        large, small, rest, units = whole // 60, whole % 60, "min", "h"
    else:
        whole = round(seconds / 3600)
        large, small, rest, units = whole // 24, whole % 24, "h", "d"
    return f"{large:,} {units}" + (f" {small} {rest}" if small else "")


def size(number: int) -> str:
    """Bytes in KB, MB or GB, of powers of ten."""
    largest, unit = next(((size, unit) for size, unit in ((1e9, "GB"), (1e6, "MB")) if number >= size), (1e3, "KB"))
    return f"{number / largest:.3g} {unit}"
