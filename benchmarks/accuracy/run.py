"""Trains the cells that the store lacks."""

from __future__ import annotations

import time
from collections.abc import Container, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from . import nets, store
from .methods import METHODS, Method, count
from .proxies import VERSION, Problem, prepare

# Choices are made on other spoilings, proxies, draws and nets than the tables show, and on other samples.
VALIDATION_SEEDS = 1000


@dataclass(frozen=True)
class Plan:
    """The cells of a run: every combination."""

    data: Sequence[str]
    corruptions: Sequence[str]
    methods: Sequence[str]
    keeps: Sequence[float]
    seeds: int
    part: str = "test"

    def missing(self, done: Container[store.Cell], data: str, corruption: str, seed: int) -> dict[float, list[str]]:
        """Methods by budget whose cells are not there yet."""
        name = data.partition("=")[0]
        by_keep = {
            keep: [m for m in self.methods if store.Cell(name, corruption, m, keep, seed, self.part) not in done]
            for keep in self.keeps
        }
        return {keep: names for keep, names in by_keep.items() if names}

    def problems(self) -> Iterator[tuple[str, str, int]]:
        """(data, corruption, seed), seed by seed: a run that is stopped early has all data sets, with fewer repetitions."""
        first = VALIDATION_SEEDS if self.part == "validation" else 0
        for seed, data, corruption in product(range(first, first + self.seeds), self.data, self.corruptions):
            yield data, corruption, seed


def run(plan: Plan, path: Path, methods: dict[str, Method] = METHODS, jobs: int = 1, log: bool = True) -> None:
    """Train what is missing; the results are appended to `path` after each budget.

    With several jobs as many processes take problems, seed by seed; they find the methods by name among `METHODS`.
    """
    done = store.read(path, VERSION)
    problems = [problem for problem in plan.problems() if plan.missing(done, *problem)]
    start = time.perf_counter()

    def say(data: str, corruption: str, seed: int) -> None:
        if log:
            print(f"{time.perf_counter() - start:7.0f} s  {data.partition('=')[0]} {corruption} {seed}", flush=True)

    if jobs == 1:
        for problem in problems:
            run_problem(plan, path, problem, plan.missing(done, *problem), methods)
            say(*problem)
        return
    context = get_context("spawn")  # a fork would inherit torch's threads
    with ProcessPoolExecutor(jobs, context, initializer=_begin, initargs=(context.Lock(),)) as pool:
        running = {pool.submit(run_problem, plan, path, p, plan.missing(done, *p)): p for p in problems}
        try:
            for finished in as_completed(running):
                finished.result()
                say(*running[finished])
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


_appending: AbstractContextManager[object] = nullcontext()  # a lock that the processes of a run share


def _begin(lock: AbstractContextManager[object]) -> None:
    global _appending
    _appending = lock
    torch.set_num_threads(1)


def run_problem(
    plan: Plan, path: Path, problem: tuple[str, str, int], missing: dict[float, list[str]], methods: dict[str, Method] = METHODS
) -> None:
    """Train the missing cells of one problem, budget by budget."""
    _, corruption, _ = problem
    prepared = prepare(*problem)
    for keep, names in missing.items():
        if count(prepared, keep) < prepared.task.n_classes:
            continue  # fewer samples than classes: nothing to learn from
        results = train_cells(prepared, plan.part, corruption, keep, {m: methods[m] for m in names})
        with _appending:
            store.append(path, results)


def train_cells(problem: Problem, part: str, corruption: str, keep: float, methods: dict[str, Method]) -> list[store.Result]:
    """Select with each method, train on what each kept from the same starting weights, and measure."""
    task, chosen, seconds = problem.task, dict[str, NDArray[np.int64]](), dict[str, float]()
    for name, method in methods.items():
        start = time.process_time()
        chosen[name] = method(problem, keep, problem.seed)
        seconds[name] = time.process_time() - start
        assert len(np.unique(chosen[name])) == len(chosen[name]) == count(problem, keep), name
    held_x, held_y = {
        "test": (problem.test_inputs, task.test_y),
        "validation": (problem.validation_inputs, task.validation_y),
    }[part]
    start = time.process_time()
    accuracy = train_and_measure(problem, list(chosen.values()), held_x, held_y)
    each = (time.process_time() - start) / len(chosen)
    wrong = task.y != task.clean_y
    return [
        store.Result(
            store.Cell(task.name, corruption, name, keep, problem.seed, part), value, len(chosen[name]),
            float(wrong[chosen[name]].mean()), seconds[name], each, problem.seconds, VERSION,
        )
        for name, value in zip(chosen, accuracy, strict=True)
    ]  # fmt: skip


def train_and_measure(
    problem: Problem, subsets: list[NDArray[np.int64]], held_x: NDArray[np.float32], held_y: NDArray[np.int64]
) -> list[float]:
    """Accuracies of the nets trained on each subset."""
    task, x, y = problem.task, torch.from_numpy(problem.inputs), torch.from_numpy(problem.task.y)
    steps = nets.n_steps(len(subsets[0]), task.model)
    groups = [subsets] if task.model == "mlp" else [[subset] for subset in subsets]
    found: list[float] = []
    for group in groups:
        seeds = [problem.seed] * len(group)
        model = nets.build(task.model, problem.inputs.shape[1], task.n_classes, task.image_shape, seeds)
        nets.train(model, task.model, x, y, group, steps, seeds)
        found += nets.accuracies(model, torch.from_numpy(held_x), torch.from_numpy(held_y))
    return found
