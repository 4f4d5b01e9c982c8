"""Sampling from weights on a CUDA device, for `sampling`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .. import _core
from .._inputs import arrays as _arrays
from .._inputs import devices

if TYPE_CHECKING:
    import numpy as np

    from .. import _cuda


class CudaTable:
    """An alias table on a device, used in the stream that the library of its weights is using at the time."""

    def __init__(self, call: devices.CudaDevice, weights: Any) -> None:
        self._table: _cuda.AliasTable = devices.extension().AliasTable(_view(call, weights), call.place)
        self._like = _token(call, weights)

    @property
    def n(self) -> int:
        """Number of weights."""
        return self._table.n

    @property
    def nbytes(self) -> int:
        """Memory of the table in bytes."""
        return self._table.nbytes

    @property
    def into(self) -> Callable[[Any], Any]:
        """Bring results of a copy on the CPU into this table's library."""
        return _arrays.importer(self._like)

    def takes(self, weights: Any) -> bool:
        """Whether weights for `update` are on this table's device."""
        there = devices.device_of_arrays(weights=weights)
        return there is not None and there.number == self._call().number

    def update(self, weights: Any, threads: int | None) -> None:  # noqa: ARG002
        """Take other weights, as many or fewer or more."""
        call = self._call(weights=weights)
        self._table.update(_view(call, weights), call.place)
        self._like = _token(call, weights)

    def sample(self, size: int, seed: int, offset: int, threads: int | None) -> Any:  # noqa: ARG002
        """Draw numbers at the positions from offset on."""
        call = self._call()
        out = call.empty((size,), "int64", self._like)
        self._table.sample(seed, offset, call.output(out), call.place)
        return call.handed_over(out, self._like)

    def sample_at(self, positions: Any, seed: int, threads: int | None) -> Any:  # noqa: ARG002
        """Draw numbers at any positions."""
        call = self._call(positions=positions)
        view = call.view(positions, "positions", ndim=1, dtypes=("int64",), convert_to="int64")
        out = call.empty(view.shape, "int64", self._like)
        self._table.sample_at(view, seed, call.output(out), call.place)
        return call.handed_over(out, self._like)

    def probabilities(self) -> Any:
        """Probability of each number, on the device."""
        return self._call().upload(_core.restore_alias_table(self.cells()).probabilities(), self._like)

    def cells(self) -> np.ndarray[Any, Any]:
        """Copy the cells of the table to the host, as an archive stores them."""
        return self._table.cells(self._call().place)

    def _call(self, **arrays: Any) -> devices.CudaDevice:
        call = devices.device_of_arrays(**arrays, table=self._like)
        assert call is not None
        return call


def sample_on_device(
    call: devices.CudaDevice, weights: Any, size: int, replace: bool, log_weights: bool, seed: _arrays.Seed
) -> Any:
    """As `sampling.sample`, for weights on a device."""
    if replace and log_weights:
        raise ValueError("logarithms of weights on a device can not be drawn from with replacement: pass weights.cpu()")
    if replace:
        return CudaTable(call, weights).sample(size, _arrays.as_seed(seed), 0, None)
    view = _view(call, weights)
    # Here, not when the device has it: an output of a size that no draw can have may not fit it.
    if size > view.shape[0]:
        raise ValueError(
            f"size is {size}, but there are only {view.shape[0]} weights: without replacement no more can be drawn"
        )
    out = call.empty((size,), "int64", weights)
    devices.extension().sample_without_replacement(view, log_weights, _arrays.as_seed(seed), call.output(out), call.place)
    return call.handed_over(out, weights)


def _view(call: devices.CudaDevice, weights: Any) -> _cuda.Array:
    return call.view(weights, "weights", ndim=1, dtypes=_arrays.FLOAT_TYPES, convert_to="float64")


def _token(call: devices.CudaDevice, array: Any) -> Any:
    """An array of no elements that stands for the library and the device of another, which need not be kept for it."""
    return call.handed_over(call.empty((0,), "int64", array), array)
