"""Whole numbers in proportion to shares, in exact arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._inputs import arrays, order
from .._inputs import invalid as _invalid


def largest_remainder(shares: Any, total: int, capacity: Any = None, *, seed: arrays.Seed | None = None) -> Any:
    """Split a total into whole quotas in proportion to shares, by largest remainder.

    Parameters
    ----------
    shares : array [m]
        Finite, not negative. Only their ratios count; a share of zero gets nothing.
    total : int
        What to split, >= 0.
    capacity : array [m] of int64 or int32, optional
        The most each may get, >= 0. What does not fit goes to the others, in proportion to their shares.
    seed : int, SeedSequence or Generator, optional
        Which of equal fractional parts get the units left, by chance. Default: the first ones, always.

    Returns
    -------
    array [m] of int64
        Quotas whose sum is `total` exactly, none above its capacity, in the library of shares.

    Raises
    ------
    ValueError
        NaN, infinity, a negative share or capacity (the place is named); total > 0 and every share zero; total beyond the
        sum of capacities of the positive shares.

    Notes
    -----
    The method of Hamilton: each gets the floor of total * share / sum(shares), and the units left go to the largest
    fractional parts, ties to the lower number or, with a seed, to any. Computed over whole numbers, so no rounding decides a
    tie. With capacities the real quotas are min(capacity, level * share) at the level whose sum is total, and only those below
    their capacity are rounded: rounding never lifts one above it. The quotas then differ from the real ones by less than one.
    O(m log m).

    Examples
    --------
    >>> from coremax.sampling import largest_remainder
    >>> largest_remainder([47, 16, 15.9, 21.1], 10)
    array([5, 2, 1, 2])
    >>> largest_remainder([8, 1, 1], 10, capacity=[3, 9, 9])
    array([3, 4, 3])
    """
    return apportioned(shares, total, capacity, seed, "shares", "total")


def apportioned(shares: Any, total: int, capacity: Any, seed: arrays.Seed | None, name: str, total_name: str) -> Any:
    """As `largest_remainder`, with the names that the caller knows the shares and their total by, for messages."""
    shares = arrays.as_array(shares, name)
    total = arrays.as_count(total, total_name, 0, 2**63 - 1)
    whole = _whole_shares(_numpy(shares, name, arrays.FLOAT_TYPES + arrays.INDEX_TYPES, "float64"), name)
    room = [total] * len(whole) if capacity is None else _capacities(capacity, len(whole))
    receivers = [i for i, share in enumerate(whole) if share > 0]
    if total > 0 and not receivers:
        raise ValueError(f"{name} has no positive element: there is nobody to split a total of {total} among")
    most = sum(room[i] for i in receivers)
    if total > most:
        raise ValueError(f"{total_name} is {total}, but the capacities of the positive {name} sum to {most}")
    quotas = np.zeros(len(whole), np.int64)
    ranks = range(len(whole)) if seed is None else order.chances(len(whole), "quotas", seed).tolist()
    for i, quota in _split(whole, room, receivers, total, ranks):
        quotas[i] = quota
    return arrays.like(quotas, shares)


def _split(shares: list[int], room: list[int], receivers: list[int], total: int, ranks: Sequence[int]) -> list[tuple[int, int]]:
    """Pairs of receiver and quota; of equal fractional parts those of lower rank come first."""
    from fractions import Fraction  # here, because it brings in decimal, which takes long to import

    result = []
    left = sum(shares[i] for i in receivers)
    # The one whose capacity is smallest beside its share is full first: once one is not, none after it is.
    waiting = sorted(receivers, key=lambda i: (Fraction(room[i], shares[i]), i), reverse=True)
    while waiting and total * shares[waiting[-1]] >= room[waiting[-1]] * left:
        full = waiting.pop()
        result.append((full, room[full]))
        total -= room[full]
        left -= shares[full]
    floors = {i: divmod(total * shares[i], left) for i in waiting}
    spare = total - sum(floor for floor, _ in floors.values())
    lucky = set(sorted(waiting, key=lambda i: (-floors[i][1], ranks[i]))[:spare])
    return result + [(i, floors[i][0] + (i in lucky)) for i in waiting]


def _whole_shares(shares: np.ndarray[Any, Any], name: str) -> list[int]:
    """Whole numbers in the exact ratios of the shares: every float is one over a power of two."""
    _invalid.refuse(shares, ~np.isfinite(shares) | (shares < 0), name, f"{name} must be finite and not negative")
    ratios = [value.as_integer_ratio() for value in shares.tolist()]
    unit = max((denominator for _, denominator in ratios), default=1)
    return [numerator * (unit // denominator) for numerator, denominator in ratios]


def _capacities(capacity: Any, m: int) -> list[int]:
    values = _numpy(capacity, "capacity", arrays.INDEX_TYPES, "int64")
    arrays.require_length(len(values), "capacity", m, "shares")
    bad = np.flatnonzero(values < 0)
    if bad.size:
        raise ValueError(f"capacity[{bad[0]}] is {values[bad[0]]}; capacities must not be negative")
    room: list[int] = values.tolist()
    return room


def _numpy(argument: Any, name: str, dtypes: tuple[str, ...], convert_to: str) -> np.ndarray[Any, Any]:
    """Check a one-dimensional argument and bring it to NumPy."""
    array = arrays.as_array(argument, name)
    arrays.as_view(array, name, ndim=1, dtypes=dtypes, convert_to=convert_to)
    return arrays.as_numpy(array)
