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
