"""Folders on disk or behind a URL (s3:// and others that fsspec supports) with atomic writes."""

import contextlib
import os
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from scenelet.bulk.remote import PLAIN, HostError, Remote, RemoteFileError
from scenelet.bulk.urls import HTTP_PROTOCOLS, error_reason, is_url, join, protocol, strip_file_scheme
from scenelet.errors import MissingExtraError, OutputError, SceneletError, UsageError
from scenelet.utils.files import fsync_dir, fsync_file

PARTIAL_SUFFIX = ".part"


class Folder:
    """Folder for results, on disk or behind a URL. Its methods raise OutputError if the disk or store fails.

    Args:
        path: path or URL of the folder. A path may begin with `~`.
        remote: access to URLs.

    Raises:
        UsageError: the path is empty, or this kind of URL cannot be written.
        MissingExtraError: a package for this kind of URL is not installed.

    Examples:
        >>> folder = Folder("memory://example", Remote(("memory",)))
        >>> folder.write("a.txt", "text")
        >>> folder.names(), folder.read("a.txt")
        ({'a.txt'}, b'text')
    """

    def __init__(self, path: str, remote: Remote = PLAIN) -> None:
        path = strip_file_scheme(path)
        if not path:
            raise UsageError("--out is empty; give a folder or URL")
        self.path = path.rstrip("/") if is_url(path) else os.path.abspath(os.path.expanduser(path))
        self._remote: Any = None
        if is_url(path):
            if protocol(path) in HTTP_PROTOCOLS:
                raise UsageError(f"{path}: an HTTP address cannot be written; use e.g. s3:// or a folder")
            try:
                self._remote = remote.filesystem(self.path)[0]
            except RemoteFileError as error:
                raise UsageError(f"--out {error}") from None
            except HostError as error:
                raise MissingExtraError(f"--out {error}") from None

    @property
    def is_remote(self) -> bool:
        """True if the folder is behind a URL."""
        return self._remote is not None

    def path_of(self, name: str) -> str:
        """Return the path or URL of a file in the folder."""
        return join(self.path, name)

    def names(self, subfolder: str = "") -> set[str]:
        """Return the names in the folder or a subfolder; an empty set if it does not exist."""
        path = self.path_of(subfolder) if subfolder else self.path
        with self.translate_errors(path, "read"), contextlib.suppress(FileNotFoundError):
            if self._remote is None:
                return set(os.listdir(path))
            self._remote.invalidate_cache()
            own = path.rpartition("://")[2]  # some stores list the folder itself
            found = {entry.rstrip("/") for entry in self._remote.ls(path, detail=False)} - {own}
            return {entry.rpartition("/")[2] for entry in found}
        return set()

    def exists(self, name: str) -> bool:
        """Tell whether the file exists."""
        path = self.path_of(name)
        with self.translate_errors(path, "read"):
            return Path(path).exists() if self._remote is None else bool(self._remote.exists(path))

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """Open a file for reading."""
        path = self.path_of(name)
        open_file = open if self._remote is None else self._remote.open
        with self.translate_errors(path, "read"), open_file(path, "rb") as file:
            yield file

    def read(self, name: str) -> bytes:
        """Return the content of a file."""
        with self.open(name) as file:
            return file.read()

    def write(self, name: str, data: bytes | str) -> None:
        """Write a file atomically."""
        with self.replace(name) as path, self.translate_errors(self.path_of(name), "written"):
            path.write_bytes(data.encode() if isinstance(data, str) else data)

    def remove(self, name: str) -> None:
        """Remove a file."""
        path = self.path_of(name)
        with self.translate_errors(path, "removed"):
            if self._remote is None:
                Path(path).unlink(missing_ok=True)
            else:
                self._remote.rm_file(path)

    @contextlib.contextmanager
    def replace(self, name: str) -> Iterator[Path]:
        """Yield a temporary path, whose file becomes `name` at the end. If the block raises, nothing changes.

        On disk the temporary file is in the same folder and is renamed. Behind a URL it is uploaded in one request.
        """
        path = self.path_of(name)
        with contextlib.ExitStack() as stack:
            with self.translate_errors(path, "written"):
                if self._remote is None:
                    Path(path).parent.mkdir(parents=True, exist_ok=True)
                    partial = Path(path).with_name(f".{Path(path).name}.{uuid.uuid4().hex[:8]}{PARTIAL_SUFFIX}")
                    stack.callback(partial.unlink, missing_ok=True)
                else:
                    partial = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="scenelet-"))) / "file"
            yield partial
            with self.translate_errors(path, "written"):
                if self._remote is None:
                    fsync_file(partial)
                    os.replace(partial, path)
                    fsync_dir(Path(path).parent)
                else:
                    self._remote.put_file(str(partial), path)

    def remove_partial(self, subfolder: str = "") -> None:
        """Remove temporary files of writers that were killed; no other process may be writing."""
        if self._remote is None:
            for name in self.names(subfolder):
                if name.startswith(".") and name.endswith(PARTIAL_SUFFIX):
                    Path(self.path_of(subfolder), name).unlink(missing_ok=True)

    @contextlib.contextmanager
    def translate_errors(self, path: str, action: str) -> Iterator[None]:
        """Turn errors of the disk or store into an `OutputError` that says what could not be `action`."""
        try:
            yield
        except SceneletError:
            raise
        except Exception as error:
            # the stores' errors have no common base
            if self._remote is None and not isinstance(error, OSError):
                raise
            reason = error_reason(error)
            raise OutputError(f"{path}: cannot be {action} ({reason}); choose another folder") from None
