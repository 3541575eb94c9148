"""Jobs from start to end: interruptions, failures and errors."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import fsspec
import psutil
import pytest

from helpers.archives import Archive, part_bytes, rows_by_input, write_manifest
from helpers.processes import start_scenelet
from helpers.tiny_model import tiny_model
from scenelet.bulk import engines, run
from scenelet.bulk.storage import Folder
from scenelet.bulk.worker import ShardResult
from scenelet.errors import OutputError
from scenelet.model.file import write_model


def test_predict_two_processes_same_parts(model: str, archive: Archive, finished_job: Path, tmp_path: Path) -> None:
    summary = run.predict(model, str(archive.manifest), str(tmp_path / "out"), workers=2, shard_size=8)
    assert part_bytes(tmp_path / "out") == part_bytes(finished_job)
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

    def engine(folder: str, job_hash: str, shards: Sequence[int], workers: int | None) -> Iterator[ShardResult]:
        requested.append(list(shards))
        return engines.run_local(folder, job_hash, shards, workers)

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


def test_predict_unreachable_input_is_retried_by_next_run(
    model: str, archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other parts are written; a row with an error would blame the recording for its host."""
    out, names = tmp_path / "out", archive.valid_names[:9]
    data = (archive.manifest.parent / names[0]).read_bytes()
    fsspec.filesystem("memory").pipe_file("/run/a.wav", data)
    inputs = [str(archive.manifest.parent / name) for name in names]
    write_manifest(tmp_path / "all.csv", [*inputs[:5], "memory://run/a.wav", *inputs[5:]])

    def expire(*_: object) -> None:
        raise PermissionError("The provided token has expired.")

    with monkeypatch.context() as patch:
        patch.setattr(fsspec.get_filesystem_class("memory"), "get_file", expire)
        with pytest.raises(OutputError, match=r"1 of 5 parts could not be written \(memory://run/a\.wav: the host rej"):
            run.predict(model, str(tmp_path / "all.csv"), str(out), workers=1, shard_size=2)
    assert len(part_bytes(out)) == 4
    summary = run.predict(model, str(tmp_path / "all.csv"), str(out), workers=1)
    assert (summary.inputs, summary.errors, summary.parts) == (10, 0, 5)


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

    def failing_engine(_: str, __: str, shards: Sequence[int], workers: int | None) -> Iterator[ShardResult]:
        for shard in shards:
            tried.append(shard)
            yield ShardResult(shard=shard, worker="w", peak_bytes=1, error="the disk is full")

    out = str(tmp_path / "out")
    with pytest.raises(OutputError, match=r"40 of 40 parts could not be written \(the disk is full\)"):
        run.predict(model, str(archive.manifest), out, engine=failing_engine, shard_size=1)
    assert len(tried) == run.MAX_CONSECUTIVE_FAILURES


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
