"""The documentation: examples on all pages run and print what the page says, the site builds, nothing public is missing."""

from __future__ import annotations

import contextlib
import doctest
import importlib
import inspect
import io
import os
import re
import subprocess
import sys
import zlib
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import SkipTest

import pytest

if TYPE_CHECKING:
    from sybil import Example

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    path
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    if re.search(r"^ *```(python|sh)$", path.read_text(), re.MULTILINE)
]
MODULES = ("", ".graph", ".solver", ".sampling", ".scores", ".selection", ".text", ".torch", ".datasets", ".sklearn")
# What a page may need that not everybody has installed; anything else that is missing is an error.
OPTIONAL = {
    "cleanlab",
    "datasets",
    "faiss",
    "hnswlib",
    "pandas",
    "polars",
    "pyarrow",
    "pynndescent",
    "sklearn",
    "torch",
    "torchdata",
}
# "..." in the output stands for anything, blanks do not count, and decimals may differ by one in the last place written.
OUTPUT_FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
DECIMAL = re.compile(r"-?\d+\.(\d+)")


class Page:
    """One page: its blocks run in order, in one namespace, and a block of language "text" is the output of the one before."""

    def __init__(self) -> None:
        self.printed: str | None = None

    def python(self, example: Example) -> None:
        """Run a Python block."""
        out = io.StringIO()
        # As many lines before it as on the page, so that a traceback tells the page's.
        code = compile("\n" * example.line + example.parsed, example.path, "exec")
        with contextlib.redirect_stdout(out):
            exec(code, example.namespace)
        self.printed = out.getvalue()

    def shell(self, example: Example) -> None:
        """Run a block of shell commands; `coremax` is this interpreter's."""
        done = subprocess.run(["bash", "-e", "-c", example.parsed], capture_output=True, text=True)
        assert done.returncode == 0, f"{example.path}:{example.line}: {done.stderr}"
        self.printed = done.stdout

    def text(self, example: Example) -> None:
        """Compare with what the block before printed."""
        assert self.printed is not None, f"{example.path}:{example.line}: no block before printed this"
        printed = as_written(example.parsed, self.printed)
        if not doctest.OutputChecker().check_output(example.parsed, printed, OUTPUT_FLAGS):
            said = f"the page says\n{example.parsed}\nbut printed was\n{printed}"
            raise AssertionError(f"{example.path}:{example.line}: {said}")
        self.printed = None


def as_written(wanted: str, printed: str) -> str:
    """Give decimals of what was printed the digits of the page, where they differ by one in the last of them at most."""
    of_page = DECIMAL.finditer(wanted)

    def nearest(match: re.Match[str]) -> str:
        other = next(of_page, None)
        close = other is not None and abs(float(other[0]) - float(match[0])) < 1.001 * 10.0 ** -len(other[1])
        return other[0] if other is not None and close else match[0]

    return DECIMAL.sub(nearest, printed)


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")  # of loaders beside torch's threads
@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_examples_of_pages(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sybil")
    from sybil import Document
    from sybil.parsers.markdown import CodeBlockParser, SkipParser

    page = Page()
    parsers = [CodeBlockParser("python", page.python), CodeBlockParser("sh", page.shell), CodeBlockParser("text", page.text)]
    document = Document.parse(str(path), *parsers, SkipParser())
    monkeypatch.chdir(tmp_path)
    with_command(tmp_path / ".bin", monkeypatch)
    for library in ("OMP", "OPENBLAS", "MKL"):  # matrices are small: more threads would only wait for each other
        monkeypatch.setenv(f"{library}_NUM_THREADS", "1")
    for example in document.examples():
        run(example)


def run(example: Example) -> None:
    """Run a block, unless the page says why not: <!--- skip: next "reason" -->."""
    try:
        example.evaluate()
    except SkipTest:
        pass
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in OPTIONAL:
            raise
        pytest.skip(f"{example.path}, line {example.line}: {error.name} is not installed")


def with_command(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a command `coremax` that is the package under test before all others."""
    folder.mkdir()
    command = folder / "coremax"
    command.write_text(f"#!/bin/sh\nexec '{sys.executable}' -c 'from coremax.cli import main; main()' \"$@\"\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.parametrize(
    ("printed", "said", "found"),
    [
        ("1", "2", True),
        ("1", "1", False),
        ("0.978", "0.98", False),
        ("0.97", "0.98", False),
        ("0.96", "0.98", True),
        ("1.5 and 2", "1.5 and 3", True),
        ("1.5 seconds, 7 kept", "... seconds, 7 kept", False),
    ],
)
def test_wrong_outputs_are_found(printed: str, said: str, found: bool, tmp_path: Path) -> None:
    pytest.importorskip("sybil")
    from sybil import Document
    from sybil.parsers.markdown import CodeBlockParser

    path = tmp_path / "page.md"
    path.write_text(f"```python\nx = {printed!r}\n```\n\n```python\nprint(x)\n```\n\n```text\n{said}\n```\n")
    page = Page()
    document = Document.parse(str(path), CodeBlockParser("python", page.python), CodeBlockParser("text", page.text))
    *first, last = document.examples()
    for example in first:
        example.evaluate()
    with pytest.raises(AssertionError, match=r"page\.md:9: the page says") if found else contextlib.nullcontext():
        last.evaluate()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site with warnings as errors (which --quiet would hide from --strict)."""
    for module in ("mkdocs", "material", "mkdocstrings", "mkdocs_click", "latex2mathml"):
        pytest.importorskip(module)
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_public_name_is_in_the_reference(site: Path) -> None:
    inventory = zlib.decompress((site / "objects.inv").read_bytes().split(b"\n", 4)[4]).decode()
    documented = {line.split()[0] for line in inventory.splitlines()}
    missing = [name for name in public_names() if name not in documented]
    assert not missing


def public_names() -> list[str]:
    names = []
    for suffix in MODULES:
        try:
            module = importlib.import_module(f"coremax{suffix}")
        except ImportError:  # an extra that is not installed
            continue
        for name in module.__all__:
            thing = getattr(module, name)
            if inspect.ismodule(thing) or name.startswith("__"):
                continue
            names.append(f"{module.__name__}.{name}")
            if inspect.isclass(thing) and suffix:
                names += [f"{module.__name__}.{name}.{method}" for method in own_methods(thing)]
    return names


def own_methods(cls: type) -> list[str]:
    """Public methods and properties that coremax wrote, inherited ones included."""
    kinds = (property, classmethod, staticmethod)
    found = []
    for base in cls.__mro__:
        if base.__module__.startswith("coremax"):
            found += [name for name, value in vars(base).items() if inspect.isfunction(value) or isinstance(value, kinds)]
    return [name for name in found if not name.startswith("_")]


def test_the_site_needs_no_network(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 15
    fetched = re.compile(r'<(?:script|img|iframe|source)[^>]*\bsrc="?(?:https?:)?//|<link[^>]*\bhref="?(?:https?:)?//')
    for page in pages:
        without_canonical = re.sub(r'<link[^>]*rel="?canonical[^>]*>', "", page.read_text())
        assert not fetched.search(without_canonical), page
    for style in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?(?:https?:)?//", style.read_text()), style


def test_formulas_and_names_are_translated(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text()
        assert 'class="arithmatex"' not in text, page
        assert "<autoref" not in text, page
    assert 'reference/solver.html#coremax.solver.solve"' in (site / "solver.html").read_text()
