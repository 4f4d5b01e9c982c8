"""Self-contained HTML pages about what the package did, and the tables of notebooks. Pages need the extra `coremax[report]`."""

from importlib.util import find_spec

__all__ = ["require_libraries"]


def require_libraries() -> None:
    """Raise ImportError where a library that pages are made with is not installed."""
    missing = [name for name in ("jinja2", "matplotlib") if find_spec(name) is None]
    if missing:
        raise ImportError(f"report() needs {' and '.join(missing)}: pip install 'coremax[report]'")
