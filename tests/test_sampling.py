"""Sampling: the documented mapping draw by draw, the distributions, and what callers may pass.

Statistical tests use fixed seeds. Their stated false-alarm rate is that of the test over all seeds: it says how surprising a
failure after a change of the generator is.
"""

from __future__ import annotations

import gc
import math
import pickle
import threading
import weakref
import zipfile
from collections import Counter
from fractions import Fraction
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import stats

import coremax
from coremax import AliasTable, _core, sample
from helpers import THREADS
from oracles import sampling as oracle

FALSE_ALARM = 1e-6

WEIGHTS: dict[str, list[float]] = {
    "one": [2.5],
    "two": [1.0, 3.0],
    "last zero": [3.0, 0.0],
    "first zero": [0.0, 3.0],
    "zeros between": [1.0, 0.0, 0.0, 2.0, 0.0, 5.0, 0.0],
    "equal": [0.1] * 17,
    "one of many": [0.0] * 40 + [1.0] + [0.0] * 24,
    "power law": [1 / (i + 1) ** 2 for i in range(100)],
    "large": [1e308, 1.5e308, 1e308],
    "small": [1e-308, 3e-308, 0.0],
    "denormal": [5e-324, 1e-323, 0.0, 1.5e-323],
}

weight_lists = pytest.mark.parametrize("weights", WEIGHTS.values(), ids=list(WEIGHTS))


def parts(table: AliasTable) -> tuple[list[int], list[int]]:
    """Thresholds and aliases, as Python integers."""
    _, (cells, *_) = table.__reduce__()
    return cells[:, 0].tolist(), cells[:, 1].tolist()


def rng_weights(n: int) -> NDArray[np.float64]:
    return np.random.default_rng(n).random(n)


def draws_of(table: AliasTable, size: int, **options: Any) -> list[int]:
    draws: list[int] = table.sample(size, **options).tolist()
    return draws


# The generator and the mapping


@pytest.mark.parametrize(
    ("counter", "key", "answer"),
    [
        ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            [0xA4093822, 0x299F31D0],
            [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
        ),
    ],
)
def test_philox_known_answers(counter: list[int], key: list[int], answer: list[int]) -> None:
    """kat_vectors of Random123, for the engine and for the oracle."""
    assert list(_core.philox_block(counter, key)) == answer
    assert oracle.philox(counter, key) == answer


@weight_lists
@pytest.mark.parametrize(("seed", "offset"), [(0, 0), (2**64 - 1, 1), (12345678901234567, 2**33 + 7), (3, 2**63 - 1)])
def test_alias_draws_follow_the_mapping(weights: list[float], seed: int, offset: int) -> None:
    table = AliasTable(weights)
    assert draws_of(table, 40, seed=seed, offset=offset) == oracle.alias_draws(*parts(table), 40, seed, offset)


@pytest.mark.parametrize("isa", _core.available_isas())
def test_alias_draws_of_large_tables_follow_the_mapping_on_every_level(isa: str) -> None:
    """A table of 8-byte cells, and draws that begin in the middle of a block and end in one."""
    weights = np.random.default_rng(3).random(70_000) ** 4
    expected = oracle.alias_draws(*parts(AliasTable(weights)), 1200, 5, 2**40 + 1)
    table = _core.build_alias_table(_core.import_array(weights, "weights"), 2)
    assert table.sample(1200, 5, 2**40 + 1, isa, 2).tolist() == expected


@weight_lists
@pytest.mark.parametrize("seed", [0, 1, 2**64 - 1, 12345678901234567])
def test_race_follows_the_mapping(weights: list[float], seed: int) -> None:
    scaled = [weight / max(weights) for weight in weights]
    expected = oracle.race_order(scaled, seed)
    assert sample(weights, len(expected), seed=seed).tolist() == expected
    logs = [math.log(weight) if weight > 0 else -math.inf for weight in weights]
    assert sample(logs, len(expected), seed=seed, log_weights=True).tolist() == expected


def test_draws_of_this_version() -> None:
    """Recorded draws: a change of them is a new version of the mapping and a line in the changelog."""
    weights = np.arange(1.0, 11.0)
    assert AliasTable(weights).sample(8, seed=1).tolist() == oracle.alias_draws(*parts(AliasTable(weights)), 8, 1)
    assert AliasTable(weights).sample(8, seed=1).tolist() == ALIAS_RECORD
    assert sample(weights, 8, seed=1).tolist() == RACE_RECORD


ALIAS_RECORD = [9, 7, 9, 7, 6, 9, 5, 5]
RACE_RECORD = [2, 9, 6, 8, 4, 7, 3, 5]


# The table


@weight_lists
def test_table_is_exact(weights: list[float]) -> None:
    got = oracle.table_probabilities(*parts(AliasTable(weights)))
    assert sum(got) == 1
    for probability, truth in zip(got, oracle.probabilities(weights), strict=True):
        assert abs(probability - truth) <= Fraction(1, 2**50)
        assert (probability == 0) == (truth == 0)


def test_table_does_not_suffer_from_the_order_of_summation() -> None:
    """Thousands of weights that a plain float64 sum loses beside the first."""
    weights = [1.0] + [1.1e-16] * 4095
    got = oracle.table_probabilities(*parts(AliasTable(weights)))
    worst = max(abs(p - q) for p, q in zip(got, oracle.probabilities(weights), strict=True))
    assert worst <= Fraction(1, 2**50), f"off by 2^{math.log2(worst):.1f}"


def test_a_large_table_is_exact() -> None:
    """8-byte cells, several blocks of the builder: each element within four units, 2^-30 / n, of its share."""
    weights = np.random.default_rng(2).integers(0, 1000, 70_001) ** 3
    thresholds, aliases = parts(AliasTable(weights))
    units = [0] * len(weights)
    for cell, (threshold, alias) in enumerate(zip(thresholds, aliases, strict=True)):
        units[cell] += threshold
        units[alias] += 2**32 - threshold
    all_units, total = len(weights) * 2**32, int(weights.sum())
    assert sum(units) == all_units
    for unit, weight in zip(units, weights.tolist(), strict=True):
        assert abs(unit * total - weight * all_units) <= 4 * total
        assert weight > 0 or unit == 0


def test_equal_weights_have_equal_probabilities() -> None:
    for n in (3, 65_535, 65_536, 100_003):
        assert set(AliasTable(np.full(n, 0.1)).probabilities().tolist()) == {1 / n}


@weight_lists
def test_probabilities_are_those_of_the_table(weights: list[float]) -> None:
    table = AliasTable(weights)
    expected = [float(p) for p in oracle.table_probabilities(*parts(table))]
    np.testing.assert_allclose(table.probabilities(), expected, rtol=2**-51, atol=0)
    assert table.n == len(weights)
    assert repr(table) == f"AliasTable(n={len(weights)})"


@weight_lists
def test_zero_weights_are_never_drawn(weights: list[float]) -> None:
    assert {weights[i] > 0 for i in draws_of(AliasTable(weights), 20_000)} == {True}
    positive = sum(weight > 0 for weight in weights)
    for seed in range(20):
        draws = sample(weights, positive, seed=seed).tolist()
        assert sorted(draws) == [i for i, weight in enumerate(weights) if weight > 0]


@pytest.mark.parametrize("threads", THREADS)
def test_threads_do_not_change_the_draws(threads: int) -> None:
    weights = np.random.default_rng(0).random(20_000)
    reference = AliasTable(weights, threads=1)
    table = AliasTable(weights, threads=threads)
    assert parts(table) == parts(reference)
    for large in (rng_weights(300_000), np.sort(rng_weights(300_000)), np.where(np.arange(300_000) < 150_000, 0.0, 1.0)):
        assert parts(AliasTable(large, threads=threads)) == parts(AliasTable(large, threads=1))
    assert draws_of(table, 20_000, threads=threads) == draws_of(reference, 20_000, threads=1)
    assert sample(weights, 9000, threads=threads).tolist() == sample(weights, 9000, threads=1).tolist()


def test_prefixes_and_offsets() -> None:
    table = AliasTable(np.arange(50))
    whole = draws_of(table, 10_000, seed=4)
    for size in (0, 1, 2, 4095, 4096, 4097):
        assert draws_of(table, size, seed=4) == whole[:size]
        assert (
            sample(np.arange(5000.0), min(size, 4000), seed=4).tolist()
            == (sample(np.arange(5000.0), 4000, seed=4).tolist()[:size])
        )
    for offset in (1, 2, 4095, 5000):
        assert draws_of(table, 4000, seed=4, offset=offset) == whole[offset : offset + 4000]


# Updates


def test_update_is_a_new_table_in_the_same_memory() -> None:
    table = AliasTable(rng_weights(80_000))
    held = table.nbytes
    assert held == 8 * 80_000
    for weights in (rng_weights(70_000), np.arange(1.0, 6.0), rng_weights(80_000).astype(np.float32), rng_weights(40_000)):
        assert table.update(weights) is None  # type: ignore[func-returns-value]
        assert table.n == len(weights)
        assert parts(table) == parts(AliasTable(weights))
        assert draws_of(table, 100, seed=2) == draws_of(AliasTable(weights), 100, seed=2)
        assert table.nbytes == held
    table.update(rng_weights(90_000))
    assert table.nbytes == 8 * 90_000
    assert AliasTable(rng_weights(1000)).nbytes == 16 * 1000


def test_update_takes_the_library_of_the_new_weights() -> None:
    table = AliasTable([1.0, 2.0])
    assert isinstance(table.sample(3), np.ndarray)
    table.update(torch.ones(3))
    assert isinstance(table.sample(3), torch.Tensor)


def test_a_refused_update_leaves_the_table_as_it_was() -> None:
    bad: Any
    table = AliasTable(rng_weights(70_000))
    before = parts(table)
    for bad in (np.r_[np.ones(70_000), np.nan], [1.0, -1.0], [0.0], [], ["a"], None, np.ones((2, 2))):
        with pytest.raises((ValueError, TypeError), match=r"^weights"):
            table.update(bad)
        assert parts(table) == before
    with pytest.raises(ValueError, match=r"^threads must be from 1"):
        table.update([1.0], threads=0)
    assert parts(table) == before


def test_draws_and_updates_of_several_threads_keep_apart() -> None:
    """Whoever draws while another updates sees one of the two tables whole."""
    both = rng_weights(70_000), np.ones(5)
    expected = [draws_of(AliasTable(weights), 500, seed=1) for weights in both]
    table, stop, seen = AliasTable(both[0]), threading.Event(), list[list[int]]()

    def draw() -> None:
        while not stop.is_set():
            seen.append(draws_of(table, 500, seed=1, threads=1))
            assert table.n in (70_000, 5)

    drawer = threading.Thread(target=draw)
    drawer.start()
    for turn in range(1, 100):
        table.update(both[turn % 2], threads=1)
    stop.set()
    drawer.join()
    assert all(draws in expected for draws in seen)


# Distributions


def test_alias_frequencies() -> None:
    """Chi-square of 300,000 draws on ten bins; false alarm 1e-6."""
    weights = np.array([1.0, 2.0, 0.0, 4.0, 8.0, 16.0, 5.0, 3.0, 0.5, 10.0])
    counts = np.bincount(AliasTable(weights).sample(300_000, seed=21), minlength=10)
    positive = weights > 0
    assert counts[~positive].sum() == 0
    expected = 300_000 * weights[positive] / weights.sum()
    assert stats.chisquare(counts[positive], expected).pvalue > FALSE_ALARM


def test_alias_frequencies_of_a_large_table() -> None:
    """Chi-square of two million draws on a thousand ranges of elements; false alarm 1e-6."""
    weights = rng_weights(100_000) ** 2
    counts = np.bincount(AliasTable(weights).sample(2_000_000, seed=23) // 100, minlength=1000)
    expected = 2_000_000 * weights.reshape(1000, 100).sum(1) / weights.sum()
    assert stats.chisquare(counts, expected).pvalue > FALSE_ALARM


def test_alias_neighbouring_draws_are_independent() -> None:
    """Chi-square of pairs of draws that share a Philox block, and of pairs that do not; false alarm 1e-6 each."""
    weights = np.array([1.0, 2.0, 3.0, 2.0])
    draws = AliasTable(weights).sample(200_001, seed=22)
    expected = 100_000 * np.outer(weights, weights).ravel() / weights.sum() ** 2
    for shift in (0, 1):
        pairs = 4 * draws[shift : 200_000 + shift : 2] + draws[shift + 1 : 200_001 + shift : 2]
        assert stats.chisquare(np.bincount(pairs, minlength=16), expected).pvalue > FALSE_ALARM


def test_seeds_give_independent_draws() -> None:
    """Chi-square of the first draw over 20,000 consecutive seeds; false alarm 1e-6."""
    table = AliasTable([1.0, 1.0, 2.0])
    counts = np.bincount([draws_of(table, 1, seed=seed)[0] for seed in range(20_000)])
    assert stats.chisquare(counts, [5000, 5000, 10_000]).pvalue > FALSE_ALARM


def race_draws(weights: list[float], size: int, runs: int, first_seed: int = 0, **options: Any) -> NDArray[np.int64]:
    return np.array([sample(weights, size, seed=seed, threads=1, **options) for seed in range(first_seed, first_seed + runs)])


@pytest.mark.parametrize("log_weights", [False, True])
def test_inclusion_without_replacement(log_weights: bool) -> None:
    """Inclusion counts of 20,000 draws of three out of six against enumeration; false alarm 1e-6 (Bonferroni)."""
    weights = [1.0, 2.0, 0.5, 4.0, 3.0, 0.25]
    given = [math.log(weight) for weight in weights] if log_weights else weights
    draws = race_draws(given, 3, 20_000, log_weights=log_weights)
    counts = np.bincount(draws.ravel(), minlength=6)
    for count, probability in zip(counts, oracle.inclusion_probabilities(weights, 3), strict=True):
        assert stats.binomtest(int(count), 20_000, float(probability)).pvalue > FALSE_ALARM / 6


def test_order_without_replacement() -> None:
    """Chi-square of the first two draws, in order, against enumeration; false alarm 1e-6."""
    weights = [1.0, 2.0, 0.5, 4.0]
    draws = race_draws(weights, 2, 20_000, first_seed=10**6)
    counts = Counter(map(tuple, draws.tolist()))
    pairs = list(permutations(range(4), 2))
    expected = [20_000 * oracle.order_probability(weights, pair) for pair in pairs]
    assert sum(counts.values()) == sum(counts[pair] for pair in pairs)
    assert stats.chisquare([counts[pair] for pair in pairs], expected).pvalue > FALSE_ALARM


@pytest.mark.parametrize("weights", [[1e308, 1e-300, 3e-300], [1e308, 5e-324, 1.5e-323], [1.0, 1e-320, 3e-320]])
def test_proportions_hold_over_the_whole_range(weights: list[float]) -> None:
    """Behind a huge weight the third of the elements still wins three times in four; false alarm 1e-6."""
    draws = race_draws(weights, 3, 4000)
    assert (draws[:, 0] == 0).all()
    assert stats.binomtest(int((draws[:, 1] == 2).sum()), 4000, 0.75).pvalue > FALSE_ALARM


def test_replace_draws_from_a_table() -> None:
    weights = [1.0, 5.0, 0.0, 2.0]
    expected = draws_of(AliasTable(weights), 100, seed=6)
    assert sample(weights, 100, replace=True, seed=6).tolist() == expected
    logs = np.log([1.0, 5.0, 1.0, 2.0]) - 5000
    logs[2] = -np.inf
    far = sample(logs, 100_000, replace=True, log_weights=True, seed=6)
    assert isinstance(far, np.ndarray)
    counts = np.bincount(far, minlength=4)
    assert counts[2] == 0
    assert stats.chisquare(counts[[0, 1, 3]], [12_500, 62_500, 25_000]).pvalue > FALSE_ALARM


# What callers may pass


def test_seeds() -> None:
    table = AliasTable(np.ones(1000))
    assert draws_of(table, 9, seed=np.int64(5)) == draws_of(table, 9, seed=5)
    sequence = np.random.SeedSequence(7)
    expected = draws_of(table, 9, seed=int(np.random.SeedSequence(7).generate_state(1, np.uint64)[0]))
    assert draws_of(table, 9, seed=sequence) == expected
    assert draws_of(table, 9, seed=sequence) == expected  # not changed by the first use
    generator = np.random.default_rng(8)
    first, second = draws_of(table, 9, seed=generator), draws_of(table, 9, seed=generator)
    again = np.random.default_rng(8)
    assert [first, second] == [draws_of(table, 9, seed=int(again.integers(0, 2**64, dtype=np.uint64))) for _ in range(2)]
    assert first != second
    assert generator.random() == again.random()  # one draw each, no more
    assert sample(np.ones(50), 5, seed=np.random.default_rng(8)).tolist() == (
        sample(np.ones(50), 5, seed=np.random.default_rng(8)).tolist()
    )


@pytest.mark.parametrize(
    "kind",
    [
        list,
        tuple,
        np.float32,
        np.float64,
        np.float16,
        np.int8,
        np.int64,
        np.uint64,
        ">f8",
        torch.float32,
        torch.float64,
        torch.float16,
        torch.int32,
    ],
    ids=str,
)
def test_types_of_weights(kind: Any) -> None:
    plain = [1, 0, 3, 5, 16]
    weights: Any
    if kind in (list, tuple):
        weights = kind(plain)
    elif isinstance(kind, torch.dtype):
        weights = torch.tensor(plain, dtype=kind)
    else:
        weights = np.array(plain, dtype=kind)
    library = torch.Tensor if isinstance(kind, torch.dtype) else np.ndarray
    table = AliasTable(weights)
    for result, expected in [
        (table.sample(50), AliasTable(np.array(plain, float)).sample(50)),
        (sample(weights, 3), sample(np.array(plain, float), 3)),
        (sample(weights, 50, replace=True), AliasTable(np.array(plain, float)).sample(50)),
    ]:
        assert isinstance(result, library)
        assert str(result.dtype).endswith("int64")
        assert result.tolist() == expected.tolist()
    assert isinstance(table.probabilities(), library)
    assert table.probabilities().tolist() == pytest.approx([0.04, 0.0, 0.12, 0.2, 0.64], rel=0, abs=2**-50)


def test_log_weights_of_torch_come_back_as_torch() -> None:
    logs = torch.tensor([0.0, -math.inf, 1.0])
    for replace in (False, True):
        draws = sample(logs, 2, log_weights=True, replace=replace)
        assert isinstance(draws, torch.Tensor)
        assert draws.dtype == torch.int64
        assert 1 not in draws.tolist()


def test_memory_layouts_of_weights() -> None:
    plain = np.random.default_rng(1).random(1000)
    expected = (draws_of(AliasTable(plain), 200), sample(plain, 200).tolist())
    frozen = plain.copy()
    frozen.flags.writeable = False
    wide = np.zeros((1000, 3))
    wide[:, 1] = plain
    record = np.zeros(1000, dtype=np.dtype([("flag", "i1"), ("weight", "f8")]))
    record["weight"] = plain
    for weights in (
        frozen,
        wide[:, 1],
        plain[::-1].copy()[::-1],
        record["weight"],
        torch.from_numpy(wide)[:, 1],
        memoryview(plain),  # type: ignore[arg-type]
    ):
        assert (draws_of(AliasTable(weights), 200), sample(weights, 200).tolist()) == expected
    assert (plain == frozen).all()


def test_the_table_keeps_no_hold_on_the_weights() -> None:
    weights = np.ones(10)
    table = AliasTable(weights)
    before = draws_of(table, 100)
    weights[:] = [0.0] * 9 + [1.0]
    assert draws_of(table, 100) == before


def test_sizes_at_the_edges() -> None:
    int_like: Any = np.int32(3)
    assert sample([1.0], 0).tolist() == []
    assert sample([1.0], 1).tolist() == [0]
    assert sample([1.0], 0, replace=True).dtype == np.int64
    assert AliasTable([5e-324]).sample(int_like).tolist() == [0, 0, 0]
    assert AliasTable([1.0]).probabilities().tolist() == [1.0]


BAD_WEIGHTS: list[tuple[Any, type[Exception], str]] = [
    ([1.0, math.nan, -1.0], ValueError, r"^weights\[1\] is nan; weights must be finite"),
    ([1.0, 2.0, math.inf], ValueError, r"^weights\[2\] is inf; weights must be finite"),
    ([-math.inf, 2.0], ValueError, r"^weights\[0\] is -inf; weights must be finite"),
    ([1.0, -0.25], ValueError, r"^weights\[1\] is negative \(-0\.25\)"),
    ([1.0, -1e-320], ValueError, r"^weights\[1\] is negative \(-\d"),
    ([0.0, -0.0], ValueError, "^weights has no positive element: nothing can be drawn"),
    ([], ValueError, "^weights is empty"),
    (np.empty(0, np.float32), ValueError, "^weights is empty"),
    (1.0, ValueError, r"^weights must be one-dimensional, got shape \(\)"),
    ([[1.0, 2.0]], ValueError, r"^weights must be one-dimensional, got shape \(1, 2\)"),
    ([1j, 1], TypeError, "^weights must be float32 or float64, got complex128"),
    (["a", "b"], TypeError, "^weights must be an array of numbers, got a text"),
    ([True, False], TypeError, "^weights must be float32 or float64, got bool"),
    (
        [1.0, None],
        TypeError,
        "^weights must be an array of numbers, got list of mixed or ragged content: weights\\[1\\] is None",
    ),
    (
        np.array([1.0, 2], dtype=object),
        TypeError,
        "^weights must be an array of numbers, got ndarray of Python objects: convert it",
    ),
    ([[1.0], [1.0, 2.0]], TypeError, "^weights can not be read as an array"),
    (np.array([1.0, "a"], dtype=object), TypeError, r"^weights must be an array of numbers, .*: weights\[1\] is 'a'"),
    (np.array(["2020-01-01"], dtype="M8[D]"), TypeError, "^weights must be float32 or float64, got datetime64"),
    ("abc", TypeError, "^weights must be an array, got str"),
    (None, TypeError, "^weights must be an array, got NoneType"),
    ({0: 1.0}, TypeError, "^weights must be an array, got dict"),
    (torch.ones(3, requires_grad=True), TypeError, "^weights can not be read through DLPack: .*requires a gradient"),
    (torch.ones(3, dtype=torch.complex64), TypeError, "^weights must be float32 or float64, got "),
    (torch.ones(3, dtype=torch.complex64), TypeError, "^weights must be float32 or float64"),
]


@pytest.mark.parametrize(("weights", "error", "message"), BAD_WEIGHTS)
@pytest.mark.parametrize("threads", [1, 3])
def test_bad_weights(weights: Any, error: type[Exception], message: str, threads: int) -> None:
    with pytest.raises(error, match=message):
        AliasTable(weights, threads=threads)
    with pytest.raises(error, match=message):
        sample(weights, 0, threads=threads)
    with pytest.raises(error, match=message):
        sample(weights, 1, replace=True, threads=threads)


@pytest.mark.parametrize("replace", [False, True])
def test_bad_log_weights(replace: bool) -> None:
    for value in (math.nan, math.inf):
        with pytest.raises(ValueError, match=rf"weights\[1\] is {value}; .*must be finite"):
            sample([0.0, value], 1, log_weights=True, replace=replace)
    with pytest.raises(ValueError, match="weights has no positive element"):
        sample([-math.inf, -math.inf], 1, log_weights=True, replace=replace)
    with pytest.raises(ValueError, match="weights is empty"):
        sample([], 1, log_weights=True, replace=replace)
    with pytest.raises(TypeError, match="weights must be float32 or float64, got complex128"):
        sample([1j], 1, log_weights=True, replace=replace)


@pytest.mark.parametrize("replace", [False, True])
def test_log_weights_over_the_whole_range(replace: bool) -> None:
    assert sample([-1.7e308, 1.7e308], 1, log_weights=True, replace=replace).tolist() == [1]
    assert sample([-1e300, -math.inf], 1, log_weights=True, replace=replace).tolist() == [0]


def test_the_first_bad_weight_is_named_whatever_the_threads() -> None:
    weights = np.ones(30_000)
    weights[9000] = np.nan
    weights[13_000] = -1
    for _ in range(50):
        with pytest.raises(ValueError, match=r"^weights\[9000\] is nan"):
            sample(weights, 1, threads=3)


def test_sizes_that_can_not_be() -> None:
    table = AliasTable([1.0, 2.0])
    size: Any
    for size in (True, np.True_, 1.0, "1", None, [1]):
        for call in (table.sample, lambda size: sample([1.0, 2.0], size)):
            with pytest.raises(TypeError, match=r"^size must be an int, got "):
                call(size)
    for size in (-1, 2**60 + 1, 2**100):
        for call in (table.sample, lambda size: sample([1.0, 2.0], size)):
            with pytest.raises(ValueError, match=f"^size must be from 0 to {2**60}, got {size}$"):
                call(size)


@pytest.mark.parametrize("size", [3, 4, 10**6, 2**50, 2**60])
def test_more_than_the_positive_weights(size: int) -> None:
    with pytest.raises(ValueError, match=f"^size is {size}, but only 2 weights are positive"):
        sample([1.0, 0.0, 2.0], size)


def test_bad_seeds_offsets_and_threads() -> None:
    table = AliasTable([1.0, 2.0])
    bad: Any
    for bad in (-1, 2**64):
        with pytest.raises(ValueError, match=f"^seed must be from 0 to {2**64 - 1}, got {bad}$"):
            table.sample(1, seed=bad)
        with pytest.raises(ValueError, match=r"^seed must be from 0"):
            sample([1.0], 1, seed=bad)
    for bad in (True, 1.0, None, "1", np.random.RandomState(0)):
        with pytest.raises(TypeError, match=r"^seed must be an int, got "):
            table.sample(1, seed=bad)
    for bad in (-1, 2**63):
        with pytest.raises(ValueError, match=f"^offset must be from 0 to {2**63 - 1}, got {bad}$"):
            table.sample(1, offset=bad)
    with pytest.raises(TypeError, match=r"^offset must be an int, got 0\.5"):
        table.sample(1, offset=0.5)  # type: ignore[arg-type]
    for bad in (0, -1, 4097):
        for call in (
            lambda threads: table.sample(1, threads=threads),
            lambda threads: sample([1.0], 1, threads=threads),
            lambda threads: AliasTable([1.0], threads=threads),
        ):
            with pytest.raises(ValueError, match=f"^threads must be from 1 to 4096, got {bad}$"):
                call(bad)
    with pytest.raises(TypeError, match=r"^threads must be an int, got True"):
        sample([1.0], 1, threads=True)


def test_data_is_positional_and_the_rest_is_not() -> None:
    with pytest.raises(TypeError, match="positional"):
        sample([1.0], 1, True)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="positional"):
        AliasTable([1.0], 1)  # type: ignore[call-arg]


def test_flushed_denormals_change_nothing() -> None:
    """A caller in torch's flush-to-zero mode gets the same draws."""
    weights = np.array([1e-310, 0.0, 3e-310])
    expected = parts(AliasTable(weights)), sample(weights, 2, seed=5).tolist()
    if not torch.set_flush_denormal(True):
        pytest.skip("this CPU can not flush denormals")
    try:
        got = parts(AliasTable(weights)), sample(weights, 2, seed=5).tolist()
        still_flushing = float(torch.tensor([1e-310], dtype=torch.float64) * 1) == 0
    finally:
        torch.set_flush_denormal(False)
    assert got == expected
    assert still_flushing


# Files


def test_save_and_load(tmp_path: Path) -> None:
    for table in (AliasTable(rng_weights(70_000)), AliasTable([1.0, 0.0, 2.5, 1e-9])):
        for path in (tmp_path / "table", str(tmp_path / "other.npz")):
            table.save(path)
            copy = AliasTable.load(path)
            assert parts(copy) == parts(table)
            assert draws_of(copy, 100, seed=3) == draws_of(table, 100, seed=3)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["other.npz", "table"]


def test_pickle() -> None:
    for table in (AliasTable(torch.tensor([1.0, 2.0, 4.0])), AliasTable(rng_weights(70_000))):
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
            copy = pickle.loads(pickle.dumps(table, protocol))
            assert parts(copy) == parts(table)
            assert draws_of(copy, 100) == draws_of(table, 100)


def test_load_refuses_truncated_and_damaged_files(tmp_path: Path) -> None:
    path = tmp_path / "table.npz"
    AliasTable(np.arange(1.0, 100.0)).save(path)
    whole = path.read_bytes()
    for length in (0, 1, 4, 10, 100, len(whole) // 2, len(whole) - 30, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="holds no coremax alias table"):
            AliasTable.load(path)
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 0xFF
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match="holds no coremax alias table"):
        AliasTable.load(path)
    path.write_bytes(whole)
    assert AliasTable.load(path).n == 99


def test_load_refuses_foreign_files(tmp_path: Path) -> None:
    path = tmp_path / "foreign"
    match = r"foreign'? holds no coremax alias table of format 1"
    path.write_text("hello, world\n" * 20)
    with pytest.raises(ValueError, match=match):
        AliasTable.load(path)
    with path.open("wb") as file:
        np.save(file, np.arange(3))
    with pytest.raises(ValueError, match=match):
        AliasTable.load(path)
    with path.open("wb") as file:
        pickle.dump({"format": 1}, file)
    with pytest.raises(ValueError, match=match):
        AliasTable.load(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("format", "1")
    with pytest.raises(ValueError, match=match):
        AliasTable.load(path)
    with pytest.raises(FileNotFoundError):
        AliasTable.load(tmp_path / "absent")


GOOD: dict[str, Any] = {"format": np.array(1), "cells": np.array([[1, 1], [2**61 - 1, 1]], np.uint64)}


@pytest.mark.parametrize(
    "change",
    [
        {"format": np.array(2)},
        {"format": np.array([1])},
        {"format": np.array([1, 2])},
        {"format": np.array("one")},
        {"format": None},
        {"cells": None},
        {"cells": np.array([[0.5, 1.0], [0.5, 1.0]])},
        {"cells": np.array([[1, 1], [2, 1]], np.int64)},
        {"cells": np.array([[1, 1], [2, 1]], np.uint32)},
        {"cells": np.array([[1, 1], [2, 1]], ">u8")},
        {"cells": np.zeros((2**16, 2), np.uint64)},
        {"cells": np.array([1, 1], np.uint64)},
        {"cells": np.array([[1, 1, 1]], np.uint64)},
        {"cells": np.zeros((0, 2), np.uint64)},
        {"cells": np.array(1, np.uint64)},
        {"cells": np.array([[1, 1], [2**61, 1]], np.uint64)},
        {"cells": np.array([[1, 1], [2, 2]], np.uint64)},
        {"cells": np.array([[1, 1], [2, 2**64 - 1]], np.uint64)},
        {"cells": np.array([[1, 1], [1, None]], dtype=object)},
    ],
    ids=lambda change: str(change)[:60],
)
def test_load_refuses_what_is_no_table(change: dict[str, Any], tmp_path: Path) -> None:
    contents = {key: value for key, value in {**GOOD, **change}.items() if value is not None}
    with (tmp_path / "table").open("wb") as file:
        np.savez(file, **contents)
    with pytest.raises(ValueError, match=r"alias table"):
        AliasTable.load(tmp_path / "table")


def test_load_takes_what_is_one(tmp_path: Path) -> None:
    with (tmp_path / "table").open("wb") as file:
        np.savez(file, **GOOD)
    assert AliasTable.load(tmp_path / "table").probabilities().tolist() == pytest.approx([0.0, 1.0])
    with (tmp_path / "table").open("wb") as file:
        np.savez(file, **{**GOOD, "cells": np.asfortranarray(GOOD["cells"])})
    assert AliasTable.load(tmp_path / "table").probabilities().tolist() == pytest.approx([0.0, 1.0])


def test_the_package_exports_the_samplers() -> None:
    assert coremax.sample is sample
    assert coremax.AliasTable is AliasTable


def test_the_table_does_not_hold_the_weights() -> None:
    weights = np.ones(1000)
    alive = weakref.ref(weights)
    table = AliasTable(weights)
    del weights
    gc.collect()
    assert alive() is None
    assert table.n == 1000
