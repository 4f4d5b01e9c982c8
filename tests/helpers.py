"""What the tests share: data, the grid of ISA levels and threads, tolerances with their reasons."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import coremax
from coremax import _core

# A shell's background jobs ignore Ctrl-C, and so would every program a test starts; tests that interrupt need it.
signal.signal(signal.SIGINT, signal.default_int_handler)

ISAS: list[str] = coremax.show_config("dicts")["isas"]
# The levels that have a low-precision filter.
FILTERED_ISAS = [isa for isa in ISAS if isa != "scalar"]
THREADS = (1, 2, 3)
# Around the 16 lanes of the canonical sum, the register tiles and the tiles' edges.
EDGE_SIZES = (1, 2, 15, 16, 17, 31, 32, 33, 65)

# A float32 dot product of unit vectors over d columns in 16 lanes errs by at most about (d / 16 + 8) half units in the last
# place of 1; the tests stay below d = 128.
SIMILARITY_TOLERANCE = 16 * 2.0**-24
# Objectives are float64 sums of at most some thousands of terms of order one.
OBJECTIVE_TOLERANCE = 1e-9


def clustered(n: int, d: int, n_clusters: int, seed: int, spread: float = 0.5) -> NDArray[np.float32]:
    """Gaussian clusters around Gaussian centres."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(n_clusters, d))
    return (centres[rng.integers(0, n_clusters, n)] + spread * rng.normal(size=(n, d))).astype(np.float32)


def same_bits(a: Any, b: Any) -> bool:
    """Whether two float32 arrays are equal bit for bit."""
    return bool(np.array_equal(np.asarray(a).view(np.int32), np.asarray(b).view(np.int32)))


class Neighbors(NamedTuple):
    """What the engine answers: lists, their similarities, and how many of the true neighbours it believes to have found."""

    rows: NDArray[np.int64]
    similarities: NDArray[np.float32]
    recall: float
    low: float
    high: float
    n_sampled: int

    def same(self, other: Neighbors) -> bool:
        """Whether lists and similarities are equal bit for bit."""
        return np.array_equal(self.rows, other.rows) and same_bits(self.similarities, other.similarities)


def engine_topk(
    x: Any,
    k: int,
    metric: str = "cosine",
    *,
    isa: str = ISAS[-1],
    threads: int = 2,
    search: str = "direct",
    rows: NDArray[np.int64] | None = None,
    recall: float | None = None,
    seed: int = 0,
) -> Neighbors:
    """Call the engine past the Python layer; "direct" scores all pairs, "coarse" and "fine" filter however few there are."""
    view = _core.import_array(x, "x")
    row_view = None if rows is None else _core.import_array(rows, "rows")
    neighbors, similarities, found = _core.topk(view, row_view, k, metric, isa, threads, None, search, recall, seed)
    return Neighbors(neighbors, similarities, *found)


def random_graph(n: int, k: int, seed: int, negative: bool = False) -> coremax.Graph:
    """A neighbour graph of random points with cosine similarities, negative ones clipped unless asked for."""
    rng = np.random.default_rng(seed)
    graph = coremax.topk_graph(rng.normal(size=(n, 3)).astype(np.float32), k)
    values = graph.similarities if negative else np.maximum(graph.similarities, 0)
    return coremax.Graph.from_neighbors(graph.neighbors, values)


@contextmanager
def interruptible(arguments: Sequence[str], **pipes: Any) -> Iterator[subprocess.Popen[str]]:
    """Run a program that is to be interrupted, and do not leave it behind."""
    with subprocess.Popen(arguments, text=True, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


def output_when_interrupted(code: str) -> str:
    """Run a program that prints a line before a call of minutes, send Ctrl-C half a second later, return all it prints."""
    with interruptible([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        # It should end within a second; ten leave room for a busy machine.
        return first + process.communicate(timeout=10)[0]
