"""Orders in which ties stand at random: every selection, cut and quota that ranks values goes through here.

By position the first of equal values would always be kept and the last always left out: data sorted by date would lose the
newest.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _arrays, _core

Integers = np.ndarray[Any, np.dtype[np.int64]]


def shuffled(n: int, use: str, seed: _arrays.Seed) -> Integers:
    """Return the numbers 0 to n - 1 in a random order, another for each use and seed, the same on every machine."""
    ones = _core.import_array(np.ones(n, dtype=np.float32), "ones")
    return _core.sample_without_replacement(ones, n, False, _arrays.seed_of(use, seed), "", 1) if n else np.zeros(0, np.int64)


def chances(n: int, use: str, seed: _arrays.Seed) -> Integers:
    """Return a random rank [n] for every element, none twice: the last key of a sort by several."""
    ranks = np.empty(n, dtype=np.int64)
    ranks[shuffled(n, use, seed)] = np.arange(n)
    return ranks


def ascending(values: np.ndarray[Any, Any], use: str, seed: _arrays.Seed) -> Integers:
    """Return the numbers of the values in ascending order, ties in a random one.

    Parameters
    ----------
    values : array [n]
        Without NaN.
    use : str
        What the order is for: those of two uses are independent of each other.
    seed : int, SeedSequence or Generator

    Returns
    -------
    array [n] of int64
        The same for any thread count and machine. Its last ones are the largest values: ``ascending(...)[::-1]`` descends.
    """
    order = shuffled(len(values), use, seed)
    return order[np.argsort(values[order], kind="stable")]
