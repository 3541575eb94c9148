"""Child processes that do not inherit how the caller handles signals."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

HANG_SECONDS = 240
"""Time after which a child process is taken to hang. Its work takes seconds, on an idle machine."""


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


def run_python(folder: Path, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a script from a file in `folder`. A script that hangs is killed after minutes, and the test fails."""
    path = folder / "script.py"
    path.write_text(script)
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = start_python(str(path), *arguments, cwd=folder, start_new_session=True, **pipes)
    try:
        out, err = process.communicate(timeout=HANG_SECONDS)
    except subprocess.TimeoutExpired:
        kill_group(process)
        raise
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def kill_group(process: subprocess.Popen[Any]) -> None:
    """Kill a process that leads a session, and the processes that it started."""
    if os.name == "posix":
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()


def _restore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
