"""Answers to live sound as segments with a begin and an end, and the events among them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from scenelet.inference.stream import SmoothedPrediction


class Segment(NamedTuple):
    """Part of a recording with one answer.

    Attributes:
        start, end: seconds in the recording.
        label: the answer: a class, "silence", or None if it is unsure.
        probability: the highest smoothed probability of the answer.
    """

    start: float
    end: float
    label: str | None
    probability: float


@dataclass(frozen=True)
class Event:
    """Occurrence of a class in a recording.

    Attributes:
        start, end: seconds in the recording.
        label: the class.
        probability: the highest smoothed probability of the class.
    """

    start: float
    end: float
    label: str
    probability: float


def find_segments(predictions: Iterable[SmoothedPrediction], window_seconds: float) -> Iterator[Segment]:
    """Join neighboring predictions with the same answer to segments, which cover the complete recording.

    A prediction at time t is about the window that ends at t. So its answer begins half a window earlier. The first
    segment begins at 0, and the last one reaches the recording's end.

    Args:
        predictions: all smoothed predictions of a recording, in the order of time.
        window_seconds: length of a window.

    >>> rain = [SmoothedPrediction(t, "rain", 0.9, {}, False) for t in (5.0, 6.0, 7.0)]
    >>> unsure = [SmoothedPrediction(t, None, 0.4, {}, False) for t in (8.0, 9.0)]
    >>> list(find_segments([*rain, *unsure], window_seconds=5))
    [Segment(start=0.0, end=5.5, label='rain', probability=0.9), Segment(start=5.5, end=9.0, label=None, ...)]
    """
    start = end = highest = 0.0
    label: str | None = None
    is_first = True
    for prediction in predictions:
        if not is_first and prediction.label != label:
            boundary = max(start, prediction.seconds - window_seconds / 2)
            yield Segment(start, boundary, label, highest)
            start, highest = boundary, 0.0
        is_first, label, end = False, prediction.label, prediction.seconds
        highest = max(highest, prediction.confidence)
    if not is_first:
        yield Segment(start, end, label, highest)


def find_events(
    predictions: Iterable[SmoothedPrediction], window_seconds: float, background: str | None = None
) -> Iterator[Event]:
    """Find the events of a recording: the segments of `find_segments` whose answer is a class.

    Args:
        predictions, window_seconds: as `find_segments`.
        background: the class that means "none of these", which gives no events.

    >>> answers = [("dog", 5.0), (None, 6.0), ("silence", 7.0), ("rain", 8.0), ("rain", 9.0)]
    >>> predictions = [SmoothedPrediction(t, label, 0.9, {"dog": 0.9, "rain": 0.9}, False) for label, t in answers]
    >>> [(event.label, event.start, event.end) for event in find_events(predictions, window_seconds=5)]
    [('dog', 0.0, 3.5), ('rain', 5.5, 9.0)]
    """
    for segment in find_segments(predictions, window_seconds):
        if segment.label not in (None, "silence", background):
            yield Event(segment.start, segment.end, str(segment.label), segment.probability)
