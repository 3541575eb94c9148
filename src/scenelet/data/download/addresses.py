"""Addresses that HTTP connections may lead to."""

import contextlib
import ipaddress
import socket
from collections.abc import Callable
from typing import Any

import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Check = Callable[[Address], None]
"""Function that raises AnswerError for an address that must not be contacted."""


def refuse_link_local(address: Address) -> None:
    """Refuse addresses of the local link, where clouds hand out credentials."""
    if address.is_link_local:
        raise AnswerError(f"{address} is a link-local address, which is not contacted")


def refuse_private(address: Address) -> None:
    """Refuse all addresses that are not public."""
    if not address.is_global or address.is_multicast:
        raise AnswerError(f"the server redirects to {address}, an address of a private network")


class AnswerError(Exception):
    """The server's answer, or the address, is wrong. Another attempt gives the same.

    Attributes:
        status: HTTP status of the answer; 0 for other errors.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class CheckedAdapter(HTTPAdapter):
    """Adapter that checks the addresses of a host before it connects, and the address that it is connected to."""

    def __init__(self, check: Check, retry: urllib3.Retry) -> None:
        self.check = check
        super().__init__(max_retries=retry)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Make the pools, whose connections are checked."""
        super().init_poolmanager(*args, **options)
        check = self.check

        def connect(connection: HTTPConnection) -> None:
            with contextlib.suppress(OSError, UnicodeError):  # urllib3 reports an unknown name
                for *_, found in socket.getaddrinfo(connection.host, connection.port, type=socket.SOCK_STREAM):
                    _check_address(found, check)
            super(type(connection), connection).connect()
            assert connection.sock is not None
            try:
                _check_address(connection.sock.getpeername(), check)  # the name may resolve to another one by now
            except AnswerError:
                connection.close()
                raise

        plain = type("_Plain", (HTTPConnection,), {"connect": connect})
        secure = type("_Secure", (HTTPSConnection,), {"connect": connect})
        self.poolmanager.pool_classes_by_scheme = {
            "http": type("_PlainPool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
            "https": type("_SecurePool", (HTTPSConnectionPool,), {"ConnectionCls": secure}),
        }


def _check_address(found: tuple[Any, ...], check: Check) -> None:
    address = ipaddress.ip_address(found[0].partition("%")[0])
    check(getattr(address, "ipv4_mapped", None) or address)
