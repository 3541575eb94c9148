"""`fetch` with small copies of the public sets, from a server on this machine."""

import io
import shutil
import types
from dataclasses import replace
from pathlib import Path

import filelock
import pytest

from helpers.data_sets import FACTS, NAME, SPLITS, fetch, file_names, never, publish, tau_zips, zip_bytes
from helpers.loopback_server import Answer, Loopback
from scenelet.data.download import fetch as fetch_module
from scenelet.data.download.fetch import EVALUATIONS, dataset_parts
from scenelet.data.download.fetch import fetch as fetch_parts
from scenelet.data.tau import load_tau
from scenelet.data.tau_sets import TAU_2020_3CLASS
from scenelet.errors import DataError, OutputError, UsageError


@pytest.mark.parametrize("prefix", ["", f"{NAME}/"])
def test_fetch_tau_unpacks_all_and_deletes_archives(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    publish(server, monkeypatch, tau_zips(prefix))
    (root,) = fetch("tau2019", tmp_path)
    assert root == tmp_path / NAME
    clips = {clip.name: clip for clip in load_tau(root).clips}
    assert {Path(name).stem: clip.split for name, clip in clips.items()} == SPLITS
    assert all(clip.path.read_bytes() == clip.path.stem.encode() * 50 for clip in clips.values())
    assert (root / "README.md").read_bytes() == b"read me"
    assert {path.name for path in tmp_path.iterdir()} <= {NAME, ".fetch.lock"}  # no archives, nothing half done
    assert len(server.log) == 4


def test_fetch_complete_set_downloads_nothing(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(server, monkeypatch, tau_zips())
    fetch("tau2019", tmp_path)
    before = file_names(tmp_path)
    asked = len(server.log)
    capsys.readouterr()
    fetch_parts(dataset_parts("tau2019", tmp_path), tmp_path, never)
    assert "nothing to download" in capsys.readouterr().err
    assert (len(server.log), file_names(tmp_path)) == (asked, before)


def test_fetch_keep_archives_leaves_them(server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zips = tau_zips()
    publish(server, monkeypatch, zips)
    fetch("tau2019", tmp_path, keep_archives=True)
    assert {path.name: path.read_bytes() for path in (tmp_path / "downloads").iterdir()} == zips


def test_fetch_interrupted_resumes(server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(server, monkeypatch, tau_zips())
    second, half = f"{NAME}.audio.2.zip", len(server.files[f"{NAME}.audio.2.zip"]) // 2
    server.answers[second] = [Answer(cut=half)]
    server.always[second] = Answer(status=503)
    with pytest.raises(DataError, match=f"{second}.*run the command again"):
        fetch("tau2019", tmp_path)
    assert (tmp_path / f"downloads/{second}.part").stat().st_size == half
    server.log.clear()
    server.always.clear()
    fetch("tau2019", tmp_path)
    assert server.log == [(second, f"bytes={half}-")]


def test_fetch_killed_while_unpacking_leaves_no_partial_file(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(server, monkeypatch, tau_zips())

    def killed(source: object, file: io.BufferedWriter, length: int = 0) -> None:
        file.write(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfileobj", killed)
        with pytest.raises(KeyboardInterrupt):
            fetch("tau2019", tmp_path)
    assert file_names(tmp_path / NAME) == []
    assert file_names(tmp_path / "downloads") == [f"{NAME}.doc.zip"]
    fetch("tau2019", tmp_path)
    assert [path for path, _ in server.log].count(f"{NAME}.doc.zip") == 1


def test_fetch_wrong_archive_is_named_and_deleted(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(server, monkeypatch, tau_zips())
    name = f"{NAME}.audio.1.zip"
    server.always[name] = Answer(body=bytes(len(server.files[name])))
    with pytest.raises(DataError, match=rf"{name}: wrong after two downloads: its md5"):
        fetch("tau2019", tmp_path)
    assert not (tmp_path / "downloads" / name).exists()
    assert not (tmp_path / NAME / "audio").exists()


def test_fetch_evaluation_set_from_a_mirror(server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluation = EVALUATIONS["tau2020-3class"]
    zips = {f"{evaluation}.audio.1.zip": zip_bytes({f"{evaluation}/audio/1.wav": b"sound"})}
    publish(server, monkeypatch, {**zips, **{n.replace("2019", "2020-3class"): z for n, z in tau_zips().items()}})
    monkeypatch.setitem(fetch_module.TAU_SETS, "tau2020-3class", replace(FACTS, name=TAU_2020_3CLASS.name))
    server.files = {f"lab/{name}": data for name, data in server.files.items()}
    roots = fetch("tau2020-3class", tmp_path, evaluation=True, mirror=f"{server.url}/lab/")
    assert roots == [tmp_path / TAU_2020_3CLASS.name, tmp_path / evaluation]
    assert file_names(roots[1]) == [".fetched", "audio/1.wav"]
    assert all(path.startswith("lab/") for path, _ in server.log)


def test_fetch_license_refused_writes_nothing(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(server, monkeypatch, tau_zips())
    with pytest.raises(UsageError, match="license was not accepted"):
        fetch("tau2019", tmp_path / "out", accept=False)
    said = capsys.readouterr().err
    assert "non-commercial" in said
    assert "MB" in said
    assert (server.log, (tmp_path / "out").exists()) == ([], False)


def test_fetch_small_disk_is_refused_before_the_license(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = types.SimpleNamespace(free=40 * 10**9)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: disk)
    with pytest.raises(OutputError, match=r"needs 4\d\.\d GB and its disk has 40\.0 GB free"):
        fetch_parts(dataset_parts("tau2019", tmp_path / "a/b"), tmp_path / "a/b", never)
    assert not (tmp_path / "a").exists()


def test_fetch_locked_folder_is_refused(server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(server, monkeypatch, tau_zips())
    with filelock.FileLock(tmp_path / ".fetch.lock"), pytest.raises(OutputError, match="another fetch"):
        fetch("tau2019", tmp_path)
    assert server.log == []


def test_dataset_parts_wrong_arguments(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'esc10'"):
        dataset_parts("esc-10", tmp_path)
    with pytest.raises(UsageError, match=r"--evaluation goes with .*, tau2022-mobile, not with tau2019"):
        dataset_parts("tau2019", tmp_path, evaluation=True)
    for mirror in ("lab/files", "ftp://lab", "file:///etc", "https://"):
        with pytest.raises(UsageError, match="--mirror"):
            dataset_parts("esc10", tmp_path, mirror=mirror)
