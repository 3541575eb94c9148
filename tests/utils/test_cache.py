"""The cache folder: where it is, who can write it, its size, and what is deleted."""

import functools
import os
import stat
import tempfile
import time
from pathlib import Path

import platformdirs
import pytest

from scenelet.errors import OutputError
from scenelet.utils import cache
from scenelet.utils.cache import cache_folder, cache_sizes, clear_cache, exposed, limit_features, make_cache_folder
from scenelet.utils.locks import file_lock

POSIX = pytest.mark.skipif(os.name != "posix", reason="Windows has no such permissions")


@pytest.fixture
def no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SCENELET_CACHE")
    monkeypatch.setattr(cache, "_default_folder", functools.cache(cache._default_folder.__wrapped__))


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """A cache with two folders of features, statistics, compiled code, a package, and a file of the user."""
    root = tmp_path / "cache"
    for number, name in enumerate(("0123456789abcdef", "fedcba9876543210")):
        (root / name).mkdir(parents=True)
        (root / name / "windows.f16").write_bytes(bytes(1000))
        (root / name / "index.jsonl").write_bytes(bytes(10))
        (root / name / "lock").touch()
        os.utime(root / name / "lock", (1000 + number, 1000 + number))
    (root / "statistics-0123456789abcdef.jsonl").write_bytes(bytes(200))
    (root / "compiled").mkdir()
    (root / "compiled" / "kernels-0123456789abcdef.so").write_bytes(bytes(3000))
    (root / "onnxruntime-web-1.30.0.tgz").write_bytes(bytes(500))
    (root / "thesis.txt").write_text("mine")
    return root


def test_cache_folder_is_the_variable_or_the_platforms(monkeypatch: pytest.MonkeyPatch, no_variable: None) -> None:
    assert cache_folder() == platformdirs.user_cache_path("scenelet", appauthor=False)
    monkeypatch.setenv("SCENELET_CACHE", "~/elsewhere")
    assert cache_folder() == Path.home() / "elsewhere"


@POSIX
def test_cache_folder_without_a_home_is_temporary(
    monkeypatch: pytest.MonkeyPatch, no_variable: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As for `docker --user 12345` or a service with a dynamic user."""
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    expected = tmp_path / f"scenelet-{os.getuid()}"
    assert [cache_folder(), cache_folder()] == [expected] * 2
    assert capsys.readouterr().err == (
        f"there is no home folder, so the cache is in {expected}; SCENELET_CACHE chooses another folder\n"
    )
    expected.mkdir()
    other = os.getuid() + 1
    expected.rename(tmp_path / f"scenelet-{other}")  # not made by this user
    monkeypatch.setattr(os, "getuid", lambda: other)
    cache._default_folder.cache_clear()
    assert cache_folder().parent == tmp_path
    assert cache_folder() != tmp_path / f"scenelet-{other}"


@POSIX
def test_make_cache_folder_is_for_this_user_only(tmp_path: Path) -> None:
    make_cache_folder(tmp_path / "cache" / "features")
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "cache", tmp_path / "cache" / "features")]
    assert modes == [0o700, 0o700]
    make_cache_folder(tmp_path / "cache" / "features")


def test_make_cache_folder_error_names_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot be written \(.+\); set SCENELET_CACHE to a folder"):
        make_cache_folder(tmp_path / "file" / "cache")
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write everywhere
    with pytest.raises(OutputError, match=r"cannot be written \(Permission denied\); set SCENELET_CACHE to a folder"):
        make_cache_folder(tmp_path)


@POSIX
def test_exposed_finds_what_others_own_or_can_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, file = tmp_path / "outer" / "inner", tmp_path / "outer" / "inner" / "file"
    folder.mkdir(parents=True)
    file.touch(0o600)
    assert exposed(file) is None
    for part, mode in ((file, 0o620), (folder, 0o770), (tmp_path / "outer", 0o777), (file, 0o602)):
        before = part.stat().st_mode
        part.chmod(mode)
        assert exposed(file) == part.resolve()
        part.chmod(before)
    (tmp_path / "outer").chmod(0o1777)  # as /tmp: nobody can replace the files of others
    assert exposed(file) is None
    (tmp_path / "outer").chmod(0o700)
    (tmp_path / "link").symlink_to(file)
    file.chmod(0o666)
    assert exposed(tmp_path / "link") == file.resolve()
    if os.geteuid() == 0:
        file.chmod(0o600)
        os.chown(file, 12345, 12345)
        assert exposed(file) == file.resolve()


def test_clear_cache_deletes_only_its_own_files(filled: Path) -> None:
    assert cache_sizes(filled) == {"features": 2020, "statistics": 200, "compiled code": 3000, "packages": 500}
    assert clear_cache(filled) == []
    assert cache_sizes(filled) == {"features": 0, "statistics": 0, "compiled code": 0, "packages": 0}
    left = [path.name for path in filled.rglob("*") if path.is_file() and path.stat().st_size]
    assert left == ["thesis.txt"]


def test_clear_cache_keeps_what_is_in_use(filled: Path) -> None:
    folder = filled / "fedcba9876543210"
    with file_lock(folder / "lock"):
        assert clear_cache(filled) == [folder / "index.jsonl", folder / "windows.f16"]
    assert cache_sizes(filled)["features"] == 1010


def test_limit_features_deletes_the_oldest_unused_ones(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = sorted(path.parent for path in filled.glob("*/lock"))
    third = filled / "00000000000000ff"

    def kept() -> list[bool]:
        return [(folder / "windows.f16").exists() for folder in (first, second)]

    limit_features(filled, keep=third)
    assert kept() == [True, True]  # far below the limit
    monkeypatch.setattr(cache, "MAX_FEATURE_BYTES", 1500)
    limit_features(filled, keep=first)
    assert kept() == [True, False]
    (second / "windows.f16").write_bytes(bytes(1000))
    limit_features(filled, keep=third)
    assert kept() == [False, True]
    (first / "windows.f16").write_bytes(bytes(1000))
    for folder in (first, second):
        os.utime(folder / "lock", (time.time(), time.time()))
    limit_features(filled, keep=third)
    assert kept() == [True, True]  # used within a week
