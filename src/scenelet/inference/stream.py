"""Live sound: predictions hop by hop, and their smoothing to steady answers, which may be "unsure"."""

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from scenelet.audio.io import Samples
from scenelet.audio.windows import WindowSplitter
from scenelet.errors import EmptyAudioError, UsageError
from scenelet.inference.classifier import Classifier
from scenelet.inference.prediction import Probabilities
from scenelet.utils.parallel import parallel_map

DEFAULT_HOP_SECONDS, MIN_HOP_SECONDS = 1.0, 0.05
WINDOWS_PER_THREAD = 8
"""Windows that are computed together, for each thread after the first."""


@dataclass(frozen=True, eq=False)
class StreamPrediction:
    """Prediction for one window of live sound.

    Attributes:
        seconds: end of the window, counted from the start of the sound.
        probabilities: (classes,). Those of a silent window are 0.
        similarity: as in `scenelet.inference.prediction.WindowPrediction`.

    >>> StreamPrediction(5.0, np.float32([0.25, 0.75])).probabilities.argmax()
    np.int64(1)
    """

    seconds: float
    probabilities: Probabilities
    similarity: float | None = None


class Stream:
    """Predictor for live sound: blocks of samples go in, a `StreamPrediction` per hop comes out.

    The probabilities are those of a file that is cut into windows with this hop.

    Args:
        classifier: the model.
        sample_rate: rate of the blocks in Hz.
        hop_seconds: time between two windows, at most the window's length. None is one second, or the window's length
            if it is shorter.
        threads: number of threads that the windows of a long block are distributed over. The classifier must allow so
            many callers.

    Raises:
        UsageError: the hop is longer than a window or shorter than `MIN_HOP_SECONDS`.

    >>> import scenelet
    >>> stream = Stream(scenelet.load("esc10"), sample_rate=44100, hop_seconds=0.5)
    >>> [prediction.seconds for prediction in stream.push(np.zeros((1, 6 * 44100), np.float32))]
    [5.0, 5.5, 6.0]
    """

    def __init__(
        self, classifier: Classifier, sample_rate: int, hop_seconds: float | None = None, threads: int = 1
    ) -> None:
        features, window = classifier.model.features, classifier.model.window
        hop = min(DEFAULT_HOP_SECONDS, window.seconds) if hop_seconds is None else hop_seconds
        minimum = min(MIN_HOP_SECONDS, window.seconds)
        if not minimum <= hop <= window.seconds:
            raise UsageError(f"a hop of {hop:g} s; give one from {minimum:g} s up to the window's {window.seconds:g} s")
        self._classifier, self._threads = classifier, threads
        self._splitter = WindowSplitter(sample_rate, features, window.model_copy(update={"hop_seconds": hop}))
        self._source_rate, self._rate = sample_rate, features.sample_rate
        self._received, self._emitted = 0, 0

    @property
    def hop_seconds(self) -> float:
        """Time between two predictions."""
        return self._splitter.hop / self._rate

    @property
    def window_seconds(self) -> float:
        """Duration of sound before the first prediction."""
        return self._splitter.length / self._rate

    @property
    def seconds(self) -> float:
        """Duration of the sound so far."""
        return self._received / self._source_rate

    def push(self, samples: Samples) -> Iterator[StreamPrediction]:
        """Add samples (1 or 2, n), full scale +-1, and yield the predictions of the windows that are now complete."""
        self._received += samples.shape[1]
        yield from self._predict(self._splitter.push(samples))

    def finish(self) -> Iterator[StreamPrediction]:
        """End the sound and yield the remaining predictions. As for a file, the last window is padded with silence.

        Raises:
            EmptyAudioError: there was no sound.
        """
        if self._received == 0:
            raise EmptyAudioError("no sound came")
        yield from self._predict(self._splitter.finish())

    def _predict(self, windows: Iterator[Samples]) -> Iterator[StreamPrediction]:
        size = max(1, WINDOWS_PER_THREAD * (self._threads - 1))  # bounds the memory
        while batch := list(itertools.islice(windows, size)):
            for prediction in parallel_map(self._classifier.predict_window, batch, self._threads):
                end = (self._splitter.length + self._emitted * self._splitter.hop) / self._rate
                self._emitted += 1
                # the last window is padded
                yield StreamPrediction(min(end, self.seconds), *prediction)


@dataclass(frozen=True)
class SmoothedPrediction:
    """Answer at one time of a stream.

    Attributes:
        seconds: time since the start of the sound.
        label: the answer, "silence" for a silent window, or None if it is unsure.
        confidence: smoothed probability of `label`, or of the most probable class if `label` is None.
        probabilities: smoothed probability of each class.
        changed: True if the answer differs from the previous one.
    """

    seconds: float
    label: str | None
    confidence: float
    probabilities: dict[str, float]
    changed: bool


class PredictionSmoother:
    """Smoother that turns a stream's predictions into answers that do not flicker.

    The probabilities are smoothed by an exponential average. The smoother holds a label until the smoothed probability
    of another one is higher by `margin`. It gives the label as its answer from the label's threshold on, and withdraws
    it when the probability falls below the threshold minus `margin`. It is unsure while the similarity, smoothed in the
    same way, is below its minimum. A silent window is "silence" at once, and a new average begins.

    Args:
        labels: the model's classes.
        thresholds: (classes,) minimum probability of each answer, see `scenelet.inference.threshold.label_thresholds`.
        smooth_seconds: time constant of the average; 0 turns smoothing off.
        margin: hysteresis of both rules.
        min_similarity: minimum similarity of each answer, see `scenelet.model.known_sounds.KnownSounds`.

    Raises:
        UsageError: `margin` is not from 0 to 1, or `smooth_seconds` is negative or not finite.
        ValueError: the numbers of labels and thresholds differ.

    >>> smoother = PredictionSmoother(("indoor", "outdoor"), thresholds=(0.6, 0.5), smooth_seconds=0)
    >>> rows = np.float32([[0.55, 0.45], [0.7, 0.3], [0.48, 0.52]])
    >>> [smoother.update(StreamPrediction(float(i), row)).label for i, row in enumerate(rows)]
    [None, 'indoor', None]
    """

    def __init__(
        self,
        labels: tuple[str, ...],
        thresholds: Sequence[float],
        smooth_seconds: float = 2.0,
        margin: float = 0.1,
        min_similarity: float = -1.0,
    ) -> None:
        if len(thresholds) != len(labels):
            raise ValueError(f"{len(thresholds)} thresholds for {len(labels)} labels; give one each")
        _check_probability("--margin", margin)
        if not 0 <= smooth_seconds < math.inf:
            raise UsageError(f"--smoothing {smooth_seconds:g}: give seconds, 0 or more")
        self.labels, self.thresholds, self.smooth_seconds, self.margin = labels, thresholds, smooth_seconds, margin
        self.min_similarity = min_similarity
        self._average: np.ndarray | None = None  # of the probabilities, and the similarity if there is one
        self._seconds = 0.0
        self._held: int | None = None  # the label that is held, whether it is the answer or not
        self._answer: int | None = None
        self._label: str | None = None
        self._started = False

    def update(self, prediction: StreamPrediction) -> SmoothedPrediction:
        """Return the answer after this prediction. Predictions must be in order of time."""
        current = prediction.probabilities.astype(np.float64)
        if not current.any():
            self._average = self._held = self._answer = None
            return self._result(prediction.seconds, "silence", current, 0.0)
        if prediction.similarity is not None:
            current = np.append(current, prediction.similarity)
        if self._average is None or self.smooth_seconds == 0:
            self._average = current
        else:
            weight = 1 - math.exp(-(prediction.seconds - self._seconds) / self.smooth_seconds)
            self._average = self._average + weight * (current - self._average)
        self._seconds = prediction.seconds
        average, similarity = np.split(self._average, [len(self.labels)])
        top = int(average.argmax())
        if self._held is None or average[top] >= average[self._held] + self.margin:
            self._held = top
        # an answer stays a little longer than it would be given as a new one
        minimum = self.thresholds[self._held] - (self.margin if self._answer == self._held else 0.0)
        is_known = (similarity >= self.min_similarity).all()
        answer = self._held if is_known and average[self._held] >= minimum else None
        self._answer = answer
        label = None if answer is None else self.labels[answer]
        return self._result(prediction.seconds, label, average, float(average[top if answer is None else answer]))

    def _result(self, seconds: float, label: str | None, average: np.ndarray, confidence: float) -> SmoothedPrediction:
        """Return the answer, and note whether it changed."""
        changed = label != self._label or not self._started
        self._label, self._started = label, True
        probabilities = dict(zip(self.labels, average.tolist(), strict=True))
        return SmoothedPrediction(seconds, label, confidence, probabilities, changed)


def make_smoother(
    classifier: Classifier, threshold: float | None = None, smooth_seconds: float = 2.0, margin: float = 0.1
) -> PredictionSmoother:
    """Make the smoother of a model's predictions.

    Args:
        classifier: the model, which also gives the minimum similarity.
        threshold: minimum probability of every answer; None: the model's thresholds of its labels.
        smooth_seconds, margin: as `PredictionSmoother`.

    Raises:
        UsageError: as `PredictionSmoother`, or `threshold` is not from 0 to 1.

    >>> import scenelet
    >>> make_smoother(scenelet.load("esc10"), threshold=0.6).thresholds[:2]
    (0.6, 0.6)
    """
    thresholds = classifier.thresholds
    if threshold is not None:
        _check_probability("--threshold", threshold)
        thresholds = (threshold,) * len(classifier.labels)
    return PredictionSmoother(classifier.labels, thresholds, smooth_seconds, margin, classifier.min_similarity)


def smooth_predictions(
    stream: Stream, smoother: PredictionSmoother, blocks: Iterable[Samples]
) -> Iterator[SmoothedPrediction]:
    """Pass all blocks of a sound through a stream and a smoother, and end the sound.

    >>> import scenelet
    >>> classifier = scenelet.load("esc10")
    >>> silence = np.zeros((1, 6 * 44100), np.float32)
    >>> predictions = smooth_predictions(Stream(classifier, 44100), make_smoother(classifier), [silence])
    >>> [(prediction.seconds, prediction.label) for prediction in predictions]
    [(5.0, 'silence'), (6.0, 'silence')]
    """
    for block in blocks:
        yield from map(smoother.update, stream.push(block))
    yield from map(smoother.update, stream.finish())


def _check_probability(option: str, probability: float) -> None:
    if not 0 <= probability <= 1:
        raise UsageError(f"{option} {probability:g}: give a probability from 0 to 1")
