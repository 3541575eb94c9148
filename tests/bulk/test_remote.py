"""Downloads: temporary errors are tried again, permanent ones are told from errors of the host."""

import errno
import os
import socket
import types
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from helpers.loopback_server import Answer, serve
from helpers.stumbling_server import StumblingServer, serve_folder
from scenelet.bulk import remote as remote_module
from scenelet.bulk.remote import HostError, Remote, RemoteFileError
from scenelet.data.download.session import MAX_RETRIES
from scenelet.errors import OutputError

REMOTE = Remote(("memory",))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StumblingServer]:
    folder = tmp_path_factory.mktemp("server")
    (folder / "a.wav").write_bytes(b"RIFF")
    with serve_folder(folder) as running:
        yield running


def raise_from_store(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Make downloads from `memory://` fail."""

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(fsspec.get_filesystem_class("memory"), "get_file", fail)


@pytest.mark.parametrize("status", [429, 503])
def test_download_retries_temporary_errors(server: StumblingServer, tmp_path: Path, status: int) -> None:
    url = f"{server.url}/a.wav"
    server.status, server.failures = status, MAX_RETRIES
    REMOTE.download(url, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"RIFF"
    server.failures = MAX_RETRIES + 1
    with pytest.raises(HostError, match=rf"a\.wav: cannot be reached \(the server answered {status}"):
        REMOTE.download(url, tmp_path / "copy")


def test_download_unreachable_host_raises(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(HostError, match="cannot be reached"):
        REMOTE.download(f"http://127.0.0.1:{port}/a.wav", tmp_path / "copy")


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("secret.wav", HostError, r"secret\.wav: access is denied \(the server answered 403"),
        ("none.wav", RemoteFileError, r"none\.wav: no such file"),
    ],
)
def test_download_refused_file_raises(
    server: StumblingServer, tmp_path: Path, name: str, kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words):
        REMOTE.download(f"{server.url}/{name}", tmp_path / "copy")


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (PermissionError("The provided token has expired."), HostError, "the credentials are rejected"),
        (PermissionError("Forbidden"), HostError, "access is denied"),
        (ValueError("Invalid bucket name"), RemoteFileError, "cannot be downloaded .*; check the URL"),
        (OSError(errno.ENOSPC, "No space left on device"), OutputError, "no space for a copy of memory://a.wav"),
    ],
)
def test_download_error_of_store_has_its_own_type(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception, kind: type[Exception], words: str
) -> None:
    raise_from_store(monkeypatch, error)
    with pytest.raises(kind, match=words):
        REMOTE.download("memory://a.wav", tmp_path / "copy")


def test_download_folder_raises(tmp_path: Path) -> None:
    fsspec.filesystem("memory").pipe_file("/folder/a.wav", b"")
    with pytest.raises(RemoteFileError, match="not a file"):
        REMOTE.download("memory://folder", tmp_path / "copy")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("gopher://a/b.wav", "the protocol gopher is not allowed"),
        ("reference://0::data:application/x.json;base64,e30=", "chained URLs are not read"),
        ("s3://bucket/a.json::reference://b", "chained URLs are not read"),
        ("file:///a::reference://b", "chained URLs are not read"),
        ("simplecache::https://127.0.0.1:1/a.wav", "chained URLs are not read"),
        ("reference://a", "the protocol reference is not allowed"),
        ("data:text/plain;base64,aa://a", "the protocol data:text/plain;base64,aa is not allowed"),
        ("ftp://127.0.0.1:1/a.wav", "the protocol ftp is not allowed"),
        ("github://org:repo@/a.wav", "the protocol github is not allowed"),
        ("zip://a.wav", "the protocol zip is not allowed"),
        ("local:///etc/passwd", "the protocol local is not allowed"),
    ],
)
def test_download_protocol_that_is_not_allowed_raises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, words: str
) -> None:
    """fsspec is not asked at all."""
    monkeypatch.setattr(fsspec.core, "url_to_fs", None)
    with pytest.raises(RemoteFileError, match=words):
        Remote().download(url, tmp_path / "copy")


def test_download_named_protocol_is_allowed(tmp_path: Path) -> None:
    fsspec.filesystem("memory").pipe_file("/named/a.wav", b"RIFF")
    with pytest.raises(RemoteFileError, match=r"the protocol memory is not allowed; .*, or allow it with --protocol"):
        Remote().download("memory://named/a.wav", tmp_path / "copy")
    REMOTE.download("MEMORY://named/a.wav", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"RIFF"


@pytest.mark.parametrize("store", ["memory", "http"])
def test_download_large_file_is_refused(
    server: StumblingServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: str
) -> None:
    fsspec.filesystem("memory").pipe_file("/large/a.wav", b"RIFF")
    monkeypatch.setattr(remote_module, "MAX_DOWNLOAD_BYTES", 3)
    url = "memory://large/a.wav" if store == "memory" else f"{server.url}/a.wav"
    with pytest.raises(RemoteFileError, match=r"is larger than 0\.0 GB, the limit for a copy"):
        REMOTE.download(url, tmp_path / "copy")


def test_download_leaves_half_of_the_free_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fsspec.filesystem("memory").pipe_file("/free/a.wav", bytes(1000))
    disk = types.SimpleNamespace(free=1998)
    monkeypatch.setattr("shutil.disk_usage", lambda _: disk)
    with pytest.raises(RemoteFileError, match="is larger than"):
        REMOTE.download("memory://free/a.wav", tmp_path / "copy")
    disk.free = 2000
    REMOTE.download("memory://free/a.wav", tmp_path / "copy")


def test_download_interrupted_transfer_is_tried_again(tmp_path: Path) -> None:
    with serve() as server:
        server.files["a.wav"] = bytes(1000)
        server.answers["a.wav"] = [Answer(cut=10)]
        REMOTE.download(f"{server.url}/a.wav", tmp_path / "copy")
        assert (tmp_path / "copy").read_bytes() == bytes(1000)
        server.always["a.wav"] = Answer(cut=10)
        with pytest.raises(HostError, match="cannot be reached"):
            REMOTE.download(f"{server.url}/a.wav", tmp_path / "copy")


def test_temporary_copy_is_named_by_url_and_deleted() -> None:
    fsspec.filesystem("memory").pipe_file("/copy/a.wav", b"RIFF")
    with REMOTE.temporary_copy("memory://copy/a.wav") as file:
        assert (file.read(), file.name) == (b"RIFF", "memory://copy/a.wav")
    assert file.closed


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only POSIX forks")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of a fork beside threads
def test_sessions_are_not_shared_with_a_fork() -> None:
    sessions = remote_module._web()
    child = os.fork()
    if child == 0:
        os._exit(int(remote_module._web() is sessions))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
