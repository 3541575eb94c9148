"""A path or URL of a recording -> what `Classifier.predict` takes."""

import asyncio
import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import fsspec

from scenelet.errors import AudioError, DataError
from scenelet.scale.storage import is_url

TRIES, PAUSE_SECONDS = 4, 0.5
"""How often a file system is asked that does not answer, and the first pause, which doubles."""


@contextlib.contextmanager
def recording(place: str) -> Iterator[Path | BinaryIO]:
    """A recording to read from: a path as it is, a URL as a temporary copy, which goes away.

    One copy, read once from its beginning to its end, asks a store least: recordings are read whole anyway.

    Raises:
        AudioError: the URL leads to nothing, or to nothing that may be read.
        DataError: it cannot be reached after some tries, or credentials have expired: that says nothing about it.
    """
    if not is_url(place):
        yield Path(place)
        return
    if place.startswith("file://"):
        yield Path(fsspec.core.url_to_fs(place)[1])
        return
    with tempfile.TemporaryDirectory(prefix="scenelet-") as scratch:
        copy = Path(scratch, "copy")
        _fetch(place, copy)
        if not copy.is_file():
            raise AudioError(f"{place}: not a file; give the URL of a recording")
        with copy.open("rb") as file:
            file.raw.name = place  # type: ignore[attr-defined]  # what errors call it
            yield file


def _fetch(place: str, copy: Path) -> None:
    for attempt in range(TRIES):
        try:
            filesystem, path = fsspec.core.url_to_fs(place)
            # not `open`, which first asks for the size, and takes any failure of that for a missing file
            filesystem.get_file(path, str(copy))
            return
        except FileNotFoundError:
            raise AudioError(f"{place}: no such file") from None
        except IsADirectoryError:
            raise AudioError(f"{place}: not a file; give the URL of a recording") from None
        except PermissionError as error:
            if "expired" in str(error):
                raise DataError(
                    f"{place}: the credentials have expired; renew them, and run the same command"
                ) from None
            raise AudioError(f"{place}: may not be read; check the credentials") from None
        except (ValueError, ImportError) as error:  # no such protocol, or one whose package is not installed
            raise AudioError(f"{place}: no such kind of URL can be read ({error})") from None
        except Exception as error:  # noqa: BLE001  every file system has errors of its own, without a common base
            if _says_no(error):
                raise AudioError(f"{place}: cannot be fetched ({_reason(error)})") from None
            if attempt == TRIES - 1:
                raise DataError(
                    f"{place}: cannot be reached ({_reason(error)}); run the same command again later"
                ) from None
        time.sleep(PAUSE_SECONDS * 2**attempt)


def _says_no(error: Exception) -> bool:
    """Whether a server has answered, and will not give the file (HTTP 4xx but for "later")."""
    status = getattr(error, "status", None)
    return isinstance(status, int) and 400 <= status < 500 and status not in (408, 425, 429)


def _reason(error: Exception) -> str:
    if isinstance(error, asyncio.TimeoutError):
        return "timed out"
    strerror = error.strerror if isinstance(error, OSError) and isinstance(error.strerror, str) else ""
    return (strerror or str(error) or type(error).__name__).split("\n")[0].replace(os.linesep, " ")
