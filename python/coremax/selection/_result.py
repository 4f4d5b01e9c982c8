"""What every selection returns, and what all of them check."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np

from .._inputs import arrays
from .._inputs import invalid as _invalid
from .._inputs.aliases import aliased
from .._inputs.keys import as_keys
from ..graph import Graph
from ..solver import Solution

Reals = np.ndarray[Any, np.dtype[np.float64]]
Integers = np.ndarray[Any, np.dtype[np.int64]]
Meaning = Literal["hard", "easy"]  # of a higher score
MEANINGS: tuple[Meaning, ...] = get_args(Meaning)
_EXACT = 2**53  # up to here float64 holds every whole number


@dataclass(frozen=True, eq=False, repr=False)
class Selection:
    """The samples to keep and how they were chosen.

    Attributes
    ----------
    indices : array [budget] of int64
        Numbers of the samples kept, ascending.
    n : int
        Size of the data set.
    method : str
        Name of the method.
    parameters : mapping of str to object
        The method's parameters as resolved ("auto" replaced by what it stood for).
    weights : array [budget] of float64 or None
        1 / inclusion probability where the method samples, else None.
    candidates : array of int64 or None
        Numbers of the samples that graph and solution speak of, where some were dropped beforehand; ascending.
    graph : Graph or None
        The neighbour graph of the candidates.
    solution : Solution or None
        The solver's answer, in numbers of the candidates.
    timings : mapping of str to float
        Seconds of each stage.
    diagnostics : mapping of str to float or None
        What the method tells of its draw, such as effective sample sizes.
    invalid : array of int64 or None
        Numbers of the samples that were left out as invalid (``invalid="drop"``); None where none was.
    inputs : mapping of str to object
        What the method was given and made of it, for `report`: embeddings, score, labels, texts, and of InfoMax importance and
        limits of the candidates. References, not copies: they keep the arrays alive, until
        ``dataclasses.replace(selection, inputs={})`` lets go of them. Copies and pickles have none.
    """

    indices: Any
    n: int
    method: str
    parameters: Mapping[str, Any]
    weights: Any = None
    candidates: Any = None
    graph: Graph | None = None
    solution: Solution | None = None
    timings: Mapping[str, float] | None = None
    diagnostics: Mapping[str, float] | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    invalid: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"inputs": {}}

    def mask(self, n: int | None = None) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return a boolean mask [n] that is true for the samples kept; n defaults to the size of the data set."""
        size = self.n if n is None else arrays.as_count(n, "n", self.n)
        mask = np.zeros(size, dtype=np.bool_)
        mask[arrays.as_numpy(self.indices)] = True
        return mask

    def __len__(self) -> int:
        return int(self.indices.shape[0])

    def __repr__(self) -> str:
        return f"Selection({self.method}: {len(self)} of {self.n})"

    def _repr_html_(self) -> str:
        from ..report.notebook import selection_html

        return selection_html(self)

    @aliased(importance="score")
    def report(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        embeddings: Any = None,
        score: Any = None,
        labels: Any = None,
        coordinates: Any = None,
        images: Any = None,
        texts: Any = None,
        ids: Any = None,
        title: str | None = None,
    ) -> str:
        """Write one page that shows what was kept, what was pruned, and why: everything inline, for any browser.

        What the selection was made from need not be passed again (`inputs`); what is passed takes its place. Parts that
        nothing is known about are left out.

        Parameters
        ----------
        path : path, optional
            HTML file to write, whole or not at all; an existing one is replaced.
        embeddings : array [n, d] of float32, float16, bfloat16, int8 or float64, optional
            For the map, the redundancy before and after, and near-duplicates where the selection has no graph.
        score : array [n] of float32 or float64, optional
            Importance of each sample.
        labels : array or column [n] of whole numbers or texts, optional
            Classes.
        coordinates : array [n, 2] of float32 or float64, optional
            Of the map, from t-SNE or UMAP, say. Default: the first two principal components of the embeddings.
        images : sequence [n], optional
            Arrays [h, w], [h, w, 1 | 3 | 4] or [1 | 3 | 4, h, w] (bytes, or floats in [0, 1]; other floats are scaled by their
            own range), PIL images, or paths; only the few that are shown are read.
        texts : column [n] of str, optional
            Shown by their beginnings.
        ids : column [n], optional
            What to call the samples, by the first 80 characters. Default: their numbers.
        title : str, optional
            Heading of the page.

        Returns
        -------
        str
            The path as given; the page where there is none.

        Raises
        ------
        ImportError
            Without jinja2 and matplotlib: ``pip install 'coremax[report]'``.
        ValueError, TypeError
            A wrong length, shape or type; NaN or infinity; an image that can not be read (the place is named).
        OSError
            Where the file can not be written; an existing one is then untouched.

        Notes
        -----
        The same selection and arguments give the same bytes on the same machine. The curve over the budget is solved for anew,
        with the alpha and the limits of this selection in proportion, by short searches from its subset and the linear bound.
        Of a selection that left out invalid samples the page shows the others alone, by their numbers among all.
        Redundancy is measured on a random sample of at most 2,000 rows, whose nearest neighbours are found by brute force; the
        map draws at most 20,000 points; groups of near-duplicates come from the most similar pairs of the graph (without one,
        of a graph of at most 20,000 random rows), joined from the most similar on, up to 24 samples in a group.

        Examples
        --------
        >>> import numpy as np
        >>> import coremax
        >>> rng = np.random.default_rng(0)
        >>> x, score = rng.normal(size=(100, 8)).astype(np.float32), rng.random(100)
        >>> page = coremax.infomax(x, score, 0.1).report(title="Ten of a hundred")
        >>> page[:15]
        '<!DOCTYPE html>'
        """
        from ..report import require_libraries

        require_libraries()
        from ..report.selection_page import Given, write_page

        given = Given(embeddings, score, labels, coordinates, images, texts, ids, title)
        if self.invalid is None:
            return write_page(self, given, path)
        from ._invalid import among_valid, take

        valid = np.setdiff1d(np.arange(self.n), self.invalid)
        columns = {name: take(column, valid) for name, column in vars(given).items() if column is not None and name != "title"}
        return write_page(among_valid(self, valid), replace(given, **{"ids": valid.tolist(), **columns}), path)


def as_scores(score: Any, name: str, exact: bool = False) -> np.ndarray[Any, Any]:
    """Check scores and bring them to float64; whole numbers that it can not tell apart stay as they are, or are refused."""
    score = arrays.as_array(score, name)
    arrays.as_view(score, name, ndim=1, dtypes=arrays.FLOAT_TYPES, convert_to="float64")
    given = arrays.as_numpy(score)
    whole = given.dtype.kind in "iu" and given.dtype.itemsize == 8
    beyond: Any = np.flatnonzero((given > _EXACT) | (given < -_EXACT)) if whole else ()
    if len(beyond) and exact:
        return given
    if len(beyond):
        raise ValueError(
            f"{name}[{beyond[0]}] is {given[beyond[0]]}: beyond 2^53 float64 can not tell whole numbers apart; "
            "subtract a constant, or pass their ranks"
        )
    scores = np.asarray(given, dtype=np.float64)
    _invalid.refuse(scores, ~np.isfinite(scores), name, "scores must be finite")
    return scores


def as_hardness(score: Any, higher: Meaning) -> tuple[Reals, Meaning]:
    """Check scores and turn them so that higher is harder; returns them and what `higher` says."""
    higher = arrays.as_choice(higher, "higher", MEANINGS)
    scores = as_scores(score, "score")
    if len(scores) == 0:
        raise ValueError("score is empty")
    return (scores if higher == "hard" else -scores), higher


def as_classes(labels: Any, n: int, of: str, name: str = "labels") -> tuple[Integers, int]:
    """Check labels and number the classes there are from 0, in the order of their labels; without labels there is one."""
    if labels is None:
        return np.zeros(n, dtype=np.int64), 1
    keys = as_keys(labels, name, n, of)
    return keys.codes, len(keys.present)


def normalized(scores: np.ndarray[Any, Any], how: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Scores in [0, 1]: linearly ("minmax"), by mean rank ("rank"), or as they are ("none"); constant ones become 0."""
    if how == "none":
        return scores
    if how == "rank":
        _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
        mean_rank = np.cumsum(counts) - (counts + 1) / 2
        return np.asarray(mean_rank[inverse] / max(len(scores) - 1, 1))
    low, high = scores.min(), scores.max()
    # Halved first, so that a range beyond the largest float64 does not overflow.
    width = high / 2 - low / 2
    return (scores / 2 - low / 2) / width if width > 0 else np.zeros_like(scores)
