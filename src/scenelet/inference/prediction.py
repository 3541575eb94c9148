"""Predictions for windows and recordings, the mean over windows, and the treatment of unreadable recordings."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scenelet.audio.io import AudioSource, summarize_audio_errors
from scenelet.errors import AudioError

Probabilities = NDArray[np.float32]


class WindowPrediction(NamedTuple):
    """Prediction for one window.

    Attributes:
        probabilities: (classes,). Those of a silent window are 0.
        similarity: similarity to the nearest class, see `scenelet.model.known_sounds.similarities`. It is None for a
            silent window, and if the model has no known sounds.
    """

    probabilities: Probabilities
    similarity: float | None = None


@dataclass(frozen=True, eq=False)
class Prediction:
    """Prediction for one recording.

    Attributes:
        label: the most probable class. It is "silence" for a silent recording and "too short" for one of less than
            `scenelet.audio.windows.MIN_SECONDS`; then the probabilities are equal.
        probabilities: probability of each class, in the model's order. It is the mean over the rows of `windows`
            without the silent windows.
        windows: (n_windows, classes) probabilities per window. Those of a silent window are 0.
        unsure: True if the probability of `label` is below the label's threshold, if the similarity is below the
            model's minimum, or if the recording has no class.
        similarity: mean similarity of the windows to their nearest classes, without the silent windows. None if the
            model has no known sounds, see `scenelet.model.known_sounds.KnownSounds`, or if the recording has no class.
        is_known: False if the similarity is below the model's minimum, or if the recording has no class.

    >>> from scenelet import load
    >>> from scenelet.model.pretrained import example
    >>> prediction = load("esc10").predict(example("esc10"))
    >>> prediction.label, prediction.unsure, prediction.windows.shape
    ('dog', False, (1, 10))
    """

    label: str
    probabilities: dict[str, float]
    windows: Probabilities
    unsure: bool
    similarity: float | None = None
    is_known: bool = True


def mean_probabilities(windows: Probabilities) -> Probabilities:
    """Average the probabilities (n, classes), n >= 1, of windows to a recording's (classes,), which sum to 1.

    Silent windows, whose probabilities are 0, do not count. If all are silent, the classes are equally probable.

    >>> mean_probabilities(np.float32([[0.7, 0.3], [1.0, 0.0], [0.0, 0.0]]))
    array([0.85, 0.15], dtype=float32)
    """
    sounding = windows[windows.any(axis=1)]
    mean = sounding.mean(axis=0, dtype=np.float64) if len(sounding) else np.ones(windows.shape[1])
    return np.asarray(mean / mean.sum(), np.float32)


def mean_similarity(windows: Sequence[WindowPrediction]) -> float | None:
    """Average the similarities of windows, without those that have none. None if no window has one.

    >>> row = np.float32([0.5, 0.5])
    >>> mean_similarity([WindowPrediction(row, 0.5), WindowPrediction(row, 0.75), WindowPrediction(0 * row)])
    0.625
    """
    values = [window.similarity for window in windows if window.similarity is not None]
    return sum(values) / len(values) if values else None


def return_error(predict: Callable[[AudioSource], Prediction]) -> Callable[[AudioSource], Prediction | AudioError]:
    """Make a function that returns AudioErrors instead of raising them."""

    def predict_or_error(recording: AudioSource) -> Prediction | AudioError:
        try:
            return predict(recording)
        except AudioError as error:
            return error

    return predict_or_error


def raise_at_end(results: Iterable[Prediction | AudioError]) -> Iterator[Prediction]:
    """Yield predictions up to the first error, and raise the summary of all errors at the end."""
    errors, total = [], 0
    for result in results:
        total += 1
        if isinstance(result, AudioError):
            errors.append(result)
        elif not errors:
            yield result
    if errors:
        raise summarize_audio_errors(errors, total)
