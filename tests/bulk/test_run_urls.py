"""Jobs whose recordings, manifest or results are behind URLs: S3 (moto) and HTTP."""

import socket
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from helpers.archives import Archive, part_bytes, rows_by_input
from helpers.stumbling_server import StumblingServer, serve_folder
from scenelet.bulk import run
from scenelet.errors import SceneletError
from scenelet.model.pretrained import example


@pytest.fixture(scope="module")
def s3_manifest(s3: str, archive: Archive) -> str:
    """URL of the archive's manifest in S3 next to its recordings."""
    filesystem = fsspec.filesystem("s3")
    for name in dict.fromkeys(archive.names):
        path = archive.manifest.parent / name
        if path.is_file():
            filesystem.put_file(str(path), f"{s3}/set/{name}")
    filesystem.pipe_file(f"{s3}/set/clips/folder.wav/inside", b"x")  # in S3 a folder exists if it has a file
    filesystem.put_file(str(archive.manifest), f"{s3}/set/all.csv")
    return f"{s3}/set/all.csv"


def list_parts(folder: str) -> list[str]:
    return [path for path in fsspec.filesystem("s3").ls(folder, detail=False, refresh=True) if "part-" in path]


def test_predict_from_s3_to_s3_and_resume(
    model: str, archive: Archive, finished_job: Path, s3_manifest: str, s3: str, tmp_path: Path
) -> None:
    summary = run.predict(model, s3_manifest, f"{s3}/results", workers=1, shard_size=8)
    assert (summary.inputs, summary.errors) == (len(archive.names), len(archive.invalid))
    assert sorted(int(path.split("-")[1]) for path in list_parts(f"{s3}/results")) == list(range(5))
    filesystem = fsspec.filesystem("s3")
    filesystem.get(f"{s3}/results/", str(tmp_path / "copy"), recursive=True)
    rows, expected = rows_by_input(tmp_path / "copy"), rows_by_input(finished_job)
    for index, name in enumerate(archive.names):
        if name in archive.invalid:
            assert s3 in rows[index][0]["error"]
            rows[index][0]["error"] = expected[index][0]["error"]
    assert rows == expected
    filesystem.rm_file(next(path for path in list_parts(f"{s3}/results") if "part-00003" in path))
    run.predict(model, s3_manifest, f"{s3}/results", workers=1)
    assert len(list_parts(f"{s3}/results")) == 5


def test_predict_from_s3_with_two_processes(model: str, archive: Archive, s3_manifest: str, tmp_path: Path) -> None:
    base = s3_manifest.removesuffix("all.csv")
    (tmp_path / "urls.csv").write_text("url\n" + "".join(f'"{base}{name}"\n' for name in archive.valid_names[:3]))
    summary = run.predict(model, str(tmp_path / "urls.csv"), str(tmp_path / "out"), workers=2, shard_size=2)
    assert (summary.inputs, summary.errors) == (3, 0)


@pytest.fixture(scope="module")
def server(archive: Archive) -> Iterator[StumblingServer]:
    with serve_folder(archive.manifest.parent) as running:
        yield running


def test_predict_http_urls_in_manifest(
    model: str, archive: Archive, finished_job: Path, server: StumblingServer, tmp_path: Path
) -> None:
    names = [name for name in archive.names if "," not in name]
    (tmp_path / "urls.csv").write_text("url\n" + "".join(f"{server.url}/{name}\n" for name in names))
    run.predict(model, str(tmp_path / "urls.csv"), str(tmp_path / "out"), workers=1)
    rows, expected = rows_by_input(tmp_path / "out"), rows_by_input(finished_job)
    for index, name in enumerate(names):
        on_disk = expected[archive.names.index(name)]
        assert (rows[index][0]["error"] is None) == (on_disk[0]["error"] is None)
        assert [row["label"] for row in rows[index]] == [row["label"] for row in on_disk]
        if name == "clips/none.wav":
            assert rows[index][0]["error"] == f"{server.url}/{name}: no such file"


@pytest.mark.parametrize(
    ("manifest", "out", "words"),
    [
        ("gopher://a/b.csv", "out", "the protocol gopher is not allowed"),
        ("s3://archive/folder/", "out", "a folder behind a URL; list its recordings"),
        ("list.csv", "gopher://a/b", "the protocol gopher is not allowed"),
        ("list.csv", "", "--out is empty"),
        ("list.csv", "http://127.0.0.1:1/out", "an HTTP address cannot be written"),
    ],
)
def test_predict_unusable_url_raises_and_writes_nothing(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, manifest: str, out: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.csv").write_text("path\na.wav\n")
    with pytest.raises(SceneletError, match=words):
        run.predict(model, manifest, out, workers=1)
    assert {path.name for path in tmp_path.iterdir()} == {"list.csv"}


def test_predict_file_urls_are_paths(model: str, archive: Archive, finished_job: Path, tmp_path: Path) -> None:
    run.predict(model, f"file://{archive.manifest}", f"file://{tmp_path}/out", workers=1, shard_size=8)
    assert part_bytes(tmp_path / "out") == part_bytes(finished_job)


def test_predict_shows_no_password(model: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        host = f"127.0.0.1:{taken.getsockname()[1]}"
    secrets = (
        f"http://me:pass-word@{host}/a.wav?id=7&token=to-ken",
        f"ftp://me:pass-word@{host}/b.wav?X-Amz-Signature=to-ken",
    )
    manifest = tmp_path / "urls.csv"
    manifest.write_text("\n".join(["url", *secrets, str(example("esc10"))]))
    with pytest.raises(SceneletError) as caught:  # the host cannot be reached
        run.predict(model, str(manifest), str(tmp_path / "out"), workers=1)
    rows = rows_by_input(tmp_path / "out")
    shown = f"{rows} {caught.value} {capfd.readouterr()} {(tmp_path / 'out/_job/errors.csv').read_text()}"
    assert rows[0][0]["input"] == f"http://***@{host}/a.wav?id=7&token=***"
    assert f"no connection to {host}" in shown
    assert "pass-word" not in shown
    assert "to-ken" not in shown
