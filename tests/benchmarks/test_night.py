"""The counts of the made night: what is found, wrong, missed and a false alarm."""

import numpy as np
import pytest
import soundfile

from benchmarks.quality.night import (
    COLLAR_SECONDS,
    GAP_SECONDS,
    RATE,
    Counts,
    Truth,
    background_hour,
    count_events,
    draw_times,
    make_night,
    read_events,
)
from scenelet.data.clips import Clip
from scenelet.errors import DataError

DOG = Truth("a.wav", 100.0, 101.0, "dog")
RAIN = Truth("a.wav", 200.0, 205.0, "rain")


def test_each_clip_is_found_wrong_or_missed_and_other_events_are_false_alarms() -> None:
    """An event in another recording, or behind the collar, is a false alarm."""
    cough = Truth("b.wav", 200.0, 205.0, "cough")
    events = [
        DOG._replace(start=99.0, end=103.0),
        RAIN._replace(label="dog"),
        RAIN._replace(file="b.wav", label="dog", start=205.0 + COLLAR_SECONDS, end=300.0),
    ]
    assert count_events([DOG, RAIN, cough], events) == Counts(found=1, wrong=1, missed=1, false_alarms=1)


def test_an_event_of_the_right_class_counts_although_another_class_overlaps() -> None:
    """The clip is found, and neither event is a false alarm."""
    events = [DOG, DOG._replace(label="rain", start=100.5)]
    assert count_events([DOG], events) == Counts(1, 0, 0, 0)


def test_times_keep_their_gap() -> None:
    """All times are apart from each other and from both ends."""
    times = draw_times(50, 3600.0, np.random.default_rng(0))
    assert np.diff([0, *times, 3600]).min() >= GAP_SECONDS - 1e-6
    with pytest.raises(DataError, match="give more --hours"):
        draw_times(60, 3600.0, np.random.default_rng(0))


def test_a_night_is_written_with_its_truth(tmp_path, monkeypatch) -> None:
    """The sound is where the truth says, and louder than what is around it."""
    monkeypatch.setattr("benchmarks.quality.night.HOUR", 240)
    (tmp_path / "background").mkdir()
    noise = np.random.default_rng(0).normal(0, 0.01, 10 * RATE)
    soundfile.write(tmp_path / "background" / "wind.wav", noise, RATE)
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE)
    soundfile.write(tmp_path / "tone.wav", np.concatenate([np.zeros(RATE), tone, np.zeros(RATE)]), RATE)
    clip = Clip(tmp_path / "tone.wav", "tone.wav", "tone", group="tone")
    make_night([clip], tmp_path / "background", hours=1, seed=0, folder=tmp_path / "night")
    (truth,) = read_events(tmp_path / "night" / "truth.csv", Truth._fields)
    assert truth.label == "tone"
    assert truth.end - truth.start == pytest.approx(1.0, abs=0.01)
    night, rate = soundfile.read(tmp_path / "night" / truth.file)
    assert (rate, len(night)) == (RATE, 240 * RATE)
    spectrum = np.abs(np.fft.rfft(night[round(truth.start * RATE) :][:RATE]))
    assert spectrum.argmax() == 1000


def test_background_never_falls_silent(monkeypatch) -> None:
    """Parts overlap, so the level stays up in each second."""
    monkeypatch.setattr("benchmarks.quality.night.HOUR", 120)
    noise = np.random.default_rng(1).normal(0, 0.01, 5 * RATE).astype(np.float32)
    hour = background_hour([noise], np.random.default_rng(2))
    seconds = hour[: 110 * RATE].reshape(-1, RATE)[3:]  # the first part is faded in
    assert np.sqrt((seconds**2).mean(axis=1)).min() > 10 ** (-48 / 20)
