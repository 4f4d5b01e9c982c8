"""Importance sampling with and without replacement, reproducible by (seed, position)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args

import numpy as np

from .. import _core
from .._inputs import arrays, checks, devices
from .._inputs import invalid as _invalid
from .._inputs.keys import Keys, as_keys, as_mapping
from .._runtime import files
from ._quotas import apportioned, largest_remainder
from .cuda import CudaTable, sample_on_device

__all__ = [
    "AliasTable",
    "PartialSample",
    "inclusion_probabilities",
    "largest_remainder",
    "merge",
    "partial_sample",
    "sample",
    "stratified",
    "systematic",
]

Scheme = Literal["successive", "systematic"]
SCHEMES: tuple[Scheme, ...] = get_args(Scheme)
Split = Literal["proportional", "equal"]
SPLITS: tuple[Split, ...] = get_args(Split)


class _Array(Protocol):
    """Shares in an array of any library: a text that is no `Split` is not one, as type checkers see it."""

    @property
    def shape(self) -> Any:
        """Its shape."""


_FILE_VERSION = 1
_SUM_TOLERANCE = 1e-13  # of a sum of probabilities, relative: some roundings
_SYSTEMATIC_STREAM = 9  # Stream::systematic_start of csrc/core/philox.h


class AliasTable:
    """Draws with replacement in proportion to weights, in constant time per draw.

    Parameters
    ----------
    weights : array [n] of float32 or float64
        Finite, not negative, at least one positive (other real numbers are converted to float64).
    threads : int, optional
        Default: COREMAX_NUM_THREADS, else every CPU this process may use.
    device : str, optional
        "cpu", "cuda" or "cuda:1": where the weights are, which is where the table is built. By default it is found out.

    Raises
    ------
    ValueError
        NaN, infinity or a negative weight (the place is named), no positive weight, no weight at all.
    DeviceError
        The weights are on a device that can not be used.

    Notes
    -----
    Walker's alias method (Walker 1977), built in parallel (Huebschle-Schneider and Sanders, ESA 2019, "split and pack"). The
    table holds integers, so its probabilities sum to one exactly; a weight of zero is never drawn. Each probability is within
    2^-50 of weight / sum, plus 2^-30 / n where 2^16 <= n < 2^31: there an element costs 8 bytes, otherwise 16, and n is at most
    2^40. Building takes O(n) time; the table is the same for any number of threads, and on a device. There draws are put
    into the stream that the caller's library is using, and nothing waits for them.

    Examples
    --------
    >>> import coremax
    >>> table = coremax.AliasTable([1.0, 0.0, 3.0])
    >>> table.probabilities()
    array([0.25, 0.  , 0.75])
    >>> table.sample(8, seed=1).tolist() == table.sample(5, seed=1).tolist() + table.sample(3, seed=1, offset=5).tolist()
    True
    """

    def __init__(self, weights: Any, *, threads: int | None = None, device: str | None = None) -> None:
        self._table = _built(arrays.as_array(weights, "weights"), threads, device)

    @property
    def n(self) -> int:
        """Number of elements."""
        return self._table.n

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the table holds."""
        return self._table.nbytes

    def update(self, weights: Any, *, threads: int | None = None) -> None:
        """Take other weights, in the memory that the table has where it suffices.

        Parameters
        ----------
        weights : array [m] of float32 or float64
            As for a new table; m may differ from n. Draws now come back in the library of these weights, where they are.
        threads : int, optional
            Does not change the table.

        Raises
        ------
        ValueError, TypeError
            As for a new table. The old table stays when the weights are refused. Only where the work has begun and is stopped
            half way (Ctrl-C, weights written to meanwhile) the table is left empty: `n` is 0 and drawing is a ValueError.
        """
        weights = arrays.as_array(weights, "weights")
        if self._table.takes(weights):
            self._table.update(weights, threads)
        else:
            self._table = _built(weights, threads)

    def sample(self, size: int, *, seed: arrays.Seed = 0, offset: int = 0, threads: int | None = None) -> Any:
        """Draw with replacement.

        Parameters
        ----------
        size : int
            Number of draws, >= 0.
        seed : int, SeedSequence or Generator
            A Generator is advanced by one draw.
        offset : int
            Position of the first draw in the seed's stream, 0 to 2^63 - 1.
        threads : int, optional
            Does not change the draws.

        Returns
        -------
        array [size] of int64
            Draw i depends on (seed, offset + i) alone: a shorter draw is a prefix of a longer one.
        """
        size = arrays.as_count(size, "size", 0, 2**60)
        offset = arrays.as_count(offset, "offset", 0, 2**63 - 1)
        return self._table.sample(size, arrays.as_seed(seed), offset, threads)

    def sample_at(self, positions: Any, *, seed: arrays.Seed = 0, threads: int | None = None) -> Any:
        """Draw with replacement at any positions of the seed's stream.

        Parameters
        ----------
        positions : array of int64 or int32
            Not negative, in any order; on the table's device, if it is on one.
        seed : int, SeedSequence or Generator
            A Generator is advanced by one draw.
        threads : int, optional
            Does not change the draws.

        Returns
        -------
        array [len(positions)] of int64
            Element i is `sample(1, seed=seed, offset=positions[i])`: what one of several processes needs that share a stream.
        """
        return self._table.sample_at(arrays.as_array(positions, "positions"), arrays.as_seed(seed), threads)

    def probabilities(self) -> Any:
        """Return the probabilities [n] float64 that the table really has."""
        return self._table.probabilities()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the table to an .npz file under exactly this name; raises OSError with name and cause where that fails."""
        files.save_archive(path, _FILE_VERSION, {"cells": self._table.cells()})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> AliasTable:
        """Read a table that `save` wrote, to the CPU; raises ValueError where the file holds none."""
        cells = files.load_archive(path, "alias table", _FILE_VERSION, {"cells"})["cells"]
        with files.naming(path):
            return cls._restore(cells)

    @classmethod
    def _restore(cls, cells: np.ndarray[Any, Any], into: Callable[[Any], Any] | None = None) -> AliasTable:
        table = cls.__new__(cls)
        table._table = _HostTable(_core.restore_alias_table(cells), cells)
        if into is not None:
            table._table.into = into
        return table

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and pickles are on the CPU and answer in the same library, which unpickling imports by its name."""
        return AliasTable._restore, (self._table.cells(), self._table.into)

    def __repr__(self) -> str:
        return f"AliasTable(n={self.n})"


class _HostTable:
    """A table on the CPU."""

    def __init__(self, table: _core.AliasTable, like: Any) -> None:
        self._table = table
        self.into = arrays.importer(like)  # brings results into the library of the weights

    @property
    def n(self) -> int:
        return self._table.n

    @property
    def nbytes(self) -> int:
        return self._table.nbytes

    def takes(self, weights: Any) -> bool:
        return devices.device_of_arrays(weights=weights) is None

    def update(self, weights: Any, threads: int | None) -> None:
        with _naming(weights, False):
            self._table.update(_weights_view(weights), arrays.as_threads(threads))
        self.into = arrays.importer(weights)

    def sample(self, size: int, seed: int, offset: int, threads: int | None) -> Any:
        return self.into(self._table.sample(size, seed, offset, "", arrays.as_threads(threads)))

    def sample_at(self, positions: Any, seed: int, threads: int | None) -> Any:
        view = arrays.as_view(positions, "positions", ndim=1, dtypes=("int64",), convert_to="int64")
        return self.into(self._table.sample_at(view, seed, arrays.as_threads(threads)))

    def probabilities(self) -> Any:
        return self.into(self._table.probabilities())

    def cells(self) -> np.ndarray[Any, Any]:
        return self._table.cells()


def _built(weights: Any, threads: int | None, device: str | None = None) -> _HostTable | CudaTable:
    call = devices.device_of_arrays(device, weights=weights)
    if call is not None:
        return CudaTable(call, weights)
    with _naming(weights, False):
        return _HostTable(_core.build_alias_table(_weights_view(weights), arrays.as_threads(threads)), weights)


def _naming(weights: Any, log_weights: bool) -> AbstractContextManager[None]:
    """Errors about a weight name all that are none."""
    return _invalid.naming("weights", lambda: _invalid.bad_weights(weights, log_weights))


def _weights_view(weights: Any) -> _core.Array:
    return arrays.as_view(weights, "weights", ndim=1, dtypes=arrays.FLOAT_TYPES, convert_to="float64")


def sample(
    weights: Any,
    size: int,
    *,
    replace: bool = False,
    log_weights: bool = False,
    seed: arrays.Seed = 0,
    threads: int | None = None,
    device: str | None = None,
) -> Any:
    """Draw elements in proportion to weights.

    Parameters
    ----------
    weights : array [n] of float32 or float64
        Finite, not negative, at least one positive (other real numbers are converted to float64).
    size : int
        Number of draws, >= 0; without replacement at most the number of positive weights.
    replace : bool
        With replacement (`AliasTable`) or without: then each next element is drawn in proportion to its weight among those
        left, by exponential races (Efraimidis and Spirakis 2006; equally the Gumbel top-k).
    log_weights : bool
        The weights are natural logarithms; -inf stands for zero. Without replacement noise of order 1 is added to them: where
        all are beyond 1e12 or so, take a common constant off first, which changes no probability.
    seed : int, SeedSequence or Generator
        A Generator is advanced by one draw. Without replacement an element has one random number per seed, whatever the
        weights: two draws with the same seed are coordinated, not independent (`partial_sample` rests on that).
    threads : int, optional
        Does not change the draws.
    device : str, optional
        "cpu", "cuda" or "cuda:1": where the weights are, and where the work is done. By default it is found out.

    Returns
    -------
    array [size] of int64
        In the order drawn, in the library of weights and where they are. A shorter draw is a prefix of a longer one.

    Raises
    ------
    ValueError
        NaN, infinity or a negative weight (the place is named), no positive weight, fewer positive weights than size; with
        replacement, logarithms of weights that are on a device.
    DeviceError
        The weights are on a device that can not be used.

    Notes
    -----
    Never returns an element of weight zero. Without replacement: one pass over the weights, expected time O(n), and some 16
    bytes for each element drawn; nothing is kept for the others. `inclusion_probabilities` says how probable each one was,
    `partial_sample` and `merge` draw from weights that are not all in one place.

    Examples
    --------
    >>> import coremax
    >>> sorted(coremax.sample([0.5, 0.0, 2.0, 1.0], 3).tolist())
    [0, 2, 3]
    """
    weights = arrays.as_array(weights, "weights")
    size = arrays.as_count(size, "size", 0, 2**60)
    replace, log_weights = checks.as_flag(replace, "replace"), checks.as_flag(log_weights, "log_weights")
    call = devices.device_of_arrays(device, weights=weights)
    if call is not None:
        return sample_on_device(call, weights, size, replace, log_weights, seed)
    view = _weights_view(weights)
    n_threads = arrays.as_threads(threads)
    if not replace:
        with _naming(weights, log_weights):
            draws = _core.sample_without_replacement(view, size, log_weights, arrays.as_seed(seed), "", n_threads)
        return arrays.like(draws, weights)
    if log_weights:
        return arrays.like(AliasTable(_exponential(weights), threads=threads).sample(size, seed=seed, threads=threads), weights)
    return AliasTable(weights, threads=threads).sample(size, seed=seed, threads=threads)


@dataclass(frozen=True, eq=False)
class PartialSample:
    """What one shard, or several, contribute to a draw without replacement over many: see `partial_sample`.

    Attributes
    ----------
    indices : ndarray [m] of int64
        Numbers of the elements among all, in the order in which they would be drawn.
    times : ndarray [m] of uint64
        Ascending race times as whole numbers in the order of the times: comparable between shards, not times themselves.
    size : int
        The first `size` draws of the shards are known; fewer than `size` elements mean that no other has a positive weight.
    shards : tuple of (int, int)
        The ranges of numbers it stands for, ascending.
    seed : int
    log_weights : bool
    """

    indices: np.ndarray[Any, Any]
    times: np.ndarray[Any, Any]
    size: int
    shards: tuple[tuple[int, int], ...]
    seed: int
    log_weights: bool

    def __post_init__(self) -> None:
        checks.as_flag(self.log_weights, "log_weights")

    @classmethod
    def combine(cls, parts: Iterable[PartialSample]) -> PartialSample:
        """Make one of several, of other shards each, to be merged further: any grouping and order give the same.

        Raises
        ------
        ValueError
            No part, parts of different seeds or kinds of weights, shards that overlap.
        """
        parts = list(parts)
        if not parts:
            raise ValueError("parts is empty")
        for part in parts:
            if not isinstance(part, PartialSample):
                raise TypeError(f"parts must hold PartialSample objects, got {type(part).__name__}")
        if len({(part.seed, part.log_weights) for part in parts}) > 1:
            raise ValueError("parts must share one seed and one kind of weights (log_weights)")
        size = min(part.size for part in parts)
        indices = np.concatenate([part.indices for part in parts])
        times = np.concatenate([part.times for part in parts])
        order = np.argsort(times, kind="stable")
        if np.any(times[order[1:]] == times[order[:-1]]):
            order = np.lexsort((indices, times))
        order = order[:size]
        shards = _joined(shard for part in parts for shard in part.shards)
        return cls(indices[order], times[order], size, shards, parts[0].seed, parts[0].log_weights)

    def __len__(self) -> int:
        return len(self.indices)

    def __repr__(self) -> str:
        return f"PartialSample({len(self)} of shards {self.shards}, size={self.size}, seed={self.seed})"


def _joined(shards: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Ranges in order, adjacent ones as one."""
    result: list[tuple[int, int]] = []
    for start, stop in sorted(shards):
        if result and start < result[-1][1]:
            raise ValueError(f"parts overlap: two of them hold element {start}")
        if result and start == result[-1][1]:
            start = result.pop()[0]
        result.append((start, stop))
    return tuple(result)


def partial_sample(
    weights: Any, size: int, *, start: int = 0, log_weights: bool = False, seed: arrays.Seed = 0, threads: int | None = None
) -> PartialSample:
    """Draw a shard's part of a draw without replacement from weights that are not all in one place.

    Parameters
    ----------
    weights : array [n] of float32 or float64
        The shard's. All may be zero, and there may be none.
    size : int
        At least the number of draws that `merge` will be asked for.
    start : int
        The number of the shard's first element among all, so that no two elements share one.
    log_weights : bool
        The weights are natural logarithms; -inf stands for zero. As in `sample`, none should be beyond 1e12 or so.
    seed : int, SeedSequence or Generator
        The same for every shard (a Generator, which is advanced by each call, is not).
    threads : int, optional
        Does not change the result.

    Returns
    -------
    PartialSample
        At most `size` elements, 16 bytes each; can be pickled.

    Raises
    ------
    ValueError
        NaN, infinity or a negative weight (the place within the shard is named), numbers beyond 2^63 - 1.

    Notes
    -----
    An element's race time depends on its weight, its number and the seed alone, so the fastest of all are among the fastest of
    their shards (Efraimidis and Spirakis 2006).

    Examples
    --------
    >>> import numpy as np
    >>> from coremax.sampling import merge, partial_sample, sample
    >>> weights = np.arange(10.0)
    >>> parts = [partial_sample(weights[:4], 3), partial_sample(weights[4:], 3, start=4)]
    >>> bool((merge(parts, 3) == sample(weights, 3)).all())
    True
    """
    weights = arrays.as_array(weights, "weights")
    size = arrays.as_count(size, "size", 0, 2**60)
    view = arrays.as_view(weights, "weights", ndim=1, dtypes=arrays.FLOAT_TYPES, convert_to="float64")
    n = view.shape[0]
    start = arrays.as_count(start, "start", 0, 2**63 - 1 - n)
    log_weights, number = checks.as_flag(log_weights, "log_weights"), arrays.as_seed(seed)
    with _naming(weights, log_weights):
        indices, times = _core.fastest_runners(view, start, size, log_weights, number, "", arrays.as_threads(threads))
    return PartialSample(indices, times, size, ((start, start + n),) if n else (), number, log_weights)


def merge(parts: Iterable[PartialSample], size: int) -> np.ndarray[Any, Any]:
    """Draw without replacement from what `partial_sample` left of each shard.

    Parameters
    ----------
    parts : iterable of PartialSample
        Of shards that do not overlap, in any order; those that `PartialSample.combine` made count too.
    size : int
        Number of draws, at most the `size` of each part.

    Returns
    -------
    ndarray [size] of int64
        Numbers among all, in the order drawn: bit for bit `sample` of all weights in one array.

    Raises
    ------
    ValueError
        No part, parts that do not belong together or overlap, parts made for fewer draws, fewer positive weights than size.
    """
    size = arrays.as_count(size, "size", 0)
    whole = PartialSample.combine(parts)
    if size > whole.size:
        raise ValueError(f"size is {size}, but a part was made for {whole.size} draws only")
    if size > len(whole):
        raise ValueError(
            f"size is {size}, but only {len(whole)} weights are positive: without replacement no more can be drawn"
        )
    return whole.indices[:size]


def inclusion_probabilities(weights: Any, size: int, *, scheme: Scheme = "successive", log_weights: bool = False) -> Any:
    """Return how probable each element is to be among the draws without replacement.

    One over it is the Horvitz-Thompson weight: sums over the drawn elements with these weights estimate sums over all.

    Parameters
    ----------
    weights : array [n] of float32 or float64
        Finite, not negative, at least one positive (other real numbers are converted to float64).
    size : int
        Number of draws, from 0 to the number of positive weights.
    scheme : "successive" or "systematic"
        How they are drawn: by `sample` (also `merge`) or by `systematic`.
    log_weights : bool
        The weights are natural logarithms; -inf stands for zero.

    Returns
    -------
    array [n] of float64
        In [0, 1], with sum `size` to rounding; 0 for weights of zero, and 1 for all positive ones where size is their number.

    Raises
    ------
    ValueError
        NaN, infinity or a negative weight (the place is named), no positive weight, fewer positive weights than size.

    Notes
    -----
    Systematic: min(1, level * weight) with the level at which the sum is `size`, exactly what `systematic` does.

    Successive: of one draw, weight / sum. Of more, the exact probabilities have no closed form, and this is Rosen's
    approximation (Rosen 1972, Ann. Math. Statist. 43), 1 - exp(-t weight) with t such that the sum is `size`: the probability
    that an element's race ends by t, where t stands for the random time at which the last is drawn. It is exact where all
    weights are equal, and its error vanishes as the sum of p (1 - p) grows: where that is ten or more and no weight stands out
    it is below 0.005; two draws from fifty weights 1 / i, or all but two of fifty, are off by 0.02, and weights over six orders
    of magnitude by up to 0.1. t is found by Newton's method, and by bisection where weights are so far apart that it creeps.
    O(n) time for each of some six steps, of up to a hundred for such weights.

    Examples
    --------
    >>> import numpy as np
    >>> from coremax.sampling import inclusion_probabilities, sample
    >>> weights = np.array([1.0, 2.0, 3.0, 4.0, 0.0])
    >>> probabilities = inclusion_probabilities(weights, 2)
    >>> probabilities.round(3)
    array([0.259, 0.451, 0.593, 0.698, 0.   ])
    >>> horvitz_thompson = 1 / probabilities[sample(weights, 2)]
    """
    size = arrays.as_count(size, "size", 0, 2**60)
    scheme = arrays.as_choice(scheme, "scheme", SCHEMES)
    log_weights = checks.as_flag(log_weights, "log_weights")
    weights = arrays.as_array(weights, "weights")
    plain = _checked_weights(weights, size, log_weights)
    if scheme == "systematic" or size == 1:
        return arrays.like(_capped_shares(plain, size, log_weights), weights)
    with np.errstate(divide="ignore"):  # the logarithm of zero is -inf, as it should
        return arrays.like(_arrived_by(plain if log_weights else np.log(plain), size), weights)


def systematic(weights: Any, size: int, *, log_weights: bool = False, shuffle: bool = False, seed: arrays.Seed = 0) -> Any:
    """Draw without replacement in proportion to weights by equal steps from one random start.

    Parameters
    ----------
    weights : array [n] of float32 or float64
        Finite, not negative, at least one positive (other real numbers are converted to float64).
    size : int
        Number of draws, from 0 to the number of positive weights.
    log_weights : bool
        The weights are natural logarithms; -inf stands for zero.
    shuffle : bool
        Step through the elements in random order instead of the order given.
    seed : int, SeedSequence or Generator
        A Generator is advanced by one draw.

    Returns
    -------
    array [size] of int64
        Ascending, distinct, in the library of weights.

    Raises
    ------
    ValueError
        NaN, infinity or a negative weight (the place is named), no positive weight, fewer positive weights than size.

    Notes
    -----
    Madow (1949): probabilities min(1, level * weight) are laid end to end, and those are drawn in whose stretch one of the
    points start, start + 1, start + 2, ... falls. Unlike `sample` it has exactly these `inclusion_probabilities`
    (scheme="systematic"; here multiples of 2^-b, b = min(52, 62 - bits of size), within 2^-b of the real ones), and any run of
    neighbours gets its share to within one draw: a low variance where neighbours are alike, say after sorting by score.

    The trap: in an order with a period near 1 / level all drawn elements are alike, and pairs that stand close together are
    never drawn together, so one draw says nothing about its variance. `shuffle` avoids both and gives the low variance away.
    O(n) time and, where weights fall steeply, a sort; some 50 bytes per element.

    Examples
    --------
    >>> from coremax.sampling import systematic
    >>> systematic([1.0] * 12, 4, seed=1)
    array([ 2,  5,  8, 11])
    """
    size = arrays.as_count(size, "size", 0, 2**60)
    weights = arrays.as_array(weights, "weights")
    log_weights, shuffle = checks.as_flag(log_weights, "log_weights"), checks.as_flag(shuffle, "shuffle")
    number = arrays.as_seed(seed)
    plain = _checked_weights(weights, size, log_weights)
    order = sample(np.ones(len(plain)), len(plain), seed=number) if shuffle else None
    drawn = _stepped(_capped_shares(plain if order is None else plain[order], size, log_weights), size, number)
    return arrays.like(drawn if order is None else np.sort(order[drawn]), weights)


def _stepped(probabilities: np.ndarray[Any, Any], size: int, seed: int) -> np.ndarray[Any, Any]:
    """Systematic draws, in whole units of probability so that the stretches sum to `size` exactly."""
    bits = min(52, 62 - size.bit_length())
    one = 1 << bits
    units = np.floor(probabilities * one).astype(np.int64)
    while missing := size * one - int(units.sum()):  # by rounding: a unit more or less for as many as it takes
        able = (probabilities > 0) & (units < one) if missing > 0 else (units > 0) & (units < one)
        units[np.flatnonzero(able)[: abs(missing)]] += 1 if missing > 0 else -1
    points = (_start_bits(seed) >> (64 - bits)) + one * np.arange(size, dtype=np.int64)
    return np.searchsorted(np.cumsum(units), points, side="right").astype(np.int64, copy=False)


def stratified(
    labels: Any,
    size: int,
    *,
    weights: Any = None,
    quotas: Split | Sequence[float] | Mapping[Any, float] | _Array = "proportional",
    log_weights: bool = False,
    seed: arrays.Seed = 0,
    threads: int | None = None,
) -> Any:
    """Draw without replacement a fixed number from each stratum.

    Parameters
    ----------
    labels : array or column [n] of whole numbers or texts
        The stratum of each element.
    size : int
        Number of draws in all, at most the number of positive weights in strata of positive share.
    weights : array [n] of float32 or float64, optional
        Within a stratum elements are drawn as `sample` does; without weights all are equally probable.
    quotas : "proportional", "equal", array or mapping
        The strata's shares of `size`: their numbers of elements, equal shares, or shares of your own, either one for each
        stratum in ascending order of labels or a mapping from labels, or a pandas Series indexed by them (one left out gets
        nothing). Only ratios count; shares
        that sum to size are the numbers drawn, unless a stratum has too few positive weights. `largest_remainder` makes whole
        numbers of them, equal fractions rounded up and down by chance, and hands what a stratum can not provide to the others.
    log_weights : bool
        The weights are natural logarithms; -inf stands for zero.
    seed : int, SeedSequence or Generator
        A Generator is advanced by one draw.
    threads : int, optional
        Does not change the draws.

    Returns
    -------
    array [size] of int64
        Ascending, distinct, in the library of labels.

    Raises
    ------
    ValueError
        NaN, infinity or a negative weight or share (the place is named), weights and labels of different lengths, shares that
        do not match the strata, more draws than the strata can provide.

    Notes
    -----
    One race is run over all elements, and from each stratum those arrive that finish first. So an element's probability within
    its stratum h is that of `inclusion_probabilities(weights[labels == h], quota)`, without weights quota / size of the
    stratum. O(n) expected time, some 50 bytes per element.

    Examples
    --------
    >>> from coremax.sampling import stratified
    >>> drawn = stratified([0, 0, 0, 0, 1, 1, 7, 7], 4)
    >>> [int((drawn < 4).sum()), int(((drawn >= 4) & (drawn < 6)).sum()), int((drawn >= 6).sum())]
    [2, 1, 1]
    """
    size, log_weights = arrays.as_count(size, "size", 0, 2**60), checks.as_flag(log_weights, "log_weights")
    keys = as_keys(labels, "labels")
    n = len(keys)
    weights = np.ones(n, np.float32) if weights is None else arrays.as_array(weights, "weights")
    arrays.require_length(
        arrays.as_view(weights, "weights", ndim=1, dtypes=arrays.FLOAT_TYPES, convert_to="float64").shape[0],
        "weights",
        n,
        "labels",
    )
    number = arrays.seed_of("stratified", seed)
    order = partial_sample(weights, n, log_weights=log_weights, seed=number, threads=threads).indices
    strata = keys.codes[order]
    drawable = np.bincount(strata, minlength=len(keys.present))
    wanted = apportioned(_shares(quotas, keys), size, drawable, number, "quotas", "size")
    # Strata one after the other, those of each in the order in which they arrive.
    by_stratum = np.argsort(strata, kind="stable")
    place = np.arange(len(order)) - np.repeat(np.cumsum(drawable) - drawable, drawable)
    return arrays.like(np.sort(order[by_stratum[place < np.repeat(wanted, drawable)]]), labels)


def _shares(quotas: Any, keys: Keys) -> Any:
    """The strata's shares, in ascending order of labels."""
    n_strata = len(keys.present)
    if isinstance(quotas, str):
        proportional = arrays.as_choice(quotas, "quotas", SPLITS) == "proportional"
        return keys.sizes if proportional else np.ones(n_strata)
    if (by_label := as_mapping(quotas)) is not None:
        shares = keys.of_mapping(by_label, "quotas", "stratum")
        return [shares.get(code, 0) for code in range(n_strata)]
    quotas = arrays.as_array(quotas, "quotas")
    length = arrays.as_view(quotas, "quotas", ndim=1, dtypes=arrays.FLOAT_TYPES, convert_to="float64").shape[0]
    if length != n_strata:
        raise ValueError(f"quotas has {length} elements, but labels has {n_strata} strata")
    return arrays.as_numpy(quotas)


def _start_bits(seed: int) -> int:
    words = _core.philox_block([0, 0, _SYSTEMATIC_STREAM, 0], [seed & 0xFFFFFFFF, seed >> 32])
    return words[0] | words[1] << 32


def _checked_weights(weights: Any, size: int, log_weights: bool) -> np.ndarray[Any, Any]:
    """Weights in float64, enough of them positive."""
    view = arrays.as_view(weights, "weights", ndim=1, dtypes=arrays.FLOAT_TYPES, convert_to="float64")
    with _naming(weights, log_weights):
        _core.check_draws(view, size, log_weights, arrays.as_threads(None))
    return np.asarray(arrays.as_numpy(weights), dtype=np.float64)


def _capped_shares(weights: np.ndarray[Any, Any], size: int, log_weights: bool) -> np.ndarray[Any, Any]:
    """min(1, level * weight) with sum `size`: who would get more than 1 gets 1, until nobody would."""
    result = np.zeros(len(weights))
    active = np.flatnonzero(weights > (-np.inf if log_weights else 0))
    left = size
    while left:
        # The largest is 1, in each round anew: beside those that are certain the others may be out of a double's range.
        with np.errstate(under="ignore", over="ignore"):
            relative = weights[active] - weights[active].max() if log_weights else weights[active] / weights[active].max()
            relative = np.exp(relative) if log_weights else relative
            shares = left * (relative / relative.sum())
        certain = shares >= 1
        n_certain = int(np.count_nonzero(certain))
        if n_certain in (0, left):
            result[active] = 1 if left == len(active) else np.minimum(shares, 1)
            break
        if n_certain * 100 < left:  # a round takes few off: find them all at once
            certain |= _surely_certain(weights[active] if log_weights else np.log(weights[active]), left)
        result[active[certain]] = 1
        active, left = active[~certain], left - int(np.count_nonzero(certain))
    return result


def _surely_certain(logs: np.ndarray[Any, Any], size: int) -> np.ndarray[Any, Any]:
    """Whose min(1, level * weight) is 1, those aside where rounding leaves a doubt."""
    order = np.argsort(-logs, kind="stable")
    descending = logs[order]
    of_rest = np.logaddexp.accumulate(descending[::-1])[::-1]  # the logarithm of the sum from each one on
    takes = np.log(np.arange(size, 0, -1)) + descending[:size] > of_rest[:size] + 1e-9
    certain = np.zeros(len(logs), dtype=bool)
    certain[order[: size if takes.all() else int(np.argmin(takes))]] = True
    return certain


def _arrived_by(logs: np.ndarray[Any, Any], size: int) -> np.ndarray[Any, Any]:
    """1 - exp(-t weight) with sum `size`, from the logarithms of weights."""
    result = np.zeros(len(logs))
    runs = np.flatnonzero(logs > -np.inf)
    if size in (0, len(runs)):
        result[runs] = size > 0
        return result
    with np.errstate(under="ignore", over="ignore"):
        relative = np.maximum(logs[runs] - logs[runs].max(), -1e308)

        def expected_by(log_t: float) -> np.ndarray[Any, Any]:
            return np.asarray(np.exp(np.minimum(log_t + relative, 6.5)))  # beyond, exp(-x) is zero to rounding

        log_t = low = float(np.log(size) - np.log(np.exp(relative).sum()))  # all of 1 - exp(-x) <= x: from the left
        high = 4 - float(relative.min())  # by then all have arrived, to rounding
        last = np.inf
        while True:
            expected = expected_by(log_t)
            arrived = -np.expm1(-expected)
            missing = size - float(arrived.sum())
            if abs(missing) <= _SUM_TOLERANCE * size:
                break
            low, high = (log_t, high) if missing > 0 else (low, log_t)
            middle = low / 2 + high / 2
            if not low < middle < high:  # neighbouring numbers: the sum lies between theirs
                less, more = -np.expm1(-expected_by(low)), -np.expm1(-expected_by(high))
                arrived = less + (more - less) * ((size - less.sum()) / (more.sum() - less.sum()))
                break
            slope = float((expected * np.exp(-expected)).sum())
            newton = log_t + np.log1p(missing / slope) if slope > abs(missing) * 1e-300 and missing > -slope else np.nan
            # Between weights far apart the sum is flat, and Newton's method would creep from one to the next.
            works = abs(missing) <= last / 2
            last = abs(missing)
            log_t = float(newton) if works and low < newton < high else middle
    result[runs] = arrived
    return result


def _exponential(log_weights: Any) -> np.ndarray[Any, Any]:
    """Weights from their logarithms, the largest being 1."""
    logs = np.asarray(arrays.as_numpy(log_weights), dtype=np.float64)
    _invalid.refuse(logs, np.isnan(logs) | (logs == np.inf), "weights", "logarithms of weights must be finite or -inf")
    if not np.isfinite(logs).any():
        return np.zeros_like(logs)
    with np.errstate(over="ignore", under="ignore"):  # a difference beyond float64 is a weight of zero beside the largest
        return np.asarray(np.exp(logs - logs.max()))
