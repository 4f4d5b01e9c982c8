"""Every public function called from many threads at once over the same inputs: each call gives what it gives alone.

Needs nothing but NumPy, so it is also what a built wheel is tried with. On a free-threaded interpreter the threads run at once
in the Python layer too, and importing the package must not have switched the GIL back on.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import sys
import sysconfig
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import coremax
from coremax import sampling, scores, selection

N, D, CLASSES = 1500, 12, 4
N_THREADS = 8
WORDS = ("graph", "solver", "sampling", "scores", "selection", "text")


def _frozen(array: Any) -> Any:
    array.flags.writeable = False
    return array


rng = np.random.default_rng(0)
X = _frozen((rng.normal(size=(N, D)) + 3 * rng.normal(size=(CLASSES, D))[np.arange(N) % CLASSES]).astype(np.float32))
LABELS = _frozen(np.arange(N) % CLASSES)
WEIGHTS = _frozen(rng.random(N) + 0.01)
SCORE = _frozen(rng.random(N))
EPOCHS = _frozen(rng.dirichlet(np.ones(CLASSES), size=(12, N)))
PROBABILITIES = _frozen(EPOCHS[0].copy())
LOGITS = _frozen(rng.normal(size=(5, N, CLASSES)))
CORRECT = _frozen(rng.random((6, N)) < 0.6)
INDICES = _frozen(np.arange(0, N, 7))
WORDS_OF_TEXT = np.array(["alpha", "beta", "gamma", "delta", "Épsilon", "zeta!"])
TEXTS = tuple(" ".join(WORDS_OF_TEXT[rng.integers(0, 6, 30)]) for _ in range(N))
TARGET = tuple(" ".join(WORDS_OF_TEXT[rng.integers(0, 3, 30)]) for _ in range(200))
GRAPH = coremax.topk_graph(X, 6)
LARGE = coremax.topk_graph(X[:400], 5)
TABLE = coremax.AliasTable(WEIGHTS)


def _shards(threads: int) -> Any:
    halves = [(0, WEIGHTS[: N // 2]), (N // 2, WEIGHTS[N // 2 :])]
    return sampling.merge([sampling.partial_sample(part, 50, start=start, threads=threads) for start, part in halves], 50)


# Public name -> a call with so many threads of its own. What a call gives may be any nest of the package's results.
CALLS: dict[str, Callable[[int], Any]] = {
    "graph.topk_graph": lambda t: [coremax.topk_graph(X, 7, metric=metric, threads=t) for metric in ("cosine", "euclidean")],
    "graph.Graph": lambda t: coremax.Graph.from_neighbors(GRAPH.neighbors, GRAPH.similarities).to_csr(),
    "solver.solve": lambda t: coremax.solve(SCORE[:400], LARGE, 60, effort="fast", threads=t, seed=3),
    "solver.solve_path": lambda t: coremax.solve_path(SCORE[:400], LARGE, [20, 40], effort="fast", threads=t),
    "solver.objective": lambda t: coremax.objective(SCORE, GRAPH, INDICES),
    "sampling.AliasTable": lambda t: [
        coremax.AliasTable(WEIGHTS, threads=t).sample(500, seed=1),
        TABLE.sample(500, seed=2, threads=t),
        TABLE.sample_at(INDICES, seed=2),
        TABLE.probabilities(),
    ],
    "sampling.sample": lambda t: [
        coremax.sample(WEIGHTS, 100, replace=replace, seed=4, threads=t) for replace in (False, True)
    ],
    "sampling.partial_sample": lambda t: sampling.partial_sample(WEIGHTS, 40, start=N, seed=5, threads=t),
    "sampling.merge": _shards,
    "sampling.inclusion_probabilities": lambda t: sampling.inclusion_probabilities(WEIGHTS, 40),
    "sampling.largest_remainder": lambda t: sampling.largest_remainder(WEIGHTS, 400),
    "sampling.stratified": lambda t: sampling.stratified(LABELS, 90, weights=WEIGHTS, seed=6, threads=t),
    "sampling.systematic": lambda t: sampling.systematic(WEIGHTS, 70, shuffle=True, seed=7),
    "scores.aum": lambda t: scores.aum(LOGITS, LABELS, threads=t),
    "scores.contradiction": lambda t: scores.contradiction(GRAPH, LABELS),
    "scores.dual": lambda t: scores.dual(EPOCHS[:, :, 0], window=4),
    "scores.el2n": lambda t: scores.el2n(PROBABILITIES, LABELS, threads=t),
    "scores.entropy": lambda t: scores.entropy(PROBABILITIES, threads=t),
    "scores.forgetting": lambda t: scores.forgetting(CORRECT),
    "scores.loss_weights": lambda t: scores.loss_weights(SCORE),
    "scores.margin": lambda t: scores.margin(PROBABILITIES, LABELS, threads=t),
    "scores.sim": lambda t: scores.sim(X, LABELS, PROBABILITIES, threads=t),
    "scores.spherical_kmeans": lambda t: scores.spherical_kmeans(X, 9, seed=8, threads=t),
    "scores.ssp": lambda t: scores.ssp(X, 9, seed=8, threads=t),
    "scores.tdds": lambda t: scores.tdds(EPOCHS, window=4, threads=t),
    "selection.auto_max_contradiction": lambda t: selection.auto_max_contradiction(SCORE / SCORE.max(), 0.2),
    "selection.auto_drop_hardest": lambda t: selection.auto_drop_hardest(0.2),
    "selection.ccs": lambda t: selection.ccs(SCORE, 0.2, seed=9, threads=t),
    "selection.coverage": lambda t: selection.coverage(SCORE, 0.2, labels=LABELS),
    "selection.d2": lambda t: selection.d2(X, SCORE, 0.2, threads=t),
    "selection.dsir": lambda t: selection.dsir(TEXTS, TARGET, 100, n_buckets=500, min_tokens=0, threads=t),
    "selection.dsir_log_weights": lambda t: selection.dsir_log_weights(TEXTS, TARGET, n_buckets=500, min_tokens=0, threads=t),
    "selection.infomax": lambda t: coremax.infomax(X, SCORE, 0.1, labels=LABELS, effort="fast", threads=t),
    "selection.moderate": lambda t: selection.moderate(X, 0.2, labels=LABELS),
    "selection.random": lambda t: selection.random(N, 0.2, seed=10),
    "selection.semdedup": lambda t: selection.semdedup(X, 0.5, n_clusters=8, threads=t),
    "selection.sims": lambda t: selection.sims(SCORE, 0.2, labels=LABELS, seed=11, threads=t),
    "selection.top": lambda t: selection.top(SCORE, 0.2),
    "text.ngram_counts": lambda t: coremax.text.ngram_counts(TEXTS, n_buckets=500, threads=t),
}
RESULTS = {
    "graph.Estimate",
    "graph.GraphStats",
    "sampling.PartialSample",
    "solver.Iteration",
    "solver.Solution",
    "solver.Status",
    "selection.Selection",
}
TIMED = {"graph.estimate"}  # gives times: called, not compared
NOT_COMPARED = {"timings", "seconds", "threads", "extra_bytes", "_cache"}  # parts of results that tell of how, not what


def _flat(result: Any) -> list[Any]:
    """The arrays and numbers that a result is made of."""
    if isinstance(result, np.ndarray):
        return [(result.dtype.str, result.shape, result.tobytes())]
    if dataclasses.is_dataclass(result) and not isinstance(result, type):
        names = [field.name for field in dataclasses.fields(result) if field.name not in NOT_COMPARED]
        return [part for name in names for part in _flat(getattr(result, name))]
    if isinstance(result, dict):
        return [part for key, value in result.items() if key not in NOT_COMPARED for part in (key, *_flat(value))]
    if isinstance(result, (list, tuple)):
        return [part for item in result for part in _flat(item)]
    return [repr(result)]


def _at_once(work: list[Callable[[], None]]) -> None:
    """Run all at once; the first exception of any of them is raised."""
    failures: list[BaseException] = []
    start = threading.Barrier(len(work))

    def run(job: Callable[[], None]) -> None:
        try:
            start.wait()
            job()
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(job,)) for job in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def test_every_public_function_is_called() -> None:
    modules = {word: importlib.import_module(f"coremax.{word}") for word in WORDS}
    public = {
        f"{word}.{name}" for word, module in modules.items() for name in module.__all__ if callable(getattr(module, name))
    }
    assert public == set(CALLS) | RESULTS | TIMED
    for word, name in (full.split(".") for full in RESULTS):
        assert inspect.isclass(getattr(modules[word], name))


@pytest.mark.skipif(not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this interpreter has a GIL")
def test_the_gil_stays_off() -> None:
    assert not sys._is_gil_enabled()  # type: ignore[attr-defined, unused-ignore]


@pytest.mark.parametrize("name", sorted(CALLS))
def test_one_function_in_many_threads(name: str) -> None:
    call = CALLS[name]
    expected = _flat(call(1))
    assert expected
    results: list[Any] = [None] * N_THREADS

    def work(number: int) -> None:
        results[number] = _flat(call(1 + number % 3))

    _at_once([lambda number=number: work(number) for number in range(N_THREADS)])  # type: ignore[misc]
    for result in results:
        assert result == expected


def test_all_functions_at_once() -> None:
    """Each thread goes through all of them from another one on."""
    names = sorted(CALLS)
    expected = {name: _flat(CALLS[name](1)) for name in names}
    differing: list[str] = []

    def work(number: int) -> None:
        first = number * len(names) // N_THREADS
        differing.extend(name for name in names[first:] + names[:first] if _flat(CALLS[name](1)) != expected[name])
        coremax.graph.estimate(1000, 8)
        coremax.show_config("dicts")

    _at_once([lambda number=number: work(number) for number in range(N_THREADS)])  # type: ignore[misc]
    assert differing == []


def test_a_table_is_updated_while_others_draw() -> None:
    """A draw comes from the weights before an update or from those after it, never from a mixture."""
    table = coremax.AliasTable(np.eye(1, 1000, 3)[0])
    seen: list[set[int]] = []

    def draw() -> None:
        drawn = [set(table.sample(200, seed=turn, threads=1).tolist()) for turn in range(100)]
        assert all(len(values) == 1 for values in drawn)
        seen.append(set.union(*drawn))

    def update() -> None:
        for turn in range(100):
            table.update(np.eye(1, 1000, 3 + turn % 5)[0], threads=1)

    _at_once([draw] * 6 + [update])
    assert len(seen) == 6
    assert set.union(*seen) <= {3, 4, 5, 6, 7}
