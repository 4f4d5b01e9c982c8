"""Check each bar that the solver is held to, and print pass or fail with the numbers.

python benchmarks/bars_solver.py [--bar NAME ...] [--n N ...] [--sample COUNT] [--instances COUNT] [--seed N]
needs: pip install ".[bench]". Graphs and the values of annealing are kept between runs; the first full run takes an hour.

best      every cell of the grid: effort "best" within 0.1 % of the best of all named methods and annealing (4e7 moves)
default   every cell: effort "default" no worse than "pgd" and "greedy", both polished, and within 0.5 % of the best
exact     200 random instances of at most 60: the optimum in 95 %, never above the bound, mean shortfall 0.1 %
large     1,000,000: 8 s with the bound and 1.5 GB beyond the graph; 100,000: 0.6 s
gap       p/n .1 and less, 20,000, bound "tight": .05 % (uniform, heavy-tailed), .6 % (density), 10 s; 1,000,000: 2 %
middle    p/n .2 to .7: at most half the gap of the uniform spectral shift, maximised by SciPy
path      20 budgets by solve_path in four times the time of one
Percents of cells are of (best - mean of random subsets).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

import coremax
from bench_solver import METHODS
from cases import IMPORTANCES
from harness import machine, timed
from problems import ALPHAS, KEEPS, Cell, Problem, cells, load_graph, load_problem, load_problems, reference, unsupported
from solver_rivals import EXACT_SECONDS, exact_oracle, shift_bound

GRID_GRAPHS = ("clustered", "near-duplicates", "sentences")
ROUNDS = 3
ROUNDING = 1e-6  # percent by which two sums of the same f may differ
# Measured in a process of its own: seconds of cold solves (K is built from the lists each time) and of warm ones, and the peak
# of resident memory above what it was with the graph's lists loaded.
MEASURE = """
import json, sys, time
import coremax, numpy as np
from problems import Cell, load_graph
from cases import IMPORTANCES
cell, rounds = Cell(**json.loads(sys.argv[1])), int(sys.argv[2])
lists = load_graph(cell.graph, cell.n)
importance = IMPORTANCES[cell.importance](lists)
def status(name):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(name))
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")  # VmHWM begins again at what is resident now
before, cold, warm = status("VmRSS"), [], []
for _ in range(rounds):
    graph = coremax.Graph.from_neighbors(lists.neighbors, lists.similarities)
    for seconds in (cold, warm):
        start = time.perf_counter()
        solution = coremax.solve(importance, graph, cell.keep, alpha=cell.alpha)
        seconds.append(time.perf_counter() - start)
        if len(cold) + len(warm) == 1:
            peak = status("VmHWM")
print(json.dumps({"cold": cold, "warm": warm, "bytes": peak - before, "gap": solution.gap, "stages": dict(solution.timings)}))
"""


@dataclass(frozen=True)
class Check:
    """One line of the answer; `passed` is None where it could not be checked."""

    bar: str
    what: str
    passed: bool | None
    numbers: str

    def __str__(self) -> str:
        verdict = {True: "pass", False: "FAIL", None: "----"}[self.passed]
        return f"{verdict}  {self.bar}: {self.what}: {self.numbers}"


def solve(problem: Problem, **options: Any) -> coremax.Solution:
    """Solve and assert that the answer is what it says."""
    solution = coremax.solve(problem.importance, problem.graph, problem.budget, alpha=problem.alpha, **options)
    value = problem.value(solution.indices)
    assert abs(value - solution.objective) <= problem.tolerance(), f"{problem.cell}: f is {value}, not {solution.objective}"
    assert solution.upper_bound >= value - problem.tolerance(), f"{problem.cell}: {solution.upper_bound} is below {value}"
    return solution


def grid(options: argparse.Namespace) -> list[Cell]:
    """Cells of the grid, or a random sample of them, those of a graph together."""
    found = cells(options.n or [5000, 20_000], options.graph or GRID_GRAPHS, IMPORTANCES, KEEPS, ALPHAS)
    if options.sample and options.sample < len(found):
        chosen = set(random.Random(options.seed).sample(range(len(found)), options.sample))
        found = [cell for number, cell in enumerate(found) if number in chosen]
    return found


def summary(bar: str, what: str, shortfalls: dict[Cell, float], limit: float) -> Iterator[Check]:
    """One line for all cells, and one for each of the worst that fail."""
    if not shortfalls:
        yield Check(bar, what, None, "no cells")
        return
    failed = sorted((cell for cell in shortfalls if shortfalls[cell] > limit), key=lambda cell: -shortfalls[cell])
    worst = max(shortfalls, key=lambda cell: shortfalls[cell])
    numbers = (
        f"{len(shortfalls) - len(failed)} of {len(shortfalls)} cells, median {statistics.median(shortfalls.values()):.4f} %, "
        f"worst {shortfalls[worst]:.4f} % ({worst}), limit {limit:g} %"
    )
    yield Check(bar, what, not failed, numbers)
    for cell in failed[:20]:
        yield Check(bar, str(cell), False, f"{shortfalls[cell]:.6f} %")


def check_grid(options: argparse.Namespace) -> Iterator[Check]:
    """Bars "best" and "default", which share all that is solved."""
    efforts = [effort for effort in ("default", "best") if unsupported(effort=effort) is None]
    if not efforts:
        print("this coremax has no effort: its only one is taken for the default")
    shortfalls: dict[str, dict[Cell, float]] = {name: {} for name in ("best", "default", "pgd", "greedy")}
    methods = [method for method in METHODS if method != "auto" and unsupported(method=method) is None]
    seconds: dict[str, list[float]] = {}
    for problem in load_problems(grid(options)):
        values: dict[str, float] = {"annealing": reference(problem).value}
        runs: dict[str, dict[str, Any]] = {method: {"method": method, "bound": None} for method in methods}
        runs |= {f"effort {effort}": {"effort": effort, "bound": None} for effort in efforts} or {
            "effort default": {"bound": None}
        }
        for name, arguments in runs.items():
            took, solution = timed(partial(solve, problem, **arguments))
            values[name] = solution.objective
            seconds.setdefault(name, []).append(took)
        best = max(values.values())
        for effort in efforts or ["default"]:
            shortfalls[effort][problem.cell] = problem.shortfall(best, values[f"effort {effort}"])
        for method in ("pgd", "greedy"):
            if method in values:
                shortfalls[method][problem.cell] = problem.shortfall(best, values["effort default"]) - problem.shortfall(
                    best, values[method]
                )
        if options.verbose:
            leader = max(values, key=lambda name: values[name])
            lacks = ", ".join(f"{name} {problem.shortfall(best, value):.4f}" for name, value in values.items())
            print(f"{problem.cell}: best by {leader}; percent lacking: {lacks}", flush=True)
    yield from summary("best", "effort best below the best known", shortfalls["best"], 0.1)
    yield from summary("default", "effort default below the best known", shortfalls["default"], 0.5)
    for method in ("pgd", "greedy"):
        yield from summary("default", f"effort default below {method} + polish", shortfalls[method], ROUNDING)
    for name, values_of in seconds.items():
        print(f"      seconds, {name}: median {statistics.median(values_of):.3f}, most {max(values_of):.3f}")


def random_instance(seed: int) -> tuple[Any, coremax.Graph, int, float]:
    """An instance of 20 to 60 elements: importance, graph, budget, alpha."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(20, 61))
    graph = coremax.topk_graph(rng.normal(size=(n, 8)).astype(np.float32), int(rng.integers(3, 11)))
    graph = coremax.Graph.from_neighbors(graph.neighbors, np.maximum(graph.similarities, 0))
    importance = [rng.random(n), rng.pareto(2.0, n), np.ones(n)][seed % 3]
    return importance, graph, max(1, round(float(rng.choice(KEEPS)) * n)), float(rng.choice(ALPHAS))


def check_exact(options: argparse.Namespace) -> Iterator[Check]:
    """Bar "exact"."""
    oracle = exact_oracle()
    hits, lacking, above, unproved = 0, [], 0, 0
    for seed in range(options.instances):
        importance, graph, budget, alpha = random_instance(seed)
        k = np.asarray(graph.to_scipy().todense(), dtype=np.float64)
        try:
            optimum = oracle.exact_optimum(importance, k, budget, alpha, time_limit=EXACT_SECONDS)
        except TimeoutError:
            unproved += 1
            continue
        if optimum.bound > optimum.value:
            unproved += 1
            continue
        solution = coremax.solve(importance, graph, budget, alpha=alpha)
        n = len(importance)
        tolerance = 1e-9 * (1 + float(importance.sum()))
        mean = budget * float(importance.mean()) - alpha * budget * (budget - 1) / (n * (n - 1)) * float(k.sum())
        above += solution.objective > solution.upper_bound or optimum.value > solution.upper_bound + tolerance
        hits += solution.objective >= optimum.value - tolerance
        assert solution.objective <= optimum.value + tolerance, f"instance {seed}: {solution.objective} above the optimum"
        spread = optimum.value - mean  # nothing to lose where all subsets are as good
        lacking.append(100 * max(0.0, optimum.value - solution.objective) / spread if spread > tolerance else 0.0)
    proved = len(lacking)
    share = hits / max(proved, 1)
    yield Check("exact", "optimum found", share >= 0.95, f"{hits} of {proved} ({share:.1%}); {unproved} not proved in time")
    yield Check("exact", "optimum above the bound", above == 0, f"{above} of {proved}")
    mean_lacking = statistics.fmean(lacking) if lacking else 0.0
    yield Check("exact", "mean shortfall", mean_lacking <= 0.1, f"{mean_lacking:.4f} %, worst {max(lacking, default=0):.3f} %")


def measure(cell: Cell, rounds: int = ROUNDS) -> dict[str, Any]:
    """Seconds, memory and gap of a solve in a process of its own."""
    load_graph(cell.graph, cell.n)  # it is in the cache afterwards
    command = [sys.executable, "-c", MEASURE, json.dumps(cell.__dict__), str(rounds)]
    folder = os.path.dirname(os.path.abspath(__file__))
    out = subprocess.run(command, check=True, capture_output=True, text=True, cwd=folder).stdout
    found: dict[str, Any] = json.loads(out)
    return found


def check_large(options: argparse.Namespace) -> Iterator[Check]:
    """Bar "large"; the time is that of cold solves, which build K from the neighbour lists."""
    for n, limit in ((1_000_000, 8.0), (100_000, 0.6)):
        if options.n and n not in options.n:
            continue
        found = measure(Cell("clustered", n, "uniform", 0.1, 0.3))
        cold, warm = statistics.median(found["cold"]), statistics.median(found["warm"])
        yield Check(
            "large", f"{n:,}, seconds", cold <= limit, f"{cold:.2f} s, {warm:.2f} s where K is there, limit {limit:g} s"
        )
        print("      stages: " + ", ".join(f"{name} {seconds:.3f}" for name, seconds in found["stages"].items()))
        if n == 1_000_000:
            gigabytes = found["bytes"] / 1e9
            yield Check("large", f"{n:,}, memory", gigabytes <= 1.5, f"{gigabytes:.2f} GB with K, limit 1.5 GB")
            yield Check("gap", f"{n:,}, default effort", found["gap"] <= 0.02, f"{found['gap']:.3%}, limit 2 %")


def check_gap(options: argparse.Namespace) -> Iterator[Check]:
    """Bar "gap"."""
    missing = unsupported(bound="tight")
    limits = {"uniform": 0.0005, "heavy-tailed": 0.0005, "density": 0.006}
    bound = "fast" if missing else "tight"
    if missing:
        print(f"{missing}; the fast bound is shown")
    for n in options.n or [20_000]:
        if n >= 1_000_000:
            continue
        for problem in load_problems(cells([n], ["clustered"], limits, [0.01, 0.05, 0.1], [0.3])):
            seconds, solution = timed(partial(solve, problem, bound=bound))
            limit = limits[problem.cell.importance]
            passed = solution.gap <= limit and seconds <= 10
            numbers = f"{solution.gap:.4%} ({solution.bound_kind}) in {seconds:.2f} s, limits {limit:.2%} and 10 s"
            yield Check("gap", str(problem.cell), None if missing else passed, numbers)
    if not options.n or 1_000_000 in options.n:
        found = measure(Cell("clustered", 1_000_000, "uniform", 0.1, 0.3), rounds=1)
        yield Check("gap", "1,000,000, default effort", found["gap"] <= 0.02, f"{found['gap']:.3%}, limit 2 %")


def check_middle(options: argparse.Namespace) -> Iterator[Check]:
    """Bar "middle": both gaps are to the best value known; judged by the fast bound, the tight one is told."""
    tight = unsupported(bound="tight") is None
    for n in options.n or [20_000]:
        keeps, names = [keep for keep in KEEPS if 0.2 <= keep <= 0.7], ("uniform", "heavy-tailed", "density")
        for problem in load_problems(cells([n], options.graph or ["clustered"], names, keeps, [0.3])):
            solutions = {"fast": solve(problem)} | ({"tight": solve(problem, bound="tight")} if tight else {})
            best = max(reference(problem).value, *(solution.objective for solution in solutions.values()))
            shift = shift_bound(problem)
            assert shift >= best - problem.tolerance(), f"{problem.cell}: the spectral shift gives {shift}, below {best}"
            ratios = {name: (solution.upper_bound - best) / (shift - best) for name, solution in solutions.items()}
            numbers = ", ".join(
                f"{name} {solutions[name].upper_bound:.2f} ({solutions[name].bound_kind}): {ratio:.2f} of the gap"
                for name, ratio in ratios.items()
            )
            told = f"{numbers}; best {best:.2f}, shift {shift:.2f}, limit .5"
            yield Check("middle", str(problem.cell), ratios["fast"] <= 0.5, told)


def check_path(options: argparse.Namespace) -> Iterator[Check]:
    """Bar "path": against the median single solve, and the largest budget's value by both."""
    solve_path: Callable[..., Any] | None = getattr(coremax, "solve_path", None)
    if solve_path is None:
        yield Check("path", "20 budgets", None, f"coremax {coremax.__version__} has no solve_path")
        return
    for n in options.n or [20_000]:
        problem = load_problem(Cell("clustered", n, "uniform", 0.1, 0.3))
        budgets = [round(share * n / 100) for share in range(1, 21)]
        ratios, singles, paths = [], [], []
        for _ in range(ROUNDS):
            one = [timed(partial(coremax.solve, problem.importance, problem.graph, budget)) for budget in budgets]
            seconds, path = timed(partial(solve_path, problem.importance, problem.graph, budgets=budgets))
            single = statistics.median(took for took, _ in one)
            ratios.append(seconds / single)
            singles.append(single)
            paths.append(seconds)
        lacking = max(
            100 * (alone.objective - along.objective) / abs(alone.objective)
            for (_, alone), along in zip(one, path, strict=True)
        )
        ratio = statistics.median(ratios)
        numbers = f"{statistics.median(paths):.2f} s against {statistics.median(singles):.2f} s: {ratio:.1f} times, limit 4; "
        yield Check("path", f"20 budgets of {n:,}", ratio <= 4, numbers + f"objectives at most {lacking:.3f} % lower")


BARS: dict[str, Callable[[argparse.Namespace], Iterator[Check]]] = {
    "grid": check_grid,
    "exact": check_exact,
    "large": check_large,
    "gap": check_gap,
    "middle": check_middle,
    "path": check_path,
}


def main() -> None:
    """Print each line as soon as it is known; ends with status 1 where a bar fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bar", nargs="+", choices=BARS, default=list(BARS), help='"grid" is best and default')
    parser.add_argument("--n", type=int, nargs="+", help="only at these sizes")
    parser.add_argument("--graph", nargs="+", help="graphs of the grid and of middle")
    parser.add_argument("--sample", type=int, help="so many random cells of the grid")
    parser.add_argument("--instances", type=int, default=200, help="of the bar exact")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--verbose", action="store_true", help="a line for each cell of the grid")
    options = parser.parse_args()
    print(machine(), flush=True)
    failed = 0
    for name in options.bar:
        for check in BARS[name](options):
            print(check, flush=True)
            failed += check.passed is False
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
