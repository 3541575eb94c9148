"""Folders on disk or behind a URL (s3:// and whatever fsspec knows), whose files are seen whole or not at all."""

import contextlib
import os
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import fsspec

from scenelet.bulk.remote import WEB, is_url, plain, reason
from scenelet.errors import OutputError, SceneletError, UsageError
from scenelet.utils.files import fsync_dir, fsync_file

PARTIAL = ".part"


def join(base: str, name: str) -> str:
    """A name that is relative to the folder or URL `base`, as a path or URL; one that is whole already stays."""
    if is_url(name) or os.path.isabs(name):
        return name
    return f"{base.rstrip('/')}/{name}" if is_url(base) else os.path.join(base, name)


def parent(place: str) -> str:
    """The folder that a file lies in."""
    if not is_url(place):
        return os.path.dirname(os.path.abspath(place))
    path = place.partition("?")[0] if place.startswith(WEB) else place
    return path.rpartition("/")[0]


class Folder:
    """A folder that results are written into.

    Args:
        place: its path, or a URL.

    Raises:
        UsageError: no path, or no kind of URL that can be written.
    """

    def __init__(self, place: str) -> None:
        place = plain(place)
        if not place:
            raise UsageError("--out is empty; give a folder or URL")
        self.place = place.rstrip("/") if is_url(place) else os.path.abspath(place)
        self._remote: Any = None
        if is_url(place):
            try:
                self._remote = fsspec.core.url_to_fs(self.place)[0]
            except (ValueError, ImportError) as error:
                raise UsageError(f"{place}: no such kind of URL can be written ({reason(error)})") from None

    @property
    def is_remote(self) -> bool:
        """Whether it is behind a URL."""
        return self._remote is not None

    def at(self, name: str) -> str:
        """Path or URL of a file in it."""
        return join(self.place, name)

    def names(self, below: str = "") -> set[str]:
        """Names of what lies in the folder, or in a folder `below`; none where there is no such folder."""
        place = self.at(below) if below else self.place
        with self.translate_errors(place, "read"):
            try:
                if self._remote is None:
                    return set(os.listdir(place))
                self._remote.invalidate_cache()
                own = place.rpartition("://")[2]  # where a store has an entry for the folder itself
                found = {path.rstrip("/") for path in self._remote.ls(place, detail=False)} - {own}
                return {path.rpartition("/")[2] for path in found}
            except FileNotFoundError:
                return set()

    def exists(self, name: str) -> bool:
        """Whether there is such a file."""
        with self.translate_errors(self.at(name), "read"):
            return Path(self.at(name)).exists() if self._remote is None else bool(self._remote.exists(self.at(name)))

    @contextlib.contextmanager
    def reading(self, name: str) -> Iterator[BinaryIO]:
        """A file, open to read. Raises OutputError."""
        with self.translate_errors(self.at(name), "read"):
            open_one = open if self._remote is None else self._remote.open
            with open_one(self.at(name), "rb") as file:
                yield file

    def read(self, name: str) -> bytes:
        """A file's bytes. Raises OutputError."""
        with self.reading(name) as file:
            return file.read()

    def write(self, name: str, data: bytes | str) -> None:
        """Write a file. Raises as `writing`."""
        with self.writing(name) as path, self.translate_errors(self.at(name), "written"):
            path.write_bytes(data.encode() if isinstance(data, str) else data)

    def remove(self, name: str) -> None:
        """Remove a file. Raises OutputError."""
        with self.translate_errors(self.at(name), "removed"):
            if self._remote is None:
                Path(self.at(name)).unlink(missing_ok=True)
            else:
                self._remote.rm_file(self.at(name))

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """A path to write to; what it then holds becomes the file `name`, unless an error comes from within.

        On disk it lies in the same folder and is moved, elsewhere it is put there in one piece.

        Raises:
            OutputError: the file cannot be put in its place; what was there is untouched.
        """
        place = self.at(name)
        with contextlib.ExitStack() as stack:
            with self.translate_errors(place, "written"):
                if self._remote is None:
                    Path(place).parent.mkdir(parents=True, exist_ok=True)
                    partial = Path(place).with_name(f".{Path(place).name}.{uuid.uuid4().hex[:8]}{PARTIAL}")
                else:
                    partial = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="scenelet-"))) / "file"
            try:
                yield partial
                with self.translate_errors(place, "written"):
                    if self._remote is None:
                        fsync_file(partial)
                        os.replace(partial, place)
                        fsync_dir(Path(place).parent)
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
    def translate_errors(self, place: str, what: str) -> Iterator[None]:
        """Turn errors of a disk, and of a store whatever their type, into one sentence. Raises OutputError."""
        try:
            yield
        except SceneletError:
            raise
        except OSError as error:
            raise OutputError(f"{place}: cannot be {what} ({reason(error)}); choose another place") from None
        except Exception as error:  # each kind of store has errors of its own, without a common base
            if self._remote is None:
                raise
            raise OutputError(f"{place}: cannot be {what} ({reason(error)}); choose another place") from None
