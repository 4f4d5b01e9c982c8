"""SIM: separability, integrity and model uncertainty in one score."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Mapping, Set
from typing import Any

import numpy as np

from .. import _core
from .._inputs import arrays as _arrays
from .._inputs import checks, devices
from .._inputs import invalid as _invalid
from .._inputs.keys import Keys, as_keys, is_bool
from .._inputs.texts import is_text
from . import _inputs

# Norms of vectors that were scaled to length one differ by rounding alone. Where the norms' percentiles are no further apart
# than this many unit roundoffs of the embeddings' type, what is that near to them counts as equal; real norms vary by percents.
_ROUNDOFFS = 8
_ROUNDOFF = {"float64": 2.0**-53, "float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8, "int8": 0.0}


def sim(
    embeddings: Any,
    labels: Any,
    probabilities: Any = None,
    *,
    epsilon: float = 1e-6,
    log: bool = True,
    percentiles: tuple[float, float] = (1.0, 99.0),
    rescale: bool = True,
    threads: int | None = None,
    isa: str | None = None,
) -> Any:
    """SIM, how clearly a sample belongs to its class in the eyes of several models; higher is easier and cleaner.

    Parameters
    ----------
    embeddings : array [n, d] of float32, float16, bfloat16, int8 or float64, or a list of them
        Features of one model or of several (d may differ). They are read as they are: no copy is made.
    labels : array or column [n] of whole numbers, booleans or texts
        Classes, >= 0. Where probabilities are given they are whole numbers, those of their columns, below C. Classes without
        samples play no part.
    probabilities : array [n, C] of float32 or float64, or a list of them, optional
        Softmax outputs of the K experts whose agreement is measured. None or one array: all agree.
    epsilon : float
        From 1e-12 to 1, added to the distance to the own centre: beyond the float32 rounding of distances, it bounds what a
        sample on its centre can reach.
    log : bool
        Take the logarithm of separability before it is scaled, since its right tail is heavy.
    percentiles : (float, float)
        What separability and norms are scaled to [0, 1] between.
    rescale : bool
        Scale the result to [0, 1] by its least and largest value.
    threads : int, optional
        Does not change the result.
    isa : str, optional
        Instruction-set level; does not change the result.

    Returns
    -------
    array [n] of float64
        In [0, 1], in the library of the (first) embeddings.

    Raises
    ------
    ValueError
        Embeddings that are not finite, rows that are no probabilities, a label out of range (the place is named), arrays whose
        lengths differ.

    Notes
    -----
    SIM as described by Grosz et al., "Data Pruning via Separability, Integrity, and Model Uncertainty-Aware Importance
    Sampling", ICPR 2024. Constants, scaling and the way the parts are joined are not public to us, so they are ours:

    - d_P = 1 - cos(f_i, w_y), d_N = the least 1 - cos(f_i, w_c) over other classes c, w_c the mean of the unit embeddings of
      class c. Separability is d_N / (d_P + epsilon), in logarithm (of at least epsilon).
    - Integrity is the norm ||f_i||.
    - Agreement is c = 1 - JSD(h_1, ..., h_K) / log min(K, C), the Jensen-Shannon divergence H(mean h) - mean H(h) of the
      experts' distributions, each scaled to sum 1.
    - For each model separability and norm are scaled to [0, 1] between the two percentiles (linear interpolation, clipped);
      SIM = c * (mean over models of separability * norm), scaled to [0, 1].

    Where nothing can be told apart, the answer is neutral. One class: d_N = 2. One model or one class: c = 1. Scaling values
    that are all equal: 1/2 for all; percentiles that are equal: 0 below, 1/2 at them, 1 above. Norms that differ by less than
    8 unit roundoffs of the embeddings' type (they were scaled to length one) count as equal, and distances to a centre below
    8 unit roundoffs of float32 as 0. A zero embedding is at distance 1
    from every centre, and so is everything from a centre whose members cancel. The only member of a class is its own centre.

    Where the arrays are on a CUDA device, all of them, the work is done there, in the stream that the library of the embeddings
    is using, and waited for; the bits are those of the CPU. threads means nothing there, and an isa is refused.

    Two passes over each model's embeddings and one over the probabilities: time O(M n d C + K n C), memory O(n + C d) beside
    the input. Cosines are canonical float32 products, so the result is the same bits on every machine.

    Examples
    --------
    >>> import numpy as np
    >>> from coremax.scores import sim
    >>> x = np.array([[2.0, 0.0], [2.0, 0.1], [0.0, 1.0], [0.5, 1.0]])
    >>> sim(x, np.array([0, 0, 1, 1])).round(2)
    array([1.  , 0.99, 0.  , 0.  ])
    """
    log, rescale = checks.as_flag(log, "log"), checks.as_flag(rescale, "rescale")
    low, high = _limits(percentiles)
    epsilon = _arrays.as_real(epsilon, "epsilon", 1e-12, 1.0)
    models, names = _inputs.of_models(embeddings, "embeddings")
    panel, panel_names = ([], []) if probabilities is None else _inputs.of_models(probabilities, "probabilities")
    if not panel and (isinstance(labels, Keys) or is_text(labels) or is_bool(labels)):
        labels = as_keys(labels, "labels").codes  # without predictions there are no columns that labels have to number
    places = dict(zip([*names, "labels", *panel_names], [*models, labels, *panel], strict=True))
    call = devices.device_of_arrays(**places)
    as_view = call.view if call else _arrays.as_view
    views, arrays = zip(*(_inputs.embeddings(*model, as_view) for model in zip(models, names, strict=True)), strict=True)
    n = views[0].shape[0]
    for view, name in zip(views, names, strict=True):
        _same_rows(view, name, n, names[0])
    experts = [_inputs.predictions(*expert, as_view) for expert in zip(panel, panel_names, strict=True)]
    for view, name in zip(experts, panel_names, strict=True):
        _same_rows(view, name, n, names[0])
        _inputs.same_shape(view, name, experts[0].shape, panel_names[0])
    array = _inputs.label_array(labels)
    label_view = _inputs.label_view(array, as_view)
    if label_view.shape[0] != n:
        raise ValueError(f"labels has {label_view.shape[0]} elements, but {names[0]} has {n} rows")
    tolerances = [_ROUNDOFFS * _ROUNDOFF[view.dtype] for view in views]
    if call:
        if isa is not None:
            raise ValueError(f"isa names a level of the CPU, got {isa!r}: {names[0]} is on {call.name}")
        out = call.empty((n,), "float64", like=arrays[0])
        given = (views, names, tolerances, label_view, experts, panel_names)
        devices.extension().sim(*given, epsilon, log, low, high, rescale, call.output(out), call.place)
        return call.handed_over(out, like=arrays[0])
    level, n_threads = _arrays.resolve_isa(isa), _arrays.as_threads(threads)
    dense, n_labels = _dense_labels(array, experts[0].shape[1] if experts else None)
    total = np.zeros(n)
    for view, given_x, name, tolerance in zip(views, arrays, names, tolerances, strict=True):
        with _invalid.naming(name, functools.partial(_invalid.bad_rows, given_x)):
            separability, norm = _core.separability(view, name, dense, n_labels, epsilon, log, level, n_threads)
        total += _scaled(separability, low, high) * _scaled(norm, low, high, tolerance)
    total /= len(views)
    if experts:
        with contextlib.ExitStack() as stack:
            for expert, name in zip(panel, panel_names, strict=True):
                stack.enter_context(_invalid.naming(name, functools.partial(_invalid.bad_probabilities, expert)))
            total *= _core.agreement(experts, panel_names, level, n_threads)
    return _arrays.like(_scaled(total, 0.0, 100.0) if rescale else total, arrays[0])


def _scaled(values: np.ndarray[Any, Any], low: float, high: float, tolerance: float = 0.0) -> np.ndarray[Any, Any]:
    return _core.robust_scale(_core.import_array(values, "values"), low, high, tolerance)


def _limits(percentiles: Any) -> tuple[float, float]:
    try:
        if isinstance(percentiles, (str, Mapping, Set)):  # whose parts are no numbers, or in no order
            raise TypeError
        low, high = percentiles
    except (TypeError, ValueError):
        raise TypeError(f"percentiles must be two numbers, got {percentiles!r}") from None
    low, high = _arrays.as_real(low, "percentiles[0]", 0.0, 100.0), _arrays.as_real(high, "percentiles[1]", 0.0, 100.0)
    if low > high:
        raise ValueError(f"percentiles must ascend, got {percentiles!r}")
    return low, high


def _same_rows(view: _core.Array, name: str, n: int, of: str) -> None:
    if view.shape[0] != n:
        raise ValueError(f"{name} has {view.shape[0]} rows, but {of} has {n}")


def _dense_labels(array: Any, n_classes: int | None) -> tuple[_core.Array, int]:
    """Labels renumbered so that every class from 0 has members: int32 and the number of classes."""
    given = np.asarray(array if isinstance(array, np.ndarray) else np.from_dlpack(array))
    if given.min() < 0 or (n_classes is not None and given.max() >= n_classes):
        wrong = int(np.flatnonzero((given < 0) | (given >= (n_classes or np.inf)))[0])
        rule = "labels must not be negative" if n_classes is None else f"probabilities has classes 0 to {n_classes - 1}"
        raise ValueError(f"labels[{wrong}] is {given[wrong]}, but {rule}")
    if given.max() < 4 * len(given) + 1024:
        counts = np.bincount(given.astype(np.int64, copy=False))
        dense = (np.cumsum(counts > 0) - 1).astype(np.int32)[given]
        return _core.import_array(dense, "labels"), int((counts > 0).sum())
    found, inverse = np.unique(given, return_inverse=True)
    return _core.import_array(inverse.reshape(-1).astype(np.int32), "labels"), len(found)
