"""Warnings that point at the line of the caller that they are about."""

from __future__ import annotations

import sys
import warnings


def warn(message: str) -> None:
    """Warn (UserWarning) of the nearest call from outside this package."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and f"{frame.f_globals.get('__name__', '')}.".startswith("coremax."):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, UserWarning, stacklevel=level)
