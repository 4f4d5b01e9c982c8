"""The scores, row by row in float64, as their formulas are written."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray


def el2n(probabilities: Any, labels: Sequence[int]) -> NDArray[np.float64]:
    """||p - onehot(y)||_2."""
    rows = np.asarray(probabilities, dtype=np.float64)
    one_hot = np.zeros_like(rows)
    for i, label in enumerate(labels):
        one_hot[i, label] = 1
    return np.array([np.linalg.norm(row - target) for row, target in zip(rows, one_hot, strict=True)])


def margin(probabilities: Any, labels: Sequence[int] | None = None) -> NDArray[np.float64]:
    """1 - (p_y - max over the other classes); y is the most probable class where there are no labels."""
    rows = np.asarray(probabilities, dtype=np.float64)
    result = []
    for i, row in enumerate(rows):
        label = int(np.argmax(row)) if labels is None else labels[i]
        others = [float(p) for c, p in enumerate(row) if c != label]
        result.append(1 - (float(row[label]) - max(others, default=0.0)))
    return np.array(result)


def entropy(probabilities: Any) -> NDArray[np.float64]:
    """- sum p log p, with 0 log 0 = 0."""
    rows = np.asarray(probabilities, dtype=np.float64)
    return np.array([sum((-p * np.log(p) for p in row if p > 0), start=0.0) for row in rows])


def unit_rows(x: Any) -> NDArray[np.float64]:
    """Rows of length one; zero rows as they are."""
    rows = np.asarray(x, dtype=np.float64)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(norms == 0, 1, norms)


def mean_directions(x: Any, labels: Any, n_labels: int) -> list[NDArray[np.float64] | None]:
    """Direction of the sum of each label's unit rows; None for a label without rows or whose rows cancel."""
    unit = unit_rows(x)
    result: list[NDArray[np.float64] | None] = []
    for c in range(n_labels):
        total = np.sum([row for row, label in zip(unit, labels, strict=True) if label == c], axis=0)
        norm = np.linalg.norm(total)
        result.append(total / norm if norm > 0 else None)
    return result


def distance(row: NDArray[np.float64], centre: NDArray[np.float64]) -> float:
    """1 - cosine; what float32 can not tell from 0 is 0."""
    value = 1 - float(row @ centre)
    return value if value >= 8 * 2.0**-24 else 0.0


def sim_parts(x: Any, labels: Any, epsilon: float, log: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Separability d_N / (d_P + epsilon), and the norm, row by row."""
    rows = np.asarray(x, dtype=np.float64)
    unit = unit_rows(x)
    classes = sorted({int(label) for label in labels})
    zero = np.zeros(rows.shape[1])
    centres = {}
    for c, direction in zip(range(max(classes) + 1), mean_directions(x, labels, max(classes) + 1), strict=True):
        centres[c] = zero if direction is None else direction
    ratios = []
    for row, label in zip(unit, labels, strict=True):
        d_own = distance(row, centres[int(label)])
        d_other = min((distance(row, centres[c]) for c in classes if c != label), default=2.0)
        ratio = d_other / (d_own + epsilon)
        ratios.append(np.log(max(ratio, epsilon)) if log else ratio)
    return np.array(ratios), np.linalg.norm(rows, axis=1)


def agreement(models: Sequence[Any]) -> NDArray[np.float64]:
    """1 - JSD / log min(K, C), the divergence as the mean Kullback-Leibler divergence from the mean."""
    rows = [np.asarray(model, dtype=np.float64) for model in models]
    rows = [model / model.sum(axis=1, keepdims=True) for model in rows]
    largest = np.log(min(len(rows), rows[0].shape[1]))
    if largest == 0:
        return np.ones(len(rows[0]))
    mean = np.mean(rows, axis=0)
    result = []
    for i in range(len(mean)):
        divergence = 0.0
        for model in rows:
            divergence += sum(p * np.log(p / m) for p, m in zip(model[i], mean[i], strict=True) if p > 0) / len(rows)
        result.append(1 - divergence / largest)
    return np.array(result)


def robust_scale(values: Any, low: float, high: float, tolerance: float = 0.0) -> NDArray[np.float64]:
    """To [0, 1] between percentiles; 1/2 between those that are equal."""
    numbers = np.asarray(values, dtype=np.float64)
    bottom, top = np.percentile(numbers, [low, high])
    slack = tolerance * max(abs(bottom), abs(top))
    if top - bottom <= slack:
        return np.array([0.0 if v < bottom - slack else 1.0 if v > top + slack else 0.5 for v in numbers])
    return np.array(np.clip((numbers - bottom) / (top - bottom), 0, 1))


def sim(
    models: Sequence[Any], labels: Any, experts: Sequence[Any], epsilon: float = 1e-6, log: bool = True, rescale: bool = True
) -> NDArray[np.float64]:
    """Agreement times the mean of the scaled separability times the scaled norm."""
    parts = [sim_parts(x, labels, epsilon, log) for x in models]
    joined = np.mean([robust_scale(s, 1, 99) * robust_scale(e, 1, 99, 2.0**-21) for s, e in parts], axis=0)
    if experts:
        joined = joined * agreement(experts)
    return robust_scale(joined, 0, 100) if rescale else joined


def forgetting(correct: Any, never_learned: float | None = None) -> NDArray[np.float64]:
    """Right now, wrong next, counted sample by sample."""
    epochs = [list(map(bool, epoch)) for epoch in correct]
    result = []
    for sample in zip(*epochs, strict=True):
        events = sum(1 for now, after in pairwise(sample) if now and not after)
        result.append(float(events if any(sample) else len(epochs) if never_learned is None else never_learned))
    return np.array(result)


def aum(logits: Any, labels: Sequence[int]) -> NDArray[np.float64]:
    """Mean over epochs of the label's logit less the largest other."""
    margins = []
    for epoch in np.asarray(logits, dtype=np.float64):
        others = [[z for c, z in enumerate(row) if c != y] for row, y in zip(epoch, labels, strict=True)]
        margins.append([row[y] - max(other, default=row[y]) for row, y, other in zip(epoch, labels, others, strict=True)])
    return np.array(np.mean(margins, axis=0))


def dual(p_y: Any, window: int) -> NDArray[np.float64]:
    """Mean over windows of the sample's standard deviation times one less its mean."""
    rows = np.asarray(p_y, dtype=np.float64)
    windows = [rows[t : t + window] for t in range(len(rows) - window + 1)]
    return np.array(np.mean([part.std(axis=0, ddof=1) * (1 - part.mean(axis=0)) for part in windows], axis=0))


def tdds(epochs: Any, window: int, decay: float, epsilon: float = 1e-8) -> NDArray[np.float64]:
    """Weights decay (1 - decay)^age on the spread of the changes in each window; the oldest window has no predecessor."""
    rows = np.asarray(epochs, dtype=np.float64)
    if rows.ndim == 2:
        changes = np.abs(np.diff(rows, axis=0))
    else:
        changes = np.abs(rows[1:] * (np.log(rows[1:] + epsilon) - np.log(rows[:-1] + epsilon))).sum(axis=2)
    n_windows = len(rows) - window + 1
    result = np.zeros(rows.shape[1])
    for k in range(n_windows):
        part = changes[k : k + window - 1]
        result += decay * (1 - decay) ** (n_windows - 1 - k) * np.linalg.norm(part - part.mean(axis=0), axis=0)
    return result


def loss_weights(losses: Any, strategy: str, temperature: float) -> NDArray[np.float64]:
    """softmax(f(h) / r)."""
    values = np.asarray(losses, dtype=np.float64)
    low, high = values.min(), values.max()
    h = (2 * values - (high + low)) / (high - low) if high > low else np.zeros(len(values))
    f = {"linupper": np.minimum(h + 1, 1), "quadratic": 1 - h**2, "extremes": np.abs(h)}[strategy] / temperature
    exponentials = np.exp(f - f.max())
    return np.array(exponentials / exponentials.sum())
