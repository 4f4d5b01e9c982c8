"""scikit-learn's side of selection: an estimator that selects samples."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ._inputs import arrays, checks, refusals
from ._inputs.aliases import either
from ._inputs.keys import as_keys
from ._inputs.texts import as_texts, is_text
from .selection import Selection, registry
from .selection._result import as_scores

try:
    from sklearn.base import BaseEstimator
    from sklearn.utils import _safe_indexing, check_consistent_length, check_random_state
    from sklearn.utils.multiclass import type_of_target
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise ImportError('coremax.sklearn needs scikit-learn 1.6 or later: pip install "coremax[sklearn]"') from error

__all__ = ["CoresetSelector"]


class CoresetSelector(BaseEstimator):  # type: ignore[misc]
    """Select the samples that are worth training on, in scikit-learn's way.

    It selects **samples, not features**: `get_support` is a mask over the rows of X, and there is no `transform`, since a step
    of scikit-learn's `Pipeline` must not change the number of samples. `fit_resample` returns the rows kept; imbalanced-learn's
    `Pipeline` calls it while fitting, and leaves the step out while predicting; it hands no score on.

    Parameters
    ----------
    budget : int or float
        Samples to keep, or the fraction in (0, 1], as of `coremax.infomax`.
    method : {"infomax", "sims", "ccs", "d2", "moderate", "semdedup", "top", "random"}
        A function of `coremax.selection`.
    options : dict, optional
        Further arguments of that function, such as ``{"alpha": 0.3, "metric": "euclidean"}``.
    random_state : int, RandomState or None
        Seed of the method's random part; None takes a new one in each fit.

    Attributes
    ----------
    selection_ : Selection
        What the method returned: solution, graph, timings, weights.
    support_ : array [n] of bool
        True for the samples kept.
    sample_indices_ : array of int64
        Numbers of the samples kept, ascending.
    n_features_in_ : int
        Columns of the X of `fit`.
    feature_names_in_ : array of str
        Their names, where X has names.

    Notes
    -----
    Classes are taken from y where it is a classification target (numbers, booleans or text) and the method knows labels; a
    continuous y is not looked at. Without a score all samples count alike: "infomax" draws at random and keeps similar samples
    apart (with ``options={"target": "score"}`` it keeps the least redundant ones instead), and "d2" goes by the neighbours
    alone. X may be float32 or float64; anything else that is dense becomes float32, as scikit-learn has it.

    Examples
    --------
    >>> import numpy as np
    >>> from coremax.sklearn import CoresetSelector
    >>> x = np.array([[0.0, 1.0], [0.0, 2.0], [1.0, 0.0], [1.0, 0.1]])
    >>> selector = CoresetSelector(budget=2, options={"alpha": 2.0, "target": "score", "k": 1})
    >>> selector.fit(x, importance=[0.9, 1.0, 0.7, 0.6]).get_support()
    array([False,  True,  True, False])
    """

    def __init__(
        self,
        budget: int | float = 0.1,
        *,
        method: registry.Method = "infomax",
        options: Mapping[str, Any] | None = None,
        random_state: Any = 0,
    ) -> None:
        self.budget = budget
        self.method = method
        self.options = options
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, importance: Any = None, score: Any = None) -> CoresetSelector:  # noqa: N803
        """Select.

        Parameters
        ----------
        X : array-like [n, d]
            Embeddings.
        y : array-like [n], optional
            Targets.
        importance : array-like [n], optional
            Score of each sample, such as its importance or difficulty, as the method wants it.
        score : array-like [n], optional
            Another name of importance.

        Returns
        -------
        CoresetSelector
            Itself.

        Raises
        ------
        ValueError, TypeError
            As scikit-learn for X and y, as the method for everything else.
        """
        called = "score" if importance is None else "importance"
        score = either(importance, score, "importance", "score")
        wants_score = registry.needs(self.method, "score")
        X, y = _readable(X, "X"), None if y is None else _readable(y, "y")  # noqa: N806
        if y is not None:
            if is_text(y):
                texts = as_texts(y, "y")  # scikit-learn would give each the room of the longest
                y = np.empty(len(texts), object)
                y[:] = texts
            with _named("y"):
                y = validate_data(self, y=y)  # first, since it forgets the names of X's columns
        with _named("X"):
            x = validate_data(self, X, dtype=[np.float32, np.float64], order="C")
        check_consistent_length(x, y)
        if score is not None:
            as_scores(score, called)  # which has another name in the methods
        if wants_score and score is None and registry.needs(self.method, "x"):
            score = np.ones(len(x))  # of zeros d2 would know nothing but their order
        with _named("y"):
            classes = _classes(y)
        seed = self.random_state
        if not isinstance(seed, (int, np.integer)) or isinstance(seed, bool):
            seed = _drawn_seed(seed)
        data = {"n": len(x), "x": x, "score": score}
        self.selection_: Selection = registry.choose(self.method, self.budget, data, classes, int(seed), self.options or {})
        self.support_ = self.selection_.mask()
        self.sample_indices_ = np.asarray(self.selection_.indices)
        return self

    def get_support(self, indices: bool = False) -> np.ndarray[Any, Any]:
        """Return which **samples** of the X of `fit` are kept.

        Parameters
        ----------
        indices : bool
            Their numbers, ascending, instead of a mask.

        Returns
        -------
        array [n] of bool, or array of int64
        """
        check_is_fitted(self)
        return np.array(self.sample_indices_ if checks.as_flag(indices, "indices") else self.support_)

    def fit_resample(
        self,
        X: Any,  # noqa: N803
        y: Any = None,
        importance: Any = None,
        score: Any = None,
    ) -> tuple[Any, Any]:
        """Select, and return the samples kept.

        Parameters
        ----------
        X, y, importance, score
            As of `fit`.

        Returns
        -------
        tuple
            X and y of the samples kept, of the types given (data frames stay data frames); y is None where it was.
        """
        kept = self.fit(X, y, importance, score).sample_indices_
        with _named("X"):
            rows = _safe_indexing(X, kept)
        with _named("y"):
            return rows, None if y is None else _rows(y, kept)


def _readable(given: Any, name: str) -> Any:
    """What scikit-learn reads as it is meant, of any library; it would read masks, gradients and records as something else."""
    refusals.refuse_unreadable(given, name)
    refusals.refuse_no_array(given, name)
    if getattr(getattr(given, "dtype", None), "kind", "") in "VmM" and isinstance(given, np.ndarray) and given.dtype.num < 256:
        raise TypeError(f"{name} must be an array of numbers, got {given.dtype}")
    if name == "X" and arrays.is_column(given) and type(given).__name__ != "DataFrame":
        return arrays.as_array(given, name)
    if hasattr(given, "__dlpack__") and not isinstance(given, np.ndarray) and not arrays.is_column(given):
        with _named(name):
            return arrays.as_numpy(arrays.as_array(given, name))
    return arrays.as_array(given, name) if arrays.holds_arrays(given) else given


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Errors of scikit-learn and of what it calls, with the argument's name where they have none."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        if isinstance(error, (TypeError, ValueError)) and re.search(rf"\b{name}\b", str(error)):
            raise
        kind = type(error) if type(error) in (TypeError, ValueError) else TypeError
        hint = f" Of images or the like make rows: {name}.reshape(len({name}), -1)." if "array with dim" in str(error) else ""
        raise kind(f"{name} can not be used: {error}{hint}") from None


def _rows(y: Any, kept: np.ndarray[Any, Any]) -> Any:
    """Some rows of a column, of those kinds as well that scikit-learn's function does not know."""
    if isinstance(y, Sequence):
        return [y[row] for row in kept.tolist()]
    try:
        return _safe_indexing(y, kept)
    except TypeError:  # an index of pandas
        return y[kept]
    except NotImplementedError:  # a type of text that Arrow can not take rows of
        return sys.modules["pyarrow"].array([y[row].as_py() for row in kept.tolist()], y.type)


def _drawn_seed(random_state: Any) -> int:
    """A seed from what is no int."""
    try:
        if isinstance(random_state, (bool, np.bool_)):
            raise ValueError  # scikit-learn would take it for 0 or 1
        return int(check_random_state(random_state).randint(2**31 - 1))
    except ValueError:
        raise ValueError(f"random_state must be an int, a RandomState or None, got {random_state!r}") from None


def _classes(y: Any) -> Any:
    """Classes numbered from 0, or None where y is no classification target."""
    kind = None if y is None else type_of_target(y)
    if kind == "unknown":  # an array of Python objects that are not text
        raise ValueError("Unknown label type: y holds objects that are no text: pass numbers or text, as by y.astype(int)")
    if kind not in ("binary", "multiclass"):
        return None
    y = np.asarray(y)
    return np.unique(y, return_inverse=True)[1].reshape(-1) if y.dtype.kind in "iufb" else as_keys(y, "y").codes
