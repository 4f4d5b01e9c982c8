"""The cardinality-constrained quadratic program of InfoMax: most information, least redundancy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal, TypedDict, get_args

import numpy as np

from .. import _core
from .._inputs import arrays, checks
from .._inputs import invalid as _invalid
from .._inputs.aliases import aliased
from .._runtime.progress import Progress, as_progress, reporting
from ..graph import Graph
from ..graph import cuda as graph_cuda
from . import _constraints, cuda

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["Iteration", "Solution", "Status", "objective", "solve", "solve_path"]

Method = Literal["auto", "heat-bath", "swap-annealing", "greedy", "pgd", "continuation", "annealed", "softmax", "lp"]
Effort = Literal["fast", "default", "best"]
Bound = Literal["linear", "fast", "tight"]
METHODS: tuple[Method, ...] = get_args(Method)
EFFORTS: tuple[Effort, ...] = get_args(Effort)
BOUNDS: tuple[Bound, ...] = get_args(Bound)


class SolveOptions(TypedDict, total=False):
    """The options of `solve` that `solve_path` passes on, so that type checkers see into them."""

    alpha: float
    method: Method
    effort: Effort
    bound: Bound | None
    include: Any
    exclude: Any
    groups: Any
    group_limits: Any
    costs: Any
    polish: bool
    max_iterations: int | None
    tolerance: float
    temperature: float | None
    time_limit: float | None
    seed: arrays.Seed
    threads: int | None
    callback: Callable[[Iteration], object] | None
    progress: Progress


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
    method : str
        The method that is running; "auto" runs several.
    iteration : int
        Of this method: iterations of a relaxed one, sweeps of the heat bath, moves of swap-annealing.
    objective : float
        f of the relaxed point, or of the subset as it is, before it is completed and polished.
    bound : float or None
        Upper bound known so far; None while there is none.
    seconds : float
        Since the call.
    """

    method: str
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
        The elements kept, ascending; with costs as many as pay.
    x : array [n] of float64
        The relaxed point before rounding, 0 <= x <= 1; of a method without one, 1 at the indices.
    objective : float
        f of the indices.
    upper_bound : float
        No subset within the limits has a larger f; infinity with bound=None.
    gap : float
        (upper_bound - objective) / max(|upper_bound|, |objective|), >= 0: how far from optimal the answer can be at most.
    bound_kind : str
        Which bound won, see `solve`; "none" with bound=None.
    status : Status
        Why the search ended.
    method : str
        The method that found the subset.
    iterations : int
        Of that method: iterations, sweeps or moves.
    swaps : int
        Made by the polish.
    n_fixed : int
        Elements that presolve proved to be in or out of every optimum.
    history : array of float64
        f after the method's iterations (every so many sweeps or moves), from the starting point on.
    timings : mapping of str to float
        Seconds of each stage: presolve, search, polish, bound.
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
    n_fixed: int
    history: Any
    timings: Mapping[str, float]

    def __repr__(self) -> str:
        bound = f"gap={self.gap:.2%}, bound_kind={self.bound_kind!r}" if np.isfinite(self.gap) else "no bound"
        return (
            f"Solution({self.indices.shape[0]} of {self.x.shape[0]}, objective={self.objective:.6g}, {bound}, "
            f"status={self.status.name}, method={self.method!r})"
        )

    def _repr_html_(self) -> str:
        from ..report.notebook import solution_html

        return solution_html(self)


@aliased(score="importance")
def solve(
    importance: Any,
    graph: Any,
    budget: int | float,
    *,
    alpha: float = 0.3,
    method: Method = "auto",
    effort: Effort = "default",
    bound: Bound | None = "fast",
    include: Any = None,
    exclude: Any = None,
    groups: Any = None,
    group_limits: Any = None,
    costs: Any = None,
    x0: Any = None,
    polish: bool = True,
    max_iterations: int | None = None,
    tolerance: float = 1e-6,
    temperature: float | None = None,
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
    graph : Graph or SciPy sparse array [n, n]
        Its symmetric K (see `Graph`) is the redundancy; similarities may be negative, see Notes.
    budget : int or float
        An int is a count, 1 to n; a float in (0, 1] a fraction of n (round half up, at least 1). With costs, the total cost
        allowed, never a fraction: for a tenth of all pass ``0.1 * costs.sum()``.
    alpha : float
        Weight of the redundancy, 0 to 1e100. Every unordered pair counts twice.
    method : {"auto", "heat-bath", "swap-annealing", "greedy", "pgd", "continuation", "annealed", "softmax", "lp"}
        "auto" runs several and returns the best: greedy, heat-bath and lp, up to 30,000 elements pgd as well, and with
        effort="best" also annealed, continuation and the point of the semidefinite bound. Notes describe them. Every one is
        completed to the budget and polished. Where at most 20 elements are open, "auto" tries every subset instead: the answer
        and its bound are the optimum (method and bound_kind "enumeration").
    effort : {"fast", "default", "best"}
        How long "auto", "heat-bath" and "swap-annealing" search, and which methods "auto" runs.
    bound : {"linear", "fast", "tight", None}
        How much time the upper bound may take; "linear" stops at the linear program, "tight" takes seconds, None leaves it out.
    include, exclude : array of int64 or int32, optional
        Numbers of elements that must, that must not be kept. Included ones count towards budget, costs and groups.
    groups : array or column [n] of whole numbers or texts, optional
        A group (class, language, source) for every element.
    group_limits : float, (min, max), mapping of group to either, or sequence of either for groups 0, 1, ..., optional
        A fraction keeps that share of each group, rounded up or down as it suits; min and max are counts (ints) or shares
        (floats) of the group's elements, None an open end. A mapping, or a pandas Series indexed by group, leaves groups it
        does not name unlimited. Default: every group keeps its share of the budget; with costs there is no default, and limits
        still speak of elements.
    costs : array [n] of float32 or float64, optional
        Tokens, bytes, seconds: 1e-100 to 1e100. The budget is then what the kept elements may cost in all, and as many are
        kept as pay. With costs of an integer type a float of at most 1 is refused as budget, since it looks like a fraction.
    x0 : array [n] of float64 or Solution, optional
        Starting point, brought into the relaxed set. Default: the relaxed methods start from the same value everywhere, the
        others from the greedy subset.
    polish : bool
        Swap one kept against one left out until no swap improves f.
    max_iterations : int, optional
        Of the relaxed methods (default 300, softmax 20; continuation: in each stage); 0 rounds the starting point.
    tolerance : float
        A relaxed method has converged when no x changes by more than this in an iteration.
    temperature : float, optional
        Of method="softmax", in units of importance; default: 5 % of the standard deviation of the first gradient.
    time_limit : float, optional
        Seconds after which the best so far is returned with status TIME_LIMIT. Presolve is not cut short.
    seed : int, SeedSequence or Generator
        Of everything random, and of which comes first among elements of equal importance.
    threads : int, optional
        Default: COREMAX_NUM_THREADS, else every CPU this process may use.
    callback : callable, optional
        Called with an `Iteration` after every one (of searches, every so many sweeps); a true return value ends the search with
        status INTERRUPTED (what has been found is completed and returned without polish).
    progress : bool or callable
        True draws a bar on stderr; a function is called as function(done, total).

    Returns
    -------
    Solution
        Arrays belong to the library of importance.

    Raises
    ------
    ValueError
        NaN, infinity or a magnitude beyond 1e100 in importance (the place is named), lengths that differ, budget, alpha or an
        option out of range; limits that no subset meets, with the reason.
    TypeError
        A wrong type.

    Notes
    -----
    The objective is the paper's (InfoMax, Tan et al., ICLR 2025, arXiv 2506.01701). The solvers are ours:

    - heat-bath: Gibbs sampling of single elements under a chemical potential that holds the count, cooled; the workhorse.
    - swap-annealing: Metropolis swaps of random pairs, cooled.
    - greedy: the best gain first (per cost), lazily with a heap.
    - pgd: projected gradient with step 1 / (2 alpha ||K||_2) and an exact projection.
    - continuation: pgd with alpha raised in four stages.
    - annealed: mean-field annealing, x = 1 / (1 + exp((lambda - gradient) / T)) with sum x = p and T falling.
    - softmax: the same at one temperature: the paper applies a softmax; this is its form at the scale sum x = p (ours).
    - lp: the linear program of the upper bound, rounded; hard to beat where little is kept, of little use elsewhere.

    Relaxed points are rounded pairwise, which loses nothing where K >= 0 because f is convex along every swap (with costs, up
    to one element). The polish is a 1-swap local search, with costs also single additions and removals. With negative
    similarities rounding may lose and, with costs, the polish may miss a swap between neighbours; the rest holds.

    Presolve fixes elements whose gain, whatever else is kept, is beyond that of enough others (bounding after Boether et al.,
    arXiv 2402.16442; our version is proved in csrc/solver/presolve.cpp).

    The upper bound is the smallest of several, float rounding included (all ours, from known parts):

    - modular: no redundancy at all.
    - lp: the dual of a linear program with edge and clique cuts, tightened by small sets of elements solved exactly. Nearly
      tight where little is kept (a tenth, say); always valid.
    - semidefinite: a diagonal, optimised element by element, and triangle inequalities make the problem concave. Close where a
      fifth and more is kept. Proved by Cholesky factors where components have at most 512 elements; otherwise its eigenvalue
      comes from Lanczos processes with random starts, with a margin that is too small with probability at most 1e-12.
      Limits of groups are left out of it, which keeps it valid.
    - diagonal-shift: a uniform diagonal instead, for costs and up to 30,000 elements; the same probability.

    bound="fast" stops the linear program early and leaves out cuts and triangles; where it comes within 2 % the semidefinite
    bound is not tried, and with "linear" it never is. Elements that the reduced costs of the linear program decide are left
    out of a last search (effort "best").

    Where importance and the graph are on a CUDA device, the call is done there: methods pgd, continuation, annealed,
    softmax and auto (continuation and annealed; effort="fast": pgd; "best": all three), a budget, include and exclude.
    Groups, costs, negative similarities, nested paths, SciPy matrices and the other methods are refused: they are for the
    CPU, with importance.cpu() and graph.cpu(). Iterations are those of
    the CPU, bit for bit, below 50,000 elements (above it reorders the elements first); rounding and polish move many pairs
    at a time, so the subset may be another, a local optimum all the same. bound="fast" is the smaller of the modular and the
    diagonal-shift bound; "tight" copies the problem to the CPU and bounds it there. history is a NumPy array; threads and
    progress mean nothing there, and a callback makes every iteration wait for the host.

    The same bits for any thread count (time_limit and callbacks that stop it apart). Where some elements are of equal
    importance all are searched in a random order, so that none is favoured for its number. A sweep of the heat bath costs
    O(n) plus the degrees of the elements that change; memory is some arrays of n float64 beyond the graph, and a copy of the
    part of the graph that is left where elements are fixed or put in order.

    Examples
    --------
    >>> import numpy as np
    >>> import coremax
    >>> graph = coremax.Graph.from_neighbors([[1], [0], [0]], [[0.9], [0.9], [0.1]])
    >>> coremax.solve(np.array([1.0, 0.8, 0.5]), graph, 2, alpha=1.0).indices
    array([0, 2])
    """
    checks.as_flag(polish, "polish")
    method, effort, bound = check_options(alpha, method, effort, bound, max_iterations)
    inputs = Inputs(importance, graph, threads, x0=getattr(x0, "x", x0))
    limits = _constraints.resolve(inputs.n, budget, include, exclude, groups, group_limits, costs)
    return solve_within(
        inputs,
        limits,
        alpha=alpha,
        method=method,
        effort=effort,
        bound=bound,
        x0=x0,
        polish=polish,
        max_iterations=max_iterations,
        tolerance=tolerance,
        temperature=temperature,
        time_limit=time_limit,
        seed=seed,
        threads=threads,
        callback=callback,
        progress=progress,
    )


@aliased(score="importance")
def solve_path(
    importance: Any, graph: Any, budgets: Sequence[int | float], *, nested: bool = False, **options: Unpack[SolveOptions]
) -> list[Solution]:
    """Solve for many budgets, each from the solution for the next larger one.

    Parameters
    ----------
    importance, graph
        As `solve`.
    budgets : sequence of int or float
        As `solve`, in any order.
    nested : bool
        Keep each subset inside those of the larger budgets. The smaller ones then lose a little against solving them alone;
        upper_bound and gap compare with the best subset, nested or not.
    **options
        Of `solve`, all but x0. Limits hold for every budget.

    Returns
    -------
    list of Solution
        In the order of budgets.

    Raises
    ------
    ValueError, TypeError
        As `solve`.

    Notes
    -----
    Ours. The largest budget is solved as `solve` does; every other one is a warm start, which takes a sixteenth of the sweeps.

    Examples
    --------
    >>> import numpy as np
    >>> import coremax
    >>> graph = coremax.Graph.from_neighbors([[1], [0], [0]], [[0.9], [0.9], [0.1]])
    >>> [len(s.indices) for s in coremax.solve_path(np.array([1.0, 0.8, 0.5]), graph, [1, 2])]
    [1, 2]
    """
    given: dict[str, Any] = {**options}
    for name in given:
        if name not in SolveOptions.__annotations__:
            raise TypeError(f"solve_path() got an unexpected keyword argument {name!r}")
    nested = checks.as_flag(nested, "nested")
    inputs = Inputs(importance, graph, given.get("threads"))
    asked = {name: given.pop(name, None) for name in ("include", "exclude", "groups", "group_limits", "costs")}
    if not isinstance(budgets, (Sequence, np.ndarray)) or isinstance(budgets, str):
        raise TypeError(f"budgets must be a sequence of numbers, got {type(budgets).__name__}")
    limits = [_constraints.resolve(inputs.n, budget, **asked) for budget in budgets]
    solutions: dict[int, Solution] = {}
    kept = None
    for position in sorted(range(len(limits)), key=lambda place: (-limits[place].budget, -limits[place].cost_limit)):
        within = None
        if kept is not None:
            point = np.zeros(inputs.n)
            point[kept] = 1
            given["x0"] = inputs.start(point)
            if nested:
                outside = np.flatnonzero(point == 0)
                try:
                    within = _constraints.resolve(inputs.n, budgets[position], **(asked | {"exclude": outside})).fixed
                except ValueError as error:
                    raise ValueError(f"budget {budgets[position]} inside the subset of the next larger one: {error}") from None
        solutions[position] = solve_within(inputs, limits[position], within, **given)
        kept = inputs.on_host(solutions[position].indices)
    return [solutions[position] for position in range(len(limits))]


class Inputs:
    """Importance and graph in the form the engine takes them, checked once for many calls."""

    def __init__(self, importance: Any, graph: Any, threads: int | None, **others: Any) -> None:
        self.call = cuda.place(importance, graph, **others)
        self.graph = graph
        if self.call is not None:
            self.importance = importance
            self.n = self.call.view(importance, "importance", ndim=1, dtypes=arrays.FLOAT_TYPES, convert_to="float64").shape[0]
            return
        self.importance = arrays.as_array(importance, "importance")
        self.view = arrays.as_view(self.importance, "importance", ndim=1, dtypes=arrays.FLOAT_TYPES, convert_to="float64")
        self.n = self.view.shape[0]
        self.matrix = _matrix_views(graph, self.n, arrays.as_threads(threads))

    def start(self, point: np.ndarray[Any, Any]) -> Any:
        """Bring a starting point to where the problem is."""
        return point if self.call is None else self.call.upload(point, self.importance)

    def on_host(self, array: Any) -> np.ndarray[Any, Any]:
        """View, or copy from the problem's device, an array of a solution."""
        return arrays.as_numpy(array) if self.call is None else graph_cuda.on_host(array)


def solve_within(
    inputs: Inputs,
    limits: _constraints.Limits,
    within: Any = None,
    *,
    alpha: float = 0.3,
    method: Method = "auto",
    effort: Effort = "default",
    bound: Bound | None = "fast",
    x0: Any = None,
    polish: bool = True,
    max_iterations: int | None = None,
    tolerance: float = 1e-6,
    temperature: float | None = None,
    time_limit: float | None = None,
    seed: arrays.Seed = 0,
    threads: int | None = None,
    callback: Callable[[Iteration], object] | None = None,
    progress: Progress = False,
) -> Solution:
    """Solve within limits that are known to be feasible; within [n] of int8 narrows the search further, not the bound."""
    method, effort, bound = check_options(alpha, method, effort, bound, max_iterations)
    progress = as_progress(progress)
    if callback is not None and not callable(callback):
        raise TypeError(f"callback must be a function, got {callback!r}")
    n = inputs.n
    options = {
        "method": method,
        "effort": effort,
        "bound": bound or "none",
        "max_iterations": -1 if max_iterations is None else int(max_iterations),
        "tolerance": arrays.as_real(tolerance, "tolerance", 0.0),
        "temperature": 0.0 if temperature is None else max(arrays.as_real(temperature, "temperature", 0.0), 1e-300),
        "time_limit": 0.0 if time_limit is None else max(arrays.as_real(time_limit, "time_limit", 0.0), 1e-9),
        "polish": checks.as_flag(polish, "polish"),
        "seed": arrays.as_seed(seed),
    }
    telling = None if callback is None else _telling(callback)
    x0 = getattr(x0, "x", x0)
    if inputs.call is not None:
        if within is not None:
            raise ValueError(
                f"nested subsets are found on the CPU only: importance is on {inputs.call.name}; "
                "pass importance.cpu() and graph.cpu()"
            )
        raw, indices, x = cuda.solve_on_device(
            inputs.call, inputs.importance, inputs.graph, limits, float(alpha), x0, options, telling
        )
        if bound == "tight":
            _tighten(raw, inputs, limits, float(alpha), inputs.on_host(indices), threads)
        return _solution(raw, indices, x, raw["history"], bound)
    if x0 is not None:
        x0 = arrays.as_view(x0, "x0", ndim=1, dtypes=["float64"], convert_to="float64")
        arrays.require_length(x0.shape[0], "x0", n, "importance")
    finite = _invalid.naming("importance", lambda: _invalid.bad_values(inputs.importance))
    with finite, reporting(progress, "solve") as report:
        raw = _core.solve(
            inputs.view,
            *inputs.matrix,
            alpha=float(alpha),
            budget=limits.budget,
            cost_limit=limits.cost_limit,
            costs=_optional_view(limits.costs, "costs"),
            groups=_optional_view(limits.groups, "groups"),
            limits=list(limits.ranges),
            fixed=_optional_view(limits.fixed, "fixed"),
            within=_optional_view(within, "within"),
            x0=x0,
            options=options,
            callback=telling,
            threads=arrays.as_threads(threads),
            progress=report,
        )
    indices, x, history = (arrays.like(raw[name], inputs.importance) for name in ("indices", "x", "history"))
    return _solution(raw, indices, x, history, bound)


def _solution(raw: dict[str, Any], indices: Any, x: Any, history: Any, bound: Bound | None) -> Solution:
    upper = raw["upper_bound"] if bound is not None else float("inf")
    scale = max(abs(upper), abs(raw["objective"]))
    gap = float("inf") if bound is None else (upper - raw["objective"]) / scale if scale > 0 else 0.0
    return Solution(
        indices=indices,
        x=x,
        objective=raw["objective"],
        upper_bound=upper,
        gap=gap,
        bound_kind=raw["bound_kind"],
        status=Status(raw["status"]),
        method=raw["method"],
        iterations=raw["iterations"],
        swaps=raw["swaps"],
        n_fixed=raw["fixed"],
        history=history,
        timings=raw["timings"],
    )


def _tighten(
    raw: dict[str, Any], inputs: Inputs, limits: _constraints.Limits, alpha: float, indices: Any, threads: int | None
) -> None:
    """Bound what a device has found on the CPU, from a copy of the problem."""
    importance, graph = inputs.on_host(inputs.importance), inputs.graph.cpu()
    found = np.zeros(inputs.n)
    found[indices] = 1
    bounded = solve_within(
        Inputs(importance, graph, threads),
        limits,
        alpha=alpha,
        method="pgd",
        max_iterations=0,
        polish=False,
        bound="tight",
        x0=found,
        threads=threads,
    )
    if bounded.upper_bound < raw["upper_bound"]:
        raw["upper_bound"] = max(bounded.upper_bound, raw["objective"])
        raw["bound_kind"] = bounded.bound_kind
    raw["timings"]["bound"] = raw["timings"].get("bound", 0.0) + sum(bounded.timings.values())


def _telling(callback: Callable[[Iteration], object]) -> Callable[[str, int, float, float, float], object]:
    def tell(method: str, iteration: int, value: float, bound: float, seconds: float) -> object:
        return callback(Iteration(method, iteration, value, bound if bound < float("inf") else None, seconds))

    return tell


def _optional_view(array: Any, name: str) -> _core.Array | None:
    return None if array is None else _core.import_array(array, name)


def check_options(alpha: Any, method: Any, effort: Any, bound: Any, max_iterations: Any) -> tuple[Method, Effort, Bound | None]:
    """Check what can be checked before a graph is there, and return the names; for this module and `selection`."""
    arrays.as_real(alpha, "alpha", 0.0, 1e100)
    if max_iterations is not None:
        arrays.as_count(max_iterations, "max_iterations", 0, 2**62)
    return (
        arrays.as_choice(method, "method", METHODS),
        arrays.as_choice(effort, "effort", EFFORTS),
        arrays.as_optional_choice(bound, "bound", BOUNDS),
    )


@aliased(score="importance")
def objective(importance: Any, graph: Any, indices: Any, alpha: float = 0.3) -> float:
    """Evaluate f of any subset.

    Parameters
    ----------
    importance : array [n] of float32 or float64
    graph : Graph or SciPy sparse array [n, n]
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
    alpha = arrays.as_real(alpha, "alpha", 0.0, 1e100)
    if (call := cuda.place(importance, graph, indices=indices)) is not None:
        return cuda.objective_on_device(call, importance, graph, indices, alpha)
    view = arrays.as_view(importance, "importance", ndim=1, dtypes=arrays.FLOAT_TYPES, convert_to="float64")
    subset = arrays.as_view(arrays.as_no_mask(indices, "indices"), "indices", ndim=1, dtypes=["int64"], convert_to="int64")
    threads = arrays.as_threads(None)
    matrix = _matrix_views(graph, view.shape[0], threads)
    with _invalid.naming("importance", lambda: _invalid.bad_values(importance)):
        return _core.objective(view, *matrix, subset=subset, alpha=alpha, threads=threads)


def _matrix_views(graph: Any, n: int, threads: int) -> tuple[_core.Array, _core.Array, _core.Array]:
    if not isinstance(graph, Graph):
        if not hasattr(graph, "tocsr"):
            raise TypeError(
                f"graph must be a coremax.Graph or a SciPy sparse array, got {type(graph).__name__}: make one by "
                "Graph.from_scipy, Graph.from_neighbors or Graph.from_csr"
            )
        shape: tuple[int, ...] = getattr(graph, "shape", ())
        if len(shape) != 2 or shape[0] != shape[1]:
            raise ValueError(f"graph must be square, got shape {tuple(shape)}")
        graph = Graph.from_scipy(graph)
    if graph.n != n:
        raise ValueError(f"importance has {n} elements, but graph has {graph.n} rows")
    indptr, indices, values = graph._symmetric(threads)
    return (
        _core.import_array(indptr, "indptr"),
        _core.import_array(indices, "indices"),
        _core.import_array(values, "values"),
    )
