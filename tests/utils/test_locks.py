"""Lock files: exclusive, released at the end of the block, and with an error that names the folder."""

import threading
from pathlib import Path

import pytest

from scenelet.errors import BusyError, OutputError
from scenelet.utils import locks
from scenelet.utils.locks import file_lock


def test_file_lock_is_exclusive_and_then_released(tmp_path: Path) -> None:
    lock = tmp_path / "new folder" / "lock"
    with file_lock(lock), pytest.raises(BusyError, match="another one"), file_lock(lock, "another one"):
        pass
    with file_lock(lock, "another one"):
        assert lock.exists()


def test_file_lock_below_a_file_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file: cannot be written"), file_lock(tmp_path / "file" / "lock"):
        pass


def test_file_lock_does_not_follow_a_planted_link(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "victim")
    with pytest.raises(OutputError, match="cannot be written"), file_lock(tmp_path / "lock"):
        pass
    assert not (tmp_path / "victim").exists()


def test_file_lock_says_that_it_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock, lines, said = tmp_path / "lock", list[str](), threading.Event()

    def print_message(line: str) -> None:
        lines.append(line)
        said.set()

    monkeypatch.setattr(locks, "QUIET_SECONDS", 0.01)
    monkeypatch.setattr(locks, "print_message", print_message)

    def wait() -> None:
        with file_lock(lock):
            pass

    thread = threading.Thread(target=wait)
    with file_lock(lock):
        thread.start()
        assert said.wait(60)
    thread.join(60)
    assert not thread.is_alive()
    assert lines == [f"{lock}: another process is at work there; this one waits until it has finished"]
