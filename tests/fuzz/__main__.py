"""Run the targets under atheris: `PYTHONPATH=tests python -m fuzz --seconds 60` (pip install atheris), one after the other.

Inputs that reach something new are kept in build/fuzzed/TARGET and used again; a find is written there as crash-*, timeout-* or
oom-*. Make it as small as may be, put it into tests/fuzz/corpus/TARGET, where the tests replay it, and mend what it found.
"""

from __future__ import annotations

import argparse
import gc
import re
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import FunctionType
from typing import Any

from fuzz.targets import TARGETS, corpus

WORK = Path("build") / "fuzzed"
# Whose branches are to be reached: ours, and those of what reads the formats in Python.
MEASURED = ("coremax", "zipfile", "json", "tomllib", "numpy.lib._format_impl", "numpy.lib.format", "numpy.lib._npyio_impl")


def main() -> None:
    """Run all targets, or those named."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; default: all")
    parser.add_argument("--seconds", type=int, default=0, help="at most, for each target")
    parser.add_argument("--runs", type=int, default=-1, help="inputs at most, for each target")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    unknown = [name for name in options.targets if name not in TARGETS]
    if unknown or find_spec("atheris") is None:
        parser.error(f"no target {unknown[0]!r}" if unknown else "this needs atheris: pip install atheris")
    names = options.targets or list(TARGETS)
    if options.here:
        fuzz(names[0], options.seconds, options.runs)
    found = [name for name in names if not run(name, options.seconds, options.runs)]
    if found:
        sys.exit(f"finds in {', '.join(found)}: see {WORK}")


def run(name: str, seconds: int, runs: int) -> bool:
    """Run one target in a process of its own, since a find ends it; returns whether there was none."""
    missing = [module for module in TARGETS[name].needs if find_spec(module) is None]
    if missing:
        print(f"{name:14} skipped: no {', '.join(missing)} here", flush=True)
        return True
    command = [sys.executable, "-m", "fuzz", name, "--here", "--seconds", str(seconds), "--runs", str(runs)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    executed = re.findall(r"number_of_executed_units: (\d+)", done.stderr) or re.findall(r"^#(\d+)", done.stderr, re.MULTILINE)
    branches = re.findall(r"cov: (\d+)", done.stderr)
    memory = re.findall(r"peak_rss_mb: +(\d+)", done.stderr)
    said = [f"{what} {numbers[-1]}" for what, numbers in (("inputs", executed), ("edges", branches), ("MB", memory)) if numbers]
    print(f"{name:14} {'nothing found' if done.returncode == 0 else 'FOUND'}: {', '.join(said)}", flush=True)
    if done.returncode != 0:
        print(done.stderr[-4000:], flush=True)
    return done.returncode == 0


def fuzz(name: str, seconds: int, runs: int) -> None:
    """Run one target in this process, which ends with it."""
    atheris: Any = import_module("atheris")

    for function in [thing for thing in gc.get_objects() if isinstance(thing, FunctionType)]:
        if (function.__module__ or "").startswith(MEASURED):
            atheris.instrument_func(function)
    folder = WORK / name
    folder.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(corpus(name)):
        (folder / f"seed-{number}").write_bytes(data)
    limits = [f"-max_total_time={seconds}", f"-runs={runs}", "-timeout=20", "-rss_limit_mb=2048", "-max_len=8192"]
    atheris.Setup([name, *limits, f"-artifact_prefix={folder}/", "-print_final_stats=1", str(folder)], TARGETS[name].run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
