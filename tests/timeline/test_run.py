"""A timeline from recordings to files: its events, resuming, and recordings that fail."""

import csv
import dataclasses
import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
import soundfile

from scenelet.errors import OutputError, UsageError
from scenelet.inference.classifier import Classifier, load
from scenelet.inference.events import find_events
from scenelet.inference.stream import Stream, make_smoother
from scenelet.model.file import read_model, write_model
from scenelet.timeline import run
from scenelet.timeline.run import make_timeline


def test_events_are_those_of_live_sound(model: str, recordings: list[Path], tmp_path: Path) -> None:
    made = make_timeline(model, recordings, tmp_path / "out", hop_seconds=0.1, smooth_seconds=0.2, threshold=0.4)
    assert made.failed == 0
    classifier = load(model, threads=1)
    for path, result in zip(recordings, made.recordings, strict=True):
        samples, rate = soundfile.read(path, dtype="float32")
        stream = Stream(classifier, rate, 0.1)
        predictions = [*stream.push(samples[None]), *stream.finish()]
        smoother = make_smoother(classifier, 0.4, 0.2, 0.1)
        assert result.events == tuple(find_events(map(smoother.update, predictions), 0.2, None, 0.2))
        assert result.seconds == 4.0
    assert [str(result.start) for result in made.recordings] == ["2024-05-01 05:30:00", "2024-05-01 06:00:00", "None"]


def test_files_of_a_timeline(model: str, recordings: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    made = make_timeline(model, recordings, out, threshold=0, smooth_seconds=0)
    rows = list(csv.DictReader(io.StringIO((out / "segments.csv").read_text())))
    assert len(rows) == sum(len(result.events) for result in made.recordings) > 0
    assert {row["file"] for row in rows} == {str(path) for path in recordings}
    assert rows[0]["start_time"] == "2024-05-01T05:30:00.000"
    assert rows[-1]["start_time"] == ""
    names = {path.name for path in (out / "labels").iterdir()}
    stems = ("20240501_053000", "20240501_060000", "garden")
    assert names == {f"{stem}{ending}" for stem in stems for ending in (".txt", ".selections.txt")}
    assert {path.name for path in out.iterdir() if not path.name.startswith(".")} == {
        *("segments.csv", "labels", "timeline.html", "spectrograms.js", "timeline.json", "recordings")
    }


def test_events_lie_where_the_tones_lie(model: str, recordings: list[Path], tmp_path: Path) -> None:
    made = make_timeline(model, recordings, tmp_path / "out", hop_seconds=0.05, smooth_seconds=0.1)
    found = [
        [(e.label, pytest.approx(e.start, abs=0.1), pytest.approx(e.end, abs=0.1)) for e in result.events]
        for result in made.recordings
    ]
    assert found[0] == [("low", 0, 1), ("mid", 1, 3), ("high", 3, 4)]
    assert found[1] == [("low", 1, 2)]
    assert found[2] == [("high", 0, 2), ("low", 2, 3), ("mid", 3, 4)]


def test_background_gives_no_events(model: str, recordings: list[Path], tmp_path: Path) -> None:
    background = dataclasses.replace(read_model(model), background="mid")
    write_model(background, tmp_path / "background.scn")
    made = make_timeline(str(tmp_path / "background.scn"), recordings, tmp_path / "out", smooth_seconds=0.1)
    assert [[event.label for event in result.events] for result in made.recordings] == [
        ["low", "high"],
        ["low"],
        ["high", "low"],
    ]


def test_finished_recordings_are_not_read_again(
    model: str, recordings: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    first = make_timeline(model, recordings, out, threshold=0)
    files = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    read: list[Path] = []
    find = run._find_events
    monkeypatch.setattr(run, "_find_events", lambda *given: read.append(given[1]) or find(*given))
    assert make_timeline(model, recordings, out, threshold=0) == first
    assert read == []
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == files
    os.utime(recordings[1], ns=(1, 1))
    make_timeline(model, recordings, out, threshold=0)
    assert read == [recordings[1]]


def test_interrupted_run_loses_the_recording_in_progress_only(
    model: str, recordings: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, find = tmp_path / "out", run._find_events

    def interrupted(classifier: Classifier, path: Path, settings: Any) -> Any:
        if path == recordings[1]:
            raise KeyboardInterrupt
        return find(classifier, path, settings)

    monkeypatch.setattr(run, "_find_events", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make_timeline(model, recordings, out)
    assert len(list((out / "recordings").iterdir())) == 1
    assert not (out / "timeline.html").exists()
    monkeypatch.setattr(run, "_find_events", lambda *given: find(*given) if given[1] != recordings[0] else 1 / 0)
    assert len(make_timeline(model, recordings, out).recordings) == 3


def test_unreadable_recordings_are_reported_and_the_others_processed(
    model: str, recordings: list[Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "sd" / "broken.wav"
    broken.write_bytes(b"RIFF")
    made = make_timeline(model, [broken, *recordings, tmp_path / "missing.wav", recordings[0]], tmp_path / "out")
    assert (len(made.recordings), made.failed) == (3, 2)
    errors = [line for line in capfd.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 2
    assert "broken.wav: not a recording that can be read" in errors[0]
    assert "missing.wav: no such file" in errors[1]


def test_short_events_are_left_out_without_reading_again(model: str, recordings: list[Path], tmp_path: Path) -> None:
    options: dict[str, Any] = {"threshold": 0.0, "smooth_seconds": 0.0, "hop_seconds": 0.1}
    every = make_timeline(model, recordings, tmp_path / "out", **options)
    longer = make_timeline(model, recordings, tmp_path / "out", min_seconds=1.5, **options)
    lengths = [[event for event in result.events if event.end - event.start >= 1.5] for result in every.recordings]
    assert [list(result.events) for result in longer.recordings] == lengths
    assert every != longer
    assert make_timeline(model, recordings, tmp_path / "out", **options) == every


def test_wrong_settings_are_refused_before_the_folder_is_made(
    model: str, recordings: list[Path], tmp_path: Path
) -> None:
    wrong: tuple[dict[str, Any], ...] = ({"hop_seconds": 3}, {"threshold": 2}, {"margin": -1}, {"smooth_seconds": -1})
    not_a_number = ({name: float("nan")} for name in ("hop_seconds", "threshold", "margin", "smooth_seconds"))
    for options in (*wrong, *not_a_number):
        with pytest.raises(UsageError):
            make_timeline(model, recordings, tmp_path / "out", **options)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").touch()
    with pytest.raises(OutputError, match="holds no timeline"):
        make_timeline(model, recordings, tmp_path / "photos")
    assert not (tmp_path / "out").exists()
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["a.jpg"]


def test_settings_are_recorded(model: str, recordings: list[Path], tmp_path: Path) -> None:
    make_timeline(model, recordings[:1], tmp_path / "out", hop_seconds=0.1)
    assert json.loads((tmp_path / "out" / "timeline.json").read_text())["hop_seconds"] == 0.1
    with pytest.raises(OutputError, match="another --hop; choose another --out"):
        make_timeline(model, recordings[:1], tmp_path / "out", hop_seconds=0.2)
