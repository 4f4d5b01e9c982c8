"""The solver, every method and effort, against rivals and annealing: values checked in float64 before anything is timed.

python benchmarks/bench_solver.py [--small] [--grid] [--n N ...] [--keep P ...] [--alpha A ...] [--importance NAME ...]
    [--graph NAME ...] [--only TEXT ...] [--rounds N] [--cap SECONDS] [--json FILE]
needs: pip install ".[bench]"; Debian's dataset-fashion-mnist and `sentences.py` for the graphs of real data
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import coremax
import coremax.solver
import solver_rivals
from cases import IMPORTANCES, SOLVER_GRAPHS
from harness import Timing, interleave, machine, print_table, timed
from problems import ALPHAS, KEEPS, Cell, Indices, Problem, cells, load_problems, unsupported

# Those of the plan, and any more that this build has.
METHODS = tuple(
    dict.fromkeys(("pgd", "annealed", "continuation", "greedy", "swap-annealing", "lp", "softmax", *coremax.solver.METHODS))
)
EFFORTS = ("fast", "default", "best")
# What takes part of coremax, by name: options of `solve`.
OURS: dict[str, dict[str, Any]] = {
    "auto": {},
    **{f"auto, effort {effort}": {"effort": effort} for effort in EFFORTS if effort != "default"},
    "auto, bound tight": {"bound": "tight"},
    **{method: {"method": method} for method in METHODS if method != "auto"},
}
HEADER = ["instance", "contestant", "seconds (band)", "f", "shortfall", "upper bound", "gap", "bound by"]


@dataclass(frozen=True)
class Contestant:
    """Something that chooses a subset."""

    name: str
    run: Callable[[], Indices | coremax.Solution]
    optimal: bool = False


@dataclass(frozen=True)
class Result:
    """One contestant in one cell, as it is kept."""

    graph: str
    n: int
    importance: str
    keep: float
    alpha: float
    contestant: str
    seconds: tuple[float, ...]
    value: float
    shortfall: float  # percent of (best - random)
    best: float
    random: float
    upper_bound: float | None
    gap: float | None
    bound_kind: str | None
    chosen_by: str | None
    status: str | None
    stages: dict[str, float] | None

    def row(self) -> list[str]:
        """Cells of the table."""
        return [
            str(Cell(self.graph, self.n, self.importance, self.keep, self.alpha)),
            self.contestant + (f" (by {self.chosen_by})" if self.chosen_by and self.chosen_by not in self.contestant else ""),
            str(Timing(self.seconds)),
            f"{self.value:.3f}",
            f"{self.shortfall:.4f} %",
            "" if self.upper_bound is None else f"{self.upper_bound:.3f}",
            "" if self.gap is None else f"{self.gap:.4%}",
            self.bound_kind or "",
        ]


def wanted(name: str, only: list[str]) -> bool:
    """Whether a contestant was asked for."""
    return any(text in name for text in only)


def ours(problem: Problem, names: dict[str, dict[str, Any]]) -> Iterator[Contestant]:
    """Contestants of coremax, those that this build has."""
    for name, options in names.items():
        solve = partial(coremax.solve, problem.importance, problem.graph, problem.budget, alpha=problem.alpha, **options)
        yield Contestant(f"coremax {name}", solve)


def check(problem: Problem, firsts: dict[str, Any], optimal: set[str]) -> dict[str, float]:
    """Assert that subsets are feasible, values true and bounds bounds; returns the values."""
    values = {name: problem.value(getattr(found, "indices", found)) for name, found in firsts.items()}
    best, tolerance = max(values.values()), problem.tolerance()
    for name, found in firsts.items():
        if isinstance(found, coremax.Solution):
            assert abs(found.objective - values[name]) <= tolerance, f"{problem.cell}: {name}: f is {values[name]}"
            assert found.upper_bound >= best - tolerance, f"{problem.cell}: {name}: {found.upper_bound} is below {best}"
            assert found.gap >= 0, f"{problem.cell}: {name}: gap {found.gap}"
        if name in optimal:
            assert values[name] >= best - tolerance, f"{problem.cell}: {name} is {values[name]}, below {best}"
    return values


def run(problem: Problem, options: argparse.Namespace, too_slow: dict[str, int], rivals: list[Any]) -> list[Result]:
    """One cell: first a run of each that is checked, then interleaved rounds."""
    coremax.solve(problem.importance, problem.graph, problem.budget, max_iterations=0, polish=False, bound=None)  # builds K
    contestants = list(ours(problem, options.ours))
    contestants += [
        Contestant(rival.name, partial(rival.find, problem), rival.optimal)
        for rival in rivals
        if wanted(rival.name, options.only) and problem.n <= min(rival.most_rows, too_slow.get(rival.name, 10**9))
    ]
    firsts: dict[str, Any] = {}
    first_seconds: dict[str, float] = {}
    for contestant in contestants:
        try:
            first_seconds[contestant.name], firsts[contestant.name] = timed(contestant.run)
        except TimeoutError as error:
            print(f"skipped: {contestant.name} in {problem.cell}: {error}")
            continue
        if first_seconds[contestant.name] > options.cap and not contestant.name.startswith("coremax"):
            print(f"{contestant.name} took {first_seconds[contestant.name]:.0f} s: left out of cells larger than {problem.n:,}")
            too_slow[contestant.name] = problem.n
    values = check(problem, firsts, {contestant.name for contestant in contestants if contestant.optimal})
    rounds = {name: min(options.rounds, int(options.cap / seconds)) for name, seconds in first_seconds.items()}
    timed_again = {contestant.name: contestant.run for contestant in contestants if rounds[contestant.name]}
    timings = interleave(timed_again, rounds, warm_up=False) if timed_again else {}
    best = max(values.values())
    return [
        result(problem, name, firsts[name], values[name], best, timings.get(name, Timing((first_seconds[name],))).seconds)
        for name in firsts
    ]


def result(problem: Problem, name: str, found: Any, value: float, best: float, seconds: tuple[float, ...]) -> Result:
    """Put together what is known of one contestant."""
    solution = found if isinstance(found, coremax.Solution) else None
    return Result(
        **asdict(problem.cell),
        contestant=name,
        seconds=seconds,
        value=value,
        shortfall=problem.shortfall(best, value),
        best=best,
        random=problem.random,
        upper_bound=solution.upper_bound if solution else None,
        gap=solution.gap if solution else None,
        bound_kind=solution.bound_kind if solution else None,
        chosen_by=solution.method if solution else None,
        status=solution.status.value if solution else None,
        stages=dict(solution.timings) if solution else None,
    )


def arguments() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="instances that take seconds in all: correctness")
    parser.add_argument("--grid", action="store_true", help="every share, weight, importance and kind of graph at --n (5,000)")
    parser.add_argument("--n", type=int, nargs="+", help="elements; default 5,000 and 20,000")
    parser.add_argument("--keep", type=float, nargs="+", help="shares kept; default .1 .3 .5")
    parser.add_argument("--alpha", type=float, nargs="+", help="weights of redundancy; default .3")
    parser.add_argument("--importance", nargs="+", choices=IMPORTANCES, help="default uniform density")
    parser.add_argument("--graph", nargs="+", choices=SOLVER_GRAPHS, help="default clustered near-duplicates sentences")
    parser.add_argument("--only", nargs="*", default=[""], help="contestants whose names contain one of these")
    parser.add_argument("--rounds", type=int, default=2, help="even; 0: the first run is what is timed")
    parser.add_argument("--cap", type=float, default=60, help="seconds of rounds a contestant may take; slower rivals drop out")
    parser.add_argument("--json", type=Path, help="append results to this file, a line each")
    options = parser.parse_args()
    if options.rounds < 0 or options.rounds % 2:
        parser.error(f"--rounds must be even, got {options.rounds}")
    if options.cap <= 0:
        parser.error(f"--cap must be above 0, got {options.cap:g}")
    if options.small:
        options.rounds = 0
    return options


def wanted_cells(options: argparse.Namespace) -> list[Cell]:
    """Cells as the options say."""
    graphs = ["clustered", "near-duplicates"] + ([] if options.small else ["sentences"])
    if options.small:
        sizes, keeps, alphas, importances = [20, 600], [0.05, 0.3, 0.7], [1.0], ["uniform", "density"]
    elif options.grid:
        sizes, keeps, alphas, importances = [5000], list(KEEPS), list(ALPHAS), list(IMPORTANCES)
    else:
        sizes, keeps, alphas, importances = [5000, 20_000], [0.1, 0.3, 0.5], [0.3], ["uniform", "density"]
    return cells(
        options.n or sizes,
        options.graph or graphs,
        options.importance or importances,
        options.keep or keeps,
        options.alpha or alphas,
    )


def available(only: list[str]) -> dict[str, dict[str, Any]]:
    """What of coremax takes part; says what this build lacks."""
    found = {name: options for name, options in OURS.items() if wanted(f"coremax {name}", only)}
    reasons = {name: unsupported(**options) for name, options in found.items()}
    for name, reason in reasons.items():
        if reason:
            print(f"skipped: {name}: {reason}")
    return {name: options for name, options in found.items() if not reasons[name]}


def main() -> None:
    """Print the table; results are kept after each cell."""
    options = arguments()
    load = os.getloadavg()[0]
    options.ours = available(options.only)
    rivals = solver_rivals.rivals()
    if options.small:  # slow, and the others say as much about correctness
        rivals = [rival for rival in rivals if rival.name not in ("annealing 4e7", "apricot lazy greedy")]
    too_slow: dict[str, int] = {}
    results: list[Result] = []
    grid = wanted_cells(options)
    for number, problem in enumerate(load_problems(grid)):
        found = run(problem, options, too_slow, rivals)
        results += found
        leader = min(found, key=lambda one: one.shortfall).contestant if found else "nobody"
        print(f"{number + 1} of {len(grid)}: {problem.cell}: best by {leader}", flush=True)
        if options.json:
            with open(options.json, "a", encoding="utf-8") as file:
                file.writelines(json.dumps({**asdict(one), "machine": machine(), "load": load}) + "\n" for one in found)
    print(f"\n{machine()}; load {load:.1f} before. k = 10; medians of {options.rounds} interleaved rounds after a run")
    print("of each that was checked (0: of that run). Shortfall: percent of (best f in the cell - mean of random subsets).\n")
    print_table(HEADER, [one.row() for one in results])


if __name__ == "__main__":
    main()
