"""The solver on a CUDA device, for `solver`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._inputs import arrays, devices
from ..graph import Graph, cuda
from . import _constraints

if TYPE_CHECKING:
    from .. import _cuda

METHODS = ("auto", "pgd", "continuation", "annealed", "softmax")


def place(importance: Any, graph: Any, **others: Any) -> devices.CudaDevice | None:
    """Find the device of a call; a graph is where its lists are."""
    return devices.device_of_arrays(importance=importance, graph=getattr(graph, "_values", None), **others)


def symmetric(call: devices.CudaDevice, graph: Any) -> _cuda.SymmetricGraph:
    """K on the device, built once."""
    if not isinstance(graph, Graph):
        raise TypeError(f"graph must be a coremax.Graph where importance is on a device, got {type(graph).__name__}")
    return cuda.symmetric(call, graph)


def solve_on_device(
    call: devices.CudaDevice,
    importance: Any,
    graph: Any,
    limits: _constraints.Limits,
    alpha: float,
    x0: Any,
    options: dict[str, Any],
    callback: Any,
) -> tuple[dict[str, Any], Any, Any]:
    """Run the engine; what it tells, the indices and x."""
    if limits.costs is not None or limits.groups is not None:
        what = "costs" if limits.costs is not None else "groups"
        raise ValueError(
            f"{what} are dealt with on the CPU only: importance is on {call.name}; pass importance.cpu() and graph.cpu()"
        )
    if options["method"] not in METHODS:
        raise ValueError(
            f"method {options['method']!r} runs on the CPU only: importance is on {call.name}; "
            f"there are {', '.join(METHODS)} there, or pass importance.cpu() and graph.cpu()"
        )
    view = call.view(importance, "importance", ndim=1, dtypes=arrays.FLOAT_TYPES, convert_to="float64")
    n = view.shape[0]
    fixed = None if limits.fixed is None else call.upload(limits.fixed, importance)
    indices, x = call.empty((limits.budget,), "int64", importance), call.empty((n,), "float64", importance)
    told = devices.extension().solve(
        view,
        symmetric(call, graph),
        alpha=alpha,
        budget=limits.budget,
        fixed=None if fixed is None else call.view(fixed, "fixed", ndim=1, dtypes=["int8"]),
        x0=None if x0 is None else call.view(x0, "x0", ndim=1, dtypes=["float64"], convert_to="float64"),
        options=options,
        callback=callback,
        indices=call.output(indices),
        x=call.output(x),
        place=call.place,
    )
    return told, call.handed_over(indices, importance), call.handed_over(x, importance)


def objective_on_device(call: devices.CudaDevice, importance: Any, graph: Any, indices: Any, alpha: float) -> float:
    """As `solver.objective`, for arrays on a device."""
    view = call.view(importance, "importance", ndim=1, dtypes=arrays.FLOAT_TYPES, convert_to="float64")
    subset = call.view(indices, "indices", ndim=1, dtypes=["int64"], convert_to="int64")
    return float(devices.extension().objective(view, symmetric(call, graph), subset, alpha, call.place))
