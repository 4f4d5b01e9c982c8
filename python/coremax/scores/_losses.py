"""Weights of samples by their loss."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np

from .._inputs import arrays
from .._inputs import invalid as _invalid

Strategy = Literal["linupper", "quadratic", "extremes"]
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)


def loss_weights(losses: Any, *, strategy: Strategy = "linupper", temperature: float = 1.0) -> Any:
    """Weights of the samples of a batch by their losses; they sum to one, and higher counts more.

    Parameters
    ----------
    losses : array [n] of float32 or float64 (half precision and whole numbers are converted)
        Of the whole batch: over several workers, of all of them.
    strategy : {"linupper", "quadratic", "extremes"}
        With h = (2 l - (l_max + l_min)) / (l_max - l_min), which is -1 for the least and 1 for the largest loss:
        "linupper" f = min(h + 1, 1) plays down what is learned already and caps outliers; "quadratic" f = 1 - h^2 plays down
        both ends; "extremes" f = |h| plays up both ends.
    temperature : float
        r > 0 of w = softmax(f / r): small is strict, large is uniform.

    Returns
    -------
    array [n] of float64
        Not negative, sum 1. Uniform where all losses are equal.

    Raises
    ------
    ValueError
        No loss, one that is not finite (its place is named), a strategy or a temperature that is none.

    Notes
    -----
    Sow et al., "Dynamic Loss-Based Sample Reweighting for Improved Large Language Model Pretraining", ICLR 2025.

    Examples
    --------
    >>> from coremax.scores import loss_weights
    >>> loss_weights([0.0, 1.0, 2.0, 4.0], temperature=0.5).round(3)
    array([0.054, 0.147, 0.399, 0.399])
    """
    strategy = arrays.as_choice(strategy, "strategy", STRATEGIES)
    temperature = arrays.as_real(temperature, "temperature", 1e-300)
    array = arrays.as_array(losses, "losses")
    arrays.as_view(array, "losses", ndim=1, dtypes=arrays.FLOAT_TYPES, convert_to="float64")
    values = np.asarray(arrays.as_numpy(array), dtype=np.float64)
    if values.size == 0:
        raise ValueError("losses is empty")
    _invalid.refuse(values, ~np.isfinite(values), "losses", "losses must be finite")
    return arrays.like(_softmax(_emphasis(_placed(values), strategy), temperature), array)


def _placed(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """From -1, the least, to 1, the largest; 0 where all are equal."""
    least, largest = values.min(), values.max()
    if least == largest:
        return np.zeros(len(values))
    # Halves first: the range of two finite numbers may not be finite.
    half = largest / 2 - least / 2
    return np.asarray(
        np.clip(2 * ((values / 2 - least / 2) / half) - 1 if half > 0 else np.sign(values - least) * 2 - 1, -1, 1)
    )


def _emphasis(h: np.ndarray[Any, Any], strategy: Strategy) -> np.ndarray[Any, Any]:
    if strategy == "linupper":
        return np.asarray(np.minimum(h + 1, 1))
    return np.asarray(1 - np.square(h) if strategy == "quadratic" else np.abs(h))


def _softmax(f: np.ndarray[Any, Any], temperature: float) -> np.ndarray[Any, Any]:
    with np.errstate(over="ignore", under="ignore"):  # a difference beyond float64 is a weight of zero beside the largest
        weights = np.exp((f - f.max()) / temperature)
    return np.asarray(weights / weights.sum())
