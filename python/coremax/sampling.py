"""Importance sampling with and without replacement, reproducible by (seed, position)."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from . import _arrays, _core, _files

__all__ = ["AliasTable", "sample"]

_FILE_VERSION = 1


class AliasTable:
    """Draws with replacement in proportion to weights, in constant time per draw.

    Parameters
    ----------
    weights : array [n] of float32 or float64
        Finite, not negative, at least one positive (other real numbers are converted to float64).
    threads : int, optional
        Default: COREMAX_NUM_THREADS, else every CPU this process may use.

    Raises
    ------
    ValueError
        NaN, infinity or a negative weight (the place is named), no positive weight, no weight at all.

    Notes
    -----
    Walker's alias method (Walker 1977, Vose 1991). The table holds integers, so its probabilities sum to one exactly; each is
    within 2^-50 of weight / sum, and a weight of zero is never drawn. Building costs O(n) time and 16 bytes per element.

    Examples
    --------
    >>> import coremax
    >>> table = coremax.AliasTable([1.0, 0.0, 3.0])
    >>> table.probabilities()
    array([0.25, 0.  , 0.75])
    >>> table.sample(8, seed=1).tolist() == table.sample(5, seed=1).tolist() + table.sample(3, seed=1, offset=5).tolist()
    True
    """

    def __init__(self, weights: Any, *, threads: int | None = None) -> None:
        weights = _arrays.as_array(weights, "weights")
        view = _arrays.as_view(weights, "weights", ndim=1, dtypes=_arrays.FLOAT_TYPES, convert_to="float64")
        self._table = _core.build_alias_table(view, _arrays.as_threads(threads))
        self._import = _arrays.importer(weights)

    @property
    def n(self) -> int:
        """Number of elements."""
        return self._table.n

    def sample(self, size: int, *, seed: _arrays.Seed = 0, offset: int = 0, threads: int | None = None) -> Any:
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
        size = _arrays.as_count(size, "size", 0, 2**60)
        offset = _arrays.as_count(offset, "offset", 0, 2**63 - 1)
        return self._import(self._table.sample(size, _arrays.as_seed(seed), offset, _arrays.as_threads(threads)))

    def sample_at(self, positions: Any, *, seed: _arrays.Seed = 0, threads: int | None = None) -> Any:
        """Draw with replacement at any positions of the seed's stream.

        Parameters
        ----------
        positions : array of int64 or int32
            Not negative, in any order.
        seed : int, SeedSequence or Generator
            A Generator is advanced by one draw.
        threads : int, optional
            Does not change the draws.

        Returns
        -------
        array [len(positions)] of int64
            Element i is `sample(1, seed=seed, offset=positions[i])`: what one of several processes needs that share a stream.
        """
        view = _arrays.as_view(positions, "positions", ndim=1, dtypes=("int64",), convert_to="int64")
        return self._import(self._table.sample_at(view, _arrays.as_seed(seed), _arrays.as_threads(threads)))

    def probabilities(self) -> Any:
        """Return the probabilities [n] float64 that the table really has."""
        return self._import(self._table.probabilities())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the table to an .npz file under exactly this name."""
        _files.save_archive(path, _FILE_VERSION, {"thresholds": self._table.thresholds(), "aliases": self._table.aliases()})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> AliasTable:
        """Read a table that `save` wrote; raises ValueError where the file holds none."""
        arrays = _files.load_archive(path, "alias table", _FILE_VERSION, {"thresholds", "aliases"})
        return cls._restore(arrays["thresholds"], arrays["aliases"])

    @classmethod
    def _restore(cls, thresholds: np.ndarray[Any, Any], aliases: np.ndarray[Any, Any]) -> AliasTable:
        if thresholds.dtype != np.uint64 or aliases.dtype != np.int64:
            raise ValueError(f"a saved alias table holds uint64 and int64, got {thresholds.dtype} and {aliases.dtype}")
        table = cls.__new__(cls)
        table._table = _core.restore_alias_table(thresholds, aliases)
        table._import = _arrays.importer(aliases)
        return table

    def __reduce__(self) -> tuple[Any, ...]:
        return AliasTable._restore, (self._table.thresholds(), self._table.aliases())

    def __repr__(self) -> str:
        return f"AliasTable(n={self.n})"


def sample(
    weights: Any,
    size: int,
    *,
    replace: bool = False,
    log_weights: bool = False,
    seed: _arrays.Seed = 0,
    threads: int | None = None,
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
        The weights are natural logarithms; -inf stands for zero.
    seed : int, SeedSequence or Generator
        A Generator is advanced by one draw.
    threads : int, optional
        Does not change the draws.

    Returns
    -------
    array [size] of int64
        In the order drawn, in the library of weights. A shorter draw is a prefix of a longer one.

    Raises
    ------
    ValueError
        NaN, infinity or a negative weight (the place is named), no positive weight, fewer positive weights than size.

    Notes
    -----
    Never returns an element of weight zero. Without replacement: time O(n + size log size), 16 bytes per element.

    Examples
    --------
    >>> import coremax
    >>> sorted(coremax.sample([0.5, 0.0, 2.0, 1.0], 3).tolist())
    [0, 2, 3]
    """
    weights = _arrays.as_array(weights, "weights")
    size = _arrays.as_count(size, "size", 0, 2**60)
    view = _arrays.as_view(weights, "weights", ndim=1, dtypes=_arrays.FLOAT_TYPES, convert_to="float64")
    n_threads = _arrays.as_threads(threads)
    if not replace:
        draws = _core.sample_without_replacement(view, size, bool(log_weights), _arrays.as_seed(seed), n_threads)
        return _arrays.like(draws, weights)
    if log_weights:
        return _arrays.like(
            AliasTable(_exponential(weights), threads=threads).sample(size, seed=seed, threads=threads), weights
        )
    return AliasTable(weights, threads=threads).sample(size, seed=seed, threads=threads)


def _exponential(log_weights: Any) -> np.ndarray[Any, Any]:
    """Weights from their logarithms, the largest being 1."""
    logs = np.asarray(_arrays.widened(log_weights), dtype=np.float64)
    bad = np.flatnonzero(np.isnan(logs) | (logs == np.inf))
    if bad.size:
        raise ValueError(f"weights[{bad[0]}] is {logs[bad[0]]}; logarithms of weights must be finite or -inf")
    if not np.isfinite(logs).any():
        return np.zeros_like(logs)
    with np.errstate(over="ignore", under="ignore"):  # a difference beyond float64 is a weight of zero beside the largest
        return np.asarray(np.exp(logs - logs.max()))
