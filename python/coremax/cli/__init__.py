"""The command line. Its libraries come with the extra `coremax[cli]`; without them the command says so."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line."""
    try:
        import click  # noqa: F401
    except ImportError:
        sys.exit("coremax: the command line needs its extra: pip install 'coremax[cli]'")
    from .commands import coremax

    coremax()
