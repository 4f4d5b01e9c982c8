"""What this installation is made of and what it will use."""

from __future__ import annotations

import platform
from importlib.util import find_spec
from typing import Any, Literal, get_args, overload

from .. import _core
from .._inputs import arrays, devices

# Import name of the library -> the extra that installs it.
EXTRAS = {
    "click": "cli",
    "tqdm": "cli",
    "datasets": "datasets",
    "pyarrow": "files",
    "safetensors": "files",
    "ml_dtypes": "files",
    "jinja2": "report",
    "matplotlib": "report",
    "sklearn": "sklearn",
    "scipy": "",
    "torch": "torch",
}


Mode = Literal["stdout", "dicts"]


@overload
def show_config(mode: Literal["stdout"] = ...) -> None: ...
@overload
def show_config(mode: Literal["dicts"]) -> dict[str, Any]: ...
def show_config(mode: Mode = "stdout") -> dict[str, Any] | None:
    """Show version, ISA level, threads and optional libraries, as `numpy.show_config` does for NumPy.

    Parameters
    ----------
    mode : {"stdout", "dicts"}
        Print, or return a dict.

    Returns
    -------
    dict or None
        Keys: version, python, numpy, compiler, isa (the level in use), isas (all this build has on this CPU), threads,
        cuda (available, why_not, devices), environment (COREMAX_ variables set), optional (library -> found).
    """
    import numpy

    arrays.as_choice(mode, "mode", get_args(Mode))
    config: dict[str, Any] = {
        "version": _core.__version__,
        "python": platform.python_version(),
        "numpy": numpy.__version__,
        "compiler": _core.compiler,
        "isa": _core.resolve_isa(""),
        "isas": _core.available_isas(),
        "threads": arrays.default_threads(),
        "cuda": devices.config(),
        "environment": arrays.environment(),
        "optional": {name: find_spec(name) is not None for name in EXTRAS},
    }
    if mode == "dicts":
        return config
    print(format_config(config))  # noqa: T201
    return None


def format_config(config: dict[str, Any]) -> str:
    """Lay a configuration out as text."""
    lines = [f"coremax {config['version']} (Python {config['python']}, NumPy {config['numpy']}, compiler {config['compiler']})"]
    lines.append(f"isa      {config['isa']} (available: {', '.join(config['isas'])})")
    lines.append(f"threads  {config['threads']}")
    cuda = config["cuda"]
    lines += [f"cuda     {'available' if cuda['available'] else 'not available: ' + cuda['why_not']}"]
    lines += [
        f"  {found['device']} {found['name']} (compute capability {found['compute_capability']})" for found in cuda["devices"]
    ]
    lines += [f"{key}={value}" for key, value in config["environment"].items()]
    for name, found in config["optional"].items():
        extra = f" (pip install 'coremax[{EXTRAS[name]}]')" if EXTRAS[name] and not found else ""
        lines.append(f"optional {name}: {'found' if found else 'not found' + extra}")
    return "\n".join(lines)
