"""Timing of two sides in turn, and of complete commands with their memory."""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from scenelet.errors import SceneletError

PAUSE = 0.2
"""Pause before a measurement, in which threads of the previous one stop waiting for work."""


class Side:
    """Worker process that measures one side of one row."""

    def __init__(self, side: str, row: str, folder: Path) -> None:
        self._name = f"{side}, {row}"
        command = [sys.executable, "-m", "benchmarks.speed.worker", side, row, str(folder)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._answer("ready")

    def measure(self, runs: int) -> list[float]:
        """Return the seconds of each run."""
        time.sleep(PAUSE)
        assert self._process.stdin is not None
        self._process.stdin.write(f"{runs}\n")
        self._process.stdin.flush()
        seconds: list[float] = json.loads(self._answer())
        return seconds

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _answer(self, expected: str | None = None) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if not line or (expected and line != expected):
            raise SceneletError(f"the process that measures {self._name} ended; what it said stands above")
        return line


def in_turn(row: str, folder: Path, rounds: int, runs: int) -> dict[str, list[float]]:
    """Time ours and the reference alternately. Return the median of each round's runs in seconds."""
    sides = {name: Side(name, row, folder) for name in ("ours", "reference")}
    found: dict[str, list[float]] = {name: [] for name in sides}
    try:
        for _ in range(rounds):
            for name, side in sides.items():
                found[name].append(statistics.median(side.measure(runs)))
    finally:
        for side in sides.values():
            side.close()
    return found


def commands_in_turn(commands: Mapping[str, Sequence[str]], rounds: int) -> dict[str, list[dict[str, float]]]:
    """Measure wall seconds and peak bytes of each command in turn, each in a new process."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            time.sleep(PAUSE)
            found[name].append(one_command(command))
    return found


def one_command(command: Sequence[str]) -> dict[str, float]:
    """Run a command to its end and return `{seconds, bytes}`.

    Raises:
        SceneletError: it failed.
    """
    launcher = [sys.executable, "-S", str(Path(__file__).with_name("launch.py"))]
    done = subprocess.run([*launcher, *command], capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    if found.pop("exit"):
        raise SceneletError(f"{' '.join(command)} failed: {done.stderr.strip()[-500:]}")
    return found
