"""Sessions: `Retry-After`, redirects and addresses, with servers on this machine and invented names."""

import socket
from typing import Any

import pytest

from helpers.loopback_server import Answer, Loopback
from scenelet.data.download.session import (
    MAX_REDIRECTS,
    MAX_RETRY_AFTER_SECONDS,
    AnswerError,
    TransferError,
    Web,
)


def get(url: str, same_host: bool = False) -> bytes:
    with Web() as web, web.open(url, same_host=same_host) as response:
        return response.content


def resolve(monkeypatch: pytest.MonkeyPatch, names: dict[str, str], opened: str = "127.0.0.1") -> None:
    """Let names resolve to addresses, and every connection lead to `opened`."""

    def getaddrinfo(host: str, port: int, *_: Any, **__: Any) -> list[tuple[Any, ...]]:
        address = names.get(host, host)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [(family, socket.SOCK_STREAM, 6, "", (address, port))]

    connect = socket.socket.connect
    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(socket.socket, "connect", lambda own, address: connect(own, (opened, *address[1:2])))


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    seconds: list[float] = []
    monkeypatch.setattr("time.sleep", seconds.append)
    return seconds


def test_open_waits_as_the_server_asks(server: Loopback, slept: list[float], capsys: pytest.CaptureFixture) -> None:
    server.files["a"] = b"sound"
    server.answers["a"] = [Answer(status=429, retry_after="60"), Answer(status=503, retry_after="Friday")]
    assert get(f"{server.url}/a") == b"sound"
    assert [seconds for seconds in slept if seconds] == [60]
    assert "The server answered 429 and asks to wait 60 s" in capsys.readouterr().err


def test_open_long_retry_after_is_refused(server: Loopback, slept: list[float]) -> None:
    server.always["a"] = Answer(status=429, retry_after=str(MAX_RETRY_AFTER_SECONDS + 1))
    with pytest.raises(TransferError, match="answered 429 and asks to wait 301 s"):
        get(f"{server.url}/a")
    assert (len(server.log), slept) == (1, [])


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.2:{port}/b",
        "http://localhost:{port}/b",
        "http://[::ffff:127.0.0.1]:{port}/b",
        "http://169.254.169.254/latest",
        "http://10.0.0.1/b",
        "http://[fd00::1]/b",
        "http://2130706433/b",
        "//0.0.0.0:{port}/b",
        "http://127.0.0.1:{port}\\@sounds.example/b",
        "http://sounds.example@127.0.0.1:{port}/b",
    ],
)
def test_open_redirect_to_inner_host_is_refused(
    server: Loopback, monkeypatch: pytest.MonkeyPatch, location: str
) -> None:
    """The row names a public host, which is this server."""
    port = int(server.url.rpartition(":")[2])
    names = {"sounds.example": "93.184.215.14", "localhost": "127.0.0.1", "2130706433": "127.0.0.1"}
    server.files["b"] = b"secret"
    server.always["a"] = Answer(location=location.format(port=port))
    resolve(monkeypatch, names)
    with pytest.raises(AnswerError, match=r"redirects to .*, an address of a private network"):
        get(f"http://sounds.example:{port}/a")
    assert [path for path, _ in server.log] == ["a"]


def test_open_name_that_changes_its_address_is_refused(server: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check of the name passes, but the connection leads to this machine."""
    port = int(server.url.rpartition(":")[2])
    server.files["b"] = b"secret"
    server.always["a"] = Answer(location=f"http://rebound.example:{port}/b")
    resolve(monkeypatch, {"sounds.example": "93.184.215.14", "rebound.example": "93.184.215.15"})
    with pytest.raises(AnswerError, match=r"redirects to 127\.0\.0\.1, an address of a private network"):
        get(f"http://sounds.example:{port}/a")
    assert [path for path, _ in server.log] == ["a"]


@pytest.mark.parametrize("address", ["169.254.169.254", "fe80::1", "::ffff:169.254.169.254"])
def test_open_link_local_address_is_refused(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    resolve(monkeypatch, {"metadata.example": address})
    for host in ("metadata.example", f"[{address}]" if ":" in address else address):
        with pytest.raises(AnswerError, match="is a link-local address"):
            get(f"http://{host}/latest")


def test_open_redirect_on_the_same_host_is_followed(server: Loopback) -> None:
    server.files["b"] = b"sound"
    server.always["a"] = Answer(location="/b")
    assert get(f"{server.url}/a", same_host=True) == b"sound"


def test_open_redirect_to_another_host_can_be_refused(server: Loopback) -> None:
    server.always["a"] = Answer(location="http://93.184.215.14/b")
    with pytest.raises(AnswerError, match=r"redirects to another host, 93\.184\.215\.14"):
        get(f"{server.url}/a", same_host=True)


@pytest.mark.parametrize("location", ["file:///etc/passwd", "data:,a", "http://[/", "ftp://127.0.0.1/a"])
def test_open_redirect_to_no_http_address_is_refused(server: Loopback, location: str) -> None:
    server.always["a"] = Answer(location=location)
    with pytest.raises(AnswerError, match=r"redirects to|not a valid address"):
        get(f"{server.url}/a")


def test_open_endless_redirects_are_refused(server: Loopback) -> None:
    server.always["a"] = Answer(location="/a")
    with pytest.raises(AnswerError, match="redirects more than 5 times"):
        get(f"{server.url}/a")
    assert len(server.log) == MAX_REDIRECTS + 1


@pytest.mark.parametrize("url", ["http://[bad/", "http://h:99999/", "http:///a", f"http://{'a' * 70}.b/"])
def test_open_invalid_address_raises(url: str) -> None:
    with pytest.raises(AnswerError, match="not a valid address"):
        get(url)


def test_open_unknown_host_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(TransferError, match="the host's name is unknown"):
        get("http://none.example/a")
