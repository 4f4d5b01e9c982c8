"""Instances of the solver's problem: graphs kept on disk, budgets, values in float64, and the best value known of each."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

import coremax
from cases import IMPORTANCES, SOLVER_GRAPHS, Reals
from harness import CACHE_FOLDER, timed

KEEPS = (0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9)
ALPHAS = (0.1, 0.3, 1.0, 3.0)
K = 10
MOST_EXACT_ROWS = 200_000  # beyond, the graph is approximate: its neighbours are near enough, and it takes seconds
MOVES = 40_000_000
# Of what is kept on disk: another number where graphs or the annealing change.
CACHE_VERSION = 1
BEST_KNOWN = CACHE_FOLDER / f"solver-best-{CACHE_VERSION}.json"
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Cell:
    """One instance by name."""

    graph: str
    n: int
    importance: str
    keep: float
    alpha: float

    def __str__(self) -> str:
        return f"{self.graph} {self.n}, {self.importance}, keep {self.keep:g}, alpha {self.alpha:g}"


@dataclass(frozen=True)
class Problem:
    """One instance; `k` is the graph's K as a SciPy CSR array of float64, `random` the mean f of random subsets."""

    cell: Cell
    graph: coremax.Graph
    importance: Reals
    k: Any
    budget: int
    random: float

    @property
    def n(self) -> int:
        """Elements to choose from."""
        return len(self.importance)

    @property
    def alpha(self) -> float:
        """Weight of the redundancy."""
        return self.cell.alpha

    def value(self, indices: Any) -> float:
        """Return f in float64, after asserting that the subset has the right number of distinct elements."""
        subset = np.asarray(indices)
        assert len(subset) == self.budget, f"{self.cell}: {len(subset)} elements, not {self.budget}"
        z = np.zeros(self.n)
        z[subset] = 1
        assert z.sum() == self.budget, f"{self.cell}: repeated elements"
        return float(self.importance @ z - self.alpha * (z @ (self.k @ z)))

    def tolerance(self) -> float:
        """How far two sums of the same f may differ by rounding."""
        return 1e-12 * (1 + float(np.abs(self.importance).sum()) + 2 * self.alpha * float(abs(self.k).sum()))

    def shortfall(self, best: float, value: float) -> float:
        """Percent of (best - random) that a value lacks."""
        return 100 * (best - value) / max(best - self.random, 1e-300)


@functools.lru_cache(maxsize=2)
def load_graph(name: str, n: int) -> coremax.Graph:
    """Return the graph (k = 10) from the cache, or build and keep it; real data may have fewer rows than n."""
    path = CACHE_FOLDER / f"graph-{CACHE_VERSION}-{name}-{n}.npz"
    if path.is_file():
        return coremax.Graph.load(path)
    x = SOLVER_GRAPHS[name](n)
    if len(x) < n:
        raise FileNotFoundError(f"{name} has {len(x):,} rows, not {n:,}")
    graph = coremax.topk_graph(x, K, mode="approximate" if n > MOST_EXACT_ROWS else "exact")
    CACHE_FOLDER.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}.unfinished")
    graph.save(unfinished)
    unfinished.replace(path)
    return graph


@functools.lru_cache(maxsize=2)
def _matrix(name: str, n: int) -> Any:
    return load_graph(name, n).to_scipy().astype(np.float64)


def load_problem(cell: Cell) -> Problem:
    """Build one instance; raises FileNotFoundError where its data are not there."""
    graph, k = load_graph(cell.graph, cell.n), _matrix(cell.graph, cell.n)
    importance, budget = IMPORTANCES[cell.importance](graph), max(1, round(cell.keep * cell.n))
    pairs = budget * (budget - 1) / max(1, cell.n * (cell.n - 1))
    random = budget * float(importance.mean()) - cell.alpha * pairs * float(k.sum())
    return Problem(cell, graph, importance, k, budget, random)


def load_problems(cells: Iterable[Cell]) -> Iterator[Problem]:
    """Build instances one after the other, and say which can not be."""
    missing: set[tuple[str, int]] = set()
    for cell in cells:
        if (cell.graph, cell.n) in missing:
            continue
        try:
            problem = load_problem(cell)
        except FileNotFoundError as error:
            print(f"skipped: {cell.graph} of {cell.n:,}: {error}", flush=True)
            missing.add((cell.graph, cell.n))
        else:
            yield problem


def cells(
    sizes: Iterable[int], graphs: Iterable[str], importances: Iterable[str], keeps: Iterable[float], alphas: Iterable[float]
) -> list[Cell]:
    """All combinations, those of a graph together."""
    return [Cell(graph, n, *rest) for n, graph, *rest in product(sizes, graphs, importances, keeps, alphas)]  # type: ignore[arg-type]


@dataclass(frozen=True)
class Reference:
    """What annealing found, and what it took."""

    value: float
    seconds: float


def reference(problem: Problem) -> Reference:
    """Return the value of simulated annealing with 4e7 moves, kept between runs."""
    known = json.loads(BEST_KNOWN.read_text(encoding="utf-8")) if BEST_KNOWN.is_file() else {}
    name = f"{problem.cell}, {MOVES:g} moves"
    if name not in known:
        from annealing import anneal

        seconds, found = timed(lambda: anneal(problem.importance, problem.k, problem.budget, problem.alpha, MOVES))
        known[name] = [problem.value(found), seconds]
        unfinished = BEST_KNOWN.with_suffix(f".{os.getpid()}.unfinished")
        unfinished.write_text(json.dumps(known, indent=0), encoding="utf-8")
        unfinished.replace(BEST_KNOWN)
    return Reference(*known[name])


@functools.lru_cache(maxsize=100)
def unsupported(**options: Any) -> str | None:
    """Why the installed coremax refuses options of `solve`; None where it takes them."""
    graph = coremax.Graph.from_neighbors([[1], [0], [0]], np.full((3, 1), 0.5))
    try:
        coremax.solve(np.ones(3), graph, 1, **options)
    except (TypeError, ValueError) as error:
        return f"coremax {coremax.__version__} does not take {options}: {error}"
    return None
