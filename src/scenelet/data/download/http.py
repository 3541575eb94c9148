"""Download files over HTTP. Interrupted downloads resume, and no unchecked file is kept.

A file grows as `NAME.part` in the folder of its destination. It gets its name when it is complete and checked.
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

RETRY_WAIT_SECONDS = (1.0, 4.0, 15.0)
"""Wait before each retry that follows an attempt without progress. After the last one `download` gives up."""

CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS = 20.0, 60.0
CHUNK_BYTES = 1 << 18
MAX_WRONG_DOWNLOADS = 2
"""Number of complete but wrong downloads of a file after which `download` gives up."""

Progress = Callable[[int], None]
"""Called with the number of bytes that are on disk. The number falls when a download starts over."""


@dataclass(frozen=True)
class RemoteFile:
    """A file to download.

    Attributes:
        url: http or https address.
        path: destination.
        size: published size in bytes; None: not published. Then a download never resumes, since nothing would show
            that two parts belong to the same file.
        find_fault: describes the fault of the file at a path as a clause, or returns an empty string if it has none.
        max_bytes: maximum size of a file whose size is not published.
    """

    url: str
    path: Path
    size: int | None
    find_fault: Callable[[Path], str]
    max_bytes: int = 10_000_000

    @property
    def partial(self) -> Path:
        """Path under which the file grows."""
        return self.path.with_name(self.path.name + ".part")

    @property
    def bytes_on_disk(self) -> int:
        """Bytes that need not be downloaded again."""
        path = self.path if self.path.is_file() else self.partial
        return min(_file_size(path), self.size) if self.size is not None else 0


def check_size_and_md5(size: int, md5: str) -> Callable[[Path], str]:
    """Make the `find_fault` of a file whose size in bytes and md5 are published."""

    def find_fault(path: Path) -> str:
        if path.stat().st_size != size:
            return f"it has {path.stat().st_size:,} bytes, not {size:,}"
        with path.open("rb") as file:
            # The publisher chose md5. It detects accidents only; a strict OpenSSL refuses it without `usedforsecurity`.
            found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        return "" if found == md5.lower() else f"its md5 is {found}, not {md5.lower()}"

    return find_fault


def open_session() -> "requests.Session":
    """Open a session that keeps connections from file to file; use it in a `with` statement."""
    import requests

    session = requests.Session()
    # with compression in transit, a file would have another size than the published one
    session.headers.update({"Accept-Encoding": "identity", "User-Agent": f"scenelet/{__version__}"})
    return session


def download(
    session: "requests.Session",
    remote: RemoteFile,
    progress: Progress,
    wait_seconds: Sequence[float] = RETRY_WAIT_SECONDS,
) -> None:
    """Download a file, complete and without fault. Nothing is transferred if it exists already.

    Interrupted connections and the answers 408, 429 and 5xx are tried again, as long as one of `len(wait_seconds)`
    retries gets further than all attempts before. Bytes beyond the published size are never written.

    Args:
        session: result of `open_session`.
        remote: the file.
        progress: called with the number of bytes on disk.
        wait_seconds: waits before retries, as `RETRY_WAIT_SECONDS`.

    Raises:
        DataError: the server has no such file, the connection was lost too often (the partial file is kept for the
            next call), or the file was wrong twice (it is deleted).
        OutputError: the file cannot be written.
    """
    make_folder(remote.path.parent)
    try:
        if remote.path.is_file():
            if not remote.find_fault(remote.path):
                return
            remote.path.unlink()
        for _ in range(MAX_WRONG_DOWNLOADS):
            try:
                _receive(session, remote, progress, wait_seconds)
            except _WrongFileError as error:
                fault = str(error)
                continue
            fault = remote.find_fault(remote.partial)
            if not fault:
                fsync_file(remote.partial)
                os.replace(remote.partial, remote.path)
                return
            remote.partial.unlink()
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f"{remote.path}: cannot be written ({reason}); fix that and run the command again") from None
    raise DataError(f"{remote.url}: wrong after two downloads: {fault}; try again later, or use another --mirror")


class _TransferError(Exception):
    """The transfer stopped before its end and may be tried again."""


class _WrongFileError(Exception):
    """The server has another file than the published one, or sends a page instead."""


def _receive(
    session: "requests.Session", remote: RemoteFile, progress: Progress, wait_seconds: Sequence[float]
) -> None:
    """Request the file until the partial file is complete."""
    furthest = _file_size(remote.partial)
    failures = 0
    while True:
        try:
            _request(session, remote, progress)
            return
        except _TransferError as error:
            # Only new bytes count as progress. A server without ranges can send the same first bytes forever.
            reached = _file_size(remote.partial)
            if reached > furthest:
                furthest, failures = reached, 0
            if failures == len(wait_seconds):
                hint = "it resumes where it stopped" if remote.size is not None else "complete files are kept"
                raise DataError(f"{remote.url}: {error}; run the command again, {hint}") from None
            time.sleep(wait_seconds[failures])
            failures += 1


def _request(session: "requests.Session", remote: RemoteFile, progress: Progress) -> None:
    """Request the missing bytes once and write them."""
    import requests
    from urllib3.exceptions import HTTPError

    partial, size = remote.partial, remote.size
    written = _file_size(partial) if size is not None else 0
    if size is not None and written > size:
        written = 0
    progress(written)
    if size is not None and written == size:
        return
    headers = {"Range": f"bytes={written}-"} if written else {}
    timeouts = (CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS)
    try:
        with session.get(remote.url, headers=headers, stream=True, timeout=timeouts) as response:
            written = _first_byte(response, remote, written)
            limit = remote.max_bytes if size is None else size
            with partial.open("ab" if written else "wb") as file:
                # `read1` returns the bytes that have arrived, and does not wait for a full chunk
                while chunk := response.raw.read1(CHUNK_BYTES):
                    file.write(chunk[: limit - written])
                    if len(chunk) > limit - written:
                        partial.unlink()
                        raise _WrongFileError(f"it has more than {limit:,} bytes")
                    written += len(chunk)
                    progress(written)
    except (requests.RequestException, HTTPError) as error:
        raise _TransferError(_reason(error)) from None
    if size is not None and written < size:
        raise _TransferError(f"the server stopped after {written:,} of {size:,} bytes")


def _first_byte(response: "requests.Response", remote: RemoteFile, requested: int) -> int:
    """Find the byte at which a response begins: `requested`, or 0 for the complete file."""
    status = response.status_code
    if status == 206 and requested:
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", "").strip())
        if found and int(found[1]) == requested:
            _check_announced_size(remote, found[2])
            return requested
    elif status == 200:
        _check_announced_size(remote, response.headers.get("Content-Length", "*"))
        return 0
    if status in (206, 416):  # not the requested range: the next attempt requests the complete file
        remote.partial.unlink(missing_ok=True)
        raise _TransferError("the server answered with another range than requested")
    if status in (408, 429) or status >= 500:
        raise _TransferError(f"the server answered {status} {response.reason}")
    raise DataError(f"{remote.url}: the server answered {status} {response.reason}; check the address or --mirror")


def _check_announced_size(remote: RemoteFile, announced: str) -> None:
    if remote.size is not None and announced.isdecimal() and int(announced) != remote.size:
        raise _WrongFileError(f"the server's file has {int(announced):,} bytes, not {remote.size:,}")


def _file_size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _reason(error: Exception) -> str:
    """Describe a library's exception in a few words."""
    import requests
    from urllib3.exceptions import ReadTimeoutError

    if isinstance(error, requests.exceptions.SSLError):
        return "the server's certificate is not accepted"
    if isinstance(error, requests.Timeout | ReadTimeoutError):
        return "the server does not answer"
    if isinstance(error, requests.ConnectionError):
        return f"there is no connection to {urlsplit(getattr(error.request, 'url', None) or '').netloc or 'the server'}"
    return "the connection was interrupted"
