"""Child processes that do not inherit how the caller handles signals."""

import os
import signal
import subprocess
import sys
from typing import Any


def start_python(*arguments: str, **options: Any) -> subprocess.Popen[Any]:
    """Start a Python process in which Ctrl-C raises KeyboardInterrupt.

    A process ignores SIGINT from its start if its caller does, as in a background job of a shell or under `nohup`.

    Args:
        arguments: arguments of the interpreter, e.g. `"-m", "scenelet"`.
        options: options of `subprocess.Popen`.
    """
    preexec = _restore_interrupts if os.name == "posix" else None
    return subprocess.Popen([sys.executable, *arguments], preexec_fn=preexec, **options)


def start_scenelet(*arguments: str, **options: Any) -> subprocess.Popen[Any]:
    """Start the command `scenelet` like `start_python`."""
    return start_python("-m", "scenelet", *arguments, **options)


def _restore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
