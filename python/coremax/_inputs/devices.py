"""Which device a call works on: where its arrays are. A call with arrays on a CUDA device goes to the extension `_cuda`, in the
stream that the caller's library is using, and its results are allocated by that library; the others go to the CPU.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .._runtime.errors import DeviceError
from . import arrays as _arrays
from . import refusals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .. import _cuda

_WHY_NO_MODULE: str | None = None  # why the extension can not be had, "" where it can; None: nobody has needed it yet
_HOMES = ("coremax._cuda", "coremax_cu13._cuda")  # built with this package, or a wheel beside it

_CUDA_TYPES = (2, 13)  # device types of DLPack: CUDA memory and CUDA managed memory
_LEGACY_DEFAULT_STREAM = 1


@dataclass(frozen=True)
class CudaDevice:
    """A CUDA device, and the stream of a call."""

    number: int
    stream: int

    @property
    def place(self) -> _cuda.Place:
        """As the extension wants it."""
        return _cuda.Place(self.number, self.stream)

    @property
    def name(self) -> str:
        """For messages and results."""
        return f"cuda:{self.number}"

    def view(
        self,
        obj: Any,
        name: str,
        *,
        ndim: int,
        dtypes: Sequence[str],
        convert_to: str | None = None,
        copy: bool | None = None,
        strided_rows: bool = False,
    ) -> _cuda.Array:
        """View an argument as the extension needs it: `_arrays.as_view` for arrays on this device.

        Conversions are asked of the caller's library; where it can not be asked they are refused.
        """
        array, copied = obj, False
        view = self._import(array, name)
        _arrays.require_ndim(view.shape, name, ndim)
        if view.dtype not in dtypes:
            array, copied = _converted(array, name, view.dtype, dtypes, convert_to), True
            view = self._import(array, name)
        if not (view.contiguous or (strided_rows and view.rows_contiguous)):
            if not hasattr(array, "contiguous"):
                raise ValueError(f"{name} is on a device and must be contiguous")
            array, copied = array.contiguous(), True
            view = self._import(array, name)
        _arrays.require_no_copy(copied, copy, name, dtypes)
        return view

    def _import(self, array: Any, name: str) -> _cuda.Array:
        view = _cuda.import_array(array, name, self.stream)
        if hasattr(array, "record_stream") and type(array).__module__.partition(".")[0] == "torch":
            # PyTorch may give the memory away once the caller drops the tensor, in the order of the stream it was made in.
            import torch

            cuda: Any = torch.cuda
            default = self.stream == _LEGACY_DEFAULT_STREAM
            array.record_stream(cuda.default_stream(array.device) if default else cuda.ExternalStream(self.stream))
        return view

    def empty(self, shape: tuple[int, ...], dtype: str, like: Any) -> Any:
        """Ask the library of `like` for memory on this device; one that can not be asked takes over an array of our own."""
        library = type(like).__module__.partition(".")[0]
        if library == "torch":
            import torch

            return torch.empty(shape, dtype=getattr(torch, dtype), device=like.device)
        if library == "cupy":
            cupy: Any = sys.modules["cupy"]
            with cupy.cuda.Device(self.number):
                return cupy.empty(shape, dtype=dtype)
        return _cuda.DeviceArray(list(shape), dtype, self.place)

    def output(self, array: Any, name: str = "out") -> _cuda.Array:
        """View an array of `empty` to be written to."""
        return _cuda.import_array(array, name, self.stream)

    def upload(self, values: Any, like: Any) -> Any:
        """Bring a NumPy array to this device, into the library of `like`; waits for the copy."""
        array = self.empty(values.shape, str(values.dtype), like)
        _cuda.write(self.output(array), values, self.place)
        return self.handed_over(array, like)

    def handed_over(self, array: Any, like: Any) -> Any:
        """Bring an array of `empty` into the library of `like`, if it is not there already."""
        return _arrays.importer(like)(array) if isinstance(array, _cuda.DeviceArray) else array


def device_of_arrays(device: Any = None, /, **arrays: Any) -> CudaDevice | None:
    """Find the device of a call.

    Parameters
    ----------
    device : str, optional
        The caller's wish: "cpu", "cuda" or "cuda:1"; it must be where the arrays are.
    **arrays
        The call's arguments by name; None and what is no array count as on the CPU with the others, wherever these are.

    Returns
    -------
    CudaDevice or None
        None for the CPU.

    Raises
    ------
    ValueError
        Arrays of the CPU and of a device, or of two devices, in one call; or a device that is not theirs.
    DeviceError
        The arrays are on a device, and this installation can not use it.
    """
    places = {name: _place(array, name) for name, array in arrays.items() if array is not None}
    if device is None and not any(number is not None for number in places.values()):
        return None
    numbers = {number for number in places.values() if number is not None}
    given = ", ".join(f"{name} on {_name(number)}" for name, number in places.items())
    if len(set(places.values())) > 1:
        raise ValueError(f"all arrays of a call must be in one place, got {given}: move them to one device, or to the CPU")
    number = numbers.pop() if numbers else None
    if device is not None and not _matches(device, number):
        raise ValueError(f"device is {device!r}, but arrays are used where they are, and are not moved: got {given}")
    if number is None:
        return None
    first = next(iter(places))
    if reason := _why_no_module():
        raise DeviceError(f"{first} is on a device ({_name(number)}), and {reason}; or pass {first}.cpu()")
    if reason := _cuda.why_not():
        raise DeviceError(f"{first} is on a device ({_name(number)}), which can not be used: {reason}")
    return CudaDevice(number, _stream(arrays[first]))


def _why_no_module() -> str:
    """Import the extension at the first call; why there is none, or an empty text."""
    global _WHY_NO_MODULE
    if _WHY_NO_MODULE is None:
        _WHY_NO_MODULE = _import_extension()
    return _WHY_NO_MODULE


def _import_extension() -> str:
    for home in _HOMES:
        try:
            module = import_module(home)
        except ModuleNotFoundError as error:
            if error.name in (home, home.partition(".")[0]):
                continue
            return f"its CUDA backend {home} can not be loaded: {error}"
        except ImportError as error:
            return f"its CUDA backend {home} can not be loaded: {error}"
        if module.__version__ != _core.__version__:
            return (
                f"its CUDA backend {home} is of version {module.__version__}, not {_core.__version__}: "
                "install both from the same sources"
            )
        globals()["_cuda"] = module
        return ""
    return (
        "this installation of coremax has no CUDA backend: it is built from the sources, where CUDA 12.8 or later is, with "
        "pip install . -Ccmake.define.COREMAX_CUDA=ON"
    )


def _place(array: Any, name: str) -> int | None:
    """The number of the CUDA device that an array is on; None for anything else."""
    if isinstance(array, np.ndarray) or not hasattr(array, "__dlpack_device__") or isinstance(array, type):
        return None
    refusals.refuse_unreadable(array, name)
    try:
        kind, number = array.__dlpack_device__()
    except Exception as error:  # whatever the library raises for arrays that it can not hand out
        raise TypeError(f"{name} can not be read through DLPack: {error}") from None
    return int(number) if int(kind) in _CUDA_TYPES else None


def _name(number: int | None) -> str:
    return "the CPU" if number is None else f"cuda:{number}"


def _matches(device: Any, number: int | None) -> bool:
    text = str(device)
    if text not in ("cpu", "cuda") and not (text.startswith("cuda:") and text[5:].isdecimal()):
        raise ValueError(f"device must be 'cpu', 'cuda' or 'cuda:<number>', got {device!r}")
    return text == "cpu" if number is None else text in ("cuda", f"cuda:{number}")


def _stream(array: Any) -> int:
    """The stream that the library of an array is using now, as DLPack writes it."""
    library = type(array).__module__.partition(".")[0]
    if library == "torch":
        return int(_torch_stream(array).cuda_stream) or _LEGACY_DEFAULT_STREAM
    if library == "cupy":
        cupy: Any = sys.modules["cupy"]
        with array.device:
            return int(cupy.cuda.get_current_stream().ptr) or _LEGACY_DEFAULT_STREAM
    return _LEGACY_DEFAULT_STREAM


def _torch_stream(tensor: Any) -> Any:
    import torch

    return torch.cuda.current_stream(tensor.device)


def _converted(array: Any, name: str, dtype: str, dtypes: Sequence[str], convert_to: str | None) -> Any:
    """Another element type by the caller's library, for the same pairs of types as on the CPU."""
    library = type(array).__module__.partition(".")[0]
    if convert_to is None or library not in ("torch", "cupy"):
        raise TypeError(f"{name} must be {' or '.join(dtypes)}, got {dtype}")
    kind = str(array.dtype).removeprefix("torch.")
    integer = kind.startswith(("int", "uint"))
    real = integer or kind.startswith(("float", "bfloat"))
    if not (integer if convert_to.startswith("int") else real):
        raise TypeError(f"{name} must be {' or '.join(dtypes)}, got {kind}")
    if library == "torch":
        import torch

        return array.to(getattr(torch, convert_to))
    return array.astype(convert_to)


def extension() -> Any:
    """The module `_cuda`, once `device_of_arrays` has found a device."""
    return _cuda


def config() -> dict[str, Any]:
    """What `show_config` says of CUDA: whether it can be used, why not, and the devices."""
    reason = _why_no_module() or _cuda.why_not()
    return {"available": not reason, "why_not": reason, "devices": [] if reason else _cuda.devices()}
