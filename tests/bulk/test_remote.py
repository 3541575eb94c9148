"""Recordings, manifests and results behind URLs: S3 as moto speaks it, and HTTP."""

import http.server
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from helpers.archives import Archive, parts_of, rows_of
from scenelet.bulk import inputs, remote, run
from scenelet.bulk.manifest import scan_manifest
from scenelet.bulk.storage import join
from scenelet.errors import AudioError, DataError, OutputError, SceneletError


@pytest.fixture(scope="module")
def uploaded(s3: str, archive: Archive) -> str:
    """The archive's manifest in S3, its recordings beside it; there a folder is what lies below a name."""
    filesystem = fsspec.filesystem("s3")
    for name in dict.fromkeys(archive.names):
        path = archive.manifest.parent / name
        if path.is_file():
            filesystem.put_file(str(path), f"{s3}/set/{name}")
    filesystem.pipe_file(f"{s3}/set/clips/folder.wav/inside", b"something")
    filesystem.put_file(str(archive.manifest), f"{s3}/set/all.csv")
    return f"{s3}/set/all.csv"


def test_from_s3_to_s3(model: str, archive: Archive, done: Path, uploaded: str, s3: str) -> None:
    summary = run.predict(model, uploaded, f"{s3}/results", workers=2, shard_size=8)
    assert (summary.inputs, summary.errors) == (len(archive.names), len(archive.bad))
    filesystem = fsspec.filesystem("s3")
    found = {}
    for path in filesystem.ls(f"{s3}/results", detail=False):
        if "part-" in path:
            found |= {int(path.split("-")[1]): filesystem.cat_file(path)}
    assert sorted(found) == list(range(5))
    folder = done.parent / "from-s3"
    filesystem.get(f"{s3}/results/", str(folder), recursive=True)
    rows, expected = rows_of(folder), rows_of(done)
    for index, name in enumerate(archive.names):
        if name in archive.bad:
            assert s3 in rows[index][0]["error"]
            rows[index][0]["error"] = expected[index][0]["error"]
    assert rows == expected
    filesystem.rm_file(next(path for path in filesystem.ls(f"{s3}/results", detail=False) if "part-00003" in path))
    run.predict(model, uploaded, f"{s3}/results", workers=1)  # goes on
    assert sum("part-" in path for path in filesystem.ls(f"{s3}/results", detail=False, refresh=True)) == 5


def test_urls_in_a_manifest_on_disk(model: str, archive: Archive, uploaded: str, tmp_path: Path) -> None:
    good = [name for name in archive.names if name not in archive.bad][:3]
    (tmp_path / "urls.csv").write_text(
        "url\n" + "".join(f'"{uploaded.removesuffix("all.csv")}{name}"\n' for name in good)
    )
    summary = run.predict(model, str(tmp_path / "urls.csv"), str(tmp_path / "out"), workers=1)
    assert (summary.inputs, summary.errors) == (3, 0)


class Handler(http.server.SimpleHTTPRequestHandler):
    failures, status = 0, 503

    def do_GET(self) -> None:
        if Handler.failures:
            Handler.failures -= 1
            self.send_error(Handler.status)
        elif "secret" in self.path:
            self.send_error(403)
        else:
            super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def web(archive: Archive) -> Iterator[str]:
    def handler(*arguments: object) -> Handler:
        return Handler(*arguments, directory=str(archive.manifest.parent))  # type: ignore[arg-type]

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_http(model: str, archive: Archive, done: Path, web: str, tmp_path: Path) -> None:
    names = [name for name in archive.names if "," not in name]
    (tmp_path / "urls.csv").write_text("url\n" + "".join(f"{web}/{name}\n" for name in names))
    run.predict(model, str(tmp_path / "urls.csv"), str(tmp_path / "out"), workers=1)
    rows, expected = rows_of(tmp_path / "out"), rows_of(done)
    for index, name in enumerate(names):
        own = expected[archive.names.index(name)]
        assert (rows[index][0]["error"] is None) == (own[0]["error"] is None)
        assert [row["label"] for row in rows[index]] == [row["label"] for row in own]
        if name == "clips/none.wav":
            assert rows[index][0]["error"] == f"{web}/{name}: no such file"


@pytest.mark.parametrize("status", [429, 503])
def test_a_host_that_stumbles_is_asked_again(web: str, monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    monkeypatch.setattr(Handler, "status", status)
    monkeypatch.setattr(remote, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(Handler, "failures", remote.TRIES - 1)
    with inputs.open_input(f"{web}/clips/0.wav") as file:
        assert file.read(4) == b"RIFF"
    monkeypatch.setattr(Handler, "failures", remote.TRIES)
    with (
        pytest.raises(DataError, match=rf"clips/0\.wav: cannot be reached \({status}"),
        inputs.open_input(f"{web}/clips/0.wav"),
    ):
        pass


def test_a_host_that_is_gone_makes_no_error_row(
    model: str, web: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row would say that the recording is bad, for ever."""
    monkeypatch.setattr(remote, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(Handler, "failures", 10**6)
    (tmp_path / "urls.csv").write_text(f"url\n{web}/clips/0.wav\n")
    with pytest.raises(OutputError, match=r"1 of 1 part could not be made \(.*cannot be reached"):
        run.predict(model, str(tmp_path / "urls.csv"), str(tmp_path / "out"), workers=1)
    assert not parts_of(tmp_path / "out")


def test_nobody_at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "PAUSE_SECONDS", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = f"http://127.0.0.1:{taken.getsockname()[1]}/a.wav"
    with pytest.raises(DataError, match="cannot be reached"), inputs.open_input(place):
        pass


@pytest.mark.parametrize(
    ("place", "word"),
    [("secret.wav", r"secret\.wav: cannot be fetched \(403"), ("clips/none.wav", "no such file")],
)
def test_what_a_server_refuses_is_the_inputs_fault(web: str, place: str, word: str) -> None:
    with pytest.raises(AudioError, match=word), inputs.open_input(f"{web}/{place}"):
        pass


def test_expired_credentials_say_nothing_of_a_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("The provided token has expired.")

    monkeypatch.setattr(fsspec.get_filesystem_class("memory"), "get_file", refuse)
    with pytest.raises(DataError, match="does not accept the credentials"), inputs.open_input("memory://a.wav"):
        pass


def test_a_folder_of_a_store_is_no_recording() -> None:
    fsspec.filesystem("memory").pipe_file("/folder/a.wav", b"")
    with pytest.raises(AudioError, match="not a file"), inputs.open_input("memory://folder"):
        pass


@pytest.mark.parametrize(
    ("base", "name", "whole"),
    [
        ("/a/b", "c/d.wav", "/a/b/c/d.wav"),
        ("/a/b", "/c.wav", "/c.wav"),
        ("/a/b", "s3://c/d.wav", "s3://c/d.wav"),
        ("s3://a/b", "c.wav", "s3://a/b/c.wav"),
        ("s3://a/b/", "/c.wav", "/c.wav"),
    ],
)
def test_where_a_name_leads(base: str, name: str, whole: str) -> None:
    assert join(base, name) == whole


def test_an_unknown_protocol() -> None:
    with pytest.raises(AudioError, match="no such kind of URL can be read"), inputs.open_input("gopher://a/b.wav"):
        pass


@pytest.mark.parametrize(
    ("manifest", "out", "word"),
    [
        ("gopher://a/b.csv", "out", "no such kind of URL can be read"),
        ("s3://archive/folder/", "out", "a folder behind a URL; list its recordings"),
        ("list.csv", "gopher://a/b", "no such kind of URL can be written"),
        ("list.csv", "", "--out is empty"),
        ("list.csv", "http://127.0.0.1:1/out", "cannot be"),
    ],
)
def test_places_that_cannot_be_used(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, manifest: str, out: str, word: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.csv").write_text("path\na.wav\n")
    with pytest.raises(SceneletError, match=word):
        run.predict(model, manifest, out, workers=1)
    assert {path.name for path in tmp_path.iterdir()} == {"list.csv"}


def test_a_manifest_behind_http(model: str, web: str, archive: Archive, tmp_path: Path) -> None:
    found = scan_manifest(f"{web}/all.csv?version=a/b")
    assert (found.base, found.inputs) == (web, len(archive.names))
    with pytest.raises(DataError, match=r"secret\.csv: cannot be fetched \(403"):
        scan_manifest(f"{web}/secret.csv")


def test_a_file_url_is_a_path(model: str, archive: Archive, done: Path, tmp_path: Path) -> None:
    run.predict(model, f"file://{archive.manifest}", f"file://{tmp_path}/out", workers=1, shard_size=8)
    assert parts_of(tmp_path / "out") == parts_of(done)


def test_file_urls(archive: Archive) -> None:
    path = archive.manifest.parent / archive.names[1]
    with inputs.open_input(f"file://{path}") as found:
        assert found == path
