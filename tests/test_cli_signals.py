"""The command line and what comes from outside: Ctrl-C while it imports, files that change while it reads them."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("click")

# Runs the command as its script does, with Ctrl-C at the moment a module is looked for.
INTERRUPTED = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job of a shell has it ignored
name, sys.argv = sys.argv[1], ["/somewhere/bin/coremax", "info"]
class Finder:
    def find_spec(self, module, *_):
        if module == name:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
from coremax.cli import main
main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize(
    "module", ["numpy", "numpy.linalg", "coremax._core", "coremax.graph", "coremax.cli", "click", "coremax.cli.commands"]
)
def test_ctrl_c_while_importing(module: str) -> None:
    result = subprocess.run([sys.executable, "-c", INTERRUPTED, module], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr, result.stdout) == (130, "", "")


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_ctrl_c_is_left_alone_elsewhere() -> None:
    """In programs that import the package, and where a shell has Ctrl-C ignored."""
    show = "import coremax, signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    start = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    for given, expected in (
        (start, "True"),
        (start + "sys.argv[0] = 'train.py'; ", "True"),
        (start + "sys.argv[0] = 'coremax'; ", "False"),
        (start + "sys.argv[0], sys.orig_argv = '-m', ['python', '-m', 'coremax']; ", "False"),
        (start + "sys.argv[0], sys.orig_argv = '-m', ['python', '-m', 'mine', 'coremax']; ", "True"),
    ):
        found = subprocess.run([sys.executable, "-c", given + show], capture_output=True, text=True, check=True)
        assert found.stdout.strip() == expected, given
    ignored = "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); sys.argv[0] = 'coremax'; import coremax; "
    ignored += "print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)"
    assert subprocess.run([sys.executable, "-c", ignored], capture_output=True, text=True, check=True).stdout.strip() == "True"


# Shortens, or writes over, the input between its reading and its use.
CHANGED = """
import os, sys
from coremax.cli import _job, main
matrix = _job.Job.matrix
def read(self, text, what):
    found = matrix(self, text, what)
    path = text.partition(":")[0]
    {change}
    return found
_job.Job.matrix = read
sys.argv = ["coremax", "graph", sys.argv[1], "-o", "g.npz", *sys.argv[2:]]
main()
"""


def run_changed(change: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", CHANGED.format(change=change), *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.skipif(not hasattr(signal, "SIGBUS"), reason="a file that is mapped can not be shortened there")
@pytest.mark.parametrize("name", ["x.npy", "m.safetensors:x"])
@pytest.mark.parametrize("length", [0, 1_000_000])
def test_a_file_that_is_shortened_while_mapped(name: str, length: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).normal(size=(8000, 64)).astype(np.float32)
    if name == "x.npy":
        np.save(name, x)
    else:
        pytest.importorskip("safetensors.numpy").save_file({"x": x}, "m.safetensors")
    kept = Path(name.partition(":")[0]).read_bytes()
    for more in ([], ["--no-sidecar", "--quiet"]):
        result = run_changed(f"os.truncate(path, {length})", name, *more)
        assert result.returncode == 2, result
        assert "the file was shortened" in result.stderr
        assert result.stderr.count("\n") == 1
        assert {path.name.partition(".")[0] for path in tmp_path.iterdir()} - {"g"} == {name.partition(".")[0]}
        assert not Path("g.npz").exists()
        Path(name.partition(":")[0]).write_bytes(kept)


def test_a_file_that_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", np.random.default_rng(0).normal(size=(100, 4)).astype(np.float32))
    assert run_changed("pass", "x.npy").returncode == 0


def test_a_file_that_is_written_to_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In place, or replaced by another of its name: the record would speak of a file that was not the one read."""
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", np.random.default_rng(0).normal(size=(100, 4)).astype(np.float32))
    for change in ("open(path, 'r+b').write(b'\\\\x93')", "open(path, 'ab').write(b'more')", "os.replace('y.npy', path)"):
        np.save("y.npy", np.random.default_rng(1).normal(size=(100, 4)).astype(np.float32))
        result = run_changed(f"os.utime(path, ns=(1, 1)); {change}", "x.npy")
        assert (result.returncode, Path("g.npz").exists()) == (2, False), result
        assert "x.npy was written to while it was read" in result.stderr
        np.save("x.npy", np.load("y.npy") if Path("y.npy").exists() else np.load("x.npy"))


@pytest.mark.skipif(not hasattr(signal, "SIGBUS"), reason="no such signal")
def test_other_bus_errors_end_the_process() -> None:
    """The guard is of mapped inputs alone; without it nobody's handler is touched."""
    other = (
        "from coremax.cli import _mapped; import os, signal, mmap, tempfile; {}f = tempfile.TemporaryFile(); f.truncate(9999); "
    )
    other += "m = mmap.mmap(f.fileno(), 9999); f.truncate(0); m[5000]"
    for guard in ("_mapped.guard(); ", ""):
        result = subprocess.run([sys.executable, "-c", other.format(guard)], capture_output=True, check=False)
        assert result.returncode == -signal.SIGBUS
    quiet = "import coremax, signal; print(signal.getsignal(signal.SIGBUS) == signal.SIG_DFL)"
    assert subprocess.run([sys.executable, "-c", quiet], capture_output=True, text=True, check=True).stdout.strip() == "True"
