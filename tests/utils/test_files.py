"""Atomic writes, which leave all new files or all earlier ones, and the folder search."""

import os
from pathlib import Path

import pytest

from scenelet.errors import OutputError
from scenelet.utils.files import make_folder, replace_file, replace_files, walk_files


@pytest.mark.parametrize("failing", range(6))  # three earlier files are hidden, then three new ones are renamed
def test_replace_files_restores_all_when_a_rename_fails(
    failing: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("a", "b", "index")
    for name in names:
        (tmp_path / name).write_text("earlier")
    targets, original = [], os.replace

    def replace(source: Path, target: Path) -> None:
        targets.append(target)
        if len(targets) == failing + 1:
            raise PermissionError(13, "Permission denied")
        original(source, target)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(OutputError, match="Permission denied"):
        replace_files({tmp_path / name: "new" for name in names})
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == dict.fromkeys(names, "earlier")


def test_replace_files_hides_the_index_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names, index_exists, original = ("a", "b", "index"), [], os.replace
    for name in (*names, "removed"):
        (tmp_path / name).write_text("earlier")

    def replace(source: Path, target: Path) -> None:
        original(source, target)
        index_exists.append((tmp_path / "index").exists())

    monkeypatch.setattr(os, "replace", replace)
    replace_files({tmp_path / name: "new" for name in names}, remove=[tmp_path / "removed"])
    assert index_exists == [False] * 6 + [True]
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == dict.fromkeys(names, "new")


def test_replace_file_refuses_a_folder(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="is a folder; give the name of the file to write"):
        replace_file(tmp_path, "text")


def test_make_folder_refuses_a_read_only_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)  # root may write everywhere
    with pytest.raises(OutputError, match="the folder cannot be written; choose another path"):
        make_folder(tmp_path)


class TestWalkFiles:
    def _walk(self, folder: Path, *extensions: str) -> tuple[list[str], list[str]]:
        """Names that are found, and those that are skipped with their reasons."""
        skipped: list[str] = []
        found = walk_files(
            folder, extensions, lambda path, reason: skipped.append(f"{path.relative_to(folder)}: {reason}")
        )
        return [path.relative_to(folder).as_posix() for path in found], skipped

    def _touch(self, folder: Path, *names: str) -> None:
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).touch()

    def test_lists_files_with_the_extensions_sorted(self, tmp_path: Path) -> None:
        self._touch(tmp_path, "b/2.wav", "b/10.WAV", "a.wav", "notes.txt", "c.flac", "folder.wav/inner.wav")
        assert self._walk(tmp_path, ".wav") == (["a.wav", "b/10.WAV", "b/2.wav", "folder.wav/inner.wav"], [])
        assert len(self._walk(tmp_path)[0]) == 6

    def test_skips_hidden_names_and_environments(self, tmp_path: Path) -> None:
        self._touch(tmp_path, "a.wav", ".b.wav", ".git/c.wav", "venv/pyvenv.cfg", "venv/lib/d.wav")
        assert self._walk(tmp_path, ".wav") == (["a.wav"], [])

    def test_follows_links_to_folders_and_files(self, tmp_path: Path) -> None:
        self._touch(tmp_path, "root/a.wav", "elsewhere/b.wav", "c.wav")
        (tmp_path / "root" / "link").symlink_to(tmp_path / "elsewhere")
        (tmp_path / "root" / "d.wav").symlink_to(tmp_path / "c.wav")
        assert self._walk(tmp_path / "root", ".wav") == (["a.wav", "d.wav", "link/b.wav"], [])

    def test_ends_in_a_cycle_and_reports_the_link(self, tmp_path: Path) -> None:
        self._touch(tmp_path, "a/b/c.wav")
        (tmp_path / "a" / "b" / "up").symlink_to(tmp_path)
        assert self._walk(tmp_path, ".wav") == (
            ["a/b/c.wav"],
            ["a/b/up: a link to a folder that is searched already"],
        )

    def test_searches_a_folder_once_by_its_real_name(self, tmp_path: Path) -> None:
        self._touch(tmp_path, "root/real/deep/a.wav", "elsewhere/b.wav")
        for name, target in {"1st": "root/real/deep", "2nd": "elsewhere", "3rd": "elsewhere"}.items():
            (tmp_path / "root" / name).symlink_to(tmp_path / target)
        assert self._walk(tmp_path / "root", ".wav") == (
            ["2nd/b.wav", "real/deep/a.wav"],
            ["1st: a link to a folder that is searched already", "3rd: a link to a folder that is searched already"],
        )

    def test_reports_entries_that_are_no_files(self, tmp_path: Path) -> None:
        (tmp_path / "loop.wav").symlink_to(tmp_path / "loop.wav")
        (tmp_path / "dangling.wav").symlink_to(tmp_path / "absent")
        (tmp_path / "dangling.txt").symlink_to(tmp_path / "absent")
        skipped = ["dangling.wav: a link that leads to no file", "loop.wav: a link that leads to no file"]
        if hasattr(os, "mkfifo"):
            os.mkfifo(tmp_path / "pipe.wav")
            skipped.append("pipe.wav: not a file")
        assert self._walk(tmp_path, ".wav") == ([], skipped)

    def test_reports_a_folder_that_cannot_be_read(self, tmp_path: Path) -> None:
        assert self._walk(tmp_path / "absent") == ([], [".: cannot be read (No such file or directory)"])
        errors: list[OSError] = []
        assert walk_files(tmp_path / "absent", on_error=errors.append) == []
        assert [type(error) for error in errors] == [FileNotFoundError]
