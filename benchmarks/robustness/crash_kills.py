"""Ways in which `benchmarks.robustness.crashes` kills a command, and what it records of each kill."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import scenelet
from benchmarks.robustness import crash_commands
from helpers.killed_writer import writes_to

COMMAND_TIMEOUT_SECONDS = 300.0
WORKER_TIMEOUT_SECONDS = 20.0
"""Time in which the workers of a killed process must end."""
MAX_CHANGES = 20
"""Number of file changes, seen from outside, of which one triggers a kill of the kind "write"."""
ROOT = Path(__file__).parents[2]


@dataclass
class Kill:
    """One kill, and what was found after it.

    Attributes:
        work, trial: names of the work and of the trial.
        number: number of the kill in its trial, from 1.
        how: kind of the kill, see `benchmarks.robustness.crashes`.
        seconds: time from the start of the command to the kill.
        undisturbed_seconds: time that the command takes without a kill.
        point: the next file operation, or the number of files at the time of the kill.
        incomplete: files under their final names that are incomplete.
        left_running: processes that did not end.
        differences: files at the end of the trial that differ from those of undisturbed work; set for its last kill.
    """

    work: str
    trial: int
    number: int
    how: str
    seconds: float
    undisturbed_seconds: float
    point: str
    incomplete: int = 0
    left_running: int = 0
    differences: int = 0


class Workplace:
    """Folders of the benchmark, and the environment of its commands."""

    def __init__(self, base: Path, url: str) -> None:
        self.base, self.out = base, base / "out"
        self.works = crash_commands.works(base, self.out, url)
        # commands use the package of this process, installed or not, and these modules
        paths = os.pathsep.join([str(Path(scenelet.__file__).parents[1]), str(ROOT)])
        self.environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "SCENELET_COMPILE": "0"}
        self.progress, self.errors = base / "progress.txt", base / "stderr.txt"

    def start(self, words: tuple[str, ...], at: int = -1) -> "subprocess.Popen[bytes]":
        """Start a command that kills itself before file operation `at`; 0 only counts operations, -1 does neither."""
        in_child = at >= 0 or words[0].startswith("_")
        child = ["benchmarks.robustness.crashes", "child", str(at), str(self.out), str(self.progress)]
        module = child if in_child else ["scenelet"]
        environment = self.environment | {"SCENELET_CACHE": str(self.out / "cache")}
        with self.errors.open("ab") as errors:
            return subprocess.Popen(
                [sys.executable, "-m", *module, *words],
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
            )

    def to_the_end(self, words: tuple[str, ...], at: int = -1) -> float:
        """Run a command to its end and return the seconds that it took."""
        started = time.perf_counter()
        code = self.start(words, at).wait(COMMAND_TIMEOUT_SECONDS)
        if code != 0:
            raise SystemExit(f"{' '.join(words)} ended with {code}: see {self.errors}")
        return time.perf_counter() - started


def child(at: int, under: str, progress: Path, words: list[str]) -> None:
    """Run a command that counts its file operations below a folder and kills itself before operation `at`."""
    count, file = 0, open(progress, "w")  # noqa: SIM115  # the hook writes it until the process ends

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        path = writes_to(event, arguments, under)
        if not path:
            return
        count += 1
        file.seek(0)
        file.truncate()
        file.write(f"{count} {event} {os.path.relpath(path, under)}\n")
        file.flush()
        if count == at:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    if words[0].startswith("_"):
        crash_commands.run_internal(words)
        return
    from scenelet.cli import main as command

    sys.argv = ["scenelet", *words]
    command()


def members(group: int) -> list[int]:
    """Return the running processes of a process group."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                status = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(status[2]) == group and status[0] not in "ZX":
                    found.append(int(entry.name))
    return found


def workers(process: "subprocess.Popen[bytes]") -> list[int]:
    """Return the worker processes of `process`, without loky's resource tracker."""
    found = []
    for pid in members(process.pid):
        with contextlib.suppress(OSError):
            if pid != process.pid and b"LokyProcess" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found


def snapshot(out: Path) -> list[tuple[str, int]]:
    """Return the files of the folder and their sizes in bytes."""
    found = []
    for folder, _, names in os.walk(out):
        for name in names:
            with contextlib.suppress(OSError):
                found.append((f"{folder}/{name}", os.stat(f"{folder}/{name}").st_size))
    return found


def kill(
    workplace: Workplace, words: tuple[str, ...], how: str, fraction: float, seconds: float, operations: int
) -> Kill:
    """Start a command and kill it at the time that `fraction` selects. A kill without a `point` came too late."""
    started = time.perf_counter()
    process = workplace.start(words, 1 + int(fraction * operations) if how == "file" else -1)
    point, victim = "", process.pid
    if how == "write":
        changes, seen = 1 + int(fraction * MAX_CHANGES), snapshot(workplace.out)
        while process.poll() is None and changes:
            if (now := snapshot(workplace.out)) != seen:
                seen, changes = now, changes - 1
    elif how != "file":
        fraction = max(0.0, 2 * fraction - 1) if how == "worker" else fraction
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(fraction * seconds)
    while how == "worker" and victim == process.pid and process.poll() is None:
        victim = next(iter(workers(process)), victim)
    if how != "file" and process.poll() is None:
        point = f"{len(snapshot(workplace.out))} files"
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if how == "group" else os.kill)(victim, signal.SIGKILL)
    killed = time.perf_counter() - started
    code = process.wait(COMMAND_TIMEOUT_SECONDS)
    if how == "file":
        killed = time.perf_counter() - started
        point = workplace.progress.read_text().strip() if code == -signal.SIGKILL else ""
    left = _count_left_running(process.pid)
    return Kill("", 0, 0, how, round(killed, 3), round(seconds, 3), "" if code == 0 else point, left_running=left)


def _count_left_running(group: int) -> int:
    """Return the number of processes that do not end by themselves, and kill them."""
    until = time.monotonic() + WORKER_TIMEOUT_SECONDS
    while (left := members(group)) and time.monotonic() < until:
        time.sleep(0.01)
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return len(left)
