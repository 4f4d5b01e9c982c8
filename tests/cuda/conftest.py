"""Tests of the CUDA backend run where there is a device. Where there is none they can run on the device in software of
tests/csrc/cuda: COREMAX_EMULATED_CUDA names the folder of the extension that the build makes over it (target
coremax_emulated_cuda). Otherwise they are skipped, and say so.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import coremax
from coremax._inputs import devices

Array = np.ndarray[Any, Any]


class Device:
    """Arrays to and from the device under test, through the package's own array."""

    emulated: bool

    def __init__(self, emulated: bool) -> None:
        self.emulated = emulated

    def put(self, values: Any, dtype: str | None = None) -> Any:
        """An array on the device; dtype "bfloat16" takes the values' bits as uint16."""
        host = np.ascontiguousarray(values)
        extension: Any = sys.modules["coremax._cuda"]
        place = extension.Place(0, 1)
        array = extension.DeviceArray(list(host.shape), dtype or str(host.dtype), place)
        extension.write(extension.import_array(array, "array", 1), host.reshape(-1), place)
        return array

    def get(self, array: Any) -> Array:
        """The values of an array that a function gave back."""
        return np.frombuffer(array.read(), dtype=array.dtype).reshape(array.shape)


def _emulated(folder: str) -> ModuleType:
    names = [Path(folder) / f"_cuda{suffix}" for suffix in importlib.machinery.EXTENSION_SUFFIXES]
    found = next((name for name in names if name.exists()), None)
    if found is None:
        pytest.fail(f"COREMAX_EMULATED_CUDA is {folder!r}, where there is no extension _cuda")
    spec = importlib.util.spec_from_file_location("coremax._cuda", found)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def device() -> Iterator[Device]:
    """A CUDA device, or the emulated one."""
    config: dict[str, Any] = coremax.show_config("dicts")["cuda"]
    folder = os.environ.get("COREMAX_EMULATED_CUDA")
    if folder is None:
        if not config["available"]:
            pytest.skip(f"no CUDA device: {config['why_not']}")
        yield Device(emulated=False)
        return
    with pytest.MonkeyPatch.context() as patch:
        module = _emulated(folder)
        patch.setitem(sys.modules, "coremax._cuda", module)
        patch.setattr(devices, "_cuda", module, raising=False)
        patch.setattr(devices, "_WHY_NO_MODULE", "")
        yield Device(emulated=True)
