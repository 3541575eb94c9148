"""Run the service on a socket until it is interrupted."""

import asyncio
import contextlib
import errno
import logging
import os
import socket
from collections.abc import Sequence
from typing import Any

import uvicorn
from fastapi import FastAPI

from scenelet.errors import UsageError, escape_unprintable
from scenelet.server.connections import ConnectionTable, connection_protocols
from scenelet.server.limits import MAX_HEADER_BYTES, ServerLimits
from scenelet.utils.process import open_files

SHUTDOWN_SECONDS = 5
MAX_PENDING_CONNECTIONS = 2048
MAX_MESSAGE_BYTES = 1 << 20  # of a WebSocket
OTHER_FILES = 100  # that the process has open in addition to its connections
UNAVAILABLE = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)  # e.g. the IPv6 address of `localhost` without IPv6
LOGGER_NAMES = ("uvicorn", "asyncio", "python_multipart")
IGNORED_MESSAGES = ("Cancel %s running task(s)", "ASGI callable returned without completing")


def serve(app: FastAPI, sockets: Sequence[socket.socket], limits: ServerLimits | None = None) -> None:
    """Serve until Ctrl-C or SIGTERM, and close the sockets.

    Args:
        app: result of `scenelet.server.app.create_app`.
        sockets: result of `bind`.
        limits: the limits that `app` was created with; None uses the defaults.
    """
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises the signal again after it has stopped
        make_server(app, limits).run(sockets=list(sockets))


def make_server(app: FastAPI, limits: ServerLimits | None = None) -> uvicorn.Server:
    """Return a uvicorn server for the application that enforces the connection limits."""
    limits = limits or ServerLimits()
    wanted = limits.max_clients + limits.spare_connections
    available = max(1, open_files(wanted + OTHER_FILES) - OTHER_FILES)
    http, websocket = connection_protocols(ConnectionTable(min(wanted, available), limits))
    config = uvicorn.Config(
        app,
        loop="asyncio",  # uvloop accepts one connection per iteration, which is slow for many short connections
        http=http,  # type: ignore[arg-type]  # uvicorn calls it only
        ws=websocket,  # type: ignore[arg-type]
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        log_config=LOG_CONFIG,
        access_log=False,
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_per_message_deflate=False,  # audio hardly compresses, and decompression takes memory
        ws_ping_interval=None,  # the client's timeout covers it, and a pong may queue behind audio
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    return uvicorn.Server(config)


class EscapingFormatter(logging.Formatter):
    """Log formatter that escapes control characters, which could move a terminal's cursor."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record; line breaks stay.

        Examples:
            >>> record = logging.LogRecord("name", logging.ERROR, "", 0, "red: \\x1b[31m", None, None)
            >>> print(EscapingFormatter().format(record))
            red: \\x1b[31m
        """
        return "\n".join(map(escape_unprintable, super().format(record).split("\n")))


class ShutdownFilter(logging.Filter):
    """Log filter that drops errors of requests that ended because of a shutdown or a disconnect."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether to keep a record."""
        error = record.exc_info[1] if record.exc_info else None
        return not isinstance(error, asyncio.CancelledError) and not str(record.msg).startswith(IGNORED_MESSAGES)


LOG_CONFIG: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"()": EscapingFormatter, "fmt": "%(levelname)s: %(message)s"}},
    "filters": {"shutdown": {"()": ShutdownFilter}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain", "filters": ["shutdown"]}},
    # warnings report mistakes of clients, which could fill a disk
    "loggers": {name: {"handlers": ["stderr"], "level": "ERROR", "propagate": False} for name in LOGGER_NAMES},
}


def bind(host: str, port: int) -> list[socket.socket]:
    """Return sockets that listen on all addresses of a host.

    Args:
        host: a name, which may have several addresses, or an address.
        port: port to listen on; 0 takes a free one, the same for all addresses.

    Raises:
        UsageError: the name is unknown, or an address is invalid or its port in use.

    Examples:
        >>> for listening in bind("127.0.0.1", 0):
        ...     print(listening.getsockname()[0])
        ...     listening.close()
        127.0.0.1
    """
    sockets: list[socket.socket] = []
    failure: OSError | UnicodeError | None = None
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys((family, address) for family, _, _, _, address in found))
        for family, (name, _, *rest) in addresses:
            chosen = sockets[0].getsockname()[1] if sockets else port
            both = family == socket.AF_INET6 and len(addresses) == 1 and socket.has_dualstack_ipv6()
            try:
                listening = socket.create_server(
                    (name, chosen, *rest), family=family, backlog=MAX_PENDING_CONNECTIONS, dualstack_ipv6=both
                )
                sockets.append(listening)
            except OSError as error:
                failure = error
                if error.errno not in UNAVAILABLE:
                    raise
    except (OSError, UnicodeError) as error:
        failure = error
        while sockets:
            sockets.pop().close()
    if sockets:
        return sockets
    code = getattr(failure, "errno", None)
    if code == errno.EADDRINUSE:
        raise UsageError(f"port {port} of {host} is in use; choose another one with --port, 0 takes any free one")
    reason = os.strerror(code) if code and code in errno.errorcode else getattr(failure, "strerror", None) or failure
    raise UsageError(f"{host}:{port}: cannot listen there ({reason}); choose another --host or --port")
