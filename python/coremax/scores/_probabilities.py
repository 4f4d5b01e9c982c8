"""Scores of one prediction per sample: EL2N, margin, entropy."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from .. import _core
from .._inputs import arrays
from .._inputs import invalid as _invalid
from ._inputs import is_list_of_arrays, label_view


def el2n(probabilities: Any, labels: Any, *, threads: int | None = None) -> Any:
    """EL2N, the distance of the predicted distribution to the one-hot label; higher is harder.

    Parameters
    ----------
    probabilities : array [n, C] of float32 or float64, or a list of them
        Softmax outputs, of one model or of several (then the scores are averaged, as the paper does over training runs).
    labels : array [n] of int64 or int32
        Classes, 0 to C - 1.
    threads : int, optional
        Does not change the result.

    Returns
    -------
    array [n] of float64
        ||p - onehot(y)||_2, in [0, sqrt 2].

    Raises
    ------
    ValueError
        Where a row holds NaN, lies outside [0, 1] or does not sum to 1 within 0.02 (logits were passed), or where a label is
        no class; the place is named.

    Notes
    -----
    Paul, Ganguli and Dziugaite, "Deep Learning on a Data Diet", NeurIPS 2021.

    Examples
    --------
    >>> import numpy as np
    >>> from coremax.scores import el2n
    >>> el2n(np.array([[1.0, 0.0], [0.5, 0.5]]), np.array([0, 1])).round(3)
    array([0.   , 0.707])
    """
    return _mean_score("el2n", probabilities, labels, threads)


def margin(probabilities: Any, labels: Any = None, *, threads: int | None = None) -> Any:
    """One minus the margin between the label's probability and the next best; higher is harder.

    Parameters
    ----------
    probabilities : array [n, C] of float32 or float64, or a list of them
        Softmax outputs, of one model or of several (then the scores are averaged).
    labels : array [n] of int64 or int32, optional
        Classes. Without them the most probable class stands for the label.
    threads : int, optional
        Does not change the result.

    Returns
    -------
    array [n] of float64
        1 - (p_y - max_{c != y} p_c): in [0, 2] with labels, in [0, 1] without.

    Raises
    ------
    ValueError
        As `el2n`.

    Notes
    -----
    Margin sampling (Scheffer, Decomain and Wrobel 2001), turned so that uncertain and wrong samples score high.
    """
    return _mean_score("margin", probabilities, labels, threads)


def entropy(probabilities: Any, *, threads: int | None = None) -> Any:
    """Entropy of the predicted distribution, in nats; higher is more uncertain.

    Parameters
    ----------
    probabilities : array [n, C] of float32 or float64, or a list of them
        Softmax outputs, of one model or of several (then the scores are averaged).
    threads : int, optional
        Does not change the result.

    Returns
    -------
    array [n] of float64
        - sum_c p_c log p_c, in [0, log C]; 0 log 0 = 0.

    Raises
    ------
    ValueError
        As `el2n`.

    Notes
    -----
    Uncertainty sampling by entropy (Settles 2009).
    """
    return _mean_score("entropy", probabilities, None, threads)


def _mean_score(name: str, probabilities: Any, labels: Any, threads: int | None) -> Any:
    models = list(probabilities) if is_list_of_arrays(probabilities) else [probabilities]
    n_threads = arrays.as_threads(threads)
    classes = None if labels is None else label_view(labels)
    total: np.ndarray[Any, Any] | None = None
    shape: tuple[int, ...] = ()
    for model in models:
        view = arrays.as_view(
            model, "probabilities", ndim=2, dtypes=arrays.FLOAT_TYPES, convert_to="float64", strided_rows=True
        )
        shape = shape or view.shape
        if view.shape != shape:
            raise ValueError(f"probabilities of all models must have one shape, got {shape} and {view.shape}")
        with _invalid.naming("probabilities", functools.partial(_invalid.bad_probabilities, model)):
            score = _core.score_probabilities(name, view, classes, n_threads)
        total = score if total is None else total + score
    assert total is not None
    return arrays.like(total / len(models), models[0])
