"""The sparse top-k similarity graph of a set of embeddings."""

from ._graph import METRICS as METRICS
from ._graph import MODES as MODES
from ._graph import VALUES as VALUES
from ._graph import Estimate, Graph, GraphStats, estimate, topk_graph
from ._graph import Metric as Metric
from ._graph import Mode as Mode
from ._graph import Values as Values

__all__ = ["Estimate", "Graph", "GraphStats", "estimate", "topk_graph"]
