"""D2 pruning: difficulty that neighbours share, taken greedily, and discounted around what has been taken."""

from __future__ import annotations

import time
from typing import Any, Literal, get_args

import numpy as np

from .. import _core
from .._inputs import arrays
from .._inputs import order as _order
from .._inputs.aliases import aliased
from .._runtime.progress import Progress, as_progress
from ..graph import Graph, topk_graph
from ._invalid import CHOICES, Invalid, leaving_out_invalid
from ._result import Reals, Selection, as_scores

DistanceMetric = Literal["euclidean", "cosine"]
_METRICS: tuple[DistanceMetric, ...] = get_args(DistanceMetric)


@aliased(importance="score")
@leaving_out_invalid(lambda arguments: bool(arguments["metric"] == "cosine"))
def d2(
    x: Any,
    score: Any,
    budget: int | float,
    *,
    k: int = 5,
    gamma: float = 0.1,
    gamma_forward: float = 1.0,
    metric: DistanceMetric | None = None,
    memory_limit: int | str | None = None,
    seed: arrays.Seed = 0,
    threads: int | None = None,
    isa: str | None = None,
    progress: Progress = False,
    invalid: Invalid = "raise",
) -> Selection:
    """Keep samples that are hard, among hard neighbours and apart from each other, by message passing (D2 pruning).

    Parameters
    ----------
    x : array [n, d] of float32, float16, bfloat16, int8 or float64, or Graph
        Embeddings; or a graph of theirs under "euclidean" or "cosine", and then k is not used.
    score : array [n] of float32 or float64
        Difficulty of each sample, higher = harder (or more worth keeping), used as given.
    budget : int or float
        As `coremax.infomax`.
    k : int
        Neighbours per sample; lowered where there are too few samples.
    gamma : float
        Of the reverse messages, >= 0: neighbours of a sample taken lose exp(-gamma d) of its value. 0 pushes them away most.
    gamma_forward : float
        Of the forward messages, >= 0: neighbours give exp(-gamma_forward d) of their scores.
    metric : {"euclidean", "cosine"}, optional
        What d is: the distance of embeddings, or of embeddings scaled to length one. Default: "euclidean" (the paper's), or
        that of the graph. Euclidean distances have a scale: where most are far above 1 / gamma no message arrives.
    seed : int, SeedSequence or Generator
        Of the order of ties; nothing else is random.
    memory_limit, threads, isa, progress
        Of the graph, see `coremax.topk_graph`. Threads do not change the result.
    invalid : {"raise", "drop"}
        What to do with samples whose row or score holds NaN, infinity or a number beyond float32, or under "cosine" zeros
        alone: an error that names them, or leave them out. Then a warning, `Selection.invalid` and diagnostics["n_invalid"] say
        so; a fraction as budget is still one of all samples, and all else is as if the others were the data set.

    Returns
    -------
    Selection
        With the graph and timings; indices belong to the library of x (of score, where x is a Graph). No weights.

    Raises
    ------
    ValueError, TypeError, MemoryError
        As `coremax.topk_graph`; NaN or infinity in score (the place is named), lengths that differ, a graph of another
        metric, an argument out of range.

    Notes
    -----
    Maharana, Yadav and Bansal, "D2 pruning: message passing for balancing diversity and difficulty in data pruning", ICLR
    2024, written from the paper: on the undirected graph of the k nearest neighbours (an edge where either end lists the
    other) v_i = s_i + sum_j exp(-gamma_forward d_ij) s_j; then, until the budget is met, the sample i of highest v_i is taken
    (ties in random order) and v_j -= exp(-gamma d_ij) v_i for its neighbours. O(n log n + edges) after the graph.

    Examples
    --------
    >>> import numpy as np
    >>> from coremax.selection import d2
    >>> x = np.array([[0.0], [0.1], [5.0], [5.1]], dtype=np.float32)
    >>> d2(x, np.array([1.0, 0.9, 0.5, 0.4]), 2, k=1).indices  # the best of each pair, not the best two
    array([0, 2])
    """
    arrays.as_choice(invalid, "invalid", CHOICES)
    scores = as_scores(score, "score")
    gamma = arrays.as_real(gamma, "gamma", 0.0)
    gamma_forward = arrays.as_real(gamma_forward, "gamma_forward", 0.0)
    k, n_threads, number = arrays.as_count(k, "k", 1), arrays.as_threads(threads), arrays.as_seed(seed)
    metric = arrays.as_optional_choice(metric, "metric", _METRICS)
    progress = as_progress(progress)
    given = isinstance(x, Graph)
    if not given:
        x = arrays.as_array(x, "x")
        shape = _core.import_array(x, "x").shape
        if len(shape) != 2:
            raise ValueError(f"x must be two-dimensional or a Graph, got shape {tuple(shape)}")
    n = x.n if given else shape[0]
    arrays.require_length(len(scores), "score", n, "x")
    if n == 0:
        raise ValueError("x is empty")
    count = arrays.as_budget(budget, n)

    start = time.perf_counter()
    graph = x if given else _graph(x, n, k, metric or "euclidean", memory_limit, n_threads, isa, progress)
    graph = graph if given else _order.among_copies(graph, x, "d2 copies", number)
    if graph.metric is not None and metric not in (None, graph.metric):
        raise ValueError(f"metric is {metric!r}, but that of the graph {graph.metric!r}")
    metric = arrays.as_choice(metric or graph.metric, "metric of the graph", _METRICS)
    graph_done = time.perf_counter()
    indptr, targets, distances = _undirected(graph, metric, n_threads)
    unit = np.ldexp(scores, -int(np.frexp(np.abs(scores).max())[1]))  # sums stay within float64; the order does not change
    sources = np.repeat(np.arange(n), np.diff(indptr))
    values = unit + np.bincount(sources, np.exp(-gamma_forward * distances) * unit[targets], minlength=n)
    weights = np.exp(-gamma * distances)
    view = _core.import_array
    order = _core.take_and_discount(
        view(values, "values"),
        view(indptr, "indptr"),
        view(targets, "targets"),
        view(weights, "weights"),
        view(_order.chances(n, "d2", number), "ranks"),
        count,
        n_threads,
    )
    return Selection(
        indices=arrays.like(np.sort(order), score if given else x),
        n=n,
        method="d2",
        parameters={
            "k": None if given else min(k, n - 1),
            "gamma": gamma,
            "gamma_forward": gamma_forward,
            "metric": metric,
            "seed": number,
        },
        graph=graph,
        timings={"graph": graph_done - start, "select": time.perf_counter() - graph_done},
        inputs={"embeddings": None if given else x, "score": score},
    )


def _graph(
    x: Any,
    n: int,
    k: int,
    metric: DistanceMetric,
    memory_limit: int | str | None,
    threads: int,
    isa: str | None,
    progress: Progress,
) -> Graph:
    if n == 1:  # nobody to compare with; still a row to check
        topk_graph(np.repeat(arrays.as_numpy(x), 2, axis=0), 1, metric=metric, threads=threads)
        return Graph.from_neighbors(np.full((1, 1), -1, dtype=np.int64), np.zeros((1, 1), dtype=np.float32), metric=metric)
    return topk_graph(x, min(k, n - 1), metric=metric, memory_limit=memory_limit, threads=threads, isa=isa, progress=progress)


def _undirected(graph: Graph, metric: str, threads: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], Reals]:
    """Rows of the graph whose edges are those of either direction, with distances.

    K averages a pair's two entries, and an entry that is missing counts as zero; the K of the same graph with ones for
    similarities says how many entries there were.
    """
    ones = np.ones(tuple(graph._values.shape), dtype=np.float32)
    shares = Graph(arrays.as_numpy(graph._indices), ones, graph._indptr, None, None)._symmetric(threads)[2]
    indptr, targets, sums = graph._symmetric(threads)
    similarities = sums.astype(np.float64) / shares
    if metric == "euclidean":
        if similarities.size and not (similarities > 0).all():
            raise ValueError("similarities of a euclidean graph are 1 / (1 + distance) and must be above 0")
        return indptr, targets, np.maximum(1 / similarities - 1, 0)
    return indptr, targets, np.sqrt(np.maximum(2 - 2 * similarities, 0))
