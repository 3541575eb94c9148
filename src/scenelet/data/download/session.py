"""HTTP sessions, which `fetch` and bulk jobs share: retries, redirects, and the hosts that they may contact."""

import contextlib
import http.cookiejar
import ipaddress
import socket
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, InvalidHeader, NameResolutionError, ReadTimeoutError
from urllib3.response import BaseHTTPResponse

from scenelet import __version__
from scenelet.utils.console import print_message

MAX_RETRIES = 4
BACKOFF_FACTOR = 1.0
"""Seconds of `urllib3.util.Retry`: the first retry follows at once, and the others after 2, 4 and 8 times as much."""
MAX_RETRY_AFTER_SECONDS = 300
"""Longest wait that a server may ask for with `Retry-After`."""
RETRY_STATUSES = (408, 425, 429, 500, 502, 503, 504)
TIMEOUT_SECONDS = (20.0, 60.0)
"""Time limit of a connection, and of each read."""
MAX_REDIRECTS = 5


class AnswerError(Exception):
    """The server's answer, or the address, is wrong. Another attempt gives the same.

    Attributes:
        status: HTTP status of the answer; 0 for other errors.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class TransferError(Exception):
    """The server cannot be reached, or the transfer stopped before its end. A later attempt may succeed."""


class Retry(urllib3.Retry):
    """Retries that tell the user about a long `Retry-After`, and refuse one above `MAX_RETRY_AFTER_SECONDS`."""

    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        """Return the seconds that the server asks to wait, or None."""
        try:
            seconds = super().get_retry_after(response)
        except InvalidHeader:
            return None
        if seconds:
            request = f"the server answered {response.status} and asks to wait {seconds:,.0f} s"
            if seconds > MAX_RETRY_AFTER_SECONDS:
                raise TransferError(request)
            print_message(f"T{request[1:]}")
        return seconds


class Web(contextlib.AbstractContextManager["Web"]):
    """Context manager around two sessions, one for the addresses of the caller and one for other hosts after redirects.

    A manifest, a mirror and the hosts in them are a stranger's text. So no connection goes to a link-local address,
    where clouds hand out credentials. A redirect to another host must lead to a public address. The address of each
    connection is checked before a request is sent, so a name that resolves to another address later does not help.
    A proxy that the environment names connects by its own rules.

    Examples:
        >>> with Web() as web, web.open("http://169.254.169.254/latest/meta-data"):
        ...     pass
        Traceback (most recent call last):
        scenelet.data.download.session.AnswerError: 169.254.169.254 is a link-local address, which is not contacted
    """

    def __init__(self) -> None:
        self.direct, self.elsewhere = _open_session(public_only=False), _open_session(public_only=True)

    def __exit__(self, *error: object) -> None:
        self.direct.close()
        self.elsewhere.close()

    @contextlib.contextmanager
    def open(
        self, url: str, headers: Mapping[str, str] | None = None, same_host: bool = False
    ) -> Iterator[requests.Response]:
        """Request a file and yield the response, whose status is below 400 and no redirect, or 416 (a wrong range).

        With `same_host`, redirects to other hosts are refused.

        Raises:
            TransferError: the server cannot be reached, or is busy even after some retries.
            AnswerError: the address is invalid, the server refuses it, or a redirect must not be followed.
        """
        current, host = url, _host(url)
        for _ in range(MAX_REDIRECTS + 1):
            session = self.direct if _host(current) == host else self.elsewhere
            try:
                response = session.get(
                    current, headers=headers, stream=True, timeout=TIMEOUT_SECONDS, allow_redirects=False
                )
            except ValueError:  # the libraries' parsers have several classes of it
                raise AnswerError("it is not a valid address") from None
            except (requests.RequestException, HTTPError) as error:
                raise TransferError(describe(error)) from None
            with response:
                if not response.is_redirect:
                    _raise_for_status(response)
                    yield response
                    return
                current = _redirect_target(current, response.headers["location"], host if same_host else None)
        raise AnswerError(f"the server redirects more than {MAX_REDIRECTS} times")


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
        server = urlsplit(getattr(error.request, "url", None) or "").netloc.rpartition("@")[2]  # without a password
        return f"there is no connection to {server or 'the server'}"
    return "the connection was interrupted"


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


def _open_session(public_only: bool) -> requests.Session:
    session = requests.Session()
    for prefix in ("http://", "https://"):
        session.mount(prefix, _CheckedAdapter(public_only))
    # with compression in transit, a file would have another size than the published one
    session.headers.update({"Accept-Encoding": "identity", "User-Agent": f"scenelet/{__version__}"})
    session.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
    return session


class _CheckedAdapter(HTTPAdapter):
    """Adapter that checks the addresses of a host before it connects, and the address that it is connected to.

    Link-local addresses are refused, where clouds hand out credentials. With `public_only`, so are all that are not
    public.
    """

    def __init__(self, public_only: bool) -> None:
        self.public_only = public_only
        super().__init__(
            max_retries=Retry(
                MAX_RETRIES, backoff_factor=BACKOFF_FACTOR, status_forcelist=RETRY_STATUSES, raise_on_status=False
            )
        )

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)

        def check(found: tuple[Any, ...]) -> None:
            address = ipaddress.ip_address(found[0].partition("%")[0])
            address = getattr(address, "ipv4_mapped", None) or address
            if self.public_only and (not address.is_global or address.is_multicast):
                raise AnswerError(f"the server redirects to {address}, an address of a private network")
            if address.is_link_local:
                raise AnswerError(f"{address} is a link-local address, which is not contacted")

        def connect(connection: HTTPConnection) -> None:
            with contextlib.suppress(OSError, UnicodeError):  # urllib3 reports an unknown name
                for *_, found in socket.getaddrinfo(connection.host, connection.port, type=socket.SOCK_STREAM):
                    check(found)
            super(type(connection), connection).connect()
            assert connection.sock is not None
            try:
                check(connection.sock.getpeername())  # the name may resolve to another address by now
            except AnswerError:
                connection.close()
                raise

        self.poolmanager.pool_classes_by_scheme = {
            pool.scheme: type(
                "_Pool", (pool,), {"ConnectionCls": type("_Connection", (pool.ConnectionCls,), {"connect": connect})}
            )
            for pool in (HTTPConnectionPool, HTTPSConnectionPool)
        }
