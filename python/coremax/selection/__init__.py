"""Which samples to keep: InfoMax from embeddings and scores to indices, and the methods it is compared with."""

from ._baselines import random, top
from ._dsir import dsir, dsir_log_weights
from ._infomax import NORMALIZATIONS as NORMALIZATIONS
from ._infomax import auto_drop_hardest, infomax
from ._result import Selection

__all__ = ["Selection", "auto_drop_hardest", "dsir", "dsir_log_weights", "infomax", "random", "top"]
