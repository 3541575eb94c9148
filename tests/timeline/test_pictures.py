"""Spectrograms of events: what is shown, and of which sound."""

import base64
import gc
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from helpers.tiny_model import FEATURES
from scenelet.inference.events import Event
from scenelet.timeline.pictures import MAX_BANDS, MAX_COLUMNS, event_pictures, shown_span
from scenelet.timeline.results import RecordingEvents


def recording(path: Path, seconds: float) -> RecordingEvents:
    return RecordingEvents(path=path, bytes=1, modified_ns=1, seconds=seconds, sample_rate=8000)


@pytest.mark.parametrize(
    ("event", "seconds", "span"),
    [
        ((10, 12), 60, (9, 13)),
        ((10, 10.5), 60, (9, 12)),  # at least 3 s
        ((0, 1), 60, (0, 3)),
        ((59, 60), 60, (57, 60)),
        ((10, 300), 600, (9, 29)),  # at most 20 s
        ((0, 0.5), 0.5, (0, 0.5)),
    ],
)
def test_shown_span(event: tuple[float, float], seconds: float, span: tuple[float, float]) -> None:
    assert shown_span(Event(*event, "dog", 0.9), seconds) == pytest.approx(span)


def test_picture_shows_the_tone_at_its_time(tmp_path: Path, write_tones: Callable[..., Path]) -> None:
    path = write_tones(tmp_path / "a.flac", *["low"] * 8, "high", *["low"] * 4)
    found = event_pictures(FEATURES, {7: (recording(path, 13), Event(8.0, 9.0, "high", 0.9))})
    assert list(found) == [7]
    picture = found[7]
    assert (picture["start"], picture["seconds"]) == (7.0, 3.0)
    assert picture["bands"] <= MAX_BANDS
    assert picture["frames"] <= MAX_COLUMNS
    image = np.frombuffer(base64.b64decode(picture["levels"]), np.uint8).reshape(picture["bands"], picture["frames"])
    loudest = image.argmax(axis=0)
    third = picture["frames"] // 3
    assert (loudest[third + 3 : 2 * third - 3] > 10).all()
    assert (loudest[: third - 3] < 5).all()
    assert (loudest[2 * third + 3 :] < 5).all()


def test_pictures_keep_no_sound(tmp_path: Path, write_tones: Callable[..., Path]) -> None:
    """Nothing of a recording waits for the garbage collection."""
    path = write_tones(tmp_path / "a.wav", *["low"] * 30)
    events = {k: (recording(path, 30), Event(k, k + 5, "low", 0.9)) for k in range(20)}
    event_pictures(FEATURES, events)  # allocates what stays
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        event_pictures(FEATURES, events)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()
    assert kept < 20 * 8000 * 4  # one window


def test_lost_recordings_have_no_picture_and_short_ones_have(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.full(80, 0.1), 8000)  # 10 ms, less than an analysis frame
    events = {0: (recording(tmp_path / "a.wav", 0.01), Event(0.0, 0.01, "low", 0.9))}
    events[1] = (recording(tmp_path / "lost.wav", 9), Event(0.0, 1.0, "low", 0.9))
    assert event_pictures(FEATURES, events).keys() == {0}
