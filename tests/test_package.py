"""The package as a whole: its face, what it imports, its structure, its documentation."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from importlib.metadata import metadata, requires, version
from pathlib import Path
from types import ModuleType

import pytest

import coremax
from coremax._runtime import config as _config

ROOT = Path(__file__).resolve().parent.parent
WORDS = ("graph", "solver", "sampling", "scores", "selection", "text")
INTEGRATIONS = ("datasets", "sklearn", "torch")
MODULES = [importlib.import_module(f"coremax.{word}") for word in WORDS + INTEGRATIONS]
PARTS = [
    importlib.import_module(f"{module.__name__}.{info.name}")
    for module in MODULES
    if hasattr(module, "__path__")
    for info in pkgutil.iter_modules(module.__path__)
]


def test_one_version() -> None:
    assert coremax.__version__ == version("coremax")
    assert f"coremax-cu13=={coremax.__version__}" in (ROOT / "pyproject.toml").read_text()


def test_numpy_is_the_only_dependency() -> None:
    needed = [line for line in requires("coremax") or [] if "extra ==" not in line]
    assert [re.split(r"[<>=]", line)[0] for line in needed] == ["numpy"]
    assert metadata("coremax")["License-Expression"] == "Apache-2.0"


def test_import_brings_in_nothing_but_numpy() -> None:
    code = """
import sys, numpy.random
before = set(sys.modules)
import coremax
new = {name.partition('.')[0] for name in set(sys.modules) - before}
slow = {'decimal', 'glob', 'json', 'pathlib', 'signal', 'tempfile', 'uuid', 'zipfile'}  # of Python's own
print(sorted(new - set(sys.stdlib_module_names)), new & slow)
"""
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert out.strip() == "['coremax'] set()"


def test_works_without_any_extra() -> None:
    code = f"""
import sys
for name in {sorted(_config.EXTRAS)!r}:
    sys.modules[name] = None
import numpy as np, coremax
x = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
assert len(coremax.infomax(x, x[:, 0], 5)) == 5
coremax.sample([1.0, 2.0], 1)
coremax.show_config()
try:
    coremax.topk_graph(x, 3, progress=True)
except ImportError as error:
    assert "coremax[cli]" in str(error)
from coremax.cli import main
try:
    main()
except SystemExit as stop:
    assert "coremax[cli]" in str(stop), stop
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)


def test_show_config(capsys: pytest.CaptureFixture[str]) -> None:
    assert coremax.show_config() is None
    printed = capsys.readouterr().out
    config = coremax.show_config("dicts")
    assert config["version"] in printed
    assert config["isa"] in config["isas"]
    assert config["isas"][0] == "scalar"
    with pytest.raises(ValueError, match="mode must be one of"):
        coremax.show_config("xml")  # type: ignore[call-overload]


def test_every_public_name_is_documented_and_typed() -> None:
    for module in MODULES:
        for name in module.__all__:
            thing = getattr(module, name)
            documentation = inspect.getdoc(thing) or ""
            assert documentation, f"{module.__name__}.{name}"
            if inspect.isfunction(thing):
                signature = inspect.signature(thing)
                assert signature.return_annotation is not inspect.Signature.empty
                for parameter in signature.parameters.values():
                    assert parameter.annotation is not inspect.Parameter.empty
                    assert re.search(rf"^\s*[\w, *]*\b{parameter.name}\b[\w, ]*( :|$)", documentation, re.MULTILINE), (
                        f"{name}: {parameter.name}"
                    )
                assert "Returns\n" in documentation, name


@pytest.mark.parametrize("module", MODULES + PARTS, ids=lambda module: module.__name__)
def test_examples_in_docstrings(module: ModuleType) -> None:
    assert doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE).failed == 0


def test_continuous_integration_runs_the_commands_of_the_readme() -> None:
    readme, script = (ROOT / "README.md").read_text(), (ROOT / ".ci" / "run").read_text()
    commands = re.findall(r"^python3 -m venv .*$", readme, re.MULTILINE)
    assert len(commands) == 2
    assert commands[1] in script


def test_readme_points_at_files_that_exist() -> None:
    for document in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"):  # links are relative to the root
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", (ROOT / document).read_text()):
            assert (ROOT / target).exists(), f"{document}: {target}"


def test_changelog_knows_this_version() -> None:
    assert f"## {coremax.__version__}" in (ROOT / "CHANGELOG.md").read_text()


# csrc: bindings -> words -> {isa, core}; core -> nothing; a word's private headers stay its own.
ALLOWED = {
    "core": {"core"},
    "cuda": {"cuda", "core"},
    "isa": {"isa", "core"},
    "graph": {"graph", "cuda", "isa", "core"},
    "solver": {"solver", "cuda", "graph", "core"},
    "sampling": {"sampling", "cuda", "isa", "core"},
    "scores": {"scores", "cuda", "graph", "isa", "core"},
    "selection": {"selection", "graph", "isa", "core"},
    "text": {"text", "isa", "core"},
    "bindings": {"bindings", "graph", "solver", "sampling", "scores", "selection", "text", "cuda", "isa", "core"},
}


def test_structure_of_the_engines() -> None:
    sources = [path for path in (ROOT / "csrc").rglob("*") if path.suffix in (".h", ".cpp", ".cu")]
    assert len(sources) > 20
    for path in sources:
        folder = path.relative_to(ROOT / "csrc").parts[0]
        text = path.read_text()
        if folder != "bindings":
            assert "pybind11" not in text, path
        for target in re.findall(r'#include "([^"]+)"', text):
            word = target.split("/")[0]
            assert word in ALLOWED[folder], f"{path} includes {target}"
            if word != folder and word in WORDS:
                assert target in (f"{word}/{word}.h", f"{word}/cuda/{word}.h"), f"{path} includes a private file: {target}"
            # Code for the device and for the CPU meet in the words' own files only, and those without a device know none.
            for_device = "cuda" in path.relative_to(ROOT / "csrc").parts
            assert for_device or "cuda" not in target.split("/"), f"{path} includes {target}"
            assert not (for_device and "cpu" in target.split("/")), f"{path} includes {target}"
    # An ISA file shares no code that the linker could take from it for the baseline: intrinsics, its kernel table, and bodies
    # that are local to the file only (the test isa_symbols looks at the objects).
    allowed = {"<immintrin.h>", "<arm_neon.h>", '"graph/cpu/kernels.h"', '"graph/cpu/filter512.h"', '"graph/cpu/filter_neon.h"'}
    allowed |= {'"isa/random_bits_kernels.h"'}
    allowed |= {'"sampling/cpu/race_kernels.h"', '"text/cpu/kernels.h"', '"scores/cpu/kernels.h"', '"scores/cpu/rows.h"'}
    files = [path for path in (ROOT / "csrc").rglob("*.cpp") if re.search(r"(avx|amx|neon|shani)\w*\.cpp$", path.name)]
    assert len(files) >= 10
    for path in files:
        assert set(re.findall(r"#include (\S+)", path.read_text())) <= allowed, path


def test_device_code_is_compiled_everywhere() -> None:
    listed = (ROOT / "cmake" / "cuda.cmake").read_text()
    for path in (ROOT / "csrc").rglob("*"):
        name = path.relative_to(ROOT).as_posix()
        if "/cuda/" in name and "/bindings/" not in name and path.suffix in (".cpp", ".cu"):
            assert name in listed, f"{name} is not in cmake/cuda.cmake"
            text = path.read_text()
            assert "<<<" not in text.replace("<<<>>>", ""), f"{name}: launches go through cuda/launch.h"
            assert path.suffix == ".cu" or "launch.h" not in text, f"{name}: kernels and launches belong into .cu files"


def test_every_module_is_importable() -> None:
    for info in pkgutil.walk_packages(coremax.__path__, "coremax."):
        importlib.import_module(info.name)
