"""Files behind URLs: download them completely, and tell permanent errors from temporary ones."""

import contextlib
import errno
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import fsspec

from scenelet.errors import DataError, OutputError

MAX_ATTEMPTS = 4
RETRY_PAUSE_SECONDS = 0.5
"""Pause before the second attempt; it doubles with each further attempt."""
LOCAL_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EROFS)
"""System errors of this machine, as opposed to errors of the file that is read."""
CREDENTIAL_ERRORS = ("expired", "InvalidAccessKeyId", "SignatureDoesNotMatch", "Unable to locate credentials")
HTTP_SCHEMES = ("http://", "https://")


class RemoteFileError(Exception):
    """The host answered that the file cannot be read. The text is a complete error message."""


def is_url(path: str) -> bool:
    """Tell whether this is a URL rather than a path.

    Examples:
        >>> is_url("s3://bucket/a.wav"), is_url("clips/a.wav")
        (True, False)
    """
    return "://" in path


def strip_file_scheme(path: str) -> str:
    """Return the path of a `file://` URL; return every other path or URL unchanged.

    Examples:
        >>> strip_file_scheme("file:///clips/a.wav"), strip_file_scheme("s3://bucket/a.wav")
        ('/clips/a.wav', 's3://bucket/a.wav')
    """
    return str(fsspec.core.url_to_fs(path)[1]) if path.startswith("file://") else path


def download(url: str, target: Path, retry_pause_seconds: float = RETRY_PAUSE_SECONDS) -> None:
    """Download a file in one sequential read, which costs a store the fewest requests.

    Args:
        url: any URL that fsspec supports.
        target: file to write.
        retry_pause_seconds: pause before the second attempt; it doubles with each further attempt.

    Raises:
        RemoteFileError: there is no such file, it may not be read, or the kind of URL is not supported.
        DataError: the host cannot be reached after some attempts, or rejects the credentials.
        OutputError: there is no space for the copy.
    """
    for attempt in range(MAX_ATTEMPTS):
        try:
            filesystem, path = _open_filesystem(url)
            # `open` would ask for the size first, and report every failure of that as a missing file
            filesystem.get_file(path, str(target))
            if not target.is_file():
                raise RemoteFileError(f"{url}: not a file; give the URL of a file")
            return
        except RemoteFileError:
            raise
        except Exception as error:  # noqa: BLE001  each file system has its own errors without a common base
            _raise_if_permanent(url, error)
            if attempt == MAX_ATTEMPTS - 1:
                raise DataError(
                    f"{url}: cannot be reached ({error_reason(error)}); run the same command again later"
                ) from None
        time.sleep(retry_pause_seconds * 2**attempt)


def _raise_if_permanent(url: str, error: Exception) -> None:
    """Raise the scenelet error for a failure that a new attempt cannot fix; return for all others."""
    reason = error_reason(error)
    if isinstance(error, FileNotFoundError):
        raise RemoteFileError(f"{url}: no such file") from None
    if isinstance(error, IsADirectoryError):
        raise RemoteFileError(f"{url}: not a file; give the URL of a file") from None
    if isinstance(error, ValueError | ImportError):  # an unknown protocol, or its package is not installed
        raise RemoteFileError(
            f"{url}: this kind of URL cannot be read ({reason}); use e.g. s3:// or https://"
        ) from None
    if isinstance(error, OSError) and error.errno in LOCAL_ERRNOS:
        raise OutputError(
            f"{tempfile.gettempdir()}: no space for a copy of {url} ({reason}); delete some files"
        ) from None
    if getattr(error, "status", None) == 401 or any(word in str(error) for word in CREDENTIAL_ERRORS):
        raise DataError(
            f"{url}: the host rejects the credentials ({reason}); set valid ones and run the same command again"
        ) from None
    if isinstance(error, PermissionError):
        raise RemoteFileError(f"{url}: access is denied; check the credentials") from None
    if _is_client_error(error):
        raise RemoteFileError(f"{url}: cannot be downloaded ({reason}); check the URL") from None


@contextlib.contextmanager
def temporary_copy(url: str, retry_pause_seconds: float = RETRY_PAUSE_SECONDS) -> Iterator[BinaryIO]:
    """Open a temporary copy of the file behind a URL; the copy is deleted at the end.

    Raises:
        RemoteFileError, DataError, OutputError: like `download`.
    """
    with tempfile.TemporaryDirectory(prefix="scenelet-") as scratch:
        copy = Path(scratch, "copy")
        download(url, copy, retry_pause_seconds)
        with copy.open("rb") as file:
            file.raw.name = url  # type: ignore[attr-defined]  # error messages show this name
            yield file


def error_reason(error: BaseException) -> str:
    """Return the message of an error in one line.

    Examples:
        >>> error_reason(FileNotFoundError(2, "No such file or directory", "a.wav"))
        'No such file or directory'
        >>> error_reason(TimeoutError())
        'TimeoutError'
    """
    message = error.strerror if isinstance(error, OSError) and isinstance(error.strerror, str) else str(error)
    return " ".join((message or type(error).__name__).split(os.linesep)[0].split())


def _open_filesystem(url: str) -> tuple[Any, str]:
    options: dict[str, Any] = {}
    if url.startswith(HTTP_SCHEMES):
        import aiohttp

        # aiohttp's default limits the whole transfer, which a long recording may exceed
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=60)
        options = {"client_kwargs": {"timeout": timeout}}
    found: tuple[Any, str] = fsspec.core.url_to_fs(url, **options)
    return found


def _is_client_error(error: Exception) -> bool:
    """Tell whether a server answered with HTTP 4xx, other than those that ask to try again later."""
    status = getattr(error, "status", None)
    return isinstance(status, int) and 400 <= status < 500 and status not in (408, 425, 429)
