"""Downloads: temporary errors are tried again, permanent ones are told from errors of the host."""

import errno
import socket
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from helpers.stumbling_server import StumblingServer, serve_folder
from scenelet.bulk.remote import MAX_ATTEMPTS, RemoteFileError, download, temporary_copy
from scenelet.errors import DataError, OutputError


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StumblingServer]:
    folder = tmp_path_factory.mktemp("server")
    (folder / "a.wav").write_bytes(b"RIFF")
    with serve_folder(folder) as running:
        yield running


def raise_from_store(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Make downloads from `memory://` fail."""

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(fsspec.get_filesystem_class("memory"), "get_file", fail)


@pytest.mark.parametrize("status", [429, 503])
def test_download_retries_temporary_errors(server: StumblingServer, tmp_path: Path, status: int) -> None:
    url = f"{server.url}/a.wav"
    server.status, server.failures = status, MAX_ATTEMPTS - 1
    download(url, tmp_path / "copy", retry_pause_seconds=0.0)
    assert (tmp_path / "copy").read_bytes() == b"RIFF"
    server.failures = MAX_ATTEMPTS
    with pytest.raises(DataError, match=rf"a\.wav: cannot be reached \({status}"):
        download(url, tmp_path / "copy", retry_pause_seconds=0.0)


def test_download_unreachable_host_raises(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(DataError, match=r"cannot be reached .*; run the same command again later"):
        download(f"http://127.0.0.1:{port}/a.wav", tmp_path / "copy", retry_pause_seconds=0.0)


@pytest.mark.parametrize(
    ("name", "words"),
    [("secret.wav", r"secret\.wav: cannot be downloaded \(403"), ("none.wav", r"none\.wav: no such file")],
)
def test_download_refused_file_raises(server: StumblingServer, tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(RemoteFileError, match=words):
        download(f"{server.url}/{name}", tmp_path / "copy")


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (PermissionError("The provided token has expired."), DataError, "rejects the credentials"),
        (PermissionError("Forbidden"), RemoteFileError, "access is denied; check the credentials"),
        (OSError(errno.ENOSPC, "No space left on device"), OutputError, "no space for a copy of memory://a.wav"),
    ],
)
def test_download_error_of_store_has_its_own_type(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception, kind: type[Exception], words: str
) -> None:
    raise_from_store(monkeypatch, error)
    with pytest.raises(kind, match=words):
        download("memory://a.wav", tmp_path / "copy")


def test_download_folder_raises(tmp_path: Path) -> None:
    fsspec.filesystem("memory").pipe_file("/folder/a.wav", b"")
    with pytest.raises(RemoteFileError, match="not a file"):
        download("memory://folder", tmp_path / "copy")


def test_download_unknown_protocol_raises(tmp_path: Path) -> None:
    with pytest.raises(RemoteFileError, match="this kind of URL cannot be read"):
        download("gopher://a/b.wav", tmp_path / "copy")


def test_temporary_copy_is_named_by_url_and_deleted() -> None:
    fsspec.filesystem("memory").pipe_file("/copy/a.wav", b"RIFF")
    with temporary_copy("memory://copy/a.wav") as file:
        assert (file.read(), file.name) == (b"RIFF", "memory://copy/a.wav")
    assert file.closed
