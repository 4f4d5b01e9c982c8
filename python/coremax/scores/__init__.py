"""Per-sample scores of importance and difficulty: arrays in, one float64 per sample out."""

from ._clusters import spherical_kmeans, ssp
from ._dynamics import aum, dual, forgetting, tdds
from ._losses import loss_weights
from ._neighbours import contradiction
from ._probabilities import el2n, entropy, margin
from ._sim import sim

__all__ = [
    "aum",
    "contradiction",
    "dual",
    "el2n",
    "entropy",
    "forgetting",
    "loss_weights",
    "margin",
    "sim",
    "spherical_kmeans",
    "ssp",
    "tdds",
]
