"""Where there is no CUDA backend, or none that can be used, arrays on a device are refused with a way out."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import coremax
from coremax._inputs import devices


class Elsewhere:
    """An array on a device, as far as anybody may look."""

    def __init__(self, kind: int = 2, number: int = 0) -> None:
        self.place = (kind, number)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.place

    def __dlpack__(self, **_: Any) -> Any:
        raise AssertionError("nobody may ask for the data")


def test_without_the_extension(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_WHY_NO_MODULE", "there is no extension")
    for call in (coremax.AliasTable, lambda weights: coremax.sample(weights, 1)):
        with pytest.raises(
            coremax.DeviceError, match=r"weights is on a device \(cuda:0\), and there is no extension; or pass w"
        ):
            call(Elsewhere())
    config = coremax.show_config("dicts")["cuda"]
    assert config == {"available": False, "why_not": "there is no extension", "devices": []}


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (None, r"no CUDA backend: it is built from the sources, .* with pip install \. -Ccmake.define.COREMAX_CUDA=ON$"),
        (
            "__version__ = '0.0.1'",
            r"coremax_cu13\._cuda is of version 0\.0\.1, not .*: install both from the same sources$",
        ),
        ("import a_library_that_is_not_there", r"coremax_cu13\._cuda can not be loaded: No module named 'a_library"),
        ("raise ImportError('libcudart.so.13: cannot open')", r"coremax_cu13\._cuda can not be loaded: libcudart\.so\.13"),
        (f"__version__ = {coremax.__version__!r}\ndef why_not(): return 'the driver is too old'", "^the driver is too old$"),
        (f"__version__ = {coremax.__version__!r}\ndef why_not(): return ''\ndef devices(): return [1]", "^$"),
    ],
)
def test_the_plug_in_is_found(source: str | None, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wheel coremax-cu13 is a package of another name that holds the extension; it is looked for when it is needed."""
    if source is not None:
        (tmp_path / "coremax_cu13").mkdir()
        (tmp_path / "coremax_cu13" / "__init__.py").touch()
        (tmp_path / "coremax_cu13" / "_cuda.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("coremax_cu13", "coremax_cu13._cuda"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(devices, "_HOMES", devices._HOMES[1:])  # as where this package was built without it
    monkeypatch.setattr(devices, "_WHY_NO_MODULE", None)
    monkeypatch.setattr(devices, "_cuda", None, raising=False)
    config = devices.config()
    assert re.search(why, config["why_not"]), config
    assert config["devices"] == ([1] if config["available"] else [])
    if source is None:
        with pytest.raises(
            coremax.DeviceError, match=r"weights is on a device \(cuda:0\), and this installation of coremax has no"
        ):
            coremax.AliasTable(Elsewhere())
    for name in ("coremax_cu13", "coremax_cu13._cuda"):
        sys.modules.pop(name, None)


def test_nothing_looks_for_the_plug_in_without_need() -> None:
    code = (
        "import sys, coremax; coremax.sample([1.0], 1); "
        "print('coremax_cu13' in sys.modules, coremax._inputs.devices._WHY_NO_MODULE)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "False None\n"


def test_without_a_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_WHY_NO_MODULE", "")
    monkeypatch.setattr(devices, "_cuda", SimpleNamespace(why_not=lambda: "the driver is too old"), raising=False)
    with pytest.raises(
        coremax.DeviceError, match=r"weights is on a device \(cuda:3\), which can not be used: the driver is too"
    ):
        coremax.AliasTable(Elsewhere(number=3))


def test_mixes_are_refused_before_anything_else() -> None:
    with pytest.raises(ValueError, match=r"all arrays of a call must be in one place, got a on cuda:0, b on cuda:1"):
        devices.device_of_arrays(a=Elsewhere(), b=Elsewhere(number=1))
    with pytest.raises(ValueError, match=r"got a on the CPU, b on cuda:0: move them to one device, or to the CPU"):
        devices.device_of_arrays(a=np.ones(2), b=Elsewhere(kind=13))
    with pytest.raises(coremax.DeviceError, match=r"x is on a device \(device type 10\); this function runs on the CPU"):
        coremax.topk_graph(Elsewhere(kind=10), 1)


def test_importing_needs_no_device() -> None:
    assert devices.device_of_arrays(weights=[1.0, 2.0]) is None
    assert devices.device_of_arrays("cpu", weights=np.ones(2)) is None
    if "coremax._cuda" in sys.modules:
        assert isinstance(devices.config()["why_not"], str)
    assert "cuda     " in _format()


def _format() -> str:
    from coremax._runtime.config import format_config

    return format_config(coremax.show_config("dicts"))
