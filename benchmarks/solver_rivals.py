"""The solver's problem by others: adapters, each with the same problem, and the bound that others could have.

Greedy libraries have no term for the importance, but the graph-cut function
    c sum_{v in V} sum_{x in X} s_vx - sum_{x, y in X} s_xy
over S = K + diag(d) is sum_x (c r_x + (c - 1) d_x) - sum_{x != y} K_xy, with r the row sums of K: the d that makes the first
sum I / alpha expresses f exactly, up to a constant per element that keeps d positive and changes no choice.
"""

from __future__ import annotations

import heapq
import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import util
from pathlib import Path
from typing import Any

import numpy as np

from cases import Reals
from problems import MOVES, Indices, Problem

ITERATIONS = 300
EXACT_SECONDS = 10.0  # an instance: what is not proved by then does not count


@dataclass(frozen=True)
class Rival:
    """A way of others to choose a subset."""

    name: str
    module: str
    find: Callable[[Problem], Indices]
    most_rows: int = 10**9  # beyond, it takes minutes or memory it has not
    optimal: bool = False  # whether its answer is the optimum


def installed(module: str) -> bool:
    """Whether a module can be imported."""
    return util.find_spec(module) is not None


def project(y: Reals, budget: int) -> Reals:
    """Nearest point of {0 <= x <= 1, sum x = budget}: clip(y - tau), tau by Newton's method between bounds."""
    low, high = float(y.min()) - 1, float(y.max())
    tau = (float(y.sum()) - budget) / len(y)
    for _ in range(100):
        x = np.clip(y - tau, 0, 1)
        excess = float(x.sum()) - budget
        if abs(excess) <= 1e-10 * budget:
            break
        low, high = (tau, high) if excess > 0 else (low, tau)
        free = np.count_nonzero((x > 0) & (x < 1))
        tau = tau + excess / free if free else (low + high) / 2
        if not low < tau < high:
            tau = (low + high) / 2
    return x


def numpy_pgd(problem: Problem) -> Indices:
    """Projected gradient in NumPy and SciPy: 300 steps of 1 / L, L from the spectral norm, then the largest are taken."""
    linalg = importlib.import_module("scipy.sparse.linalg")
    norm = abs(float(linalg.eigsh(problem.k, k=1, which="LM", tol=1e-3, return_eigenvectors=False)[0]))
    step = 1 / (2 * problem.alpha * max(1.01 * norm, 1e-12))
    x = np.full(problem.n, problem.budget / problem.n)
    for _ in range(ITERATIONS):
        x = project(x + step * (problem.importance - 2 * problem.alpha * (problem.k @ x)), problem.budget)
    return np.sort(np.argsort(-x, kind="stable")[: problem.budget])


def polished_pgd(problem: Problem) -> Indices:
    """Add the 1-swap local search of `annealing` to that."""
    annealing = importlib.import_module("annealing")
    found: Indices = annealing.local_search(problem.importance, problem.k, numpy_pgd(problem), problem.alpha)
    return found


def annealed(problem: Problem, moves: float) -> Indices:
    """Simulated annealing over swaps, then local search."""
    annealing = importlib.import_module("annealing")
    found: Indices = annealing.anneal(problem.importance, problem.k, problem.budget, problem.alpha, moves)
    return found


def _kernel(problem: Problem, c: float) -> Any:
    """S such that graph cut with weight c is f / alpha (see above)."""
    sparse = importlib.import_module("scipy.sparse")
    diagonal = (problem.importance / problem.alpha - c * np.asarray(problem.k.sum(axis=1)).ravel()) / (c - 1)
    diagonal += 1e-3 - min(float(diagonal.min()), 0)
    return sparse.csr_matrix(problem.k + sparse.diags(diagonal))


def apricot_greedy(problem: Problem) -> Indices:
    """`GraphCutSelection` with its lazy optimizer."""
    apricot = importlib.import_module("apricot")
    selector = apricot.GraphCutSelection(problem.budget, metric="precomputed", alpha=2, optimizer="lazy")
    return np.sort(np.asarray(selector.fit(_kernel(problem, 2)).ranking, dtype=np.int64))


def submodlib_greedy(problem: Problem) -> Indices:
    """`GraphCutFunction`, sparse, with LazyGreedy; its lambda is 1 / c. It wants budget < n."""
    submodlib = importlib.import_module("submodlib")
    kernel = _kernel(problem, 2)
    most = int(np.diff(kernel.indptr).max())
    function = submodlib.GraphCutFunction(problem.n, "sparse", 0.5, ggsijs=kernel, num_neighbors=most)
    chosen = function.maximize(problem.budget, optimizer="LazyGreedy", show_progress=False)
    return np.sort(np.array([i for i, _ in chosen], dtype=np.int64))


def python_greedy(problem: Problem) -> Indices:
    """Lazy greedy with a heap in plain Python: where neither library is installed."""
    indptr, indices = problem.k.indptr.tolist(), problem.k.indices.tolist()
    cost = (2 * problem.alpha * problem.k.data).tolist()
    gain = problem.importance.tolist()
    heap = [(-value, i) for i, value in enumerate(gain)]
    heapq.heapify(heap)
    chosen: list[int] = []
    while len(chosen) < problem.budget:
        value, i = heapq.heappop(heap)
        if -value > gain[i]:
            heapq.heappush(heap, (-gain[i], i))
            continue
        chosen.append(i)
        for e in range(indptr[i], indptr[i + 1]):
            gain[indices[e]] -= cost[e]
    return np.sort(np.array(chosen, dtype=np.int64))


def top(problem: Problem) -> Indices:
    """Take the largest importance."""
    return np.sort(np.argsort(-problem.importance, kind="stable")[: problem.budget])


def exact_oracle() -> Any:
    """Return the module of the tests with exact optima."""
    folder = str(Path(__file__).resolve().parent.parent / "tests")
    if folder not in sys.path:
        sys.path.append(folder)
    return importlib.import_module("oracles.exact")


def exact(problem: Problem) -> Indices:
    """The optimum by HiGHS; raises TimeoutError where it is not proved within EXACT_SECONDS."""
    limit = {"time_limit": EXACT_SECONDS}
    found = exact_oracle().exact_optimum(problem.importance, problem.k.toarray(), problem.budget, problem.alpha, **limit)
    if found.bound > found.value:
        raise TimeoutError(f"not proved within {EXACT_SECONDS:g} s")
    return np.asarray(found.subset)


RIVALS = (
    Rival("top", "numpy", top),
    Rival("NumPy PGD", "scipy", numpy_pgd, most_rows=100_000),
    Rival("NumPy PGD + local search", "numba", polished_pgd, most_rows=100_000),
    Rival("apricot lazy greedy", "apricot", apricot_greedy, most_rows=20_000),
    Rival("submodlib lazy greedy", "submodlib", submodlib_greedy, most_rows=20_000),
    Rival("annealing 1e7", "numba", partial(annealed, moves=1e7)),
    Rival("annealing 4e7", "numba", partial(annealed, moves=MOVES)),
    Rival("exact (HiGHS)", "scipy", exact, most_rows=60, optimal=True),
)
PYTHON_GREEDY = Rival("Python lazy greedy", "numpy", python_greedy, most_rows=100_000)


def rivals() -> list[Rival]:
    """Every rival that is installed; says which are not."""
    found = []
    for rival in RIVALS:
        if installed(rival.module):
            found.append(rival)
        else:
            print(f"skipped: {rival.name}: {rival.module} is not installed")
    if not any(rival.module in ("apricot", "submodlib") for rival in found):
        found.append(PYTHON_GREEDY)
    return found


def shift_bound(problem: Problem, iterations: int = 500, tolerance: float = 1e-4) -> float:
    """The upper bound of the uniform spectral shift, d = -lambda_min(K): the concave majorant, maximised.

    h(x) = (I + alpha d)'x - alpha x'(K + d)x is concave and equals f on subsets, so h(x) + max_s <grad h(x), s - x> is a bound
    at any x: the least one along an accelerated projected gradient with restarts (O'Donoghue and Candes 2015), until
    it is within `tolerance` of the best h, relative to h above random.
    """
    linalg = importlib.import_module("scipy.sparse.linalg")
    lowest = float(linalg.eigsh(problem.k, k=1, which="SA", tol=1e-6, return_eigenvectors=False)[0])
    largest = float(linalg.eigsh(problem.k, k=1, which="LA", tol=1e-3, return_eigenvectors=False)[0])
    shift = -lowest * (1 + 1e-5) + 1e-9
    linear = problem.importance + problem.alpha * shift
    step = 1 / (2 * problem.alpha * (1.01 * largest + shift))
    x = previous = np.full(problem.n, problem.budget / problem.n)
    bound, momentum, best = np.inf, 1.0, -np.inf
    for _ in range(iterations):
        kx = problem.k @ x + shift * x
        gradient = linear - 2 * problem.alpha * kx
        value = float(linear @ x - problem.alpha * (x @ kx))
        chosen = np.partition(gradient, problem.n - problem.budget)[problem.n - problem.budget :]
        bound = min(bound, value + float(chosen.sum()) - float(gradient @ x))
        best = max(best, value)
        if bound - best <= tolerance * max(best - problem.random, 1e-12):
            break
        following = (1 + (1 + 4 * momentum * momentum) ** 0.5) / 2
        current = project(x + step * gradient, problem.budget)
        if float(gradient @ (current - previous)) < 0:
            following = momentum = 1.0
        x = current + (momentum - 1) / following * (current - previous)
        previous, momentum = current, following
    return bound
