"""What holds of the samplers for any weights, seeds and sizes."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from coremax import AliasTable, sample
from helpers import THREADS
from oracles import sampling as oracle

MANY = settings(deadline=None, max_examples=100)
SEEDS = st.integers(0, 2**64 - 1)


def weights_of(numbers: st.SearchStrategy[float]) -> st.SearchStrategy[NDArray[np.float64]]:
    return st.lists(numbers, min_size=1, max_size=40).filter(any).map(lambda w: np.array(w, dtype=np.float64))


ANY_WEIGHTS = weights_of(st.floats(0, 1.7e308) | st.just(0.0) | st.sampled_from([5e-324, 1e-308, 1.0, 3.0]))
SMALL_INTEGERS = weights_of(st.integers(0, 5).map(float))


def parts(table: AliasTable) -> tuple[list[int], list[int]]:
    _, (cells, *_) = table.__reduce__()
    return cells[:, 0].tolist(), cells[:, 1].tolist()


@MANY
@given(ANY_WEIGHTS)
def test_the_table_is_exact(weights: NDArray[np.float64]) -> None:
    got = oracle.table_probabilities(*parts(AliasTable(weights)))
    assert sum(got) == 1
    for probability, truth in zip(got, oracle.probabilities(weights.tolist()), strict=True):
        assert abs(probability - truth) <= Fraction(1, 2**50)
        assert truth > 0 or probability == 0


@MANY
@given(SMALL_INTEGERS, st.integers(-1000, 1000))
def test_the_table_does_not_depend_on_the_unit_of_weights(weights: NDArray[np.float64], exponent: int) -> None:
    assert parts(AliasTable(np.ldexp(weights, exponent))) == parts(AliasTable(weights))


@MANY
@given(ANY_WEIGHTS, ANY_WEIGHTS)
def test_an_updated_table_is_a_new_one(first: NDArray[np.float64], second: NDArray[np.float64]) -> None:
    table = AliasTable(first)
    table.update(second)
    assert parts(table) == parts(AliasTable(second))


@MANY
@given(ANY_WEIGHTS, SEEDS, st.integers(0, 2**63 - 1), st.sampled_from(THREADS))
def test_alias_draws_follow_the_mapping(weights: NDArray[np.float64], seed: int, offset: int, threads: int) -> None:
    table = AliasTable(weights, threads=threads)
    draws = table.sample(12, seed=seed, offset=offset, threads=threads).tolist()
    assert draws == oracle.alias_draws(*parts(table), 12, seed, offset)
    assert all(weights[i] > 0 for i in draws)


@MANY
@given(ANY_WEIGHTS, SEEDS, st.data())
def test_draws_without_replacement_are_prefixes_of_an_order(weights: NDArray[np.float64], seed: int, data: Any) -> None:
    positive = np.flatnonzero(weights).tolist()
    order = sample(weights, len(positive), seed=seed).tolist()
    assert sorted(order) == positive
    size = data.draw(st.integers(0, len(positive)))
    assert sample(weights, size, seed=seed, threads=data.draw(st.sampled_from(THREADS))).tolist() == order[:size]


@MANY
@given(weights_of(st.floats(1e-6, 1e6) | st.just(0.0)), SEEDS)
def test_race_follows_the_mapping(weights: NDArray[np.float64], seed: int) -> None:
    expected = oracle.race_order(weights.tolist(), seed)
    assert sample(weights, len(expected), seed=seed).tolist() == expected


@MANY
@given(weights_of(st.floats(1e-6, 1e6) | st.just(0.0)), SEEDS, st.sampled_from([0.0, -1e5, 1e5, 700.0]))
def test_logarithms_draw_the_same(weights: NDArray[np.float64], seed: int, shift: float) -> None:
    # Times that lie closer than the shifted logarithms resolve may change places; so may not those of the oracle's shifted run.
    logs = np.array([math.log(weight) + shift if weight > 0 else -math.inf for weight in weights])
    expected = oracle.race_order(logs.tolist(), seed, log_weights=True)
    assert sample(logs, len(expected), seed=seed, log_weights=True).tolist() == expected
    if shift == 0:
        assert expected == oracle.race_order(weights.tolist(), seed)


@MANY
@given(SMALL_INTEGERS, SEEDS)
def test_float32_weights_draw_as_float64(weights: NDArray[np.float64], seed: int) -> None:
    narrow = weights.astype(np.float32)
    size = int(np.count_nonzero(weights))
    assert sample(narrow, size, seed=seed).tolist() == sample(weights, size, seed=seed).tolist()
    assert AliasTable(narrow).sample(20, seed=seed).tolist() == AliasTable(weights).sample(20, seed=seed).tolist()


@MANY
@given(SMALL_INTEGERS, SEEDS, st.integers(0, 10), st.integers(0, 10))
def test_draws_can_be_continued(weights: NDArray[np.float64], seed: int, first: int, second: int) -> None:
    table = AliasTable(weights)
    whole = table.sample(first + second, seed=seed).tolist()
    assert table.sample(first, seed=seed).tolist() + table.sample(second, seed=seed, offset=first).tolist() == whole
