"""Run scenelet commands in processes of their own, record how they ended and when they first printed, and count."""

import os
import pty
import select
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass

MAX_SILENCE_SECONDS = 5.0


@dataclass(frozen=True)
class Ended:
    """Result of a command: exit code, output, seconds to the first byte on stderr, seconds in all, and peak MB."""

    code: int
    out: str
    err: str
    first: float
    seconds: float
    peak: float

    @property
    def last(self) -> str:
        """Last line on stderr."""
        return (self.err.strip().splitlines() or [""])[-1]

    @property
    def is_late(self) -> bool:
        """True if it printed nothing for too long."""
        return self.first > MAX_SILENCE_SECONDS

    @property
    def has_traceback(self) -> bool:
        """True if it printed a traceback."""
        return "Traceback" in self.out + self.err


class Counts:
    """Counts of outcomes, by kind of trial."""

    def __init__(self) -> None:
        self.rows: dict[str, Counter[str]] = {}

    def add(
        self, what: str, name: str, as_promised: bool, message: str, traceback: bool = False, late: bool = False
    ) -> None:
        """Count one outcome, and print a line if it is not as expected."""
        row = self.rows.setdefault(what, Counter())
        row.update(cases=1, promised=as_promised, tracebacks=traceback, late=late)
        if not as_promised or traceback or late:
            print(f"{what}: {name!r}: {message}", flush=True)

    def add_run(self, what: str, name: str, as_promised: bool, ended: Ended) -> None:
        """Count how a command ended."""
        self.add(what, name, as_promised, ended.last, ended.has_traceback, ended.is_late)

    def print(self) -> None:
        """Print the counts as a Markdown table."""
        print(f"\n| | cases | as promised | tracebacks | silent for more than {MAX_SILENCE_SECONDS:g} s |")
        print("|---|---|---|---|---|")
        for what, row in self.rows.items():
            print(f"| {what} | {row['cases']:,} | {row['promised']:,} | {row['tracebacks']:,} | {row['late']:,} |")


def run(*arguments: object, terminal: bool = False) -> Ended:
    """Run a command in a process of its own, with stderr connected to a pipe or a terminal."""
    reading, writing = pty.openpty() if terminal else os.pipe()
    begin = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "scenelet", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=writing,
    )
    os.close(writing)
    assert process.stdout is not None
    parts: dict[int, list[bytes]] = {reading: [], process.stdout.fileno(): []}
    first, open_files = None, set(parts)
    while open_files:
        for file in select.select(list(open_files), [], [])[0]:
            try:
                data = os.read(file, 1 << 16)
            except OSError:  # a terminal ends with an error
                data = b""
            if not data:
                open_files.remove(file)
                continue
            first = first or time.monotonic() - begin
            parts[file].append(data)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - begin
    out, err = (b"".join(parts[file]).decode(errors="replace") for file in (process.stdout.fileno(), reading))
    process.stdout.close()
    os.close(reading)
    return Ended(process.returncode, out, err, first or seconds, seconds, used.ru_maxrss * 1024 / 1e6)
