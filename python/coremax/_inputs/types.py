"""Types of arguments and results, for signatures: what an editor shows and a type checker looks at.

What arrays really hold is checked when a function is called (`arrays.as_view`, `keys.as_keys`, `texts`), which knows more than
a type can say: shapes, contents, devices.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt


class SupportsDLPack(Protocol):
    """An array of any library that hands its memory over by DLPack: PyTorch, CuPy, JAX, NumPy."""

    def __dlpack__(self, *, stream: Any = ...) -> Any: ...
    def __dlpack_device__(self) -> Any: ...


class SupportsArrow(Protocol):
    """A column of any library that hands its memory over by the Arrow C interface: PyArrow, pandas, Polars."""

    def __arrow_c_stream__(self, requested_schema: object | None = ...) -> object: ...


ArrayLike: TypeAlias = npt.ArrayLike | SupportsDLPack | SupportsArrow
# A result: an array in the caller's own library, which a signature can not name.
Array: TypeAlias = Any

Integers = np.ndarray[Any, np.dtype[np.int64]]
Reals = np.ndarray[Any, np.dtype[np.float64]]
