"""Files behind URLs: the protocols that are allowed, downloads, and errors of a file or of its host."""

import collections
import contextlib
import errno
import functools
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import fsspec
from fsspec.callbacks import Callback

from scenelet.bulk.urls import HTTP_PROTOCOLS, error_reason, host_of, protocol
from scenelet.data.download import session
from scenelet.data.download.http import InterruptedTransferError, WrongBodyError, write_body
from scenelet.data.download.session import AnswerError, TransferError, Web
from scenelet.errors import OutputError

PROTOCOLS = (*HTTP_PROTOCOLS, "file", "s3", "gs", "gcs", "az", "abfs", "abfss")
"""Protocols that every manifest may name. fsspec knows more, and some of them run code that a URL holds."""
MAX_DOWNLOAD_BYTES = 1 << 34
MAX_ATTEMPTS = 4
LOCAL_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EROFS)
"""System errors of this machine, as opposed to errors of the file that is read."""
CREDENTIAL_ERRORS = ("expired", "InvalidAccessKeyId", "SignatureDoesNotMatch", "Unable to locate credentials")


class RemoteFileError(Exception):
    """The file cannot be read. The text is a complete error message."""


class HostError(Exception):
    """A host cannot be reached or denies access, which says nothing about the file.

    Attributes:
        host: protocol and host or bucket.
        reason: what is wrong with the host.
        is_denial: True if the host may deny access to this file only.
    """

    def __init__(self, url: str, reason: str, is_denial: bool = False) -> None:
        super().__init__(f"{url}: {reason}")
        self.host, self.reason, self.is_denial = host_of(url), reason, is_denial


@dataclass(frozen=True)
class Remote:
    """Access to files behind URLs.

    Args:
        protocols: protocols that are allowed besides `PROTOCOLS`.

    Examples:
        >>> Remote().filesystem("reference://a::https://example.org/b")
        Traceback (most recent call last):
        scenelet.bulk.remote.RemoteFileError: reference://a::https://example.org/b: chained URLs are not read; ...
    """

    protocols: tuple[str, ...] = ()

    def filesystem(self, url: str) -> tuple[Any, str]:
        """Return the fsspec file system of a URL, and its path there.

        It raises RemoteFileError if the protocol is not allowed or unknown, and HostError if its package is missing.
        """
        name = protocol(url)
        if "::" in url:
            raise RemoteFileError(f"{url}: chained URLs are not read; give the URL of the file itself")
        if name not in (*PROTOCOLS, *self.protocols):
            raise RemoteFileError(
                f"{url}: the protocol {name} is not allowed; use e.g. s3:// or https://, or allow it with --protocol"
            )
        try:
            return fsspec.core.url_to_fs(name + url[len(name) :])  # type: ignore[no-any-return]
        except ImportError as error:
            raise HostError(url, f"a package is missing ({error_reason(error)})") from None
        except ValueError as error:
            raise RemoteFileError(f"{url}: this kind of URL cannot be read ({error_reason(error)})") from None

    def download(self, url: str, target: Path) -> None:
        """Download the file at a URL to `target` in one sequential read, which costs a store the fewest requests.

        Raises:
            RemoteFileError: there is no such file, its size is too large, or this kind of URL cannot be read.
            HostError: the host cannot be reached after some attempts, or denies access.
            OutputError: there is no space for the copy.
        """
        limit = min(MAX_DOWNLOAD_BYTES, shutil.disk_usage(target.parent).free // 2)
        for attempt in range(MAX_ATTEMPTS):
            try:
                return self._receive(url, target, limit)
            except (RemoteFileError, HostError):
                raise
            except Exception as error:  # noqa: BLE001  the stores have their own errors without a common base
                _raise_if_permanent(url, error, limit)
                if attempt == MAX_ATTEMPTS - 1:
                    raise HostError(url, f"cannot be reached ({error_reason(error)})") from None
            time.sleep(session.BACKOFF_FACTOR * (2**attempt - 0.5))

    def _receive(self, url: str, target: Path, limit: int) -> None:
        if protocol(url) in HTTP_PROTOCOLS:
            with _web().open(url) as response:
                collections.deque(write_body(response, target, "wb", limit, decode=True), maxlen=0)
        else:
            filesystem, path = self.filesystem(url)
            # `open` would ask for the size first, and report every failure of that as a missing file
            filesystem.get_file(path, str(target), callback=_SizeLimit(limit))
            if not target.is_file():
                raise IsADirectoryError

    @contextlib.contextmanager
    def temporary_copy(self, url: str) -> Iterator[BinaryIO]:
        """Open a temporary copy of the file behind a URL; the copy is deleted at the end. Raises as `download`."""
        with tempfile.TemporaryDirectory(prefix="scenelet-") as scratch:
            copy = Path(scratch, "copy")
            self.download(url, copy)
            with copy.open("rb") as file:
                file.raw.name = url  # type: ignore[attr-defined]  # error messages show this name
                yield file


PLAIN = Remote()
"""Access with the usual protocols only."""


class _SizeLimit(Callback):  # type: ignore[misc]  # fsspec has no types
    """Callback of a transfer that ends it if the file is too large."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit

    def call(self, *_: Any, **__: Any) -> None:
        if max(self.size or 0, self.value) > self.limit:
            raise WrongBodyError


@functools.cache
def _web() -> Web:
    """Return the sessions of this process."""
    return Web()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_web.cache_clear)  # two processes must not share a connection


def _raise_if_permanent(url: str, error: Exception, limit: int) -> None:
    """Raise the error for a failure that a new attempt cannot fix; return for all others."""
    reason, folder = error_reason(error), tempfile.gettempdir()
    status = next((found for name in ("status", "status_code", "code") if (found := getattr(error, name, None))), None)
    if isinstance(error, WrongBodyError):
        size = f"is larger than {limit / 1e9:,.1f} GB, the limit for a copy in {folder}"
        raise RemoteFileError(f"{url}: {size}; cut it, or copy it to a disk yourself") from None
    if isinstance(error, FileNotFoundError) or status in (404, 410):
        raise RemoteFileError(f"{url}: no such file") from None
    if isinstance(error, IsADirectoryError):
        raise RemoteFileError(f"{url}: not a file; give the URL of a file") from None
    if isinstance(error, OSError) and error.errno in LOCAL_ERRNOS:
        raise OutputError(f"{folder}: no space for a copy of {url} ({reason}); delete some files") from None
    if any(word in str(error) for word in CREDENTIAL_ERRORS):
        raise HostError(url, f"the credentials are rejected ({reason})") from None
    if isinstance(error, PermissionError) or status in (401, 403, 407):
        raise HostError(url, f"access is denied ({reason})", is_denial=True) from None
    if isinstance(error, AnswerError | ValueError | TypeError):  # the latter for an invalid name
        raise RemoteFileError(f"{url}: cannot be downloaded ({reason}); check the URL") from None
    if isinstance(error, TransferError) and not isinstance(error, InterruptedTransferError):  # tried again already
        raise HostError(url, f"cannot be reached ({reason})") from None
