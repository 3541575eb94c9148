"""`scenelet serve` as a process: it says where it is, answers, and ends when told to."""

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from helpers.tiny_model import tiny_model
from scenelet.cli import main
from scenelet.model import file as modelfile

RUN = "from scenelet.cli import main; main()"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send")
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_told_to_end(tmp_path: Path, end: signal.Signals) -> None:
    modelfile.write_model(tiny_model(), tmp_path / "street.scn")
    command = [sys.executable, "-c", RUN, "serve", str(tmp_path / "street.scn"), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = process.stderr.readline()
        address = re.search(r"http://127\.0\.0\.1:\d+", said)
        assert address is not None
        with httpx.Client(transport=httpx.HTTPTransport(retries=5)) as client:
            assert client.get(f"{address[0]}/health").json()["model"] == "street"
            break_off(address[0])
            while client.get(f"{address[0]}/health").json()["under_way"]:
                pass
        process.send_signal(end)
        _, rest = process.communicate(timeout=60)
    assert process.returncode in (0, -end)
    assert rest == ""


def break_off(address: str) -> None:
    """A client that goes away in the middle of its request."""
    host = urlsplit(address)
    kind = "Content-Type: multipart/form-data; boundary=b"
    head = f"POST /predict HTTP/1.1\r\nHost: {host.netloc}\r\n{kind}\r\nContent-Length: 99\r\n\r\n"
    with socket.create_connection((host.hostname, host.port)) as client:
        client.sendall(head.encode() + b"--b\r\n")


def test_what_cannot_be_served(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    ask = serve_command(monkeypatch, capfd)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, err = ask("--port", port)
    assert code == 2
    assert f"127.0.0.1:{port}: cannot be served on (Address already in use); choose another" in err
    assert ask("--host", "no.such.host.invalid")[0] == 2
    code, err = ask("--allow-host", "example.org:8443")
    assert code == 2
    assert err.startswith("error: --allow-host example.org:8443: nobody can ask for it by that; give a name alone")
    assert ask("--max-body", "large") == (
        2,
        "error: --max-body large: write it as a number of bytes, kB or MB, e.g. 500kB\n",
    )


def serve_command(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    def ask(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["scenelet", "serve", "esc10", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), capfd.readouterr().err

    return ask
