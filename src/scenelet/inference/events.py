"""Answers to live sound with begin and end, and the events among them."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from scenelet.inference.stream import SmoothedPrediction


class Answer(NamedTuple):
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


def find_answers(
    predictions: Iterable[SmoothedPrediction], window_seconds: float, smooth_seconds: float = 2.0
) -> Iterator[Answer]:
    """Join neighboring predictions with the same answer; the results cover the complete recording.

    A prediction is about the window that ends at its time, and smoothing delays it. So a change of the answer is moved
    back by half a window and by the smoother's delay. The smoother does not delay silence: the first silent window
    begins after the sound has ended, and the last one ends before the sound begins. The first answer begins at 0, and
    the last one reaches the recording's end.

    Args:
        predictions: all smoothed predictions of a recording, in the order of time.
        window_seconds: length of a window.
        smooth_seconds: the smoother's time constant.

    >>> rain = [SmoothedPrediction(t, "rain", 0.9, {}, False) for t in (5.0, 6.0, 7.0)]
    >>> unsure = [SmoothedPrediction(t, None, 0.4, {}, False) for t in (8.0, 9.0)]
    >>> list(find_answers([*rain, *unsure], window_seconds=5, smooth_seconds=0))
    [Answer(start=0.0, end=5.0, label='rain', probability=0.9), Answer(start=5.0, end=9.0, label=None, ...)]
    """
    start = highest = 0.0
    before: SmoothedPrediction | None = None
    for prediction in predictions:
        if before is not None and prediction.label != before.label:
            boundary = max(start, _boundary(before, prediction, window_seconds, smooth_seconds))
            if boundary > start:
                yield Answer(start, boundary, before.label, highest)
            start, highest = boundary, 0.0
        before, highest = prediction, max(highest, prediction.confidence)
    if before is not None:
        yield Answer(start, before.seconds, before.label, highest)


def _boundary(
    before: SmoothedPrediction, after: SmoothedPrediction, window_seconds: float, smooth_seconds: float
) -> float:
    """Return the time of a change between two predictions."""
    if after.label == "silence":
        return after.seconds - window_seconds
    if before.label == "silence":
        return before.seconds
    # the window that changes the answer ends between the two; an average has made half a step after ln 2 constants
    return (before.seconds + after.seconds) / 2 - window_seconds / 2 - math.log(2) * smooth_seconds


def find_events(
    predictions: Iterable[SmoothedPrediction],
    window_seconds: float,
    background: str | None = None,
    smooth_seconds: float = 2.0,
) -> Iterator[Event]:
    """Find the events of a recording: the answers of `find_answers` that are classes.

    Args:
        predictions, window_seconds, smooth_seconds: as `find_answers`.
        background: the class that means "none of these", which gives no events.

    >>> answers = [("dog", 5.0), ("dog", 6.0), ("silence", 7.0), ("rain", 8.0), ("rain", 9.0)]
    >>> predictions = [SmoothedPrediction(t, label, 0.9, {"dog": 0.9, "rain": 0.9}, False) for label, t in answers]
    >>> [(event.label, event.start, event.end) for event in find_events(predictions, window_seconds=5)]
    [('dog', 0.0, 2.0), ('rain', 7.0, 9.0)]
    """
    for answer in find_answers(predictions, window_seconds, smooth_seconds):
        if answer.label not in (None, "silence", background):
            yield Event(answer.start, answer.end, str(answer.label), answer.probability)
