"""Files that belong together: all new ones, or all former ones, whichever renaming fails."""

import os
from pathlib import Path

import pytest

from scenelet.errors import OutputError
from scenelet.utils.files import make_folder, replace_files


@pytest.mark.parametrize("fails", range(6))  # three former files are hidden, then three new ones get their names
def test_where_a_name_cannot_be_given_all_former_files_are_back(
    fails: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("a", "b", "last")
    for name in names:
        (tmp_path / name).write_text("former")
    calls, original = [], os.replace

    def replace(source: Path, to: Path) -> None:
        calls.append(to)
        if len(calls) == fails + 1:
            raise PermissionError(13, "Permission denied")
        original(source, to)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(OutputError, match="Permission denied"):
        replace_files({tmp_path / name: "new" for name in names})
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == dict.fromkeys(names, "former")


def test_the_last_is_away_while_the_others_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names, seen, original = ("a", "b", "last"), [], os.replace
    for name in (*names, "gone"):
        (tmp_path / name).write_text("former")

    def replace(source: Path, to: Path) -> None:
        original(source, to)
        seen.append((tmp_path / "last").exists())

    monkeypatch.setattr(os, "replace", replace)
    replace_files({tmp_path / name: "new" for name in names}, remove=[tmp_path / "gone"])
    assert seen == [False] * 6 + [True]
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == dict.fromkeys(names, "new")


def test_a_folder_that_cannot_be_written_is_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)  # as on a read-only disk, for root too
    with pytest.raises(OutputError, match="the folder cannot be written; choose another place"):
        make_folder(tmp_path)
