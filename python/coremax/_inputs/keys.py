"""Keys of samples, such as labels, groups and strata: whole numbers or texts, numbered from 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _arrays
from . import texts


@dataclass(frozen=True, eq=False)
class Keys:
    """Keys of n samples, numbered.

    Attributes
    ----------
    codes : array [n] of int64
        The number of each sample's key.
    present : array [m] of int64, or list [m] of str
        The keys there are, ascending: those of number 0, 1, ...
    """

    codes: NDArray[np.int64]
    present: NDArray[np.int64] | list[str]

    @property
    def values(self) -> list[Any]:
        """The keys there are as Python objects, ascending."""
        return self.present if isinstance(self.present, list) else list(self.present.tolist())

    @property
    def sizes(self) -> NDArray[np.int64]:
        """How many samples have each key [m]."""
        return np.bincount(self.codes, minlength=len(self.present))


def as_keys(column: Any, name: str, n: int | None = None, of: str = "x") -> Keys:
    """Check keys and number them.

    Parameters
    ----------
    column : array or column [n] of whole numbers or of texts
        Any array library, lists, columns of pandas, Polars and Arrow; texts as `texts.as_texts` takes them.
    name, n, of
        The argument's name, and how many elements the argument `of` has, for messages.

    Raises
    ------
    TypeError
        Neither whole numbers nor texts, or a mixture.
    ValueError
        Another dimension or length, or a null; the place is named.

    Notes
    -----
    Texts are in the order of their code points. O(n log n), without an array of fixed width.
    """
    if texts.is_text(column):
        given = texts.as_texts(column, name, n, of)
        present = sorted(set(given))
        number = dict(zip(present, range(len(present)), strict=True))
        return Keys(np.fromiter(map(number.__getitem__, given), np.int64, len(given)), present)
    array = _arrays.as_array(column, name)
    view = _arrays.as_view(array, name, ndim=1, dtypes=_arrays.INDEX_TYPES, convert_to="int64")
    if n is not None:
        _arrays.require_length(view.shape[0], name, n, of)
    found, codes = np.unique(np.asarray(_arrays.as_numpy(array)), return_inverse=True)
    return Keys(codes.reshape(-1).astype(np.int64, copy=False), found)
