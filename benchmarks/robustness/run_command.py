"""Commands of scenelet in processes of their own: how they ended, and when they spoke; and counts of it."""

import os
import pty
import select
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass

LATEST = 5.0  # s until a command says something


@dataclass(frozen=True)
class Ended:
    """How a command ended: its code, what it printed, s until its first byte on stderr, and its most memory in MB."""

    code: int
    out: str
    err: str
    first: float
    seconds: float
    peak: float

    @property
    def last(self) -> str:
        """The last line of talk."""
        return (self.err.strip().splitlines() or [""])[-1]

    @property
    def is_late(self) -> bool:
        """Whether it said nothing for too long."""
        return self.first > LATEST

    @property
    def has_traceback(self) -> bool:
        """Whether a bug came through."""
        return "Traceback" in self.out + self.err


class Counts:
    """Counts outcomes, by what was run."""

    def __init__(self) -> None:
        self.rows: dict[str, Counter[str]] = {}

    def add(
        self, what: str, name: str, as_promised: bool, said: str, traceback: bool = False, late: bool = False
    ) -> None:
        """Count one outcome; a line for one that is not as it should be."""
        row = self.rows.setdefault(what, Counter())
        row.update(cases=1, promised=as_promised, tracebacks=traceback, late=late)
        if not as_promised or traceback or late:
            print(f"{what}: {name!r}: {said}", flush=True)

    def add_run(self, what: str, name: str, as_promised: bool, ended: Ended) -> None:
        """Count how a command ended."""
        self.add(what, name, as_promised, ended.last, ended.has_traceback, ended.is_late)

    def print(self) -> None:
        """As a Markdown table."""
        print(f"\n| | cases | as promised | tracebacks | silent for more than {LATEST:g} s |\n|---|---|---|---|---|")
        for what, row in self.rows.items():
            print(f"| {what} | {row['cases']:,} | {row['promised']:,} | {row['tracebacks']:,} | {row['late']:,} |")


def run(*arguments: object, terminal: bool = False) -> Ended:
    """A command in a process of its own; its talk goes to a pipe, or to a terminal."""
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
    first, open_ones = None, set(parts)
    while open_ones:
        for one in select.select(list(open_ones), [], [])[0]:
            try:
                data = os.read(one, 1 << 16)
            except OSError:  # how a terminal ends
                data = b""
            if not data:
                open_ones.remove(one)
                continue
            first = first or time.monotonic() - begin
            parts[one].append(data)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - begin
    out, err = (b"".join(parts[one]).decode(errors="replace") for one in (process.stdout.fileno(), reading))
    process.stdout.close()
    os.close(reading)
    return Ended(process.returncode, out, err, first or seconds, seconds, used.ru_maxrss * 1024 / 1e6)
