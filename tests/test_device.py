"""Where there is no CUDA backend, or none that can be used, arrays on a device are refused with a way out."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import coremax
from coremax import _device


class Elsewhere:
    """An array on a device, as far as anybody may look."""

    def __init__(self, kind: int = 2, number: int = 0) -> None:
        self.place = (kind, number)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.place

    def __dlpack__(self, **_: Any) -> Any:
        raise AssertionError("nobody may ask for the data")


def test_without_the_extension(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_device, "_WHY_NO_MODULE", "there is no extension")
    for call in (coremax.AliasTable, lambda weights: coremax.sample(weights, 1)):
        with pytest.raises(
            coremax.DeviceError, match=r"weights is on a device \(cuda:0\), and there is no extension; or pass w"
        ):
            call(Elsewhere())
    config = coremax.show_config("dicts")["cuda"]
    assert config == {"available": False, "why_not": "there is no extension", "devices": []}


def test_without_a_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_device, "_WHY_NO_MODULE", "")
    monkeypatch.setattr(_device, "_cuda", SimpleNamespace(why_not=lambda: "the driver is too old"), raising=False)
    with pytest.raises(
        coremax.DeviceError, match=r"weights is on a device \(cuda:3\), which can not be used: the driver is too"
    ):
        coremax.AliasTable(Elsewhere(number=3))


def test_mixes_are_refused_before_anything_else() -> None:
    with pytest.raises(ValueError, match=r"all arrays of a call must be in one place, got a on cuda:0, b on cuda:1"):
        _device.of(a=Elsewhere(), b=Elsewhere(number=1))
    with pytest.raises(ValueError, match=r"got a on the CPU, b on cuda:0: move them to one device, or to the CPU"):
        _device.of(a=np.ones(2), b=Elsewhere(kind=13))
    with pytest.raises(coremax.DeviceError, match=r"x is on a device \(device type 10\); this function runs on the CPU"):
        coremax.topk_graph(Elsewhere(kind=10), 1)


def test_importing_needs_no_device() -> None:
    assert _device.of(weights=[1.0, 2.0]) is None
    assert _device.of("cpu", weights=np.ones(2)) is None
    if "coremax._cuda" in sys.modules:
        assert isinstance(_device.config()["why_not"], str)
    assert "cuda     " in _format()


def _format() -> str:
    from coremax._config import format_config

    return format_config(coremax.show_config("dicts"))
