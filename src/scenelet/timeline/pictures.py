"""Small spectrograms of events, read from the recordings."""

import base64
import contextlib
from collections.abc import Iterable, Mapping
from typing import Any

from scenelet.audio.display import levels, pool, shown_range
from scenelet.audio.log_mel import LogMel
from scenelet.audio.segment import Segment
from scenelet.audio.windows import windows
from scenelet.config import FeatureConfig, WindowConfig
from scenelet.errors import AudioError
from scenelet.inference.events import Event
from scenelet.timeline.results import RecordingEvents
from scenelet.utils.console import track

BEFORE_SECONDS = 1.0
"""Sound that is shown before an event and after it."""
MAX_SECONDS = 20.0
MIN_SECONDS = 3.0
MAX_COLUMNS, MAX_BANDS = 160, 48


def event_pictures(
    features: FeatureConfig, events: Mapping[int, tuple[RecordingEvents, Event]]
) -> dict[int, dict[str, Any]]:
    """Compute the spectrograms of events; those of recordings that can no longer be read are left out.

    Args:
        features: front end of the model, whose log-mel is shown.
        events: recordings and events by the number of the event.

    Returns:
        "levels" (Base64 of bytes, lowest band first), "bands", "frames", "start" and "seconds" in the recording, by
        number.
    """
    log_mel = LogMel(features)
    return dict(track(_pictures(log_mel, events.items()), "Spectrograms", len(events)))


def _pictures(
    log_mel: LogMel, events: Iterable[tuple[int, tuple[RecordingEvents, Event]]]
) -> Iterable[tuple[int, dict[str, Any]]]:
    for number, (recording, event) in events:
        with contextlib.suppress(AudioError):
            yield number, _picture(log_mel, recording, event)


def _picture(log_mel: LogMel, recording: RecordingEvents, event: Event) -> dict[str, Any]:
    start, end = shown_span(event, recording.seconds)
    features = log_mel.config
    window = WindowConfig(seconds=MAX_SECONDS, min_last_fraction=0)
    # all windows are read, or this one would keep its memory until the next garbage collection
    samples, *_ = windows(Segment(recording.path, start, end), features, window, on_note=lambda _: None)
    frames = max(1, round((end - start) * features.sample_rate / features.hop_length))
    values = pool(pool(log_mel(samples).mean(axis=0)[:, :frames], MAX_COLUMNS).T, MAX_BANDS).T
    image = levels(values, *shown_range([values], features.top_db))
    return {
        "levels": base64.b64encode(image.tobytes()).decode(),
        "bands": image.shape[0],
        "frames": image.shape[1],
        "start": round(start, 3),
        "seconds": round(end - start, 3),
    }


def shown_span(event: Event, seconds: float) -> tuple[float, float]:
    """Return begin and end of what is shown of an event, in the seconds of its recording, whose length is given.

    >>> shown_span(Event(10.0, 12.0, "dog", 0.9), seconds=60.0), shown_span(Event(2.0, 50.0, "rain", 0.9), seconds=60.0)
    ((9.0, 13.0), (1.0, 21.0))
    """
    start = max(0.0, event.start - BEFORE_SECONDS)
    end = min(seconds, start + MAX_SECONDS, max(event.end + BEFORE_SECONDS, start + MIN_SECONDS))
    return max(0.0, min(start, end - MIN_SECONDS)), end
