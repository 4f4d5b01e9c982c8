"""Numbers as text, for pages and notebooks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

__all__ = ["count", "full", "gap", "number", "percent", "seconds", "share", "short", "similarity", "stages"]


def count(value: int) -> str:
    """A whole number with its thousands told apart."""
    return f"{value:,}"


def number(value: Any) -> str:
    """A parameter, floats to four places."""
    if value is None:
        return "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def percent(fraction: float) -> str:
    """A share to a tenth of a percent."""
    return f"{100 * fraction:.1f}\u202f%"


def share(fraction: float) -> str:
    """A share to three places, however small."""
    return f"{100 * fraction:.3g}\u202f%"


def gap(fraction: float) -> str:
    """A gap: two places, rounded up, so that "at most" stays true; no smaller than a thousandth of a percent."""
    if not 0 < fraction < math.inf:
        return f"{100 * fraction:g}\u202f%"
    fraction = max(fraction, 1e-5)
    unit = 10.0 ** (math.floor(math.log10(100 * fraction)) - 1)
    return f"{math.ceil(100 * fraction / unit - 1e-9) * unit:.2g}\u202f%"


def seconds(value: float) -> str:
    """A duration."""
    if value >= 120:
        return f"{value / 60:.1f}\u202fmin"
    return f"{value:.3g}\u202fs" if value >= 1 else f"{1000 * value:.3g}\u202fms"


def short(value: float) -> str:
    """A number for a sentence: three places, no exponent where none is needed."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    return f"{value:,.3f}".rstrip("0").rstrip(".") if 1e-2 <= abs(value) < 1e4 else f"{value:.3g}"


def full(value: float) -> str:
    """A number that others are compared with: six places."""
    return f"{value:,.6g}"


def similarity(value: float) -> str:
    """A similarity: rounded down, so that "at least" stays true."""
    return f"{math.floor(1e4 * value) / 1e4:.4f}" if 0 <= value < 10 else short(value)


def stages(timings: Mapping[str, float]) -> str:
    """Durations by name."""
    return ", ".join(f"{name.replace('_', ' ')} {seconds(value)}" for name, value in timings.items())
