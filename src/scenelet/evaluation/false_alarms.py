"""False alarms: events in recordings of none of the classes, at each threshold, and thresholds for a rate of them.

The recordings pass through the stream and the smoother of `timeline` and `listen`. Each event of a class is a false
alarm. Unsure answers, silence and the background of the model are none.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincinv

from scenelet.audio.io import blocks, info, summarize_audio_errors
from scenelet.data.background import DEFAULT, folder_clips
from scenelet.data.clips import Clip, Clips
from scenelet.errors import AudioError, UsageError
from scenelet.evaluation.bootstrap import LEVEL, Interval
from scenelet.inference.classifier import Classifier
from scenelet.inference.stream import Stream, make_smoother, smooth_predictions
from scenelet.inference.threshold import general_threshold
from scenelet.utils.console import track
from scenelet.utils.parallel import cpu_count

TARGET_PER_HOUR = 1.0
"""Default rate of false alarms to find thresholds for."""
GRID = np.unique(np.concatenate([np.arange(1, 198) / 200, 1 - np.geomspace(0.01, 1e-4, 13)]).round(6))
"""Thresholds at which alarms are counted, besides the general one and infinity: steps of 0.005, and finer near 1."""
MAX_PARTS = 10
"""Maximum number of parts into which the recordings are divided for cross-validation."""
SHARES = (1.0, 0.5, 0.25, 0.125, 0.0)
"""Shares of the target for which thresholds are tried."""


@dataclass(frozen=True, eq=False)
class AlarmCounts:
    """Number of false alarms of each label at each threshold.

    Attributes:
        labels: the classes without the background.
        thresholds: (thresholds,) ascending. The last one is infinity, at which there are no alarms.
        parts: (parts, labels, thresholds) counts in each part of the recordings.
        part_hours: (parts,) their durations.
        recordings: number of recordings.
    """

    labels: tuple[str, ...]
    thresholds: NDArray[np.float64]
    parts: NDArray[np.int64]
    part_hours: NDArray[np.float64]
    recordings: int

    @property
    def counts(self) -> NDArray[np.int64]:
        """Counts (labels, thresholds) in all recordings."""
        total: NDArray[np.int64] = self.parts.sum(axis=0)
        return total

    @property
    def hours(self) -> float:
        """Duration of all recordings."""
        return float(self.part_hours.sum())

    def select(self, parts: NDArray[np.bool_]) -> "AlarmCounts":
        """Return the counts of some parts."""
        return replace(self, parts=self.parts[parts], part_hours=self.part_hours[parts])

    def alarms(self, thresholds: Mapping[str, float]) -> int:
        """Return the number of alarms of some labels together, at a threshold for each."""
        rows = [self.labels.index(label) for label in thresholds]
        return int(self.counts[rows, np.searchsorted(self.thresholds, list(thresholds.values()))].sum())


@dataclass(frozen=True)
class FoundThresholds:
    """Thresholds for a rate of false alarms.

    Attributes:
        thresholds: one per label; infinity: the label is never sure.
        held_out_alarms: alarms of each part at the thresholds that the others give. It is None if one part has more
            hours than all others, because they are too few to choose thresholds.
    """

    thresholds: dict[str, float]
    held_out_alarms: int | None

    @property
    def never_sure(self) -> set[str]:
        """Labels that are never sure."""
        return {label for label, threshold in self.thresholds.items() if threshold == math.inf}


class AlarmCounter:
    """Counter of the events of each label, at all thresholds at once.

    It applies the last rule of `scenelet.inference.stream.PredictionSmoother`: an answer begins at the threshold of its
    label, and stays until the probability falls below the threshold minus the margin. The label that the smoother holds
    does not depend on thresholds, so neither do the events of one label on the thresholds of others.

    Args:
        labels: the classes to count.
        thresholds: (thresholds,) minimum probabilities.
        margin: the smoother's margin.

    Attributes:
        counts: (labels, thresholds) number of events so far.

    >>> counter = AlarmCounter(("dog",), np.array([0.5, 0.8]), margin=0.1)
    >>> for probability in (0.6, 0.9, 0.75, 0.45, 0.3, 0.6):
    ...     counter.add("dog", probability)
    >>> counter.counts.tolist()
    [[2, 1]]
    """

    def __init__(self, labels: Sequence[str], thresholds: NDArray[np.float64], margin: float) -> None:
        self._rows = {label: row for row, label in enumerate(labels)}
        self._thresholds, self._margin = thresholds, margin
        self.counts = np.zeros((len(labels), len(thresholds)), np.int64)
        self._row: int | None = None  # the label of the previous prediction
        self._sure = np.zeros(len(thresholds), bool)  # the thresholds at which it was an answer

    def start(self) -> None:
        """Begin a recording."""
        self._row = None

    def add(self, label: str | None, probability: float) -> None:
        """Add the label that the smoother holds at the next time, and its probability; no class ends all events."""
        row = self._rows.get(label or "")
        if row is None or row != self._row:
            self._sure = np.zeros_like(self._sure)
        self._row = row
        if row is not None:
            sure = probability >= self._thresholds - self._margin * self._sure
            self.counts[row] += sure & ~self._sure
            self._sure = sure


def count_alarms(classifier: Classifier, recordings: Clips) -> AlarmCounts:
    """Count the events in recordings of none of the classes, in constant memory.

    Args:
        classifier: the model.
        recordings: see `find_background`. Neighboring groups are one part.

    Raises:
        AudioError: recordings cannot be read.
    """
    labels = tuple(label for label in classifier.labels if label != classifier.model.background)
    thresholds = np.append(np.union1d(GRID, general_threshold(classifier.model.results)), math.inf)
    counter = AlarmCounter(labels, thresholds, make_smoother(classifier).margin)
    listener = Classifier(classifier.model, runtime=classifier.runtime, callers=cpu_count())  # a thread per window
    groups = list(dict.fromkeys(clip.group for clip in recordings))
    parts = np.zeros((min(MAX_PARTS, len(groups)), *counter.counts.shape), np.int64)
    hours, errors = np.zeros(len(parts)), list[AudioError]()
    for clip in track(recordings, "Counting false alarms", len(recordings)):
        before, part = counter.counts.copy(), groups.index(clip.group) * len(parts) // len(groups)
        try:
            hours[part] += _count_in_recording(listener, clip.path, counter) / 3600
        except AudioError as error:
            errors.append(error)
        parts[part] += counter.counts - before
    if errors:
        raise summarize_audio_errors(errors, len(recordings))
    return AlarmCounts(labels, thresholds, parts, hours, len(recordings))


def _count_in_recording(classifier: Classifier, path: Path, counter: AlarmCounter) -> float:
    """Add the events of one recording to the counter, and return its duration in seconds."""
    smoother = make_smoother(classifier, threshold=0.0)  # its answer is the held label if the sound is known
    stream = Stream(classifier, info(path).sample_rate, threads=classifier.callers)
    counter.start()
    for answer in smooth_predictions(stream, smoother, (samples for samples, _ in blocks(path))):
        counter.add(answer.label, answer.confidence)
    return stream.seconds


def find_thresholds(counts: AlarmCounts, general: float, target_per_hour: float) -> FoundThresholds:
    """Find a threshold for each label so that all labels together keep a rate of false alarms on other recordings.

    The lowest thresholds that keep the target are too low for other recordings. So cross-validation counts the alarms
    of each part of the recordings at the thresholds that the other parts give. If they are above the target, thresholds
    for a share of it are tried. If no share keeps the target, the one with the fewest of these alarms is taken, and the
    lowest of equal ones. But no share makes a label never sure.
    """
    if 2 * counts.part_hours.max() > counts.hours:
        return FoundThresholds(lowest_thresholds(counts, general, target_per_hour), None)
    tried = []
    for rate in (share * target_per_hour for share in SHARES):
        held_out = _held_out_alarms(counts, general, rate)
        tried.append(FoundThresholds(lowest_thresholds(counts, general, rate), held_out))
        if held_out <= target_per_hour * counts.hours:
            return tried[-1]
    usable = [found for found in tried if found.never_sure == tried[0].never_sure]
    return min(reversed(usable), key=lambda found: found.held_out_alarms or 0)


def _held_out_alarms(counts: AlarmCounts, general: float, target_per_hour: float) -> int:
    parts = np.arange(len(counts.parts))
    return sum(
        counts.select(parts == part).alarms(lowest_thresholds(counts.select(parts != part), general, target_per_hour))
        for part in parts
    )


def lowest_thresholds(counts: AlarmCounts, general: float, target_per_hour: float) -> dict[str, float]:
    """Find low thresholds at which all labels together keep a rate of false alarms on the counted recordings.

    All labels begin with the general threshold. While the total is too high, the label with the most alarms gets the
    next threshold with fewer alarms. Infinity means that the label is never sure.

    >>> parts, hours = np.array([[[9, 4, 3, 0], [2, 2, 1, 0]]]), np.array([2.0])
    >>> found = AlarmCounts(("dog", "rain"), np.array([0.5, 0.6, 0.7, math.inf]), parts, hours, recordings=1)
    >>> lowest_thresholds(found, general=0.5, target_per_hour=2.5)
    {'dog': 0.7, 'rain': 0.5}
    """
    table = counts.counts
    rows = np.arange(len(counts.labels))
    chosen = np.full(len(rows), np.searchsorted(counts.thresholds, general))
    while (alarms := table[rows, chosen]).sum() > target_per_hour * counts.hours:
        worst = int(alarms.argmax())
        fewer = table[worst, chosen[worst] :] < alarms[worst]
        chosen[worst] += int(fewer.argmax())
    return dict(zip(counts.labels, counts.thresholds[chosen].tolist(), strict=True))


def poisson_interval(count: int, exposure: float) -> Interval:
    """Return a rate and its exact 95 % interval (Garwood 1936).

    Args:
        count: number of independent events.
        exposure: time in which they were counted.

    >>> interval = poisson_interval(0, exposure=2.0)
    >>> interval.value, interval.low, round(interval.high, 3)
    (0.0, 0.0, 1.844)
    """
    low = float(gammaincinv(count, (1 - LEVEL) / 2)) if count else 0.0
    high = float(gammaincinv(count + 1, (1 + LEVEL) / 2))
    return Interval(count / exposure, low / exposure, high / exposure)


def hours_needed(target_per_hour: float) -> float:
    """Return the hours without an alarm that show, with 95 % confidence, a rate below the target.

    >>> round(hours_needed(1.0), 3)
    2.996
    """
    return -math.log(1 - LEVEL) / target_per_hour


def find_background(path: Path) -> Clips:
    """List the recordings of `--background`: one file, or those of a folder, in groups as in training.

    Raises:
        UsageError: there are none.
    """
    if not path.exists():
        raise UsageError(f"--background {path}: no such file or folder")
    return folder_clips(path) if path.is_dir() else (Clip(path, path.name, DEFAULT, group=path.name),)
