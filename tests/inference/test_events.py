"""Events: neighboring predictions are joined, and the times are moved back by the delay of window and smoothing."""

import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenelet.audio.io import read
from scenelet.inference.classifier import load
from scenelet.inference.events import Event, find_answers, find_events
from scenelet.inference.stream import SmoothedPrediction, Stream, StreamPrediction, make_smoother

WINDOW = 5.0


def predictions(labels: Sequence[str | None], first: float = WINDOW) -> list[SmoothedPrediction]:
    """Predictions at every second; the probability of the k-th is 0.5 + k / 100."""
    return [
        SmoothedPrediction(first + k, label, 0.0 if label == "silence" else 0.5 + k / 100, {}, False)
        for k, label in enumerate(labels)
    ]


def test_events_of_no_predictions_are_none() -> None:
    assert list(find_events([], WINDOW)) == []


def test_event_from_begin_to_end_covers_the_recording() -> None:
    assert list(find_events(predictions(["dog"] * 4), WINDOW)) == [Event(0.0, 8.0, "dog", 0.53)]


def test_event_of_a_short_recording_ends_with_it() -> None:
    assert list(find_events(predictions(["dog"], first=1.5), WINDOW)) == [Event(0.0, 1.5, "dog", 0.5)]


def test_changes_are_moved_back_by_half_a_window_and_the_smoothing() -> None:
    found = list(find_events(predictions([None] * 10 + ["dog"] * 4 + ["rain"] * 10), WINDOW, smooth_seconds=2.0))
    delay = WINDOW / 2 + 2.0 * math.log(2)
    assert found == [
        Event(pytest.approx(14.5 - delay), pytest.approx(18.5 - delay), "dog", pytest.approx(0.63)),
        Event(pytest.approx(18.5 - delay), 28.0, "rain", pytest.approx(0.73)),
    ]


def test_silence_bounds_events_without_delay() -> None:
    found = list(find_events(predictions(["silence", "silence", "dog", "dog", "dog", "dog", "silence"]), WINDOW))
    # the second window, which ends at 6 s, is silent, and so is the last one, which begins at 6 s
    assert found == []
    found = list(find_events(predictions(["silence"] * 2 + ["dog"] * 8 + ["silence"]), WINDOW))
    assert found == [Event(6.0, 10.0, "dog", pytest.approx(0.59))]


def test_unsure_silence_and_background_are_no_events() -> None:
    answers = ["dog", None, "wind", None, "silence"] * 3
    labels = [event.label for event in find_events(predictions(answers), 0.0, background="wind", smooth_seconds=0)]
    assert labels == ["dog"] * 3
    labels = [event.label for event in find_events(predictions(answers), 0.0, smooth_seconds=0)]
    assert labels == ["dog", "wind"] * 3


@given(
    st.lists(st.sampled_from(["dog", "rain", "silence", None]), max_size=60),
    st.floats(0.1, 20),
    st.floats(0, 10),
)
def test_answers_cover_the_recording_without_gaps(
    labels: list[str | None], window: float, smooth_seconds: float
) -> None:
    made = predictions(labels, first=window)
    answers = list(find_answers(made, window, smooth_seconds))
    if not made:
        assert answers == []
        return
    assert answers[0].start == 0
    assert answers[-1].end == made[-1].seconds
    for before, after in itertools.pairwise(answers):
        assert before.end == after.start
    assert all(answer.start < answer.end for answer in answers)
    assert {answer.label for answer in answers} <= set(labels)


@pytest.mark.parametrize("smooth_seconds", [0.0, 2.0, 6.0])
def test_events_lie_where_a_step_in_the_sound_lies(smooth_seconds: float) -> None:
    """A network that answers by the share of the window that the sound fills, and a sound from 60 to 120 s."""

    def fraction(end: float) -> float:
        return max(0.0, min(end, 120.0) - max(end - WINDOW, 60.0)) / WINDOW

    classifier: Any = SimpleNamespace(labels=("dog", "other"), thresholds=(0.5, 0.5), min_similarity=-1.0)
    smoother = make_smoother(classifier, None, smooth_seconds, margin=0)
    ends = np.arange(WINDOW, 180)
    rows = [StreamPrediction(float(end), np.float32([fraction(end), 1 - fraction(end)])) for end in ends]
    (event,) = [e for e in find_events(map(smoother.update, rows), WINDOW, None, smooth_seconds) if e.label == "dog"]
    assert event.start == pytest.approx(60, abs=1.0)
    assert event.end == pytest.approx(120, abs=1.0)


def test_events_of_joined_clips_lie_where_the_clips_lie(esc10: Path) -> None:
    """Clips of fold 1, which the built-in model has not seen, in noise with 10 s between them."""
    clips = sorted((esc10 / "audio").glob("1-*"))[::10]
    labels = {line.split(",")[0]: line.split(",")[1] for line in (esc10 / "meta.csv").read_text().splitlines()}
    rate, gap = 44100, 10.0
    rng = np.random.default_rng(0)
    parts, truth, seconds = [], [], 0.0
    for clip in clips:
        samples, clip_rate = read(clip)
        assert clip_rate == rate
        parts += [np.zeros(round(gap * rate)), samples[0]]
        truth.append((seconds + gap, labels[clip.name]))
        seconds += gap + samples.shape[1] / rate
    sound = np.concatenate(parts) + 0.0005 * rng.standard_normal(sum(map(len, parts)))
    classifier = load("esc10", threads=1)
    stream = Stream(classifier, rate)
    made = [*stream.push(sound[None].astype(np.float32)), *stream.finish()]
    events = list(find_events(map(make_smoother(classifier).update, made), stream.window_seconds))
    hits = [[e for e in events if e.label == label and e.start < t + 5 and e.end > t] for t, label in truth]
    found = [(t, own) for (t, _), own in zip(truth, hits, strict=True) if own]
    assert len(found) >= 0.7 * len(clips)
    begins = [min(e.start for e in own) - t for t, own in found]
    ends = [max(e.end for e in own) - (t + 5) for t, own in found]
    assert abs(np.median(begins)) < 1
    assert abs(np.median(ends)) < 1
