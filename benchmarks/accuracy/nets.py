"""The models: many small perceptrons trained at once, a small convolutional net, ResNet-18. Steps depend on the budget."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

BATCH = 128
HIDDEN = 128
EMBEDDING = 64  # of the convolutional net
_RATE = {"mlp": 4e-3, "conv": 4e-3, "resnet18": 2e-3}
_WEIGHT_DECAY = 1e-4


def n_steps(n_kept: int, model: str = "mlp") -> int:
    """Optimiser steps for a budget: so many epochs, but no fewer and no more than so many steps."""
    epochs, fewest, most = {"mlp": (10, 200, 500), "conv": (10, 200, 800), "resnet18": (40, 1000, 8000)}[model]
    return int(np.clip(epochs * n_kept // BATCH, fewest, most))


def batches(n: int, steps: int, seed: int) -> Tensor:
    """Numbers of the samples of each step [steps, BATCH]: epoch after epoch, each in random order."""
    generator = torch.Generator().manual_seed(seed)
    n_epochs = -(-steps * BATCH // n)
    order = torch.cat([torch.randperm(n, generator=generator) for _ in range(n_epochs)])
    return order[: steps * BATCH].reshape(steps, BATCH)


class Perceptrons(nn.Module):
    """M perceptrons of one hidden layer side by side; each starts from its own seed and never sees the others."""

    def __init__(self, d: int, n_classes: int, seeds: Sequence[int]) -> None:
        super().__init__()
        layers = [self._start(d, n_classes, seed) for seed in seeds]
        self.first, self.first_bias, self.second, self.second_bias = (
            nn.Parameter(torch.stack(parts)) for parts in zip(*layers, strict=True)
        )

    @staticmethod
    def _start(d: int, n_classes: int, seed: int) -> tuple[Tensor, ...]:
        generator = torch.Generator().manual_seed(seed)
        first = torch.randn(d, HIDDEN, generator=generator) * (2 / d) ** 0.5
        second = torch.randn(HIDDEN, n_classes, generator=generator) * HIDDEN**-0.5
        return first, torch.zeros(1, HIDDEN), second, torch.zeros(1, n_classes)

    def features(self, x: Tensor) -> Tensor:
        """Hidden layers [M, rows, HIDDEN] of rows [M or 1, rows, d]."""
        return torch.relu(torch.matmul(x, self.first) + self.first_bias)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [M, rows, classes]."""
        return torch.matmul(self.features(x), self.second) + self.second_bias


class Single(nn.Module):
    """One net that looks like a batch of one."""

    def __init__(self, body: nn.Module, head: nn.Module, image_shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.body, self.head, self.image_shape = body, head, image_shape

    def features(self, x: Tensor) -> Tensor:
        """Embeddings [1, rows, width] of rows [1, rows, d]."""
        found: Tensor = self.body(x[0].reshape(-1, *self.image_shape))
        return found[None]

    def forward(self, x: Tensor) -> Tensor:
        """Logits [1, rows, classes]."""
        found: Tensor = self.head(self.features(x))
        return found


def build(model: str, d: int, n_classes: int, image_shape: tuple[int, int, int] | None, seeds: Sequence[int]) -> nn.Module:
    """Untrained model of a task; others than perceptrons come one at a time."""
    if model == "mlp":
        return Perceptrons(d, n_classes, seeds)
    assert image_shape is not None
    assert len(seeds) == 1
    torch.manual_seed(seeds[0])
    if model == "conv":
        channels, height, width = image_shape
        flat = 32 * -(-height // 4) * -(-width // 4)
        body = nn.Sequential(
            nn.Conv2d(channels, 16, 5, stride=2, padding=2), nn.ReLU(), nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU(),
            nn.Flatten(), nn.Linear(flat, EMBEDDING), nn.ReLU(),
        )  # fmt: skip
        return Single(body, nn.Linear(EMBEDDING, n_classes), image_shape)
    return Single(resnet18_body(image_shape[0]), nn.Linear(512, n_classes), image_shape)


class _Block(nn.Module):
    """Two convolutions with a way past them (He et al. 2016)."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.way = nn.Sequential(
            nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU(),
            nn.Conv2d(n_out, n_out, 3, 1, 1, bias=False), nn.BatchNorm2d(n_out),
        )  # fmt: skip
        narrow = nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out))
        self.past = narrow if stride > 1 or n_in != n_out else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.way(x) + self.past(x))


def resnet18_body(channels: int) -> nn.Sequential:
    """ResNet-18 for images of 32 x 32: a first convolution of 3 x 3 without pooling, up to the mean over places."""
    layers: list[nn.Module] = [nn.Conv2d(channels, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    width = 64
    for n_out, stride in ((64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1)):
        layers.append(_Block(width, n_out, stride))
        width = n_out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def train(
    model: nn.Module,
    kind: str,
    x: Tensor,
    y: Tensor,
    subsets: Sequence[NDArray[np.int64]],
    steps: int,
    seeds: Sequence[int],
    checkpoints: int = 0,
    at_checkpoint: Callable[[nn.Module], object] | None = None,
) -> None:
    """Train each model on its subset: Adam, one cycle of the rate, the same number of steps whatever was selected.

    `at_checkpoint` is called so many times, evenly spaced, the last time at the end.
    """
    order = [torch.from_numpy(s)[batches(len(s), steps, seed)] for s, seed in zip(subsets, seeds, strict=True)]
    of_step = torch.stack(order, dim=1)  # [steps, M, BATCH]
    optimizer = torch.optim.AdamW(model.parameters(), lr=_RATE[kind], weight_decay=_WEIGHT_DECAY, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE[kind], total_steps=steps)
    stops = set(np.linspace(0, steps, checkpoints + 1).round().astype(int)[1:].tolist())
    model.train()
    for step, batch in enumerate(of_step, 1):
        optimizer.zero_grad()
        logits = model(x[batch])
        # The sum over models of each one's mean loss: no model's gradient depends on how many there are.
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), y[batch].flatten()) * len(batch)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        if step in stops and at_checkpoint is not None:
            model.eval()
            at_checkpoint(model)
            model.train()
    model.eval()


def _parts(x: Tensor) -> Iterator[Tensor]:
    for part in x.split(2000):  # type: ignore[no-untyped-call]
        yield part[None]


@torch.no_grad()
def logits_of(model: nn.Module, x: Tensor) -> Tensor:
    """Logits [M, rows, classes]."""
    return torch.cat([model(part) for part in _parts(x)], dim=1)


@torch.no_grad()
def features_of(model: nn.Module, x: Tensor) -> Tensor:
    """Embeddings [M, rows, width]."""
    return torch.cat([model.features(part) for part in _parts(x)], dim=1)  # type: ignore[operator]


def accuracies(model: nn.Module, x: Tensor, y: Tensor) -> list[float]:
    """Of each model."""
    return [float(a) for a in (logits_of(model, x).argmax(dim=2) == y).float().mean(dim=1)]
