"""Hashed n-grams in MB/s of one core, against the same written with Python's standard library.

PYTHONPATH=tests python benchmarks/bench_dsir.py [--small] [--rounds N] [FILE...]   needs: pip install "."

Text: words of a Zipf law, the documentation strings of Python's standard library, and the files named. Seconds are those of the
processor, which other programs on the machine disturb less.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from coremax.text import ngram_counts
from harness import machine, print_table
from oracles import dsir as oracle

DOCUMENT = 3000  # characters


def zipf(n_bytes: int) -> str:
    """Words of a vocabulary of 100,000, the i-th as frequent as 1 / i; frequent ones are short."""
    rng = np.random.default_rng(0)
    n_words = 100_000
    letters = np.array(list("etaoinshrdlucmfwypvbgkqjxz"))
    vocabulary = ["".join(rng.choice(letters, 2 + int(np.log2(i + 1) / 2))) for i in range(n_words)]
    p = 1 / np.arange(1, n_words + 1)
    return " ".join(vocabulary[i] for i in rng.choice(n_words, n_bytes // 6, p=p / p.sum()))


def documentation() -> str:
    """Every documentation string of the modules of the standard library that can be imported."""
    return "\n".join(_docstrings())


def _docstrings() -> Iterator[str]:
    skipped = {"antigravity", "this", "idlelib", "turtledemo"}
    for name in sorted(sys.stdlib_module_names - skipped):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                module = importlib.import_module(name)
        except Exception:  # modules of other systems, and what they raise
            continue
        for _, thing in inspect.getmembers(module):
            yield inspect.getdoc(thing) or ""
            if inspect.isclass(thing):
                yield from (inspect.getdoc(member) or "" for _, member in inspect.getmembers(thing))


def rates(contestants: dict[str, tuple[int, Callable[[], object]]], rounds: int) -> dict[str, list[float]]:
    """MB per second of processor time, in rounds of alternating order after one that does not count."""
    found: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(rounds + 1):
        for name in contestants if number % 2 else reversed(contestants):
            n_bytes, run = contestants[name]
            start = time.process_time()
            run()
            if number > 0:
                found[name].append(n_bytes / (time.process_time() - start) / 1e6)
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="sizes that take seconds")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("files", nargs="*", type=Path, help="further text, UTF-8")
    options = parser.parse_args()
    limit = 4_000_000 if options.small else 40_000_000
    corpora = {"Zipf words": zipf(limit), "documentation strings": documentation()[:limit]}
    corpora |= {path.name: path.read_text("utf-8", errors="replace")[:limit] for path in options.files}
    rows = []
    for name, text in corpora.items():
        documents = [text[start : start + DOCUMENT] for start in range(0, len(text), DOCUMENT)]
        size = sum(len(document.encode()) for document in documents)
        some = documents[:: max(1, len(documents) // 150)]  # the oracle takes a second for a megabyte
        n_some = sum(len(document.encode()) for document in some)
        for hashing in ("fast", "sha256"):
            assert np.array_equal(ngram_counts(some, hash=hashing), oracle.counts(some, 10_000, 2, hashing))
        found = rates(
            {
                "fast": (size, lambda documents=documents: ngram_counts(documents, threads=1)),  # type: ignore[misc]
                "sha256": (size, lambda documents=documents: ngram_counts(documents, hash="sha256", threads=1)),  # type: ignore[misc]
                "hashlib and re": (n_some, lambda some=some: oracle.counts(some, 10_000, 2, "sha256")),  # type: ignore[misc]
            },
            options.rounds,
        )
        for contestant, values in found.items():
            ratio = statistics.median(a / b for a, b in zip(values, found["hashlib and re"], strict=True))
            band = f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"
            rows.append([f"{name}, {size / 1e6:.1f} MB", contestant, band, f"{ratio:.1f}x"])
    print(f"{machine()}; one thread, documents of {DOCUMENT} characters, medians of {options.rounds} rounds\n")
    print_table(["text", "contestant", "MB/s of processor time (band)", "against hashlib and re"], rows)


if __name__ == "__main__":
    main()
