"""Do the chosen samples train better models? Selection methods against random choices, by test accuracy.

python benchmarks/evidence_sims.py [--small] [--runs N] [--keep 0.3 0.1 ...] [--folder PATH]     needs: pip install ".[test]"

A small convolutional net is trained for a few hundred steps some times (the proxies), scores and embeddings are taken from it,
and the same net is then trained from scratch on what each method keeps, for the same number of steps whatever the method.
Fashion-MNIST, or with --small the digits that come with scikit-learn (which say little: they only show that all of it runs).
On a machine that others use too, OMP_NUM_THREADS=1 makes it several times faster.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from coremax.cli.demo_data import LabelledImages, load
from coremax.scores import el2n, sim
from coremax.selection import Selection, ccs, infomax, random, sims
from harness import machine, print_table, timed

BATCH = 128


@dataclass(frozen=True)
class Steps:
    """How long nets are trained."""

    proxy: int
    final: int


def net(side: int, n_classes: int) -> nn.Sequential:
    """Two convolutions and two layers on top; the last but one gives the embeddings."""
    quarter = -(-side // 4)
    return nn.Sequential(
        nn.Conv2d(1, 16, 5, stride=2, padding=2), nn.ReLU(), nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(32 * quarter**2, 64), nn.ReLU(), nn.Linear(64, n_classes),
    )  # fmt: skip


def train(images: Tensor, labels: Tensor, n_classes: int, steps: int, seed: int) -> nn.Sequential:
    """Adam with one cycle of its rate over so many batches, epoch after epoch in random order."""
    torch.manual_seed(seed)
    model = net(images.shape[-1], n_classes)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    n_epochs = -(-steps * BATCH // len(images))
    order = torch.cat([torch.randperm(len(images)) for _ in range(n_epochs)])
    for batch in order[: steps * BATCH].split(BATCH):  # type: ignore[no-untyped-call]
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images[batch]), labels[batch]).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    return model


@torch.no_grad()
def outputs(model: nn.Sequential, images: Tensor) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Embeddings and class probabilities."""
    features = torch.cat([model[:-1](part) for part in images.split(2000)])  # type: ignore[no-untyped-call]
    return features.numpy(), torch.softmax(model[-1](features), dim=1).numpy()


def contestants(
    data: LabelledImages, embeddings: list[NDArray[np.float32]], probabilities: list[NDArray[np.float32]]
) -> dict[str, Callable[[float, int], Selection]]:
    """Methods as function(fraction kept, seed), all with their defaults."""
    labels = data.train_y
    hard = el2n(probabilities, labels)
    clean = sim(embeddings, labels, probabilities)
    return {
        "random": lambda keep, seed: random(len(labels), keep, seed=seed),
        "SIMS on SIM": lambda keep, seed: sims(clean, keep, labels=labels, seed=seed),
        "SIMS on EL2N": lambda keep, seed: sims(hard, keep, labels=labels, higher="hard", seed=seed),
        "CCS on EL2N": lambda keep, seed: ccs(hard, keep, seed=seed),
        "InfoMax on EL2N": lambda keep, seed: infomax(embeddings[0], hard, keep, seed=seed),
    }


def accuracies(
    data: LabelledImages, keeps: list[float], steps: Steps, runs: int
) -> dict[str, dict[float, NDArray[np.float64]]]:
    """Test accuracy in percent of each method, fraction kept and run."""
    images = torch.from_numpy(data.train_x).reshape(-1, 1, *data.image_shape)
    test_images = torch.from_numpy(data.test_x).reshape(-1, 1, *data.image_shape)
    labels, n_classes = torch.from_numpy(data.train_y), len(data.class_names)
    proxies = [outputs(train(images, labels, n_classes, steps.proxy, 1000 + seed), images) for seed in range(3)]
    methods = contestants(data, [features for features, _ in proxies], [probabilities for _, probabilities in proxies])

    def accuracy(choose: Callable[[float, int], Selection], keep: float, seed: int) -> float:
        kept = torch.from_numpy(np.asarray(choose(keep, seed).indices))
        model = train(images[kept], labels[kept], n_classes, steps.final, seed)
        return float((outputs(model, test_images)[1].argmax(axis=1) == data.test_y).mean() * 100)

    return {
        name: {keep: np.array([accuracy(choose, keep, seed) for seed in range(runs)]) for keep in keeps}
        for name, choose in methods.items()
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="digits, a few steps")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--keep", type=float, nargs="+", default=[0.3, 0.1])
    parser.add_argument("--folder", type=Path, help="the four IDX files; default: where Debian's package puts them")
    options = parser.parse_args()
    data = load("digits") if options.small else load("fashion-mnist", options.folder)
    steps = Steps(60, 60) if options.small else Steps(400, 600)
    seconds, found = timed(partial(accuracies, data, options.keep, steps, options.runs))
    print(f"{machine()}\n{data.name}, {steps.final} steps of {BATCH}, {options.runs} runs, {seconds:.0f} s\n")
    rows = [
        [name, *(f"{values.mean():.2f} +- {values.std(ddof=1) if len(values) > 1 else 0:.2f}" for values in by_keep.values())]
        for name, by_keep in found.items()
    ]
    print_table(["test accuracy, %", *(f"{1 - keep:.0%} pruned" for keep in options.keep)], rows)


if __name__ == "__main__":
    main()
