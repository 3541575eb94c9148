"""The record of a job: which jobs are the same, and what interrupted and failed writes leave."""

import hashlib
from pathlib import Path

import pytest

from helpers.archives import Archive, part_bytes, write_manifest
from helpers.tiny_model import FEATURES, WINDOW
from scenelet.bulk import run
from scenelet.bulk.job import Task, default_shard_size, start_job
from scenelet.bulk.manifest import scan_manifest
from scenelet.bulk.storage import Folder
from scenelet.errors import OutputError


def test_default_shard_size_is_bounded() -> None:
    assert [default_shard_size(n) for n in (1, 16, 17, 1000, 4096, 10**6)] == [1, 1, 2, 63, 256, 256]


def test_start_job_in_folder_of_other_job_raises(
    model: str, other_model: Path, archive: Archive, tmp_path: Path
) -> None:
    out, manifest = str(tmp_path / "out"), str(archive.manifest)
    fewer = archive.manifest.with_name("fewer.csv")
    write_manifest(fewer, archive.names[:20])
    copy = tmp_path / "all.csv"
    copy.write_bytes(archive.manifest.read_bytes())
    run.predict(model, manifest, out, workers=1)
    before = part_bytes(Path(out))
    for words, job in {
        "of another model": lambda: run.predict(str(other_model), manifest, out),
        "of another runtime": lambda: run.predict(model, manifest, out, runtime="openvino"),
        "of another command": lambda: run.extract(FEATURES, WINDOW, manifest, out),
        "of other inputs": lambda: run.predict(model, str(fewer), out),
        f"of recordings in {archive.manifest.parent}": lambda: run.predict(model, str(copy), out),
        "in parts of 3 inputs, not 4": lambda: run.predict(model, manifest, out, shard_size=4),
    }.items():
        with pytest.raises(OutputError, match=f"holds results {words}; choose another folder"):
            job()
    assert part_bytes(Path(out)) == before
    features = str(tmp_path / "features")
    run.extract(FEATURES, WINDOW, manifest, features, workers=1)
    with pytest.raises(OutputError, match="of other feature settings"):
        run.extract(FEATURES.model_copy(update={"n_mels": 8}), WINDOW, manifest, features)


def test_check_only_job_other_files_raise(model: str, archive: Archive, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").touch()
    with pytest.raises(OutputError, match=r"holds other files \(thesis.txt\)"):
        run.predict(model, str(archive.manifest), str(tmp_path / "out"))


def test_read_job_damaged_record_raises(model: str, archive: Archive, tmp_path: Path) -> None:
    (tmp_path / "out" / "_job").mkdir(parents=True)
    (tmp_path / "out" / "_job" / "job.json").write_text("{}")
    with pytest.raises(OutputError, match=r"job\.json: damaged"):
        run.predict(model, str(archive.manifest), str(tmp_path / "out"))


def test_start_job_failed_write_leaves_no_record(
    model: str, archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("pyarrow.parquet.ParquetWriter.write_table", fail)
        with pytest.raises(OutputError, match="No space left on device"):
            run.predict(model, str(archive.manifest), str(tmp_path / "out"), workers=1)
    assert not (tmp_path / "out" / "_job" / "job.json").exists()
    run.predict(model, str(archive.manifest), str(tmp_path / "out"), workers=1)


def test_start_job_replaces_job_without_parts(model: str, archive: Archive, finished_job: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    task = Task(kind="predict", features=FEATURES, window=WINDOW, model=hashlib.sha256(b"x").hexdigest())
    start_job(Folder(out), task, b"x", scan_manifest(str(archive.manifest)), 8)
    run.predict(model, str(archive.manifest), out, workers=1, shard_size=8)
    assert part_bytes(Path(out)) == part_bytes(finished_job)
