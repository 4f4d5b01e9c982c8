"""Ctrl-C while the command line is still importing: it ends at once with 130, without a traceback of imports half done.

Imported first by the package, before NumPy, and light for that; whoever imports the package elsewhere sees no change.
"""

from __future__ import annotations

import os
import sys


def quiet() -> None:
    """From here on Ctrl-C ends a process that runs `coremax` or `python -m coremax`."""
    if not _is_command():
        return
    import signal  # here, for it takes others a millisecond

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where a shell has it ignored
        try:  # not with contextlib, whose import takes its time
            signal.signal(signal.SIGINT, _leave)
        except ValueError:  # not the main thread
            return


def as_usual() -> None:
    """From here on Ctrl-C is a KeyboardInterrupt again."""
    import signal

    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _is_command() -> bool:
    """Whether this process is the command; while Python looks for a module to run, its name is "-m"."""
    arguments, given = getattr(sys, "argv", []), getattr(sys, "orig_argv", [])
    if arguments[:1] == ["-m"]:
        return "-mcoremax" in given or ("-m" in given and given[given.index("-m") + 1 :][:1] == ["coremax"])
    return bool(arguments) and os.path.splitext(os.path.basename(arguments[0]))[0].removesuffix("-script") == "coremax"


def _leave(*_: object) -> None:
    os._exit(130)


quiet()
