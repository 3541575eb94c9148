"""Compilation of C programs in tests."""

import shutil
import subprocess
from collections.abc import Sequence

import pytest


def compiler(name: str) -> str:
    """Return the name of a compiler, or skip the test if it is not installed."""
    if shutil.which(name) is None:
        pytest.skip(f"needs the compiler {name}")
    return name


def run(command: Sequence[str]) -> str:
    """Run a command and return what it prints; fail with its messages if it fails."""
    done = subprocess.run(list(command), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout
