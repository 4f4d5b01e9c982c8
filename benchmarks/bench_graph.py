"""The graph, exact and approximate, against every rival installed: same rows, k and threads, results checked before timed.

python benchmarks/bench_graph.py [--small] [--rounds N] [--case NAME] [--only TEXT] [--json FILE]
needs: pip install ".[bench]"; Debian's dataset-fashion-mnist and `sentences.py` for the two cases of real data
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

import numpy as np

import coremax
import rivals
from cases import GRAPH_CASES, Case, Rows
from harness import Timing, interleave, machine, median_ratio, peaks, print_table, timed
from recall import N_SAMPLED, Answers
from rivals import Lists, Task

SMALL = 2_000
WANTED = 0.95
SAMPLING_ERROR = 0.02  # of a recall seen in 1,000 rows: four standard deviations where rows differ by .16
EXACT_RECALL = 0.999
MOST_EXACT_ROWS = 200_000  # of approximate cases in which the exact graph takes part
# What an instruction-set level is measured by, where not by the float32 peak. Levels that filter in lower precision, and by
# symmetry compute each pair once, may exceed that.
UNITS = {"amx": "bfloat16"}
HEADER = [
    "case",
    "contestant",
    "seconds (band)",
    "rounds",
    "time / coremax",
    "2 n^2 d GFLOP/s",
    "share of measured peak",
    "recall",
]


@dataclass(frozen=True)
class Contestant:
    """Something that finds neighbours, and what they must be like."""

    name: str
    run: Callable[[], Lists | coremax.Graph]
    least_recall: float
    unit: str | None = None  # whose peak it is measured by; None: it does not compare all pairs
    settings: str = ""


@dataclass(frozen=True)
class First:
    """The run of a contestant that is checked and does not count."""

    seconds: float
    found: Lists
    recall: float
    estimate: float | None


@dataclass(frozen=True)
class Result:
    """One contestant in one case, as it is kept."""

    case: str
    n: int
    d: int
    k: int
    metric: str
    approximate: bool
    contestant: str
    settings: str
    seconds: tuple[float, ...]
    first_seconds: float
    ratio: float | None
    gflops: float | None
    share_of_peak: float | None
    unit: str | None
    recall: float
    estimate: float | None

    def row(self) -> list[str]:
        """Cells of the table."""
        share = "" if self.share_of_peak is None else f"{self.share_of_peak:.0%} of {self.unit}"
        return [
            f"{self.case}: {self.n:,} x {self.d}, k = {self.k}, {self.metric}",
            self.contestant + (f" ({self.settings})" if self.settings else ""),
            str(Timing(self.seconds)),
            str(len(self.seconds)),
            "" if self.ratio is None else f"{self.ratio:.2f}",
            "" if self.gflops is None else f"{self.gflops:.0f}",
            share,
            f"{self.recall:.4f}" + (f" (estimate {self.estimate:.4f})" if self.estimate not in (None, 1) else ""),
        ]


def coremax_exact(x: Rows, case: Case) -> Iterator[Contestant]:
    """Every instruction-set level but the scalar one, the default first."""
    config = coremax.show_config("dicts")
    for isa in sorted(set(config["isas"]) - {"scalar"}, key=lambda name: name != config["isa"]):
        run = partial(coremax.topk_graph, x, case.k, metric=case.metric, isa=isa)
        yield Contestant(f"coremax {isa}", run, EXACT_RECALL, UNITS.get(isa, "float32"))


def coremax_approximate(x: Rows, case: Case) -> Iterator[Contestant]:
    """The approximate mode, where this build has one."""
    try:
        coremax.topk_graph(x[:100], case.k, mode="approximate")
    except ValueError as error:
        print(f"skipped: coremax approximate: {error}")
        return
    wanted: dict[str, Any] = {"mode": "approximate", "recall": WANTED}
    yield Contestant("coremax approximate", partial(coremax.topk_graph, x, case.k, **wanted), WANTED - SAMPLING_ERROR)


def exact_contestants(x: Rows, case: Case, task: Task) -> Iterator[Contestant]:
    """Every level of coremax and every exact rival that can take part."""
    yield from coremax_exact(x, case)
    for rival in rivals.EXACT:
        if not rivals.installed(rival.module):
            print(f"skipped: {rival.name}: not installed")
        elif case.metric not in rival.metrics:
            print(f"skipped: {rival.name}: has no {case.metric}")
        elif len(x) > rival.most_rows:
            print(f"skipped: {rival.name}: too slow for more than {rival.most_rows:,} rows")
        else:
            yield Contestant(rival.name, partial(rival.find, task), 0 if rival.filtered else EXACT_RECALL, rival.unit)


def wanted(name: str, only: list[str]) -> bool:
    """Whether a contestant was asked for."""
    return any(text in name for text in only)


def approximate_contestants(x: Rows, case: Case, task: Task, answers: Answers, only: list[str]) -> Iterator[Contestant]:
    """The approximate mode, the exact one where it is feasible, and every approximate rival with its settings tuned."""
    yield from coremax_approximate(x, case)
    if len(x) <= MOST_EXACT_ROWS:
        yield next(coremax_exact(x, case))
    for rival in rivals.APPROXIMATE:
        if not rivals.installed(rival.module):
            print(f"skipped: {rival.name}: not installed")
        elif wanted(rival.name, only):
            settings, run = rivals.tuned(rival, task, answers, WANTED)
            yield Contestant(rival.name, run, 0, settings=settings)


def first_run(contestant: Contestant, answers: Answers) -> First:
    """Run once and assert that the answer is right, and that coremax knows how right it is."""
    seconds, graph = timed(contestant.run)
    found = graph.neighbors if isinstance(graph, coremax.Graph) else graph
    estimate = graph.stats.recall if isinstance(graph, coremax.Graph) and graph.stats else None
    recall = answers.recall(found[answers.rows])
    assert recall >= contestant.least_recall, f"{contestant.name}: recall {recall:.4f} is below {contestant.least_recall}"
    assert estimate is None or abs(estimate - recall) <= SAMPLING_ERROR, f"{contestant.name}: recall {recall} is not {estimate}"
    return First(seconds, found, recall, estimate)


def run(name: str, case: Case, options: argparse.Namespace, peak: dict[str, float]) -> list[Result]:
    """One case: first a run of each that is checked, then interleaved rounds."""
    x = case.make(min(case.n, SMALL) if options.small else case.n)
    unit_rows = x / np.linalg.norm(x, axis=1, keepdims=True) if case.metric == "cosine" else x
    task = Task(unit_rows, case.k, case.metric, coremax.show_config("dicts")["threads"])
    answers = Answers(x, case.k, case.metric)
    if case.approximate:
        found = approximate_contestants(x, case, task, answers, options.only)
    else:
        found = exact_contestants(x, case, task)
    contestants = [contestant for contestant in found if wanted(contestant.name, options.only)]
    firsts = [first_run(contestant, answers) for contestant in contestants]
    ours = [first.found for first in firsts if first.estimate == 1]
    assert all((lists == ours[0]).all() for lists in ours), "the levels of coremax differ"
    rounds = {
        contestant.name: max(2, min(options.rounds, 2 * int(options.cap / first.seconds / 2)))
        for contestant, first in zip(contestants, firsts, strict=True)
    }
    timings = interleave({contestant.name: contestant.run for contestant in contestants}, rounds, warm_up=False)
    base = next((timing for contestant, timing in timings.items() if contestant.startswith("coremax")), None)
    shape = (name, *x.shape, case.k, case.metric, case.approximate)
    return [
        result(shape, contestant, first, timings[contestant.name], base, peak)
        for contestant, first in zip(contestants, firsts, strict=True)
    ]


def result(
    shape: tuple[str, int, int, int, str, bool],
    contestant: Contestant,
    first: First,
    timing: Timing,
    base: Timing | None,
    peak: dict[str, float],
) -> Result:
    """Put together what is known of one contestant."""
    _, n, d, *_ = shape
    limit = peak.get(contestant.unit or "")
    gflops = 2 * n * n * d / timing.median / 1e9 if contestant.unit else None
    return Result(
        *shape,
        contestant=contestant.name,
        settings=contestant.settings,
        seconds=timing.seconds,
        first_seconds=first.seconds,
        ratio=None if base is None else median_ratio(timing, base),
        gflops=gflops,
        share_of_peak=gflops / limit if gflops and limit else None,
        unit=contestant.unit,
        recall=first.recall,
        estimate=first.estimate,
    )


def arguments() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help=f"at most {SMALL:,} rows: seconds")
    parser.add_argument("--rounds", type=int, default=6, help="even; a contestant slower than --cap allows takes fewer")
    parser.add_argument("--cap", type=float, default=60, help="seconds of rounds a contestant may take, but two rounds")
    parser.add_argument("--case", action="append", choices=GRAPH_CASES, help="repeatable; default: all")
    parser.add_argument("--only", nargs="*", default=[""], help="contestants whose names contain one of these")
    parser.add_argument("--json", type=Path, help="append results to this file, a line each")
    options = parser.parse_args()
    if options.rounds < 2 or options.rounds % 2:
        parser.error(f"--rounds must be even, got {options.rounds}")
    return options


def main() -> None:
    """Print the table; results are kept after each case."""
    options = arguments()
    load = os.getloadavg()[0]  # libraries whose threads wait actively suffer most from other work on the machine
    rivals.set_threads(coremax.show_config("dicts")["threads"])
    modules = {rival.module for rival in (*rivals.EXACT, *rivals.APPROXIMATE) if rivals.installed(rival.module)}
    versions = ", ".join(sorted(map(rivals.version, modules)))
    peak = peaks(1024 if options.small else 4096)
    results: list[Result] = []
    for name in options.case or GRAPH_CASES:
        print(f"case {name}", flush=True)
        try:
            found = run(name, GRAPH_CASES[name], options, peak)
        except FileNotFoundError as error:
            print(f"skipped: case {name}: {error}")
            continue
        results += found
        if options.json:
            with open(options.json, "a", encoding="utf-8") as file:
                about = {"machine": machine(), "versions": versions, "peak": peak, "load": load}
                file.writelines(json.dumps({**asdict(one), **about}) + "\n" for one in found)
    print(f"\n{machine()}; load {load:.1f} before; {versions}.")
    print("Medians of interleaved rounds after a run of each that was checked and does not count. Recall: against float64, for")
    print(f"{N_SAMPLED:,} rows. Peak: of matrix products by NumPy and torch, GFLOP/s: ", end="")
    print(", ".join(f"{unit} {value:.0f}" for unit, value in peak.items()), end="\n\n")
    print_table(HEADER, [one.row() for one in results])


if __name__ == "__main__":
    main()
