"""Arguments the scores have in common: embeddings, labels, one array or one per model, one per epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Set
from typing import Any

import numpy as np

from .. import _core
from .._inputs import arrays, refusals, texts
from .._inputs.keys import Keys, as_array, holds_texts


def embeddings(x: Any, name: str, as_view: Callable[..., Any] = arrays.as_view) -> tuple[_core.Array, Any]:
    """View of embeddings [n, d], not empty, and the array it is of; as_view is that of a device for arrays there."""
    array = arrays.as_array(x, name)
    view: _core.Array = as_view(array, name, ndim=2, dtypes=arrays.EMBEDDING_TYPES, convert_to="float32", strided_rows=True)
    if 0 in view.shape:
        raise ValueError(f"{name} is empty: its shape is {tuple(view.shape)}")
    return view, array


def predictions(rows: Any, name: str, as_view: Callable[..., Any] = arrays.as_view) -> _core.Array:
    """View of probabilities or logits [n, C], not empty; half precision is widened to float32."""
    view: _core.Array = as_view(rows, name, ndim=2, dtypes=arrays.FLOAT_TYPES, convert_to="float32", strided_rows=True)
    if 0 in view.shape:
        raise ValueError(f"{name} is empty: its shape is {tuple(view.shape)}")
    return view


def label_view(labels: Any, as_view: Callable[..., Any] = arrays.as_view) -> _core.Array:
    """View of labels [n] that number columns of predictions."""
    view: _core.Array = as_view(label_array(labels), "labels", ndim=1, dtypes=arrays.INDEX_TYPES, convert_to="int64")
    return view


def label_array(labels: Any) -> Any:
    """Labels that number columns of predictions as an array, which texts do not become.

    Raises
    ------
    TypeError
        Texts, or anything else that is no whole number.
    """
    texts.require_column(labels, "labels")
    if isinstance(labels, Keys) or holds_texts(labels, "labels"):
        raise TypeError(
            "labels must be int64 or int32, got texts: here they number the columns of the predictions, so pass the column of "
            "each class, such as numpy.searchsorted(classes, labels) where the columns are those of sorted classes"
        )
    return as_array(labels, "labels")


def of_models(obj: Any, name: str) -> tuple[list[Any], list[str]]:
    """One array, or a list with one array per model, as a list, and what to call them in messages."""
    if is_list_of_arrays(obj):
        return list(obj), [f"{name}[{m}]" for m in range(len(obj))]
    return [obj], [name]


def is_list_of_arrays(obj: Any) -> bool:
    """Whether this is a list of matrices, not one matrix given as a list."""
    return isinstance(obj, (list, tuple)) and len(obj) > 0 and all(len(getattr(model, "shape", ())) == 2 for model in obj)


def same_shape(view: _core.Array, name: str, shape: tuple[int, ...], of: str) -> None:
    """Raise where arrays that belong together differ in shape."""
    if view.shape != shape:
        raise ValueError(f"{name} must have the shape of {of}, {tuple(shape)}, got {tuple(view.shape)}")


class Epochs:
    """Walks over epochs; remembers how many there were and takes results to the library of the first."""

    def __init__(self, epochs: Any, name: str) -> None:
        refusals.refuse_unreadable(epochs, name)
        no_epochs = isinstance(epochs, (str, bytes, bytearray, type, Mapping, Set))
        if no_epochs or getattr(epochs, "ndim", 1) == 0 or not hasattr(epochs, "__iter__"):
            raise TypeError(f"{name} must be an array or an iterable with one array per epoch, got {type(epochs).__name__}")
        if isinstance(epochs, (np.ndarray, memoryview)) or arrays.is_column(epochs):  # a data frame would give its columns
            epochs = arrays.as_array(epochs, name)
        self._epochs = epochs
        self.name = name
        self.count = 0
        # Whatever makes its arrays as it is walked over may hand out one buffer again and again.
        self.refills = not isinstance(epochs, (list, tuple)) and not hasattr(epochs, "ndim")
        self._import: Callable[[np.ndarray[Any, Any]], Any] | None = None

    def __iter__(self) -> Iterator[tuple[Any, str]]:
        """Each epoch's array with its name in messages."""
        for epoch in self._epochs:
            if self._import is None:
                self._import = arrays.importer(epoch)
            self.count += 1
            yield epoch, f"{self.name}[{self.count - 1}]"

    def require(self, least: int, reason: str = "") -> None:
        """Raise where there were fewer epochs."""
        if self.count < least:
            raise ValueError(f"{self.name} must have at least {reason}{least} epochs, got {self.count}")

    def like(self, result: np.ndarray[Any, Any]) -> Any:
        """Hand a result over to the library of the epochs."""
        return self._import(result) if self._import else result
