"""The cardinality-constrained quadratic program of InfoMax: most information, least redundancy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from . import _arrays, _core
from ._progress import Progress, reporting
from .graph import Graph

__all__ = ["Iteration", "Solution", "Status", "objective", "solve"]

METHODS = ("auto", "pgd")
BOUNDS = ("fast", None)


class Status(str, Enum):
    """Why the relaxed ascent ended; the subset is feasible, rounded and of the full budget in every case."""

    CONVERGED = "converged"
    MAX_ITERATIONS = "max_iterations"
    TIME_LIMIT = "time_limit"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class Iteration:
    """What a callback is told after every iteration.

    Attributes
    ----------
    iteration : int
        From 1.
    objective : float
        f of the relaxed point.
    bound : float or None
        Upper bound known so far; None while there is none.
    seconds : float
        Since the call.
    """

    iteration: int
    objective: float
    bound: float | None
    seconds: float


@dataclass(frozen=True, eq=False, repr=False)
class Solution:
    """A subset with what is known about its quality.

    Attributes
    ----------
    indices : array [budget] of int64
        The elements kept, ascending.
    x : array [n] of float64
        The relaxed point before rounding: 0 <= x <= 1, sum x = budget.
    objective : float
        f of the indices.
    upper_bound : float
        No subset of this size has a larger f; infinity with bound=None.
    gap : float
        (upper_bound - objective) / max(|upper_bound|, |objective|), >= 0.
    bound_kind : str
        "modular", "diagonal-shift" or "none".
    status : Status
        Why the ascent ended.
    method : str
        The method that produced the subset.
    iterations : int
        Of the ascent.
    swaps : int
        Made by the polish.
    history : array of float64
        f of the relaxed point, from the starting point on.
    timings : mapping of str to float
        Seconds of each stage.
    """

    indices: Any
    x: Any
    objective: float
    upper_bound: float
    gap: float
    bound_kind: str
    status: Status
    method: str
    iterations: int
    swaps: int
    history: Any
    timings: Mapping[str, float]

    def __repr__(self) -> str:
        return (
            f"Solution({self.indices.shape[0]} of {self.x.shape[0]}, objective={self.objective:.6g}, gap={self.gap:.2%}, "
            f"bound_kind={self.bound_kind!r}, status={self.status.name}, iterations={self.iterations}, swaps={self.swaps})"
        )


def solve(
    importance: Any,
    graph: Any,
    budget: int | float,
    *,
    alpha: float = 0.3,
    method: str = "auto",
    x0: Any = None,
    polish: bool = True,
    bound: str | None = "fast",
    max_iterations: int = 300,
    tolerance: float = 1e-6,
    time_limit: float | None = None,
    seed: int | np.random.SeedSequence | np.random.Generator = 0,
    threads: int | None = None,
    callback: Callable[[Iteration], object] | None = None,
    progress: Progress = False,
) -> Solution:
    """Keep the subset that maximises f(z) = sum_i I_i z_i - alpha sum_{i != j} K_ij z_i z_j.

    Parameters
    ----------
    importance : array [n] of float32 or float64
        I, any scale, used as given (other real numbers are converted to float64).
    graph : Graph or SciPy sparse array in CSR form [n, n]
        Its symmetric K (see `Graph`) is the redundancy; similarities may be negative, see Notes.
    budget : int or float
        An int is a count, 1 to n; a float in (0, 1] a fraction of n (round half up, at least 1).
    alpha : float
        Weight of the redundancy, 0 to 1e100. Every unordered pair counts twice.
    method : {"auto", "pgd"}
        Projected gradient on the capped simplex; "auto" is the same in this version.
    x0 : array [n] of float64 or Solution, optional
        Starting point, projected onto the capped simplex. Default: budget / n everywhere.
    polish : bool
        Swap one kept against one left out until no swap improves f.
    bound : {"fast", None}
        Whether to compute an upper bound.
    max_iterations : int
        Of the projected gradient; 0 rounds the starting point.
    tolerance : float
        The ascent has converged when no x changes by more than this in an iteration.
    time_limit : float, optional
        Seconds after which the best so far is returned with status TIME_LIMIT.
    seed : int, SeedSequence or Generator
        Of the random start of the spectrum estimate.
    threads : int, optional
        Default: COREMAX_NUM_THREADS, else every CPU this process may use.
    callback : callable, optional
        Called with an `Iteration` after every one; a true return value ends the ascent with status INTERRUPTED (what has
        been found is rounded and returned without polish).
    progress : bool or callable
        True draws a bar on stderr; a function is called as function(iterations done, max_iterations).

    Returns
    -------
    Solution
        Arrays belong to the library of importance.

    Raises
    ------
    ValueError
        NaN, infinity or a magnitude beyond 1e100 in importance (the place is named), lengths that differ, budget, alpha or an
        option out of range.
    TypeError
        A wrong type.

    Notes
    -----
    The objective is the paper's (InfoMax, Tan et al., ICLR 2025, arXiv 2506.01701). The solver is ours: projected gradient
    with step 1 / (2 alpha ||K||_2) and an exact projection, pairwise rounding, which loses nothing where K >= 0 because f is
    convex along every swap, and a 1-swap local search. With negative similarities rounding may lose, and the rest holds.

    The upper bound is the smaller of the modular bound and the diagonal-shift bound, float rounding included. The shift rests
    on the smallest eigenvalue of K from a Lanczos process with a random start, with a margin that is too small with
    probability at most 1e-12.

    The same bits for any thread count. Each iteration costs one product with K and a projection: O(nnz + n); memory is a few
    arrays of n float64 beyond the graph.

    Examples
    --------
    >>> import numpy as np
    >>> import coremax
    >>> graph = coremax.Graph.from_neighbors([[1], [0], [0]], [[0.9], [0.9], [0.1]])
    >>> coremax.solve(np.array([1.0, 0.8, 0.5]), graph, 2, alpha=1.0).indices
    array([0, 2])
    """
    check_options(alpha, method, bound, max_iterations)
    if callback is not None and not callable(callback):
        raise TypeError(f"callback must be a function, got {callback!r}")
    importance = _arrays.as_array(importance, "importance")
    view = _arrays.as_view(importance, "importance", ndim=1, dtypes=_arrays.FLOAT_TYPES, convert_to="float64")
    n_threads = _arrays.as_threads(threads)
    matrix = _matrix_views(graph, view.shape[0], n_threads)
    if x0 is not None:
        x0 = _arrays.as_view(getattr(x0, "x", x0), "x0", ndim=1, dtypes=["float64"], convert_to="float64")
        _arrays.require_length(x0.shape[0], "x0", view.shape[0], "importance")
    with reporting(progress, "solve") as report:
        raw = _core.solve(
            view,
            *matrix,
            budget=_arrays.as_budget(budget, view.shape[0]),
            alpha=float(alpha),
            max_iterations=int(max_iterations),
            tolerance=_arrays.as_real(tolerance, "tolerance", 0.0),
            time_limit=0.0 if time_limit is None else max(_arrays.as_real(time_limit, "time_limit", 0.0), 1e-9),
            polish=bool(polish),
            bound=bound is not None,
            seed=_arrays.as_seed(seed),
            x0=x0,
            callback=None if callback is None else lambda i, value, seconds: callback(Iteration(i, value, None, seconds)),
            threads=n_threads,
            progress=report,
        )
    upper = raw["upper_bound"] if bound is not None else float("inf")
    scale = max(abs(upper), abs(raw["objective"]))
    gap = float("inf") if bound is None else (upper - raw["objective"]) / scale if scale > 0 else 0.0
    return Solution(
        indices=_arrays.like(raw["indices"], importance),
        x=_arrays.like(raw["x"], importance),
        objective=raw["objective"],
        upper_bound=upper,
        gap=gap,
        bound_kind=raw["bound_kind"],
        status=Status(raw["status"]),
        method="pgd",
        iterations=raw["iterations"],
        swaps=raw["swaps"],
        history=_arrays.like(raw["history"], importance),
        timings=raw["timings"],
    )


def check_options(alpha: Any, method: Any, bound: Any, max_iterations: Any) -> None:
    """Check what can be checked before a graph is there; for this module and `selection`."""
    _arrays.as_real(alpha, "alpha", 0.0, 1e100)
    _arrays.as_choice(method, "method", METHODS)
    if not (bound is None or (isinstance(bound, str) and bound in BOUNDS)):
        raise ValueError(f"bound must be 'fast' or None, got {bound!r}")
    _arrays.as_count(max_iterations, "max_iterations", 0, 2**62)


def objective(importance: Any, graph: Any, indices: Any, alpha: float = 0.3) -> float:
    """Evaluate f of any subset.

    Parameters
    ----------
    importance : array [n] of float32 or float64
    graph : Graph or SciPy sparse array in CSR form [n, n]
    indices : array [p] of int64 or int32
        Distinct numbers of the elements kept, in any order.
    alpha : float
        Weight of the redundancy, >= 0.

    Returns
    -------
    float
        f as in `solve`, summed in float64.

    Raises
    ------
    ValueError
        Where a number is out of range or repeated, or lengths differ.
    """
    view = _arrays.as_view(importance, "importance", ndim=1, dtypes=_arrays.FLOAT_TYPES, convert_to="float64")
    subset = _arrays.as_view(indices, "indices", ndim=1, dtypes=["int64"], convert_to="int64")
    threads = _arrays.as_threads(None)
    matrix = _matrix_views(graph, view.shape[0], threads)
    return _core.objective(view, *matrix, subset=subset, alpha=_arrays.as_real(alpha, "alpha", 0.0, 1e100), threads=threads)


def _matrix_views(graph: Any, n: int, threads: int) -> tuple[_core.Array, _core.Array, _core.Array]:
    if not isinstance(graph, Graph):
        if not all(hasattr(graph, part) for part in ("indptr", "indices", "data")):
            raise TypeError(f"graph must be a coremax.Graph or a SciPy CSR array, got {type(graph).__name__}")
        graph = Graph.from_csr(graph.indptr, graph.indices, graph.data)
    if graph.n != n:
        raise ValueError(f"importance has {n} elements, but graph has {graph.n} rows")
    indptr, indices, values = graph._symmetric(threads)
    return (
        _core.import_array(indptr, "indptr"),
        _core.import_array(indices, "indices"),
        _core.import_array(values, "values"),
    )
