"""Clients that are silent, slow, deaf or too many: each is sent away, and others are served meanwhile."""

import asyncio
import json
import logging
import select
import socket
import time
from collections.abc import Iterator

import httpx
import pytest
from uvicorn.protocols.utils import ClientDisconnected
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from helpers.raw_http import form, frame, head, heard, link, upgrade
from scenelet.server import admission as gate
from scenelet.server import limits, run
from scenelet.server import protocols as connections
from scenelet.server.limits import ServerLimits

IMPATIENT = pytest.mark.parametrize("tiny_service", [ServerLimits(max_clients=1, client_timeout_seconds=0.2)], indirect=True)
FEW = pytest.mark.parametrize("tiny_service", [ServerLimits(max_clients=1)], indirect=True)
BODY = b'--b\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\nno sound\r\n--b--\r\n'


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections are looked at often, and there are few."""
    monkeypatch.setattr(connections, "TICK", 0.02)
    monkeypatch.setattr(run, "SPARE", 20)


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """What the service would write to stderr."""
    said: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(self.format(record))

    kept = Kept(logging.ERROR)
    loggers = [logging.getLogger(name) for name in run.LOGGING["loggers"]]
    for logger in loggers:
        logger.addHandler(kept)
    yield said
    for logger in loggers:
        logger.removeHandler(kept)


def lives(address: str) -> bool:
    answered = httpx.post(f"{address}/predict", files={"f": b"no sound"}, timeout=30)
    return answered.status_code == 422


@pytest.mark.parametrize("sent", [b"", b"GET /health HT", b"GET /health HTTP/1.1\r\nX: y\r\n"])
def test_a_head_that_does_not_come(tiny_service: str, monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.1)
    assert heard(link(tiny_service, sent)) == b""
    assert lives(tiny_service)


def test_a_body_after_the_answer_holds_no_connection(tiny_service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.3)
    endless = link(tiny_service, head(tiny_service, "PUT /health", "Transfer-Encoding: chunked"))
    assert b" 405 " in trickle(endless, b"1\r\nx\r\n")


@IMPATIENT
def test_a_body_that_does_not_come(tiny_service: str) -> None:
    answered = heard(link(tiny_service, form(tiny_service, BODY)[:-20]))
    assert b" 408 " in answered
    assert b"nothing, or too little, came for" in answered
    assert lives(tiny_service)


@FEW
def test_who_waits_for_a_place_gets_that_of_a_slow_client(tiny_service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "FULL_TIMEOUT_SECONDS", 0.0)
    slow = link(tiny_service, form(tiny_service, BODY)[:-20])
    while httpx.get(f"{tiny_service}/health").json()["under_way"] == 0:
        pass
    assert lives(tiny_service)
    assert b" 408 " in heard(slow)


@FEW
def test_too_many_connections_end_the_one_that_has_waited_longest(
    monkeypatch: pytest.MonkeyPatch, tiny_service: str
) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 1e9)
    links = [link(tiny_service) for _ in range(run.SPARE + 10)]
    try:
        assert httpx.get(f"{tiny_service}/health", timeout=30).status_code == 200
        assert heard(links[0]) == b""
    finally:
        for one in links:
            one.close()


def test_a_head_that_is_too_large_and_requests_that_are_too_many(tiny_service: str) -> None:
    assert b"too large" in heard(link(tiny_service, b"GET / HTTP/1.1\r\nX: " + bytes(100 * [120]) * 4000))
    assert heard(link(tiny_service, head(tiny_service, "GET /health") * 100)).startswith(b"HTTP/1.1 400 ")


@IMPATIENT
def test_a_client_that_does_not_read_is_cut_off(tiny_service: str) -> None:
    asked = (
        head(tiny_service, "GET /static-offline-docs/swagger-ui-bundle.js") * connections.PIPELINED
    )  # no buffer holds it
    deaf = link(tiny_service, asked, buffer=4096)
    cut = select.poll()
    cut.register(deaf, select.POLLHUP)
    assert cut.poll(30_000)
    deaf.close()
    assert lives(tiny_service)


def trickle(connection: socket.socket, data: bytes, reads: bool = True) -> bytes:
    """Send again and again until the service cuts the connection; gives what it said before."""
    said = connection.recv(1 << 16) if reads else b""
    try:
        while True:
            connection.sendall(data)
            time.sleep(0.01)
    except ConnectionError:
        return said
    finally:
        connection.close()


def joined(address: str, buffer: int | None = None) -> socket.socket:
    made = link(address, upgrade(address), buffer)
    assert b" 101 " in made.recv(200)  # what is sent before would be lost
    return made


@IMPATIENT
def test_a_silent_stream_is_told_and_closed(tiny_service: str) -> None:
    with connect(f"{tiny_service.replace('http', 'ws')}/stream?sample_rate=8000&hop=0.1") as client:
        client.recv()
        said = json.loads(client.recv())
        assert said["type"] == "error"
        assert said["message"].startswith("nothing, or too little, came for")
        with pytest.raises(ConnectionClosed, match="1008"):
            client.recv()
    assert lives(tiny_service)


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (frame(2, b"12") * 20_000, 1008),
        (frame(2, b"", last=False) + frame(0, b"", last=False) * 5000, 1008),
        (frame(1, b"\xff"), 1007),
        (frame(2, bytes(60_000)) + frame(3, b"x"), 1002),
    ],
)
def test_frames_that_mean_no_good(tiny_service: str, logged: list[str], sent: bytes, code: int) -> None:
    client = joined(tiny_service)
    client.sendall(sent)
    assert b"\x88" in (answered := heard(client))
    assert code.to_bytes(2, "big") in answered[answered.rindex(b"\x88") :]
    assert lives(tiny_service)
    assert logged == []


@pytest.mark.parametrize("tiny_service", [ServerLimits(client_timeout_seconds=1000)], indirect=True)
def test_pings_of_a_client_that_does_not_read(tiny_service: str) -> None:
    deaf, pings = joined(tiny_service, 4096), frame(9, bytes(100)) * 1000
    try:
        for _ in range(1000):
            deaf.sendall(pings)
        pytest.fail("100 MB of answers wait for who does not read them")
    except ConnectionError:
        deaf.close()


def test_who_sends_after_this_side_has_closed_is_told_that_the_client_has_gone() -> None:
    """uvicorn calls it a fault of the application, with a traceback, while the client has not read what came before."""
    closing = connections._Socket.__new__(connections._Socket)
    closing.writable = asyncio.Event()
    closing.writable.set()
    closing.close_sent = closing.handshake_complete = True
    closing.disconnected, closing.initial_response = False, None
    sending = closing.send({"type": "websocket.send", "text": ""})
    with pytest.raises(ClientDisconnected):
        sending.send(None)


def test_a_handshake_that_is_none_ends_its_connection(tiny_service: str, logged: list[str]) -> None:
    assert heard(link(tiny_service, upgrade(tiny_service, *["A: b"] * 300))).startswith(b"HTTP/1.1 400 ")
    assert logged == []


def test_what_is_logged_moves_no_cursor() -> None:
    record = logging.LogRecord("uvicorn.error", logging.ERROR, "", 0, "a\x1b[2J\r\u009bb\nc", None, None)
    assert run._Plain().format(record) == "a\\x1b[2J\\r\\x9bb\nc"


@pytest.mark.parametrize("tiny_service", [ServerLimits(max_body=1_000_000)], indirect=True)
def test_what_all_bodies_hold_together_is_bounded(tiny_service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_BODIES", 1)
    begun = form(tiny_service, BODY[:-17] + bytes(800_000))[:-1]
    first = link(tiny_service, begun)
    while httpx.get(f"{tiny_service}/health").json()["under_way"] == 0:
        pass
    second = heard(link(tiny_service, begun))
    first.close()
    assert b" 429 " in second
    assert b"retry-after: 1" in second
    assert b"too much is being sent to this service at once" in second
