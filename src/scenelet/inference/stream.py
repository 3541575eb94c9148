"""Live sound -> probabilities hop by hop, and the answer that a listener is told: smoothed, steady, or "unsure"."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from scenelet.audio.io import Samples
from scenelet.audio.windows import WindowSplitter
from scenelet.errors import EmptyAudioError, UsageError
from scenelet.inference.classifier import Classifier, Probabilities

HOP_SECONDS, LEAST_HOP_SECONDS = 1.0, 0.05


@dataclass(frozen=True, eq=False)
class StreamPrediction:
    """What the model says of the window that ends `seconds` after the sound began; `probabilities` are (classes,)."""

    seconds: float
    probabilities: Probabilities


class Stream:
    """Blocks of samples in, a `StreamPrediction` each hop out.

    The windows are those of a file that is cut with this hop, so their probabilities are the same numbers.

    Args:
        classifier: the model.
        sample_rate: Hz of the blocks.
        hop_seconds: from the end of one window to the next one's, no longer than a window; None: a second, or a window
            where that is shorter.
        alone: as for `Classifier.predict`.

    Raises:
        UsageError: a hop that is longer than a window, or shorter than `LEAST_HOP_SECONDS`.
    """

    def __init__(
        self, classifier: Classifier, sample_rate: int, hop_seconds: float | None = None, *, alone: bool = False
    ) -> None:
        features, window = classifier.model.features, classifier.model.window
        hop = min(HOP_SECONDS, window.seconds) if hop_seconds is None else hop_seconds
        least = min(LEAST_HOP_SECONDS, window.seconds)
        if not least <= hop <= window.seconds:
            raise UsageError(f"a hop of {hop:g} s; give one from {least:g} s up to the window's {window.seconds:g} s")
        self._classifier, self._alone = classifier, alone
        hopping = window.model_copy(update={"hop_seconds": hop})
        self._windower = WindowSplitter(sample_rate, features.sample_rate, features.channels, hopping)
        self._source_rate, self._rate = sample_rate, features.sample_rate
        self._heard, self._count = 0, 0

    @property
    def hop_seconds(self) -> float:
        """From one moment to the next."""
        return self._windower.hop / self._rate

    @property
    def window_seconds(self) -> float:
        """How much sound there must be before the first moment."""
        return self._windower.length / self._rate

    def push(self, samples: Samples) -> Iterator[StreamPrediction]:
        """Add (1 or 2, n) samples, full scale +-1; yields the moments of windows that are now complete."""
        self._heard += samples.shape[1]
        for window in self._windower.push(samples):
            yield self._moment(window)

    def finish(self) -> Iterator[StreamPrediction]:
        """The sound has ended: yields what is still due, as for a file; its last window is padded with silence.

        Raises:
            EmptyAudioError: there was none.
        """
        if self._heard == 0:
            raise EmptyAudioError("no sound came")
        for window in self._windower.finish():
            yield self._moment(window)

    def _moment(self, window: Samples) -> StreamPrediction:
        end = (self._windower.length + self._count * self._windower.hop) / self._rate
        self._count += 1
        end = min(end, self._heard / self._source_rate)  # the last window is padded
        return StreamPrediction(end, self._classifier.predict_window(window, alone=self._alone))


@dataclass(frozen=True)
class SmoothedPrediction:
    """What a listener is told at a moment.

    Attributes:
        seconds: when.
        label: the answer, or None for "unsure".
        confidence: the smoothed probability of `label`, or of the most probable one.
        probabilities: label -> smoothed probability.
        changed: another answer than the one before.
    """

    seconds: float
    label: str | None
    confidence: float
    probabilities: dict[str, float]
    changed: bool


class PredictionSmoother:
    """Moments -> decisions, which do not flicker.

    The probabilities are smoothed by an exponential average. A label is held until another one's smoothed probability
    is higher by `margin`; an answer is given from `threshold` on and taken back where it is lower by `margin`.

    Args:
        labels: of the model.
        unsure_below: probability of an answer; see `scenelet.inference.threshold`.
        smooth_seconds: time constant of the average; 0 switches it off.
        margin: the hysteresis.

    Raises:
        UsageError: a share that is none.
    """

    def __init__(
        self, labels: tuple[str, ...], threshold: float, smooth_seconds: float = 2.0, margin: float = 0.1
    ) -> None:
        for name, share in (("threshold", threshold), ("margin", margin)):
            if not 0 <= share <= 1:
                raise UsageError(f"--{name} {share:g}: give a probability from 0 to 1")
        if not 0 <= smooth_seconds < math.inf:
            raise UsageError(f"--smoothing {smooth_seconds:g}: give seconds, 0 or more")
        self.labels, self.threshold, self.smooth_seconds, self.margin = labels, threshold, smooth_seconds, margin
        self._average: np.ndarray | None = None
        self._seconds = 0.0
        self._held: int | None = None  # the label that is held, told or not
        self._told: int | None = None
        self._begun = False

    def decide(self, moment: StreamPrediction) -> SmoothedPrediction:
        """The decision at a moment; moments come in order."""
        now = moment.probabilities.astype(np.float64)
        if self._average is None or self.smooth_seconds == 0:
            self._average = now
        else:
            share = 1 - math.exp(-(moment.seconds - self._seconds) / self.smooth_seconds)
            self._average = self._average + share * (now - self._average)
        self._seconds = moment.seconds
        average = self._average
        top = int(average.argmax())
        if self._held is None or average[top] >= average[self._held] + self.margin:
            self._held = top
        # who was told this answer hears it a little longer than it would be given anew
        least = self.threshold - (self.margin if self._told == self._held else 0.0)
        told = self._held if average[self._held] >= least else None
        changed = told != self._told or not self._begun
        self._told, self._begun = told, True
        shares = {label: float(p) for label, p in zip(self.labels, average, strict=True)}
        label = None if told is None else self.labels[told]
        return SmoothedPrediction(moment.seconds, label, float(average[top if told is None else told]), shares, changed)
