"""The clerk at the counter: turns what callers pass into views the engines accept, and results into the caller's library.

Everything here is about arguments: it names them in messages, converts once where it must, and never touches the data itself.
"""

from __future__ import annotations

import functools
import os
import reprlib
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from .. import _core
from .._runtime import cgroup
from .._runtime.errors import DeviceError
from . import columns, refusals

EMBEDDING_TYPES = ("float32", "float16", "bfloat16", "int8", "float64")
FLOAT_TYPES = ("float32", "float64")
INDEX_TYPES = ("int64", "int32")

Choice = TypeVar("Choice", bound=str)
Seed = int | np.random.SeedSequence | np.random.Generator


def as_view(
    obj: Any,
    name: str,
    *,
    ndim: int,
    dtypes: Sequence[str],
    convert_to: str | None = None,
    copy: bool | None = None,
    strided_rows: bool = False,
) -> _core.Array:
    """View an argument of any array library as the engines need it.

    Parameters
    ----------
    obj : array of any DLPack library, or anything `numpy.asarray` takes
    name : str
        The argument's name, for messages.
    ndim : int
        Required number of dimensions.
    dtypes : sequence of str
        Accepted element types.
    convert_to : str, optional
        Element type to convert other real numbers to; without it they are refused.
    copy : bool, optional
        False makes a conversion or a copy an error; None allows one.
    strided_rows : bool
        Whether rows may lie apart, as long as the elements of each are adjacent.

    Returns
    -------
    _core.Array
        Keeps the memory alive as long as it lives.
    """
    array = as_array(obj, name)
    copied = array is not obj and not (isinstance(array, np.ndarray) and not array.flags.owndata)
    view = _core.import_array(array, name)
    if view.device != "cpu":
        raise DeviceError(f"{name} is on a device ({view.device}); this function runs on the CPU: pass {name}.cpu()")
    require_ndim(view.shape, name, ndim)
    if view.dtype not in dtypes:
        array, copied = _converted(array, name, view.dtype, dtypes, convert_to), True
        view = _core.import_array(array, name)
    if not (view.contiguous or (strided_rows and view.rows_contiguous)):
        array, copied = _contiguous(array), True
        view = _core.import_array(array, name)
    require_no_copy(copied, copy, name, dtypes)
    return view


def as_no_mask(numbers: Any, name: str) -> Any:
    """Check that numbers of elements are not a mask of them, and return them as an array."""
    array = as_array(numbers, name)
    if "bool" in str(getattr(array, "dtype", "")):
        raise TypeError(f"{name} must be whole numbers, got a mask of bool: pass numpy.flatnonzero(mask)")
    return array


def require_ndim(shape: Sequence[int], name: str, ndim: int) -> None:
    """Raise where an array has another number of dimensions."""
    if len(shape) != ndim:
        wanted = {1: "one-dimensional", 2: "two-dimensional"}[ndim]
        raise ValueError(f"{name} must be {wanted}, got shape {tuple(shape)}")


def require_no_copy(copied: bool, copy: bool | None, name: str, dtypes: Sequence[str]) -> None:
    """Raise where there was a copy and the caller wants none."""
    if copied and copy is False:
        raise ValueError(
            f"{name} can not be used without a copy (copy=False): it must be a contiguous array of {' or '.join(dtypes)}"
        )


def as_array(obj: Any, name: str) -> Any:
    """Pass arrays through and make a NumPy array of lists, data frame columns and the like.

    Numbers in the other byte order are converted, and subclasses of NumPy's array (matrix, memmap) viewed as plain arrays.

    Raises
    ------
    TypeError
        No array of numbers, or one that can not be read: sparse, masked, with a gradient. The argument is named.
    """
    if type(obj) is np.ndarray and obj.dtype.isnative and obj.dtype != object:
        return obj
    if is_column(obj):
        return _plain(columns.to_numpy(obj, name), obj, name)
    refusals.refuse_unreadable(obj, name)
    if hasattr(obj, "is_neg") and obj.is_neg():
        return obj.resolve_neg()  # PyTorch's view of numbers with the other sign, which DLPack can not tell of
    if isinstance(obj, np.ndarray):
        return _plain(obj.view(np.ndarray), obj, name)
    return obj if _is_array(obj) else _plain(_from_sequence(obj, name), obj, name)


def is_column(obj: Any) -> bool:
    """Whether an object is of a library of data frames, and so perhaps a column or a data frame."""
    return type(obj).__module__.partition(".")[0] in columns.LIBRARIES


def _is_array(obj: Any) -> bool:
    return isinstance(obj, np.ndarray) or (hasattr(obj, "__dlpack__") and not isinstance(obj, type))


def _from_sequence(obj: Any, name: str) -> np.ndarray[Any, Any]:
    refusals.refuse_no_array(obj, name)
    if isinstance(obj, (list, tuple)) and not {str, bytes, np.str_}.isdisjoint(map(type, obj)):
        # Before NumPy gives every one of them the room of the longest.
        place = next(place for place, item in enumerate(obj) if isinstance(item, (str, bytes)))
        raise TypeError(f"{name} must be an array of numbers, got a text as {name}[{place}]")
    if holds_arrays(obj):
        return _stacked([_host_array(item, f"{name}[{number}]") for number, item in enumerate(obj)], name)
    try:
        return np.asarray(obj)
    except MemoryError as error:
        raise MemoryError(f"{name} can not be read as an array: {error}") from None
    except Exception as error:  # whatever the object, or what it holds, raises when it is asked for an array
        raise TypeError(f"{name} can not be read as an array: {error}") from None


def holds_arrays(obj: Any) -> bool:
    """Whether a list holds arrays of other libraries, or lists of them: NumPy would read what they hide, such as masks."""
    if not isinstance(obj, (list, tuple)):
        return False
    kinds = set(map(type, obj))
    if any(kind is not np.ndarray and _is_kind_of_array(kind) for kind in kinds):
        return True
    return (list in kinds or tuple in kinds) and any(map(holds_arrays, obj))


def _is_kind_of_array(kind: type) -> bool:
    return issubclass(kind, np.ndarray) or hasattr(kind, "__dlpack__") or hasattr(kind, "tocsr")


def _host_array(item: Any, name: str) -> np.ndarray[Any, Any]:
    """One array of a list, as NumPy has it; an array on a device is refused."""
    if not _is_kind_of_array(type(item)) and not isinstance(item, (list, tuple)):
        return np.asarray(item)
    array = as_array(item, name)
    if (device := _core.import_array(array, name).device) != "cpu":
        raise DeviceError(f"{name} is on a device ({device}): pass one array of all, or items on the CPU")
    return as_numpy(array)


def _stacked(parts: list[np.ndarray[Any, Any]], name: str) -> np.ndarray[Any, Any]:
    for number, part in enumerate(parts):
        if part.shape != parts[0].shape:
            raise ValueError(f"{name}[{number}] has shape {part.shape}, but {name}[0] has {parts[0].shape}: all must be alike")
    return np.stack(parts)


def _plain(array: np.ndarray[Any, Any], obj: Any, name: str) -> np.ndarray[Any, Any]:
    """The array in the machine's byte order; what holds Python objects is refused."""
    if array.dtype == object:
        kinds = (int, float, np.number)
        wrong = next((place for place, item in np.ndenumerate(array) if not isinstance(item, kinds)), None)
        if wrong is None:
            raise TypeError(
                f"{name} must be an array of numbers, got {type(obj).__name__} of Python objects: convert it, as by "
                f"numpy.asarray({name}, dtype=float)"
            )
        place = ", ".join(map(str, wrong))
        raise TypeError(
            f"{name} must be an array of numbers, got {type(obj).__name__} of mixed or ragged content: {name}[{place}] is "
            f"{reprlib.repr(array[wrong])}"
        )
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _converted(array: Any, name: str, dtype: str, dtypes: Sequence[str], convert_to: str | None) -> np.ndarray[Any, Any]:
    refusal = TypeError(f"{name} must be {' or '.join(dtypes)}, got {dtype}")
    if convert_to is None:
        raise refusal
    try:
        plain = as_numpy(array)
    except (TypeError, ValueError, RuntimeError, BufferError):
        raise refusal from None
    if plain.size == 0 and plain.dtype.kind != "c":
        return plain.astype(convert_to)  # NumPy takes an empty list for floats
    integer_wanted = np.dtype(convert_to).kind == "i"
    if plain.dtype.kind not in ("iu" if integer_wanted else "fiu"):
        raise refusal
    result = plain.astype(convert_to)
    if integer_wanted and plain.dtype.kind == "u" and plain.size and int(plain.max()) > np.iinfo(convert_to).max:
        raise ValueError(f"{name} holds {int(plain.max())}, beyond the range of {convert_to}")
    return result


def _contiguous(array: Any) -> Any:
    if isinstance(array, np.ndarray):
        return np.array(array, order="C", copy=True)
    if hasattr(array, "contiguous"):
        return array.contiguous()
    return np.array(np.from_dlpack(array), order="C", copy=True)


def like(result: np.ndarray[Any, Any], reference: Any) -> Any:
    """Hand a fresh NumPy result over to the library that `reference` comes from, without a copy."""
    return importer(reference)(result)


def importer(reference: Any) -> Callable[[Any], Any]:
    """Return the function that brings arrays of other libraries into that of `reference`, of which it holds nothing."""
    if isinstance(reference, np.ndarray) or not hasattr(reference, "__dlpack__"):
        return _unchanged
    root = type(reference).__module__.partition(".")[0]
    library: Any = sys.modules.get(root)
    if root in ("jax", "jaxlib"):
        return _into_jax
    if hasattr(reference, "__array_namespace__"):
        library = reference.__array_namespace__()
    return getattr(library, "from_dlpack", _unchanged)


def _into_jax(result: Any) -> Any:
    """JAX makes int32 of int64 unless told otherwise (jax_enable_x64): numbers too large for that stay in NumPy."""
    array = sys.modules["jax"].numpy.from_dlpack(result)
    narrowed = array.dtype.itemsize < result.dtype.itemsize and result.dtype.kind == "i" and result.size
    return result if narrowed and int(result.max()) > np.iinfo(np.int32).max else array


def _unchanged(result: Any) -> Any:
    return result


def widened(obj: Any) -> Any:
    """Bring a bfloat16 array to float32: NumPy, which converts everything else, can not read it."""
    if not str(getattr(obj, "dtype", "")).endswith("bfloat16"):
        return obj
    return obj.float() if hasattr(obj, "float") else obj.astype("float32")


def as_numpy(obj: Any) -> np.ndarray[Any, Any]:
    """View an array this package has already checked as NumPy, without a copy but for bfloat16, which becomes float32."""
    obj = widened(obj)
    if isinstance(obj, np.ndarray):
        return obj
    return np.from_dlpack(obj) if hasattr(obj, "__dlpack__") else np.asarray(obj)


def require_length(length: int, name: str, expected: int, of: str) -> None:
    """Raise where two arguments that belong together differ in length."""
    if length != expected:
        raise ValueError(f"{name} has {length} elements, but {of} has {expected}")


def as_count(value: Any, name: str, minimum: int, maximum: int | None = None) -> int:
    """Check a whole number."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be an int, got {value!r}")
    if value < minimum or (maximum is not None and value > maximum):
        limits = f"at least {minimum}" if maximum is None else f"from {minimum} to {maximum}"
        raise ValueError(f"{name} must be {limits}, got {value}")
    return int(value)


def as_real(value: Any, name: str, minimum: float, maximum: float = float("inf")) -> float:
    """Check a finite real number within closed limits."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} must be a number, got {value!r}")
    try:
        number = float(value)
    except OverflowError:
        number = float("inf")
    if not (minimum <= number <= maximum) or not np.isfinite(number):
        limits = f"at least {minimum:g}" if maximum == float("inf") else f"from {minimum:g} to {maximum:g}"
        raise ValueError(f"{name} must be finite and {limits}, got {value}")
    return number


def as_real_or_auto(value: Any, name: str, minimum: float, maximum: float = float("inf")) -> float | None:
    """Check a number as `as_real`, or "auto", which becomes None."""
    if not isinstance(value, str):
        return as_real(value, name, minimum, maximum)
    if value != "auto":
        raise TypeError(f"{name} must be a number or 'auto', got {value!r}")
    return None


def as_count_or_auto(value: Any, name: str, minimum: int, maximum: int | None = None) -> int | None:
    """Check a whole number as `as_count`, or "auto", which becomes None."""
    if not isinstance(value, str):
        return as_count(value, name, minimum, maximum)
    if value != "auto":
        raise TypeError(f"{name} must be an int or 'auto', got {value!r}")
    return None


def as_choice(value: Any, name: str, choices: Sequence[Choice]) -> Choice:
    """Check a name (or an enum over names) against the choices there are."""
    if (found := _chosen(value, choices)) is None:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")
    return found


def as_optional_choice(value: Any, name: str, choices: Sequence[Choice]) -> Choice | None:
    """Check a name as `as_choice`, where None is a choice too."""
    if value is not None and (found := _chosen(value, choices)) is None:
        raise ValueError(f"{name} must be {', '.join(map(repr, choices))} or None, got {value!r}")
    return None if value is None else found


def _chosen(value: Any, choices: Sequence[Choice]) -> Choice | None:
    text = getattr(value, "value", value)
    return next((choice for choice in choices if isinstance(text, str) and choice == text), None)


def as_threads(threads: int | None) -> int:
    """Resolve the number of threads: as asked, else `default_threads`."""
    return default_threads() if threads is None else as_count(threads, "threads", 1, 4096)


def default_threads() -> int:
    """COREMAX_NUM_THREADS, else the CPUs that affinity and the quota of a control group leave this process."""
    number = _core.default_threads()
    quota = None if "COREMAX_NUM_THREADS" in os.environ else _quota()
    return number if quota is None else min(number, quota)


@functools.cache
def _quota() -> int | None:
    """Read once: small calls would feel it."""
    return cgroup.cpus()


def as_seed(seed: Seed) -> int:
    """Resolve a seed to 64 bits; a `Generator` is advanced by one draw, a `SeedSequence` is not changed."""
    if isinstance(seed, np.random.Generator):
        return int(seed.integers(0, 2**64, dtype=np.uint64))
    if isinstance(seed, np.random.SeedSequence):
        return int(seed.generate_state(1, np.uint64)[0])
    return as_count(seed, "seed", 0, 2**64 - 1)


def seed_of(use: str, seed: Seed) -> int:
    """Derive the seed of one use, so that draws of several uses of the same seed are independent of each other."""
    return as_seed(np.random.SeedSequence(as_seed(seed), spawn_key=tuple(use.encode())))


def as_budget(budget: Any, n: int) -> int:
    """Resolve a budget: an int is a count, a float in (0, 1] a fraction of n (round half up, at least 1)."""
    if isinstance(budget, (bool, np.bool_)) or not isinstance(budget, (int, float, np.integer, np.floating)):
        raise TypeError(f"budget must be an int (a count) or a float (a fraction), got {budget!r}")
    if isinstance(budget, (int, np.integer)):
        if not 1 <= budget <= n:
            raise ValueError(f"budget must be from 1 to the number of samples, {n}, got {budget}")
        return int(budget)
    if not 0 < budget <= 1:
        raise ValueError(f"budget as a fraction must be in (0, 1], got {budget} (pass an int for a count)")
    return max(1, int(np.floor(float(budget) * n + 0.5)))


_UNITS = {
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KIB": 2**10,
    "MIB": 2**20,
    "GIB": 2**30,
    "TIB": 2**40,
    "B": 1,
}


def as_bytes(limit: int | str | None, name: str) -> int | None:
    """Resolve an amount of memory: bytes, or text such as "2GB", "512MiB" or "1000000"."""
    if limit is None or isinstance(limit, (int, np.integer)):
        return None if limit is None else as_count(limit, name, 1)
    text = str(limit).strip().upper()
    if text.isdecimal() and len(text) < 20:  # a number of bytes from the command line
        return as_count(int(text), name, 1, 2**63 - 1)
    for unit in sorted(_UNITS, key=len, reverse=True):
        if text.endswith(unit):
            try:
                number = float(text[: -len(unit)]) * _UNITS[unit]
            except ValueError:
                break
            if 1 <= number < 2**63:
                return int(number)
            break
    raise ValueError(f"{name} must be a number of bytes or text such as '2GB', got {limit!r}")


def resolve_isa(isa: str | None) -> str:
    """Resolve an ISA level: as asked, else COREMAX_ISA, else the best of this build on this CPU."""
    if isa is not None and not isinstance(isa, str):
        raise TypeError(f"isa must be a str, got {isa!r}")
    return _core.resolve_isa(isa or "")


def environment() -> dict[str, str]:
    """Return the COREMAX_ variables that are set."""
    return {key: value for key, value in sorted(os.environ.items()) if key.startswith("COREMAX_")}
