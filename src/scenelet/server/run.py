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

GRACE_SECONDS = 5
BACKLOG = 2048  # connections that may wait
FRAME_BYTES = 1 << 20  # the largest WebSocket message
SPARE = 500  # connections beside those that are worked for
OTHER_FILES = 100  # that the process has open
CHATTY = ("uvicorn", "asyncio", "python_multipart")
EXPECTED = ("Cancel %s running task(s)", "ASGI callable returned without completing")


def serve(app: FastAPI, host: str, port: int, ready: Callable[[str], None], limits: ServerLimits | None = None) -> None:
    """Serve until Ctrl-C or SIGTERM.

    Args:
        app: see `scenelet.server.app.create_app`.
        host, port: where; port 0 takes a free one.
        ready: told the address when it can be opened.
        limits: as those of `app`.

    Raises:
        UsageError: the address cannot be had.
    """
    taken = bind(host, port)
    shown = f"[{host}]" if ":" in host else host
    ready(f"http://{shown}:{taken.getsockname()[1]}")
    try:
        server(app, limits).run(sockets=[taken])
    except KeyboardInterrupt:
        pass  # uvicorn raises the signal again once it has stopped
    finally:
        taken.close()


def server(app: FastAPI, limits: ServerLimits | None = None) -> uvicorn.Server:
    """What speaks HTTP for the application, within the same limits."""
    bounds = limits or ServerLimits()
    most = bounds.max_clients + SPARE
    door = ConnectionTable(
        min(most, max(1, open_files(most + OTHER_FILES) - OTHER_FILES)), bounds.client_timeout_seconds, 2 * bounds.max_body
    )
    http, ws = protocol_classes(door)
    settings = uvicorn.Config(
        app,
        loop="asyncio",  # uvloop accepts one connection a round, which many clients that come and go make a long wait
        http=http,
        ws=ws,
        log_config=LOGGING,
        access_log=False,
        ws_max_size=FRAME_BYTES,
        ws_per_message_deflate=False,  # sound does not shrink, and what inflates takes memory
        ws_ping_interval=None,  # who has gone is silent, and an answer to a ping may wait behind sound
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    return uvicorn.Server(settings)


class _Plain(logging.Formatter):
    """What is logged, without what could move a terminal's cursor."""

    def format(self, record: logging.LogRecord) -> str:
        return "\n".join(map(escape_unprintable, super().format(record).split("\n")))


class _OwnFaults(logging.Filter):
    """Leaves out that requests were ended because the service ends, or because their clients have gone."""

    def filter(self, record: logging.LogRecord) -> bool:
        fault = record.exc_info[1] if record.exc_info else None
        return not isinstance(fault, asyncio.CancelledError) and not str(record.msg).startswith(EXPECTED)


LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"()": _Plain, "fmt": "%(levelname)s: %(message)s"}},
    "filters": {"own": {"()": _OwnFaults}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain", "filters": ["own"]}},
    # what clients do wrong are warnings, and would fill a disk
    "loggers": {name: {"handlers": ["stderr"], "level": "ERROR", "propagate": False} for name in CHATTY},
}


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens at an address.

    Raises:
        UsageError: the address cannot be had.
    """
    found = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        found = socket.socket(family, kind, protocol)
        if os.name == "posix":  # elsewhere it lets two services share a port
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
        found.listen(BACKLOG)
    except (OSError, UnicodeError) as error:
        if found is not None:
            found.close()
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{host}:{port}: cannot be served on ({reason}); choose another --host or --port") from None
    return found
