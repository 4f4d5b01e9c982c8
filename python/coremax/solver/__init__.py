"""The cardinality-constrained quadratic program of InfoMax: most information, least redundancy."""

from ._solver import BOUNDS as BOUNDS
from ._solver import EFFORTS as EFFORTS
from ._solver import METHODS as METHODS
from ._solver import Bound as Bound
from ._solver import Effort as Effort
from ._solver import Iteration, Solution, Status, objective, solve, solve_path
from ._solver import Method as Method

__all__ = ["Iteration", "Solution", "Status", "objective", "solve", "solve_path"]
