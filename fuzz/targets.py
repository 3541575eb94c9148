"""Fuzz targets. Each target takes the bytes of a file, reads them as a user's command would, and reports the outcome.

A target returns one word for the statistics. An invalid file must raise a SceneletError in one printable line. Any
other exception is a finding. The module does not need atheris, so `tests/fuzz/test_corpus.py` can replay findings.
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
"""Maximum length of an error message."""
SEPARATOR = b"\n--8<--\n"
"""Separator of the files of a target that takes several."""


class FindingError(Exception):
    """A target violates an invariant."""


def outcome(read: Callable[[], object], early: Sequence[str] = ()) -> str:
    """Call `read`. Return "read", "refused" if it raises our own error, or "frame".

    Args:
        read: the reader.
        early: words of errors that only a broken frame causes, for which the result is "frame".

    Raises:
        FindingError: the error is not a short printable line.
    """
    try:
        read()
    except SceneletError as error:
        message = str(error)
        if len(message) > MAX_ERROR_CHARACTERS or message != escape_unprintable(message):
            raise FindingError(f"an error that is not a short printable line: {message[:200]!r}") from error
        return "frame" if any(word in message for word in early) else "refused"
    return "read"


class ScratchFolder:
    """Temporary folder in memory for readers that take paths. It is removed at the end."""

    def __init__(self) -> None:
        base = "/dev/shm" if os.path.isdir("/dev/shm") else None
        self._folder = tempfile.TemporaryDirectory(prefix="scenelet-fuzz-", dir=base)
        self.path = Path(self._folder.name)

    def close(self) -> None:
        """Remove the folder."""
        self._folder.cleanup()

    def file(self, name: str, data: bytes) -> Path:
        """Write a file and return its path."""
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


SCRATCH = ScratchFolder()


def parts(data: bytes, count: int) -> list[bytes]:
    """Split several files at `SEPARATOR`. Missing files are empty."""
    files = data.split(SEPARATOR, count - 1)
    return files + [b""] * (count - len(files))


GROUPS = {
    "models": ("scn", "model"),
    "tables": ("table", "tau", "recipe", "systems", "details", "output", "meta", "manifest", "parquet"),
    "runs": ("checkpoint", "record", "cache", "part", "listed"),
    "audio": ("stream", "recording"),
}
"""Mapping from a group to its targets, which are in `targets_GROUP`. Their seeds are in `seeds_GROUP`."""


def load(name: str) -> Target:
    """Import the group of a target, so other groups take no memory, and return the target."""
    target: Target = importlib.import_module(f"fuzz.targets_{group(name)}").TARGETS[name]
    return target


def seeds(name: str) -> list[bytes]:
    """Return small valid files for a target."""
    found: list[bytes] = importlib.import_module(f"fuzz.seeds_{group(name)}").SEEDS[name]()
    return found


def group(name: str) -> str:
    """Return the group of a target."""
    return next(group for group, names in GROUPS.items() if name in names)
