"""The baselines that every method has to beat."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

import numpy as np

from .._inputs import arrays, order
from .._inputs.aliases import aliased
from ..sampling import sample
from ._invalid import CHOICES, Invalid, leaving_out_invalid
from ._result import Selection, as_scores


def random(n: Any, budget: int | float, *, seed: arrays.Seed = 0) -> Selection:
    """Keep samples at random: the baseline that every method has to beat.

    Parameters
    ----------
    n : int or sized
        Size of the data set, or anything that has it as its length.
    budget : int or float
        As `infomax`.
    seed : int, SeedSequence or Generator
        The same seed keeps nested subsets for growing budgets.

    Returns
    -------
    Selection
        With weights n / budget.
    """
    if isinstance(n, (str, bytes, bytearray, type, Mapping, Set)):  # whose length is not a number of samples
        raise TypeError(f"n must be an int or a data set that has a length, got a {type(n).__name__}")
    try:
        size = arrays.as_count(len(n) if hasattr(n, "__len__") else n, "n", 1, 2**40)
    except TypeError:
        raise TypeError(f"n must be an int or have a length, got a {type(n).__name__}") from None
    count = arrays.as_budget(budget, size)
    number = arrays.as_seed(seed)
    indices = np.sort(sample(np.ones(size, dtype=np.float32), count, seed=arrays.seed_of("random", number)))
    return Selection(
        indices=indices,
        n=size,
        method="random",
        parameters={"seed": number},
        weights=np.full(count, size / count),
        inputs={"embeddings": n if getattr(n, "ndim", 0) == 2 else None},
    )


@aliased(importance="score")
@leaving_out_invalid(lambda _: False)
def top(score: Any, budget: int | float, *, seed: arrays.Seed = 0, invalid: Invalid = "raise") -> Selection:
    """Keep the samples of highest score.

    Parameters
    ----------
    score : array [n] of float32 or float64
        Whole numbers are compared as they are, those beyond 2^53 too.
    budget : int or float
        As `infomax`.
    seed : int, SeedSequence or Generator
        Which of the samples tied at the cut are kept. The same seed keeps nested subsets for growing budgets.
    invalid : {"raise", "drop"}
        What to do with samples whose score is NaN or infinite: an error that names them, or leave them out. Then a warning,
        `Selection.invalid` and diagnostics["n_invalid"] say so; a fraction as budget is still one of all samples, and all else
        is as if the others were the data set.

    Returns
    -------
    Selection
        Indices in the library of score.

    Raises
    ------
    ValueError
        NaN or infinity in score; a wrong budget.
    """
    arrays.as_choice(invalid, "invalid", CHOICES)
    scores = as_scores(score, "score", exact=True)
    if len(scores) == 0:
        raise ValueError("score is empty")
    count = arrays.as_budget(budget, len(scores))
    number = arrays.as_seed(seed)
    indices = np.sort(order.ascending(scores, "top", number)[len(scores) - count :])
    return Selection(
        indices=arrays.like(indices, score), n=len(scores), method="top", parameters={"seed": number}, inputs={"score": score}
    )
