"""HTTP sessions, which `fetch` and bulk jobs share: retries, redirects, and the hosts that they may contact."""

import contextlib
import http.cookiejar
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from urllib3.exceptions import HTTPError, InvalidHeader, NameResolutionError, ReadTimeoutError
from urllib3.response import BaseHTTPResponse

from scenelet import __version__
from scenelet.data.download.addresses import AnswerError, Check, CheckedAdapter, refuse_link_local, refuse_private
from scenelet.utils.console import print_message

MAX_RETRIES = 4
BACKOFF_FACTOR = 1.0
"""Seconds of `urllib3.util.Retry`: the first retry follows at once, and the others after 2, 4 and 8 times as much."""
MAX_RETRY_AFTER_SECONDS = 300
"""Longest wait that a server may ask for with `Retry-After`."""
RETRY_STATUSES = (408, 425, 429, 500, 502, 503, 504)
CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS = 20.0, 60.0
MIN_BYTES_PER_SECOND, SLOW_START_SECONDS = 1000, 60.0
"""A transfer that is slower on average, after the first minute, counts as interrupted."""
MAX_REDIRECTS = 5
CHUNK_BYTES = 1 << 18


class TransferError(Exception):
    """The server cannot be reached, or the transfer stopped before its end. A later attempt may succeed."""


class InterruptedTransferError(TransferError):
    """The transfer of a body stopped before its end."""


class BodyTooLargeError(AnswerError):
    """The body has more bytes than are allowed."""


class Retry(urllib3.Retry):
    """Retries that tell the user about a long `Retry-After`, and refuse one above `MAX_RETRY_AFTER_SECONDS`."""

    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        """Return the seconds that the server asks to wait, or None."""
        try:
            seconds = super().get_retry_after(response)
        except InvalidHeader:
            return None
        if seconds is not None and seconds > MAX_RETRY_AFTER_SECONDS:
            raise TransferError(f"the server answered {response.status} and asks to wait {seconds:,.0f} s")
        if seconds:
            print_message(f"The server answered {response.status} and asks to wait {seconds:,.0f} s")
        return seconds


class Web:
    """Context manager around two sessions, one for the addresses of the caller and one for other hosts after redirects.

    A manifest, a mirror and the hosts in them are a stranger's text. So no connection goes to a link-local address,
    where clouds hand out credentials. A redirect to another host must lead to a public address. The address of each
    connection is checked before a request is sent, so a name that resolves to another address later does not help.
    A proxy that the environment names connects by its own rules.

    Examples:
        >>> with Web() as web, web.open("http://169.254.169.254/latest/meta-data"):
        ...     pass
        Traceback (most recent call last):
        scenelet.data.download.addresses.AnswerError: 169.254.169.254 is a link-local address, which is not contacted
    """

    def __init__(self) -> None:
        self.direct = _open_session(refuse_link_local)
        self.elsewhere = _open_session(refuse_private)

    def __enter__(self) -> "Web":
        return self

    def __exit__(self, *error: object) -> None:
        self.direct.close()
        self.elsewhere.close()

    @contextlib.contextmanager
    def open(
        self, url: str, headers: Mapping[str, str] | None = None, same_host: bool = False
    ) -> Iterator[requests.Response]:
        """Request a file and yield the response, whose status is below 400 and no redirect, or 416 (a wrong range).

        Args:
            url: http or https address.
            headers: further headers.
            same_host: refuse redirects to other hosts.

        Raises:
            TransferError: the server cannot be reached, or is busy even after some retries.
            AnswerError: the address is invalid, the server refuses it, or a redirect must not be followed.
        """
        current, host = url, _host(url)
        for _ in range(MAX_REDIRECTS + 1):
            session = self.direct if _host(current) == host else self.elsewhere
            with _request(session, current, headers or {}) as response:
                if not response.is_redirect:
                    _raise_for_status(response)
                    yield response
                    return
                current = _redirect_target(current, response.headers["location"], host if same_host else None)
        raise AnswerError(f"the server redirects more than {MAX_REDIRECTS} times")


def write_body(response: requests.Response, path: Path, mode: str, max_bytes: int, decode: bool) -> Iterator[int]:
    """Write the body of a response to a file, and yield the number of bytes after each piece.

    Args:
        response: result of `Web.open`.
        path: the file.
        mode: "wb", or "ab" to append.
        max_bytes: maximum number of bytes to write.
        decode: whether to undo a compression in transit.

    Raises:
        InterruptedTransferError: the transfer was interrupted, or is too slow.
        BodyTooLargeError: the body is larger than `max_bytes`. The file is then at most as large.
    """
    written, started = 0, time.monotonic()
    with path.open(mode) as file:
        while True:
            try:
                # `read1` returns the bytes that have arrived, and does not wait for a full chunk
                chunk = response.raw.read1(CHUNK_BYTES, decode_content=decode)
            except (requests.RequestException, HTTPError) as error:
                raise InterruptedTransferError(describe(error)) from None
            if not chunk:
                return
            if len(chunk) > max_bytes - written:
                raise BodyTooLargeError(f"it has more than {max_bytes:,} bytes")
            written += file.write(chunk)
            yield written
            seconds = time.monotonic() - started
            if seconds > SLOW_START_SECONDS and written < MIN_BYTES_PER_SECOND * seconds:
                raise InterruptedTransferError(f"the server sends less than {MIN_BYTES_PER_SECOND:,} bytes per second")


def describe(error: BaseException) -> str:
    """Describe an exception of requests or urllib3 in a few words.

    Examples:
        >>> describe(requests.ConnectTimeout())
        'the server does not answer'
    """
    cause = getattr(next(iter(error.args), None), "reason", None)
    if isinstance(cause, NameResolutionError):
        return "the host's name is unknown"
    if isinstance(error, requests.exceptions.SSLError):
        return "the server's certificate is not accepted"
    if isinstance(error, requests.Timeout | ReadTimeoutError) or isinstance(cause, ReadTimeoutError):
        return "the server does not answer"
    if isinstance(error, requests.ConnectionError):
        return f"there is no connection to {urlsplit(getattr(error.request, 'url', None) or '').netloc or 'the server'}"
    return "the connection was interrupted"


@contextlib.contextmanager
def _request(session: requests.Session, url: str, headers: Mapping[str, str]) -> Iterator[requests.Response]:
    timeouts = (CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS)
    try:
        response = session.get(url, headers=headers, stream=True, timeout=timeouts, allow_redirects=False)
    except ValueError:  # the libraries' parsers have several classes of it
        raise AnswerError("it is not a valid address") from None
    except (requests.RequestException, HTTPError) as error:
        raise TransferError(describe(error)) from None
    with response:
        yield response


def _raise_for_status(response: requests.Response) -> None:
    status = response.status_code
    answer = f"the server answered {status} {response.reason or ''}".strip()
    if status in RETRY_STATUSES or status >= 500:
        raise TransferError(answer)
    if status >= 400 and status != 416:
        raise AnswerError(answer, status)


def _host(url: str) -> str:
    """Return the host of an address, by the parser that also connects: others read `http://a\\@b` in another way."""
    try:
        return urllib3.util.parse_url(url).host or ""
    except urllib3.exceptions.LocationParseError:
        raise AnswerError("it is not a valid address") from None


def _redirect_target(current: str, location: str, only_host: str | None) -> str:
    """Return the address that a redirect leads to, if it may be followed."""
    try:
        target = urljoin(current, location)
    except ValueError:
        raise AnswerError("the server redirects to an invalid address") from None
    host, scheme = _host(target), urlsplit(target).scheme
    if scheme not in ("http", "https") or not host:
        raise AnswerError(f"the server redirects to {target[:200]}, which is not an http address")
    if scheme == "http" and urlsplit(current).scheme == "https":
        raise AnswerError(f"the server redirects from https to http at {host}")
    if only_host is not None and host != only_host:
        raise AnswerError(f"the server redirects to another host, {host}")
    return target


def _open_session(check: Check) -> requests.Session:
    """Open a session whose connections pass `check`."""
    retry = Retry(
        total=MAX_RETRIES, backoff_factor=BACKOFF_FACTOR, status_forcelist=RETRY_STATUSES, raise_on_status=False
    )
    session = requests.Session()
    for prefix in ("http://", "https://"):
        session.mount(prefix, CheckedAdapter(check, retry))
    # with compression in transit, a file would have another size than the published one
    session.headers.update({"Accept-Encoding": "identity", "User-Agent": f"scenelet/{__version__}"})
    session.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
    return session
