"""Choosing the device of a call, and arrays that go in and out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import coremax
from coremax._inputs import devices

if TYPE_CHECKING:
    from conftest import Device  # type: ignore[import-not-found,unused-ignore]


def test_arrays_go_in_and_out(device: Device) -> None:
    for dtype in ("float32", "float64", "int8", "int32", "int64", "float16"):
        values = np.arange(12).reshape(3, 4).astype(dtype)
        array = device.put(values)
        assert (array.shape, array.dtype, array.__dlpack_device__()) == ((3, 4), dtype, (2, 0))
        np.testing.assert_array_equal(device.get(array), values)
        call = devices.device_of_arrays(x=array)
        assert call is not None
        view = call.view(array, "x", ndim=2, dtypes=(dtype,))
        assert (view.shape, view.dtype, view.device, view.contiguous, view.readonly) == ((3, 4), dtype, "cuda:0", True, False)
    assert device.get(device.put(np.zeros((0, 3), np.float32))).shape == (0, 3)


def test_capsules_of_both_versions(device: Device) -> None:
    array = device.put(np.arange(3.0))
    assert "dltensor_versioned" in repr(array.__dlpack__(stream=1, max_version=(1, 0)))
    assert '"dltensor"' in repr(array.__dlpack__(stream=-1))
    assert '"dltensor"' in repr(array.__dlpack__(max_version=(0, 8)))


def test_places(device: Device) -> None:
    here, there = np.ones(3), device.put(np.ones(3))
    assert devices.device_of_arrays(a=here, b=None) is None
    assert devices.device_of_arrays("cpu", a=here) is None
    call = devices.device_of_arrays("cuda", a=there, b=None)
    assert call is not None
    assert (call.number, call.stream, call.name) == (0, 1, "cuda:0")
    assert devices.device_of_arrays("cuda:0", a=there) == call
    with pytest.raises(ValueError, match=r"in one place, got a on cuda:0, b on the CPU"):
        devices.device_of_arrays(a=there, b=here)
    with pytest.raises(ValueError, match=r"device is 'cpu', but arrays are used where they are.* a on cuda:0"):
        devices.device_of_arrays("cpu", a=there)
    with pytest.raises(ValueError, match="device is 'cuda:1', but arrays"):
        devices.device_of_arrays("cuda:1", a=there)
    with pytest.raises(ValueError, match=r"device is 'cuda', but arrays .* a on the CPU"):
        devices.device_of_arrays("cuda", a=here)
    with pytest.raises(ValueError, match="device must be 'cpu', 'cuda' or 'cuda:<number>', got 'gpu'"):
        devices.device_of_arrays("gpu", a=here)


def test_what_is_not_accepted(device: Device) -> None:
    array = device.put(np.ones(3, np.int32))
    call = devices.device_of_arrays(a=array)
    assert call is not None
    with pytest.raises(TypeError, match="a must be float32 or float64, got int32"):
        call.view(array, "a", ndim=1, dtypes=("float32", "float64"))
    with pytest.raises(ValueError, match=r"a must be two-dimensional, got shape \(3,\)"):
        call.view(array, "a", ndim=2, dtypes=("int32",))
    with pytest.raises(coremax.DeviceError, match=r"probabilities is on a device \(cuda:0\); this function runs on the CPU"):
        coremax.scores.entropy(device.put(np.full((3, 4), 0.25)))


def test_configuration(device: Device) -> None:
    config = coremax.show_config("dicts")
    assert config is not None
    assert config["cuda"]["available"]
    assert config["cuda"]["why_not"] == ""
    assert config["cuda"]["devices"][0]["device"] == "cuda:0"
