"""Test `scenelet fetch`: the license is accepted on the terminal or by an option."""

import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from helpers.data_sets import NAME, publish, tau_zips
from helpers.loopback_server import Loopback, serve

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def server() -> Iterator[Loopback]:
    with serve() as running:
        yield running


def test_fetch_needs_the_license_accepted(
    command: Command, server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(server, monkeypatch, tau_zips())
    code, _, err = command("fetch", "tau2019", "--out", tmp_path / "out")
    assert code == 2
    error = err.splitlines()[-1]
    assert error.startswith("error: ")
    assert "--accept-license" in error
    assert (server.log, (tmp_path / "out").exists()) == ([], False)

    code, out, err = command("fetch", "tau2019", "--out", tmp_path / "out", "--accept-license")
    assert code == 0
    assert out == f"{tmp_path / 'out' / NAME}\n"
    assert err.splitlines()[-1] == f"next: scenelet check {tmp_path / 'out' / NAME}"
    assert command("fetch", "tau2018", "--out", tmp_path)[0] == 2


def test_fetch_with_stdin_closed_needs_the_option(
    command: Command, server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(server, monkeypatch, tau_zips())
    monkeypatch.setattr(sys, "stdin", None)
    code, _, err = command("fetch", "tau2019", "--out", tmp_path / "out")
    assert (code, err.splitlines()[-1][:43]) == (2, "error: there is no terminal for the questio")


@pytest.mark.parametrize(("answer", "code"), [("n\n", 2), ("y\n", 0)])
def test_fetch_asks_on_a_terminal(
    command: Command, server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, code: int
) -> None:
    publish(server, monkeypatch, tau_zips())
    terminal = io.StringIO(answer)
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stdin", terminal)
    assert command("fetch", "tau2019", "--out", tmp_path / "out")[0] == code
    assert bool(server.log) == (tmp_path / "out").exists() == (code == 0)


def test_fetch_without_requests_names_the_extra(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "requests", None)
    for name in ("fetch", "http", "session"):
        monkeypatch.delitem(sys.modules, f"scenelet.data.download.{name}", raising=False)
    code, _, err = command("fetch", "esc10", "--out", tmp_path, "--accept-license")
    assert code == 1
    assert 'pip install "scenelet[fetch]"' in err
