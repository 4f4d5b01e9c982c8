"""SIMS: importance sampling towards a difficulty that moves with how much is pruned."""

from __future__ import annotations

import time
from typing import Any, Literal, get_args

import numpy as np

from .._inputs import arrays
from .._inputs.aliases import aliased
from ..sampling import inclusion_probabilities, sample, stratified
from ..sampling._sampling import _arrived_by
from ._invalid import CHOICES, Invalid, leaving_out_invalid
from ._result import Integers, Meaning, Reals, Selection, as_classes, as_hardness, normalized

Scale = Literal["rank", "percentile", "minmax"]
SCALES: tuple[Scale, ...] = get_args(Scale)
TARGET_MEANS = (0.2, 0.6)  # nothing pruned, everything pruned; see Notes of `sims`
_LOG_RANGE = 600.0  # weights below e^-600 of the largest count as that: no probability of inclusion vanishes


@aliased(importance="score")
@leaving_out_invalid(lambda _: False)
def sims(
    score: Any,
    budget: int | float,
    *,
    labels: Any = None,
    class_fraction: float = 0.5,
    target_mean: float | tuple[float, float] | Literal["auto"] = "auto",
    target_std: float = 0.3,
    cap: float | None = 10.0,
    bins: int = 50,
    density_floor: float = 0.01,
    scale: Scale = "rank",
    higher: Meaning = "easy",
    seed: arrays.Seed = 0,
    threads: int | None = None,
    invalid: Invalid = "raise",
) -> Selection:
    """Draw samples around a target difficulty, easier the more is pruned, partly class by class (SIMS).

    Parameters
    ----------
    score : array [n] of float32 or float64
        Ease, or difficulty, of each sample: `coremax.scores.sim`, or any other score.
    budget : int or float
        As `coremax.infomax`.
    labels : array or column [n] of whole numbers or texts, optional
        Classes. Without them all are drawn from together.
    class_fraction : float
        Share of the budget, in [0, 1], that is drawn class by class in proportion to the classes' sizes (largest remainder);
        the rest is drawn from all that are left. Where there is no rest (class_fraction=1, or a budget of 1) a class too small
        for a place of its own is never drawn from, and the weights stand for the other classes only.
    target_mean : float, (float, float) or "auto"
        Mean of the target over ease scaled to [0, 1]; a pair is the mean where nothing and where everything is pruned, and
        moves in proportion to the fraction pruned. "auto": (0.2, 0.6).
    target_std : float
        Standard deviation of the target, above 0.
    cap : float or None
        Most a sample's weight may be, in units of the mean weight, at least 1; None for no cap.
    bins : int
        Of the histogram that the density of scores is taken from, of equal width over [0, 1].
    density_floor : float
        Least density that a weight is divided by, above 0; the uniform density is 1.
    scale : {"rank", "percentile", "minmax"}
        How ease is brought to [0, 1]: by rank (ties share their mean rank), linearly between its 1st and 99th percentile
        (what lies beyond is clipped), or between its ends. Constant ease becomes 0.
    higher : {"easy", "hard"}
        What a higher score means: "easy" for SIM and AUM, **"hard" for EL2N, margin and entropy**.
    seed : int, SeedSequence or Generator
        Of the draws.
    threads : int, optional
        Does not change the result.
    invalid : {"raise", "drop"}
        What to do with samples whose score is NaN or infinite: an error that names them, or leave them out. Then a warning,
        `Selection.invalid` and diagnostics["n_invalid"] say so; a fraction as budget is still one of all samples, and all else
        is as if the others were the data set.

    Returns
    -------
    Selection
        Indices in the library of score; weights are 1 / inclusion probability. Diagnostics: `effective_sample_size`,
        (sum w)^2 / sum w^2 of the weights that are drawn by, `uncapped_effective_sample_size`, what it were without a cap, and
        `weighted_effective_sample_size`, the same of `weights`: as many samples as the kept ones are worth where they are
        weighted to stand for all.

    Raises
    ------
    ValueError, TypeError
        NaN or infinity in score (the place is named), an empty score, labels of another length, an argument out of range.

    Notes
    -----
    As described by Grosz et al., "Data pruning via separability, integrity, and model uncertainty-aware importance sampling",
    ICPR 2024 (arXiv 2409.13915): a target whose mean moves with the pruning ratio, and draws partly by class. **The paper's
    constants and density are not public to us: every constant here is ours**, and all are arguments.

    With r the fraction pruned, q = Normal(mean(r), std) and p the floored density of ease, samples weigh w = q / p, divided by
    its mean and capped; exactly the budget is drawn without replacement (`coremax.sample`). The cap is there since q / p
    explodes where the target lies in the tail of the scores: keeping 45,000 of 50,000 normal scores with
    scale="minmax", weights are worth some 1,000 samples, all the others being drawn for want of better (scale="rank": 27,800).

    Inclusion probabilities are Rosen's approximation for each of the two draws (`coremax.sampling.inclusion_probabilities`),
    joined as 1 - (1 - first)(1 - second), the second given what the first has left: ours. O(n log n).

    Mean and standard deviation of the target, and the scale by rank, were chosen on validation parts of several data sets,
    clean, long-tailed and with a fifth of the labels wrong, so that draws are not worse than random ones on any: hard samples
    are worth more where labels are right, but the hardest are the mislabelled, which a score alone can not tell apart. **Where
    labels are right** and a tenth or more is kept, target_mean=(0, 0.3) is better; docs/evidence.md has the tables. Where there
    are embeddings and labels, `coremax.infomax` is better than either.

    Examples
    --------
    >>> import numpy as np
    >>> from coremax.selection import sims
    >>> score = np.linspace(0, 1, 1000)
    >>> few, many = sims(score, 0.05, target_mean=(0.2, 0.8)), sims(score, 0.9, target_mean=(0.2, 0.8))
    >>> bool(score[few.indices].mean() > 0.6 > 0.5 > score[many.indices].mean())
    True
    """
    arrays.as_choice(invalid, "invalid", CHOICES)
    start = time.perf_counter()
    hardness, higher = as_hardness(score, higher)
    n = len(hardness)
    count = arrays.as_budget(budget, n)
    class_fraction = arrays.as_real(class_fraction, "class_fraction", 0.0, 1.0)
    mean = _target_mean(target_mean, 1 - count / n)
    std = arrays.as_real(target_std, "target_std", 1e-6)
    limit = None if cap is None else arrays.as_real(cap, "cap", 1.0)
    n_bins = arrays.as_count(bins, "bins", 1, 2**24)
    floor = arrays.as_real(density_floor, "density_floor", 1e-300)
    scale = arrays.as_choice(scale, "scale", SCALES)
    place, n_classes = as_classes(labels, n, "score")
    number = arrays.as_seed(seed)
    seeds = np.random.SeedSequence(number).spawn(2)

    ease = _scaled(-hardness, scale)
    uncapped = _log_weights(ease, mean, std, n_bins, floor)
    log_weights = uncapped if limit is None else np.minimum(uncapped, np.log(limit))
    log_weights = np.maximum(log_weights, log_weights.max() - _LOG_RANGE)
    n_by_class = 0 if labels is None else int(np.floor(class_fraction * count + 0.5))
    first = stratified(place, n_by_class, weights=log_weights, log_weights=True, seed=seeds[0], threads=threads)
    left = np.setdiff1d(np.arange(n), first, assume_unique=True)
    n_left = count - n_by_class
    second = left[sample(log_weights[left], n_left, log_weights=True, seed=seeds[1], threads=threads)] if n_left else left[:0]
    kept = np.sort(np.concatenate([first, second]))
    drawn = _first_probabilities(log_weights, place, np.bincount(place[first], minlength=n_classes))
    drawn += (1 - drawn) * _second_probabilities(log_weights, left, n_left)
    weights = 1 / drawn[kept]
    return Selection(
        indices=arrays.like(kept, score),
        n=n,
        method="sims",
        parameters={
            "class_fraction": class_fraction if labels is not None else 0.0, "target_mean": mean, "target_std": std,
            "cap": limit, "bins": n_bins, "density_floor": floor, "scale": scale, "higher": higher,
            "seed": number,
        },
        weights=weights,
        timings={"select": time.perf_counter() - start},
        diagnostics={
            "effective_sample_size": _effective_size(log_weights),
            "uncapped_effective_sample_size": _effective_size(uncapped),
            "weighted_effective_sample_size": _effective_size(np.log(weights)),
        },
        inputs={"score": score, "labels": labels},
    )  # fmt: skip


def _target_mean(given: Any, pruned: float) -> float:
    """The target's mean for the fraction pruned."""
    if isinstance(given, str):
        arrays.as_choice(given, "target_mean", ("auto",))
        given = TARGET_MEANS
    if isinstance(given, tuple) and len(given) == 2:
        low, high = (arrays.as_real(end, "target_mean", -10.0, 10.0) for end in given)
        return low + (high - low) * pruned
    return arrays.as_real(given, "target_mean", -10.0, 10.0)


def _scaled(ease: Reals, scale: Scale) -> Reals:
    if scale == "percentile":
        low, high = np.sort(ease)[[int(0.01 * (len(ease) - 1)), int(np.ceil(0.99 * (len(ease) - 1)))]]
        ease = np.clip(ease, low, high)
    return normalized(ease, "rank" if scale == "rank" else "minmax")


def _log_weights(ease: Reals, mean: float, std: float, bins: int, floor: float) -> Reals:
    """Logarithms of q / p, of mean weight one."""
    bin_of = np.minimum((ease * bins).astype(np.int64), bins - 1)
    density = np.maximum(np.bincount(bin_of, minlength=bins) * (bins / len(ease)), floor)
    logs = -0.5 * ((ease - mean) / std) ** 2 - np.log(density)[bin_of]
    return np.asarray(logs - _log_sum(logs) + np.log(len(logs)))


def _log_sum(logs: Reals) -> float:
    largest = float(logs.max())
    with np.errstate(under="ignore"):
        return largest + float(np.log(np.exp(logs - largest).sum()))


def _effective_size(log_weights: Reals) -> float:
    """(sum w)^2 / sum w^2."""
    return float(np.exp(2 * _log_sum(log_weights) - _log_sum(2 * log_weights)))


def _first_probabilities(log_weights: Reals, place: Integers, quotas: Integers) -> Reals:
    """Of each sample to be among its class's draws."""
    result = np.zeros(len(place))
    order = np.argsort(place, kind="stable")
    for members, quota in zip(np.split(order, np.cumsum(np.bincount(place))[:-1]), quotas.tolist(), strict=True):
        if quota:
            result[members] = inclusion_probabilities(log_weights[members], quota, log_weights=True)
    return result


def _second_probabilities(log_weights: Reals, left: Integers, size: int) -> Reals:
    """Of each sample to be among `size` draws from those left: for one that is not left, had it been."""
    if size in (0, len(left)):
        return np.full(len(log_weights), float(size > 0))
    of_left = _arrived_by(log_weights[left], size)
    # They are 1 - exp(-t w): t is read off where that is told best, and serves everybody.
    best = int(np.argmax(np.minimum(of_left, 1 - of_left)))
    log_t = np.log(-np.log1p(-of_left[best])) - log_weights[left[best]]
    with np.errstate(under="ignore"):
        return np.asarray(-np.expm1(-np.exp(np.minimum(log_t + log_weights, 6.5))))
