"""Checks of single values."""

from __future__ import annotations

from typing import Any

import numpy as np


def as_flag(value: Any, name: str) -> bool:
    """Check a flag: True or False, of Python or NumPy; anything else, such as the text "False", is refused.

    Raises
    ------
    TypeError
        The argument is named.
    """
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def as_optional_flag(value: Any, name: str) -> bool | None:
    """Check a flag that may be left open; raises TypeError for anything but True, False and None."""
    if value is not None and not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True, False or None, got {value!r}")
    return None if value is None else bool(value)
