"""The rows of a job: what `Classifier.predict` and `LogMel` say; an input that is bad has one that says why."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from pyarrow import dataset, parquet

import scenelet
from helpers.archives import Archive, rows_of, write_manifest
from helpers.tiny_model import FEATURES, WINDOW
from scenelet.audio.log_mel import LogMel
from scenelet.audio.windows import windows
from scenelet.bulk import run
from scenelet.bulk import worker as work


def test_probabilities_are_those_of_predict(model: str, archive: Archive, done: Path) -> None:
    rows = rows_of(done)
    classifier = scenelet.load(model)
    assert sorted(rows) == list(range(len(archive.names)))
    for index, name in enumerate(archive.names):
        if name in archive.bad:
            continue
        expected = classifier.predict(archive.manifest.parent / name).windows
        found = np.array([[row[f"p_{label}"] for label in classifier.labels] for row in rows[index]], np.float32)
        assert np.array_equal(found, expected)
        for number, row in enumerate(rows[index]):
            assert (row["input"], row["window"], row["error"]) == (name, number, None)
            assert row["start_seconds"] == pytest.approx(0.2 * number)
            assert row["label"] == classifier.labels[int(expected[number].argmax())]


def test_bad_inputs_have_one_row_that_says_why(archive: Archive, done: Path) -> None:
    rows = rows_of(done)
    for index, name in enumerate(archive.names):
        if name in archive.bad:
            (row,) = rows[index]
            assert row["input"] == name
            assert archive.bad[name] in row["error"]
            assert str(archive.manifest.parent / name) in row["error"]
            assert {value for key, value in row.items() if key not in ("index", "input", "error")} == {None}


def test_what_lies_in_the_folder(archive: Archive, done: Path) -> None:
    assert sorted(path.name.split("-")[1] for path in done.glob("part-*")) == [f"{k:05d}" for k in range(5)]
    assert {path.name for path in done.iterdir() if not path.name.startswith("part-")} == {"_job"}
    listed = (done / "_job/errors.csv").read_text().splitlines()
    assert listed[0] == "index,input,error"
    places = [(str(archive.names.index(name)), name) for name in archive.bad]
    assert [tuple(line.split(",")[:2]) for line in listed[1:]] == places
    schema = dataset.dataset(done).schema  # as any reader of Parquet sees the folder
    assert schema.names[:5] == ["index", "input", "window", "start_seconds", "label"]


@pytest.mark.parametrize("in_memory", [1 << 25, 1000])
def test_features(archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_memory: int) -> None:
    monkeypatch.setattr(work, "IN_MEMORY", in_memory)  # below, one recording's features wait on disk
    summary = run.extract(FEATURES, WINDOW, str(archive.manifest), str(tmp_path / "out"), workers=1)
    rows = rows_of(tmp_path / "out")
    assert (summary.inputs, summary.errors) == (len(archive.names), len(archive.bad))
    assert dataset.dataset(tmp_path / "out").schema.metadata[b"shape"] == b"2x16x13"
    for index, name in enumerate(archive.names):
        if name in archive.bad:
            (row,) = rows[index]
            assert row["log_mel"] is None
            assert archive.bad[name] in row["error"]
            continue
        cuts = windows(archive.manifest.parent / name, FEATURES, WINDOW)
        expected = [LogMel(FEATURES)(samples).astype(np.float16) for samples in cuts]
        assert len(rows[index]) == len(expected)
        for row, log_mel in zip(rows[index], expected, strict=True):
            assert np.array_equal(np.array(row["log_mel"], np.float16).reshape(2, 16, 13), log_mel)


def test_a_recording_that_breaks_in_the_middle_has_no_windows(model: str, tmp_path: Path, write_wav) -> None:
    path = write_wav(np.random.default_rng(0).normal(0, 0.1, (2, 16000)), 8000, "long.flac")
    path.write_bytes(path.read_bytes()[:-9000])
    for summary in (
        run.extract(FEATURES, WINDOW, str(path.parent), str(tmp_path / "results" / "features"), workers=1),
        run.predict(model, str(path.parent), str(tmp_path / "results" / "predict"), workers=1),
    ):
        assert (summary.inputs, summary.windows, summary.errors) == (1, 0, 1)


def test_rows_are_written_as_they_gather(
    model: str, archive: Archive, done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "IN_MEMORY", 5000)
    run.predict(model, str(archive.manifest), str(tmp_path / "out"), workers=1, shard_size=20)
    assert rows_of(tmp_path / "out") == rows_of(done)
    groups = [parquet.ParquetFile(part).num_row_groups for part in (tmp_path / "out").glob("part-*")]
    assert min(groups) > 5


def test_what_the_system_refuses_is_the_inputs_own(model: str, archive: Archive, tmp_path: Path) -> None:
    good = archive.names[1]
    write_wave = tmp_path / "slow.wav"
    soundfile.write(write_wave, np.zeros(100), 1)  # resampled, a second of it would be a hundred thousand times as long
    names = [str(archive.manifest.parent / good), "x" * 300 + ".wav", "slow.wav"]
    write_manifest(tmp_path / "list.csv", names)
    summary = run.predict(model, str(tmp_path / "list.csv"), str(tmp_path / "out"), workers=1)
    rows = rows_of(tmp_path / "out")
    assert (summary.inputs, summary.errors) == (3, 2)
    assert "File name too long" in rows[1][0]["error"]
    assert "has a sample rate of 1 Hz" in rows[2][0]["error"]


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_the_runtime_is_the_one_asked_for(
    model: str, archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runtime: str
) -> None:
    made = []

    class Noted(work.Classifier):
        def __init__(self, *arguments: object, **options: object) -> None:
            made.append(options)
            super().__init__(*arguments, threads=1)

    monkeypatch.setattr(work, "Classifier", Noted)
    run.predict(model, str(archive.manifest), str(tmp_path / "out"), workers=1, shard_size=8, runtime=runtime)
    assert made == [{"threads": 1, "runtime": runtime}]  # once for five parts
