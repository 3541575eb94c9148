"""What is fuzzed: each target takes a file's bytes, reads them as a user's command would, and says what came of it.

A target returns one word for the statistics. A SceneletError in one printable line is what a bad file should meet;
anything else that comes out is a finding. Importable without atheris: `tests/fuzz/test_corpus.py` replays through these.
"""

import importlib
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from scenelet.errors import SceneletError, escape_unprintable

Target = Callable[[bytes], str]
LIMIT_SECONDS = 2.0
"""Of processor time for one small file."""
LONGEST = 2000
"""Characters of an error."""
SEPARATOR = b"\n--8<--\n"
"""Between the files of a target that takes several."""


class FindingError(Exception):
    """A target saw what must not be."""


def outcome(read: Callable[[], object], early: Sequence[str] = ()) -> str:
    """ "read", or "refused" where our own error says why, in a line that a terminal can show.

    `early`: words of errors that only a broken frame meets; of these it is "frame".
    """
    try:
        read()
    except SceneletError as error:
        message = str(error)
        if len(message) > LONGEST or message != escape_unprintable(message):
            raise FindingError(f"an error that is no short printable line: {message[:200]!r}") from error
        return "frame" if any(word in message for word in early) else "refused"
    return "read"


class Place:
    """A folder in memory for readers that take paths; files in it are written over, and it goes away at the end."""

    def __init__(self) -> None:
        base = "/dev/shm" if os.path.isdir("/dev/shm") else None
        self._folder = tempfile.TemporaryDirectory(prefix="scenelet-fuzz-", dir=base)
        self.path = Path(self._folder.name)

    def close(self) -> None:
        """Remove the folder."""
        self._folder.cleanup()

    def file(self, name: str, data: bytes) -> Path:
        """Write a file."""
        path = self.path / name
        if not path.parent.is_dir():
            path.parent.mkdir(parents=True)
        path.write_bytes(data)
        return path

    def empty(self, name: str) -> Path:
        """An empty folder."""
        folder = self.path / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder


PLACE = Place()


def parts(data: bytes, count: int) -> list[bytes]:
    """Several files in one: cut at lines that hold `SEPARATOR`; what is missing is empty."""
    cut = data.split(SEPARATOR, count - 1)
    return cut + [b""] * (count - len(cut))


GROUPS = {
    "models": ("scn", "model"),
    "tables": ("table", "tau", "recipe", "systems", "details", "output", "meta", "manifest", "parquet"),
    "runs": ("checkpoint", "record", "cache", "part", "listed"),
    "audio": ("stream", "recording"),
}
"""Targets by the module that has them, `targets_GROUP`; `seeds_GROUP` has what fuzzing begins with."""


def load(name: str) -> Target:
    """A target; its group is imported here, so that no other one takes memory, and a fuzzer can instrument it."""
    target: Target = importlib.import_module(f"fuzz.targets_{group(name)}").TARGETS[name]
    return target


def seeds(name: str) -> list[bytes]:
    """Small good files of a target's kind."""
    made: list[bytes] = importlib.import_module(f"fuzz.seeds_{group(name)}").SEEDS[name]()
    return made


def group(name: str) -> str:
    """The group of a target."""
    return next(group for group, names in GROUPS.items() if name in names)
