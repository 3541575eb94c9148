"""Connections: those of clients that are idle, or do not read their responses, are closed.

uvicorn has no timeout for the header of a request, and none for a client that does not read. So a protocol of asyncio
passes all events of a connection on to a protocol of uvicorn, and keeps the time. It uses the interface that asyncio
documents for protocols, and nothing else of uvicorn's classes.
"""

import asyncio
import functools
import os
import socket
import struct
from collections.abc import Callable
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.wsproto_impl import WSProtocol

from scenelet.server.limits import ServerLimits

DISCARD_UNSENT = struct.pack("ii" if os.name == "posix" else "hh", 1, 0)  # struct linger: enabled, 0 s
HTTP_READ_BYTES, WEBSOCKET_READ_BYTES = 64_000, 8_000  # at once; tiny frames take long
MAX_UNREAD_BYTES = 64_000  # in addition to what the system holds, while the client goes on sending
STATE_KEY = "connection"  # of the ASGI state


class ConnectionTable:
    """Connections of a service.

    Args:
        max_connections: if more are open, the one that has been idle longest is closed.
        limits: limits of the service.
    """

    def __init__(self, max_connections: int, limits: ServerLimits) -> None:
        self.max_connections, self.limits = max_connections, limits
        self.open: set[TimedConnection] = set()
        self.idle: dict[TimedConnection, None] = {}
        """Connections that wait for a request, in the order in which they became idle."""


class TimedConnection(asyncio.BufferedProtocol, asyncio.Protocol):
    """Protocol that passes all events on to one of uvicorn's protocols, and closes the connection in time.

    A connection is idle until the header of a request is complete, and again after its response. It is blocked while
    the client has not read everything that was sent.

    Args:
        table: all connections of the service.
        protocol: class of the protocol.
        read_bytes: maximum number of bytes that are read at once.
        app_state: state of the ASGI application.
        arguments: further arguments that uvicorn gives to the protocol.
    """

    def __init__(
        self,
        table: ConnectionTable,
        protocol: Callable[..., asyncio.Protocol],
        read_bytes: int,
        app_state: dict[str, Any],
        **arguments: Any,
    ) -> None:
        self.table = table
        self._inner = protocol(app_state={**app_state, STATE_KEY: self}, **arguments)
        self._upgraded: TimedConnection | None = app_state.get(STATE_KEY)
        self._active_requests, self._is_blocked = 0, False
        self._buffer = bytearray(read_bytes)
        self._timer: asyncio.Handle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the time for the first header."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=0)  # asyncio reports every byte that the client does not take
        if self._upgraded is not None:  # a WebSocket takes over the connection
            self._upgraded._forget()
        self.table.open.add(self)
        self._restart_timer()
        self._inner.connection_made(transport)
        if len(self.table.open) > self.table.max_connections and self.table.idle:
            next(iter(self.table.idle))._disconnect()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the time."""
        self._forget()
        self._inner.connection_lost(exc)

    def get_buffer(self, sizehint: int) -> bytearray:
        """Return the buffer for the next data. Its size limits how long other connections wait meanwhile."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Pass on data that is in the buffer."""
        self.data_received(bytes(self._buffer[:nbytes]))

    def data_received(self, data: bytes) -> None:
        """Pass on data, unless the client has left too much unread: each ping of a WebSocket, say, is answered."""
        if self._transport.get_write_buffer_size() > MAX_UNREAD_BYTES:
            self._disconnect()
        else:
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        """Pass on the end of the client's data."""
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        """Start the time for a client that has to read."""
        self._is_blocked = True
        self._restart_timer()
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Stop the time, since the client has read everything."""
        self._is_blocked = False
        self._restart_timer()
        self._inner.resume_writing()

    def request_started(self) -> None:
        """Note that the header of a request is complete."""
        self._active_requests += 1
        self._restart_timer()

    def request_ended(self) -> None:
        """Note that a response is complete."""
        self._active_requests -= 1
        self._restart_timer()

    def _restart_timer(self) -> None:
        """Start the time that the current state allows."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.table.idle.pop(self, None)
        if self not in self.table.open:
            return
        limits = self.table.limits
        if self._is_blocked:
            self._timer = asyncio.get_running_loop().call_later(limits.client_timeout_seconds, self._expire)
        elif not self._active_requests:
            self._timer = asyncio.get_running_loop().call_later(limits.header_timeout_seconds, self._expire)
            self.table.idle[self] = None

    def _expire(self) -> None:
        """Disconnect, unless a request starts that the busy event loop has only just received."""
        self._timer = asyncio.get_running_loop().call_soon(self._disconnect)

    def _forget(self) -> None:
        self.table.open.discard(self)
        self._restart_timer()

    def _disconnect(self) -> None:
        """Close the connection, and discard unsent data, which the system would otherwise keep."""
        self._forget()
        if self._is_blocked:
            link = self._transport.get_extra_info("socket")
            link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, DISCARD_UNSENT)
        self._transport.abort()


class RequestTimer:
    """ASGI middleware that tells a connection when a request starts and ends. Other servers have no such connection."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or WebSocket."""
        connection: TimedConnection | None = scope.get("state", {}).get(STATE_KEY)
        if connection is None:
            await self.app(scope, receive, send)
            return
        connection.request_started()
        try:
            await self.app(scope, receive, send)
        finally:
            connection.request_ended()


def connection_protocols(table: ConnectionTable) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return the factories of HTTP and WebSocket connections for `uvicorn.Config`.

    Examples:
        >>> http, websocket = connection_protocols(ConnectionTable(100, ServerLimits()))
        >>> http.func is websocket.func is TimedConnection
        True
    """
    http = functools.partial(TimedConnection, table, H11Protocol, HTTP_READ_BYTES)
    return http, functools.partial(TimedConnection, table, WSProtocol, WEBSOCKET_READ_BYTES)
