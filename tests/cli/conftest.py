"""A model file for the commands, and a way to run them."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from helpers.tiny_model import tiny_model
from scenelet.cli import main
from scenelet.model.file import write_model


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run the command line with these arguments; gives the exit code, stdout and stderr."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["scenelet", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            main()
        out, err = capfd.readouterr()
        assert "Traceback" not in out + err
        return int(caught.value.code or 0), out, err

    return call


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.scn"
    write_model(tiny_model(), path)
    return path
