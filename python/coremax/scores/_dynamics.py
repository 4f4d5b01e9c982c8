"""Scores of how training went: what is remembered of each epoch, not of the last one only.

Every function takes the epochs as one array, a list or any iterable of one array per epoch. Only what a score needs of past
epochs is kept, so a generator that loads epoch after epoch never holds all of them.
"""

from __future__ import annotations

import functools
import sys
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .. import _core
from .._inputs import arrays
from .._inputs import invalid as _invalid
from . import _inputs

Vector = np.ndarray[Any, Any]

_COLUMNS = 1 << 15  # of a window, looked at together: they stay in the cache


def forgetting(correct: Any, *, never_learned: float | None = None) -> Any:
    """Forgetting events: how often a sample that was right one epoch is wrong the next; higher is harder.

    Parameters
    ----------
    correct : array [T, n] of bool or of zeros and ones, or an iterable of T arrays [n]
        Whether each epoch's prediction was right.
    never_learned : float, optional
        The score of samples that were never right; at least 0. None: T, above what any other sample can reach.

    Returns
    -------
    array [n] of float64
        The number of epochs t with correct[t] and not correct[t + 1].

    Raises
    ------
    ValueError
        No epoch, epochs of different length, a value other than 0 and 1.

    Notes
    -----
    Toneva et al., "An Empirical Study of Example Forgetting during Deep Neural Network Learning", ICLR 2019. The paper gives
    samples that were never learned infinitely many events; a finite score keeps sums and scalings defined.

    Examples
    --------
    >>> from coremax.scores import forgetting
    >>> forgetting([[True, False, False, True], [False, True, False, True], [True, False, False, True]])
    array([1., 1., 3., 0.])
    """
    if never_learned is not None:
        never_learned = arrays.as_real(never_learned, "never_learned", 0.0)
    epochs = _inputs.Epochs(correct, "correct")
    before, events, learned = np.zeros(0, bool), np.zeros(0), np.zeros(0, bool)
    for epoch, name in epochs:
        now = _flags(epoch, name)
        if epochs.count == 1:
            before, events, learned = np.zeros(len(now), bool), np.zeros(len(now)), np.zeros(len(now), bool)
        arrays.require_length(len(now), name, len(before), "correct[0]")
        events += before & ~now
        learned |= now
        before = now
    epochs.require(1)
    events[~learned] = epochs.count if never_learned is None else never_learned
    return epochs.like(events)


def aum(logits: Any, labels: Any = None, *, threads: int | None = None) -> Any:
    """Area under the margin: by how much the label's logit led, on average over epochs; higher is easier, low is mislabelled.

    Parameters
    ----------
    logits : array [T, n, C] of float32, float64 or half precision, or an iterable of T arrays [n, C]
        Without labels: [T, n] or arrays [n], the margins themselves.
    labels : array [n] of int64 or int32, optional
        Classes, 0 to C - 1.
    threads : int, optional
        Does not change the result.

    Returns
    -------
    array [n] of float64
        1/T sum_t (z_y - max_{c != y} z_c); 0 where there is one class only.

    Raises
    ------
    ValueError
        No epoch, epochs of different shape, a logit that is not finite or a label that is no class (the place is named).

    Notes
    -----
    Pleiss et al., "Identifying Mislabeled Data using the Area Under the Margin Ranking", NeurIPS 2020, equations 1 and 2.

    Examples
    --------
    >>> from coremax.scores import aum
    >>> import numpy as np
    >>> aum(np.array([[[2.0, 1.0], [0.0, 1.0]], [[4.0, 1.0], [0.5, 1.0]]]), np.array([0, 0]))
    array([ 2.  , -0.75])
    """
    n_threads = arrays.as_threads(threads)
    classes = None if labels is None else _inputs.label_view(labels)
    epochs, total = _inputs.Epochs(logits, "logits"), np.zeros(0)
    for epoch, name in epochs:
        if classes is None:
            margin = _vector(epoch, name)
        else:
            view = _inputs.predictions(epoch, name)
            arrays.require_length(classes.shape[0], "labels", view.shape[0], f"the rows of {name}")
            with _invalid.naming(name, functools.partial(_invalid.bad_rows, epoch)):
                margin = _core.logit_margin(view, name, classes, n_threads)
        total = margin if epochs.count == 1 else total + _same_length(margin, name, total, "logits[0]")
    epochs.require(1)
    return epochs.like(total / epochs.count)


def dual(p_y: Any, *, window: int = 10) -> Any:
    """DUAL: difficulty times uncertainty, early in training; higher is harder and less settled.

    Parameters
    ----------
    p_y : array [T, n] of float32, float64 or half precision, or an iterable of T arrays [n]
        The probability each epoch gave to the label. The paper needs few epochs: 30 on CIFAR, where full training takes 200.
    window : int
        Epochs that are looked at together, from 2 to T.

    Returns
    -------
    array [n] of float64
        Mean over the T - window + 1 windows of std(p_y) (1 - mean(p_y)); at least 0.

    Raises
    ------
    ValueError
        Fewer epochs than the window, epochs of different length, a value outside [0, 1] (its place is named).

    Notes
    -----
    Cho et al., "Lightweight Dataset Pruning without Full Training via Example Difficulty and Prediction Uncertainty", ICML
    2025. The standard deviation is that of a sample (over window - 1), as in the authors' code, which also multiplies it by
    10; a constant factor changes no ranking and is left out.

    Examples
    --------
    >>> import numpy as np
    >>> from coremax.scores import dual
    >>> dual(np.array([[0.0, 0.9], [1.0, 0.9], [0.0, 0.9]]), window=2).round(3)
    array([0.354, 0.   ])
    """
    window = arrays.as_count(window, "window", 2)
    epochs, total = _inputs.Epochs(p_y, "p_y"), np.zeros(0)
    for rows in _windows(_probabilities_of_label(epochs), window):
        score = _over_columns(rows, lambda block: _deviations(block, window - 1) * (1 - block.mean(axis=0)))
        total = score if epochs.count == window else total + score
    epochs.require(window, "window = ")
    return epochs.like(np.maximum(total / (epochs.count - window + 1), 0))


def tdds(
    probabilities: Any,
    *,
    window: int = 10,
    decay: float = 0.9,
    epsilon: float = 1e-8,
    threads: int | None = None,
    isa: str | None = None,
) -> Any:
    """TDDS: how unevenly a sample's predictions moved over training; higher contributes more.

    Parameters
    ----------
    probabilities : array [T, n, C] of float32, float64 or half precision, or an iterable of T arrays [n, C]
        Softmax outputs of each epoch. Or losses, [T, n] or arrays [n].
    window : int
        Epochs that are looked at together, from 3 to T.
    decay : float
        Weight of the newest window in the moving average, from 0 to 1.
    epsilon : float
        Added to probabilities before their logarithm, from 1e-290 to 1.
    threads : int, optional
        Does not change the result.
    isa : str, optional
        Instruction-set level; does not change the result.

    Returns
    -------
    array [n] of float64
        At least 0.

    Raises
    ------
    ValueError
        Fewer epochs than the window, epochs of different shape, rows that are no probabilities, a loss that is not finite (the
        place is named).

    Notes
    -----
    Zhang et al., "Spanning Training Progress: Temporal Dual-Depth Scoring (TDDS) for Enhanced Dataset Pruning", CVPR 2024.
    First depth: the change from epoch t to t + 1, D_t = sum_c |p_c(t + 1) (log p_c(t + 1) - log p_c(t))|, the divergence by
    which the paper approximates a gradient's projection; for losses D_t = |loss(t + 1) - loss(t)| (ours). Second depth: over
    the window - 1 changes of each window, shifted by one epoch each time, V = sqrt(sum_t (D_t - mean D)^2). Last a moving
    average over windows, R <- decay V + (1 - decay) R from R = 0. The absolute value of each class's term, the root and
    epsilon follow the authors' code.

    Two epochs and window - 1 vectors are kept at a time.

    Examples
    --------
    >>> import numpy as np
    >>> from coremax.scores import tdds
    >>> tdds(np.array([[1.0, 1.0], [0.5, 1.0], [0.4, 1.0]]), window=3).round(4)
    array([0.2546, 0.    ])
    """
    window = arrays.as_count(window, "window", 3)
    decay = arrays.as_real(decay, "decay", 0.0, 1.0)
    epsilon = arrays.as_real(epsilon, "epsilon", 1e-290, 1.0)
    level, n_threads = arrays.resolve_isa(isa), arrays.as_threads(threads)
    epochs, score = _inputs.Epochs(probabilities, "probabilities"), np.zeros(0)
    for rows in _windows(_changes(epochs, epsilon, level, n_threads), window - 1):
        newest = decay * _over_columns(rows, lambda block: _deviations(block, 1))
        score = newest if epochs.count == window else newest + (1 - decay) * score
    epochs.require(window, "window = ")
    return epochs.like(score)


def _windows(vectors: Iterator[Vector], window: int) -> Iterator[deque[Vector]]:
    """Every run of `window` vectors, shifted by one each time."""
    kept: deque[Vector] = deque(maxlen=min(window, sys.maxsize))  # Python holds no more
    for vector in vectors:
        kept.append(vector)
        if len(kept) == window:
            yield kept


def _over_columns(rows: deque[Vector], score: Callable[[Vector], Vector]) -> Vector:
    """score(block [window, columns]) for blocks of columns of a window."""
    n = len(rows[0])
    out = np.empty(n)
    for begin in range(0, n, _COLUMNS):
        out[begin : begin + _COLUMNS] = score(np.stack([row[begin : begin + _COLUMNS] for row in rows]))
    return out


def _deviations(block: Vector, divisor: float) -> Vector:
    """Root of the sum of squared deviations from the columns' means, over the divisor."""
    return np.asarray(np.sqrt(np.square(block - block.mean(axis=0)).sum(axis=0) / divisor))


def _probabilities_of_label(epochs: _inputs.Epochs) -> Iterator[Vector]:
    first: Vector | None = None
    for epoch, name in epochs:
        row = _vector(epoch, name)
        outside = np.flatnonzero((row < 0) | (row > 1))
        if outside.size:
            raise ValueError(f"{name}[{outside[0]}] is {row[outside[0]]:.6g}, outside [0, 1]; pass probabilities of the label")
        first = row if first is None else first
        yield _same_length(row, name, first, "p_y[0]")


def _changes(epochs: _inputs.Epochs, epsilon: float, isa: str, threads: int) -> Iterator[Vector]:
    """From each epoch to the next: divergence of probabilities [n, C], absolute difference of losses [n]."""
    before: Any = None
    for epoch, name in epochs:
        array = arrays.as_array(epoch, name)
        if array.ndim == 1:
            now: Any = _vector(array, name)
            if before is not None:
                if not isinstance(before, np.ndarray):
                    raise ValueError(f"{name} must have the shape of probabilities[0], {tuple(before.shape)}, got {now.shape}")
                yield np.abs(_same_length(now, name, before, "probabilities[0]") - before)
        else:
            # What an iterator hands out may be overwritten by the next: keep a copy.
            now = _inputs.predictions(np.array(arrays.as_numpy(array)) if epochs.refills else array, name)
            if before is not None:
                _inputs.same_shape(now, name, before.shape, "probabilities[0]")
                yield _core.prediction_change(before, now, epsilon, isa, threads)
        before = now


def _flags(epoch: Any, name: str) -> Vector:
    try:
        values = np.asarray(arrays.as_numpy(arrays.as_array(epoch, name)))
    except BufferError as error:  # a tensor that requires a gradient, say
        raise TypeError(f"{name} can not be read through DLPack: {error}") from None
    if values.ndim != 1:
        raise ValueError(f"{name} must be one-dimensional, got shape {values.shape}")
    if values.dtype.kind == "b":
        return values.copy()
    if values.dtype.kind not in "iuf":
        raise TypeError(f"{name} must be bool, got {values.dtype}")
    other = np.flatnonzero((values != 0) & (values != 1))
    if other.size:
        raise ValueError(f"{name}[{other[0]}] is {values[other[0]]}; it must be 0 or 1")
    return np.asarray(values != 0)


def _vector(epoch: Any, name: str) -> Vector:
    """Copy one epoch's numbers to float64; they must be finite."""
    array = arrays.as_array(epoch, name)
    arrays.as_view(array, name, ndim=1, dtypes=arrays.FLOAT_TYPES, convert_to="float64")
    values = np.array(arrays.as_numpy(array), dtype=np.float64)
    _invalid.refuse(values, ~np.isfinite(values), name, "it must be finite")
    return values


def _same_length(values: Vector, name: str, first: Vector, of: str) -> Vector:
    arrays.require_length(len(values), name, len(first), of)
    return values
