"""Which samples to keep: InfoMax from embeddings and scores to indices, and the methods it is compared with."""

from ._baselines import random, top
from ._ccs import ccs
from ._d2 import d2
from ._dsir import dsir, dsir_log_weights
from ._infomax import NORMALIZATIONS as NORMALIZATIONS
from ._infomax import TARGETS as TARGETS
from ._infomax import auto_drop_hardest, auto_max_contradiction, coverage, infomax
from ._moderate import moderate
from ._result import Selection
from ._semdedup import semdedup
from ._sims import sims

__all__ = [
    "Selection",
    "auto_drop_hardest",
    "auto_max_contradiction",
    "ccs",
    "coverage",
    "d2",
    "dsir",
    "dsir_log_weights",
    "infomax",
    "moderate",
    "random",
    "semdedup",
    "sims",
    "top",
]
