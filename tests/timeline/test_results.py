"""Stored events: they are read again only for the same recording and the same settings."""

import os
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from scenelet.errors import OutputError
from scenelet.inference.events import Event
from scenelet.timeline.results import (
    RecordingEvents,
    TimelineSettings,
    check_folder,
    read_finished,
    start_folder,
    write_finished,
)

SETTINGS = TimelineSettings(model="a" * 64)
ZONE = timezone(timedelta(hours=5, minutes=30))


def stored(recording: Path) -> RecordingEvents:
    status = recording.stat()
    return RecordingEvents(
        path=recording,
        bytes=status.st_size,
        modified_ns=status.st_mtime_ns,
        seconds=12.5,
        sample_rate=8000,
        start=datetime(2024, 5, 1, 5, 30, tzinfo=ZONE),
        events=(Event(0.1, 1 / 3, "dog", 0.75),),
    )


@pytest.mark.parametrize("name", ["a.wav", "\u00fc \u6771.wav", "new\nline.wav", os.fsdecode(b"bytes \xff.wav")])
def test_finished_recording_is_read_as_it_was_written(tmp_path: Path, name: str) -> None:
    recording = tmp_path / name
    recording.write_bytes(b"sound")
    start_folder(tmp_path / "out", SETTINGS)
    assert read_finished(tmp_path / "out", recording) is None
    write_finished(tmp_path / "out", recording, stored(recording))
    found = read_finished(tmp_path / "out", recording)
    assert found == stored(recording)
    assert found.start.isoformat() == "2024-05-01T05:30:00+05:30"  # type: ignore[union-attr]


def test_changed_removed_or_damaged_recordings_are_not_finished(tmp_path: Path) -> None:
    recording = tmp_path / "a.wav"
    recording.write_bytes(b"sound")
    start_folder(tmp_path / "out", SETTINGS)
    write_finished(tmp_path / "out", recording, stored(recording))
    os.utime(recording, ns=(1, 1))
    assert read_finished(tmp_path / "out", recording) is None
    write_finished(tmp_path / "out", recording, stored(recording))
    assert read_finished(tmp_path / "out", recording) is not None
    next((tmp_path / "out" / "recordings").iterdir()).write_text('{"path": ')
    assert read_finished(tmp_path / "out", recording) is None
    recording.unlink()
    assert read_finished(tmp_path / "out", recording) is None


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"model": "b" * 64}, "another model;"),
        ({"hop_seconds": 0.5}, "another --hop;"),
        ({"smooth_seconds": 1.0}, "another --smoothing;"),
        ({"threshold": 0.9}, "another --threshold;"),
        ({"runtime": "openvino"}, "another --runtime;"),
        ({"format": 99}, "another version of scenelet;"),
    ],
)
def test_folder_with_other_settings_is_refused(tmp_path: Path, changes: dict[str, object], what: str) -> None:
    start_folder(tmp_path / "out", SETTINGS)
    start_folder(tmp_path / "out", SETTINGS)
    with pytest.raises(OutputError, match=what):
        check_folder(tmp_path / "out", SETTINGS.model_copy(update=changes))


def test_foreign_folder_and_damaged_record_are_refused(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(OutputError, match="exists already and holds no timeline; choose another --out"):
        check_folder(tmp_path, SETTINGS)
    start_folder(tmp_path / "out", SETTINGS)
    (tmp_path / "out" / "timeline.json").write_text("{}")
    with pytest.raises(OutputError, match="damaged; choose another --out, or delete the folder"):
        check_folder(tmp_path / "out", SETTINGS)
