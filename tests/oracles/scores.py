"""The scores, row by row in float64, as their formulas are written."""

from __future__ import annotations

from collections.abc import Sequence
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
