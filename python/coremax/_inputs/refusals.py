"""What is no array of numbers, or one that can not be read, in place of an array: each said plainly, with the remedy."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Set, ValuesView
from typing import Any

import numpy as np


def refuse_unreadable(obj: Any, name: str) -> None:
    """Raise TypeError for arrays whose numbers can not be read where they are: sparse, masked, without memory, with a gradient.

    PyTorch's tensors are known by their attributes, so that subclasses and parameters count. Nothing is imported.
    """
    if isinstance(obj, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array: drop its masked elements or fill them (.filled())")
    if hasattr(obj, "tocsr") or (hasattr(obj, "todense") and not isinstance(obj, np.ndarray)):
        raise TypeError(f"{name} is a sparse {type(obj).__name__}, but must be dense: pass .toarray() or .todense() of it")
    if not hasattr(obj, "is_meta"):
        return
    if obj.is_meta:
        raise TypeError(f"{name} is a tensor on the meta device, which has a shape and no numbers: pass a tensor on the CPU")
    if obj.is_nested:
        raise TypeError(f"{name} is a nested tensor, but must be dense: pass rows of one length, as by .to_padded_tensor(...)")
    if str(obj.layout) != "torch.strided":
        raise TypeError(f"{name} is a sparse tensor ({obj.layout}), but must be dense: pass .to_dense() of it")
    if obj.is_quantized:
        raise TypeError(f"{name} is a quantized tensor: pass .dequantize() of it, or its codes by .int_repr()")
    if obj.requires_grad:
        raise TypeError(
            f"{name} can not be read through DLPack: it requires a gradient, which would be lost: pass .detach() of it"
        )


def refuse_no_array(obj: Any, name: str) -> None:
    """Raise TypeError for what NumPy would make an array of another meaning of, or one of Python objects."""
    kind = type(obj).__name__
    if obj is None or isinstance(obj, (str, bytes, bytearray)):
        raise TypeError(f"{name} must be an array, got {kind}")
    if isinstance(obj, os.PathLike):
        raise TypeError(f"{name} must be an array, got the path {os.fspath(obj)!r}: read the file first, as by numpy.load")
    if isinstance(obj, Mapping):
        raise TypeError(f"{name} must be an array, got {kind}, of which an array would be its keys: pass one of its values")
    if isinstance(obj, Set):
        raise TypeError(f"{name} must be an array, got {kind}, which has no order: pass a list")
    if isinstance(obj, (Iterator, ValuesView)):
        raise TypeError(f"{name} must be an array, got {kind}: pass a list of what it gives, as by list(...)")
    if type(obj).__module__.partition(".")[0] == "coremax":
        hint = ": pass its indices" if hasattr(obj, "indices") else ""
        raise TypeError(f"{name} must be an array, got {kind}{hint}")
    if callable(obj) and not hasattr(obj, "__array__"):
        raise TypeError(f"{name} must be an array, got the function or class {getattr(obj, '__name__', kind)}")
