"""The command line. Its libraries come with the extra `coremax[cli]`; without them the command says so."""

from __future__ import annotations

import signal
import sys
import warnings

from .._runtime import interrupt


def main() -> None:
    """Run the command line."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as Ctrl-C does: what is half written is taken away
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # stderr is for bars and for the one line of an error
    try:
        try:
            import click  # noqa: F401
        except ImportError:
            sys.exit("coremax: the command line needs its extra: pip install 'coremax[cli]'")
        from . import _mapped
        from .commands import coremax

        _mapped.guard()
        interrupt.as_usual()
        coremax()
    except KeyboardInterrupt:  # before the command began
        sys.exit(130)
    finally:
        interrupt.quiet()  # the interpreter takes a while to end
