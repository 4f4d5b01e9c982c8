"""SIMS: its weights against the formula, its draws against their probabilities, and what callers may pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coremax._inputs.arrays import seed_of
from coremax.sampling import largest_remainder
from coremax.selection import sims
from coremax.selection._sims import _log_weights, _scaled, _second_probabilities
from helpers import THREADS
from oracles import selection as oracle

MANY = settings(deadline=None, max_examples=80)
N = 300
SCORE = np.random.default_rng(1).random(N)
LABELS = np.random.default_rng(2).choice([-7, 0, 3], N, p=[0.6, 0.3, 0.1])
SCORES = st.lists(st.integers(-2, 4).map(float) | st.floats(-1e308, 1e308) | st.floats(0, 1), min_size=1, max_size=40)


@MANY
@given(SCORES, st.data())
def test_budget_and_quotas_are_met(score: list[float], data: Any) -> None:
    n = len(score)
    budget = data.draw(st.integers(1, n))
    labels = data.draw(st.none() | st.lists(st.integers(0, 3), min_size=n, max_size=n))
    fraction = data.draw(st.sampled_from([0.0, 0.3, 0.5, 1.0]))
    scale = data.draw(st.sampled_from(["rank", "percentile", "minmax"]))
    std = data.draw(st.sampled_from([1e-6, 0.2, 1e6]))
    selection = sims(score, budget, labels=labels, class_fraction=fraction, scale=scale, target_std=std, seed=3)
    indices = selection.indices
    assert indices.dtype == np.int64
    assert len(indices) == budget
    assert (np.diff(indices) > 0).all()
    assert 0 <= indices[0] <= indices[-1] < n
    assert np.isfinite(selection.weights).all()
    assert (selection.weights >= 1 - 1e-12).all()
    assert selection.diagnostics is not None
    assert all(1 - 1e-9 <= size <= n + 1e-6 for size in selection.diagnostics.values())
    if labels is not None:
        present = np.unique(labels)
        sizes = np.array([labels.count(label) for label in present])
        seed = seed_of("stratified", np.random.SeedSequence(3).spawn(2)[0])  # which of equal classes get one more
        least = largest_remainder(sizes, int(fraction * budget + 0.5), seed=seed)
        kept = np.asarray(labels)[indices]
        assert all((kept == label).sum() >= quota for label, quota in zip(present, least, strict=True))
    again = sims(score, budget, labels=labels, class_fraction=fraction, scale=scale, target_std=std, seed=3, threads=1)
    assert np.array_equal(again.indices, indices)


@pytest.mark.parametrize("std", [0.05, 0.2])
@pytest.mark.parametrize(("bins", "floor"), [(1, 0.01), (7, 0.01), (50, 2.0)])
def test_weights_follow_the_formula(std: float, bins: int, floor: float) -> None:
    ease = np.r_[0.0, 1.0, SCORE**3]
    expected = oracle.sims_weights(ease.tolist(), 0.4, std, 5.0, bins, floor)
    found = np.minimum(np.exp(_log_weights(ease, 0.4, std, bins, floor)), 5.0)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_scales() -> None:
    ease = np.r_[np.linspace(0, 1, 199), 1000.0]
    clipped = _scaled(ease, "percentile")
    assert (clipped[:2] == 0).all()
    assert (clipped[-2:] == 1).all()
    np.testing.assert_allclose(clipped[2:-2], (ease[2:-2] - ease[1]) / (ease[198] - ease[1]))
    assert _scaled(ease, "minmax").tolist() == (ease / 1000).tolist()
    np.testing.assert_allclose(_scaled(ease, "rank"), np.arange(200) / 199)
    assert _scaled(np.ones(4), "percentile").tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(("budget", "fraction"), [(30, 0.5), (150, 0.3), (150, 1.0), (270, 0.5)])
def test_inclusion_probabilities_are_those_of_the_draws(budget: int, fraction: float) -> None:
    n_draws = 700
    counts, inverse = np.zeros(N), np.zeros(N)
    for seed in range(n_draws):
        selection = sims(SCORE, budget, labels=LABELS, class_fraction=fraction, target_mean=0.3, seed=seed)
        counts[selection.indices] += 1
        inverse[selection.indices] += selection.weights
    # Horvitz-Thompson: each sample's weights add up to the number of draws, up to binomial spread (5.5 standard deviations
    # on each of 300: false alarm below 2e-5) and Rosen's approximation (below 1.5 % here).
    often = counts > 20
    frequency = counts[often] / n_draws
    spread = np.sqrt((1 - frequency) / frequency / n_draws)
    assert (np.abs(inverse[often] / n_draws - 1) <= 5.5 * spread + 0.015).all()
    assert often.sum() > 200 or budget < 100


def test_second_draw_serves_those_it_does_not_see() -> None:
    log_weights = np.log(np.array([1.0, 2.0, 3.0, 4.0, 5.0]))
    left = np.array([1, 2, 4])
    found = _second_probabilities(log_weights, left, 2)
    assert found[left].sum() == pytest.approx(2, abs=1e-9)
    rates = -np.log1p(-found) / np.exp(log_weights)
    np.testing.assert_allclose(rates, rates[0], rtol=1e-6)
    assert _second_probabilities(log_weights, left, 0).tolist() == [0] * 5
    assert _second_probabilities(log_weights, left, 3).tolist() == [1] * 5
    far = _second_probabilities(np.array([0.0, -600.0, 0.0]), np.array([0, 1]), 1)
    assert (far >= 0).all()
    np.testing.assert_allclose(far[[0, 2]], 1, atol=1e-9)


def test_the_target_moves_with_what_is_pruned() -> None:
    score = np.linspace(0, 1, 20_000)
    means = [score[sims(score, keep, target_mean=(0.2, 0.8), target_std=0.2).indices].mean() for keep in (0.9, 0.5, 0.2, 0.02)]
    assert (np.diff(means) > 0.03).all()
    assert means[-1] == pytest.approx(0.735, abs=0.02)  # of Normal(0.788, 0.2) cut to [0, 1]
    assert sims(score, 0.25, target_mean=(0.2, 0.8)).parameters["target_mean"] == pytest.approx(0.65)
    assert sims(score, 0.25, target_mean=0.5).parameters["target_mean"] == 0.5
    hard = sims(-score, 0.02, target_mean=0.8, higher="hard").indices
    assert np.array_equal(hard, sims(score, 0.02, target_mean=0.8).indices)


def test_uncapped_weights_explode_where_little_is_pruned() -> None:
    # A score as SIM is, a product of two parts and so mostly low; the target of low pruning lies where hardly anybody is.
    rng = np.random.default_rng(0)
    ease = 1 - rng.random(50_000) * rng.random(50_000)
    options: dict[str, Any] = {"target_mean": 0.1, "target_std": 0.1, "scale": "minmax", "density_floor": 1e-3}
    without = sims(ease, 45_000, cap=None, **options).diagnostics
    capped = sims(ease, 45_000, cap=10.0, **options).diagnostics
    assert without is not None
    assert capped is not None
    assert without["effective_sample_size"] == without["uncapped_effective_sample_size"]
    assert 1_000 < without["effective_sample_size"] < 1_200  # for 45,000 kept
    assert capped["effective_sample_size"] > 2.2 * without["effective_sample_size"]
    tight = sims(ease, 45_000, cap=1.0, **options)
    assert tight.diagnostics is not None
    assert tight.diagnostics["effective_sample_size"] > capped["effective_sample_size"]


def test_everything_kept_and_constant_scores() -> None:
    everything = sims(SCORE, N, labels=LABELS)
    assert everything.indices.tolist() == list(range(N))
    np.testing.assert_allclose(everything.weights, 1)
    constant = sims(np.full(N, 1e300), 30)
    np.testing.assert_allclose(constant.weights, N / 30)
    assert constant.diagnostics is not None
    assert constant.diagnostics["effective_sample_size"] == pytest.approx(N)
    assert sims([5.0], 1).indices.tolist() == [0]


def test_seeds_threads_and_libraries() -> None:
    first = sims(SCORE, 40, labels=LABELS, seed=1)
    for threads in THREADS:
        assert np.array_equal(sims(SCORE, 40, labels=LABELS, seed=1, threads=threads).indices, first.indices)
    assert not np.array_equal(sims(SCORE, 40, labels=LABELS, seed=2).indices, first.indices)
    tensor = sims(torch.from_numpy(SCORE), 40, labels=torch.from_numpy(LABELS), seed=1)
    assert isinstance(tensor.indices, torch.Tensor)
    assert np.array_equal(np.asarray(tensor.indices), first.indices)
    assert set(first.parameters) == {
        "class_fraction", "target_mean", "target_std", "cap", "bins", "density_floor", "scale", "higher", "seed"
    }  # fmt: skip


LIST: Any = [0, 1]
WORD: Any = "word"  # which is no choice of any argument


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: sims(np.where(np.arange(N) == 9, np.nan, SCORE), 5), ValueError, r"score\[9\] is nan"),
        (lambda: sims([], 5), ValueError, "score is empty"),
        (lambda: sims(SCORE, 0), ValueError, "budget must be from 1"),
        (lambda: sims(SCORE, 5, labels=LABELS[1:]), ValueError, "labels has 299 elements, but score has 300"),
        (lambda: sims(SCORE, 5, class_fraction=1.1), ValueError, "class_fraction must be finite and from 0 to 1"),
        (lambda: sims(SCORE, 5, target_mean=WORD), ValueError, "target_mean must be one of 'auto'"),
        (lambda: sims(SCORE, 5, target_mean=LIST), TypeError, "target_mean must be a number"),
        (lambda: sims(SCORE, 5, target_mean=np.nan), ValueError, "target_mean must be finite"),
        (lambda: sims(SCORE, 5, target_std=0), ValueError, "target_std must be finite and at least"),
        (lambda: sims(SCORE, 5, cap=0.5), ValueError, "cap must be finite and at least 1"),
        (lambda: sims(SCORE, 5, bins=0), ValueError, "bins must be from 1"),
        (lambda: sims(SCORE, 5, density_floor=0), ValueError, "density_floor must be finite"),
        (lambda: sims(SCORE, 5, scale=WORD), ValueError, "scale must be one of"),
        (lambda: sims(SCORE, 5, higher=WORD), ValueError, "higher must be one of"),
    ],
)
def test_bad_arguments(call: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
