"""Limits of the service, and helpers that refuse a request."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

DRAIN_TIMEOUT_SECONDS = 10.0
MAX_HEADER_BYTES = 64_000  # of a request, with its first line; 431
TRY_AGAIN_LATER = 1013
"""WebSocket close code."""


@dataclass(frozen=True)
class ServerLimits:
    """Limits of a service. A client that exceeds one gets the response that is listed here.

    Attributes:
        max_body_bytes: size of one request; 413.
        max_seconds: length of one recording, and of all recordings of a request together; an error per recording.
        max_clients: requests with a body and live streams that are active at once; 429.
        max_files: recordings in one request; 400.
        client_timeout_seconds: time that a client may delay the service; 408, or a message on a WebSocket.
        full_timeout_seconds: the same while the service is full, so that a slow client makes room for a waiting one.
        header_timeout_seconds: time in which a request's header must arrive; the connection is closed.
        max_concurrent_bodies: request bodies of the maximum size that may be in memory at once; 429.
        spare_connections: open connections in addition to `max_clients`; the one that is idle longest is closed.

    Examples:
        >>> limits = ServerLimits(max_body_bytes=1_000_000)
        >>> limits.max_total_body_bytes
        4000000
    """

    max_body_bytes: int = 50_000_000
    max_seconds: float = 600.0
    max_clients: int = 64
    max_files: int = 100
    client_timeout_seconds: float = 30.0
    full_timeout_seconds: float = 5.0
    header_timeout_seconds: float = 10.0
    max_concurrent_bodies: int = 4
    spare_connections: int = 500

    @property
    def max_total_body_bytes(self) -> int:
        """Size of all request bodies that may be in memory at once."""
        return self.max_concurrent_bodies * self.max_body_bytes


def error_response(status: int, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return an error in the service's common form.

    Examples:
        >>> error_response(404, "no such page").body
        b'{"detail":"no such page"}'
    """
    return JSONResponse({"detail": detail}, status, dict(headers or {}))


async def refuse_request(response: Response, scope: Scope, receive: Receive, send: Send, drain_bytes: int) -> None:
    """Send an error response.

    A body of up to `drain_bytes` is read first, since a client that is still sending would not see the response.
    """
    if scope["type"] == "http" and content_length(scope) <= drain_bytes:
        await read_body(receive, drain_bytes)
    elif scope["type"] == "websocket":
        await receive()  # the connect message; Starlette then sends the response that denies it
        if "websocket.http.response" not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": TRY_AGAIN_LATER})
            return
    await response(scope, receive, send)


async def read_body(receive: Receive, max_bytes: int, keep_bytes: int = 0) -> bytes:
    """Read a body until it ends, exceeds `max_bytes` or takes too long.

    Returns:
        The first `keep_bytes` bytes of the body.
    """
    start, received, more = b"", 0, True
    try:
        async with asyncio.timeout(DRAIN_TIMEOUT_SECONDS):
            while more and received <= max_bytes:
                message = await receive()
                body = message.get("body", b"")
                received += len(body)
                start += body[: keep_bytes - len(start)]
                more = message["type"] == "http.request" and message.get("more_body", False)
    except TimeoutError:
        pass
    return start


def header_bytes(scope: Scope) -> int:
    """Return the size of a request's path, query and header fields.

    Examples:
        >>> header_bytes({"raw_path": b"/model", "query_string": b"", "headers": [(b"host", b"a")]})
        15
    """
    fields = sum(len(name) + len(value) + len(": \r\n") for name, value in scope["headers"])
    return len(scope.get("raw_path") or b"") + len(scope["query_string"]) + fields


def content_length(scope: Scope) -> int:
    """Return the Content-Length of a request; 0 if it is missing or not a number.

    Examples:
        >>> content_length({"headers": [(b"content-length", b"12")]})
        12
    """
    value = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    return int(value) if value.isdigit() else 0
