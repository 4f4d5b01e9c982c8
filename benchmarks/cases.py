"""The data that benchmarks run on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def gaussian(n: int, d: int, seed: int = 0) -> NDArray[np.float32]:
    """Independent normal numbers: no structure, the hardest case for pruning searches."""
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def clustered(n: int, d: int, n_clusters: int, seed: int = 0, spread: float = 0.5) -> NDArray[np.float32]:
    """Gaussian clusters around Gaussian centres, as embeddings look."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(n_clusters, d))
    return (centres[rng.integers(0, n_clusters, n)] + spread * rng.normal(size=(n, d))).astype(np.float32)
