"""Simulated annealing over swaps, with a 1-swap local search after it: the strong and slow opponent, compiled by Numba.

Shares nothing with coremax: its own gains, random numbers and search. A move swaps one kept element for one left out; one move
in eight picks the second among the neighbours of the first, which alone finds the better of two near-duplicates. K >= 0 is not
needed.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]
Indices = NDArray[np.int64]

# Temperatures begin at this share of the spread of the importance and of the largest redundancy of an element, whichever is
# larger, and end at END of it: hotter and colder ones change nothing, but take moves from those in between.
START = 0.1
END = 0.002
STAGES = 400  # temperatures; moves are divided evenly


def _compiled(function: Any) -> Any:
    return numba.njit(cache=True, nogil=True)(function)


@_compiled
def _next(state: Any) -> Any:
    """Xorshift64* (Vigna 2016)."""
    x = state[0]
    x ^= x >> np.uint64(12)
    x ^= x << np.uint64(25)
    x ^= x >> np.uint64(27)
    state[0] = x
    return x * np.uint64(2685821657736338717)


@_compiled
def _below(state: Any, limit: Any) -> Any:
    """Return a number from 0 to limit - 1 (limit < 2^31)."""
    return np.int64(((_next(state) >> np.uint64(32)) * np.uint64(limit)) >> np.uint64(32))


@_compiled
def _coupling(indptr: Any, indices: Any, weights: Any, i: Any, j: Any) -> Any:
    """Weight of the edge between i and j, 0 where there is none."""
    for e in range(indptr[i], indptr[i + 1]):
        if indices[e] == j:
            return weights[e]
    return 0.0


@_compiled
def _swap(indptr: Any, indices: Any, weights: Any, gain: Any, order: Any, place: Any, i: Any, j: Any) -> None:
    """Take i out and put j in: the first `budget` elements of `order` are kept, `place` is its inverse."""
    for e in range(indptr[i], indptr[i + 1]):
        gain[indices[e]] += weights[e]
    for e in range(indptr[j], indptr[j + 1]):
        gain[indices[e]] -= weights[e]
    a, b = place[i], place[j]
    order[a], order[b] = j, i
    place[i], place[j] = b, a


@_compiled
def _gains(importance: Any, indptr: Any, indices: Any, weights: Any, place: Any, budget: Any) -> Any:
    gain = importance.copy()
    for i in range(len(importance)):
        for e in range(indptr[i], indptr[i + 1]):
            if place[indices[e]] < budget:
                gain[i] -= weights[e]
    return gain


@_compiled
def _anneal(
    importance: Any,
    indptr: Any,
    indices: Any,
    weights: Any,
    largest: Any,
    order: Any,
    place: Any,
    budget: Any,
    moves: Any,
    temperatures: Any,
    state: Any,
) -> None:
    n = len(importance)
    gain = _gains(importance, indptr, indices, weights, place, budget)
    each = moves // len(temperatures)
    for temperature in temperatures:
        for _ in range(each):
            i = order[_below(state, budget)]
            draw = _next(state)
            # The swap is taken where its change of f is at least temperature * log(u), u uniform.
            least = temperature * np.log(((draw >> np.uint64(11)) + 0.5) * 2.0**-53)
            if draw & np.uint64(7):
                j = order[budget + _below(state, n - budget)]
                change = gain[j] - gain[i]
                if change < least:  # the two may be neighbours, then it gains their weight too
                    if change + largest[i] < least:
                        continue
                    change += _coupling(indptr, indices, weights, i, j)
            else:
                degree = indptr[i + 1] - indptr[i]
                if degree == 0:
                    continue
                e = indptr[i] + _below(state, degree)
                j = indices[e]
                if place[j] < budget:
                    continue
                change = gain[j] - gain[i] + weights[e]
            if change >= least:
                _swap(indptr, indices, weights, gain, order, place, i, j)


@_compiled
def _local_search(importance: Any, indptr: Any, indices: Any, weights: Any, order: Any, place: Any, budget: Any) -> Any:
    """Swap while a swap improves f by more than rounding; K >= 0 makes the end a true 1-swap optimum."""
    n = len(importance)
    scale = 1e-12 * (1.0 + np.abs(importance).max())
    swaps = 0
    gain = _gains(importance, indptr, indices, weights, place, budget)
    while True:
        before = swaps
        inside, outside = order[:budget].copy(), order[budget:].copy()
        inside = inside[np.argsort(gain[inside])]
        outside = outside[np.argsort(-gain[outside])]
        for position in range(min(budget, n - budget)):
            i, j = inside[position], outside[position]
            change = gain[j] - gain[i] + _coupling(indptr, indices, weights, i, j)
            if change > scale:
                _swap(indptr, indices, weights, gain, order, place, i, j)
                swaps += 1
            elif gain[j] < gain[i]:
                break
        for position in range(budget):
            i = order[position]
            for e in range(indptr[i], indptr[i + 1]):
                j = indices[e]
                if place[j] >= budget and gain[j] - gain[i] + weights[e] > scale:
                    _swap(indptr, indices, weights, gain, order, place, i, j)
                    swaps += 1
                    break
        if swaps == before:
            return swaps


def _parts(importance: Reals, k: Any, alpha: float) -> tuple[Reals, Indices, NDArray[np.int32], Reals]:
    """Importance, and K in compressed rows with 2 alpha multiplied in: what an element costs per kept neighbour."""
    return (
        np.ascontiguousarray(importance, dtype=np.float64),
        np.asarray(k.indptr, dtype=np.int64),
        np.asarray(k.indices, dtype=np.int32),
        2 * alpha * np.asarray(k.data, dtype=np.float64),
    )


def _start(n: int, subset: Indices) -> tuple[Indices, Indices]:
    """`order`, the subset first, and `place`."""
    rest = np.ones(n, dtype=bool)
    rest[subset] = False
    order = np.concatenate([subset, np.flatnonzero(rest)]).astype(np.int64)
    place = np.empty(n, dtype=np.int64)
    place[order] = np.arange(n)
    return order, place


def local_search(importance: Reals, k: Any, subset: Indices, alpha: float) -> Indices:
    """Improve a subset until no swap of one element in against one out does; k is a SciPy CSR array."""
    parts = _parts(importance, k, alpha)
    order, place = _start(len(importance), np.asarray(subset, dtype=np.int64))
    _local_search(*parts, order, place, len(subset))
    return np.sort(order[: len(subset)])


def anneal(importance: Reals, k: Any, budget: int, alpha: float, moves: float = 4e7, seed: int = 0) -> Indices:
    """Anneal over `moves` swaps proposed, from a random subset, cooled geometrically; then search locally."""
    n = len(importance)
    order, place = _start(n, np.random.default_rng(seed).permutation(n)[:budget])
    if budget < n:
        parts = _parts(importance, k, alpha)
        weights = parts[3]
        rows = np.diff(parts[1])
        largest, load = np.zeros(n), np.zeros(n)
        filled = rows > 0
        largest[filled] = np.maximum(np.maximum.reduceat(weights, parts[1][:-1][filled]), 0)
        load[filled] = np.add.reduceat(np.abs(weights), parts[1][:-1][filled])
        scale = max(float(np.subtract(*np.percentile(parts[0], [90, 10]))), budget / n * float(np.percentile(load, 90)), 1e-12)
        temperatures = scale * np.geomspace(START, END, STAGES)
        state = np.array([0x9E3779B97F4A7C15 + seed], dtype=np.uint64)
        _anneal(*parts, largest, order, place, budget, int(moves), temperatures, state)
        _local_search(*parts, order, place, budget)
    return np.sort(order[:budget])
