"""Inclusion probabilities, systematic and stratified draws, against exact oracles.

Statistical tests use fixed seeds; their stated false-alarm rate is that over all seeds.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from coremax import sample
from coremax._inputs.arrays import seed_of
from coremax._inputs.order import chances
from coremax.sampling import _sampling, inclusion_probabilities, stratified, systematic
from coremax.sampling._sampling import Scheme
from helpers import THREADS, output_when_interrupted
from oracles import sampling as oracle

MANY = settings(deadline=None, max_examples=150)
FALSE_ALARM_SIGMAS = 4.9  # 1e-6 of a normal variable
WEIGHTS = st.lists(
    st.floats(1e-3, 1e3) | st.just(0.0) | st.sampled_from([5e-324, 1e-300, 1.0, 1e300, 1e308]), min_size=1, max_size=30
).filter(any)


def weights_and_size(data: Any, log_weights: bool) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    weights = np.array(data.draw(WEIGHTS))
    with np.errstate(divide="ignore"):
        given = np.log(weights) if log_weights else weights
    return weights, given, data.draw(st.integers(0, int(np.count_nonzero(weights))))


# Inclusion probabilities


@MANY
@given(st.data(), st.booleans())
def test_successive_probabilities_are_of_their_form(data: Any, log_weights: bool) -> None:
    weights, given_weights, size = weights_and_size(data, log_weights)
    got = inclusion_probabilities(given_weights, size, log_weights=log_weights)
    assert got.sum() == pytest.approx(size, rel=1e-9, abs=0)
    assert ((got >= 0) & (got <= 1)).all()
    assert (got[weights == 0] == 0).all()
    order = np.argsort(weights, kind="stable")
    assert (np.diff(got[order]) >= 0).all()
    inner = (got > 1e-9) & (got < 0.999)
    if 1 < size < np.count_nonzero(weights) and inner.any():
        with np.errstate(over="ignore"):
            log_t = np.log(-np.log1p(-got[inner])) - np.log(weights[inner])
        assert np.ptp(log_t) < 1e-9


@MANY
@given(st.data(), st.booleans())
def test_systematic_probabilities_are_exact(data: Any, log_weights: bool) -> None:
    weights, given_weights, size = weights_and_size(data, log_weights)
    got = inclusion_probabilities(given_weights, size, scheme="systematic", log_weights=log_weights)
    expected = [float(p) for p in oracle.capped_shares(weights.tolist(), size)]
    np.testing.assert_allclose(got, expected, rtol=1e-11 if log_weights else 1e-14, atol=1e-300)


@pytest.mark.parametrize(
    ("weights", "size", "bound"),
    [
        ([1.0, 2.0, 0.5, 4.0, 3.0, 0.25], 1, 1e-6),
        ([1.0, 2.0, 0.5, 4.0, 3.0, 0.25], 3, 0.03),
        ([1.0, 1.0, 1.0, 1.0, 1.0, 100.0], 2, 0.03),
        (np.exp(np.random.default_rng(2).normal(size=50)).tolist(), 10, 0.005),
        (np.random.default_rng(3).random(50).tolist(), 25, 0.005),
    ],
)
def test_successive_probabilities_are_close_to_the_exact_ones(weights: list[float], size: int, bound: float) -> None:
    exact = oracle.successive_inclusion(weights, size)
    assert exact.sum() == pytest.approx(size, rel=1e-6)
    if len(weights) <= 6:
        np.testing.assert_allclose(exact, oracle.inclusion_probabilities(weights, size), atol=1e-6)
    assert np.abs(inclusion_probabilities(weights, size) - exact).max() < bound


def test_horvitz_thompson_weights_estimate_sums() -> None:
    """The mean of 4000 estimates of a sum within 4.9 standard errors and 0.5 %; false alarm 1e-6."""
    rng = np.random.default_rng(5)
    weights, values = rng.random(200) + 0.05, rng.random(200)
    probabilities = inclusion_probabilities(weights, 40)
    draws = np.array([sample(weights, 40, seed=seed, threads=1) for seed in range(4000)])
    estimates = (values / probabilities)[draws].sum(axis=1)
    error = abs(estimates.mean() - values.sum())
    assert error < FALSE_ALARM_SIGMAS * estimates.std() / math.sqrt(4000) + 0.005 * values.sum()


def test_probabilities_at_the_edges() -> None:
    assert inclusion_probabilities([1.0, 0.0, 2.0], 2).tolist() == [1.0, 0.0, 1.0]
    assert inclusion_probabilities([1.0, 0.0, 2.0], 0).tolist() == [0.0, 0.0, 0.0]
    np.testing.assert_allclose(inclusion_probabilities([3.0] * 8, 2), 0.25, rtol=1e-12)
    tensor = inclusion_probabilities(torch.ones(4), 1, scheme="systematic")
    assert isinstance(tensor, torch.Tensor)
    assert tensor.tolist() == [0.25] * 4
    far = inclusion_probabilities([0.0, -5000.0, -5000.0, -1e5, -math.inf], 3, log_weights=True)
    np.testing.assert_allclose(far, [1, 1, 1, 0, 0], atol=1e-12)


@pytest.mark.parametrize("gap", [1e-3, 1.0, 100.0, 1e6, 1e17, 1e305])
@pytest.mark.parametrize("scheme", ["successive", "systematic"])
def test_probabilities_sum_to_size_however_far_weights_are_apart(gap: float, scheme: Scheme) -> None:
    for n, size in [(3, 2), (300, 7), (300, 225), (900, 899)]:
        got = inclusion_probabilities(-gap * np.arange(n), size, scheme=scheme, log_weights=True)
        assert got.sum() == pytest.approx(size, rel=1e-9, abs=0)
        assert ((got >= 0) & (got <= 1) & (np.diff(got, prepend=1) <= 0)).all()
        if gap >= 100:
            np.testing.assert_allclose(got, np.arange(n) < size, atol=1e-6)


def test_many_certain_elements_are_found_at_once() -> None:
    weights = 2.0 ** np.arange(-500.0, 500.0)
    expected = [float(p) for p in oracle.capped_shares(weights.tolist(), 700)]
    np.testing.assert_allclose(inclusion_probabilities(weights, 700, scheme="systematic"), expected, rtol=1e-12)


# Systematic


def draws_from(monkeypatch: pytest.MonkeyPatch, start: Fraction, weights: Any, size: int) -> list[int]:
    monkeypatch.setattr(_sampling, "_start_bits", lambda _: int(start * 2**64))
    return [int(i) for i in systematic(weights, size)]


@pytest.mark.parametrize(
    ("weights", "size"),
    [
        ([1.0, 2.0, 0.0, 3.0, 2.0], 2),
        ([1.0, 1.0, 1.0, 1.0], 1),
        ([1.0, 1.0, 1.0, 1.0], 4),
        ([100.0, 1.0, 0.0, 3.0, 2.0, 2.0], 3),
        ([0.0, 5.0, 0.0, 1e-300], 1),
        ([1 / (i + 1) for i in range(40)], 9),
    ],
)
def test_systematic_over_a_grid_of_starts(monkeypatch: pytest.MonkeyPatch, weights: list[float], size: int) -> None:
    """Each start gives the oracle's draws, and over all of them each element its probability to within the grid's step."""
    n_starts = 1024
    probabilities = oracle.capped_shares(weights, size)
    counts = np.zeros(len(weights))
    for k in range(n_starts):
        # Between the grid's points, so that no stretch ends where the oracle's exact numbers and the units differ.
        draws = draws_from(monkeypatch, Fraction(2 * k + 1, 2 * n_starts), weights, size)
        assert draws == oracle.systematic_draws(probabilities, Fraction(2 * k + 1, 2 * n_starts))
        assert len(set(draws)) == size
        counts[draws] += 1
    expected = [float(p) for p in probabilities]
    assert np.abs(counts / n_starts - expected).max() <= 1 / n_starts
    assert (counts[np.array(weights) == 0] == 0).all()
    assert (counts[np.array(expected) == 1] == n_starts).all()


@pytest.mark.parametrize("quarters", range(4))
def test_systematic_starts_at_the_end_of_a_stretch(monkeypatch: pytest.MonkeyPatch, quarters: int) -> None:
    """A stretch holds its beginning and not its end; an empty one, of a weight of zero, holds nothing."""
    weights, start = [0.0, 1.0, 2.0, 0.0, 1.0, 4.0], Fraction(quarters, 4)
    draws = draws_from(monkeypatch, start, weights, 2)
    assert draws == oracle.systematic_draws(oracle.capped_shares(weights, 2), start)
    assert draws == [[1, 5], [2, 5], [2, 5], [4, 5]][quarters]


@MANY
@given(st.data(), st.booleans(), st.booleans(), st.integers(0, 2**64 - 1))
def test_systematic_draws_are_distinct_and_positive(data: Any, log_weights: bool, shuffle: bool, seed: int) -> None:
    weights, given_weights, size = weights_and_size(data, log_weights)
    draws = systematic(given_weights, size, log_weights=log_weights, shuffle=shuffle, seed=seed)
    assert len(draws) == size
    assert (np.diff(draws) > 0).all()
    assert (weights[draws] > 0).all()


def test_systematic_starts_are_uniform() -> None:
    """One of four equal elements over 4000 seeds, shuffled or not; false alarm 1e-6 for each count."""
    for shuffle in (False, True):
        counts = np.bincount([int(systematic(np.ones(4), 1, seed=seed, shuffle=shuffle)[0]) for seed in range(4000)])
        assert np.abs(counts - 1000).max() < FALSE_ALARM_SIGMAS * math.sqrt(4000 * 0.25 * 0.75)


def test_systematic_gives_neighbours_their_share() -> None:
    weights = np.random.default_rng(8).random(50_000)
    probabilities = inclusion_probabilities(weights, 5000, scheme="systematic")
    drawn = np.zeros(50_000)
    drawn[systematic(weights, 5000, seed=4)] = 1
    assert np.abs(np.cumsum(drawn - probabilities)).max() < 1 + 1e-6
    mixed = np.zeros(50_000)
    mixed[systematic(weights, 5000, seed=4, shuffle=True)] = 1
    assert np.abs(np.cumsum(mixed - probabilities)).max() > 2


# Stratified


@MANY
@given(
    st.lists(st.tuples(st.integers(-3, 3), st.sampled_from([0.0, 0.5, 1.0, 7.0])), min_size=1, max_size=40),
    st.integers(0, 2**64 - 1),
    st.sampled_from(["proportional", "equal", "mapping"]),
    st.sampled_from(THREADS),
    st.data(),
)
def test_stratified_runs_a_race_in_each_stratum(
    pairs: list[tuple[int, float]], seed: int, quotas: str, threads: int, data: Any
) -> None:
    labels, weights = np.array([label for label, _ in pairs]), np.array([weight for _, weight in pairs])
    strata = sorted(set(labels.tolist()))
    shares = {"equal": dict.fromkeys(strata, 1), "proportional": {s: int((labels == s).sum()) for s in strata}}
    shares["mapping"] = {s: s % 3 for s in strata if s != 2}
    room = [int(np.count_nonzero(weights[labels == s])) for s in strata]
    given_shares = [shares[quotas].get(s, 0) for s in strata]
    most = sum(limit for limit, share in zip(room, given_shares, strict=True) if share)
    size = data.draw(st.integers(0, most))
    given_quotas: Any = shares["mapping"] if quotas == "mapping" else quotas
    draws = stratified(labels, size, weights=weights, quotas=given_quotas, seed=seed, threads=threads).tolist()
    order = sample(weights, sum(room), seed=seed_of("stratified", seed)).tolist() if any(room) else []
    ranks = chances(len(strata), "quotas", seed_of("stratified", seed)).tolist()
    expected = []
    for stratum, quota in zip(strata, oracle.quotas(given_shares, size, room, ranks), strict=True):
        expected += [i for i in order if labels[i] == stratum][:quota]
    assert draws == sorted(expected)


def test_stratified_without_weights_is_uniform() -> None:
    """Counts of 4000 draws of one in each of two strata; false alarm 1e-6 each."""
    labels = np.array([5, 5, 5, 5, -1, -1])
    counts = np.bincount(np.concatenate([stratified(labels, 2, quotas="equal", seed=s) for s in range(4000)]), minlength=6)
    for count, p in zip(counts, [0.25] * 4 + [0.5] * 2, strict=True):
        assert abs(count - 4000 * p) < FALSE_ALARM_SIGMAS * math.sqrt(4000 * p * (1 - p))


def test_stratified_takes_shares_and_libraries() -> None:
    labels = torch.tensor([3, 3, 3, 1, 1, 1], dtype=torch.int32)
    draws = stratified(labels, 3, quotas=[2, 1])
    assert isinstance(draws, torch.Tensor)
    assert torch.bincount(labels[draws])[[1, 3]].tolist() == [2, 1]
    assert stratified(labels, 3, quotas={3: 1}).tolist() == [0, 1, 2]
    logs = [0.0, -math.inf, 0.0, -math.inf, 0.0, 0.0]
    assert stratified(labels, 4, weights=logs, log_weights=True).tolist() == [0, 2, 4, 5]
    assert stratified([], 0).tolist() == []


# What callers may pass


@pytest.mark.parametrize("draw", [inclusion_probabilities, systematic])
@pytest.mark.parametrize(
    ("weights", "size", "options", "match"),
    [
        ([1.0, np.nan], 1, {}, r"weights\[1\] is nan"),
        ([1.0, -2.0], 1, {}, r"weights\[1\] is negative"),
        ([0.0, np.inf], 1, {"log_weights": True}, r"weights\[1\] is inf"),
        ([0.0, 0.0], 0, {}, "weights has no positive element"),
        ([], 0, {}, "weights is empty"),
        ([[1.0]], 1, {}, "weights must be one-dimensional"),
        ([1.0, 0.0], 2, {}, "size is 2, but only 1 weights are positive"),
        ([1.0], -1, {}, "size must be"),
    ],
)
def test_bad_weights(draw: Any, weights: Any, size: int, options: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        draw(weights, size, **options)


def test_unknown_scheme() -> None:
    unknown: Any = "poisson"
    with pytest.raises(ValueError, match="scheme must be one of 'successive', 'systematic', got 'poisson'"):
        inclusion_probabilities([1.0], 1, scheme=unknown)


@pytest.mark.parametrize(
    ("options", "kind", "match"),
    [
        ({"labels": [0.5, 1.0]}, TypeError, "labels must be int64 or int32"),
        ({"weights": [1.0]}, ValueError, "weights has 1 elements, but labels has 2"),
        ({"weights": [1.0, np.nan]}, ValueError, r"weights\[1\] is nan"),
        ({"quotas": "even"}, ValueError, "quotas must be one of 'proportional', 'equal', got 'even'"),
        ({"quotas": [1.0]}, ValueError, "quotas has 1 elements, but labels has 2 strata"),
        ({"quotas": {5: 1}}, ValueError, "quotas has stratum 5, which no element is in"),
        ({"quotas": [1.0, -1.0]}, ValueError, r"quotas\[1\] is -1"),
        ({"size": 3}, ValueError, "size is 3, but the capacities of the positive quotas sum to 2"),
        ({"quotas": [-1.0, 1.0]}, ValueError, r"quotas\[0\] is -1.0; quotas must be finite and not negative"),
    ],
)
def test_bad_strata(options: dict[str, Any], kind: type[Exception], match: str) -> None:
    with pytest.raises(kind, match=match):
        stratified(**{"labels": [0, 1], "size": 1, **options})


@pytest.mark.parametrize(
    "call",
    [
        "sample(w, n // 2)",
        "sample(w, n, log_weights=True)",
        "inclusion_probabilities(w, n // 2)",
        "systematic(w, n // 2, shuffle=True)",
        "stratified(np.arange(n) % 7, n // 2)",
        "merge([partial_sample(w[: n // 2], n // 2), partial_sample(w[n // 2 :], n // 2, start=n // 2)], n // 2)",
    ],
)
def test_draws_stop_on_ctrl_c(call: str) -> None:
    code = f"""
import numpy as np
from coremax._inputs.arrays import seed_of
from coremax.sampling import Scheme, inclusion_probabilities, merge, partial_sample, sample, stratified, systematic
n = 5_000_000
w = np.random.default_rng(0).random(n)
print("started", flush=True)
try:
    while True:
        {call}
except KeyboardInterrupt:
    print("stopped")
"""
    assert output_when_interrupted(code) == "started\nstopped\n"
