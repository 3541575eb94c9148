"""Clients that are idle, slow, do not read, or are too many: each is disconnected, and others are still served."""

import asyncio
import json
import logging
import select
import socket
import time
from collections.abc import Iterator

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from helpers.raw_http import (
    exchange,
    open_connection,
    read_all,
    request_header,
    upgrade_request,
    upload_request,
    websocket_frame,
)
from helpers.web_service import active_requests, run_async, websocket_url
from scenelet.server.connections import ConnectionTable, TimedConnection
from scenelet.server.limits import ServerLimits
from scenelet.server.run import LOGGER_NAMES

SEND_SECONDS = 0.01
BODY = b'--b\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\nno sound\r\n--b--\r\n'


def with_limits(**limits: float) -> pytest.MarkDecorator:
    """Give the test a service with these limits."""
    limits = {"spare_connections": 20, **limits}
    return pytest.mark.parametrize("tiny_service", [ServerLimits(**limits)], indirect=True)  # type: ignore[arg-type]


@pytest.fixture
def errors() -> Iterator[list[str]]:
    """Messages that the service writes to stderr."""
    messages: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            messages.append(self.format(record))

    collector = Collector(logging.ERROR)
    loggers = [logging.getLogger(name) for name in LOGGER_NAMES]
    for logger in loggers:
        logger.addHandler(collector)
    yield messages
    for logger in loggers:
        logger.removeHandler(collector)


def is_serving(address: str) -> bool:
    response = httpx.post(f"{address}/predict", files={"f": b"no sound"}, timeout=30)
    return response.status_code == 422


@with_limits(header_timeout_seconds=0.1)
@pytest.mark.parametrize("sent", [b"", b"GET /health HT", b"GET /health HTTP/1.1\r\nX: y\r\n"])
def test_http_incomplete_header_is_disconnected(tiny_service: str, sent: bytes) -> None:
    assert exchange(tiny_service, sent) == b""
    assert is_serving(tiny_service)


@with_limits(header_timeout_seconds=0.3)
def test_http_body_after_response_is_disconnected(tiny_service: str) -> None:
    endless = open_connection(tiny_service, request_header(tiny_service, "PUT /health", "Transfer-Encoding: chunked"))
    assert b" 405 " in send_until_disconnected(endless, b"1\r\nx\r\n")


@with_limits(max_clients=1, client_timeout_seconds=0.2)
def test_http_incomplete_body_times_out(tiny_service: str) -> None:
    response = exchange(tiny_service, upload_request(tiny_service, BODY)[:-20])
    assert b" 408 " in response
    assert b"received too little data in" in response
    assert is_serving(tiny_service)


@with_limits(max_clients=1, full_timeout_seconds=0.0)
def test_http_slow_client_makes_room_when_full(tiny_service: str) -> None:
    slow = open_connection(tiny_service, upload_request(tiny_service, BODY)[:-20])
    while active_requests(tiny_service) == 0:
        pass
    assert is_serving(tiny_service)
    assert b" 408 " in read_all(slow)


@with_limits(max_clients=1, header_timeout_seconds=1e9)
def test_http_too_many_connections_close_the_oldest(tiny_service: str) -> None:
    connections = [open_connection(tiny_service) for _ in range(30)]  # 1 + 20 are allowed
    try:
        assert httpx.get(f"{tiny_service}/health", timeout=30).status_code == 200
        assert read_all(connections[0]) == b""
    finally:
        for connection in connections:
            connection.close()


@with_limits()
def test_http_endless_header_is_refused(tiny_service: str) -> None:
    assert exchange(tiny_service, b"GET / HTTP/1.1\r\nX: " + b"x" * 400_000).startswith(b"HTTP/1.1 400 ")


@with_limits()
def test_http_pipelined_requests_are_answered_in_turn(tiny_service: str) -> None:
    requests = request_header(tiny_service, "GET /health") * 300
    last = request_header(tiny_service, "GET /health", "Connection: close")
    assert exchange(tiny_service, requests + last).count(b"HTTP/1.1 200 ") == 301


class StoppedTransport(asyncio.Transport):
    """Transport of a connection on which nothing happens."""

    is_aborted = False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def abort(self) -> None:
        self.is_aborted = True


class SilentProtocol(asyncio.Protocol):
    def __init__(self, app_state: dict[str, object]) -> None:
        pass


@pytest.mark.parametrize("has_request", [True, False])
def test_connection_timeout_with_request_in_same_turn(has_request: bool) -> None:
    """A busy event loop may receive a header only when its time is over; the client has done nothing wrong."""

    async def wait() -> bool:
        table = ConnectionTable(10, ServerLimits(header_timeout_seconds=0.0))
        connection, transport = TimedConnection(table, SilentProtocol, 1000, app_state={}), StoppedTransport()
        connection.connection_made(transport)
        loop = asyncio.get_running_loop()
        if has_request:  # uvicorn starts a task for it, which runs in the next turn of the loop
            loop.call_soon(lambda: loop.call_soon(connection.request_started))
        for _ in range(10):
            await asyncio.sleep(0)
        return transport.is_aborted

    assert run_async(wait()) is not has_request


@with_limits(max_clients=1, client_timeout_seconds=0.2)
def test_http_client_that_does_not_read_is_disconnected(tiny_service: str) -> None:
    script = request_header(tiny_service, "GET /static-offline-docs/swagger-ui-bundle.js")
    blocked = open_connection(tiny_service, script * 8, buffer=4096)  # no buffer holds as much
    hangup = select.poll()
    hangup.register(blocked, select.POLLHUP)
    assert hangup.poll(30_000)
    blocked.close()
    assert is_serving(tiny_service)


def send_until_disconnected(connection: socket.socket, data: bytes) -> bytes:
    """Send again and again until the service disconnects; return its response."""
    response = connection.recv(1 << 16)
    try:
        while True:
            connection.sendall(data)
            time.sleep(SEND_SECONDS)
    except ConnectionError:
        return response
    finally:
        connection.close()


def open_websocket(address: str, buffer: int | None = None) -> socket.socket:
    connection = open_connection(address, upgrade_request(address), buffer)
    assert b" 101 " in connection.recv(200)  # the service drops frames that arrive earlier
    return connection


@with_limits(max_clients=1, client_timeout_seconds=0.2)
def test_stream_silent_client_gets_error_and_is_closed(tiny_service: str) -> None:
    with connect(websocket_url(tiny_service, "stream?sample_rate=8000&hop=0.1")) as client:
        client.recv()
        message = json.loads(client.recv())
        assert message["type"] == "error"
        assert message["message"].startswith("received too little data in")
        with pytest.raises(ConnectionClosed, match="1008"):
            client.recv()
    assert is_serving(tiny_service)


@with_limits()
@pytest.mark.parametrize(
    "sent",
    [
        websocket_frame(2, b"12") * 20_000,
        websocket_frame(2, b"", is_last=False) + websocket_frame(0, b"", is_last=False) * 5000,
        websocket_frame(1, b"\xff"),
        websocket_frame(2, bytes(60_000)) + websocket_frame(3, b"x"),
        websocket_frame(2, bytes(60_000), is_last=False) + websocket_frame(0, bytes(60_000), is_last=False) * 20,
    ],
    ids=["tiny", "fragments", "not UTF-8", "unknown kind", "too long"],
)
def test_websocket_malicious_frames_are_closed(tiny_service: str, errors: list[str], sent: bytes) -> None:
    client = open_websocket(tiny_service)
    client.sendall(sent)
    read_all(client)
    assert is_serving(tiny_service)
    assert errors == []


@with_limits()
def test_websocket_malicious_frames_reason_is_sent(tiny_service: str) -> None:
    for sent, code in ((websocket_frame(2, b"12") * 20_000, 1008), (websocket_frame(2, bytes(60_000)) * 2, 1000)):
        client = open_websocket(tiny_service)
        client.sendall(sent + websocket_frame(1, b"end"))
        response = read_all(client)
        assert code.to_bytes(2, "big") in response[response.rindex(b"\x88") :]


@with_limits()
def test_websocket_queued_messages_of_lost_client_are_dropped(tiny_service: str) -> None:
    """Thousands of messages may wait in the service when their client leaves."""
    client = open_websocket(tiny_service)
    client.sendall(websocket_frame(2, b"12") * 20_000)
    client.close()
    for _ in range(100):
        if not active_requests(tiny_service):
            return
        time.sleep(0.05)
    pytest.fail("the service still works for a client that has left")


@with_limits(client_timeout_seconds=1000)
def test_websocket_pings_without_reading_are_disconnected(tiny_service: str) -> None:
    blocked, pings = open_websocket(tiny_service, 4096), websocket_frame(9, bytes(100)) * 1000
    try:
        for _ in range(1000):
            blocked.sendall(pings)
        pytest.fail("100 MB of answers wait for a client that does not read them")
    except ConnectionError:
        blocked.close()


@with_limits()
def test_websocket_invalid_handshake_is_refused(tiny_service: str, errors: list[str]) -> None:
    request = upgrade_request(tiny_service).replace(b"Version: 13", b"Version: 12")
    assert exchange(tiny_service, request).startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 426 "))
    assert errors == []


@with_limits(max_body_bytes=1_000_000, max_concurrent_bodies=1)
def test_http_bodies_are_limited_together(tiny_service: str) -> None:
    incomplete = upload_request(tiny_service, BODY[:-17] + bytes(800_000))[:-1]
    first = open_connection(tiny_service, incomplete)
    while active_requests(tiny_service) == 0:
        pass
    second = exchange(tiny_service, incomplete)
    first.close()
    assert b" 429 " in second
    assert b"retry-after: 1" in second
    assert b"the service is receiving too much data from all clients together" in second
