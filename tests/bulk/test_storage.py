"""Folders on disk and in stores, and atomic writes."""

import contextlib
from pathlib import Path

import fsspec
import pytest

from scenelet.bulk.remote import Remote
from scenelet.bulk.storage import Folder
from scenelet.errors import OutputError, UsageError

MEMORY = Remote(("memory",))


@pytest.mark.parametrize("path", ["{}/new/folder", "file://{}/new/folder", "memory://storage"])
def test_folder_reads_what_it_writes(tmp_path: Path, path: str) -> None:
    folder = Folder(path.format(tmp_path), MEMORY)
    assert folder.names() == set()
    folder.write("a.txt", "text")
    folder.write("sub/b.bin", b"\0")
    assert (folder.read("a.txt"), folder.read("sub/b.bin")) == (b"text", b"\0")
    assert folder.exists("a.txt")
    assert folder.names("sub") == {"b.bin"}
    folder.remove("a.txt")
    assert not folder.exists("a.txt")
    with pytest.raises(OutputError, match=r"a\.txt: cannot be read"):
        folder.read("a.txt")


@pytest.mark.parametrize("path", ["{}", "memory://replace"])
def test_folder_failed_replace_keeps_former_file(tmp_path: Path, path: str) -> None:
    folder = Folder(path.format(tmp_path), MEMORY)
    folder.write("a.txt", "old")
    replacement = contextlib.ExitStack()
    replacement.enter_context(folder.replace("a.txt")).write_text("new")
    with pytest.raises(ZeroDivisionError), replacement:
        raise ZeroDivisionError
    assert folder.read("a.txt") == b"old"
    assert folder.names() == {"a.txt"}


def test_folder_remove_partial_keeps_other_files(tmp_path: Path) -> None:
    for name in (".a.0123abcd.part", ".hidden", "b.part"):
        (tmp_path / name).touch()
    Folder(str(tmp_path)).remove_partial()
    assert {path.name for path in tmp_path.iterdir()} == {".hidden", "b.part"}


def test_folder_store_error_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each store has its own errors, without a common base."""

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("first line\nsecond line")

    folder = Folder("memory://failing", MEMORY)
    monkeypatch.setattr(fsspec.get_filesystem_class("memory"), "put_file", fail)
    with pytest.raises(OutputError, match=r"^memory://failing/a: cannot be written \(first line\); choose another"):
        folder.write("a", b"")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("", "--out is empty; give a folder or URL"),
        ("gopher://a/b", "--out gopher://a/b: the protocol gopher is not allowed"),
        ("https://a/b", "an HTTP address cannot be written"),
        ("s3://a/b::reference://c", "chained URLs are not read"),
    ],
)
def test_folder_invalid_path_raises(path: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Folder(path)


def test_folder_home_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Folder("~/results").path == str(tmp_path / "results")


def test_folder_interrupted_upload_leaves_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    folder = Folder("memory://interrupted", MEMORY)
    with monkeypatch.context() as patch:
        patch.setattr(fsspec.get_filesystem_class("memory"), "put_file", interrupt)
        with pytest.raises(KeyboardInterrupt):
            folder.write("a", b"")
    assert folder.names() == set()
