"""The service as a process, its address, and its log."""

import logging
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from helpers.processes import start_scenelet
from helpers.raw_http import open_connection, request_header
from helpers.tiny_model import tiny_model
from helpers.web_service import active_requests
from scenelet.errors import UsageError
from scenelet.model.file import write_model
from scenelet.server.run import EscapingFormatter, bind


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send")
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_serve_runs_until_signal(tmp_path: Path, stop: signal.Signals) -> None:
    write_model(tiny_model(), tmp_path / "street.scn")
    command = "serve", str(tmp_path / "street.scn"), "--port", "0"
    with start_scenelet(*command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        address = re.search(r"http://127\.0\.0\.1:\d+", process.stderr.readline())
        assert address is not None
        with httpx.Client(transport=httpx.HTTPTransport(retries=5)) as client:
            assert client.get(f"{address[0]}/health").json()["model"] == "street"
        disconnect_during_upload(address[0])
        while active_requests(address[0]):
            pass
        process.send_signal(stop)
        _, rest = process.communicate(timeout=60)
    assert process.returncode in (0, -stop)
    assert rest == ""


def disconnect_during_upload(address: str) -> None:
    fields = "Content-Type: multipart/form-data; boundary=b", "Content-Length: 99"
    open_connection(address, request_header(address, "POST /predict", *fields) + b"--b\r\n").close()


def test_bind_unavailable_address_raises() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=rf"port {port} of 127\.0\.0\.1 is in use; choose another one with --port"):
            bind("127.0.0.1", port)
    with pytest.raises(UsageError, match="choose another --host or --port"):
        bind("no.such.host.invalid", 8000)


@pytest.mark.parametrize("order", [1, -1])
def test_bind_name_listens_on_all_addresses(monkeypatch: pytest.MonkeyPatch, order: int) -> None:
    """Some systems list the IPv6 address of `localhost` first, and clients may try the IPv4 address only."""
    addresses = [(socket.AF_INET, ("127.0.0.1", 0)), (socket.AF_INET6, ("::1", 0, 0, 0))] * 2
    found = [(family, socket.SOCK_STREAM, 6, "", address) for family, address in addresses[::order]]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    sockets = bind("localhost", 0)
    monkeypatch.undo()
    try:
        assert {listening.getsockname()[0] for listening in sockets} == {"127.0.0.1", "::1"}
        assert len({listening.getsockname()[1] for listening in sockets}) == 1
        for listening in sockets:
            socket.create_connection(listening.getsockname()[:2]).close()
    finally:
        for listening in sockets:
            listening.close()


def test_bind_skips_addresses_that_do_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without IPv6 may list ::1 in its table of hosts."""
    stream = socket.AF_INET, socket.SOCK_STREAM, 6, ""
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda *_, **__: [(*stream, ("192.0.2.1", 0)), (*stream, ("127.0.0.1", 0))]
    )
    (listening,) = bind("localhost", 0)
    listening.close()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(*stream, ("192.0.2.1", 0))])
    with pytest.raises(UsageError, match="localhost:8000: cannot listen there"):
        bind("localhost", 8000)


def test_escaping_formatter_escapes_control_characters() -> None:
    record = logging.LogRecord("uvicorn.error", logging.ERROR, "", 0, "a\x1b[2J\r\u009bb\nc", None, None)
    assert EscapingFormatter().format(record) == "a\\x1b[2J\\r\\x9bb\nc"
