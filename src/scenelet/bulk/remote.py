"""Files behind URLs, fetched whole, and what their hosts say of them in our words."""

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

TRIES, PAUSE_SECONDS = 4, 0.5
"""How often a host is asked that does not answer, and the first pause, which doubles."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EROFS)
"""Errors of this machine, not of what is read."""
NO_KEY = ("expired", "InvalidAccessKeyId", "SignatureDoesNotMatch", "Unable to locate credentials")
WEB = ("http://", "https://")


class RefusedError(Exception):
    """The host has answered, and there is nothing to be had: it says something of the file. The text is a sentence."""


def is_url(place: str) -> bool:
    """Whether this is a URL, and not a path."""
    return "://" in place


def plain(place: str) -> str:
    """A `file://` URL as the path that it is; all else as it is."""
    return str(fsspec.core.url_to_fs(place)[1]) if place.startswith("file://") else place


def read_remote(place: str, copy: Path) -> None:
    """Copy what a URL leads to, once, from its beginning to its end: that asks a store least.

    Raises:
        RefusedError: it leads to nothing, or to nothing that may be read.
        DataError: its host cannot be reached after some tries, or the credentials are none.
        OutputError: there is no room for the copy.
    """
    for attempt in range(TRIES):
        try:
            filesystem, path = _file_system(place)
            # not `open`, which first asks for the size, and takes any failure of that for a missing file
            filesystem.get_file(path, str(copy))
            if not copy.is_file():
                raise RefusedError(f"{place}: not a file; give the URL of a file")
            return
        except RefusedError:
            raise
        except FileNotFoundError:
            raise RefusedError(f"{place}: no such file") from None
        except IsADirectoryError:
            raise RefusedError(f"{place}: not a file; give the URL of a file") from None
        except (ValueError, ImportError) as error:  # no such protocol, or one whose package is not installed
            raise RefusedError(f"{place}: no such kind of URL can be read ({reason(error)})") from None
        except Exception as error:  # noqa: BLE001  every file system has errors of its own, without a common base
            if isinstance(error, OSError) and error.errno in FULL:
                message = f"{tempfile.gettempdir()}: no room for a copy of {place} ({reason(error)}); make some"
                raise OutputError(message) from None
            if getattr(error, "status", None) == 401 or any(word in str(error) for word in NO_KEY):
                raise DataError(
                    f"{place}: its host does not accept the credentials ({reason(error)}); set them, and run the same"
                    " command again"
                ) from None
            if isinstance(error, PermissionError):
                raise RefusedError(f"{place}: may not be read; check the credentials") from None
            if _says_no(error):
                raise RefusedError(f"{place}: cannot be fetched ({reason(error)})") from None
            if attempt == TRIES - 1:
                raise DataError(
                    f"{place}: cannot be reached ({reason(error)}); run the same command again later"
                ) from None
        time.sleep(PAUSE_SECONDS * 2**attempt)


@contextlib.contextmanager
def local_copy(place: str) -> Iterator[BinaryIO]:
    """A temporary copy of what a URL leads to, open to read; it goes away. Raises as `read_remote`."""
    with tempfile.TemporaryDirectory(prefix="scenelet-") as scratch:
        copy = Path(scratch, "copy")
        read_remote(place, copy)
        with copy.open("rb") as file:
            file.raw.name = place  # type: ignore[attr-defined]  # what errors call it
            yield file


def reason(error: BaseException) -> str:
    """What an error says, in one line."""
    said = error.strerror if isinstance(error, OSError) and isinstance(error.strerror, str) else str(error)
    return " ".join((said or type(error).__name__).split(os.linesep)[0].split())


def _file_system(place: str) -> tuple[Any, str]:
    if place.startswith(WEB):
        import aiohttp

        # its own limit is on the whole transfer, which a long recording may take
        patience = aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=60)
        found: tuple[Any, str] = fsspec.core.url_to_fs(place, client_kwargs={"timeout": patience})
        return found
    found = fsspec.core.url_to_fs(place)
    return found


def _says_no(error: Exception) -> bool:
    """Whether a server has answered, and will not give the file (HTTP 4xx but for "later")."""
    status = getattr(error, "status", None)
    return isinstance(status, int) and 400 <= status < 500 and status not in (408, 425, 429)
