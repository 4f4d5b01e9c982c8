"""PyTorch's side: what the samplers yield, alone and under loaders, across ranks, kills and resumptions; loss-based weights.

Statistical tests use fixed seeds and state their false-alarm rate, as those of test_sampling.py.
"""

from __future__ import annotations

import copy
import importlib
import json
import math
import os
import pickle
import signal
import subprocess
import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import islice, permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import stats
from torch.utils.data import BatchSampler, DataLoader, DistributedSampler

import coremax
from coremax import AliasTable, _core
from coremax import torch as coremax_torch
from coremax.torch import ImportanceSampler, SubsetSampler, loss_reweight, resume
from oracles import sampling as oracle

# From Python 3.12 on a fork beside torch's threads warns; the loaders fork all the same.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
# torchdata 0.11 calls what torch 2.13 calls deprecated.

FALSE_ALARM = 1e-6
WEIGHTS = np.array([0.5, 2.0, 0.0, 1.0, 4.0, 0.25, 0.0, 1.0, 3.0, 0.125, 1.5])
SUBSET = np.array([3, 30, 31, 4, 15, 9, 26, 5, 35, 8, 97])

Make = Callable[..., Any]


def importance(**options: Any) -> ImportanceSampler:
    return ImportanceSampler(WEIGHTS, 29, **{"seed": 5, **options})


def races(**options: Any) -> ImportanceSampler:
    return ImportanceSampler(WEIGHTS, 8, replacement=False, **{"seed": 5, **options})


def shuffled(**options: Any) -> SubsetSampler:
    return SubsetSampler(SUBSET, **{"seed": 5, **options})


def ordered(**options: Any) -> SubsetSampler:
    """As one trains in a fixed order: every rank as many."""
    return SubsetSampler(SUBSET, shuffle=False, **{"seed": 5, "pad": None if options.get("drop_last") else True, **options})


def uneven(**options: Any) -> SubsetSampler:
    """As one evaluates: every index on one rank."""
    return SubsetSampler(SUBSET, shuffle=False, **{"seed": 5, **options})


def computed(**options: Any) -> SubsetSampler:
    """Beyond the length of orders that are held, so computed position by position."""
    return SubsetSampler(70_001, **{"seed": 5, **options})


SAMPLERS: list[Make] = [importance, races, shuffled, ordered]
all_samplers = pytest.mark.parametrize("make", SAMPLERS)


def epoch_seed(seed: int, epoch: int) -> np.random.SeedSequence:
    return np.random.SeedSequence(seed, spawn_key=(epoch,))


def sequence(make: Make, epoch: int, size: int) -> list[int]:
    """The epoch's sequence by the documented mapping, as far beyond its end as padding may go."""
    seed = epoch_seed(5, epoch)
    if make is importance:
        draws: list[int] = AliasTable(WEIGHTS).sample(size, seed=seed).tolist()
        return draws
    if make is races:
        order = coremax.sample(WEIGHTS, 8, seed=seed)
    elif make is shuffled:
        order = SUBSET[coremax.sample(np.ones(len(SUBSET)), len(SUBSET), seed=seed)]
    else:
        order = SUBSET
    repeated: list[int] = np.resize(order, size).tolist()
    return repeated


def total_of(make: Make) -> int:
    return len(make(rank=0, world_size=1))


# The sequence and the shares of the ranks


@all_samplers
@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("world_size", [1, 2, 3, 7, 40])
def test_ranks_share_the_sequence_of_the_epoch(make: Make, drop_last: bool, world_size: int) -> None:
    total = total_of(make)
    per_rank = total // world_size if drop_last else math.ceil(total / world_size)
    expected = sequence(make, 3, per_rank * world_size)
    for rank in range(world_size):
        sampler = make(rank=rank, world_size=world_size, drop_last=drop_last)
        sampler.set_epoch(3)
        assert list(sampler) == expected[rank::world_size]
        assert len(sampler) == per_rank


@pytest.mark.parametrize("drop_last", [False, True])
def test_subset_is_shared_as_by_the_distributed_sampler_of_torch(drop_last: bool) -> None:
    for n in (1, 2, 5, 12):
        for world_size in range(1, (n if drop_last else 15) + 1):
            for rank in range(world_size):
                data: Any = range(n)
                theirs: Any = DistributedSampler(data, world_size, rank, shuffle=False, drop_last=drop_last)
                rest: Any = {"drop_last": True} if drop_last else {"pad": True}
                ours = SubsetSampler(n, shuffle=False, rank=rank, world_size=world_size, **rest)
                assert list(ours) == list(theirs)
                assert len(ours) == len(theirs)


@pytest.mark.parametrize("options", [{"shuffle": False}, {"shuffle": True, "pad": False}])
@pytest.mark.parametrize("indices", [10, SUBSET, 0, 1])
def test_each_index_once_over_the_ranks_of_an_evaluation(options: dict[str, bool], indices: Any) -> None:
    whole = list(SubsetSampler(indices, rank=0, world_size=1, **options))
    for world_size in range(1, 14):
        samplers = [SubsetSampler(indices, rank=rank, world_size=world_size, **options) for rank in range(world_size)]
        for rank, sampler in enumerate(samplers):
            assert list(sampler) == whole[rank::world_size]
            assert len(sampler) == len(whole[rank::world_size])
            assert len(DataLoader(range(100), batch_size=2, sampler=sampler)) == -(-len(sampler) // 2)  # type: ignore[arg-type]


def test_padding_is_for_orders_that_are_shuffled() -> None:
    def seen(**options: Any) -> list[int]:
        return sorted(index for rank in range(4) for index in SubsetSampler(10, rank=rank, world_size=4, **options))

    assert len(seen()) == 12
    assert set(seen()) == set(range(10))
    assert seen(shuffle=False, drop_last=True) == seen(shuffle=False, drop_last=True, pad=False) == list(range(8))
    with pytest.raises(ValueError, match="pad and drop_last exclude each other"):
        SubsetSampler(10, pad=True, drop_last=True)
    with pytest.raises(TypeError, match="pad must be True or False, got 'False'"):
        SubsetSampler(10, pad="False")  # type: ignore[arg-type]


def test_an_evaluation_is_resumed_by_any_number_of_ranks() -> None:
    for before, after in ((4, 3), (3, 5), (1, 2), (2, 1), (4, 4)):
        for steps in range(5):
            saved = [uneven(rank=rank, world_size=before) for rank in range(before)]
            done = [index for sampler in saved for index in islice(sampler, steps)]
            resumed = [uneven(rank=rank, world_size=after) for rank in range(after)]
            for sampler in resumed:
                sampler.load_state_dict(saved[0].state_dict())  # of the rank that has the most
            assert sorted(done + [index for sampler in resumed for index in sampler]) == sorted(SUBSET)
            for rank, sampler in enumerate(saved):
                again = uneven(rank=rank, world_size=before)
                again.load_state_dict(sampler.state_dict())
                assert list(again) == SUBSET[rank::before].tolist()[steps:]


@pytest.mark.parametrize("make", [*SAMPLERS, computed])
@pytest.mark.parametrize("chunk", [1, 3, 8])
def test_chunks_do_not_show(make: Make, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = list(islice(make(rank=1, world_size=2), 200))
    monkeypatch.setattr(coremax_torch, "_CHUNK", chunk)
    assert list(islice(make(rank=1, world_size=2), 200)) == expected


@all_samplers
def test_epochs_differ_and_repeat(make: Make) -> None:
    sampler = make()
    passes = []
    for epoch in (0, 1, 0):
        sampler.set_epoch(epoch)
        passes.append(list(sampler))
    assert passes[0] == passes[2] == list(sampler)
    assert (passes[0] != passes[1]) == (make is not ordered)
    assert sampler.epoch == 0
    assert list(make(seed=6)) != passes[0] or make is ordered


@pytest.mark.parametrize("make", [*SAMPLERS, computed])
def test_indices_are_python_integers(make: Make) -> None:
    assert {type(index) for index in islice(make(), 20)} == {int}


def test_subset_of_all_without_an_array() -> None:
    sampler = computed()
    whole = list(sampler)
    assert sorted(whole) == list(range(70_001))
    explicit = SubsetSampler(np.arange(70_001), seed=5)
    assert list(explicit) == whole
    assert list(SubsetSampler(4, shuffle=False)) == [0, 1, 2, 3]
    assert list(SubsetSampler(0)) == list(SubsetSampler(np.array([], dtype=np.int64))) == []


def test_longer_orders_are_the_permutation_of_the_engine() -> None:
    seed = coremax._inputs.arrays.as_seed(epoch_seed(5, 0))
    assert list(islice(computed(), 30)) == [oracle.permuted(70_001, position, seed) for position in range(30)]


@pytest.mark.parametrize("n", [1, 2, 3, 10, 17, 1000, 2**31 + 7, 2**63 - 1])
def test_permutation_follows_the_mapping(n: int) -> None:
    positions = np.unique(np.linspace(0, n - 1, 20).astype(np.uint64).clip(0, n - 1).astype(np.int64))
    got = _core.permute(n, _core.import_array(positions, "positions"), 2**64 - 3, 2)
    assert got.tolist() == [oracle.permuted(n, int(position), 2**64 - 3) for position in positions]


def test_draws_at_positions() -> None:
    table = AliasTable(WEIGHTS)
    stream = table.sample(50, seed=3)
    positions = torch.tensor([49, 0, 7, 7], dtype=torch.int32)
    assert table.sample_at(positions, seed=3).tolist() == stream[positions.numpy()].tolist()
    with pytest.raises(ValueError, match=r"positions\[1\] is negative: -2"):
        table.sample_at([0, -2])
    with pytest.raises(TypeError, match="positions"):
        table.sample_at([0.5])


# Resuming


def through_json(state: dict[str, Any]) -> dict[str, Any]:
    copied: dict[str, Any] = json.loads(json.dumps(state))
    return copied


@all_samplers
@pytest.mark.parametrize("world_size", [1, 2])
@pytest.mark.parametrize("chunk", [3, 16384])
def test_resumes_at_every_position_again_and_again(
    make: Make, world_size: int, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coremax_torch, "_CHUNK", chunk)
    options = {"rank": world_size - 1, "world_size": world_size}
    whole = make(**options)
    whole.set_epoch(2)
    expected = list(whole)
    for first in range(len(expected) + 1):
        sampler = make(**options)
        sampler.set_epoch(2)
        assert list(islice(sampler, first)) == expected[:first]
        for _ in range(2):
            state = through_json(sampler.state_dict())
            sampler = make(**options, **({} if make is ordered else {"seed": 77}))
            sampler.load_state_dict(state)
            assert sampler.epoch == 2
            assert sampler.state_dict() == state
            got = list(islice(sampler, 2))
            assert got == expected[first : first + 2]
            first += len(got)
        assert list(make_resumed(make, sampler, options)) == expected[first:]
        if first < len(expected):
            assert list(sampler) == expected  # the pass after that is a whole one


def make_resumed(make: Make, sampler: Any, options: dict[str, Any]) -> Any:
    resumed = make(**options)
    resumed.load_state_dict(sampler.state_dict())
    return resumed


@all_samplers
def test_another_number_of_ranks_shares_what_was_left(make: Make) -> None:
    total = total_of(make)
    sequence_of_epoch = sequence(make, 1, total + 10)
    for before, after in ((4, 3), (3, 5), (1, 2), (2, 1)):
        saved = make(rank=before - 1, world_size=before)
        saved.set_epoch(1)
        done = before * len(list(islice(saved, 2)))
        padding = -(total - done) % after
        left = sequence_of_epoch[done:total]
        padded = left + (sequence_of_epoch[total : total + padding] if make is importance else sequence_of_epoch[:padding])
        for rank in range(after):
            resumed = make(rank=rank, world_size=after)
            resumed.load_state_dict(saved.state_dict())
            assert list(resumed) == padded[rank::after], (before, after)


def test_state_is_small_and_plain() -> None:
    for sampler in (ImportanceSampler(np.ones(100_000)), SubsetSampler(10**12), SubsetSampler(np.arange(100_000))):
        next(iter(sampler))
        state = sampler.state_dict()
        assert len(json.dumps(state)) < 300
        assert {type(value) for value in state.values()} <= {int, str, bool}
        assert state["version"] == 1


def test_state_at_what_was_consumed() -> None:
    """As under a plain loader that has fetched more than it handed out."""
    sampler = importance(rank=1, world_size=2)
    expected = list(sampler)
    sampler.load_state_dict(importance_after(3))
    list(islice(sampler, 8))
    state = sampler.state_dict(consumed=4)
    sampler.load_state_dict(state)
    assert list(sampler) == expected[7:]
    assert sampler.state_dict(consumed=100) == sampler.state_dict()
    with pytest.raises(ValueError, match="consumed must be at least 0"):
        sampler.state_dict(consumed=-1)


def importance_after(n: int) -> dict[str, Any]:
    sampler = importance(rank=1, world_size=2)
    list(islice(sampler, n))
    return sampler.state_dict()


@all_samplers
def test_state_at_the_end_of_an_epoch(make: Make) -> None:
    done = make()
    done.set_epoch(3)
    whole = list(done)
    state = done.state_dict()
    resumed = make()
    resumed.load_state_dict(state)
    assert (list(resumed), list(resumed)) == ([], whole)
    # A later epoch begins at its start, whether it is set after the state is loaded or before.
    done.set_epoch(4)
    following = list(done)
    for epoch_first in (True, False):
        resumed = make()
        if epoch_first:
            resumed.set_epoch(4)
        resumed.load_state_dict(state)
        if not epoch_first:
            resumed.set_epoch(3)  # says nothing new
            resumed.set_epoch(4)
        assert list(resumed) == following
        assert resumed.epoch == 4


def test_epoch_set_before_an_earlier_state_follows_it() -> None:
    resumed = shuffled()
    resumed.set_epoch(4)
    resumed.load_state_dict(sampler_at(3, 5).state_dict())
    assert resumed.epoch == 3
    assert list(resumed) == list(sampler_at(3, 0))[5:]
    assert resumed.epoch == 4
    assert list(resumed) == list(sampler_at(4, 0))


def sampler_at(epoch: int, position: int) -> SubsetSampler:
    sampler = shuffled()
    sampler.set_epoch(epoch)
    list(islice(sampler, position))
    return sampler


def test_an_epoch_set_in_place_of_the_loaded_one_warns() -> None:
    """What was left is given up; not where nothing was, nor before a position was reached."""
    for epoch in (0, 2, 4):
        resumed = shuffled()
        resumed.load_state_dict(sampler_at(3, 5).state_dict())
        with pytest.warns(UserWarning, match=rf"epoch {epoch} begins .* position, 5 of epoch 3, is given up"):
            resumed.set_epoch(epoch)
        assert list(resumed) == list(sampler_at(epoch, 0))
        resumed.set_epoch(3)  # the state is forgotten
        assert list(resumed) == list(sampler_at(3, 0))
    for position in (0, 11):
        resumed = shuffled()
        resumed.load_state_dict(sampler_at(3, position).state_dict())
        resumed.set_epoch(4)
    resumed = shuffled()
    resumed.load_state_dict(sampler_at(3, 5).state_dict())
    list(islice(resumed, 2))
    resumed.set_epoch(4)  # given up by the loop, not by resuming


def test_epoch_given_up_begins_anew() -> None:
    sampler = shuffled()
    whole = list(sampler)
    list(islice(sampler, 4))
    assert list(sampler) == whole
    list(islice(sampler, 4))
    sampler.set_epoch(1)
    assert sampler.state_dict()["position"] == 0
    sampler.set_epoch(0)
    assert list(sampler) == whole


def test_iterators_that_are_never_asked_do_not_count() -> None:
    """Loaders call iter() more often than they iterate."""
    sampler = shuffled()
    expected = list(sampler)
    list(islice(sampler, 4))
    resumed = shuffled()
    resumed.load_state_dict(sampler.state_dict())
    iter(resumed)
    assert list(iter(resumed)) == expected[4:]


def test_iterator_is_stateful() -> None:
    sampler = shuffled()
    expected = list(sampler)
    iterator: Any = iter(sampler)
    state = iterator.state_dict()
    assert [next(iterator) for _ in range(3)] == expected[:3]
    later = iterator.state_dict()
    assert (state["position"], later["position"]) == (0, 3)
    iterator.load_state_dict(state)
    assert list(iterator) == expected
    with pytest.raises(RuntimeError, match="come to its end"):
        iterator.load_state_dict(later)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "its version is 2, that of this one 1"),
        ({"sampler": "SubsetSampler"}, "its sampler is 'SubsetSampler'"),
        ({"n": 12}, "its n is 12, that of this one 11"),
        ({"num_samples": 30}, "its num_samples is 30, that of this one 29"),
        ({"replacement": False}, "its replacement is False"),
        ({"position": -1}, r"state\['position'\] must be"),
        ({"position": 1.5}, r"state\['position'\] must be an int"),
        ({"epoch": None}, r"state\['epoch'\] must be an int"),
        ({"seed": 2**64}, r"state\['seed'\] must be"),
    ],
)
def test_other_states_are_refused(change: dict[str, Any], message: str) -> None:
    sampler = importance()
    list(islice(sampler, 4))
    before = sampler.state_dict()
    with pytest.raises((ValueError, TypeError), match=message):
        sampler.load_state_dict({**before, **change})
    assert sampler.state_dict() == before
    for state in ({}, {"version": 1}, 3, None):
        with pytest.raises((ValueError, TypeError), match="state"):
            sampler.load_state_dict(state)  # type: ignore[arg-type]


def test_state_of_another_subset_is_refused() -> None:
    state = shuffled().state_dict()
    with pytest.raises(ValueError, match="fingerprint"):
        SubsetSampler(SUBSET[::-1]).load_state_dict(state)
    with pytest.raises(ValueError, match="its shuffle is True, that of this one False"):
        ordered().load_state_dict(state)


@all_samplers
def test_copies_begin_the_epoch_anew(make: Make) -> None:
    sampler = make()
    sampler.set_epoch(1)
    expected = list(sampler)
    list(islice(sampler, 3))
    for copied in (copy.deepcopy(sampler), pickle.loads(pickle.dumps(sampler))):
        assert list(copied) == expected
        assert repr(copied) == repr(sampler)


# Weights


def test_set_weights_holds_from_the_next_index_on(monkeypatch: pytest.MonkeyPatch) -> None:
    for chunk in (4, 16384):
        monkeypatch.setattr(coremax_torch, "_CHUNK", chunk)
        for first in range(10):
            sampler = importance(rank=1, world_size=2)
            iterator = iter(sampler)
            got = [next(iterator) for _ in range(first)]
            sampler.set_weights(torch.from_numpy(WEIGHTS[::-1].copy()))
            got += list(iterator)
            seed = epoch_seed(5, 0)
            old, new = (AliasTable(weights).sample(30, seed=seed)[1::2].tolist() for weights in (WEIGHTS, WEIGHTS[::-1]))
            assert got == old[:first] + new[first:]


def test_set_weights_without_replacement_holds_from_the_next_pass_on() -> None:
    sampler = races()
    expected = list(sampler)
    iterator: Any = iter(sampler)
    got = [next(iterator) for _ in range(3)]
    sampler.set_weights(WEIGHTS[::-1])
    state = sampler.state_dict()
    assert got + list(iterator) == expected
    assert list(sampler) == coremax.sample(WEIGHTS[::-1].copy(), 8, seed=epoch_seed(5, 0)).tolist()
    # The state belongs to the weights that its pass was drawn by.
    resumed = races()
    resumed.load_state_dict(state)
    assert list(resumed) == expected[3:]


@pytest.mark.parametrize("make", [importance, races])
def test_resuming_with_other_weights_warns(make: Make) -> None:
    saved = make()
    list(islice(saved, 3))
    state = saved.state_dict()
    resumed = make()
    resumed.set_weights(WEIGHTS + 1)
    resumed.load_state_dict(state)
    with pytest.warns(UserWarning, match="weights are not those"):
        next(iter(resumed))
    list(resumed)  # once is enough
    for order in (0, 1):  # the weights may come before the state or after it
        resumed = make()
        resumed.set_weights(WEIGHTS + 1)
        for step in (order, 1 - order):
            if step:
                resumed.load_state_dict(state)
            else:
                resumed.set_weights(WEIGHTS)
        assert list(resumed) == list(saved)[3:]


def test_state_knows_the_weights_in_use() -> None:
    """Weights changed before a pass's first index or in its middle are those that resuming asks for."""
    for first in (0, 3):
        sampler = importance()
        iterator = iter(sampler)
        list(islice(iterator, first))
        sampler.set_weights(WEIGHTS + 1)
        next(iterator)
        state = sampler.state_dict()
        resumed = ImportanceSampler(WEIGHTS + 1, 29)
        resumed.load_state_dict(state)
        assert list(resumed) == list(iterator)
        resumed = importance()
        resumed.load_state_dict(state)
        with pytest.warns(UserWarning, match="weights are not those"):
            list(resumed)


def test_set_weights_refuses_and_leaves_the_old() -> None:
    for sampler in (importance(), races()):
        expected = list(sampler)
        for weights, message in (
            (WEIGHTS[:-1], "weights has 10 elements, but the sampler has 11"),
            (np.where(WEIGHTS == 1, np.nan, WEIGHTS), r"weights\[3\] is nan"),
            (np.zeros(11), "positive"),
        ):
            with pytest.raises(ValueError, match=message):
                sampler.set_weights(weights)
        assert list(sampler) == expected
    with pytest.raises(ValueError, match=r"num_samples is 8, but without replacement it must be at most .* 1$"):
        races().set_weights(np.eye(1, 11)[0])


def test_weights_are_not_tied_to_the_array_given() -> None:
    weights = WEIGHTS.copy()
    sampler = ImportanceSampler(weights, 8, replacement=False, seed=5)
    weights[:] = 1
    assert list(sampler) == list(races())
    subset = SUBSET.copy()
    subset_sampler = SubsetSampler(subset, seed=5)
    subset[:] = 0
    assert list(subset_sampler) == list(shuffled())


@pytest.mark.parametrize("bring", [np.asarray, torch.from_numpy, lambda w: w.tolist(), lambda w: torch.from_numpy(w).float()])
def test_weights_of_any_library(bring: Callable[[Any], Any]) -> None:
    for options in ({}, {"replacement": False}):
        sampler = ImportanceSampler(bring(WEIGHTS), 8, seed=5, **options)
        assert list(sampler) == list(ImportanceSampler(WEIGHTS, 8, seed=5, **options))
    assert list(ImportanceSampler(torch.from_numpy(WEIGHTS).bfloat16(), 8, replacement=False, seed=5)) == list(races())
    assert list(SubsetSampler(torch.from_numpy(SUBSET.astype(np.int32)), seed=5)) == list(shuffled())


def test_importance_weights_make_the_mean_unbiased() -> None:
    sampler = importance()
    values = np.random.default_rng(0).normal(size=11)
    drawn = np.flatnonzero(WEIGHTS)
    factors = sampler.importance_weights(drawn)
    probabilities = WEIGHTS[drawn] / WEIGHTS.sum()
    assert np.sum(probabilities * factors * values[drawn]) == pytest.approx(values[drawn].sum() / 11, rel=1e-12)
    tensor = sampler.importance_weights(torch.tensor([1, 1], dtype=torch.int32))
    assert isinstance(tensor, torch.Tensor)
    assert tensor.tolist() == pytest.approx([WEIGHTS.sum() / 22] * 2)
    sampler.set_weights(np.ones(11))
    np.testing.assert_allclose(sampler.importance_weights(np.arange(11)), 1)
    sampler.set_weights(WEIGHTS)
    for indices, message in (
        ([0, 11], r"indices\[1\] is 11, not in \[0, 11\)"),
        ([2], r"indices\[0\] is 2, which has weight zero"),
    ):
        with pytest.raises(ValueError, match=message):
            sampler.importance_weights(indices)
    with pytest.raises(ValueError, match="replacement=True"):
        races().importance_weights([0])


# What callers may pass


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ImportanceSampler([]), ValueError, "weights is empty"),
        (lambda: ImportanceSampler([1.0, -1.0]), ValueError, r"weights\[1\] is negative \(-1\)"),
        (lambda: ImportanceSampler([[1.0]]), ValueError, "weights must be one-dimensional"),
        (lambda: ImportanceSampler([1.0, math.inf], replacement=False), ValueError, r"weights\[1\] is inf"),
        (lambda: ImportanceSampler([1.0, 0.0], replacement=False), ValueError, "at most the number of positive weights, 1"),
        (lambda: ImportanceSampler([1.0], 0), ValueError, "num_samples must be"),
        (lambda: ImportanceSampler([1.0], 1.5), TypeError, "num_samples must be an int"),  # type: ignore[arg-type]
        (lambda: ImportanceSampler([1.0], replacement=1), TypeError, "replacement must be True or False"),  # type: ignore[arg-type]
        (lambda: ImportanceSampler([1.0], seed=-1), ValueError, "seed must be"),
        (lambda: importance(rank=2, world_size=2), ValueError, "rank must be from 0 to 1, got 2"),
        (lambda: importance(rank=0, world_size=0), ValueError, "world_size must be"),
        (lambda: importance(rank=0), ValueError, "rank and world_size belong together"),
        (lambda: importance(drop_last=None), TypeError, "drop_last must be True or False"),
        (lambda: SubsetSampler([1, -1]), ValueError, r"indices\[1\] is negative: -1"),
        (lambda: SubsetSampler([[1]]), ValueError, "indices must be one-dimensional"),
        (lambda: SubsetSampler([0.5]), TypeError, "indices must be"),
        (lambda: SubsetSampler(np.array([True])), TypeError, "got a mask of bool: pass numpy.flatnonzero"),
        (lambda: SubsetSampler([True, False]), TypeError, "indices must be whole numbers, got a mask"),
        (lambda: SubsetSampler(torch.ones(2, dtype=torch.bool)), TypeError, "indices must be whole numbers, got a mask"),
        (lambda: SubsetSampler(i for i in range(3)), TypeError, "indices must be an array, got a generator: pass list"),
        (lambda: SubsetSampler({1, 2}), TypeError, "indices must be an array, got set"),
        (lambda: SubsetSampler(torch.arange(3.0)), TypeError, "indices must be int64 or int32, got float32"),
        (lambda: importance().importance_weights(np.array([True])), TypeError, "indices must be whole numbers, got a mask"),
        (lambda: ImportanceSampler(w for w in (1.0, 2.0)), TypeError, "weights must be an array.* generator"),
        (lambda: ImportanceSampler(a_selection()), TypeError, "weights must be an array.* Selection"),
        (lambda: SubsetSampler(-1), ValueError, "indices must be"),
        (lambda: SubsetSampler(True), TypeError, "indices must be"),
        (lambda: SubsetSampler(3, shuffle="yes"), TypeError, "shuffle must be True or False"),  # type: ignore[arg-type]
        (lambda: shuffled().set_epoch(-1), ValueError, "epoch must be"),
    ],
)
def test_bad_input(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def a_selection() -> Any:
    return coremax.selection.top(np.arange(10.0), 4)


def test_a_selection_stands_for_its_indices() -> None:
    selection = a_selection()
    assert sorted(SubsetSampler(selection)) == selection.indices.tolist()
    assert SubsetSampler(selection).state_dict() == SubsetSampler(selection.indices).state_dict()


@pytest.mark.parametrize("bring", [torch.from_numpy, lambda weights: torch.from_numpy(weights).float(), np.asarray])
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda table: pickle.loads(pickle.dumps(table))])
def test_copies_of_a_table_answer_in_its_library(bring: Callable[[Any], Any], copied: Callable[[Any], Any]) -> None:
    weights = bring(WEIGHTS)
    table = copied(copied(AliasTable(weights)))
    for drawn in (table.sample(5), table.sample_at([0, 3]), table.probabilities()):
        assert type(drawn) is type(weights)
    assert table.sample(50, seed=1).tolist() == AliasTable(weights).sample(50, seed=1).tolist()
    table.update(WEIGHTS)
    assert type(table.sample(5)) is np.ndarray


def test_seeds_of_every_kind() -> None:
    sequence_of_seeds = np.random.SeedSequence(8)
    assert list(shuffled(seed=sequence_of_seeds)) == list(shuffled(seed=sequence_of_seeds))
    assert list(shuffled(seed=np.random.default_rng(1))) == list(shuffled(seed=np.random.default_rng(1)))


# Memory


def peak_bytes(run: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_epoch() -> None:
    """Three megabytes are a chunk as a list and its arrays; a list of 10^7 indices would take some 400."""
    weighted = ImportanceSampler(np.ones(10_000_000, dtype=np.float32))
    everything = SubsetSampler(10**12, rank=3, world_size=5)

    def iterate() -> None:
        for sampler in (weighted, everything):
            assert sum(1 for _ in islice(sampler, 40_000)) == 40_000
            sampler.state_dict()

    assert peak_bytes(iterate) < 3e6


# Distributions


def test_importance_frequencies() -> None:
    """Chi-square over two ranks and four epochs; false-alarm rate 1e-6."""
    counts = np.zeros(11)
    for rank in range(2):
        sampler = ImportanceSampler(WEIGHTS, 100_000, rank=rank, world_size=2, seed=1)
        for epoch in range(4):
            sampler.set_epoch(epoch)
            counts += np.bincount(list(sampler), minlength=11)
    positive = WEIGHTS > 0
    assert counts[~positive].sum() == 0
    assert stats.chisquare(counts[positive], 400_000 * WEIGHTS[positive] / WEIGHTS.sum()).pvalue > FALSE_ALARM


def test_short_orders_are_uniform_over_all() -> None:
    """All 24 orders of four, by epoch; false-alarm rate 1e-6."""
    sampler = SubsetSampler(4, seed=1)
    orders: Counter[tuple[int, ...]] = Counter()
    for epoch in range(4800):
        sampler.set_epoch(epoch)
        orders[tuple(sampler)] += 1
    assert stats.chisquare([orders[order] for order in permutations(range(4))]).pvalue > FALSE_ALARM


def feistel_orders(n: int, seeds: int) -> Iterable[NDArray[np.int64]]:
    positions = _core.import_array(np.arange(n), "positions")
    for seed in range(seeds):
        yield _core.permute(n, positions, seed, 2)


def test_long_orders_are_uniform_by_place() -> None:
    """32 x 32 blocks of place and element, element beside its neighbour, for odd shapes too; false-alarm rate 1e-6 each."""
    for n in (65_537, 66_564, 99_991):
        blocks = np.zeros((32, 32))
        steps = np.zeros(128)
        for order in feistel_orders(n, 8):
            np.add.at(blocks, (np.arange(n) * 32 // n, order * 32 // n), 1)
            steps += np.bincount((order[1:] - order[:-1]) % n * 128 // n, minlength=128)
        expected = np.outer(*(np.bincount(np.arange(n) * 32 // n),) * 2) * 8 / n
        statistic = np.sum((blocks - expected) ** 2 / expected)
        assert FALSE_ALARM / 2 < stats.chi2.sf(statistic, 31 * 31) < 1 - FALSE_ALARM / 2
        assert stats.chisquare(steps).pvalue > FALSE_ALARM


def excess_of_equal_displacements(orders: Iterable[NDArray[np.int64]], n: int) -> float:
    """How many pairs of places in one column of the rectangle lie as many rows apart after as before, in standard deviations.

    The relation by which four rounds differ from a random order (Patarin, "New results on pseudorandom permutation generators
    based on the DES scheme", CRYPTO 1991).
    """
    rows = math.isqrt(n - 1) + 1
    columns = -(-n // rows)
    found, expected = 0, 0.0
    for order in orders:
        left = order // columns
        for step in range(1, 9):
            found += int(np.sum((left[step * columns :] - left[: -step * columns]) % rows == step))
            expected += (n - step * columns) / rows
    return (found - expected) / math.sqrt(expected)


def test_long_orders_have_rounds_enough() -> None:
    """False-alarm rate 1e-6; and the test would notice: with four rounds the same pairs stand out."""
    n, bound = 65_537, stats.norm.isf(FALSE_ALARM / 2)
    assert abs(excess_of_equal_displacements(feistel_orders(n, 8), n)) < bound
    four = np.array([oracle.permuted(n, position, 1, rounds=4) for position in range(n)])
    assert excess_of_equal_displacements([four], n) > bound


# Loaders


def batches(loader: Iterable[Any]) -> list[list[int]]:
    return [list(batch) for batch in loader]


def grouped(indices: list[int], size: int) -> list[list[int]]:
    return [indices[start : start + size] for start in range(0, len(indices), size)]


def loader_of(sampler: Any, kind: Any = DataLoader, **options: Any) -> Any:
    return kind(range(100), sampler=sampler, **{"batch_size": 4, "collate_fn": list, **options})


@all_samplers
@pytest.mark.parametrize("workers", [0, 1, 2])
def test_under_a_loader(make: Make, workers: int) -> None:
    sampler = make(rank=0, world_size=2)
    expected = {}
    for epoch in (0, 1):
        sampler.set_epoch(epoch)
        expected[epoch] = grouped(list(sampler), 4)
    loader = loader_of(sampler, num_workers=workers, persistent_workers=workers == 2)
    assert len(loader) == len(expected[0])
    for epoch in (0, 1):
        sampler.set_epoch(epoch)
        assert batches(loader) == expected[epoch]


def test_under_a_batch_sampler() -> None:
    sampler = importance()
    loader: Any = DataLoader(range(100), batch_sampler=BatchSampler(sampler, 4, drop_last=True), collate_fn=list)  # type: ignore[arg-type]
    assert batches(loader) == grouped(list(sampler), 4)[:-1]


@pytest.mark.parametrize("workers", [0, 2])
def test_resumes_under_a_plain_loader(workers: int) -> None:
    """The state is that of the batches handed out, though workers have fetched more."""
    expected = grouped(list(importance()), 4)
    sampler = importance()
    states = []
    for number, _ in enumerate(loader_of(sampler, num_workers=workers)):
        states.append(sampler.state_dict(consumed=4 * (number + 1)))
        if number == 2:
            break
    assert (sampler.state_dict() == states[-1]) == (workers == 0)
    for number, state in enumerate(states):
        resumed = importance()
        resumed.load_state_dict(state)
        assert batches(loader_of(resumed, num_workers=workers)) == expected[number + 1 :]
    assert [states[-1]["position"], len(expected)] == [12, 8]


def test_resumes_under_a_loader_without_batches() -> None:
    """With batch_size=None the loader calls iter() twice."""
    sampler = importance()
    expected = list(sampler)
    list(islice(sampler, 5))
    resumed = importance()
    resumed.load_state_dict(sampler.state_dict())
    loader: Any = DataLoader(range(100), sampler=resumed, batch_size=None, num_workers=1)  # type: ignore[arg-type]
    assert [int(index) for index in loader] == expected[5:]


@pytest.fixture
def stateful_loader() -> Any:
    module = pytest.importorskip("torchdata.stateful_dataloader", reason="torchdata is not installed: its loader is not tested")
    return module.StatefulDataLoader


@all_samplers
@pytest.mark.parametrize(
    "options",
    [
        {"num_workers": 0},
        {"num_workers": 2},
        {"num_workers": 1, "persistent_workers": True, "prefetch_factor": 4},
        {"num_workers": 2, "snapshot_every_n_steps": 3},
        {"num_workers": 1, "batch_size": None},
    ],
    ids=["alone", "workers", "persistent", "snapshots", "unbatched"],
)
def test_resumes_under_the_stateful_loader(make: Make, options: dict[str, Any], stateful_loader: Any) -> None:
    """In the middle of an epoch, twice, then through the next epoch; workers fetch ahead and no index is lost or repeated."""
    if "batch_size" in options:
        options = {**options, "collate_fn": lambda index: [int(index)]}
    options = {"batch_size": 2, **options}
    size = options["batch_size"] or 1
    ranks = {"rank": 0, "world_size": 1}
    sampler = make(**ranks)
    expected = {}
    for epoch in (1, 2):
        sampler.set_epoch(epoch)
        expected[epoch] = grouped(list(sampler), size)
    sampler.set_epoch(1)
    loader = loader_of(sampler, stateful_loader, **options)
    got = [list(batch) for batch in islice(loader, 1)]
    assert got == expected[1][:1]
    for _ in range(2):
        state = pickle.loads(pickle.dumps(loader.state_dict()))
        sampler = make(**ranks)
        loader = loader_of(sampler, stateful_loader, **options)
        loader.load_state_dict(state)
        sampler.set_epoch(1)
        got += [list(batch) for batch in islice(loader, 1)]
        assert got == expected[1][: len(got)]
    got += batches(make_loaded(make, ranks, loader.state_dict(), stateful_loader, options))
    assert got == expected[1]
    finished = make_loaded(make, ranks, loader.state_dict(), stateful_loader, options)
    batches(finished)
    state = finished.state_dict()
    # The end of an epoch, then the next: whole, and the one that was set though the loader reads its state after that.
    last = make_loaded(make, ranks, state, stateful_loader, options)
    assert batches(last) == expected[1]
    last = make_loaded(make, ranks, state, stateful_loader, options)
    last.sampler.set_epoch(2)
    assert batches(last) == expected[2]


def train(make: Make, options: dict[str, Any], resumes: bool, state: Any = None) -> Iterator[tuple[int, list[int], Any]]:
    """The loop of docs/howto/pytorch.md, over any sampler and loader; or with the loader's own load_state_dict."""
    stateful: Any = importlib.import_module("torchdata.stateful_dataloader")
    sampler = make()
    if "batch_sampler" in options:
        loader = stateful.StatefulDataLoader(range(100), batch_sampler=stateful.sampler.BatchSampler(sampler, 4, False))
    else:
        loader = loader_of(sampler, stateful.StatefulDataLoader, **options)
    if state is not None and resumes:
        assert resume(loader, state) == sampler.epoch
    elif state is not None:
        loader.load_state_dict(state)
    for epoch in range(sampler.epoch, 3):
        sampler.set_epoch(epoch)
        for batch in loader:
            assert sampler.epoch == epoch
            yield epoch, [int(index) for index in batch], pickle.loads(pickle.dumps(loader.state_dict()))


def steps_of(steps: Iterable[tuple[int, list[int], Any]]) -> list[tuple[int, list[int]]]:
    return [(epoch, indices) for epoch, indices, _ in steps]


@pytest.mark.parametrize("make", [*SAMPLERS, uneven])
@pytest.mark.parametrize("resumes", [True, False], ids=["resume", "load_state_dict"])
@pytest.mark.parametrize(
    "options",
    [{}, {"batch_sampler": True}, {"batch_size": None, "collate_fn": lambda i: [i]}],
    ids=["batches", "batch sampler", "single"],
)
def test_three_epochs_stopped_at_every_batch(make: Make, resumes: bool, options: dict[str, Any], stateful_loader: Any) -> None:
    """The same batches under the same epochs as without a stop: in the middle, at the ends, and stopped again on the way."""
    del stateful_loader
    for ranks in ({"rank": 0, "world_size": 1}, {"rank": 1, "world_size": 2}):

        def make_one(ranks: dict[str, int] = ranks) -> Any:
            return make(**ranks)

        whole = list(train(make_one, options, resumes))
        for stop in range(len(whole)):
            rest = list(train(make_one, options, resumes, whole[stop][2]))
            assert steps_of(rest) == steps_of(whole[stop + 1 :])
            if len(rest) > 1:
                assert steps_of(train(make_one, options, resumes, rest[1][2])) == steps_of(rest[2:])


@pytest.mark.parametrize(
    ("options", "resumes"),
    [
        ({"num_workers": 2}, True),
        ({"num_workers": 2}, False),
        ({"num_workers": 1, "persistent_workers": True}, True),
        ({"num_workers": 1, "persistent_workers": True}, False),
        ({"num_workers": 2, "snapshot_every_n_steps": 2}, True),
    ],
    ids=str,
)
def test_three_epochs_stopped_under_workers(resumes: bool, options: dict[str, Any], stateful_loader: Any) -> None:
    del stateful_loader
    whole = list(train(shuffled, options, resumes))
    for stop in (0, 2, 4, 5, 8):
        assert steps_of(train(shuffled, options, resumes, whole[stop][2])) == steps_of(whole[stop + 1 :])


def test_a_loader_that_was_at_the_end_of_an_epoch(stateful_loader: Any) -> None:
    """Its state is that of the epoch's end, too: nothing is repeated while that epoch is set."""
    for workers in (0, 1):
        loader = loader_of(shuffled(), stateful_loader, num_workers=workers)
        loader.sampler.set_epoch(1)
        list(loader)
        state = loader.state_dict()
        for load in (resume, lambda loader, state: loader.load_state_dict(state)):
            resumed = loader_of(shuffled(), stateful_loader, num_workers=workers)
            load(resumed, state)
            got = []
            for epoch in range(3):
                if resumed.sampler.epoch <= epoch:
                    resumed.sampler.set_epoch(epoch)
                    got += [(epoch, index) for batch in resumed for index in batch]
            assert got == [(2, index) for index in sampler_at(2, 0)]


def test_resume_refuses(stateful_loader: Any) -> None:
    loader = loader_of(shuffled(), stateful_loader)
    state = loader.state_dict()
    cases: list[tuple[Any, Any, type[Exception], str]] = [
        (loader_of(shuffled()), state, TypeError, "loader must be a StatefulDataLoader of torchdata, got DataLoader"),
        (stateful_loader(range(3)), state, TypeError, "loader must draw by a sampler of coremax.torch"),
        (loader, 3, TypeError, "state must be a dict, got 3"),
        (loader, {}, ValueError, "state holds none of the sampler"),
        (loader_of(ordered(), stateful_loader), state, ValueError, "its shuffle is True, that of this one False"),
        (loader_of(importance(), stateful_loader), state, ValueError, "its sampler is 'SubsetSampler'"),
    ]
    for other, given, error, message in cases:
        with pytest.raises(error, match=message):
            resume(other, given)
    stateless = stateful_loader(range(100), batch_sampler=BatchSampler(shuffled(), 4, drop_last=False))
    with pytest.raises(ValueError, match="torch's BatchSampler has none"):
        resume(stateless, stateless.state_dict())


def documented_loop() -> str:
    """The function `train` as the page has it."""
    page = (Path(__file__).resolve().parent.parent / "docs" / "howto" / "pytorch.md").read_text()
    blocks = [block.partition("```")[0] for block in page.split("```python\n")[1:]]
    (block,) = [block for block in blocks if "def train(" in block]
    return block.partition("\n\n\nsteps = ")[0]


DOCUMENTED = """
import pickle, sys, os, time
import numpy as np
from coremax.torch import SubsetSampler

kept, data = np.arange(0, 5000, 10), [(i, i % 7, np.int64(i)) for i in range(5000)]
"""

CHECKPOINTED = """
checkpoint, pause = sys.argv[1], float(sys.argv[2])
state = pickle.load(open(checkpoint, "rb")) if os.path.exists(checkpoint) else None
for epoch, indices, state in train(state):
    with open(checkpoint + ".part", "wb") as file:
        pickle.dump(state, file)
    os.replace(checkpoint + ".part", checkpoint)  # a batch is trained when its state is written
    print(epoch, *indices, flush=True)
    time.sleep(pause)
"""


@pytest.mark.parametrize("resumes", [True, False], ids=["resume", "load_state_dict"])
def test_the_documented_loop(resumes: bool, stateful_loader: Any) -> None:
    del stateful_loader
    namespace: dict[str, Any] = {}
    loop = documented_loop().replace("num_workers=2", "num_workers=0")
    assert "resume(loader, state)" in loop
    exec(DOCUMENTED + (loop if resumes else loop.replace("resume(loader, state)", "loader.load_state_dict(state)")), namespace)
    whole = list(namespace["train"]())
    assert [epoch for epoch, *_ in whole] == [0] * 5 + [1] * 5 + [2] * 5
    for stop in range(len(whole)):
        assert steps_of(namespace["train"](whole[stop][2])) == steps_of(whole[stop + 1 :])


def test_the_documented_loop_killed_again_and_again(tmp_path: Path, stateful_loader: Any) -> None:
    """By SIGKILL, after 4 and 3 batches or one more, with workers: each batch is trained once, under its epoch."""
    del stateful_loader
    arguments = [sys.executable, "-W", "ignore", "-c", DOCUMENTED + documented_loop() + CHECKPOINTED]
    sampler, whole = SubsetSampler(np.arange(0, 5000, 10), seed=0), ""
    for epoch in range(3):
        sampler.set_epoch(epoch)
        whole += "".join(f"{epoch} {' '.join(map(str, batch))}\n" for batch in grouped(list(sampler), 100))
    lines: list[str] = []
    for batches_before in (4, 3):
        with subprocess.Popen([*arguments, str(tmp_path / "killed"), "0.2"], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            lines += [process.stdout.readline() for _ in range(batches_before)]
            process.send_signal(signal.SIGKILL)
            lines += process.stdout.readlines()
            assert process.wait() == -signal.SIGKILL
    rest = subprocess.run([*arguments, str(tmp_path / "killed"), "0"], check=True, capture_output=True, text=True).stdout
    assert "".join(lines) + rest == whole


def make_loaded(make: Make, ranks: dict[str, int], state: Any, kind: Any, options: dict[str, Any]) -> Any:
    loader = loader_of(make(**ranks), kind, **options)
    loader.load_state_dict(state)
    return loader


def test_stateful_loader_with_a_batch_sampler_of_torch(stateful_loader: Any) -> None:
    """That one has no state: the loader counts batches and skips them."""
    expected = grouped(list(importance()), 4)

    def make() -> Any:
        return stateful_loader(range(100), batch_sampler=BatchSampler(importance(), 4, drop_last=False), collate_fn=list)

    loader = make()
    list(islice(loader, 3))
    resumed = make()
    resumed.load_state_dict(loader.state_dict())
    assert batches(resumed) == expected[3:]


# Processes


TRAINING = """
import json, os, sys, time
import numpy as np
from torch.utils.data import DataLoader
from coremax.torch import ImportanceSampler

checkpoint, pause = sys.argv[1], float(sys.argv[2])
sampler = ImportanceSampler(np.arange(1.0, 1001.0), 4000, seed=9, rank=1, world_size=2)
sampler.set_epoch(6)
done = 0
if os.path.exists(checkpoint):
    saved = json.load(open(checkpoint))
    sampler.load_state_dict(saved["sampler"])
    done = saved["batches"]
loader = DataLoader(range(1000), sampler=sampler, batch_size=8, collate_fn=list, num_workers=2)
for number, batch in enumerate(loader):
    print(json.dumps(batch), flush=True)
    state = {"sampler": sampler.state_dict(consumed=8 * (number + 1)), "batches": done + number + 1}
    with open(checkpoint + ".part", "w") as file:
        json.dump(state, file)
    os.replace(checkpoint + ".part", checkpoint)
    time.sleep(pause)
"""


def test_training_killed_and_started_again_sees_every_index_once(tmp_path: Path) -> None:
    sampler = ImportanceSampler(np.arange(1.0, 1001.0), 4000, seed=9, rank=1, world_size=2)
    sampler.set_epoch(6)
    expected = grouped(list(sampler), 8)
    checkpoint = tmp_path / "checkpoint.json"
    arguments = [sys.executable, "-W", "ignore", "-c", TRAINING, str(checkpoint)]
    with subprocess.Popen([*arguments, "0.02"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(20):
            assert process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    done = json.loads(checkpoint.read_text())["batches"]
    assert 19 <= done < len(expected)
    rest = subprocess.run([*arguments, "0"], check=True, capture_output=True, text=True).stdout
    assert [json.loads(line) for line in rest.splitlines()] == expected[done:]


RANK = """
import json, sys
import numpy as np, torch
from torch import distributed
from torch.utils.data import DataLoader
from coremax.torch import ImportanceSampler, SubsetSampler, loss_reweight

rank, folder = int(sys.argv[1]), sys.argv[2]
distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
subset = SubsetSampler(101, seed=3)
weighted = ImportanceSampler(np.arange(1.0, 51.0), seed=3)
assert (subset.rank, subset.world_size) == (rank, 2)
loaded = []
for sampler in (subset, weighted):
    loader = DataLoader(range(101), sampler=sampler, batch_size=8, num_workers=1, collate_fn=list)
    loaded.append([index for batch in loader for index in batch])
losses = [torch.tensor([1.0, 5.0, 2.0]), torch.tensor([7.0, 3.0])][rank]  # of different lengths
alone = [distributed.new_group([member]) for member in range(2)][rank]
weights = {name: loss_reweight(losses, name, r=0.7).tolist() for name in ("linupper", "quadratic", "extremes")}
weights["alone"] = loss_reweight(losses, group=alone).tolist()
weights["empty"] = loss_reweight(losses[: 3 - 3 * rank]).tolist()
try:
    loss_reweight(torch.tensor([1.0, float("nan") if rank else 2.0]))
except ValueError as error:
    weights["error"] = str(error)
with open(f"{folder}/{rank}.json", "w") as file:
    json.dump([loaded, weights], file)
distributed.destroy_process_group()
"""


def test_two_ranks(tmp_path: Path) -> None:
    """Under gloo, with a local rank that says otherwise: no overlap, full coverage, and weights over the global batch."""
    environment = {**os.environ, "LOCAL_RANK": "0"}
    programs = [
        subprocess.Popen([sys.executable, "-W", "ignore", "-c", RANK, str(rank), str(tmp_path)], env=environment)
        for rank in range(2)
    ]
    assert [program.wait(timeout=120) for program in programs] == [0, 0]
    loaded, weights = zip(*(json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2)), strict=True)
    for single, (first, second) in zip(
        (SubsetSampler(101, seed=3), ImportanceSampler(np.arange(1.0, 51.0), seed=3)), zip(*loaded, strict=True), strict=True
    ):
        whole = list(single)
        merged = [index for pair in zip(first, second, strict=True) for index in pair]
        assert merged[: len(whole)] == whole
        assert len(merged) == len(whole) + len(whole) % 2
    everywhere = torch.tensor([1.0, 5.0, 2.0, 7.0, 3.0])
    for strategy in ("linupper", "quadratic", "extremes"):
        assert weights[0][strategy] + weights[1][strategy] == loss_reweight(everywhere, strategy, r=0.7).tolist()
    assert weights[1]["alone"] == loss_reweight(everywhere[3:]).tolist()
    assert (len(weights[0]["empty"]), weights[1]["empty"]) == (3, [])
    for rank in range(2):
        assert "losses[1] of rank 1 is nan" in weights[rank]["error"]


# Loss-based weights


def oracle_loss_weights(losses: Iterable[float], strategy: str, r: float) -> NDArray[np.float64]:
    values = np.array(list(losses), dtype=np.longdouble)
    low, high = values.min(), values.max()
    h = np.zeros(len(values)) if low == high else (2 * values - (high + low)) / (high - low)
    f = {"linupper": np.minimum(h + 1, 1), "quadratic": 1 - h**2, "extremes": np.abs(h)}[strategy]
    e = np.exp(f / r - np.max(f / r))
    return np.asarray(e / e.sum(), dtype=np.float64)


@pytest.mark.parametrize("strategy", ["linupper", "quadratic", "extremes"])
@pytest.mark.parametrize("r", [0.01, 0.5, 1.0, 1e6])
@pytest.mark.parametrize("losses", [[3.0], [1.0, 2.0], [5.0, 5.0, 5.0], [0.1, 4.0, 2.0, 2.5, 0.0], [-3.0, 1e-3, 12.0]])
def test_loss_weights_follow_the_paper(strategy: Any, r: float, losses: list[float]) -> None:
    got = loss_reweight(torch.tensor(losses, dtype=torch.float64), strategy, r=r)
    np.testing.assert_allclose(got, oracle_loss_weights(losses, strategy, r), rtol=1e-12, atol=1e-300)
    np.testing.assert_allclose(
        got, coremax.scores.loss_weights(losses, strategy=strategy, temperature=r), rtol=1e-12, atol=1e-300
    )
    assert got.sum().item() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("strategy", ["linupper", "quadratic", "extremes"])
def test_loss_weights_of_extreme_losses(strategy: Any) -> None:
    for losses in ([-1.7e308, 0.0, 1.7e308], [0.0, 5e-324], [1.0, 1 + 2**-52]):
        for r in (1e-300, 1.0):
            weights = loss_reweight(torch.tensor(losses, dtype=torch.float64), strategy, r=r)
            assert weights.isfinite().all()
            assert weights.sum().item() == pytest.approx(1)


def test_loss_weights_carry_no_gradient_and_their_type() -> None:
    losses = torch.tensor([1.0, 2.0, 4.0], requires_grad=True)
    weights = loss_reweight(losses)
    assert not weights.requires_grad
    (weights * losses).sum().backward()  # type: ignore[no-untyped-call]
    assert losses.grad is not None
    assert torch.equal(losses.grad, weights)
    for given, returned in ((torch.float16, torch.float32), (torch.bfloat16, torch.float32), (torch.float64, torch.float64)):
        assert loss_reweight(torch.ones(2, dtype=given)).dtype == returned
    assert loss_reweight(torch.ones(0)).tolist() == []


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((torch.tensor([1.0, math.inf]),), {}, ValueError, r"losses\[1\] of rank 0 is inf"),
        ((torch.ones(2, device="meta"),), {}, TypeError, "losses must be a dense tensor, got one of the device meta"),
        ((torch.ones(2).to_sparse(),), {}, TypeError, "losses must be a dense tensor, got one of layout torch.sparse_coo"),
        (([torch.ones(()), torch.ones((), requires_grad=True)],), {}, TypeError, "losses must be a tensor .* got list"),
        ((torch.ones(2, 2),), {}, ValueError, r"one-dimensional, got shape \(2, 2\)"),
        ((torch.ones(2, dtype=torch.int64),), {}, TypeError, "losses must be a tensor"),
        ((np.ones(2),), {}, TypeError, "losses must be a tensor"),
        ((torch.ones(2), "upper"), {}, ValueError, "strategy must be one of"),
        ((torch.ones(2),), {"r": 0.0}, ValueError, "r must be finite"),
        ((torch.ones(2),), {"group": "nccl"}, TypeError, "group must be a torch.distributed.ProcessGroup or None, got 'nccl'"),
    ],
)
def test_bad_losses(arguments: tuple[Any, ...], options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        loss_reweight(*arguments, **options)
