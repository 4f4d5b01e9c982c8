"""Per-sample scores of importance and difficulty: arrays in, one float64 per sample out."""

from ._clusters import spherical_kmeans
from ._probabilities import el2n, entropy, margin

__all__ = ["el2n", "entropy", "margin", "spherical_kmeans"]
