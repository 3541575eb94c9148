"""A job that is cut goes on, and nothing of another job mixes with it."""

import hashlib
import heapq
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.archives import Archive, parts_of, rows_of, write_manifest
from helpers.tiny_model import FEATURES, WINDOW, tiny_model
from scenelet.bulk import engines, run
from scenelet.bulk import worker as work
from scenelet.bulk.job import Task, begin, default_shard_size, read_job
from scenelet.bulk.manifest import scan_manifest
from scenelet.bulk.storage import Folder
from scenelet.bulk.worker import process_shard
from scenelet.errors import OutputError, SceneletError
from scenelet.model import file as modelfile


def test_processes_make_the_same_parts(model: str, archive: Archive, done: Path, tmp_path: Path) -> None:
    summary = run.predict(model, str(archive.manifest), str(tmp_path / "out"), workers=2, shard_size=8)
    assert parts_of(tmp_path / "out") == parts_of(done)
    assert (summary.inputs, summary.errors, summary.parts) == (len(archive.names), len(archive.bad), 5)
    assert 1 <= summary.workers <= 2
    assert summary.peak_bytes > 1e6


def test_what_is_missing_is_made(
    model: str, archive: Archive, done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    run.predict(model, str(archive.manifest), str(out), workers=1, shard_size=8)
    names = sorted(parts_of(out))
    (out / names[1]).unlink()
    (out / f".{names[1]}.0123abcd.part").write_bytes(b"half a part")
    kept = (out / names[0]).stat().st_mtime_ns
    asked: list[list[int]] = []

    def noting(place, fingerprint, shards, workers):
        asked.append(list(shards))
        return engines.local(place, fingerprint, shards, workers)

    monkeypatch.setattr(run, "get_engine", lambda name: noting)
    run.predict(model, str(archive.manifest), str(out))  # the job knows its shards
    assert asked == [[1]]
    assert parts_of(out) == parts_of(done)
    assert (out / names[0]).stat().st_mtime_ns == kept
    assert not list(out.glob(".*.part"))
    summary = run.predict(model, str(archive.manifest), str(out))
    assert asked == [[1]]
    assert (summary.inputs, summary.workers) == (len(archive.names), 0)


def test_a_worker_passes_over_what_is_there_and_has_one_thread(done: Path) -> None:
    job = read_job(Folder(str(done)))
    before = {path: path.stat().st_mtime_ns for path in done.glob("part-*")}
    report = process_shard(str(done), job.fingerprint, 2)
    assert (report["shard"], report["fault"]) == (2, "")
    assert {path: path.stat().st_mtime_ns for path in done.glob("part-*")} == before
    assert work._worker(str(done), job.fingerprint) is work._worker(str(done), job.fingerprint)  # loaded once
    assert work._worker(str(done), job.fingerprint).maker.classifier.threads == 1
    assert "another job was begun" in process_shard(str(done), "0123", 2)["fault"]


def test_a_killed_run_goes_on(model: str, archive: Archive, done: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "scenelet", "predict", model, str(archive.manifest)]
    options = ["--out", str(out), "--workers", "2", "--shard-size", "2"]
    first = subprocess.Popen([*command, *options], start_new_session=True, stderr=subprocess.PIPE)
    while not parts_of(out):
        assert first.poll() is None
        time.sleep(0.005)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    before = parts_of(out)
    assert 0 < len(before) < 20
    second = subprocess.run([*command, *options], capture_output=True, text=True)
    assert second.returncode == 0, second.stderr
    assert "of 20 parts are done; going on" in second.stderr
    assert "40 inputs" in second.stdout
    assert before.items() <= parts_of(out).items()
    assert rows_of(out) == rows_of(done)


def test_other_jobs_are_refused(model: str, archive: Archive, tmp_path: Path) -> None:
    out, other = str(tmp_path / "out"), tmp_path / "other.scn"
    modelfile.write_model(tiny_model(seed=1), other)
    less = archive.manifest.with_name("less.csv")
    write_manifest(less, archive.names[:20])
    elsewhere = tmp_path / "all.csv"
    elsewhere.write_bytes(archive.manifest.read_bytes())
    run.predict(model, str(archive.manifest), out, workers=1)
    before = parts_of(Path(out))
    manifest = str(archive.manifest)
    for word, job in {
        "of another model": lambda: run.predict(str(other), manifest, out),
        "of another runtime": lambda: run.predict(model, manifest, out, runtime="openvino"),
        "of another command": lambda: run.extract(FEATURES, WINDOW, manifest, out),
        "of other inputs": lambda: run.predict(model, str(less), out),
        f"of recordings in {archive.manifest.parent}": lambda: run.predict(model, str(elsewhere), out),
        "in parts of 3 inputs, not 4": lambda: run.predict(model, manifest, out, shard_size=4),
    }.items():
        with pytest.raises(OutputError, match=f"holds results {word}; choose another folder"):
            job()
    assert parts_of(Path(out)) == before
    features = str(tmp_path / "features")
    run.extract(FEATURES, WINDOW, manifest, features, workers=1)
    with pytest.raises(OutputError, match="of other feature settings"):
        run.extract(FEATURES.model_copy(update={"n_mels": 8}), WINDOW, manifest, features)


def test_a_folder_with_other_things_is_refused(model: str, archive: Archive, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").touch()
    with pytest.raises(OutputError, match=r"holds other files \(thesis.txt\)"):
        run.predict(model, str(archive.manifest), str(tmp_path / "out"))
    (tmp_path / "out" / "thesis.txt").unlink()
    (tmp_path / "out" / "_job").mkdir(exist_ok=True)
    (tmp_path / "out" / "_job" / "job.json").write_text("{}")
    with pytest.raises(OutputError, match=r"job\.json: damaged"):
        run.predict(model, str(archive.manifest), str(tmp_path / "out"))


def test_two_runs_at_once(model: str, archive: Archive, tmp_path: Path) -> None:
    with run._alone(Folder(str(tmp_path / "out"))), pytest.raises(OutputError, match="another run is writing into it"):
        run.predict(model, str(archive.manifest), str(tmp_path / "out"))


def test_a_part_that_cannot_be_made(
    model: str, archive: Archive, done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its sentence is said, the others are made, and the next run makes it."""
    out, recording = tmp_path / "out", work.open_input

    def unplugged(place):
        if place.endswith("clips/9.wav"):
            raise SceneletError("the disk is not plugged in")
        return recording(place)

    monkeypatch.setattr(work, "open_input", unplugged)
    with pytest.raises(OutputError, match=r"1 of 5 parts could not be made \(the disk is not plugged in\)"):
        run.predict(model, str(archive.manifest), str(out), workers=1, shard_size=8)
    assert len(parts_of(out)) == 4
    monkeypatch.undo()
    run.predict(model, str(archive.manifest), str(out), workers=1)
    assert parts_of(out) == parts_of(done)


def test_a_part_is_there_whole_or_not_at_all(
    model: str, archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"

    def fail(*_: object) -> None:
        assert list(out.rglob(".*.part"))  # written, but not under its name
        assert not list(out.glob("part-*"))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("scenelet.bulk.storage.os.replace", fail)
    with pytest.raises(OutputError, match="No space left on device"):
        run.predict(model, str(archive.manifest), str(out), workers=1)
    assert {path.name for path in out.rglob("*") if path.is_file()} == {"lock"}


def test_a_job_is_written_down_last(
    model: str, archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("scenelet.bulk.manifest.parquet.ParquetWriter.write_table", fail)
        with pytest.raises(OutputError, match="No space left on device"):
            run.predict(model, str(archive.manifest), str(tmp_path / "out"), workers=1)
    assert not (tmp_path / "out" / "_job" / "job.json").exists()
    run.predict(model, str(archive.manifest), str(tmp_path / "out"), workers=1)


def test_a_full_disk_ends_the_run_soon(
    model: str, archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def fail(self: object, shard: int) -> None:
        asked.append(shard)
        raise OutputError("the disk is full")

    monkeypatch.setattr(work.Worker, "work", fail)
    with pytest.raises(OutputError, match=r"40 of 40 parts could not be made \(the disk is full\)"):
        run.predict(model, str(archive.manifest), str(tmp_path / "out"), workers=1, shard_size=1)
    assert len(asked) == run.MAX_CONSECUTIVE_FAILURES


def test_a_job_without_a_part_gives_way(model: str, archive: Archive, done: Path, tmp_path: Path) -> None:
    out, other = str(tmp_path / "out"), tmp_path / "other.scn"
    modelfile.write_model(tiny_model(seed=1), other)
    manifest = scan_manifest(str(archive.manifest))
    with run._alone(Folder(out)):
        task = Task(kind="predict", features=FEATURES, window=WINDOW, model=hashlib.sha256(b"x").hexdigest())
        begin(Folder(out), task, b"x", manifest, 8)
    run.predict(model, str(archive.manifest), out, workers=1, shard_size=8)
    assert parts_of(Path(out)) == parts_of(done)


def test_a_model_that_was_exchanged_is_not_used(model: str, archive: Archive, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run.predict(model, str(archive.manifest), str(out), workers=1, shard_size=8)
    next(out.glob("part-00001*")).unlink()
    modelfile.write_model(tiny_model(seed=1), out / "_job" / "model.scn")
    work._worker.cache_clear()
    with pytest.raises(OutputError, match=r"model\.scn: is not the model that the job began with"):
        run.predict(model, str(archive.manifest), str(out), workers=1)


@pytest.mark.parametrize("name", ["part-00002", "_job/inputs.parquet"])
def test_what_is_damaged_is_said(model: str, archive: Archive, tmp_path: Path, name: str) -> None:
    out = tmp_path / "out"
    run.predict(model, str(archive.manifest), str(out), workers=1, shard_size=8)
    next(out.glob("part-00001*")).unlink()
    next(out.glob(f"{name}*")).write_bytes(b"")
    with pytest.raises(OutputError, match=rf"{name}.*: damaged; delete it"):
        run.predict(model, str(archive.manifest), str(out), workers=1)


def test_redo_makes_parts_with_errors_anew(model: str, archive: Archive, tmp_path: Path) -> None:
    out, names = tmp_path / "out", [name for name in archive.names if name not in archive.bad][:12]
    root = tmp_path / "set"
    (root / "clips").mkdir(parents=True)
    for name in set(names):
        shutil.copy(archive.manifest.parent / name, root / name)
    write_manifest(root / "all.csv", names)
    hidden = root / names[5]
    hidden.rename(root / "away")
    assert run.predict(model, str(root / "all.csv"), str(out), workers=1, shard_size=4).errors == 1
    (root / "away").rename(hidden)
    kept = next(out.glob("part-00000*")).stat().st_mtime_ns
    assert run.predict(model, str(root / "all.csv"), str(out), workers=1).errors == 1
    assert run.predict(model, str(root / "all.csv"), str(out), workers=1, retry_errors=True).errors == 0
    assert next(out.glob("part-00000*")).stat().st_mtime_ns == kept


def test_workers_end_with_their_driver(model: str, archive: Archive, tmp_path: Path) -> None:
    long = archive.manifest.with_name("longer.csv")
    write_manifest(long, 100 * archive.names)
    command = [sys.executable, "-m", "scenelet", "predict", model, str(long), "--out", str(tmp_path / "out")]
    for stop, code in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)):
        driver = subprocess.Popen([*command, "--workers", "2", "--shard-size", "1000"], stderr=subprocess.PIPE)
        while len(workers := psutil.Process(driver.pid).children(recursive=True)) < 3:  # and a tracker of theirs
            assert driver.poll() is None
            time.sleep(0.01)
        time.sleep(0.5)
        driver.send_signal(stop)
        _, err = driver.communicate()
        assert driver.returncode == code
        assert b"Traceback" not in err
        _, alive = psutil.wait_procs(workers, timeout=60)
        assert not alive


@given(st.integers(1, 2000), st.integers(1, 50))
def test_tasks_of_ray(count: int, processors: int) -> None:
    shards = range(3, 3 + count)
    found = engines.tasks(shards, processors)
    assert [shard for task in found for shard in task] == list(shards)
    busy = [0] * processors
    for task in found:
        heapq.heappush(busy, heapq.heappop(busy) + len(task))
    assert max(busy) <= count / processors + 1  # no processor works long after the others


def test_sizes_of_tasks() -> None:
    assert [len(task) for task in engines.tasks(range(32), 2)] == [8, 6, 4, 3, 2, 2] + 7 * [1]
    assert [len(task) for task in engines.tasks(range(118), 2)][:6] == [16, 16, 16, 16, 13, 10]
    many = [len(task) for task in engines.tasks(range(10**6), 100)]
    assert max(many) == 250
    assert len(many) < 6000


def test_shard_size() -> None:
    assert [default_shard_size(n) for n in (1, 16, 17, 1000, 4096, 10**6)] == [1, 1, 2, 63, 256, 256]
