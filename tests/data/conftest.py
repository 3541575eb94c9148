"""Fixtures of the data tests."""

from collections.abc import Callable
from pathlib import Path

import pytest

Touch = Callable[..., Path]


@pytest.fixture
def touch(tmp_path: Path) -> Touch:
    """Function that makes empty files, by their paths below `tmp_path`, and returns `tmp_path`."""

    def make(*names: str) -> Path:
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        return tmp_path

    return make


@pytest.fixture
def csv(tmp_path: Path, touch: Touch) -> Callable[..., Path]:
    """Function that writes a table next to empty a.wav and b.wav, and returns its path."""
    touch("a.wav", "b.wav")

    def write(text: str | bytes, name: str = "clips.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write
