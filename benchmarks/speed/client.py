"""Run `scenelet serve` as a process, and compute the answers that it must give, for the benchmarks of the service."""

import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

SCENELET = [sys.executable, "-m", "scenelet"]
TOLERANCE = 1e-5


def offline(model: str, files: Sequence[Path]) -> tuple[dict[str, dict[str, float]], float]:
    """Return the probabilities of `scenelet predict`, and its processor seconds per file."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [*SCENELET, "predict", model, *map(str, files), "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {row["file"]: row["probabilities"] for row in json.loads(done.stdout)}, seconds / len(files)


class Server:
    """Run `scenelet serve` on a free port during the block, with its own `TMPDIR` if one is given."""

    def __init__(self, model: str, *options: str, scratch: Path | None = None) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  a pipe that nobody reads would stop it
        environment = os.environ | ({} if scratch is None else {"TMPDIR": str(scratch)})
        command = [*SCENELET, "serve", model, "--port", "0", *options]
        self.running = subprocess.Popen(command, stderr=self._log, env=environment)
        self.process = psutil.Process(self.running.pid)

    def __enter__(self) -> "Server":
        while (found := re.search(r"http://[^\s:]+:\d+", self.log())) is None:
            if self.running.poll() is not None:
                raise SystemExit(self.log())
            time.sleep(0.05)
        self.address = found[0]
        return self

    def __exit__(self, *_: object) -> None:
        self.running.terminate()
        self.running.wait()

    def log(self) -> str:
        """Return its output on stderr so far."""
        return os.pread(self._log.fileno(), 1 << 24, 0).decode()  # keeps the service's write position

    def cpu_seconds(self) -> float:
        """Return its processor seconds so far, see `cpu_seconds`."""
        return cpu_seconds(self.process)


def cpu_seconds(process: psutil.Process) -> float:
    """Return the processor seconds of a process and its children, which decode, so far."""
    own = process.cpu_times()
    ended = own.children_user + own.children_system
    running = [child.cpu_times() for child in process.children(recursive=True)]
    return float(ended + sum(times.user + times.system for times in (own, *running)))
