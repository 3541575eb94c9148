"""Folders on disk or behind a URL (s3://, http://, whatever fsspec knows), whose files are seen whole or not at all."""

import contextlib
import os
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import fsspec

from scenelet.errors import OutputError

PARTIAL = ".part"


def is_url(place: str) -> bool:
    """Whether this is a URL, and not a path."""
    return "://" in place


def join(base: str, name: str) -> str:
    """A name that is relative to the folder or URL `base`, as a path or URL; one that is whole already stays."""
    if is_url(name) or os.path.isabs(name):
        return name
    return f"{base.rstrip('/')}/{name}" if is_url(base) else os.path.join(base, name)


def parent(place: str) -> str:
    """The folder that a file lies in."""
    return place.rpartition("/")[0] if is_url(place) else os.path.dirname(os.path.abspath(place))


@contextlib.contextmanager
def reading(place: str) -> Iterator[BinaryIO]:
    """A file of a manifest or a job, open to read. Raises OSError, and what its file system raises."""
    with fsspec.open(place, "rb") if is_url(place) else open(place, "rb") as file:
        yield file


class Folder:
    """A folder that results are written into.

    Args:
        place: its path, or a URL.
    """

    def __init__(self, place: str) -> None:
        self.place = place if is_url(place) else os.path.abspath(place)
        self._remote: Any = fsspec.core.url_to_fs(self.place)[0] if is_url(place) else None

    def at(self, name: str) -> str:
        """Path or URL of a file in it."""
        return join(self.place, name)

    def names(self, below: str = "") -> set[str]:
        """Names of what lies in the folder, or in a folder `below`; none where there is no such folder."""
        place = self.at(below) if below else self.place
        with self._spoken(place, "read"):
            try:
                if self._remote is None:
                    return set(os.listdir(place))
                self._remote.invalidate_cache()
                found = self._remote.ls(place, detail=False)
                return {name for path in found if (name := path.rstrip("/").rpartition("/")[2])}
            except FileNotFoundError:
                return set()

    def exists(self, name: str) -> bool:
        """Whether there is such a file."""
        return Path(self.at(name)).exists() if self._remote is None else bool(self._remote.exists(self.at(name)))

    def read(self, name: str) -> bytes:
        """A file's bytes. Raises OutputError."""
        with self._spoken(self.at(name), "read"), reading(self.at(name)) as file:
            return file.read()

    def write(self, name: str, data: bytes | str) -> None:
        """Write a file. Raises as `writing`."""
        with self.writing(name) as path:
            path.write_bytes(data.encode() if isinstance(data, str) else data)

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """A path to write to; what it then holds becomes the file `name`, unless an error comes from within.

        On disk it lies in the same folder and is moved, elsewhere it is put there in one piece.

        Raises:
            OutputError: the file cannot be written; what was there is untouched.
        """
        place = self.at(name)
        with self._spoken(place, "written"), contextlib.ExitStack() as stack:
            if self._remote is None:
                Path(place).parent.mkdir(parents=True, exist_ok=True)
                partial = Path(place).with_name(f".{Path(place).name}.{uuid.uuid4().hex[:8]}{PARTIAL}")
            else:
                partial = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="scenelet-"))) / "file"
            try:
                yield partial
                if self._remote is None:
                    os.replace(partial, place)
                else:
                    self._remote.put_file(str(partial), place)
            finally:
                partial.unlink(missing_ok=True)

    def remove_partial(self, below: str = "") -> None:
        """Remove what killed writers left; nobody may be writing."""
        if self._remote is None:
            for name in self.names(below):
                if name.startswith(".") and name.endswith(PARTIAL):
                    Path(self.at(below), name).unlink(missing_ok=True)

    @contextlib.contextmanager
    def _spoken(self, place: str, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = error.strerror or str(error) or type(error).__name__
            raise OutputError(f"{place}: cannot be {what} ({reason}); choose another place") from None
