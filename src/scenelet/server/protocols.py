"""Connection handling: limits that uvicorn lacks, for clients that are idle, slow, or do not read.

The two protocol classes extend uvicorn's, and use attributes that uvicorn does not document. A test checks that these
attributes exist.
"""

import asyncio
import os
import socket
import struct
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from scenelet.server.limits import ServerLimits

MAX_HEADER_BYTES = 64_000
MAX_PIPELINED_REQUESTS = 8  # sent before the first is answered
WEBSOCKET_READ_BYTES = 32_000  # more of tiny frames would occupy the event loop for long
MAX_PINGS_PER_CHECK = 100
MAX_QUEUED_MESSAGES = 2000  # of a WebSocket, and fragments of one message
BAD_HANDSHAKE = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
DISCARD_UNSENT = struct.pack("ii" if os.name == "posix" else "hh", 1, 0)  # struct linger: enabled, 0 s
INVALID_TEXT, POLICY_VIOLATION = 1007, 1008
"""WebSocket close codes."""


class ConnectionTable:
    """Limits and idle connections that all connections of a service share.

    Args:
        max_connections: if more are open, the one that has been idle longest is closed.
        limits: limits of the service.
    """

    def __init__(self, max_connections: int, limits: ServerLimits) -> None:
        self.max_connections, self.limits = max_connections, limits
        self.max_request_bytes = 2 * limits.max_body_bytes  # on the wire, with the overhead of chunks
        self.idle: dict[_LimitedHttp, None] = {}
        """Connections that wait for a request's header, in the order in which they became idle."""


class _MonitoredConnection(asyncio.Protocol):
    """Base of both protocols: disconnects a client that does not read its responses."""

    table: ConnectionTable
    transport: asyncio.Transport

    def start_checks(self) -> None:
        """Check the connection at intervals until it is lost."""
        self._blocked_since: float | None = None
        self._write_buffer_full = False
        self._timer = self._loop().call_later(self.table.limits.check_seconds, self._check)

    def _check(self) -> None:
        now = self._loop().time()
        # a closing transport waits without a limit until the client has read everything
        if not (self._write_buffer_full or self.transport.is_closing()):
            self._blocked_since = None
        elif self._blocked_since is None:
            self._blocked_since = now
        elif now - self._blocked_since > self.table.limits.client_timeout_seconds:
            self.disconnect()
        self.check(now)
        self._timer = self._loop().call_later(self.table.limits.check_seconds, self._check)

    def disconnect(self) -> None:
        """Close the connection and discard unsent data, which the system would otherwise keep."""
        link = self.transport.get_extra_info("socket")
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, DISCARD_UNSENT)
        self.transport.abort()

    def check(self, now: float) -> None:
        """Check what is specific to the protocol."""

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_buffer_full = True

    def resume_writing(self) -> None:
        super().resume_writing()
        self._write_buffer_full = False

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        super().connection_lost(exc)

    def _loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()


class _LimitedHttp(_MonitoredConnection, HttpToolsProtocol):
    """uvicorn's HTTP protocol with a timeout for the header, and limits on sizes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        self._in_header, self._received_bytes = True, 0
        self.start_checks()
        self._set_idle()
        if len(self.connections) > self.table.max_connections:
            oldest = next(iter(self.table.idle))
            oldest._set_busy()
            oldest.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._set_busy()
        super().connection_lost(exc)

    def check(self, now: float) -> None:
        if self._idle_since is not None and now - self._idle_since > self.table.limits.header_timeout_seconds:
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        self._received_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        is_answering = self.cycle is not None and not self.cycle.response_complete
        if self._in_header and self._received_bytes > MAX_HEADER_BYTES:
            self.send_400_response("The header of the request is too large.")
        elif self._received_bytes > self.table.max_request_bytes and is_answering:
            self.transport.abort()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_header:  # trailers of a chunked body are ignored
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._in_header, self._received_bytes = False, 0
        self._set_busy()
        if len(self.pipeline) > MAX_PIPELINED_REQUESTS:
            raise ValueError("too many requests before the first is answered")  # uvicorn answers with 400

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_header, self._received_bytes = True, 0

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.response_complete:
            self._set_idle()

    def handle_websocket_upgrade(self) -> None:
        self._timer.cancel()
        super().handle_websocket_upgrade()

    def _set_idle(self) -> None:
        """Start the timeout for a request's header."""
        self._idle_since: float | None = self._loop().time()
        self.table.idle[self] = None

    def _set_busy(self) -> None:
        self._idle_since = None
        self.table.idle.pop(self, None)


class _LimitedWebSocket(_MonitoredConnection, WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol with limits on queued messages, fragments and pings."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._pings = 0
        if hasattr(transport, "max_size"):  # asyncio's limit for one read; other connections wait meanwhile
            transport.max_size = WEBSOCKET_READ_BYTES
        self.start_checks()

    def check(self, now: float) -> None:
        self._pings = 0

    def handle_ping(self) -> None:
        self._pings += 1
        if self._pings <= MAX_PINGS_PER_CHECK:
            super().handle_ping()
        else:  # uvicorn queues a pong for each ping, even if the client reads none
            self.disconnect()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self.handshake_initiated:  # the header is complete but invalid
            self.transport.write(BAD_HANDSHAKE)
            self.transport.close()

    def handle_cont(self, event: Any) -> None:
        if self.close_sent:
            return
        super().handle_cont(event)
        if len(self.frames) > MAX_QUEUED_MESSAGES:
            self._close(POLICY_VIOLATION, "a message in too many fragments")

    def send_receive_event_to_app(self) -> None:
        if self.close_sent:
            self.frames = []
        elif self.queue.qsize() >= MAX_QUEUED_MESSAGES:
            self._close(POLICY_VIOLATION, "too many small messages; send more samples in each")
        elif self.curr_msg_data_type == "text" and not _is_utf8(b"".join(self.frames)):
            self._close(INVALID_TEXT, "text that is not UTF-8")
        else:
            super().send_receive_event_to_app()

    async def send(self, message: Any) -> None:
        await self.writable.wait()
        if self.close_sent and self.handshake_complete:  # closed by the service while the application was working
            raise ClientDisconnected
        await super().send(message)

    def handle_parser_exception(self) -> None:
        if self.conn.close_sent is None:  # an invalid handshake
            self.transport.abort()
        else:
            super().handle_parser_exception()

    def _close(self, code: int, reason: str) -> None:
        self.frames = []
        self.conn.send_close(code, reason)
        self.handle_parser_exception()


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def protocol_classes(table: ConnectionTable) -> tuple[type[HttpToolsProtocol], type[WebSocketsSansIOProtocol]]:
    """Return the HTTP and the WebSocket protocol of a service, whose connections share a table.

    Examples:
        >>> http, websocket = protocol_classes(ConnectionTable(100, ServerLimits()))
        >>> issubclass(http, HttpToolsProtocol), issubclass(websocket, WebSocketsSansIOProtocol)
        (True, True)
    """
    attributes: dict[str, Any] = {"table": table}
    return type("Http", (_LimitedHttp,), attributes), type("WebSocket", (_LimitedWebSocket,), attributes)
