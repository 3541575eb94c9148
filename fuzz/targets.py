"""What is fuzzed: each target takes a file's bytes, reads them as a user's command would, and says what came of it.

A target returns one word for the statistics. A SceneletError in one printable line is what a bad file should meet;
anything else that comes out is a finding. Importable without atheris: `tests/test_corpus.py` replays through these.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from scenelet.errors import SceneletError

Target = Callable[[bytes], str]
LIMIT_SECONDS = 5.0
"""Of processor time for one small file."""
LONGEST = 2000
"""Characters of an error."""
SEPARATOR = b"\n--8<--\n"
"""Between the files of a target that takes several."""


class FindingError(Exception):
    """A target saw what must not be."""


def outcome(read: Callable[[], object], early: Sequence[str] = ()) -> str:
    """"read", or "refused" where our own error says why, in a line that a terminal can show.

    `early`: words of errors that only a broken frame meets; of these it is "frame".
    """
    try:
        read()
    except SceneletError as error:
        message = str(error)
        if len(message) > LONGEST or not message.isprintable():
            raise FindingError(f"an error that is no short printable line: {message[:200]!r}") from error
        return "frame" if any(word in message for word in early) else "refused"
    return "read"


class Place:
    """A folder in memory for readers that take paths; files in it are written over, and it goes away at the end."""

    def __init__(self) -> None:
        base = "/dev/shm" if os.path.isdir("/dev/shm") else None
        self._folder = tempfile.TemporaryDirectory(prefix="scenelet-fuzz-", dir=base)
        self.path = Path(self._folder.name)

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


def known() -> dict[str, Target]:
    """Name -> target. Imported here, so that a fuzzer can instrument our modules first."""
    import targets_audio
    import targets_models
    import targets_runs
    import targets_tables

    return {**targets_models.TARGETS, **targets_tables.TARGETS, **targets_runs.TARGETS, **targets_audio.TARGETS}
