"""Rows of a job: the numbers of `Classifier.predict` and `LogMel`, and one row with the error of an invalid input."""

import contextlib
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
import soundfile
from pyarrow import dataset, parquet

import scenelet
from helpers.archives import Archive, rows_by_input, write_manifest
from helpers.processes import start_scenelet
from helpers.tiny_model import FEATURES, WINDOW, changed, tiny_model, with_known_sounds
from scenelet.audio import decoder
from scenelet.audio.log_mel import LogMel
from scenelet.audio.windows import windows
from scenelet.bulk import run
from scenelet.bulk.job import Job, Task, read_job, start_job
from scenelet.bulk.manifest import scan_manifest
from scenelet.bulk.parts import BUFFER_BYTES, PartWriter
from scenelet.bulk.rows import ProbabilityRows, WindowCutter
from scenelet.bulk.storage import Folder
from scenelet.bulk.worker import Worker, get_worker, process_shard
from scenelet.errors import DataError
from scenelet.inference.classifier import Classifier


def start_extraction(manifest: Path, out: Path) -> Job:
    task = Task(kind="features", features=FEATURES, window=WINDOW)
    return start_job(Folder(str(out)), task, b"", scan_manifest(str(manifest)), 8)


def test_worker_probabilities_same_as_predict(model: str, archive: Archive, finished_job: Path) -> None:
    rows = rows_by_input(finished_job)
    classifier = scenelet.load(model)
    assert sorted(rows) == list(range(len(archive.names)))
    for index, name in enumerate(archive.names):
        if name in archive.invalid:
            continue
        expected = classifier.predict(archive.manifest.parent / name).windows
        found = np.array([[row[f"p_{label}"] for label in classifier.labels] for row in rows[index]], np.float32)
        assert np.array_equal(found, expected)
        for number, row in enumerate(rows[index]):
            assert (row["input"], row["window"], row["error"]) == (name, number, None)
            assert row["start_seconds"] == pytest.approx(0.2 * number)
            assert row["label"] == classifier.labels[int(expected[number].argmax())]


def test_worker_invalid_input_has_one_row_with_error(archive: Archive, finished_job: Path) -> None:
    rows = rows_by_input(finished_job)
    for index, name in enumerate(archive.names):
        if name in archive.invalid:
            (row,) = rows[index]
            assert row["input"] == name
            assert archive.invalid[name] in row["error"]
            assert str(archive.manifest.parent / name) in row["error"]
            assert {value for key, value in row.items() if key not in ("index", "input", "error")} == {None}


def test_finished_folder_is_a_parquet_dataset(archive: Archive, finished_job: Path) -> None:
    assert sorted(path.name.split("-")[1] for path in finished_job.glob("part-*")) == [f"{k:05d}" for k in range(5)]
    assert {path.name for path in finished_job.iterdir() if not path.name.startswith("part-")} == {"_job"}
    lines = (finished_job / "_job/errors.csv").read_text().splitlines()
    assert lines[0] == "index,input,error"
    expected = [(str(archive.names.index(name)), name) for name in archive.invalid]
    assert [tuple(line.split(",")[:2]) for line in lines[1:]] == expected
    assert dataset.dataset(finished_job).schema.names[:5] == [
        "index",
        "input",
        "window",
        "start_seconds",
        "end_seconds",
    ]


@pytest.mark.parametrize("buffer_bytes", [BUFFER_BYTES, 1000])
def test_worker_features_same_as_log_mel(archive: Archive, tmp_path: Path, buffer_bytes: int) -> None:
    """With the small buffer, the features of one recording are on disk."""
    job = start_extraction(archive.manifest, tmp_path / "out")
    worker = Worker(str(tmp_path / "out"), job.job_hash, buffer_bytes=buffer_bytes)
    for shard in range(job.shards):
        worker.process(shard)
    rows = rows_by_input(tmp_path / "out")
    assert dataset.dataset(tmp_path / "out").schema.metadata[b"shape"] == b"2x16x13"
    for index, name in enumerate(archive.names):
        if name in archive.invalid:
            (row,) = rows[index]
            assert row["log_mel"] is None
            assert archive.invalid[name] in row["error"]
            continue
        cuts = windows(archive.manifest.parent / name, FEATURES, WINDOW)
        expected = [LogMel(FEATURES)(samples).astype(np.float16) for samples in cuts]
        assert len(rows[index]) == len(expected)
        for row, log_mel in zip(rows[index], expected, strict=True):
            assert np.array_equal(np.array(row["log_mel"], np.float16).reshape(2, 16, 13), log_mel)


def test_extract_counts_inputs_and_errors(archive: Archive, tmp_path: Path) -> None:
    summary = run.extract(FEATURES, WINDOW, str(archive.manifest), str(tmp_path / "out"), workers=1)
    assert (summary.inputs, summary.errors) == (len(archive.names), len(archive.invalid))


def test_worker_recording_damaged_in_the_middle_has_no_windows(model: str, tmp_path: Path, write_wav) -> None:
    path = write_wav(np.random.default_rng(0).normal(0, 0.1, (2, 16000)), 8000, "long.flac")
    path.write_bytes(path.read_bytes()[:-9000])
    for summary in (
        run.extract(FEATURES, WINDOW, str(path.parent), str(tmp_path / "results" / "features"), workers=1),
        run.predict(model, str(path.parent), str(tmp_path / "results" / "predict"), workers=1),
    ):
        assert (summary.inputs, summary.windows, summary.errors) == (1, 0, 1)


def test_worker_small_buffer_gives_same_rows(finished_job: Path, tmp_path: Path) -> None:
    job = read_job(Folder(str(finished_job)))
    folder = Folder(str(tmp_path / "out"))
    for name in ("job.json", "inputs.parquet", "model.scn"):
        folder.write(f"_job/{name}", (finished_job / "_job" / name).read_bytes())
    worker = Worker(folder.path, job.job_hash, buffer_bytes=1000)
    for shard in range(job.shards):
        worker.process(shard)
    assert rows_by_input(tmp_path / "out") == rows_by_input(finished_job)
    groups = [parquet.read_metadata(part).num_row_groups for part in (tmp_path / "out").glob("part-*")]
    assert min(groups) > 5


def test_worker_system_error_belongs_to_the_input(model: str, archive: Archive, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "slow.wav", np.zeros(100), 1)  # resampling would make it thousands of times longer
    inputs = [str(archive.manifest.parent / archive.names[1]), "x" * 300 + ".wav", "slow.wav"]
    write_manifest(tmp_path / "list.csv", inputs)
    summary = run.predict(model, str(tmp_path / "list.csv"), str(tmp_path / "out"), workers=1)
    rows = rows_by_input(tmp_path / "out")
    assert (summary.inputs, summary.errors) == (3, 2)
    assert "File name too long" in rows[1][0]["error"]
    assert "has a sample rate of 1 Hz" in rows[2][0]["error"]


def test_process_shard_existing_part_is_unchanged(finished_job: Path) -> None:
    job = read_job(Folder(str(finished_job)))
    before = {path: path.stat().st_mtime_ns for path in finished_job.glob("part-*")}
    result = process_shard(str(finished_job), job.job_hash, (), (), 2)
    assert (result.shard, result.error, result.counts) == (2, "", None)
    assert {path: path.stat().st_mtime_ns for path in finished_job.glob("part-*")} == before
    assert "another job was started" in process_shard(str(finished_job), "0123", (), (), 2).error


def test_get_worker_loads_model_once_with_one_thread(finished_job: Path) -> None:
    job = read_job(Folder(str(finished_job)))
    worker = get_worker(str(finished_job), job.job_hash)
    assert worker is get_worker(str(finished_job), job.job_hash)
    assert worker.rows.classifier.threads == 1


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_worker_uses_runtime_of_job(model: str, archive: Archive, tmp_path: Path, runtime: str) -> None:
    if runtime == "openvino":
        pytest.importorskip("openvino")
    (tmp_path / "one.csv").write_text(f"path\n{archive.manifest.parent / archive.valid_names[0]}\n")
    out = tmp_path / "out"
    summary = run.predict(model, str(tmp_path / "one.csv"), str(out), workers=1, runtime=runtime)
    assert summary.errors == 0
    job = read_job(Folder(str(out)))
    assert Worker(str(out), job.job_hash).rows.classifier.runtime == runtime


STRANGE = {
    "nul\0.wav": "no such file",
    "x" * 5000 + ".wav": "File name too long",
    "http://[bad/a.wav": "not a valid address",
    "http://127.0.0.1:99999/a.wav": "not a valid address",
    "https://" + "a" * 70 + ".example/a.wav": "cannot be",
    "s3://": "cannot be",
    "s3://UPPER CASE/a.wav": "cannot be",
    "reference://0::data:application/x.json;base64,e30=": "chained URLs are not read",
    "gopher://a/b.wav": "the protocol gopher is not allowed",
    "file://nul\0.wav": "no such file",
    "../" * 3000 + "a.wav": "File name too long",
    "\u202egnp.wav": "no such file",
    "~nobody/a.wav": "no such file",
    "/dev/zero": "not a file",
    "/proc/self/mem": "cannot be read",
}


@pytest.mark.parametrize("text", STRANGE, ids=range(len(STRANGE)))
def test_worker_any_strange_row_is_its_own_error(
    model: str, archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    good = str(archive.manifest.parent / archive.valid_names[0])
    parquet.write_table(pyarrow.table({"path": [good, text, good]}), tmp_path / "list.parquet")
    with contextlib.suppress(DataError):  # a host that cannot be reached
        run.predict(model, str(tmp_path / "list.parquet"), str(tmp_path / "out"), workers=1, shard_size=3)
    rows = rows_by_input(tmp_path / "out")
    assert [rows[index][0]["error"] for index in (0, 2)] == [None, None]
    assert STRANGE[text] in rows[1][0]["error"]
    assert rows[1][0]["input"] == text


@pytest.mark.parametrize(
    "error", [pyarrow.ArrowCapacityError("too long"), MemoryError(), RecursionError("deep"), UnicodeError("odd")]
)
def test_worker_any_exception_is_the_error_of_its_row(
    model: str, archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    names = archive.valid_names[:3]
    write_manifest(tmp_path / "list.csv", [str(archive.manifest.parent / name) for name in names])
    cut = WindowCutter.cut

    def fail(self: WindowCutter, source: Path) -> object:
        if source.name == Path(names[1]).name:
            raise error
        return cut(self, source)

    monkeypatch.setattr(WindowCutter, "cut", fail)
    summary = run.predict(model, str(tmp_path / "list.csv"), str(tmp_path / "out"), workers=1, shard_size=3)
    rows = rows_by_input(tmp_path / "out")
    assert (summary.inputs, summary.errors) == (3, 1)
    assert f"cannot be read ({type(error).__name__}" in rows[1][0]["error"]


def test_worker_rows_have_ends_and_unsure(model: str, archive: Archive, finished_job: Path) -> None:
    """The last window ends with the recording, also if the window is longer."""
    rows = rows_by_input(finished_job)
    classifier = scenelet.load(model)
    for index, name in enumerate(archive.names):
        if name not in archive.invalid:
            seconds = soundfile.info(archive.manifest.parent / name).duration
            ends = [row["end_seconds"] for row in rows[index]]
            assert ends == pytest.approx([min(0.2 * (k + 1), seconds) for k in range(len(ends))])
            for row in rows[index]:
                probabilities = [row[f"p_{label}"] for label in classifier.labels]
                top = int(np.argmax(probabilities))
                assert row["unsure"] == (probabilities[top] < classifier.thresholds[top])


@pytest.mark.parametrize(("minimum", "unsure"), [(-1.0, False), (1.0, True)])
def test_rows_are_unsure_below_the_minimum_similarity(tmp_path: Path, minimum: float, unsure: bool) -> None:
    soundfile.write(tmp_path / "a.wav", np.random.default_rng(0).normal(0, 0.1, 4800), 8000)
    model = changed(with_known_sounds(tiny_model(), minimum), results={"threshold": {"probability": 0}})
    (columns,) = ProbabilityRows(Classifier(model, threads=1)).read(tmp_path / "a.wav")
    assert columns["unsure"] == [unsure] * 3


def test_worker_end_of_a_short_recording_is_its_own(model: str, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.ones(2400) / 9, 8000)  # 1.5 windows
    run.predict(model, str(tmp_path), str(tmp_path / "out"), workers=1)
    assert [row["end_seconds"] for row in rows_by_input(tmp_path / "out")[0]] == pytest.approx([0.2, 0.3])


@pytest.mark.skipif(os.name != "posix", reason="other systems decode in the same process")
@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGSEGV])
def test_worker_decoder_that_hangs_costs_one_row_and_a_dead_one_none(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    """The idle decoder is stopped or killed after the first recording; the next ones get another."""
    for name in ("a.flac", "b.flac", "c.flac"):
        soundfile.write(tmp_path / name, np.random.default_rng(0).normal(0, 0.1, 8000), 8000)
    process = Worker._process_input

    def strike(worker: Worker, part: PartWriter, index: int, *arguments: Any) -> None:
        if index == 1:
            (child,) = decoder.DECODER._idle
            child.connection.settimeout(0.5)
            child.process.send_signal(number)
            if number == signal.SIGSEGV:
                child.process.wait()
        process(worker, part, index, *arguments)

    monkeypatch.setattr(Worker, "_process_input", strike)
    summary = run.predict(model, str(tmp_path), str(tmp_path / "out"), workers=1, shard_size=3)
    rows = rows_by_input(tmp_path / "out")
    assert (summary.inputs, summary.errors) == (3, 1 if number == signal.SIGSTOP else 0)
    if number == signal.SIGSTOP:
        assert "decoding gave nothing for" in rows[1][0]["error"]


def test_worker_file_that_hangs_libsndfile_is_refused(model: str, archive: Archive, tmp_path: Path) -> None:
    """The test runs in a process of its own, which is ended if the recording is decoded after all."""
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips/endless.wav").write_bytes(b"RIFF\x18\0\0\0WAVELIST\0\0\1\0INFOfact\xf4\xff\xff\xff")
    soundfile.write(tmp_path / "clips/good.wav", np.ones(8000) / 9, 8000)
    command = start_scenelet("predict", model, str(tmp_path / "clips"), "--out", str(tmp_path / "out"))
    assert command.wait(timeout=120) == 0
    rows = rows_by_input(tmp_path / "out")
    assert [rows[index][0]["error"] is None for index in (0, 1)] == [False, True]
