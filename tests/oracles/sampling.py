"""Sampling in plain Python: Philox, mapping version 1 of `csrc/sampling/sampling.h`, and exact probabilities."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

ALIAS_DRAW = 0
RACE = 1
PERMUTATION = 12
_LOW = 0xFFFFFFFF


def philox(counter: Sequence[int], key: Sequence[int]) -> list[int]:
    """One block of Philox 4x32-10 (Salmon et al., SC 2011, figure 2)."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        product0 = 0xD2511F53 * c0
        product1 = 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (product1 >> 32) ^ c1 ^ k0, product1 & _LOW, (product0 >> 32) ^ c3 ^ k1, product0 & _LOW
        k0 = (k0 + 0x9E3779B9) & _LOW
        k1 = (k1 + 0xBB67AE85) & _LOW
    return [c0, c1, c2, c3]


def random_bits(seed: int, stream: int, position: int) -> int:
    """The 64 bits of a position: the lower half of a block for an even one, the upper half for an odd one."""
    block = position // 2
    words = philox([block & _LOW, block >> 32, stream, 0], [seed & _LOW, seed >> 32])
    low, high = words[2:] if position % 2 else words[:2]
    return low + (high << 32)


def unit_bits(n: int) -> int:
    """A cell of a table of n has 2^unit_bits units."""
    return 32 if 2**16 <= n < 2**31 else 62 - math.ceil(math.log2(n))


def alias_draws(thresholds: Sequence[int], aliases: Sequence[int], size: int, seed: int, offset: int = 0) -> list[int]:
    """Draws from a table of integers, by the documented mapping."""
    n = len(thresholds)
    draws = []
    for position in range(offset, offset + size):
        cell, rest = divmod(random_bits(seed, ALIAS_DRAW, position) * n, 2**64)
        coin = rest >> (64 - unit_bits(n))
        draws.append(cell if coin < thresholds[cell] else aliases[cell])
    return draws


def table_probabilities(thresholds: Sequence[int], aliases: Sequence[int]) -> list[Fraction]:
    """What a table gives each element, exactly."""
    n = len(thresholds)
    units = [0] * n
    for cell in range(n):
        units[cell] += thresholds[cell]
        units[aliases[cell]] += 2 ** unit_bits(n) - thresholds[cell]
    return [Fraction(unit, n * 2 ** unit_bits(n)) for unit in units]


def probabilities(weights: Sequence[float]) -> list[Fraction]:
    """Weight by sum, exactly."""
    exact = [Fraction(float(weight)) for weight in weights]
    total = sum(exact)
    return [weight / total for weight in exact]


def race_order(weights: Sequence[float], seed: int, log_weights: bool = False) -> list[int]:
    """All elements of positive weight in the order in which they are drawn."""
    times = []
    for i, weight in enumerate(weights):
        if weight == (-math.inf if log_weights else 0):
            continue
        uniform = ((random_bits(seed, RACE, i) >> 12) + 0.5) * 2.0**-52
        waiting = -math.log(uniform)
        times.append((math.log(waiting) - weight if log_weights else waiting / weight, i))
    return [i for _, i in sorted(times)]


def _mixed(bits: int) -> int:
    """Stafford's variant 13 of the finalizer of MurmurHash3."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        bits = ((bits ^ (bits >> shift)) * factor) % 2**64
    return bits ^ (bits >> 31)


def permuted(n: int, position: int, seed: int, rounds: int = 6) -> int:
    """The element at a position of the shuffled order of n elements."""
    rows = math.isqrt(n - 1) + 1
    columns = -(-n // rows)
    keys = [random_bits(seed, PERMUTATION, t) for t in range(rounds)]
    left, right = divmod(position, columns)
    while True:
        for t, key in enumerate(keys):
            if t % 2 == 0:
                left = (left + (_mixed((right + key) % 2**64) * rows >> 64)) % rows
            else:
                right = (right + (_mixed((left + key) % 2**64) * columns >> 64)) % columns
        if left * columns + right < n:
            return left * columns + right


def order_probability(weights: Sequence[float], order: Sequence[int]) -> float:
    """The probability that the first draws without replacement are `order`."""
    left = float(np.sum(weights))
    probability = 1.0
    for i in order:
        probability *= weights[i] / left
        left -= weights[i]
    return probability


def inclusion_probabilities(weights: Sequence[float], size: int) -> NDArray[np.float64]:
    """The probability of each element to be among `size` draws without replacement, by enumeration of all orders."""
    result = np.zeros(len(weights))
    for order in permutations(range(len(weights)), size):
        result[list(order)] += order_probability(weights, order)
    return result


def quotas(shares: Sequence[float], total: int, capacity: Sequence[int], ranks: Sequence[int] | None = None) -> list[int]:
    """Largest remainder: whoever would get more than fits is filled and leaves, until nobody would; then Hamilton's rule.

    Ties go to the lower rank, which is the number where there are none.
    """
    ranks = range(len(shares)) if ranks is None else ranks
    result = [0] * len(shares)
    waiting = {i: Fraction(share) for i, share in enumerate(shares) if share > 0}
    while True:
        real = {i: total * share / sum(waiting.values()) for i, share in waiting.items()}
        full = [i for i in waiting if real[i] > capacity[i]]
        if not full:
            break
        for i in full:
            result[i] = capacity[i]
            total -= capacity[i]
            del waiting[i]
    for i in waiting:
        result[i] = math.floor(real[i])
    for i in sorted(waiting, key=lambda i: (result[i] - real[i], ranks[i]))[: total - sum(result[i] for i in waiting)]:
        result[i] += 1
    return result


def successive_inclusion(weights: Sequence[float], size: int) -> NDArray[np.float64]:
    """The exact inclusion probabilities of races, by quadrature: i ends at t, and fewer than `size` others have by then."""
    w = np.array(weights, float)
    s, step = np.linspace(-30.0, 5.0 - math.log(w.min()), 4001, retstep=True)  # of log t
    t = np.exp(s)
    result = np.zeros(len(w))
    for i, weight in enumerate(w):
        ended = np.zeros((size, len(t)))  # the probability that so many others have ended
        ended[0] = 1
        for other in np.delete(w, i):
            left = np.exp(-other * t)
            ended[1:] = ended[1:] * left + ended[:-1] * (1 - left)
            ended[0] *= left
        result[i] = float(np.sum(weight * t * np.exp(-weight * t) * ended.sum(axis=0)) * step)
    return result


def capped_shares(weights: Sequence[float], size: int) -> list[Fraction]:
    """min(1, level * weight) with sum `size`, exactly."""
    exact = [Fraction(weight) for weight in weights]
    certain: set[int] = set()
    while True:
        rest = sum((weight for i, weight in enumerate(exact) if i not in certain), Fraction(0))
        level = (size - len(certain)) / rest if rest else Fraction(0)
        more = {i for i, weight in enumerate(exact) if i not in certain and level * weight >= 1}
        if not more:
            return [Fraction(1) if i in certain else level * weight for i, weight in enumerate(exact)]
        certain |= more


def systematic_draws(probabilities: Sequence[Fraction], start: Fraction) -> list[int]:
    """Madow's method: the elements whose stretch holds start, start + 1, ..."""
    draws, end = [], Fraction(0)
    for i, probability in enumerate(probabilities):
        begin, end = end, end + probability
        if math.ceil(end - start) > math.ceil(begin - start):
            draws.append(i)
    return draws
