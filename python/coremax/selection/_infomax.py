"""InfoMax, from embeddings and scores to indices."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np

from .._inputs import arrays, checks
from .._inputs import order as _order
from .._inputs.aliases import aliased
from .._runtime.progress import Progress, as_progress, reporting
from ..graph import Graph, GraphStats
from ..graph._graph import METRICS, Limits, Metric, search
from ..sampling import largest_remainder, sample
from ..scores._clusters import clustered
from ..scores._inputs import embeddings
from ..scores._neighbours import of_lists
from ..solver import _constraints
from ..solver._solver import Bound, Effort, Inputs, Method, check_options, solve_within
from ._invalid import CHOICES, Invalid, leaving_out_invalid
from ._result import Integers, Reals, Selection, as_classes, as_scores, normalized

Normalization = Literal["minmax", "rank", "none"]
Target = Literal["coverage", "score"]
Negative = Literal["clip", "keep"]
NORMALIZATIONS: tuple[Normalization, ...] = get_args(Normalization)
TARGETS: tuple[Target, ...] = get_args(Target)
NEGATIVES: tuple[Negative, ...] = get_args(Negative)
_BINS = 50
_DOUBT, _USUAL = 0.7, 0.12  # of auto_max_contradiction


def auto_drop_hardest(keep: float) -> float:
    """Fraction of the hardest samples that `infomax` drops first, for a fraction kept.

    Parameters
    ----------
    keep : float
        Fraction kept, in (0, 1].

    Returns
    -------
    float
        min(0.5, 0.01 (1 - keep) / keep).

    Notes
    -----
    Ours. The hardest samples are the mislabelled and the ambiguous ones: a small set filled with them trains badly, a large
    one needs them. The rule runs through the best fractions measured on Fashion-MNIST with EL2N: about 0.5 at 1 % kept,
    0.3 at 3 %, 0.1 at 10 %, 0.03 at 30 %; and nothing is dropped when everything is kept.
    """
    keep = arrays.as_real(keep, "keep", 0.0, 1.0)
    return min(0.5, 0.01 * (1 - keep) / keep) if keep > 0 else 0.5


def auto_max_contradiction(contradiction: Any, keep: float) -> float:
    """Threshold above which `infomax` leaves out contradicted samples, for a fraction kept.

    Parameters
    ----------
    contradiction : array [n] of float64
        `coremax.scores.contradiction`.
    keep : float
        Fraction kept, in [0, 1].

    Returns
    -------
    float
        0.7, or as much higher that only a part of those above 0.7 are above it, the most contradicted: with c their share of
        all samples, the part is c / (0.12 keep) - 1, at least none and at most all.

    Notes
    -----
    Ours. Some samples are contradicted in any data set, since they are hard, and a large subset is the better for them; where
    labels are wrong many more are. With c below 0.12 keep they count as hard, with c above 0.24 keep as wrong. On validation
    parts of clean data sets c was from 0 to 0.14, with a fifth of the labels wrong from 0.2 to 0.25.

    Examples
    --------
    >>> from coremax.selection import auto_max_contradiction
    >>> few = [0.1] * 94 + [0.8, 0.82, 0.84, 0.86, 0.88, 0.9]  # 6 % are contradicted
    >>> auto_max_contradiction(few, 0.1), auto_max_contradiction(few, 0.3), auto_max_contradiction(few, 0.5)
    (0.7, 0.82, 1.0)
    """
    keep = arrays.as_real(keep, "keep", 0.0, 1.0)
    values = as_scores(contradiction, "contradiction")
    above = -np.sort(-values[values > _DOUBT])
    if len(above) == 0:
        return _DOUBT
    part = min(1.0, max(0.0, len(above) / len(values) / (_USUAL * keep) - 1)) if keep > 0 else 1.0
    n_out = round(part * len(above))
    return 1.0 if n_out == 0 else _DOUBT if n_out == len(above) else float(above[n_out])


def n_hardest(fraction: float, n: Any) -> Any:
    """How many of n samples (an int or an array) a fraction dropped stands for: rounded down, errors of the product aside."""
    return np.asarray(fraction * n + 1e-9 * n).astype(np.int64)


@aliased(importance="score")
def coverage(
    score: Any, keep: float, *, labels: Any = None, tilt: float | Literal["auto"] = "auto", seed: arrays.Seed = 0
) -> Any:
    """Importance that draws every difficulty equally often, harder ones more the more is kept; what `infomax` uses by default.

    Parameters
    ----------
    score : array [n] of float32 or float64
        Difficulty of each sample.
    keep : float
        Fraction kept, in (0, 1].
    labels : array or column [n] of whole numbers or texts, optional
        Classes: rare ones then count as much as frequent ones.
    tilt : float or "auto"
        How much more important the hardest sample is than the easiest. "auto": 8 keep.
    seed : int, SeedSequence or Generator
        Of the random part.

    Returns
    -------
    array [n] of float64
        In the library of score.

    Raises
    ------
    ValueError, TypeError
        NaN or infinity in score (the place is named), an empty score, labels of another length, an argument out of range.

    Notes
    -----
    Ours; it joins two papers. SIMS (Grosz et al., ICPR 2024) draws samples with weights q / p, a target density of difficulty
    that moves with the budget over the density there is; InfoMax (Tan et al., ICLR 2025) maximises importance less redundancy.
    The importance here is

        I_i = log(q(s_i) / p(s_i)) - log(n_y) + (1 - keep) G_i,   log q(s) = tilt s,

    s the score scaled linearly to [0, 1], p its density by a histogram of 50 bins, n_y the size of the sample's class and G_i a
    standard Gumbel number. The top m of it are a draw without replacement with the weights (q / (p n_y))^(1 / (1 - keep))
    (Gumbel top-k), so InfoMax with this importance is a draw as SIMS makes it where alpha = 0, and the same draw spread out
    where alpha > 0; the more is kept, the less is left to chance. A flat q is the idea of CCS (Zheng et al., ICLR 2023): strata
    of difficulty, as many from each. The least importance is moved to 0, which changes no choice of m samples. O(n).

    Examples
    --------
    >>> import numpy as np
    >>> from coremax.selection import coverage
    >>> score = np.r_[np.linspace(0, 0.2, 900), np.linspace(0.2, 1, 100)]
    >>> drawn = np.argsort(-coverage(score, 0.1))[:100]
    >>> bool(0.4 < score[drawn].mean() < 0.7)
    True
    """
    scores = as_scores(score, "score")
    if len(scores) == 0:
        raise ValueError("score is empty")
    keep = arrays.as_real(keep, "keep", 0.0, 1.0)
    place, _ = as_classes(labels, len(scores), "score")
    found = _coverage(scores, place, _tilt(tilt, keep), (1 - keep) * _gumbel(len(scores), arrays.as_seed(seed)))
    return arrays.like(found, score)


@aliased(score="importance")
@leaving_out_invalid(lambda arguments: bool(arguments["metric"] == "cosine"))
def infomax(
    x: Any,
    importance: Any,
    budget: int | float,
    *,
    labels: Any = None,
    alpha: float | Literal["auto"] = "auto",
    k: int = 10,
    metric: Metric = "cosine",
    partitions: int = 1,
    target: Target = "coverage",
    tilt: float | Literal["auto"] = "auto",
    normalize: Normalization | None = "minmax",
    drop_hardest: float | Literal["auto"] = "auto",
    max_contradiction: float | Literal["auto"] = "auto",
    class_floor: float | Literal["auto"] = "auto",
    typical: int = 10,
    negative_similarities: Negative = "clip",
    include: Any = None,
    exclude: Any = None,
    groups: Any = None,
    group_limits: Any = None,
    costs: Any = None,
    method: Method = "auto",
    effort: Effort = "default",
    bound: Bound | None = "fast",
    max_iterations: int | None = None,
    memory_limit: int | str | None = None,
    seed: arrays.Seed = 0,
    threads: int | None = None,
    isa: str | None = None,
    copy: bool | None = None,
    progress: Progress = False,
    invalid: Invalid = "raise",
) -> Selection:
    """Keep the samples with most information and least redundancy.

    Parameters
    ----------
    x : array [n, d] of float32, float16, bfloat16, int8 or float64
        Embeddings.
    importance : array [n] of float32 or float64
        Score of each sample, higher = harder (and more informative): EL2N, margin, entropy, ...
    budget : int or float
        An int is a count, 1 to n; a float in (0, 1] a fraction of n (round half up, at least 1); with costs the total allowed,
        never a fraction (for a tenth of all: ``0.1 * costs.sum()``).
    labels : array or column [n] of whole numbers or texts, optional
        Classes. **Give them where there are any**: samples whose neighbours contradict their label are left out first, and
        the first few of each class are its typical ones, and classes are kept in balance (`max_contradiction`, `typical`,
        `class_floor`).
    alpha : float or "auto"
        Weight of the redundancy against the importance, >= 0. "auto": where the redundancy of a typical subset of this size is
        as large as the importance's standard deviation, and less the more is kept (see Notes).
    k : int
        Neighbours per sample in the graph; lowered where there are too few samples.
    metric : {"cosine", "dot", "euclidean"}
        Similarity of the graph.
    partitions : int
        Build the graph within this many random parts of equal size (costs 1 / partitions of the time); the solver then runs
        over all parts at once.
    target : {"coverage", "score"}
        What the objective takes as importance: `coverage` of the score, or the score itself, scaled, as published.
    tilt : float or "auto"
        Of `coverage`.
    normalize : {"minmax", "rank", "none"}
        Bring the importance of the candidates to [0, 1] linearly, or by rank (ties share their mean rank), or not at all.
        Constant importance becomes 0.
    drop_hardest : float or "auto"
        Fraction of the samples, those of highest importance, that are left out beforehand (of those tied at the cut, any);
        never so many that fewer than budget are left, never an included one, and none of the lowest importance: where all are
        equal nothing is dropped. "auto": `auto_drop_hardest`. With labels: of each class, among those that are not
        contradicted; a class without more samples than an equal share of the budget, or a group without more than its fewest,
        loses none.
    max_contradiction : float or "auto"
        With labels: samples whose `coremax.scores.contradiction` is above this are left out, as probably mislabelled, as
        long as enough are left, in all and of each class as for `drop_hardest`. "auto": 0.7 (another class has more than 2.3
        times the votes of the own) where they are many, higher where they are few (`auto_max_contradiction`); 1 leaves out
        none.
    class_floor : float or "auto"
        With labels, without groups and costs: every class keeps at least this fraction of an equal share of the budget (of all
        it has, where that is less). "auto": 1 - the fraction kept, and all of a class without more samples than an equal share;
        0 for no floor.
    typical : int
        With labels, without groups and costs: so many samples of each class that are typical of it are kept in any case, but no
        more than its equal share of the budget: where that is smaller, they are all that is kept. 0: none.
    negative_similarities : {"clip", "keep"}
        Set negative similarities to 0, or reward them.
    include, exclude, groups, group_limits, costs
        What must and must not be kept, limits of classes or sources, costs such as tokens: see `coremax.solve`. Numbers and
        group sizes are those of the whole data set.
    method, effort, bound, max_iterations
        Of the solver, see `coremax.solve`.
    memory_limit : int or str, optional
        For the graph, see `coremax.topk_graph`.
    seed : int, SeedSequence or Generator
        Of the random parts, of `coverage`, of the solver and of the order of ties: where samples are equal to all that is
        known of them, chance decides and never their position.
    threads, isa, copy, progress
        See `coremax.topk_graph`.
    invalid : {"raise", "drop"}
        What to do with samples whose row or importance holds NaN, infinity or a number beyond float32, or under "cosine" zeros
        alone: an error that names them, or leave them out. Then a warning, `Selection.invalid` and diagnostics["n_invalid"] say
        so; a fraction as budget is still one of all samples, and all else is as if the others were the data set.

    Returns
    -------
    Selection
        With graph, solution and timings; indices belong to the library of x. The objective of the solution is in units of what
        `target` makes of the importance.

    Raises
    ------
    ValueError, TypeError, MemoryError
        As `coremax.topk_graph` and `coremax.solve`; also where x, importance and labels differ in length.

    Notes
    -----
    Objective: InfoMax (Tan et al., ICLR 2025, arXiv 2506.01701). Sparse neighbour graph, alpha, k and random parts are the
    paper's hyper-parameters; min-max scaling and clipping follow a public re-implementation. Everything named "auto", coverage,
    contradiction, floors, typical samples, one solver run over all parts instead of one per part, and scaling over all
    candidates are ours. Typical samples: `coremax.scores.spherical_kmeans` makes as many clusters of a class's candidates, and
    the one nearest each centre is kept, after TypiClust (Hacohen, Dekel and Weinshall, ICML 2022, arXiv 2202.02794), which
    found for active learning that small budgets want typical samples and large ones hard samples. O(n typical d).

    **As published**: `target="score", drop_hardest=0, alpha=0.3` and no labels. With scores that are high for hard samples
    that fails at high pruning (Fashion-MNIST, EL2N, 1 % kept: 12 % accuracy against 79 % for random), since the hardest samples
    are the mislabelled and the ambiguous. The defaults were chosen on validation parts of several data sets, clean, mislabelled
    and long-tailed; docs/evidence.md has the tables.

    With a share f kept and K the symmetric graph of the candidates, a sample of a random subset has redundancy 2 alpha f
    (mean row sum of K). alpha="auto" makes that 1 - f standard deviations of the importance; 0.3 where importance is constant
    or the graph is empty.

    Examples
    --------
    >>> import numpy as np
    >>> import coremax
    >>> rng = np.random.default_rng(0)
    >>> x, score = rng.normal(size=(100, 8)).astype(np.float32), rng.random(100)
    >>> len(coremax.infomax(x, score, 0.1))
    10
    """
    arrays.as_choice(invalid, "invalid", CHOICES)
    number = arrays.as_seed(seed)
    metric = arrays.as_choice(metric, "metric", METRICS)
    copy, progress = checks.as_optional_flag(copy, "copy"), as_progress(progress)
    fixed_alpha = arrays.as_real_or_auto(alpha, "alpha", 0.0, 1e100)
    # Before the graph, which takes nearly all of the time.
    method, effort, bound = check_options(0.0 if fixed_alpha is None else fixed_alpha, method, effort, bound, max_iterations)
    normalize = arrays.as_choice("none" if normalize is None else normalize, "normalize", NORMALIZATIONS)
    target = arrays.as_choice(target, "target", TARGETS)
    negative_similarities = arrays.as_choice(negative_similarities, "negative_similarities", NEGATIVES)
    most = arrays.as_real_or_auto(max_contradiction, "max_contradiction", 0.0, 1.0)
    n_typical = arrays.as_count(typical, "typical", 0)
    view = arrays.as_view(x, "x", ndim=2, dtypes=arrays.EMBEDDING_TYPES, copy=copy, strided_rows=True)
    scores = as_scores(importance, "importance")
    arrays.require_length(len(scores), "importance", view.shape[0], "x")
    n = len(scores)
    if n == 0 or view.shape[1] == 0:
        raise ValueError(f"x is empty, shape {view.shape}")
    place, n_classes = as_classes(labels, n, "x")
    limits = _constraints.resolve(n, budget, include, exclude, groups, group_limits, costs)
    share = limits.kept_share(n)
    n_parts = arrays.as_count(partitions, "partitions", 1, n)
    k = arrays.as_count(k, "k", 1)
    dropped = arrays.as_real_or_auto(drop_hardest, "drop_hardest", 0.0, 1.0)
    fraction = auto_drop_hardest(share) if dropped is None else dropped
    asked_floor = arrays.as_real_or_auto(class_floor, "class_floor", 0.0, 1.0)
    floor = 1 - share if asked_floor is None else asked_floor
    slope = _tilt(tilt, share)

    clock = time.perf_counter
    start = clock()
    lowest = 0.0 if negative_similarities == "clip" else -np.inf

    def graph_of(rows: Integers) -> Graph:
        parts = _random_parts(rows, n_parts, np.random.SeedSequence(number))
        graph = _graph_of_parts(view, rows, parts, k, metric, lowest, memory_limit, threads, isa, progress)
        return _order.among_copies(graph, x, "infomax copies", number, rows)

    by_class = labels is not None and groups is None and costs is None
    shares, sizes = _equal_shares(limits, place, n_classes, number) if by_class else (None, None)
    if labels is None or most == 1:
        most, candidates = 1.0, _candidates(scores, place, np.zeros(n), fraction, limits, shares, number)
        graph = graph_of(candidates)
    else:
        everything = graph_of(np.arange(n, dtype=np.int64))
        contradiction = of_lists(everything.neighbors, place, progress)
        most = auto_max_contradiction(contradiction, share) if most is None else most
        doubtful = np.where(contradiction > most, contradiction, 0)
        candidates = _candidates(scores, place, doubtful, fraction, limits, shares, number)
        graph = _induced(everything, candidates)
    graph_done = clock()
    graph._symmetric(threads)  # here, so that its time is told apart from the solver's
    symmetric_done = clock()
    weights = normalized(scores[candidates], normalize)
    if target == "coverage":
        weights = _coverage(weights, place[candidates], slope, (1 - share) * _gumbel(n, number)[candidates])
    strength = fixed_alpha if fixed_alpha is not None else _auto_alpha(weights, graph, share)
    within = limits.among(candidates, "drop_hardest")
    if shares is not None:
        fewest = np.ceil(floor * shares - 1e-9).astype(np.int64)
        if asked_floor is None:
            fewest[shares == sizes] = shares[shares == sizes]
        within = _with_fewest(within, place[candidates], fewest)
        quotas = np.minimum(shares, min(n_typical, n))
        if quotas.any():
            certain = _typical(x, candidates, place[candidates], quotas, number, threads, isa, progress)
            within = _including(within, len(candidates), certain)
    limited = clock()
    solution = solve_within(
        Inputs(weights, graph, threads),
        within,
        alpha=strength,
        method=method,
        effort=effort,
        bound=bound,
        max_iterations=max_iterations,
        seed=number,
        threads=threads,
        progress=progress,
    )
    solved = clock()
    parameters = {
        "alpha": strength, "k": k, "metric": metric, "partitions": n_parts, "target": target, "tilt": slope,
        "normalize": normalize, "drop_hardest": fraction, "max_contradiction": most, "class_floor": floor, "typical": n_typical,
        "negative_similarities": negative_similarities, "method": solution.method, "seed": number,
    }  # fmt: skip
    return Selection(
        indices=arrays.like(candidates[solution.indices], x),
        n=n,
        method="infomax",
        parameters=parameters,
        candidates=candidates,
        graph=graph,
        solution=solution,
        timings={
            "graph": graph_done - start,
            "symmetric": symmetric_done - graph_done,
            "typical": limited - symmetric_done,
            "solve": solved - limited,
        },
        inputs={"embeddings": x, "score": importance, "labels": labels, "importance": weights, "limits": within},
    )


def _tilt(given: Any, keep: float) -> float:
    asked = arrays.as_real_or_auto(given, "tilt", -100.0, 100.0)
    return 8 * keep if asked is None else asked


def _gumbel(n: int, seed: Any) -> Reals:
    """Standard Gumbel numbers; each depends on the seed and its place alone."""
    uniform = np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=(1,)))).random(n)
    return np.asarray(-np.log(-np.log(uniform + 2.0**-54)))


def _coverage(scores: Reals, place: Integers, tilt: float, chance: Reals) -> Reals:
    """Logarithm of q / (p n_y), and the random part."""
    scaled = normalized(scores, "minmax")
    bin_of = np.minimum((scaled * _BINS).astype(np.int64), _BINS - 1)
    density = np.bincount(bin_of, minlength=_BINS) * (_BINS / len(scaled))
    classes = np.bincount(place)
    shares = classes / (len(place) / np.count_nonzero(classes))
    found = tilt * scaled - np.log(density[bin_of]) - np.log(shares[place]) + chance
    return np.asarray(found - found.min())


def _auto_alpha(importance: Reals, graph: Graph, share: float) -> float:
    """Weight at which the redundancy within a random subset is 1 - share standard deviations of importance."""
    row_sum = float(np.abs(graph.similarities).sum()) / max(graph.n, 1)  # K and the lists have the same sum
    with np.errstate(over="ignore", invalid="ignore"):  # beyond what the solver works in: it refuses that
        spread = float(importance.std())
    typical = 2 * share * row_sum
    return min((1 - share) * spread / typical, 1e100) if 0 < spread < np.inf and typical > 0 else 0.3


def _equal_shares(limits: _constraints.Limits, place: Integers, n_classes: int, seed: int) -> tuple[Integers, Integers]:
    """Equal shares of the budget by class, as far as there are samples, and how many there are; the fixed ones not counted."""
    free = np.ones(len(place), dtype=bool) if limits.fixed is None else limits.fixed == 0
    n_included = 0 if limits.fixed is None else int((limits.fixed > 0).sum())
    sizes = np.bincount(place[free], minlength=n_classes)
    return np.asarray(largest_remainder(np.ones(n_classes), limits.budget - n_included, sizes, seed=seed)), sizes


def _with_fewest(limits: _constraints.Limits, place: Integers, fewest: Integers) -> _constraints.Limits:
    """The same limits, and so many of each class at least, beside those that are included."""
    sizes = np.bincount(place, minlength=len(fewest))
    pinned = np.zeros_like(sizes) if limits.fixed is None else np.bincount(place[limits.fixed > 0], minlength=len(fewest))
    ranges = tuple(zip((pinned + fewest).tolist(), sizes.tolist(), strict=True))
    return replace(limits, groups=np.ascontiguousarray(place, dtype=np.int32), ranges=ranges)


def _including(limits: _constraints.Limits, n: int, positions: Integers) -> _constraints.Limits:
    """The same limits of n elements, and these kept in any case."""
    fixed = np.zeros(n, dtype=np.int8) if limits.fixed is None else limits.fixed.copy()
    fixed[positions] = 1
    return replace(limits, fixed=fixed)


def _typical(
    x: Any,
    candidates: Integers,
    place: Integers,
    quotas: Integers,
    seed: int,
    threads: int | None,
    isa: str | None,
    progress: Progress,
) -> Integers:
    """Positions among the candidates of as many of each class as its quota says: those nearest the centres of its clusters.

    Where a class points in fewer directions than that, those nearest their centre of the others come next.
    """
    x = arrays.as_array(x, "x")
    rows = x if "bfloat16" in str(x.dtype) else arrays.as_numpy(x)  # NumPy has none: rows are widened class by class
    order = np.argsort(place, kind="stable")
    found = []
    by_class = np.split(order, np.cumsum(np.bincount(place, minlength=len(quotas)))[:-1])
    with reporting(progress, "typical") as report:
        for number, (members, quota) in enumerate(zip(by_class, quotas, strict=True)):
            if quota > 0:
                part = arrays.as_numpy(rows[candidates[members]])
                found.append(members[_typical_of_class(part, int(quota), seed, threads, isa)])
            if report is not None:
                report(number + 1, len(quotas))
    return np.concatenate(found)


def _typical_of_class(
    part: np.ndarray[Any, Any], quota: int, seed: int, threads: int | None, isa: str | None
) -> np.ndarray[Any, Any]:
    """Places of so many rows of a class that are nearest the centres of its clusters."""
    labels, cosine = np.zeros(len(part), dtype=np.int32), np.zeros(len(part), dtype=np.float32)
    if part.any():  # rows of zeros point nowhere
        view = embeddings(part, "x")[0]
        _, labels, cosine = clustered(view, part, "x", quota, 20, 256, seed, threads, isa, False)
    nearest = _order.ascending(-cosine, "typical", seed)
    later = np.ones(len(part), dtype=bool)
    later[np.unique(labels[nearest], return_index=True)[1]] = False
    return np.asarray(nearest[np.argsort(later, kind="stable")[:quota]])


def _candidates(
    scores: Reals,
    place: Integers,
    doubtful: Reals,
    dropped: float,
    limits: _constraints.Limits,
    shares: Integers | None,
    seed: int,
) -> Integers:
    """All but the excluded, the doubtful and of the others the hardest of each class; the included in any case.

    `doubtful` is 0, or how doubtful a sample is. Where fewer than the budget are left, or fewer of a class than its share (of a
    group of the caller's than its fewest), the hardest come back before the doubtful, and of these the least doubtful first.
    Ties stand in random order.
    """
    chance = _order.chances(len(scores), "drop_hardest", seed)
    stage = np.where(doubtful > 0, 2, 0)
    order = np.lexsort((chance, scores, place, stage))
    certain = order[: int((stage == 0).sum())]
    sizes = np.bincount(place[certain], minlength=int(place.max()) + 1)
    # The score calls none of a class's easiest hard, however many they are.
    lowest = np.full(len(sizes), np.inf)
    np.minimum.at(lowest, place[certain], scores[certain])
    easiest = np.bincount(place[certain][scores[certain] == lowest[place[certain]]], minlength=len(sizes))
    left = np.maximum(sizes - n_hardest(dropped, sizes), easiest)
    stage[certain[_ranks(place[certain]) >= left[place[certain]]]] = 1
    if limits.fixed is not None:
        stage[limits.fixed > 0] = -1
        stage[limits.fixed < 0] = 3
    order = np.lexsort((chance, np.where(stage == 2, doubtful, scores), stage))
    wanted = stage[order] <= 0
    groups, fewest = place, shares
    if limits.groups is not None:
        groups, fewest = limits.groups.astype(np.int64), np.array([low for low, _ in limits.ranges])
    if fewest is not None:
        # Included ones count towards the fewest of a caller's group, but come on top of a share; no share is so large that the
        # excluded, who are last, were among the first so many.
        counted = order if limits.groups is not None else order[stage[order] >= 0]
        short = np.zeros(len(scores), dtype=bool)
        short[counted] = _ranks(groups[counted]) < fewest[groups[counted]]
        wanted |= short[order]
    more = (limits.size or 1) - int(wanted.sum())
    if more > 0:
        wanted[np.flatnonzero(~wanted)[:more]] = True
    return np.sort(order[wanted]).astype(np.int64)


def _ranks(place: Integers) -> Integers:
    """Of each element among those of its class, in the order given."""
    order = np.argsort(place, kind="stable")
    sizes = np.bincount(place)
    ranks = np.empty(len(place), dtype=np.int64)
    ranks[order] = np.arange(len(place)) - (np.cumsum(sizes) - sizes)[place[order]]
    return ranks


def _induced(graph: Graph, rows: Integers) -> Graph:
    """Edges among some of the rows, renumbered; lists keep their length, with absent neighbours at the end."""
    if len(rows) == graph.n:
        return graph
    position = np.full(graph.n + 1, -1, dtype=np.int64)  # the last place is for absent neighbours
    position[rows] = np.arange(len(rows))
    neighbors = position[graph.neighbors[rows]]
    order = np.argsort(neighbors < 0, axis=1, kind="stable")
    neighbors = np.take_along_axis(neighbors, order, axis=1)
    similarities = np.where(neighbors < 0, 0, np.take_along_axis(graph.similarities[rows], order, axis=1))
    return Graph(neighbors, similarities.astype(np.float32), None, graph.metric, graph.stats)


def _random_parts(
    candidates: np.ndarray[Any, Any], n_parts: int, seed: np.random.SeedSequence
) -> list[np.ndarray[Any, np.dtype[np.int64]]]:
    """Positions among the candidates, in parts whose sizes differ by at most one, each ascending."""
    n = len(candidates)
    n_parts = min(n_parts, n)
    if n_parts == 1:
        return [np.arange(n, dtype=np.int64)]
    order = sample(np.ones(n, dtype=np.float32), n, seed=seed)
    return [np.sort(part) for part in np.array_split(order, n_parts)]


def _graph_of_parts(
    view: Any,
    candidates: np.ndarray[Any, Any],
    parts: list[np.ndarray[Any, Any]],
    k: int,
    metric: str,
    lowest: float,
    memory_limit: int | str | None,
    threads: int | None,
    isa: str | None,
    progress: Progress,
) -> Graph:
    """One graph over the candidates whose edges stay within the parts; short parts leave absent neighbours."""
    width = min(k, max(len(part) for part in parts) - 1)
    neighbors = np.full((len(candidates), width), -1, dtype=np.int64)
    similarities = np.zeros((len(candidates), width), dtype=np.float32)
    stats: GraphStats | None = None
    everything = len(parts) == 1 and len(candidates) == view.shape[0]
    for part in parts:
        part_k = min(k, len(part) - 1)
        if part_k == 0:
            continue
        rows = None if everything else candidates[part]
        found, found_similarities, stats = search(view, rows, part_k, metric, Limits(memory_limit, threads, isa), progress)
        neighbors[part, :part_k] = part[found]
        similarities[part, :part_k] = np.maximum(found_similarities, lowest)
    return Graph(neighbors, similarities, None, metric, stats)
