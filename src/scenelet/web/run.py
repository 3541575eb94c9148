"""Run the service on a socket until it is interrupted."""

import os
import socket
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI

from scenelet.errors import UsageError

GRACE_SECONDS = 5
BACKLOG = 2048  # connections that may wait
FRAME_BYTES = 1 << 20  # the largest WebSocket message


def serve(app: FastAPI, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve until Ctrl-C or SIGTERM.

    Args:
        app: see `scenelet.web.service.create_app`.
        host, port: where; port 0 takes a free one.
        ready: told the address when it can be opened.

    Raises:
        UsageError: the address cannot be had.
    """
    taken = bind(host, port)
    shown = f"[{host}]" if ":" in host else host
    ready(f"http://{shown}:{taken.getsockname()[1]}")
    try:
        server(app).run(sockets=[taken])
    except KeyboardInterrupt:
        pass  # uvicorn raises the signal again once it has stopped
    finally:
        taken.close()


def server(app: FastAPI) -> uvicorn.Server:
    """What speaks HTTP for the application."""
    settings = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        ws_max_size=FRAME_BYTES,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    return uvicorn.Server(settings)


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
