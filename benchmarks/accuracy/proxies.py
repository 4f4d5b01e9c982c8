"""What every method may know: embeddings and scores from a few short trainings on the spoilt data, made once and cached."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from coremax import scores
from harness import CACHE_FOLDER

from . import nets
from .data import Rows, Task, load, spoil

VERSION = 3  # of everything that results depend on: raise it when data, proxies or training change
DIMENSIONS = 96  # principal components that perceptrons see
_CHECKPOINTS, _WINDOW = 8, 4
_PROXIES = {"mlp": 4, "conv": 2, "resnet18": 2}
_EPOCHS, _FEWEST, _MOST = 6, 400, 1200
# All are turned so that higher is harder; SSP needs no labels and no proxy.
SCORES = ("el2n", "forgetting", "margin", "aum", "sim", "dual", "ssp")


@dataclass(frozen=True, eq=False)
class Problem:
    """A spoilt task with what its proxies say.

    Attributes
    ----------
    task : Task
        As spoilt.
    seed : int
        Of the spoiling and of the proxies.
    inputs, validation_inputs, test_inputs : array [rows, d] of float32
        What the model sees: images as they are, principal components otherwise.
    raw : array [n, d] of float32
        Principal components: what is known without labels.
    embeddings : array [n, width] of float32
        Features of the first proxy.
    scores : dict of str to array [n] of float64
        By name, all turned so that higher is harder.
    p_y : array [n] of float64
        Mean probability of the label over proxies and checkpoints.
    seconds : float
        CPU time that all this took, proxies that came from the cache counted with what they took when they were trained.
    """

    task: Task
    seed: int
    inputs: Rows
    validation_inputs: Rows
    test_inputs: Rows
    raw: Rows
    embeddings: Rows
    scores: dict[str, NDArray[np.float64]]
    p_y: NDArray[np.float64]
    seconds: float


def prepare(data: str, corruption: str, seed: int) -> Problem:
    """Load, spoil and score, or take scores from the cache."""
    start = time.process_time()
    task = spoil(load(data), corruption, seed)
    raw, validation, test = _components(task)
    inputs = (raw, validation, test) if task.model == "mlp" else (task.x, task.validation_x, task.test_x)
    name = hashlib.sha256(f"{VERSION} {data} {corruption} {seed}".encode()).hexdigest()[:16]
    path = CACHE_FOLDER / f"accuracy-{task.name}-{corruption}-{seed}-{name}.npz"
    loaded = time.process_time()
    if not path.is_file():
        scored = _scored(task, inputs[0], raw, seed)
        _save(path, {**scored, "seconds": np.array(time.process_time() - loaded)})
    with np.load(path) as found:
        known = {key: found[key] for key in found.files}
    embeddings, p_y, scoring = known.pop("embeddings"), known.pop("p_y"), float(known.pop("seconds"))
    return Problem(task, seed, *inputs, raw, embeddings, known, p_y, loaded - start + scoring)


def _save(path: Path, arrays: dict[str, NDArray[np.generic]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished.npz")
    np.savez(unfinished, **arrays)  # type: ignore[arg-type]
    unfinished.replace(path)


def _components(task: Task) -> tuple[Rows, Rows, Rows]:
    """Principal components of the spoilt data, scaled to a mean variance of one."""
    mean = task.x.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov((task.x - mean).T.astype(np.float64)))
    best = np.argsort(values)[::-1][:DIMENSIONS]
    turn = (vectors[:, best] / np.sqrt(values[best].mean())).astype(np.float32)
    a, b, c = (np.ascontiguousarray((x - mean) @ turn) for x in (task.x, task.validation_x, task.test_x))
    return a, b, c


def _scored(task: Task, inputs: Rows, raw: Rows, seed: int) -> dict[str, NDArray[np.generic]]:
    """Train the proxies and score: EL2N, margin and SIM at the end of these short trainings, the others over checkpoints."""
    x, y = torch.from_numpy(inputs), torch.from_numpy(task.y)
    everything = np.arange(len(y))
    steps = int(np.clip(_EPOCHS * len(y) // nets.BATCH, _FEWEST, _MOST))
    seeds = [10_000 + 100 * seed + i for i in range(_PROXIES[task.model])]
    groups = [seeds] if task.model == "mlp" else [[s] for s in seeds]
    logits: list[list[Tensor]] = []  # by group and checkpoint, [M, n, C]
    features: list[Tensor] = []
    for group in groups:
        model = nets.build(task.model, inputs.shape[1], task.n_classes, task.image_shape, group)
        seen: list[Tensor] = []

        def look(net: nn.Module, seen: list[Tensor] = seen) -> None:
            seen.append(nets.logits_of(net, x))

        nets.train(model, task.model, x, y, [everything] * len(group), steps, group, _CHECKPOINTS, look)
        logits.append(seen)
        features.append(nets.features_of(model, x))
    by_proxy = torch.cat([torch.stack(seen, dim=1) for seen in logits])  # [proxies, checkpoints, n, C]
    embeddings = [part.numpy() for part in torch.cat(features)]
    probabilities = torch.softmax(by_proxy, dim=3)
    last = [part.double().numpy() for part in probabilities[:, -1]]
    p_y = probabilities.gather(3, y[None, None, :, None].expand(*by_proxy.shape[:2], -1, 1))[..., 0].double().numpy()
    correct = (by_proxy.argmax(dim=3) == y).numpy()
    labels = task.y
    return {
        "embeddings": embeddings[0],
        "p_y": p_y.mean(axis=(0, 1)),
        "el2n": scores.el2n(last, labels),
        "margin": scores.margin(last, labels),
        "sim": -scores.sim(embeddings, labels, last),
        "forgetting": np.mean([scores.forgetting(c) for c in correct], axis=0),
        "aum": -np.mean([scores.aum(z.numpy(), labels) for z in by_proxy], axis=0),
        "dual": np.mean([scores.dual(p, window=_WINDOW) for p in p_y], axis=0),
        "ssp": scores.ssp(raw, task.n_classes, seed=seed),
    }
