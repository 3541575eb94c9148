"""Jobs from start to end: interruptions, failures and errors."""

import csv
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Generator, Sequence
from pathlib import Path

import fsspec
import psutil
import pytest

from helpers.archives import Archive, part_bytes, rows_by_input, write_manifest
from helpers.processes import start_scenelet
from helpers.tiny_model import tiny_model
from scenelet.bulk import engines, run
from scenelet.bulk.engines import ProcessShard
from scenelet.bulk.progress import MAX_CONSECUTIVE_FAILURES
from scenelet.bulk.storage import Folder
from scenelet.bulk.worker import ShardResult
from scenelet.errors import DataError, MissingExtraError, OutputError
from scenelet.model.file import write_model


def test_predict_two_processes_same_parts(model: str, archive: Archive, finished_job: Path, tmp_path: Path) -> None:
    summary = run.predict(model, str(archive.manifest), str(tmp_path / "out"), workers=2, shard_size=8)
    assert part_bytes(tmp_path / "out") == part_bytes(finished_job)
    for name in ("counts.json", "errors.csv"):  # in the order of the parts, whichever was done first
        assert (tmp_path / "out/_job" / name).read_bytes() == (finished_job / "_job" / name).read_bytes()
    assert (summary.inputs, summary.errors, summary.parts) == (len(archive.names), len(archive.invalid), 5)
    assert 1 <= summary.workers <= 2
    assert summary.peak_bytes > 1e6


def test_predict_writes_only_missing_parts(model: str, archive: Archive, finished_job: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(finished_job, out)
    names = sorted(part_bytes(out))
    (out / names[1]).unlink()
    (out / f".{names[1]}.0123abcd.part").write_bytes(b"half a part")
    modified = (out / names[0]).stat().st_mtime_ns
    requested: list[list[int]] = []

    def engine(process: ProcessShard, shards: Sequence[int], workers: int | None) -> Generator[ShardResult, None, None]:
        requested.append(list(shards))
        return engines.run_local(process, shards, workers)

    run.predict(model, str(archive.manifest), str(out), engine=engine)  # with the shard size of the recorded job
    assert requested == [[1]]
    assert part_bytes(out) == part_bytes(finished_job)
    assert (out / names[0]).stat().st_mtime_ns == modified
    assert not list(out.glob(".*.part"))
    summary = run.predict(model, str(archive.manifest), str(out), engine=engine)
    assert requested == [[1]]
    assert (summary.inputs, summary.workers) == (len(archive.names), 0)


@pytest.mark.slow
def test_predict_resumes_after_kill(model: str, archive: Archive, finished_job: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = "predict", model, str(archive.manifest), "--out", str(out), "--workers", "2", "--shard-size", "2"
    first = start_scenelet(*command, start_new_session=True, stderr=subprocess.PIPE)
    while not part_bytes(out):
        assert first.poll() is None
        time.sleep(0.005)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    before = part_bytes(out)
    assert 0 < len(before) < 20
    second = start_scenelet(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    printed, messages = second.communicate()
    assert second.returncode == 0, messages
    assert "of 20 parts are done; resuming" in messages
    assert "40 inputs" in printed
    assert before.items() <= part_bytes(out).items()
    assert rows_by_input(out) == rows_by_input(finished_job)


@pytest.mark.parametrize(("stop", "exit_code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)])
def test_predict_workers_end_with_driver(
    model: str, archive: Archive, tmp_path: Path, stop: signal.Signals, exit_code: int
) -> None:
    long = archive.manifest.with_name("longer.csv")
    write_manifest(long, 100 * archive.names)
    out = tmp_path / "out"
    options = "--out", str(out), "--workers", "2", "--shard-size", "1000"
    driver = start_scenelet("predict", model, str(long), *options, stderr=subprocess.PIPE)
    while len(list(out.glob(".part-*"))) < 2:  # both workers are writing a part
        assert driver.poll() is None
        time.sleep(0.01)
    workers = psutil.Process(driver.pid).children(recursive=True)
    assert len(workers) >= 2
    driver.send_signal(stop)
    _, messages = driver.communicate()
    assert driver.returncode == exit_code
    assert b"Traceback" not in messages
    _, alive = psutil.wait_procs(workers, timeout=60)
    assert not alive


def test_job_lock_second_run_raises(model: str, archive: Archive, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    with run.job_lock(Folder(out)), pytest.raises(OutputError, match="another run is writing to it"):
        run.predict(model, str(archive.manifest), out)


def store(names: Sequence[str], archive: Archive) -> list[str]:
    """Put a recording into the memory's store under some names; return their URLs."""
    data = (archive.manifest.parent / archive.valid_names[0]).read_bytes()
    for name in names:
        fsspec.filesystem("memory").pipe_file(f"/{name}", data)
    return [f"memory://{name}" for name in names]


def deny(monkeypatch: pytest.MonkeyPatch, words: str, requests: list[str], message: str = "Forbidden") -> None:
    """Let the store deny access to recordings whose path holds `words`."""
    get_file = fsspec.get_filesystem_class("memory").get_file

    def get(self: object, path: str, *arguments: object, **options: object) -> None:
        requests.append(path)
        if words in path:
            raise PermissionError(message)
        get_file(self, path, *arguments, **options)

    monkeypatch.setattr(fsspec.get_filesystem_class("memory"), "get_file", get)


def test_predict_failed_host_costs_its_own_rows(
    model: str, archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other rows of the part are written, and the next run reads the part again."""
    out = tmp_path / "out"
    inputs = [str(archive.manifest.parent / name) for name in archive.valid_names[:9]]
    write_manifest(tmp_path / "all.csv", [*inputs[:5], *store(["run/a.wav"], archive), *inputs[5:]])
    options = {"workers": 1, "shard_size": 5, "protocols": ["memory"]}
    with monkeypatch.context() as patch:
        deny(patch, "a.wav", [], "The provided token has expired.")
        with pytest.raises(
            DataError, match=r"1 recording of memory://run: the credentials are rejected .*; fix that and"
        ):
            run.predict(model, str(tmp_path / "all.csv"), str(out), **options)
    rows = rows_by_input(out)
    assert [row[0]["error"] is None for row in rows.values()] == [index != 5 for index in range(10)]
    assert "memory://run/a.wav: the credentials are rejected" in rows[5][0]["error"]
    assert "run/a.wav" in (out / "_job/errors.csv").read_text()
    modified = next(out.glob("part-00000*")).stat().st_mtime_ns
    summary = run.predict(model, str(tmp_path / "all.csv"), str(out), **options)
    assert (summary.inputs, summary.errors, summary.parts) == (10, 0, 2)
    assert next(out.glob("part-00000*")).stat().st_mtime_ns == modified


def test_predict_denied_bucket_is_one_sentence(
    model: str, archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No row blames a recording, and each part asks for three recordings only."""
    out, requests = tmp_path / "out", list[str]()
    write_manifest(tmp_path / "all.csv", store([f"bucket/{k}.wav" for k in range(40)], archive))
    options = {"workers": 1, "shard_size": 5, "protocols": ["memory"]}
    with monkeypatch.context() as patch:
        deny(patch, "bucket", requests)
        with pytest.raises(
            OutputError, match=r"8 of 8 parts .*could not read 25 recordings of memory://bucket: access is"
        ):
            run.predict(model, str(tmp_path / "all.csv"), str(out), **options)
    assert len(requests) == 3 * MAX_CONSECUTIVE_FAILURES
    assert not part_bytes(out)
    assert run.predict(model, str(tmp_path / "all.csv"), str(out), **options).errors == 0


def test_predict_missing_package_is_one_sentence(model: str, archive: Archive, tmp_path: Path) -> None:
    """fsspec imports the package of a store when it is first needed."""
    fsspec.register_implementation("absent", "absent_package.Store", errtxt="Install absent_package", clobber=True)
    good = str(archive.manifest.parent / archive.valid_names[0])
    write_manifest(tmp_path / "all.csv", [good, "absent://a/1.wav", "absent://a/2.wav"])
    options = {"workers": 1, "shard_size": 3, "protocols": ["absent"]}
    with pytest.raises(
        DataError, match=r"2 recordings of absent://a: a package is missing \(Install absent_package\)"
    ) as caught:
        run.predict(model, str(tmp_path / "all.csv"), str(tmp_path / "out"), **options)
    assert caught.value.exit_code == 1
    assert rows_by_input(tmp_path / "out")[0][0]["error"] is None
    with pytest.raises(MissingExtraError, match="--out absent://b: a package is missing"):
        run.predict(model, str(tmp_path / "all.csv"), "absent://b", **options)


def test_predict_denied_recording_is_an_ordinary_error(
    model: str, archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bucket gives other recordings, so it is this one that is private."""
    write_manifest(tmp_path / "all.csv", store(["open/a.wav", "open/secret.wav", "open/b.wav"], archive))
    deny(monkeypatch, "secret", [])
    options = {"workers": 1, "shard_size": 3, "protocols": ["memory"]}
    summary = run.predict(model, str(tmp_path / "all.csv"), str(tmp_path / "out"), **options)
    assert (summary.inputs, summary.errors) == (3, 1)
    assert "secret.wav: access is denied" in summary.first_errors[0]


def test_predict_opens_no_part_to_count_it(
    model: str, archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counts come from the workers or from the record of an earlier run. Only errors are read from parts."""
    write_manifest(archive.manifest.with_name("good.csv"), archive.valid_names)
    arguments = model, str(archive.manifest.with_name("good.csv")), str(tmp_path / "out")
    opened: list[str] = []
    open_file = Folder.open

    def record(folder: Folder, name: str) -> object:
        opened.append(name)
        return open_file(folder, name)

    monkeypatch.setattr(Folder, "open", record)
    first = run.predict(*arguments, workers=1, shard_size=8)
    second = run.predict(*arguments, workers=1)
    assert (first.inputs, first.windows) == (second.inputs, second.windows)
    assert not [name for name in opened if name.startswith("part-")]
    (tmp_path / "out/_job/counts.json").write_text("damaged")
    assert run.predict(*arguments, workers=1).windows == first.windows
    assert len([name for name in opened if name.startswith("part-")]) == first.parts


def test_predict_errors_csv_holds_no_formula(model: str, tmp_path: Path) -> None:
    write_manifest(tmp_path / "all.csv", ["=cmd|' /C calc'!A0.wav", "+1.wav"])
    run.predict(model, str(tmp_path / "all.csv"), str(tmp_path / "out"), workers=1)
    rows = list(csv.reader((tmp_path / "out/_job/errors.csv").read_text().splitlines()))
    assert [row[1] for row in rows] == ["input", "'=cmd|' /C calc'!A0.wav", "'+1.wav"]


def test_predict_home_is_expanded(
    model: str, archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write_manifest(tmp_path / "all.csv", [str(archive.manifest.parent / archive.valid_names[0])])
    assert run.predict(model, "~/all.csv", "~/out", workers=1).inputs == 1
    assert len(part_bytes(tmp_path / "out")) == 1


def test_predict_failed_rename_leaves_no_part(
    model: str, archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"

    def fail(*_: object) -> None:
        assert list(out.rglob(".*.part"))  # written under a temporary name only
        assert not list(out.glob("part-*"))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OutputError, match="No space left on device"):
        run.predict(model, str(archive.manifest), str(out), workers=1)
    assert {path.name for path in out.rglob("*") if path.is_file()} == {"lock"}


def test_predict_aborts_after_consecutive_failures(model: str, archive: Archive, tmp_path: Path) -> None:
    tried = []

    def failing_engine(
        _: ProcessShard, shards: Sequence[int], workers: int | None
    ) -> Generator[ShardResult, None, None]:
        for shard in shards:
            tried.append(shard)
            yield ShardResult(shard=shard, worker="w", peak_bytes=1, error="the disk is full")

    out = str(tmp_path / "out")
    with pytest.raises(OutputError, match=r"40 of 40 parts could not be written \(the disk is full\)"):
        run.predict(model, str(archive.manifest), out, engine=failing_engine, shard_size=1)
    assert len(tried) == MAX_CONSECUTIVE_FAILURES


def test_predict_replaced_model_in_job_raises(model: str, archive: Archive, finished_job: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(finished_job, out)
    next(out.glob("part-00001*")).unlink()
    write_model(tiny_model(seed=1), out / "_job" / "model.scn")
    with pytest.raises(OutputError, match=r"model\.scn: is not the model that the job was started with"):
        run.predict(model, str(archive.manifest), str(out), workers=1)


@pytest.mark.parametrize("name", ["part-00002", "_job/inputs.parquet"])
def test_predict_damaged_file_of_job_raises(
    model: str, archive: Archive, finished_job: Path, tmp_path: Path, name: str
) -> None:
    out = tmp_path / "out"
    shutil.copytree(finished_job, out)
    (out / "_job/counts.json").unlink()  # as if the run had been killed
    next(out.glob("part-00001*")).unlink()
    next(out.glob(f"{name}*")).write_bytes(b"")
    with pytest.raises(OutputError, match=rf"{name}.*: damaged; delete it"):
        run.predict(model, str(archive.manifest), str(out), workers=1)


def test_predict_retry_errors_repeats_only_parts_with_errors(model: str, archive: Archive, tmp_path: Path) -> None:
    out, names = tmp_path / "out", archive.valid_names[:12]
    root = tmp_path / "set"
    (root / "clips").mkdir(parents=True)
    for name in set(names):
        shutil.copy(archive.manifest.parent / name, root / name)
    write_manifest(root / "all.csv", names)
    missing = root / names[5]
    missing.rename(root / "away")
    assert run.predict(model, str(root / "all.csv"), str(out), workers=1, shard_size=4).errors == 1
    (root / "away").rename(missing)
    modified = next(out.glob("part-00000*")).stat().st_mtime_ns
    assert run.predict(model, str(root / "all.csv"), str(out), workers=1).errors == 1
    assert run.predict(model, str(root / "all.csv"), str(out), workers=1, retry_errors=True).errors == 0
    assert next(out.glob("part-00000*")).stat().st_mtime_ns == modified
