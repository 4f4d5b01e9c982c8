"""Quotas by largest remainder: against a unit by unit oracle, and what callers may pass."""

from __future__ import annotations

import doctest
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coremax.sampling import _quotas, largest_remainder
from oracles import sampling as oracle

MANY = settings(deadline=None, max_examples=200)
SHARES = st.lists(st.integers(0, 6).map(float) | st.floats(0, 1e300) | st.sampled_from([5e-324, 1e308]), max_size=8)


@MANY
@given(SHARES, st.integers(0, 40), st.data())
def test_quotas_follow_the_oracle(shares: list[float], total: int, data: Any) -> None:
    capacity = data.draw(st.none() | st.lists(st.integers(0, 20), min_size=len(shares), max_size=len(shares)))
    room = [total] * len(shares) if capacity is None else capacity
    most = sum(limit for limit, share in zip(room, shares, strict=True) if share > 0)
    if total > most:
        with pytest.raises(
            ValueError, match="nobody to split" if not any(shares) else f"total is {total}, but .* sum to {most}"
        ):
            largest_remainder(shares, total, capacity)
        return
    quotas = largest_remainder(shares, total, capacity).tolist()
    assert quotas == oracle.quotas(shares, total, room)
    assert sum(quotas) == total
    assert all(quota <= limit for quota, limit in zip(quotas, room, strict=True))


@MANY
@given(st.lists(st.integers(0, 1000), min_size=1, max_size=30).filter(any), st.integers(0, 2**62), st.integers(-900, 900))
def test_quotas_keep_to_their_share(shares: list[int], total: int, exponent: int) -> None:
    quotas = largest_remainder(shares, total).tolist()
    for share, quota in zip(shares, quotas, strict=True):
        assert abs(quota - Fraction(total * share, sum(shares))) < 1
    assert largest_remainder(np.ldexp(np.array(shares, float), exponent), total).tolist() == quotas


def test_ties_go_to_the_lower_number() -> None:
    assert largest_remainder([1, 1, 1, 1], 6).tolist() == [2, 2, 1, 1]
    # 0.1 + 0.2 is not 0.3 in float64, and the shares are what is given
    assert largest_remainder([0.3, 0.1 + 0.2], 1).tolist() == [0, 1]


def test_capacities_pass_on_what_does_not_fit() -> None:
    assert largest_remainder([8, 1, 1], 10, [3, 9, 9]).tolist() == [3, 4, 3]
    assert largest_remainder([8, 4, 1], 10, [3, 3, 9]).tolist() == [3, 3, 4]
    assert largest_remainder([1, 1], 4, [2, 2]).tolist() == [2, 2]
    assert largest_remainder([1, 5], 3, [0, 7]).tolist() == [0, 3]


@pytest.mark.parametrize(
    ("shares", "total", "capacity", "kind", "match"),
    [
        ([1.0, np.nan], 1, None, ValueError, r"shares\[1\] is nan; shares must be finite and not negative"),
        ([1.0, np.inf], 1, None, ValueError, r"shares\[1\] is inf"),
        ([-1.0, 1.0], 1, None, ValueError, r"shares\[0\] is -1.0"),
        ([[1.0]], 1, None, ValueError, "shares must be one-dimensional"),
        ([0.0, 0.0], 1, None, ValueError, "shares has no positive element"),
        ([], 1, None, ValueError, "shares has no positive element"),
        (["a"], 1, None, TypeError, "shares must be"),
        ([1.0], -1, None, ValueError, "total must be"),
        ([1.0], 1.5, None, TypeError, "total must be an int"),
        ([1.0], 2**63, None, ValueError, "total must be"),
        ([1.0, 1.0], 1, [1], ValueError, "capacity has 1 elements, but shares has 2"),
        ([1.0, 1.0], 1, [1, -1], ValueError, r"capacity\[1\] is -1"),
        ([1.0, 1.0], 1, [1.0, 1.0], TypeError, "capacity must be int64 or int32"),
        ([1.0, 0.0], 2, [1, 5], ValueError, "total is 2, but the capacities of the positive shares sum to 1"),
    ],
)
def test_bad_arguments(shares: Any, total: Any, capacity: Any, kind: type[Exception], match: str) -> None:
    with pytest.raises(kind, match=match):
        largest_remainder(shares, total, capacity)


def test_libraries_and_types() -> None:
    tensor = largest_remainder(torch.tensor([1.0, 3.0], dtype=torch.bfloat16), 4, torch.tensor([4, 2]))
    assert isinstance(tensor, torch.Tensor)
    assert tensor.tolist() == [2, 2]
    assert largest_remainder(np.array([2**63, 2**63 + 2**11], np.uint64), 1).tolist() == [0, 1]
    assert largest_remainder([], 0).tolist() == []
    assert largest_remainder([0.0, 0.0], 0).dtype == np.int64


def test_example_runs() -> None:
    assert doctest.testmod(_quotas).failed == 0
