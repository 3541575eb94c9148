"""`unzip` writes complete files below its root, or nothing."""

import shutil
import stat
import types
import zipfile
from pathlib import Path

import pytest

from helpers.data_sets import file_names, zip_bytes
from scenelet.data.download import unzip as unzip_module
from scenelet.data.download.unzip import unzip
from scenelet.errors import DataError, OutputError


@pytest.mark.parametrize(
    "name", ["../out.txt", "/out.txt", "audio/../../out.txt", "..\\out.txt", "C:/out.txt", "c:out"]
)
def test_unzip_entry_outside_the_root_is_refused(tmp_path: Path, name: str) -> None:
    archive = tmp_path / "a.zip"
    archive.write_bytes(zip_bytes({"audio/good.wav": b"good", name: b"bad"}))
    with pytest.raises(DataError, match=r"a\.zip: its entry .* would lie outside"):
        unzip(archive, tmp_path / "root")
    assert file_names(tmp_path) == ["a.zip"]


def test_unzip_link_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    link = zipfile.ZipInfo("audio")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(link, "/etc")
        file.writestr("audio/passwd", "bad")
    with pytest.raises(DataError, match="is a link"):
        unzip(archive, tmp_path / "root")
    assert file_names(tmp_path) == ["a.zip"]


@pytest.mark.parametrize("where", ["in a file", "at the end"])
def test_unzip_damaged_archive_is_refused(tmp_path: Path, where: str) -> None:
    good = zip_bytes({"audio/a.wav": bytes(range(256)) * 40})
    damaged = good[:60] + bytes([good[60] ^ 1]) + good[61:] if where == "in a file" else good[:-30]
    (tmp_path / "a.zip").write_bytes(damaged)
    with pytest.raises(DataError, match=r"a\.zip: not a complete zip archive"):
        unzip(tmp_path / "a.zip", tmp_path / "root")
    assert file_names(tmp_path) == ["a.zip"]


@pytest.mark.parametrize(
    ("flags", "method", "words"),
    [
        (1, zipfile.ZIP_DEFLATED, "its entry 'a.wav' is encrypted"),
        (0, 9, "its entry 'a.wav' is compressed by method 9, which Python cannot read"),
        (1 << 5, zipfile.ZIP_DEFLATED, "not a complete zip archive"),
    ],
)
def test_unzip_feature_that_zipfile_lacks_is_refused(tmp_path: Path, flags: int, method: int, words: str) -> None:
    """Both headers of the entry state the flags and the method."""
    data = bytearray(zip_bytes({"a.wav": b"sound"}))
    for start, offset in ((0, 6), (data.index(b"PK\1\2"), 8)):
        data[start + offset : start + offset + 4] = (flags + (method << 16)).to_bytes(4, "little")
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(DataError, match=words):
        unzip(tmp_path / "a.zip", tmp_path / "root")
    assert file_names(tmp_path) == ["a.zip"]


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_unzip_damage_in_any_method_is_refused(tmp_path: Path, method: int) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", method) as file:
        file.writestr("a.wav", bytes(range(256)) * 40)
    data = bytearray((tmp_path / "a.zip").read_bytes())
    data[45:60] = bytes(15)
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(DataError, match="not a complete zip archive"):
        unzip(tmp_path / "a.zip", tmp_path / "root")
    assert file_names(tmp_path) == ["a.zip"]


def test_unzip_flushes_its_own_files_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.zip").write_bytes(zip_bytes({"audio/a.wav": b"a", "b.wav": b"b"}))
    flushed: list[str] = []
    monkeypatch.setattr("os.sync", lambda: flushed.append("every disk"))
    monkeypatch.setattr(unzip_module, "fsync_file", lambda path: flushed.append(path.name))
    unzip(tmp_path / "a.zip", tmp_path / "root")
    assert sorted(flushed) == ["a.wav", "b.wav"]


def test_unzip_larger_than_the_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.zip").write_bytes(zip_bytes({"a.wav": bytes(2000)}))
    disk = types.SimpleNamespace(free=1999)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: disk)
    with pytest.raises(OutputError, match="free"):
        unzip(tmp_path / "a.zip", tmp_path / "root")
    assert file_names(tmp_path) == ["a.zip"]
