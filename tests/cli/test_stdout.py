"""A standard output that cannot be written ends a command with one sentence, or silently if its reader has gone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scenelet.model.pretrained import example

COMMANDS = (["predict", "esc10"], ["listen", "esc10", str(example("esc10"))], ["info", "esc10"], ["--help"])


def run(arguments: list[str], stdout: int, stderr: int, unbuffered: str) -> tuple[int, str]:
    """Run a command in a process of its own; return the exit code and stderr."""
    command = [sys.executable, "-m", "scenelet", *arguments]
    environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    done = subprocess.run(command, stdout=stdout, stderr=stderr, text=True, env=environment, timeout=120)
    return done.returncode, done.stderr or ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.slow
@pytest.mark.parametrize("arguments", COMMANDS)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_full_stdout_is_one_sentence(arguments: list[str], unbuffered: str) -> None:
    with open("/dev/full", "wb") as full:
        code, err = run(arguments, full.fileno(), subprocess.PIPE, unbuffered)
    last = err.splitlines()[-1]
    assert (code, last[:57]) == (1, "error: standard output cannot be written (No space left o")
    assert "Traceback" not in err


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [*COMMANDS, ["info", "absent.scn"]])
@pytest.mark.parametrize("joined", [False, True])
def test_closed_pipe_is_silent(arguments: list[str], joined: bool) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        code, err = run(arguments, writer, writer if joined else subprocess.PIPE, "")
    finally:
        os.close(writer)
    assert code == 1
    assert "Traceback" not in err
    assert "BrokenPipe" not in err
    assert "standard output" not in err
