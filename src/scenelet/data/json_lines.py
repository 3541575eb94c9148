"""Append-only JSON lines: the index of the feature cache and of the statistics cache.

An entry belongs to one version of a clip's file, see `file_version`. A changed file has no entry.
"""

import json
from collections.abc import Callable, Hashable, Iterable, Iterator
from pathlib import Path
from typing import Any

from scenelet.data.clips import Clip
from scenelet.errors import AudioError
from scenelet.utils.files import replace_file


def file_version(clip: Clip) -> str:
    """Return a text that changes with the clip: its name with the times of a part, and the file's size and time.

    Raises:
        AudioError: the file is missing.
    """
    try:
        status = clip.path.stat()
    except OSError as error:
        raise AudioError(f"{clip.path}: no longer exists ({error.strerror}); was it moved during the run?") from None
    return f"{clip.name}|{status.st_size}|{status.st_mtime_ns}"


class JsonLines:
    """Append-only file with one JSON value per line.

    A crash can leave a truncated last line, which the next `append` removes. The callers hold a lock.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     lines = JsonLines(Path(folder) / "index.jsonl")
    ...     lines.append([["a.wav", 0, 3]])
    ...     lines.append([["b.wav", 3, 2]])
    ...     list(lines.read())
    [['a.wav', 0, 3], ['b.wav', 3, 2]]
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Iterator[Any]:
        """Yield the value of each line; None for a damaged or truncated line."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            yield from map(_decode, file)

    def append(self, values: Iterable[Any]) -> None:
        """Append a line per value, and remove a truncated line before them. Raises OSError if that is not possible."""
        with self.path.open("a+b") as file:
            size = file.tell()
            file.seek(max(0, size - 1))
            if size and file.read(1) != b"\n":
                file.seek(0)
                file.truncate(file.read().rfind(b"\n") + 1)
            file.write(_encode(values))

    def replace(self, values: Iterable[Any]) -> None:
        """Replace all lines atomically. Raises OutputError if the file cannot be written."""
        replace_file(self.path, _encode(values))

    def keep_last(self, key: Callable[[Any], Hashable]) -> None:
        """Remove lines that a later line of the same key supersedes, and those of key None, line by line.

        Raises OSError or OutputError if the file cannot be read or written.
        """
        keys = [key(value) for value in self.read()]
        last = {each: number for number, each in enumerate(keys)}
        last.pop(None, None)
        if len(last) == len(keys):
            return
        with self.path.open("rb") as file:
            replace_file(self.path, (line for number, line in enumerate(file) if last.get(keys[number]) == number))


def _decode(line: bytes) -> Any:
    try:
        return json.loads(line) if line.endswith(b"\n") else None
    except (ValueError, RecursionError):
        return None


def _encode(values: Iterable[Any]) -> bytes:
    return "".join(json.dumps(value) + "\n" for value in values).encode()
