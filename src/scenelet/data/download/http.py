"""Download files over HTTP. Interrupted downloads resume, and no unchecked file is kept.

A file grows as `NAME.part` in the folder of its destination. It gets its name when it is complete and checked.
"""

import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import requests
from urllib3.exceptions import HTTPError

from scenelet.data.download import session
from scenelet.data.download.session import AnswerError, TransferError, Web, describe
from scenelet.errors import DataError, OutputError
from scenelet.utils.files import fsync_file, make_folder

MAX_INTERRUPTIONS = 4
"""Number of interrupted transfers in a row without progress after which `download` gives up."""
MAX_WRONG_DOWNLOADS = 2
"""Number of complete but wrong downloads of a file after which `download` gives up."""
MIN_BYTES_PER_SECOND, SLOW_START_SECONDS = 1000, 60.0
"""A transfer that is slower on average, after the first minute, counts as interrupted."""
CHUNK_BYTES = 1 << 18

Progress = Callable[[int], None]
"""Called with the number of bytes that are on disk. The number falls when a download starts over."""


class InterruptedTransferError(TransferError):
    """The transfer of a body stopped before its end."""


class WrongBodyError(Exception):
    """The body has more bytes than are allowed, or is another one than expected."""


@dataclass(frozen=True)
class RemoteFile:
    """A file to download.

    Attributes:
        url: http or https address.
        path: destination.
        size: published size in bytes; None: not published, so a download never resumes: two parts may not fit.
        find_fault: describes the fault of the file at a path as a clause, or returns an empty string if it has none.
        max_bytes: maximum size of a file whose size is not published.
        same_host: refuse redirects to other hosts.
    """

    url: str
    path: Path
    size: int | None
    find_fault: Callable[[Path], str]
    max_bytes: int = 10_000_000
    same_host: bool = False

    @property
    def partial(self) -> Path:
        """Path under which the file grows."""
        return self.path.with_name(self.path.name + ".part")

    @property
    def bytes_on_disk(self) -> int:
        """Bytes that need not be downloaded again."""
        path = self.path if self.path.is_file() else self.partial
        return min(_file_size(path), self.size) if self.size is not None else 0


def check_size_and_md5(size: int | None, md5: str) -> Callable[[Path], str]:
    """Make the `find_fault` of a file whose md5 is published, and its size in bytes unless it is None."""

    def find_fault(path: Path) -> str:
        if size is not None and path.stat().st_size != size:
            return f"it has {path.stat().st_size:,} bytes, not {size:,}"
        with path.open("rb") as file:
            # The publisher chose md5. It detects accidents only; a strict OpenSSL refuses it without `usedforsecurity`.
            found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        return "" if found == md5.lower() else f"its md5 is {found}, not {md5.lower()}"

    return find_fault


def download(web: Web, remote: RemoteFile, progress: Progress) -> None:
    """Download a file, complete and without fault. Nothing is transferred if it exists already.

    `Web` tries connections and busy servers again. An interrupted transfer is tried again too, as long as one of
    `MAX_INTERRUPTIONS` retries gets further than all attempts before. Bytes beyond the published size are never
    written.

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
                _receive(web, remote, progress)
            except WrongBodyError as error:
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


def _receive(web: Web, remote: RemoteFile, progress: Progress) -> None:
    """Request the file until the partial file is complete. Only bytes that no attempt reached before are progress."""
    furthest, interruptions = _file_size(remote.partial), 0
    while True:
        try:
            _request(web, remote, progress)
            return
        except AnswerError as error:
            raise DataError(f"{remote.url}: {error}; check the address or --mirror") from None
        except TransferError as error:
            reached = _file_size(remote.partial)
            interruptions = 1 if reached > furthest else interruptions + 1
            furthest = max(furthest, reached)
            # `Web` has already tried again if there was no answer at all
            if interruptions > MAX_INTERRUPTIONS or not isinstance(error, InterruptedTransferError):
                hint = "it resumes where it stopped" if remote.size is not None else "complete files are kept"
                raise DataError(f"{remote.url}: {error}; run the command again, {hint}") from None
            time.sleep(session.BACKOFF_FACTOR * (interruptions - 1) ** 2)


def _request(web: Web, remote: RemoteFile, progress: Progress) -> None:
    """Request the missing bytes once and write them."""
    partial, size = remote.partial, remote.size
    start = 0 if size is None or _file_size(partial) > size else _file_size(partial)
    progress(start)
    if start == size:
        return
    headers = {"Range": f"bytes={start}-"} if start else {}
    with web.open(remote.url, headers, same_host=remote.same_host) as response:
        start = _first_byte(response, remote, start)
        mode, limit = "ab" if start else "wb", remote.max_bytes if size is None else size
        try:
            for written in write_body(response, partial, mode, limit, decode=False):
                progress(written)
        except WrongBodyError:
            partial.unlink()
            raise
    if size is not None and _file_size(partial) < size:
        raise InterruptedTransferError(f"the server stopped after {_file_size(partial):,} of {size:,} bytes")


def _first_byte(response: requests.Response, remote: RemoteFile, requested: int) -> int:
    """Find the byte at which a response begins: `requested`, or 0 for the complete file."""
    status, content_range = response.status_code, response.headers.get("Content-Range", "").strip()
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", content_range)
    if status == 200:
        start, total = 0, response.headers.get("Content-Length", "*")
    elif status == 206 and requested and found and int(found[1]) == requested:
        start, total = requested, found[2]
    elif status in (206, 416):  # not the requested range: the next attempt requests the complete file
        remote.partial.unlink(missing_ok=True)
        raise InterruptedTransferError("the server answered with another range than requested")
    else:
        raise AnswerError(f"the server answered {status} {response.reason}")
    if remote.size is not None and total.isdecimal() and int(total) != remote.size:
        raise WrongBodyError(f"the server's file has {int(total):,} bytes, not {remote.size:,}")
    return start


def write_body(response: requests.Response, path: Path, mode: str, max_bytes: int, decode: bool) -> Iterator[int]:
    """Write the body of a response to a file, and yield the size of the file after each piece.

    With `decode`, a compression in transit is undone.

    Raises:
        InterruptedTransferError: the transfer was interrupted, or is too slow.
        WrongBodyError: the file would be larger than `max_bytes`.
    """
    with path.open(mode) as file:
        size = first = file.tell()
        started = time.monotonic()
        while True:
            try:
                # `read1` returns the bytes that have arrived, and does not wait for a full chunk
                chunk = response.raw.read1(CHUNK_BYTES, decode_content=decode)
            except (requests.RequestException, HTTPError) as error:
                raise InterruptedTransferError(describe(error)) from None
            if not chunk:
                return
            if len(chunk) > max_bytes - size:
                raise WrongBodyError(f"it has more than {max_bytes:,} bytes")
            size += file.write(chunk)
            yield size
            seconds = time.monotonic() - started
            if seconds > SLOW_START_SECONDS and size - first < MIN_BYTES_PER_SECOND * seconds:
                raise InterruptedTransferError(f"the server sends less than {MIN_BYTES_PER_SECOND:,} bytes per second")


def _file_size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
