"""Download files over HTTP: a cut connection or a killed run goes on where it stopped, and nothing unchecked is kept.

A file grows as `NAME.part` beside its place and is moved there when it is whole and right.
"""

import hashlib
import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from scenelet import __version__
from scenelet.errors import DataError, OutputError
from scenelet.utils.files import fsync_file, make_folder

if TYPE_CHECKING:
    import requests

WAITS = (1.0, 4.0, 15.0)
"""Seconds before each further attempt that follows one without progress; after the last we give up."""

TIMEOUTS = (20.0, 60.0)
"""Seconds to wait for a connection, and for the next bytes."""

CHUNK = 1 << 18  # bytes
MAX_UNKNOWN_BYTES = 10_000_000  # bytes that are taken of a file whose size nobody has published
MAX_WRONG_DOWNLOADS = 2  # times that a whole file may be wrong

Show = Callable[[int], None]
"""Is told how many bytes of a file are there; fewer than before when it starts over."""


@dataclass(frozen=True)
class RemoteFile:
    """A file to download.

    Attributes:
        url: where it is, http or https.
        path: where it goes.
        size: bytes; None: not published. Then it is never taken up half-way, since nothing would
            show that two halves are of one file.
        flaw: what is wrong with the file at a path, as the end of a sentence; empty: nothing.
    """

    url: str
    path: Path
    size: int | None
    flaw: Callable[[Path], str]

    @property
    def part(self) -> Path:
        """Where it grows."""
        return self.path.with_name(self.path.name + ".part")

    @property
    def there(self) -> int:
        """Bytes of it that need not be downloaded again."""
        place = self.path if self.path.is_file() else self.part
        return min(_length(place), self.size) if self.size is not None else 0


def size_and_md5(size: int, md5: str) -> Callable[[Path], str]:
    """A `flaw` for files of which the bytes and the md5 are published."""

    def flaw(path: Path) -> str:
        if path.stat().st_size != size:
            return f"it has {path.stat().st_size:,} bytes, not {size:,}"
        with path.open("rb") as file:
            # The publisher chose md5; it guards against accidents, and a strict OpenSSL wants to hear that.
            found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        return "" if found == md5.lower() else f"its md5 is {found}, not {md5.lower()}"

    return flaw


def open_session() -> "requests.Session":
    """Connections that are kept open from file to file; use it in a `with`."""
    import requests

    session = requests.Session()
    # Compressed on its way, a file would have other bytes and another length than those published.
    session.headers.update({"Accept-Encoding": "identity", "User-Agent": f"scenelet/{__version__}"})
    return session


def download(session: "requests.Session", remote: RemoteFile, show: Show, waits: Sequence[float] = WAITS) -> None:
    """Bring a file to its place, whole and without flaw; nothing is transferred when it is there already.

    Cut connections and answers 408, 429 and 5xx are tried again for as long as each attempt, or one
    of the `len(waits)` after it, gets further than any before. What a server sends beyond the
    file's size is not written.

    Args:
        session: of `open_session`.
        remote: the file.
        show: is told the progress.
        waits: seconds, as `WAITS`.

    Raises:
        DataError: the server has no such file, the connection was lost too often (the part is kept
            for the next call), or its file was wrong twice (what came of it is deleted).
        OutputError: it cannot be written.
    """
    make_folder(remote.path.parent)
    try:
        if remote.path.is_file():
            if not remote.flaw(remote.path):
                return
            remote.path.unlink()
        for _ in range(MAX_WRONG_DOWNLOADS):
            try:
                _receive(session, remote, show, waits)
            except _WrongFileError as error:
                flaw = str(error)
                continue
            flaw = remote.flaw(remote.part)
            if not flaw:
                fsync_file(remote.part)
                os.replace(remote.part, remote.path)
                return
            remote.part.unlink()
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f"{remote.path}: cannot be written ({reason}); mend that and run the command again") from None
    raise DataError(f"{remote.url}: wrong twice, since {flaw}; try again later, or another --mirror")


class _CutError(Exception):
    """The transfer stopped before its end and may be tried again."""


class _WrongFileError(Exception):
    """What the server has is not the published file, or a page that is there instead of it."""


def _receive(session: "requests.Session", remote: RemoteFile, show: Show, waits: Sequence[float]) -> None:
    furthest = _length(remote.part)
    failures = 0
    while True:
        try:
            _request(session, remote, show)
            return
        except _CutError as cut:
            # Only getting further than ever counts: a server without ranges can send the same bytes for ever.
            reached = _length(remote.part)
            if reached > furthest:
                furthest, failures = reached, 0
            if failures == len(waits):
                again = "it goes on where it stopped" if remote.size is not None else "whole files are kept"
                raise DataError(f"{remote.url}: {cut}; run the command again, {again}") from None
            time.sleep(waits[failures])
            failures += 1


def _request(session: "requests.Session", remote: RemoteFile, show: Show) -> None:
    """Ask once for what is missing and write it."""
    import requests
    from urllib3.exceptions import HTTPError

    part, size = remote.part, remote.size
    have = _length(part) if size is not None else 0
    if size is not None and have > size:
        have = 0
    show(have)
    if size is not None and have == size:
        return
    wanted = {"Range": f"bytes={have}-"} if have else {}
    try:
        with session.get(remote.url, headers=wanted, stream=True, timeout=TIMEOUTS) as response:
            have = _begin(response, remote, have)
            limit = MAX_UNKNOWN_BYTES if size is None else size
            with part.open("ab" if have else "wb") as file:
                # read1 gives what has come, and does not hold it back until a chunk is full
                while chunk := response.raw.read1(CHUNK):
                    file.write(chunk[: limit - have])
                    if len(chunk) > limit - have:
                        part.unlink()
                        raise _WrongFileError(f"it goes on after {limit:,} bytes")
                    have += len(chunk)
                    show(have)
    except (requests.RequestException, HTTPError) as error:
        raise _CutError(_reason(error)) from None
    if size is not None and have < size:
        raise _CutError(f"the server stopped after {have:,} of {size:,} bytes")


def _begin(response: "requests.Response", remote: RemoteFile, have: int) -> int:
    """At which byte an answer begins: `have`, or 0 for the whole file."""
    status = response.status_code
    if status == 206 and have:
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", "").strip())
        if found and int(found[1]) == have:
            _require_size(remote, found[2])
            return have
    elif status == 200:
        _require_size(remote, response.headers.get("Content-Length", "*"))
        return 0
    if status in (206, 416):  # not the range that we asked for: the next attempt wants all of it
        remote.part.unlink(missing_ok=True)
        raise _CutError("the server answered with another range than asked for")
    if status in (408, 429) or status >= 500:
        raise _CutError(f"the server answered {status} {response.reason}")
    raise DataError(f"{remote.url}: the server answered {status} {response.reason}; check the address or --mirror")


def _require_size(remote: RemoteFile, announced: str) -> None:
    if remote.size is not None and announced.isdecimal() and int(announced) != remote.size:
        raise _WrongFileError(f"the server's has {int(announced):,} bytes, not {remote.size:,}")


def _length(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _reason(error: Exception) -> str:
    """A library's exception in a few words."""
    import requests
    from urllib3.exceptions import ReadTimeoutError

    if isinstance(error, requests.exceptions.SSLError):
        return "the server's certificate is not accepted"
    if isinstance(error, requests.Timeout | ReadTimeoutError):
        return "the server does not answer"
    if isinstance(error, requests.ConnectionError):
        return f"there is no connection to {urlsplit(getattr(error.request, 'url', None) or '').netloc or 'the server'}"
    return "the connection was cut"
