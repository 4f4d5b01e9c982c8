"""Command line: `run` trains what the store lacks, `report` makes tables and plots of it.

cd benchmarks && python -m accuracy run [--quick] [--data fashion ...] [--seeds N] ...        needs: pip install ".[test,bench]"
cd benchmarks && python -m accuracy report [--folder PATH]

Methods: default (what the main tables show), variants, unsupervised, all, or names.

Fashion-MNIST comes with Debian's package dataset-fashion-mnist, the letters with r-cran-mlbench (elsewhere: letters=FOLDER of
its LetterRecognition.rda), the glosses with wordnet-base (run sentences.py once: ten minutes). What is not there is left out.
A run that was stopped goes on where it was. As many processes of one thread each as there are processors, or --jobs.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import torch

from harness import CACHE_FOLDER

from .data import CORRUPTIONS, SOURCES, load
from .methods import DEFAULT, METHODS, UNSUPERVISED, VARIANTS
from .report import write_report
from .run import Plan, run

FOLDER = CACHE_FOLDER / "accuracy"
KEEPS = (0.01, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7)
GROUPS = {"default": list(DEFAULT), "variants": list(VARIANTS), "unsupervised": list(UNSUPERVISED), "all": list(METHODS)}
QUICK = Plan(("digits", "letters"), CORRUPTIONS, ("random", "class-random", "ccs", "sims", "infomax"), (0.03, 0.1, 0.3), 2)


def available(names: list[str]) -> list[str]:
    """Those of the data sets that this machine has."""
    return [name for name in names if _is_there(name)]


def _is_there(name: str) -> bool:
    try:
        load(name)
    except FileNotFoundError as error:
        print(f"skipped: {name}: {error}")
        return False
    return True


def main() -> None:
    """Run or report."""
    parser = argparse.ArgumentParser(prog="accuracy", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    runner = commands.add_parser("run")
    runner.add_argument("--quick", action="store_true", help="a few cells of the small data sets")
    runner.add_argument("--data", nargs="+", default=list(SOURCES))
    runner.add_argument("--corruptions", nargs="+", choices=CORRUPTIONS, default=CORRUPTIONS)
    runner.add_argument("--methods", nargs="+", choices=[*GROUPS, *METHODS], default=["default"])
    runner.add_argument("--keep", nargs="+", type=float, default=KEEPS)
    runner.add_argument("--seeds", type=int, default=5)
    runner.add_argument("--validation", action="store_true", help="other seeds, measured on the validation part: for choices")
    runner.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    reporter = commands.add_parser("report")
    for command in (runner, reporter):
        command.add_argument("--folder", type=Path, default=FOLDER)
    options = parser.parse_args()
    if options.command == "run":
        os.environ.update(OMP_NUM_THREADS="1", COREMAX_NUM_THREADS="1")  # for the processes of a run
        torch.set_num_threads(1)
        methods = [name for given in options.methods for name in GROUPS.get(given, [given])]
        plan = Plan(
            options.data, options.corruptions, methods, options.keep, options.seeds,
            "validation" if options.validation else "test",
        )  # fmt: skip
        if options.quick:
            plan = QUICK
        plan = Plan(available(list(plan.data)), plan.corruptions, plan.methods, plan.keeps, plan.seeds, plan.part)
        run(plan, options.folder / ("quick.jsonl" if options.quick else f"{plan.part}.jsonl"), jobs=options.jobs)
    else:
        write_report(options.folder)


if __name__ == "__main__":
    main()
