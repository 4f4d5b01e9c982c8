"""PyTorch's side of sampling: samplers for `DataLoader` that are lazy, distributed and resumable, and loss-based weights.

An epoch is a sequence that is a function of (seed, epoch, position) and is nowhere stored; rank r of W takes its positions r,
r + W, r + 2W, ... So the state of a sampler is a few numbers, and what W processes have saved any other number of them resumes.
"""

from __future__ import annotations

import itertools
import operator
import warnings
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from . import _core
from ._inputs import arrays, checks, refusals
from .sampling import AliasTable, sample
from .scores._losses import STRATEGIES, Strategy
from .selection import Selection

try:
    import torch
    from torch import distributed
    from torch.utils.data import Sampler
except ImportError as error:
    raise ImportError('coremax.torch needs PyTorch: pip install "coremax[torch]"') from error

__all__ = ["ImportanceSampler", "SubsetSampler", "loss_reweight", "resume"]

_STATE_VERSION = 1
# Indices made at a time: enough to make the cost of a call vanish, few enough that a list of them stays below a megabyte.
_CHUNK = 16384
# Up to here an order is shuffled exactly and held, beyond it is computed position by position (see `permute` in sampling.h).
_LARGEST_HELD_ORDER = 65536
# Draws that stand for a table of weights in a state: other weights give others.
_FINGERPRINT_DRAWS = 4096

Positions = NDArray[np.int64]
_Draw = Callable[[Positions], NDArray[np.int64]]


class _EpochSampler(Sampler[int]):
    """What the samplers share: the share of a rank in the epoch's sequence, and where it stands.

    A subclass says what lies at given positions of an epoch (`_open`), and what a state must agree with (`_identity`).
    """

    # Whether positions beyond the epoch's end, which pad it where the ranks do not divide it, start it anew or go on.
    _wraps = True
    # Whether ranks yield equally many indices where their number does not divide the epoch: by fewer with drop_last, else more.
    _even = True
    # By what a state knows the weights or indices that it was taken with.
    _fingerprint: int

    def __init__(self, total: int, seed: arrays.Seed, rank: int | None, world_size: int | None, drop_last: bool) -> None:
        super().__init__()
        self._total = total
        self._seed = arrays.as_seed(seed)
        self._rank, self._world_size = _resolve_rank(rank, world_size)
        self._drop_last = checks.as_flag(drop_last, "drop_last")
        self._epoch = 0
        # The epoch of the last set_epoch; the present one differs while a loaded state is gone on from.
        self._requested: int | None = None
        self._start = 0  # where the next pass over this epoch begins: after load_state_dict not at 0
        self._current: _Chunks | None = None
        self._loaded: int | None = None  # the fingerprint that the next pass should find, if it goes on from a state
        self._behind = False  # a loader has loaded a state of a later epoch than was set: the loop has yet to come there

    @property
    def epoch(self) -> int:
        """The epoch that the next or present pass belongs to."""
        return self._epoch

    @property
    def rank(self) -> int:
        """The number of this process among those that share the epoch."""
        return self._rank

    @property
    def world_size(self) -> int:
        """How many processes share the epoch."""
        return self._world_size

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch: every epoch has a sequence of its own, and without this call each pass repeats the last one.

        Parameters
        ----------
        epoch : int
            Not negative. The epoch of a state just loaded keeps the position loaded; any other begins at its start.

        Warns
        -----
        UserWarning
            Another epoch is set in place of the one of a state just loaded, so what was left of that is given up.
        """
        epoch = arrays.as_count(epoch, "epoch", 0, 2**63 - 1)
        self._requested = epoch
        if self._behind and epoch < self._epoch:
            return
        self._behind = False
        if epoch != self._epoch:
            if self._start and self._n_left(self._start):
                warnings.warn(
                    f"epoch {epoch} begins at its start, and the loaded state's position, {self._start} of epoch "
                    f"{self._epoch}, is given up; to go on from it, set its epoch first: for epoch in range(sampler.epoch, n)",
                    stacklevel=2,
                )
            self._epoch, self._start, self._current, self._loaded = epoch, 0, None, None

    def __len__(self) -> int:
        """Number of indices that this rank yields in a whole epoch."""
        return self._n_left(0)

    def __iter__(self) -> Iterator[int]:
        return _Indices.over(_Chunks(self, self._epoch, self._start))

    def state_dict(self, consumed: int | None = None) -> dict[str, Any]:
        """Return the state: a few numbers, whatever the size of the data.

        Parameters
        ----------
        consumed : int, optional
            How many indices of the present pass this rank has trained on; more than were yielded count as all of them. Default:
            all that were yielded. A plain `DataLoader` with workers has fetched some batches more than it has handed out, so
            there pass ``batches * batch_size``; `torchdata.stateful_dataloader.StatefulDataLoader` keeps count by itself.

        Returns
        -------
        dict
            Plain numbers and strings, safe for JSON and ``torch.load(weights_only=True)``. Weights are not part of it, only a
            number by which other weights are noticed: where `set_weights` changes them, save them beside it.
        """
        if self._current is None:
            return self._state(self._epoch, self._start, self._fingerprint)
        return self._current.state_dict(consumed)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Resume: the next pass yields what was left of the epoch when the state was taken.

        Parameters
        ----------
        state : dict
            Of `state_dict`, of any rank (they agree where the ranks have done the same number of steps) and any world size:
            what was left is shared by the ranks that there are now.

        Raises
        ------
        ValueError
            The state is of another version, sampler or data; the message names the difference.

        Warns
        -----
        UserWarning
            By `ImportanceSampler`, when the next pass begins with other weights than the state was taken with.

        Notes
        -----
        Seed and epoch become those of the state. A state taken at the end of its epoch leaves nothing to resume: the next pass
        is empty (and every one as long as that epoch is set), unless a later epoch has been or is then set, which begins at its
        start. Where a later epoch has been set and something of the state's is left, the later one follows it.

        `StatefulDataLoader` loads the state into its sampler as late as with the first batch, after `set_epoch`. Epochs before
        the state's are then done: while one of them is set, passes are empty and the position waits for the state's own epoch.
        So ``for epoch in range(3): sampler.set_epoch(epoch); ...`` trains what was left, under the right epochs. `resume` makes
        `epoch` right beforehand, so that a loop may begin there.
        """
        if not isinstance(state, Mapping):
            raise TypeError(f"state must be a dict, got {state!r}")
        expected = {"version": _STATE_VERSION, "sampler": type(self).__name__, **self._identity()}
        for key, value in expected.items():
            if state.get(key) != value:
                raise ValueError(f"state is of another sampler: its {key} is {state.get(key)!r}, that of this one {value!r}")
        seed = arrays.as_count(state.get("seed"), "state['seed']", 0, 2**64 - 1)
        epoch = arrays.as_count(state.get("epoch"), "state['epoch']", 0, 2**63 - 1)
        position = arrays.as_count(state.get("position"), "state['position']", 0, 2**62)
        fingerprint = arrays.as_count(state.get("fingerprint"), "state['fingerprint']", 0, 2**32 - 1)
        self._seed, self._current = seed, None
        left = self._n_left(position)
        self._loaded = fingerprint if left else None
        self._behind = False
        if left == 0 and self._requested is not None and self._requested > epoch:
            self._epoch, self._start = self._requested, 0
        else:
            self._epoch, self._start = epoch, position

    def __getstate__(self) -> dict[str, Any]:
        """Copies and pickles leave out the pass that is going on: they begin its epoch anew."""
        return {**self.__dict__, "_current": None}

    def _state(self, epoch: int, position: int, fingerprint: int) -> dict[str, Any]:
        head = {"version": _STATE_VERSION, "sampler": type(self).__name__, **self._identity()}
        return {**head, "seed": self._seed, "epoch": epoch, "position": position, "fingerprint": fingerprint}

    def _begin(self, chunks: _Chunks) -> _Draw:
        """Make a pass the present one; not before it is asked for an index, for loaders make iterators they never use."""
        if self._loaded not in (None, self._fingerprint):
            warnings.warn(
                "the weights are not those that the loaded state was taken with: what is left of its epoch is drawn by the "
                "present ones (set_weights before the first index restores them)",
                stacklevel=3,
            )
        self._current, self._start, self._loaded = chunks, 0, None
        return self._open(chunks.epoch)

    def _is_done(self, chunks: _Chunks) -> bool:
        """Whether a state says that the epoch set is done: then no pass over it begins, however often a loader asks for one."""
        return self._behind or (self._requested == chunks.epoch and chunks.first > 0 == self._n_left(chunks.first))

    def _end(self, chunks: _Chunks) -> None:
        """Turn to the epoch that was set, once what was left of an earlier one is done."""
        if self._current is chunks and self._requested is not None and self._requested > self._epoch:
            self._epoch, self._current = self._requested, None

    def _n_left(self, position: int) -> int:
        """Indices that this rank yields from a position of the epoch on: as many as every other rank, if they are even."""
        left = max(0, self._total - position - (0 if self._even else self._rank))
        return left // self._world_size if self._drop_last else -(-left // self._world_size)

    def _epoch_seed(self, epoch: int) -> int:
        return arrays.as_seed(np.random.SeedSequence(self._seed, spawn_key=(epoch,)))

    def _open(self, epoch: int) -> _Draw:
        raise NotImplementedError

    def _identity(self) -> dict[str, Any]:
        raise NotImplementedError


class _Chunks(Iterator[Iterator[int]]):
    """One pass of a rank over an epoch, chunk by chunk, and how far it has come."""

    def __init__(self, sampler: _EpochSampler, epoch: int, start: int) -> None:
        self._sampler = sampler
        self.epoch = epoch
        self.first = start  # the positions of the epoch where this pass began
        self._drawn = start  # and where its next chunk begins
        self._chunk: Iterator[int] = iter(())
        self._draw: _Draw | None = None
        self._fingerprint = sampler._fingerprint
        self._ended = False

    def __next__(self) -> Iterator[int]:
        sampler = self._sampler
        if self._draw is None:
            if sampler._is_done(self):
                raise StopIteration
            self._draw, self._fingerprint = sampler._begin(self), sampler._fingerprint
        size = min(_CHUNK, sampler._n_left(self._drawn))
        if size == 0:
            self._ended = True
            sampler._end(self)
            raise StopIteration
        positions = np.arange(size, dtype=np.int64) * sampler._world_size + (self._drawn + sampler._rank)
        if sampler._wraps:
            positions %= sampler._total
        indices: list[int] = self._draw(positions).tolist()
        self._drawn += size * sampler._world_size
        self._chunk = iter(indices)
        return self._chunk

    def position(self, consumed: int | None = None) -> int:
        """Return the position of the epoch up to which the ranks have yielded, or have consumed."""
        step = self._sampler._world_size
        position = self._drawn - operator.length_hint(self._chunk) * step
        return position if consumed is None else min(position, self.first + arrays.as_count(consumed, "consumed", 0) * step)

    def redraw(self) -> None:
        """Draw what has not been yielded anew."""
        self._drawn, self._fingerprint = self.position(), self._sampler._fingerprint
        deque(self._chunk, maxlen=0)  # whoever iterates over the chunk now finds its end and asks for the next

    def state_dict(self, consumed: int | None = None) -> dict[str, Any]:
        return self._sampler._state(self.epoch, self.position(consumed), self._fingerprint)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if self._ended:
            raise RuntimeError("this iterator has come to its end; load the state into the sampler or a new iterator")
        sampler = self._sampler
        sampler.load_state_dict(state)
        deque(self._chunk, maxlen=0)
        self.epoch, self.first, self._drawn, self._draw = sampler._epoch, sampler._start, sampler._start, None
        wanted = sampler._requested
        if wanted is not None and wanted < self.epoch:
            sampler._behind = True
        elif wanted != self.epoch or sampler._n_left(self.first):
            # What is left is this pass's now: the next iterator begins the epoch anew.
            sampler._current, sampler._start = self, 0


class _Indices(itertools.chain[int]):
    """Iterator over the indices of all chunks; a chain because it hands out an index without running any Python code.

    With `state_dict` and `load_state_dict` it is what torchdata calls Stateful.
    """

    _chunks: _Chunks

    @classmethod
    def over(cls, chunks: _Chunks) -> _Indices:
        indices = cast(_Indices, cls.from_iterable(chunks))
        indices._chunks = chunks
        return indices

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the sampler at the point that this iterator has reached."""
        return self._chunks.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state, as does the sampler."""
        self._chunks.load_state_dict(state)


class ImportanceSampler(_EpochSampler):
    """Indices drawn in proportion to weights, for `torch.utils.data.DataLoader` and its kin.

    Parameters
    ----------
    weights : array [n] of float32 or float64
        Finite, not negative, at least one positive (other real numbers are converted to float64).
    num_samples : int, optional
        Draws per epoch of all ranks together. Default n.
    replacement : bool
        With replacement (default), from an alias table; or without within an epoch, by exponential races as `coremax.sample`:
        then at most the number of positive weights can be drawn, every rank holds the epoch's num_samples draws (8 bytes each)
        and a copy of the weights.
    seed : int, SeedSequence or Generator
        The same on all ranks. A Generator is advanced by one draw.
    rank, world_size : int, optional
        The number of this process and how many there are. Default: those of `torch.distributed` if that is initialised, else 0
        of 1.
    drop_last : bool
        Every rank yields the same number of indices. Where world_size does not divide num_samples, the sequence is cut short
        (True), or lengthened (False, default): with replacement by further draws, without by its first ones again.
    threads : int, optional
        For building tables and races; does not change the draws.

    Raises
    ------
    ValueError
        NaN, infinity or a negative weight (the place is named), no positive weight, fewer positive weights than num_samples
        without replacement, a rank beyond world_size.

    Notes
    -----
    Yields Python ints lazily: a table of 8 bytes per weight (16 below 65,536 weights) and one chunk of draws are all that is
    held. The indices are a function of (weights, seed, epoch, position): any number of ranks, workers and chunks yields the
    same epoch.

    Examples
    --------
    >>> import torch
    >>> from coremax.torch import ImportanceSampler
    >>> sampler = ImportanceSampler([1.0, 0.0, 3.0], num_samples=6)
    >>> loader = torch.utils.data.DataLoader(["a", "b", "c"], batch_size=2, sampler=sampler)
    >>> for epoch in range(2):
    ...     sampler.set_epoch(epoch)
    ...     print(list(loader))
    [['c', 'c'], ['c', 'c'], ['c', 'a']]
    [['c', 'c'], ['c', 'c'], ['c', 'c']]
    """

    def __init__(
        self,
        weights: Any,
        num_samples: int | None = None,
        *,
        replacement: bool = True,
        seed: arrays.Seed = 0,
        rank: int | None = None,
        world_size: int | None = None,
        drop_last: bool = False,
        threads: int | None = None,
    ) -> None:
        self._replacement = checks.as_flag(replacement, "replacement")
        self._wraps = not self._replacement
        self._threads = arrays.as_threads(threads)
        source = self._source(weights)
        self._n = source.n if isinstance(source, AliasTable) else len(source)
        total = self._n if num_samples is None else arrays.as_count(num_samples, "num_samples", 1, 2**60)
        super().__init__(total, seed, rank, world_size, drop_last)
        self._probabilities: NDArray[np.float64] | None = None
        self._take(source)

    @property
    def num_samples(self) -> int:
        """Draws per epoch of all ranks together."""
        return self._total

    def set_weights(self, weights: Any) -> None:
        """Draw by other weights from now on.

        Parameters
        ----------
        weights : array [n] of float32 or float64
            As many as before, under the same conditions; the same on all ranks, at the same step.

        Notes
        -----
        With replacement the very next index yielded is drawn by them, in the middle of an epoch too; batches that a loader with
        workers has fetched in advance are not drawn again. Without replacement they hold from the next pass on.
        """
        source = self._source(weights)
        arrays.require_length(source.n if isinstance(source, AliasTable) else len(source), "weights", self._n, "the sampler")
        self._take(source)
        if self._replacement and self._current is not None:
            self._current.redraw()

    def importance_weights(self, indices: Any) -> Any:
        """Return what makes a mean over drawn samples an unbiased estimate of the mean over all n.

        Parameters
        ----------
        indices : array [m] of int64 or int32
            Drawn by the present weights.

        Returns
        -------
        array [m] of float64
            1 / (n p_i), in the library of indices; p_i is the exact probability of the table.

        Raises
        ------
        ValueError
            An index that is out of range or is never drawn (the place is named), or a sampler without replacement.

        Notes
        -----
        The first call after a change of weights costs O(n) time and 8 bytes per weight.
        """
        if not self._replacement:
            raise ValueError("importance_weights are known with replacement=True only")
        numbers = _as_indices(indices)
        bad = np.flatnonzero((numbers < 0) | (numbers >= self._n))
        if bad.size:
            raise ValueError(f"indices[{bad[0]}] is {numbers[bad[0]]}, not in [0, {self._n})")
        if self._probabilities is None:
            self._probabilities = np.asarray(cast(AliasTable, self._weights).probabilities())
        drawn = self._probabilities[numbers]
        bad = np.flatnonzero(drawn == 0)
        if bad.size:
            raise ValueError(f"indices[{bad[0]}] is {numbers[bad[0]]}, which has weight zero and is never drawn")
        return arrays.like(1 / (self._n * drawn), arrays.as_array(indices, "indices"))

    def _source(self, weights: Any) -> AliasTable | NDArray[Any]:
        """What is drawn from: a table, or for races the weights themselves."""
        if isinstance(weights, (Selection, Iterator)):
            raise TypeError(f"weights must be an array with a number for each sample, got a {type(weights).__name__}")
        if self._replacement:
            return AliasTable(weights, threads=self._threads)
        sample(weights, 0)  # checks them
        return np.array(arrays.as_numpy(arrays.as_array(weights, "weights")))

    def _take(self, source: AliasTable | NDArray[Any]) -> None:
        if not isinstance(source, AliasTable):
            n_positive = np.count_nonzero(source > 0)
            if n_positive < self._total:
                raise ValueError(
                    f"num_samples is {self._total}, but without replacement it must be at most the number of positive weights, "
                    f"{n_positive}"
                )
        self._weights = source
        self._probabilities = None
        self._fingerprint = _fingerprint(source)

    def _open(self, epoch: int) -> _Draw:
        seed = self._epoch_seed(epoch)
        if isinstance(self._weights, AliasTable):
            # The table is looked up at every chunk: it may be another one by then.
            return lambda positions: arrays.as_numpy(cast(AliasTable, self._weights).sample_at(positions, seed=seed, threads=1))
        return cast(_Draw, sample(self._weights, self._total, seed=seed, threads=self._threads).take)

    def _identity(self) -> dict[str, Any]:
        return {"n": self._n, "num_samples": self._total, "replacement": self._replacement}

    def __repr__(self) -> str:
        return f"ImportanceSampler(n={self._n}, num_samples={self._total}, rank={self._rank}, world_size={self._world_size})"


class SubsetSampler(_EpochSampler):
    """A fixed subset, shuffled anew in each epoch or in order, for `torch.utils.data.DataLoader` and its kin.

    Parameters
    ----------
    indices : array [m] of int64 or int32, Selection, or int
        The subset: not negative; what occurs twice is yielded twice. A `Selection` stands for its indices. A number m stands
        for all of 0 to m - 1 and takes no memory.
    shuffle : bool
        In a new order each epoch (default) or always as given.
    seed : int, SeedSequence or Generator
        The same on all ranks. A Generator is advanced by one draw.
    rank, world_size : int, optional
        The number of this process and how many there are. Default: those of `torch.distributed` if that is initialised, else 0
        of 1.
    drop_last : bool
        Where world_size does not divide m, the last indices of the epoch's order are left out, so that every rank yields the
        same number. Default: False, see pad.
    pad : bool, optional
        Where world_size does not divide m and nothing is left out: True yields the first indices of the epoch's order again, as
        `DistributedSampler` does, so that every rank yields the same number, which `DistributedDataParallel` needs in training.
        False yields each index on one rank only, as evaluation needs it; the first ranks then yield one more than the others.
        Default: pad where the order is shuffled, which is for training; not where it is kept.

    Raises
    ------
    ValueError
        A negative index (the place is named), a rank beyond world_size, both drop_last and pad.
    TypeError
        Indices that are no whole numbers: a mask, a generator.

    Notes
    -----
    Yields Python ints lazily; one copy of indices and one chunk are all that is held. Orders of up to 65,536 are drawn
    uniformly from all there are. Longer ones are a Feistel network over the positions (six rounds; Luby and Rackoff 1988),
    computed as they are asked for, so that shuffling 10^12 indices takes no memory and resuming in the middle no time.

    Examples
    --------
    >>> from coremax.torch import SubsetSampler
    >>> sampler = SubsetSampler([10, 11, 12, 13, 14], seed=1)
    >>> iterator = iter(sampler)
    >>> first = [next(iterator), next(iterator)]
    >>> resumed = SubsetSampler([10, 11, 12, 13, 14])
    >>> resumed.load_state_dict(sampler.state_dict())
    >>> sorted(first + list(resumed))
    [10, 11, 12, 13, 14]
    """

    def __init__(
        self,
        indices: Any,
        *,
        shuffle: bool = True,
        seed: arrays.Seed = 0,
        rank: int | None = None,
        world_size: int | None = None,
        drop_last: bool = False,
        pad: bool | None = None,
    ) -> None:
        self._shuffle = checks.as_flag(shuffle, "shuffle")
        self._indices: NDArray[np.int64] | None = None
        if isinstance(indices, (int, np.integer)):
            total = arrays.as_count(indices, "indices", 0, 2**62)
            self._fingerprint = 0
        else:
            self._indices = np.array(_as_indices(indices))
            bad = np.flatnonzero(self._indices < 0)
            if bad.size:
                raise ValueError(f"indices[{bad[0]}] is negative: {self._indices[bad[0]]}")
            total, self._fingerprint = len(self._indices), _fingerprint(self._indices)
        super().__init__(total, seed, rank, world_size, drop_last)
        if pad is not None and checks.as_flag(pad, "pad") and drop_last:
            raise ValueError("pad and drop_last exclude each other: the last indices are left out or the first yielded again")
        self._even = drop_last or (shuffle if pad is None else bool(pad))

    def _open(self, epoch: int) -> _Draw:
        order = _order(self._total, self._epoch_seed(epoch)) if self._shuffle and self._total > 1 else _unchanged
        indices = self._indices
        return order if indices is None else lambda positions: indices[order(positions)]

    def _identity(self) -> dict[str, Any]:
        return {"n": self._total, "shuffle": self._shuffle, "fingerprint": self._fingerprint}

    def __repr__(self) -> str:
        return f"SubsetSampler(n={self._total}, shuffle={self._shuffle}, rank={self._rank}, world_size={self._world_size})"


def _as_indices(indices: Any) -> NDArray[np.int64]:
    """Check indices, or take those of a selection."""
    if isinstance(indices, Selection):
        indices = indices.indices
    if isinstance(indices, Iterator):
        raise TypeError(f"indices must be an array, got a {type(indices).__name__}: pass list(indices)")
    indices = arrays.as_no_mask(indices, "indices")
    arrays.as_view(indices, "indices", ndim=1, dtypes=arrays.INDEX_TYPES, convert_to="int64")
    return np.asarray(arrays.as_numpy(indices)).astype(np.int64, copy=False)


def _order(n: int, seed: int) -> _Draw:
    """Return the function from the positions of a shuffled order of n elements to the elements."""
    if n <= _LARGEST_HELD_ORDER:
        return cast(_Draw, sample(np.ones(n), n, seed=seed, threads=1).take)  # between equal weights a race is a fair shuffle
    return lambda positions: _core.permute(n, _core.import_array(positions, "positions"), seed, 1)


def _unchanged(positions: Positions) -> Positions:
    return positions


def _fingerprint(source: AliasTable | NDArray[Any]) -> int:
    """A number by which a state knows the data it was taken with."""
    if isinstance(source, AliasTable):
        source = arrays.as_numpy(source.sample(_FINGERPRINT_DRAWS, threads=1))
    return zlib.crc32(np.ascontiguousarray(source).data)


def _resolve_rank(rank: int | None, world_size: int | None) -> tuple[int, int]:
    if (rank is None) != (world_size is None):
        raise ValueError(f"rank and world_size belong together, got rank {rank} and world_size {world_size}")
    if rank is None or world_size is None:
        if not (distributed.is_available() and distributed.is_initialized()):
            return 0, 1
        return distributed.get_rank(), distributed.get_world_size()
    world_size = arrays.as_count(world_size, "world_size", 1, 2**31)
    return arrays.as_count(rank, "rank", 0, world_size - 1), world_size


def resume(loader: Any, state: Mapping[str, Any]) -> int:
    """Load a state into torchdata's `StatefulDataLoader` and, at once, the epoch into the sampler below it.

    Parameters
    ----------
    loader : StatefulDataLoader
        Over a sampler of this module, as its `sampler` or in a `torchdata.stateful_dataloader.sampler.BatchSampler`.
    state : dict
        Of its `state_dict`.

    Returns
    -------
    int
        The epoch to go on with, which is the sampler's `epoch` from now on.

    Raises
    ------
    TypeError
        The loader has no such sampler, or keeps no state.
    ValueError
        The state holds none of the sampler: torch's `BatchSampler` keeps none, so the loader can only skip batches of whatever
        epoch is set; torchdata's does. Or it is of another sampler or data.

    Notes
    -----
    ``loader.load_state_dict(state)`` alone hands the state on with the first batch only; until then `epoch` is what it was.

    Examples
    --------
    >>> from coremax.torch import SubsetSampler, resume
    >>> from torchdata.stateful_dataloader import StatefulDataLoader
    >>> def train(state=None):
    ...     sampler = SubsetSampler(4)
    ...     loader = StatefulDataLoader("abcd", batch_size=2, sampler=sampler)
    ...     if state is not None:
    ...         resume(loader, state)
    ...     for epoch in range(sampler.epoch, 3):
    ...         sampler.set_epoch(epoch)
    ...         for batch in loader:
    ...             yield epoch, batch, loader.state_dict()
    >>> steps = list(train())
    >>> steps[4:] == list(train(steps[3][2]))
    True
    """
    if not hasattr(loader, "load_state_dict"):
        raise TypeError(f"loader must be a StatefulDataLoader of torchdata, got {type(loader).__name__}, which keeps no state")
    sampler = getattr(getattr(loader, "batch_sampler", None), "sampler", None) or getattr(loader, "sampler", None)
    if not isinstance(sampler, _EpochSampler):
        raise TypeError(f"loader must draw by a sampler of coremax.torch, got one over {type(sampler).__name__}")
    if not isinstance(state, Mapping):
        raise TypeError(f"state must be a dict, got {state!r}")
    found = _sampler_state(state)
    if found is None:
        raise ValueError(
            "state holds none of the sampler: torch's BatchSampler has none, that of torchdata.stateful_dataloader.sampler does"
        )
    sampler.load_state_dict(found)
    loader.load_state_dict(state)
    return sampler.epoch


def _sampler_state(state: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Find the state of a sampler of this module in that of a loader, wherever the loader's version has it."""
    if state.get("sampler") in ("ImportanceSampler", "SubsetSampler") and "position" in state:
        return state
    parts = (_sampler_state(part) for part in state.values() if isinstance(part, Mapping))
    return next((part for part in parts if part is not None), None)


def loss_reweight(
    losses: torch.Tensor,
    strategy: Strategy = "linupper",
    *,
    r: float = 1.0,
    group: distributed.ProcessGroup | None = None,
) -> torch.Tensor:
    """Weights of this rank's samples by their losses, relative to all samples of the global batch.

    Parameters
    ----------
    losses : Tensor [m]
        The losses of this rank's samples, on any device that the process group takes; m may differ between ranks.
    strategy : {"linupper", "quadratic", "extremes"}
        min(h + 1, 1): less weight to low losses; 1 - h^2: less to both ends; abs(h): less to the middle.
    r : float
        Temperature, at least 1e-300: the larger, the more even the weights.
    group : ProcessGroup, optional
        The ranks that share the batch. Default: all of them if `torch.distributed` is initialised, else this process alone.

    Returns
    -------
    Tensor [m] of float32, or float64 where losses are
        Positive unless rounded to zero, on the device of losses, without gradient. They sum to 1 over all ranks. Equal losses
        are weighted equally.

    Raises
    ------
    ValueError
        A loss that is not finite (rank and place are named; on all ranks, so that none is left waiting), an unknown strategy.

    Notes
    -----
    Sow et al., "Dynamic Loss-Based Sample Reweighting for Improved Large Language Model Pretraining", ICLR 2025:
    h = (2 l - (lmax + lmin)) / (lmax - lmin), weights softmax(f(h) / r), both over the global batch. Which part of that is this
    rank's follows from its rank in the group, never from its number on its machine. A collective call: every rank of the group
    has to make it. The check costs one transfer from the device.

    `DistributedDataParallel` averages gradients over the ranks, hence the factor in ``loss = world_size * (weights *
    losses).sum()``.

    Examples
    --------
    >>> import torch
    >>> from coremax.torch import loss_reweight
    >>> loss_reweight(torch.tensor([0.0, 1.0, 2.0]))
    tensor([0.1554, 0.4223, 0.4223])
    """
    strategy = arrays.as_choice(strategy, "strategy", STRATEGIES)
    r = arrays.as_real(r, "r", 1e-300)
    if not isinstance(losses, torch.Tensor) or not losses.is_floating_point():
        raise TypeError(
            f"losses must be a tensor of floating-point numbers, got {getattr(losses, 'dtype', type(losses).__name__)}"
        )
    if losses.is_meta or losses.layout != torch.strided:
        what = "of the device meta, which holds no numbers" if losses.is_meta else f"of layout {losses.layout}"
        raise TypeError(f"losses must be a dense tensor, got one {what}")
    if losses.ndim != 1:
        raise ValueError(f"losses must be one-dimensional, got shape {tuple(losses.shape)}")
    refusals.refuse_unreadable(losses.detach(), "losses")
    if group is not None and not (distributed.is_available() and isinstance(group, distributed.ProcessGroup)):
        raise TypeError(f"group must be a torch.distributed.ProcessGroup or None, got {group!r}")
    parts, rank = _gathered(losses.detach().to(torch.float64), group)
    for number, part in enumerate(parts):
        bad = (~part.isfinite()).nonzero()
        if len(bad):
            raise ValueError(f"losses[{int(bad[0])}] of rank {number} is {float(part[bad[0]])}; losses must be finite")
    first = sum(len(part) for part in parts[:rank])
    weights = _loss_weights(torch.cat(parts), strategy, r)[first : first + len(losses)]
    return weights.to(torch.promote_types(losses.dtype, torch.float32))


def _loss_weights(losses: torch.Tensor, strategy: Strategy, r: float) -> torch.Tensor:
    if losses.numel() == 0:
        return losses
    low, high = losses.min() / 2, losses.max() / 2  # halves: their sum and difference can not overflow
    h = torch.where(high > low, (losses - (high + low)) / (high - low), 0.0).clamp(-1, 1)
    if strategy == "linupper":
        f = (h + 1).clamp(max=1)
    elif strategy == "quadratic":
        f = 1 - h * h
    else:
        f = h.abs()
    return torch.softmax(f / r, 0)


def _gathered(values: torch.Tensor, group: distributed.ProcessGroup | None) -> tuple[list[torch.Tensor], int]:
    """Return the values of all ranks, in order of rank, and the place of this one among them."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return [values], 0
    n_ranks = distributed.get_world_size(group)
    lengths = [torch.zeros(1, dtype=torch.int64, device=values.device) for _ in range(n_ranks)]
    distributed.all_gather(lengths, torch.tensor([len(values)], device=values.device), group=group)
    longest = max(int(length) for length in lengths)
    padded = torch.nn.functional.pad(values, (0, longest - len(values)))
    parts = [torch.empty_like(padded) for _ in range(n_ranks)]
    distributed.all_gather(parts, padded, group=group)
    cut = [part[: int(length)] for part, length in zip(parts, lengths, strict=True)]
    return cut, distributed.get_rank(group)
