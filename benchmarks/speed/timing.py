"""Timing of several sides in turn, and of complete commands with their memory."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from scenelet.errors import SceneletError

PAUSE = 0.2
"""Pause before a measurement, in which threads of the previous one stop waiting for work."""


class Side(NamedTuple):
    """What a worker process measures: `build(row, folder)` of a module here, with one of two allocator settings."""

    module: str
    row: str
    allocator: str = "tuned"


class Worker:
    """Process that measures one side, see `benchmarks.speed.worker`."""

    def __init__(self, side: Side, folder: Path, environment: Mapping[str, str]) -> None:
        self._name = f"{side.module}, {side.row}"
        command = [sys.executable, "-m", "benchmarks.speed.worker", side.module, side.row, str(folder), side.allocator]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=os.environ | environment)

    def wait_until_ready(self) -> None:
        """Wait for the end of the steps that warm up."""
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
        with self._process:  # closes the pipes, and waits
            pass

    def _answer(self, expected: str | None = None) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if not line or (expected and line != expected):
            raise SceneletError(f"the process that measures {self._name} ended; what it said stands above")
        return line


def in_turn(
    sides: Mapping[str, Side], folder: Path, rounds: int, runs: int, environment: Mapping[str, str]
) -> dict[str, list[float]]:
    """Time the sides alternately. Return the median of each round's runs in seconds.

    Args:
        sides: what to time, by name.
        folder: the folder of the inputs.
        rounds: how often the sides take turns.
        runs: the number of runs in each turn.
        environment: variables of all processes.
    """
    workers: dict[str, Worker] = {}
    found: dict[str, list[float]] = {name: [] for name in sides}
    try:
        for name, side in sides.items():  # one after the other, so that none warms up while another one computes
            workers[name] = Worker(side, folder, environment)
            workers[name].wait_until_ready()
        for _ in range(rounds):
            for name, worker in workers.items():
                found[name].append(statistics.median(worker.measure(runs)))
    finally:
        for worker in workers.values():
            worker.close()
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
