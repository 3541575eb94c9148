"""Tables of events: what is written is read back alike."""

import csv
import io
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from helpers.tiny_model import FEATURES
from scenelet.inference.events import Event
from scenelet.timeline.results import RecordingEvents
from scenelet.timeline.tables import (
    RAVEN_COLUMNS,
    audacity_labels,
    label_files,
    raven_table,
    segments_csv,
    unique_stems,
)

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=20)
TIME = st.floats(0, 100_000)


@st.composite
def recordings(draw: st.DrawFn) -> RecordingEvents:
    events = []
    for label, start, length, probability in draw(st.lists(st.tuples(TEXT, TIME, TIME, st.floats(0, 1)), max_size=5)):
        events.append(Event(start, start + length, label, probability))
    start = draw(st.none() | st.datetimes(datetime(2000, 1, 1), datetime(2050, 1, 1), timezones=st.just(UTC)))
    return made(*events, start=start)


def made(*events: Event, path: str = "sd/garden.wav", start: datetime | None = None) -> RecordingEvents:
    return RecordingEvents(
        path=Path(path), bytes=1, modified_ns=1, seconds=200_000, sample_rate=8000, start=start, events=events
    )


@given(recordings())
def test_segments_csv_holds_every_event(recording: RecordingEvents) -> None:
    rows = list(csv.DictReader(io.StringIO(segments_csv([recording, made(path="other.wav")]))))
    assert len(rows) == len(recording.events)
    for row, event in zip(rows, recording.events, strict=True):
        assert row["file"] == "sd/garden.wav"
        assert abs(float(row["start_seconds"]) - event.start) <= 0.0005001
        assert abs(float(row["end_seconds"]) - event.end) <= 0.0005001
        assert row["label"].removeprefix("'") == event.label.removeprefix("'")
        assert (row["start_time"] == "") == (recording.start is None)
        if recording.start is not None:
            passed = datetime.fromisoformat(row["start_time"]) - recording.start
            assert abs(passed.total_seconds() - event.start) < 0.0021


@given(recordings())
def test_audacity_labels_hold_every_event(recording: RecordingEvents) -> None:
    lines = audacity_labels(recording).split("\n")
    assert lines.pop() == ""
    for line, event in zip(lines, recording.events, strict=True):
        start, end, label = line.split("\t")
        assert (float(start), float(end)) == (round(event.start, 6), round(event.end, 6))
        assert label == " ".join(event.label.split())


@given(recordings())
def test_raven_table_holds_every_event(recording: RecordingEvents) -> None:
    header, *rows = [line.split("\t") for line in raven_table(recording, FEATURES).splitlines()]
    assert tuple(header) == RAVEN_COLUMNS
    for number, (row, event) in enumerate(zip(rows, recording.events, strict=True), 1):
        cells = dict(zip(header, row, strict=True))
        assert (cells["Selection"], cells["View"], cells["Channel"]) == (str(number), "Spectrogram 1", "1")
        assert float(cells["Begin Time (s)"]) == round(event.start, 6)
        assert float(cells["End Time (s)"]) == round(event.end, 6)
        assert (cells["Low Freq (Hz)"], cells["High Freq (Hz)"]) == ("0.0", "4000.0")
        assert float(cells["Confidence"]) == round(event.probability, 4)


def test_formulas_and_odd_labels_are_safe() -> None:
    recording = made(Event(0, 1, "=1+1", 0.5), Event(1, 2, "a\tb\nc", 0.5))
    assert ",'=1+1," in segments_csv([recording])
    assert audacity_labels(recording).splitlines()[1] == "1.000000\t2.000000\ta b c"


@given(st.lists(st.sampled_from(["a", "A", "a-2", "b", "a.selections", "\u00e4" * 200]), max_size=12))
def test_label_files_have_unique_names(stems: list[str]) -> None:
    paths = [Path(f"folder{k}/{stem}.wav") for k, stem in enumerate(stems)]
    files = label_files([made(path=str(path)) for path in paths], FEATURES)
    assert len({name.casefold() for name in files}) == 2 * len(stems)
    assert all(len(name.encode()) < 230 for name in files)


def test_unique_stems_keep_unusual_names() -> None:
    assert unique_stems([Path("a/x.y.wav"), Path("b/x.y.flac"), Path("noext")]) == ["x.y", "x.y-2", "noext"]
