"""coremax decides which part of a data set is worth training on.

Three engines in C++ under a thin Python face: the exact similarity `graph` of a set of embeddings, the `solver` of InfoMax's
quadratic program, and reproducible importance `sampling`; on top of them `scores` and `selection`;
and `text` as counts of hashed n-grams.
"""

from ._runtime import interrupt  # noqa: F401  # first, for Ctrl-C while the others are imported

# isort: split
from . import graph, sampling, scores, selection, solver, text
from ._core import __version__
from ._runtime.config import show_config
from ._runtime.errors import DeviceError
from .graph import Graph, topk_graph
from .sampling import AliasTable, sample
from .selection import Selection, dsir, infomax
from .solver import Solution, Status, objective, solve, solve_path

__all__ = [
    "AliasTable",
    "DeviceError",
    "Graph",
    "Selection",
    "Solution",
    "Status",
    "__version__",
    "dsir",
    "graph",
    "infomax",
    "objective",
    "sample",
    "sampling",
    "scores",
    "selection",
    "show_config",
    "solve",
    "solve_path",
    "solver",
    "text",
    "topk_graph",
]
