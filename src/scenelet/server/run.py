"""Run the service on a socket until it is interrupted."""

import asyncio
import logging
import os
import socket
from collections.abc import Callable
from typing import Any

import uvicorn
from fastapi import FastAPI

from scenelet.errors import UsageError, escape_unprintable
from scenelet.server.limits import ServerLimits
from scenelet.server.protocols import ConnectionTable, protocol_classes
from scenelet.utils.process import open_files

SHUTDOWN_SECONDS = 5
MAX_PENDING_CONNECTIONS = 2048
MAX_MESSAGE_BYTES = 1 << 20  # of a WebSocket
OTHER_FILES = 100  # that the process has open in addition to its connections
LOGGER_NAMES = ("uvicorn", "asyncio", "python_multipart")
IGNORED_MESSAGES = ("Cancel %s running task(s)", "ASGI callable returned without completing")


def serve(
    app: FastAPI, host: str, port: int, on_ready: Callable[[str], None], limits: ServerLimits | None = None
) -> None:
    """Serve until Ctrl-C or SIGTERM.

    Args:
        app: result of `scenelet.server.app.create_app`.
        host: address to listen on.
        port: port to listen on; 0 takes a free one.
        on_ready: called with the URL once the service can be reached.
        limits: the limits that `app` was created with; None uses the defaults.

    Raises:
        UsageError: the service cannot listen on the address.
    """
    listening = bind(host, port)
    shown = f"[{host}]" if ":" in host else host
    on_ready(f"http://{shown}:{listening.getsockname()[1]}")
    try:
        make_server(app, limits).run(sockets=[listening])
    except KeyboardInterrupt:
        pass  # uvicorn raises the signal again after it has stopped
    finally:
        listening.close()


def make_server(app: FastAPI, limits: ServerLimits | None = None) -> uvicorn.Server:
    """Return a uvicorn server for the application that enforces the connection limits."""
    limits = limits or ServerLimits()
    wanted = limits.max_clients + limits.spare_connections
    available = max(1, open_files(wanted + OTHER_FILES) - OTHER_FILES)
    http, websocket = protocol_classes(ConnectionTable(min(wanted, available), limits))
    config = uvicorn.Config(
        app,
        loop="asyncio",  # uvloop accepts one connection per iteration, which is slow for many short connections
        http=http,
        ws=websocket,
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


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that listens on an address.

    Raises:
        UsageError: the address is invalid or in use.

    Examples:
        >>> with bind("127.0.0.1", 0) as listening:
        ...     listening.getsockname()[0]
        '127.0.0.1'
    """
    listening = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        if os.name == "posix":  # on Windows the option lets two services share a port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(MAX_PENDING_CONNECTIONS)
    except (OSError, UnicodeError) as error:
        if listening is not None:
            listening.close()
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{host}:{port}: cannot listen there ({reason}); choose another --host or --port") from None
    return listening
