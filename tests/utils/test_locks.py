"""Lock files: exclusive, released at the end of the block, and with an error that names the folder."""

from pathlib import Path

import pytest

from scenelet.errors import BusyError, OutputError
from scenelet.utils.locks import file_lock


def test_file_lock_is_exclusive_and_then_released(tmp_path: Path) -> None:
    lock = tmp_path / "new folder" / "lock"
    with file_lock(lock), pytest.raises(BusyError, match="another one"), file_lock(lock, "another one"):
        pass
    with file_lock(lock, "another one"):
        assert lock.exists()


def test_file_lock_below_a_file_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file: the folder cannot be made"), file_lock(tmp_path / "file" / "lock"):
        pass
