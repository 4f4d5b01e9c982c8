"""What makes a run repeatable: parameters, versions and hashes of its inputs in a TOML file, which `--config` reads again."""

from __future__ import annotations

import hashlib
import math
import os
import platform
import re
import sys
import threading
from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import _core
from .._inputs import arrays, records
from .._runtime.progress import Progress, reporting
from ._read import naming, require_file

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_LARGEST_CONFIG = 1 << 24
_BLOCK = 1 << 22
_DIGEST_BYTES = 16  # as of `b2sum -l 128`


class Fingerprint:
    """Size and BLAKE2b of a file, computed by a thread of its own beside the work.

    One core hashes about 1 GB/s, some per cent of what a graph takes; hashlib releases the GIL meanwhile.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.size = require_file(path).st_size
        self._hash, self._done = "", 0
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)  # nothing waits for it where the command fails
        self._thread.start()

    def _run(self) -> None:
        try:
            self._hash = hash_file(self.path, self._note)
        except OSError as error:
            self._error = error

    def _note(self, done: int, _: int) -> None:
        self._done = done

    def result(self, progress: Progress) -> dict[str, Any]:
        """Wait for the hash, with a bar where it takes long; returns bytes and blake2b."""
        self._thread.join(0.5)
        with reporting(self._thread.is_alive() and progress, "hash") as report:
            while self._thread.is_alive():
                self._thread.join(0.1)
                if report is not None:
                    report(self._done, max(self.size, self._done))
        if self._error is not None:
            raise self._error
        return {"bytes": self.size, "blake2b": self._hash}


def hash_file(path: str, progress: Progress = False) -> str:
    """BLAKE2b of a file, 128 bits in hexadecimal."""
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    block = memoryview(bytearray(_BLOCK))
    with open(path, "rb", buffering=0) as file, reporting(progress, "check inputs") as report:
        size, done = os.fstat(file.fileno()).st_size, 0
        while count := file.readinto(block):
            digest.update(block[:count])
            done += count
            if report is not None:
                report(done, max(size, done))
    return digest.hexdigest()


def require_same(path: str, recorded: Mapping[str, Any], config: str, progress: Progress) -> None:
    """Raise ValueError where a file is not the one of the record."""
    size = require_file(path).st_size
    if size == recorded.get("bytes") and hash_file(path, progress) == recorded.get("blake2b"):
        return
    told = f"{size} bytes, {recorded.get('bytes')} then" if size != recorded.get("bytes") else "same size, other content"
    raise ValueError(f"{path} has changed since {config} was written ({told}): to use it as it is, name it on the command line")


def versions() -> dict[str, Any]:
    """Versions that decide about bits, and the machine."""
    found = {
        "coremax": _core.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.release()} {platform.machine()}",
        "isa": _core.resolve_isa(""),
        "cpus": arrays.default_threads(),
    }
    return found | {name: sys.modules[name].__version__ for name in ("pyarrow", "safetensors") if name in sys.modules}


def read_config(path: str) -> dict[str, Any]:
    """Read a TOML file; raises ValueError of one line where it is none."""
    if require_file(path).st_size > _LARGEST_CONFIG:
        raise ValueError(f"{path}: too large for a configuration")
    with open(path, "rb") as file:
        text = records.decode_file(file.read(), path)
    with naming(path):
        return tomllib.loads(text)


def to_toml(document: Mapping[str, Any], comment: str = "") -> str:
    """Write a mapping of scalars, lists, tables and lists of tables (one level) as TOML; None is left out."""
    lines = [f"# {comment}"] if comment else []
    lines += _pairs({key: value for key, value in document.items() if not _is_table(value)})
    for key, value in document.items():
        if isinstance(value, Mapping):
            lines += ["", f"[{_key(key)}]", *_pairs(value)]
        elif _is_table(value):
            lines += [line for table in value for line in ("", f"[[{_key(key)}]]", *_pairs(table))]
    return "\n".join(lines) + "\n"


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping) or (
        isinstance(value, list) and bool(value) and all(isinstance(part, Mapping) for part in value)
    )


def _pairs(table: Mapping[str, Any]) -> list[str]:
    return [f"{_key(key)} = {_value(value)}" for key, value in table.items() if value is not None]


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _value(key)


def _value(value: Any) -> str:
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, (int, np.integer)):
        return str(int(value))
    if isinstance(value, (float, np.floating)):
        number = float(value)
        return repr(number) if math.isfinite(number) else ("nan" if number != number else "inf" if number > 0 else "-inf")
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda match: f"\\u{ord(match[0]):04x}", escaped) + '"'
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_value, value)) + "]"
    raise TypeError(f"TOML has no place for {value!r}")
