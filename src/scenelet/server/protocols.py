"""Connections: bounds for clients that say nothing, say it slowly, or do not listen, which uvicorn itself has not."""

import asyncio
import os
import socket
import struct
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

HEAD_BYTES = 64_000  # of a request's head
HEAD_SECONDS = 10.0  # until it is there
PIPELINED = 8  # requests that may be sent before the first is answered
READ_BYTES = 32_000  # of a WebSocket: of tiny frames, more would be worked on for long
PINGS = 100  # between two looks
MESSAGES = 2000  # of a WebSocket that wait, and pieces of one message
NO_HANDSHAKE = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
NOTHING_KEPT = struct.pack("ii" if os.name == "posix" else "hh", 1, 0)  # the system's `linger`
TICK = 1.0  # seconds between two looks at a connection


class ConnectionTable:
    """Who is connected; where too many are, who has been longest without a request goes.

    Args:
        most: connections at once.
        patience: seconds in which a client has to go on reading.
        body_bytes: that a request may take on the wire.
    """

    def __init__(self, most: int, client_timeout: float, body_bytes: int) -> None:
        self.most, self.client_timeout, self.body_bytes = most, client_timeout, body_bytes
        self.waiting: dict[_Http, None] = {}


class _Watched(asyncio.Protocol):
    """What HTTP and WebSockets share: a client that does not read is cut off."""

    door: ConnectionTable
    transport: asyncio.Transport

    def watch(self) -> None:
        """Look at the connection now and then, until it is lost."""
        self._stuck: float | None = None  # since when nothing can be written
        self._full = False
        self._tick = self._clock().call_later(TICK, self._look)

    def _look(self) -> None:
        now = self._clock().time()
        # a transport that closes waits for all to be read, without end
        if not (self._full or self.transport.is_closing()):
            self._stuck = None
        elif self._stuck is None:
            self._stuck = now
        elif now - self._stuck > self.door.client_timeout:
            self.cut()
        self.look(now)
        self._tick = self._clock().call_later(TICK, self._look)

    def cut(self) -> None:
        """End the connection, with all that was not read: the system would keep it for whoever reads nothing."""
        link = self.transport.get_extra_info("socket")
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NOTHING_KEPT)
        self.transport.abort()

    def look(self, now: float) -> None:
        """What else there is to be looked at."""

    def pause_writing(self) -> None:
        super().pause_writing()
        self._full = True

    def resume_writing(self) -> None:
        super().resume_writing()
        self._full = False

    def connection_lost(self, exc: Exception | None) -> None:
        self._tick.cancel()
        super().connection_lost(exc)

    def _clock(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()


class _Http(_Watched, HttpToolsProtocol):
    """uvicorn's HTTP, with a time for a request's head, and bounds of what is kept of it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        self._in_head, self._got = True, 0
        self.watch()
        self._wait()
        if len(self.connections) > self.door.most:
            oldest = next(iter(self.door.waiting))
            oldest._has_come()
            oldest.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._has_come()
        super().connection_lost(exc)

    def look(self, now: float) -> None:
        if self._since is not None and now - self._since > HEAD_SECONDS:
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        self._got += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_head and self._got > HEAD_BYTES:
            self.send_400_response("The head of the request is too large.")
        elif self._got > self.door.body_bytes and self.cycle is not None and not self.cycle.response_complete:
            self.transport.abort()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # not what comes after a body in pieces, which nobody reads
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._in_head, self._got = False, 0
        self._has_come()
        if len(self.pipeline) > PIPELINED:
            raise ValueError("too many requests before the first is answered")  # answered with 400

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_head, self._got = True, 0

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.response_complete:
            self._wait()

    def handle_websocket_upgrade(self) -> None:
        self._tick.cancel()
        super().handle_websocket_upgrade()

    def _wait(self) -> None:
        """For a request's head."""
        self._since: float | None = self._clock().time()
        self.door.waiting[self] = None

    def _has_come(self) -> None:
        self._since = None
        self.door.waiting.pop(self, None)


class _Socket(_Watched, WebSocketsSansIOProtocol):
    """uvicorn's WebSockets, with bounds of what waits to be worked on, and to be read."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._pings = 0
        if hasattr(transport, "max_size"):  # asyncio's, of what is read in one go; others wait meanwhile
            transport.max_size = READ_BYTES
        self.watch()

    def look(self, now: float) -> None:
        self._pings = 0

    def handle_ping(self) -> None:
        self._pings += 1
        if self._pings <= PINGS:
            super().handle_ping()
        else:  # what answers them waits for nobody to read it
            self.cut()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self.handshake_initiated:  # the whole head came, and is none
            self.transport.write(NO_HANDSHAKE)
            self.transport.close()

    def handle_cont(self, event: Any) -> None:
        if self.close_sent:
            return
        super().handle_cont(event)
        if len(self.frames) > MESSAGES:
            self._end(1008, "a message in too many pieces")

    def send_receive_event_to_app(self) -> None:
        if self.close_sent:
            self.frames = []
        elif self.queue.qsize() >= MESSAGES:
            self._end(1008, "too many small messages; send more samples in each")
        elif self.curr_msg_data_type == "text" and not _is_text(b"".join(self.frames)):
            self._end(1007, "text that is no UTF-8")
        else:
            super().send_receive_event_to_app()

    async def send(self, message: Any) -> None:
        await self.writable.wait()
        if self.close_sent and self.handshake_complete:  # by this side, while the application was at work
            raise ClientDisconnected
        await super().send(message)

    def handle_parser_exception(self) -> None:
        if self.conn.close_sent is None:  # a handshake that is none
            self.transport.abort()
        else:
            super().handle_parser_exception()

    def _end(self, code: int, reason: str) -> None:
        self.frames = []
        self.conn.send_close(code, reason)
        self.handle_parser_exception()


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def protocol_classes(door: ConnectionTable) -> tuple[type[_Http], type[_Socket]]:
    """The two protocols of a service, whose connections share a door."""
    shared: dict[str, Any] = {"door": door}
    return type("Http", (_Http,), shared), type("Socket", (_Socket,), shared)
