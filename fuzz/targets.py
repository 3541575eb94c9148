"""Fuzz targets: each one takes the bytes of a file and reads them as a command would.

A target returns one word for the statistics. A bad file should raise a SceneletError with one printable line; anything
else is a finding. This module does not need atheris: `tests/fuzz/test_corpus.py` replays inputs with it.
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
"""Maximum processor time for one small file."""
MAX_ERROR_CHARACTERS = 2000
SEPARATOR = b"\n--8<--\n"
"""Separator of the files of a target that takes several."""


class FindingError(Exception):
    """Error of a target that found a fault."""


def outcome(read: Callable[[], object], early: Sequence[str] = ()) -> str:
    """Return "read", or "refused" if the reader raised an error of ours in one printable line.

    `early` lists words of errors about an invalid container; for these, return "frame".
    """
    try:
        read()
    except SceneletError as error:
        message = str(error)
        if len(message) > MAX_ERROR_CHARACTERS or message != escape_unprintable(message):
            raise FindingError(f"an error that is not a short printable line: {message[:200]!r}") from error
        return "frame" if any(word in message for word in early) else "refused"
    return "read"


class Place:
    """Temporary folder in memory for readers that take paths. Its files are overwritten."""

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
        """Create an empty folder."""
        folder = self.path / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder


PLACE = Place()


def parts(data: bytes, count: int) -> list[bytes]:
    """Split the data at `SEPARATOR` into `count` files; missing files are empty."""
    cut = data.split(SEPARATOR, count - 1)
    return cut + [b""] * (count - len(cut))


GROUPS = {
    "models": ("scn", "model"),
    "tables": ("table", "tau", "recipe", "systems", "details", "output", "meta", "manifest", "parquet"),
    "runs": ("checkpoint", "record", "cache", "part", "listed"),
    "audio": ("stream", "recording"),
}
"""Targets by group. The module `targets_GROUP` has the targets, `seeds_GROUP` their seeds."""


def load(name: str) -> Target:
    """Import a target. Only its group is loaded, which saves memory and lets the fuzzer instrument it."""
    target: Target = importlib.import_module(f"fuzz.targets_{group(name)}").TARGETS[name]
    return target


def seeds(name: str) -> list[bytes]:
    """Return small valid files for a target."""
    files: list[bytes] = importlib.import_module(f"fuzz.seeds_{group(name)}").SEEDS[name]()
    return files


def group(name: str) -> str:
    """Return the group of a target."""
    return next(group for group, names in GROUPS.items() if name in names)
