"""How `benchmarks/robustness/crashes.py` kills a command, and what it sees of it: processes, files, the moment."""

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
from benchmarks.robustness import crash_commands as rooms

sys.path.append(str(Path(__file__).parents[2] / "tests"))

from helpers.killed_writer import writes_to

HANGS_SECONDS, ENDS_SECONDS = 300.0, 20.0
"""Of a command, after which it hangs; of the workers of a killed process, after which they will not end."""
CHANGES = 20
"""A kill at a change that is seen from outside is at one of so many first ones."""
SCRIPT = Path(__file__).with_name("crashes.py")


@dataclass
class Kill:
    """A kill, and what was seen after it.

    Attributes:
        work, trial, number: which; `number` counts the kills of a trial.
        how: see `crashes.py`.
        seconds, undisturbed_seconds: after the command began; what it takes undisturbed.
        point: what was about to be done, or how many files there were.
        halves: files under their own names that are not whole.
        left_running: processes that did not end.
        differences: files of the trial's end that are not those of undisturbed work, at its last kill.
    """

    work: str
    trial: int
    number: int
    how: str
    seconds: float
    undisturbed_seconds: float
    point: str
    halves: int = 0
    left_running: int = 0
    differences: int = 0


class Bench:
    """Where it happens, and the command's environment."""

    def __init__(self, base: Path, url: str) -> None:
        self.base, self.out = base, base / "out"
        self.works = rooms.works(base, self.out, url)
        package = Path(scenelet.__file__).parent.parent  # the same for the commands, installed or not
        self.environment = {**os.environ, "PYTHONPATH": str(package), "OMP_NUM_THREADS": "1", "SCENELET_COMPILE": "0"}
        self.told, self.errors = base / "told.txt", base / "stderr.txt"

    def start(self, words: tuple[str, ...], at: int = -1) -> "subprocess.Popen[bytes]":
        """Begin a command; `at`: the file operation before which it kills itself, 0 counts them only, -1 neither."""
        own = at >= 0 or words[0].startswith("_")
        head = [str(SCRIPT), "child", str(at), str(self.out), str(self.told)] if own else ["-m", "scenelet"]
        environment = self.environment | {"SCENELET_CACHE": str(self.out / "cache")}
        with self.errors.open("ab") as errors:
            return subprocess.Popen(
                [sys.executable, *head, *words],
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
            )

    def to_the_end(self, words: tuple[str, ...], at: int = -1) -> float:
        """Run a command; returns the seconds that it took."""
        began = time.perf_counter()
        code = self.start(words, at).wait(HANGS_SECONDS)
        if code != 0:
            raise SystemExit(f"{' '.join(words)} ended with {code}: see {self.errors}")
        return time.perf_counter() - began


def child(at: int, under: str, told: Path, words: list[str]) -> None:
    """A command that counts its file operations below a folder, and kills itself before one of them."""
    count, held = 0, open(told, "w")  # noqa: SIM115  # it is written from within the hook

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        path = writes_to(event, arguments, under)
        if not path:
            return
        count += 1
        held.seek(0)
        held.truncate()
        held.write(f"{count} {event} {os.path.relpath(path, under)}\n")
        held.flush()
        if count == at:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    if words[0].startswith("_"):
        rooms.do(words)
        return
    from scenelet.cli import main as command

    sys.argv = ["scenelet", *words]
    command()


def members(group: int) -> list[int]:
    """Living processes of a process group."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                status = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(status[2]) == group and status[0] not in "ZX":
                    found.append(int(entry.name))
    return found


def workers(process: "subprocess.Popen[bytes]") -> list[int]:
    """Its children that work: not the one that tracks what is to be cleaned up."""
    found = []
    for pid in members(process.pid):
        with contextlib.suppress(OSError):
            if pid != process.pid and b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found


def snapshot(out: Path) -> list[tuple[str, int]]:
    """Files and their sizes."""
    found = []
    for place, _, names in os.walk(out):
        for name in names:
            with contextlib.suppress(OSError):
                found.append((f"{place}/{name}", os.stat(f"{place}/{name}").st_size))
    return found


def kill(bench: Bench, words: tuple[str, ...], how: str, fraction: float, seconds: float, operations: int) -> Kill:
    """Begin a command and kill it; `fraction` says when. A kill without a point came too late."""
    began = time.perf_counter()
    process = bench.start(words, 1 + int(fraction * operations) if how == "file" else -1)
    point, victim = "", process.pid
    if how == "write":
        changes, seen = 1 + int(fraction * CHANGES), snapshot(bench.out)
        while process.poll() is None and changes:
            if (now := snapshot(bench.out)) != seen:
                seen, changes = now, changes - 1
    elif how != "file":
        share = max(0.0, 2 * fraction - 1) if how == "worker" else fraction
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(share * seconds)
    while how == "worker" and victim == process.pid and process.poll() is None:
        victim = next(iter(workers(process)), victim)
    if how != "file" and process.poll() is None:
        point = f"{len(snapshot(bench.out))} files"
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if how == "group" else os.kill)(victim, signal.SIGKILL)
    killed = time.perf_counter() - began
    code = process.wait(HANGS_SECONDS)
    if how == "file":
        killed = time.perf_counter() - began
        point = bench.told.read_text().strip() if code == -signal.SIGKILL else ""
    left = _still_there(process.pid)
    return Kill("", 0, 0, how, round(killed, 3), round(seconds, 3), "" if code == 0 else point, left_running=left)


def _still_there(group: int) -> int:
    """How many processes do not end by themselves; they are ended then."""
    until = time.monotonic() + ENDS_SECONDS
    while (left := members(group)) and time.monotonic() < until:
        time.sleep(0.01)
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return len(left)
