"""Atomic writes, which leave all new files or all earlier ones and follow no link, and the folder search."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from scenelet.errors import OutputError
from scenelet.utils.files import make_folder, partial_path, replace_file, replace_files, walk_files, write_new_file


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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the other processes are forked")
def test_replace_files_by_several_processes_never_fails_or_mixes(tmp_path: Path) -> None:
    """As two `reproduce` with one folder, whose tables are rewritten after each trial."""
    names, children = ("a", "b", "index"), []
    for which in range(3):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                for turn in range(40):
                    replace_files({tmp_path / name: f"{which} {turn}" for name in names}, remove=[tmp_path / "c"])
                code = 0
            finally:
                os._exit(code)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    assert {path.name for path in tmp_path.iterdir()} == set(names)
    assert len({(tmp_path / name).read_text() for name in names}) == 1


def test_replace_file_does_not_write_through_planted_links(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    for name in (f".m.scn.{os.getpid()}.part", f".m.scn.{os.getpid()}.former.part"):
        (tmp_path / name).symlink_to(victim)
    replace_file(tmp_path / "m.scn", "new")
    (tmp_path / "planted").symlink_to(victim)
    (tmp_path / "dangling").symlink_to(tmp_path / "absent")
    for name in ("planted", "dangling", "victim"):
        with pytest.raises(FileExistsError):
            write_new_file(tmp_path / name, "new")
    assert victim.read_text() == "mine"
    assert not (tmp_path / "absent").exists()


def test_partial_path_is_new_each_time_and_deletes_stale_links_only(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").touch()
    stale = tmp_path / ".m.scn.1.part"
    stale.symlink_to(tmp_path / "folder")
    os.utime(stale, (1, 1), follow_symlinks=False)
    assert len({partial_path(tmp_path / "m.scn") for _ in range(10)}) == 10
    assert not stale.is_symlink()
    assert (tmp_path / "folder" / "file").exists()


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


def test_replace_file_writes_the_parts_of_an_iterator(tmp_path: Path) -> None:
    replace_file(tmp_path / "file", (bytes([number]) for number in range(3)))
    assert (tmp_path / "file").read_bytes() == b"\0\1\2"


def test_replace_file_failing_iterator_leaves_the_file(tmp_path: Path) -> None:
    def parts() -> Iterator[bytes]:
        yield b"new"
        raise OSError(5, "Input/output error")

    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(OutputError, match="Input/output error"):
        replace_file(tmp_path / "file", parts())
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]
