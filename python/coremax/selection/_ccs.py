"""Coverage-centric selection: equal shares of all difficulties, without the very hardest."""

from __future__ import annotations

import time
from typing import Any, Literal

import numpy as np

from .._inputs import arrays, order
from .._inputs.aliases import aliased
from ..sampling import stratified
from ._infomax import auto_drop_hardest, n_hardest
from ._invalid import CHOICES, Invalid, leaving_out_invalid
from ._result import Integers, Meaning, Selection, as_hardness, normalized


@aliased(importance="score")
@leaving_out_invalid(lambda _: False)
def ccs(
    score: Any,
    budget: int | float,
    *,
    drop_hardest: float | Literal["auto"] = "auto",
    strata: int = 50,
    higher: Meaning = "hard",
    seed: arrays.Seed = 0,
    threads: int | None = None,
    invalid: Invalid = "raise",
) -> Selection:
    """Keep as many samples of each difficulty as of every other, after dropping the hardest (CCS).

    Parameters
    ----------
    score : array [n] of float32 or float64
        Difficulty, or ease, of each sample.
    budget : int or float
        As `coremax.infomax`.
    drop_hardest : float or "auto"
        Fraction beta of the samples, the hardest, that is left out beforehand (of those tied at the cut, any); never so many
        that fewer than budget are left, and none of the easiest score: where all scores are equal nothing is dropped. "auto":
        `auto_drop_hardest`, which is ours; the paper searches beta per pruning rate.
    strata : int
        Ranges of equal width that the scores left are cut into.
    higher : {"hard", "easy"}
        What a higher score means: "hard" for EL2N, margin, entropy; "easy" for AUM and SIM.
    seed : int, SeedSequence or Generator
        Of the draws within strata and of the order of ties.
    threads : int, optional
        Does not change the result.
    invalid : {"raise", "drop"}
        What to do with samples whose score is NaN or infinite: an error that names them, or leave them out. Then a warning,
        `Selection.invalid` and diagnostics["n_invalid"] say so; a fraction as budget is still one of all samples, and all else
        is as if the others were the data set.

    Returns
    -------
    Selection
        Indices in the library of score; weights are the size of a sample's stratum over the number drawn from it, and speak
        of the samples that were not dropped.

    Raises
    ------
    ValueError, TypeError
        NaN or infinity in score (the place is named), an empty score, an argument out of range.

    Notes
    -----
    Zheng, Liu, Lai and Prakash, "Coverage-centric coreset selection for high pruning rates", ICLR 2023, algorithm 1: strata
    are visited from the smallest to the largest (ties in random order); of R strata still to visit and m samples still to
    keep, a stratum gives min(its size, floor(m / R)). Written from the paper. O(n log n).

    Examples
    --------
    >>> import numpy as np
    >>> from coremax.selection import ccs
    >>> score = np.r_[np.linspace(0, 0.1, 90), np.linspace(0.9, 1, 10)]
    >>> kept = ccs(score, 20, drop_hardest=0, strata=2).indices
    >>> len(kept), int((kept >= 90).sum())
    (20, 10)
    """
    arrays.as_choice(invalid, "invalid", CHOICES)
    start = time.perf_counter()
    hardness, higher = as_hardness(score, higher)
    n, n_strata = len(hardness), arrays.as_count(strata, "strata", 1, 2**31 - 1)
    count = arrays.as_budget(budget, n)
    number = arrays.as_seed(seed)
    asked = arrays.as_real_or_auto(drop_hardest, "drop_hardest", 0.0, 1.0)
    beta = auto_drop_hardest(count / n) if asked is None else asked

    n_left = max(n - int(n_hardest(beta, n)), count, int(np.count_nonzero(hardness == hardness.min())))
    left = np.sort(order.ascending(hardness, "drop_hardest", number)[:n_left])
    stratum = np.minimum((normalized(hardness[left], "minmax") * n_strata).astype(np.int64), n_strata - 1)
    present, place, sizes = np.unique(stratum, return_inverse=True, return_counts=True)
    quotas = _quotas(sizes, count, number)
    chosen = stratified(place, count, quotas=quotas.astype(np.float64), seed=arrays.seed_of("ccs", number), threads=threads)
    return Selection(
        indices=arrays.like(left[chosen], score),
        n=n,
        method="ccs",
        parameters={"drop_hardest": beta, "strata": n_strata, "higher": higher, "seed": number},
        weights=(sizes / np.maximum(quotas, 1))[place[chosen]],
        candidates=left,
        timings={"select": time.perf_counter() - start},
        diagnostics={"strata_present": len(present)},
        inputs={"score": score},
    )


def _quotas(sizes: Integers, budget: int, seed: int) -> Integers:
    """How many each stratum gives; empty strata, which give none and are visited first, may be left out."""
    quotas = np.zeros_like(sizes)
    for visited, place in enumerate(order.ascending(sizes, "strata", seed)):
        quotas[place] = min(sizes[place], budget // (len(sizes) - visited))
        budget -= quotas[place]
    return quotas
