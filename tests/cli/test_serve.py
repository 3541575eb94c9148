"""`scenelet serve` on the command line: invalid options."""

import socket
from pathlib import Path

import pytest

from scenelet.cli import main
from scenelet.cli.serve import read_token
from scenelet.errors import UsageError

TOKEN = "correct-horse-battery"


@pytest.fixture(autouse=True)
def does_not_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a service that starts by mistake end at once."""
    monkeypatch.setattr("scenelet.server.run.serve", lambda *_: None)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["--host", "no.such.host.invalid"], "no.such.host.invalid:8000: cannot listen there"),
        (
            ["--port", "0", "--allow-host", "example.org:8443"],
            "--allow-host example.org:8443: not a host name; give the name only",
        ),
        (["--max-body", "large"], "--max-body large: write it as a number of bytes, kB or MB, e.g. 500kB\n"),
        (["--max-body", "3"], "--max-body 3: give a size from 10 kB (a short recording) to 4000 MB"),
        (["--max-body", "5000MB"], "--max-body 5000MB: give a size from 10 kB"),
        (["--max-duration", "nan"], "invalid value for '--max-duration'"),
        (["--client-timeout", "nan"], "invalid value for '--client-timeout'"),
        (["--max-duration", "inf"], "invalid value for '--max-duration'"),
        (["--max-clients", "0"], "invalid value for '--max-clients'"),
        (["--port", "0", "--token", ""], "the value of --token is empty"),
    ],
)
def test_serve_invalid_option_exits_with_error(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, options: list[str], error: str
) -> None:
    monkeypatch.setattr("sys.argv", ["scenelet", "serve", "esc10", *options])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert f"error: {error}" in capfd.readouterr().err


def test_serve_port_in_use_exits_with_error(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr("sys.argv", ["scenelet", "serve", "esc10", "--port", str(port)])
        with pytest.raises(SystemExit) as ended:
            main()
    assert ended.value.code == 2
    error = f"error: port {port} of 127.0.0.1 is in use; choose another one with --port, 0 takes any free one\n"
    assert error in capfd.readouterr().err


def test_read_token_from_text_or_file(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    assert (read_token(None), read_token(TOKEN), read_token(f"@{path}")) == (None, TOKEN, TOKEN)
    with pytest.raises(UsageError, match="none: cannot be read \\(No such file"):
        read_token(f"@{tmp_path / 'none'}")


@pytest.mark.parametrize("value", ["", " ", "too short"])
def test_serve_empty_token_variable_exits_with_error(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    """`SCENELET_TOKEN=$(cat token)` is empty if `cat` fails; the service must not start without a token."""
    monkeypatch.setenv("SCENELET_TOKEN", value)
    monkeypatch.setattr("sys.argv", ["scenelet", "serve", "esc10", "--port", "0"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "is empty" in capfd.readouterr().err
