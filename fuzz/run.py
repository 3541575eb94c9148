"""Fuzz one reader: `python fuzz/run.py TARGET --runs N --seed S`; needs atheris (Linux) and the `[dev]` extra.

Each distinct finding is saved once, as FOUND/TARGET/NAME with its traceback, and fuzzing continues. The last line
reports the count of inputs, the count of distinct findings, the peak memory and the duration.
"""

import argparse
import contextlib
import faulthandler
import functools
import hashlib
import io
import os
import resource
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT), str(ROOT / "tests")]
CORPUS = ROOT / "tests" / "fuzz" / "corpus"
MAX_GOOD_INPUTS = 256
TIMED_INPUTS, TIMEOUT_SECONDS = 1000, 900
"""After this time for so many inputs the process ends with a traceback."""

import atheris  # noqa: E402


@contextlib.contextmanager
def instrumented() -> Iterator[None]:
    """Instrument all modules of scenelet that are imported in this context, without a message per module."""
    watched = atheris.instrument_imports(include=["scenelet"], enable_loader_override=False)
    with contextlib.redirect_stderr(io.StringIO()), watched:
        yield


with instrumented():
    from fuzz import mutations, targets


def exit_on_error(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function that the fuzzer calls: an error of ours is printed and ends the process with code 2.

    Standard error is closed during fuzzing because native libraries print there. Without this wrapper atheris hangs.
    """

    @functools.wraps(function)
    def called(*values: Any) -> Any:
        try:
            return function(*values)
        except Exception:  # noqa: BLE001 native code called this, so it cannot propagate
            traceback.print_exc(file=sys.stdout)
            sys.stdout.flush()
            os._exit(2)

    return called


class Fuzzer:
    """Runner of a target that saves its findings."""

    def __init__(self, name: str, runs: int, found: Path, summary: Path | None) -> None:
        with instrumented():
            self._target = targets.load(name)
        self.name, self.runs, self.found, self.summary = name, runs, found / name, summary
        self._limit = targets.LIMIT_SECONDS
        self._words: Counter[str] = Counter()
        self._findings: dict[str, int] = {}
        self._done, self._started = 0, time.monotonic()
        self.good: dict[int, bytes] = {}
        """Newest inputs that were read. Mutations start from them, since most other inputs fail early."""

    def one(self, data: bytes) -> None:
        """Try one input. After the last one, print the summary and end the process."""
        if self._done % TIMED_INPUTS == 0:  # for an endless input; the time of a single one is checked below
            faulthandler.dump_traceback_later(TIMEOUT_SECONDS, exit=True, file=sys.stdout)
        self._done += 1
        began = time.process_time()
        try:
            word = self._target(data)
            self._words[word] += 1
            if word == "read":
                self.good[self._words[word] % MAX_GOOD_INPUTS] = data
            if time.process_time() - began > self._limit:
                raise TimeoutError(f"{time.process_time() - began:.1f} s for {len(data)} bytes")
        except Exception as error:  # noqa: BLE001 any exception is a finding
            self._keep(data, error)
        if self._done >= self.runs:
            self._end()

    def _keep(self, data: bytes, error: Exception) -> None:
        """Save a finding unless one of the same type and location exists."""
        self._words["finding"] += 1
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "scenelet" in frame.filename]
        location = frames[-1] if frames else traceback.extract_tb(error.__traceback__)[-1]
        key = f"{type(error).__name__}-{Path(location.filename).stem}-{location.lineno}"
        self._findings[key] = self._findings.get(key, 0) + 1
        if self._findings[key] == 1:
            self.found.mkdir(parents=True, exist_ok=True)
            (self.found / key).write_bytes(data)
            (self.found / f"{key}.txt").write_text("".join(traceback.format_exception(error)))
            print(f"finding: {key}: {str(error)[:200]!r}", flush=True)

    def _end(self) -> None:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
        words = ", ".join(f"{count:,} {word}" for word, count in sorted(self._words.items()))
        line = (
            f"{self.name}: {self._done:,} executions ({words}), {len(self._findings)} distinct findings,"
            f" {peak:,.0f} MB peak memory, {time.monotonic() - self._started:,.0f} s"
        )
        print(line, flush=True)
        if self.summary is not None:
            with self.summary.open("a") as file:
                file.write(line + "\n")
        targets.SCRATCH.close()
        os._exit(1 if self._findings else 0)


def main() -> None:
    """Parse the command line, write the seeds, fuzz."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = [name for group in targets.GROUPS.values() for name in group]
    parser.add_argument("target", choices=names)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--memory", type=int, default=4096, help="MB of address space")
    parser.add_argument("--found", type=Path, default=Path("found"))
    parser.add_argument("--summary", type=Path, help="file to which the last line is appended")
    chosen = parser.parse_args()
    warnings.simplefilter("error")  # a warning of NumPy would appear on a user's terminal
    fuzzer = Fuzzer(chosen.target, chosen.runs, chosen.found, chosen.summary)
    limit = chosen.memory * 1_000_000
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    chosen.found.mkdir(parents=True, exist_ok=True)
    folder = targets.SCRATCH.empty("begin")
    corpus = [path.read_bytes() for path in sorted((CORPUS / chosen.target).glob("*"))]
    for data in [*targets.seeds(chosen.target), *corpus]:
        (folder / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
    options = [
        sys.argv[0],
        str(folder),
        f"-seed={chosen.seed + 1}",
        "-max_len=16384",
        "-timeout=1000000",
        "-verbosity=0",
    ]
    options += ["-close_fd_mask=2", "-rss_limit_mb=0", f"-artifact_prefix={chosen.found}/", "-len_control=0"]
    mutate = exit_on_error(mutations.of(chosen.target, fuzzer.good))
    atheris.Setup(options, exit_on_error(fuzzer.one), custom_mutator=mutate)
    atheris.Fuzz()  # does not return


if __name__ == "__main__":
    main()
