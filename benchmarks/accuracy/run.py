"""Trains the cells that the store lacks."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
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

    def problems(self) -> Iterator[tuple[str, str, int]]:
        """(data, corruption, seed), seed by seed: a run that is stopped early has all data sets, with fewer repetitions."""
        first = VALIDATION_SEEDS if self.part == "validation" else 0
        for seed, data, corruption in product(range(first, first + self.seeds), self.data, self.corruptions):
            yield data, corruption, seed


def run(plan: Plan, path: Path, methods: dict[str, Method] = METHODS, log: bool = True) -> None:
    """Train what is missing; the results are appended to `path` after each budget."""
    done = store.read(path, VERSION)
    start = time.perf_counter()
    for data, corruption, seed in plan.problems():
        name = data.partition("=")[0]
        missing = {
            keep: [m for m in plan.methods if store.Cell(name, corruption, m, keep, seed, plan.part) not in done]
            for keep in plan.keeps
        }
        if not any(missing.values()):
            continue
        problem = prepare(data, corruption, seed)
        for keep, names in missing.items():
            if not names or count(problem, keep) < problem.task.n_classes:
                continue  # fewer samples than classes: nothing to learn from
            store.append(path, train_cells(problem, plan.part, corruption, keep, {m: methods[m] for m in names}))
        if log:
            print(f"{time.perf_counter() - start:7.0f} s  {name} {corruption} {seed}", flush=True)


def train_cells(problem: Problem, part: str, corruption: str, keep: float, methods: dict[str, Method]) -> list[store.Result]:
    """Select with each method, train on what each kept from the same starting weights, and measure."""
    task, chosen, seconds = problem.task, dict[str, NDArray[np.int64]](), dict[str, float]()
    for name, method in methods.items():
        start = time.perf_counter()
        chosen[name] = method(problem, keep, problem.seed)
        seconds[name] = time.perf_counter() - start
        assert len(np.unique(chosen[name])) == len(chosen[name]) == count(problem, keep), name
    held_x, held_y = {
        "test": (problem.test_inputs, task.test_y),
        "validation": (problem.validation_inputs, task.validation_y),
    }[part]
    start = time.perf_counter()
    accuracy = train_and_measure(problem, list(chosen.values()), held_x, held_y)
    each = (time.perf_counter() - start) / len(chosen)
    wrong = task.y != task.clean_y
    return [
        store.Result(
            store.Cell(task.name, corruption, name, keep, problem.seed, part), value, len(chosen[name]),
            float(wrong[chosen[name]].mean()), seconds[name], each, VERSION,
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
