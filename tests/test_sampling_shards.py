"""Draws without replacement from shards: bit for bit those from the whole."""

from __future__ import annotations

import pickle
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from coremax import sample
from coremax.sampling import PartialSample, merge, partial_sample
from helpers import THREADS

MANY = settings(deadline=None, max_examples=150)
ANY_WEIGHTS = st.lists(
    st.floats(0, 1.7e308) | st.just(0.0) | st.sampled_from([5e-324, 1e-308, 1e-300, 1.0, 3.0, 1e300]), min_size=1, max_size=40
).filter(any)


def shards_of(weights: NDArray[Any], cuts: list[int], size: int, **options: Any) -> list[PartialSample]:
    edges = [0, *sorted(cuts), len(weights)]
    return [partial_sample(weights[a:b], size, start=a, **options) for a, b in pairwise(edges)]


@MANY
@given(ANY_WEIGHTS, st.integers(0, 2**64 - 1), st.booleans(), st.data())
def test_merging_gives_the_draw_of_the_whole(numbers: list[float], seed: int, log_weights: bool, data: Any) -> None:
    weights = np.array(numbers)
    n_positive = int(np.count_nonzero(weights))
    with np.errstate(divide="ignore"):
        weights = np.log(weights) if log_weights else weights
    size = data.draw(st.integers(0, n_positive))
    cuts = data.draw(st.lists(st.integers(0, len(weights)), max_size=4))
    parts = shards_of(weights, cuts, size + data.draw(st.integers(0, 3)), log_weights=log_weights, seed=seed)
    expected = sample(weights, size, log_weights=log_weights, seed=seed).tolist()
    parts = data.draw(st.permutations(parts))
    assert merge(parts, size).tolist() == expected
    cut = data.draw(st.integers(1, len(parts)))
    halves = [PartialSample.combine(half) for half in (parts[:cut], parts[cut:]) if half]
    whole, again = PartialSample.combine(parts), PartialSample.combine(reversed(halves))
    assert (whole.indices.tolist(), whole.times.tolist(), whole.size, whole.shards) == (
        (again.indices.tolist(), again.times.tolist(), again.size, again.shards)
    )
    assert merge([again], size).tolist() == expected


@pytest.mark.parametrize("log_weights", [False, True])
@pytest.mark.parametrize("threads", THREADS)
def test_large_shards(log_weights: bool, threads: int) -> None:
    """Enough elements for the sampled limit, in float32 too, and odd starts for the generator's pairs."""
    logs = 5 * np.random.default_rng(1).normal(size=60_001)
    for weights in (logs, logs.astype(np.float32)) if log_weights else (np.exp(logs), np.exp(logs).astype(np.float32)):
        for size in (1, 1000, 30_000, 60_001):
            expected = sample(weights, size, log_weights=log_weights, seed=3, threads=1)
            parts = shards_of(weights, [10_001, 40_000], size, log_weights=log_weights, seed=3, threads=threads)
            assert np.array_equal(merge(parts, size), expected)


def test_ties_go_to_the_lower_number() -> None:
    """Logarithms so large that nearly all times are equal."""
    logs = np.full(30_000, 1e18)
    logs[20_000:] = 2e18
    expected = [*range(20_000, 30_000), *range(5000)]
    assert sample(logs, 15_000, log_weights=True).tolist() == expected
    parts = shards_of(logs, [7, 25_000], 15_000, log_weights=True)
    assert merge(parts[::-1], 15_000).tolist() == expected
    interleaved = [PartialSample.combine([parts[0], parts[2]]), parts[1]]
    assert merge(interleaved, 15_000).tolist() == expected


def test_parts_travel() -> None:
    weights = torch.arange(100.0)
    part = partial_sample(weights, 10, seed=np.random.SeedSequence(3), start=2**62)
    again = pickle.loads(pickle.dumps(part))
    assert np.array_equal(again.indices, part.indices)
    assert again.indices.min() >= 2**62
    assert len(again) == 10
    assert len(pickle.dumps(part)) < 10 * 16 + 1000
    assert repr(again) == f"PartialSample(10 of shards (({2**62}, {2**62 + 100}),), size=10, seed={part.seed})"


def test_shards_without_a_positive_weight_count_for_nothing() -> None:
    weights = np.array([0.0, 0.0, 2.0, 1.0])
    parts = [
        partial_sample(weights[:2], 2),
        partial_sample(weights[2:], 2, start=2),
        partial_sample(np.empty(0), 2, start=4),
    ]
    assert merge(parts, 2).tolist() == sample(weights, 2).tolist()
    assert [len(part) for part in parts] == [0, 2, 0]
    with pytest.raises(ValueError, match="size is 3, but only 2 weights are positive"):
        merge([partial_sample(weights, 3)], 3)


@pytest.mark.parametrize(
    ("parts", "size", "kind", "match"),
    [
        ([], 1, ValueError, "parts is empty"),
        ([np.arange(3)], 1, TypeError, "parts must hold PartialSample objects, got ndarray"),
        ([partial_sample([1.0], 1), partial_sample([1.0], 1, start=1, seed=1)], 1, ValueError, "parts must share one seed"),
        ([partial_sample([1.0], 1), partial_sample([1.0], 1, start=1, log_weights=True)], 1, ValueError, "one kind of weights"),
        ([partial_sample([1.0, 2.0], 1), partial_sample([1.0], 1, start=1)], 1, ValueError, "overlap: two .* element 1"),
        ([partial_sample([1.0, 2.0], 1), partial_sample([1.0], 2, start=2)], 2, ValueError, "a part was made for 1 draws only"),
        ([partial_sample([1.0], 1)], -1, ValueError, "size must be"),
    ],
)
def test_parts_that_do_not_belong_together(parts: Any, size: int, kind: type[Exception], match: str) -> None:
    with pytest.raises(kind, match=match):
        merge(parts, size)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"weights": [1.0, np.nan]}, r"weights\[1\] is nan"),
        ({"weights": [1.0, -1.0]}, r"weights\[1\] is negative"),
        ({"weights": [0.0, np.inf], "log_weights": True}, r"weights\[1\] is inf"),
        ({"start": -1}, "start must be from 0"),
        ({"start": 2**63 - 1}, "start must be from 0"),
        ({"size": -1}, "size must be"),
    ],
)
def test_bad_shards(options: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        partial_sample(**{"weights": [1.0], "size": 1, **options})
