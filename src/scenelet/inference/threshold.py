"""Minimum probabilities of answers: their choice, and those that a model file stores.

An answer is sure if its probability reaches the threshold of its label. Other answers are "unsure".
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from scenelet.model.scene_model import SceneModel

TARGET_ACCURACY = 0.95
"""Fraction of the sure answers that should be right."""
MIN_THRESHOLD = 0.5
"""Lower bound of the threshold."""
MIN_COVERAGE = 0.5
"""Fraction of the clips that should have a sure answer."""
MIN_CLIPS = 59
"""Minimum number of sure clips that can show `TARGET_ACCURACY`: with fewer, even no mistake leaves a chance of over 5 %
that the accuracy is lower (0.95 ** 59 = 0.0485)."""


@dataclass(frozen=True)
class Threshold:
    """Minimum probability of an answer, and its effect on the clips that it was found on.

    Attributes:
        probability: the minimum probability; less probable answers are unsure.
        accuracy: fraction of correct answers among the sure ones.
        coverage: fraction of clips with a sure answer.
        clips: number of clips.
    """

    probability: float
    accuracy: float
    coverage: float
    clips: int


def stored_threshold(results: Mapping[str, Any]) -> Threshold | None:
    """Return the threshold that a model file stores, or None if it stores no valid one.

    Args:
        results: the file's `SceneModel.results`. A file from another source may hold anything there.

    >>> stored_threshold({"threshold": {"probability": 0.7, "accuracy": 0.96, "coverage": 0.9, "clips": 80}})
    Threshold(probability=0.7, accuracy=0.96, coverage=0.9, clips=80)
    >>> stored_threshold({"threshold": "high"}) is None
    True
    """
    try:
        stored = results["threshold"]
        probability, accuracy, coverage = (float(stored[name]) for name in ("probability", "accuracy", "coverage"))
        clips = int(stored["clips"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    is_valid = all(0 <= value <= 1 for value in (probability, accuracy, coverage)) and clips > 0
    return Threshold(probability, accuracy, coverage, clips) if is_valid else None


@dataclass(frozen=True)
class LabelThresholds:
    """Thresholds of the labels, found on background recordings by `scenelet evaluate --background --store`.

    Attributes:
        probabilities: (classes,) the minimum probabilities; `math.inf` for a label that is never sure.
        false_alarms_per_hour: the rate that all labels together should keep on the background recordings.
        hours: duration of these recordings.

    >>> LabelThresholds((0.8, 0.6), false_alarms_per_hour=1.0, hours=3.25).effect
    '3.2 h of background had at most 1 false alarm per hour, of all labels together'
    """

    probabilities: tuple[float, ...]
    false_alarms_per_hour: float
    hours: float

    @property
    def effect(self) -> str:
        """Effect of the thresholds, in words."""
        alarms = f"{self.false_alarms_per_hour:g} false alarm{'' if self.false_alarms_per_hour == 1 else 's'}"
        return f"{self.hours:.2g} h of background had at most {alarms} per hour, of all labels together"


def stored_label_thresholds(results: Mapping[str, Any], labels: Sequence[str]) -> LabelThresholds | None:
    """Return the thresholds per label that a model file stores, or None if it stores no valid ones.

    A label that they leave out has the general threshold.

    Args:
        results: the file's `SceneModel.results`. A file from another source may hold anything there.
        labels: (classes,) the file's `SceneModel.labels`.

    >>> stored = {"probabilities": {"dog": 0.8, "rain": None}, "false_alarms_per_hour": 1, "hours": 2}
    >>> stored_label_thresholds({"label_thresholds": stored}, ["dog", "rain"])
    LabelThresholds(probabilities=(0.8, inf), false_alarms_per_hour=1.0, hours=2.0)
    """
    try:
        stored = results["label_thresholds"]
        given = {label: math.inf if p is None else float(p) for label, p in stored["probabilities"].items()}
        target, hours = float(stored["false_alarms_per_hour"]), float(stored["hours"])
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        return None
    are_valid = all(0 <= p <= 1 or p == math.inf for p in given.values()) and set(given) <= set(labels)
    if not are_valid or not (0 <= target < math.inf and 0 < hours < math.inf):
        return None
    general = general_threshold(results)
    return LabelThresholds(tuple(given.get(label, general) for label in labels), target, hours)


def label_thresholds(model: SceneModel) -> tuple[float, ...]:
    """Return the minimum probability of a sure answer for each label (classes,).

    These are the model's thresholds per label if it stores any. Otherwise it is the threshold that `compress` found,
    or `MIN_THRESHOLD`. The threshold of a label that is never sure is `math.inf`.

    >>> from dataclasses import replace
    >>> from scenelet.model.file import read_model
    >>> from scenelet.model.pretrained import built_in
    >>> model = replace(read_model(built_in("esc10")), labels=("dog", "rain"), results={})
    >>> label_thresholds(model)
    (0.5, 0.5)
    """
    stored = stored_label_thresholds(model.results, model.labels)
    return (general_threshold(model.results),) * len(model.labels) if stored is None else stored.probabilities


def json_threshold(threshold: float) -> float | None:
    """Replace the threshold of a label that is never sure by None, since JSON has no infinity.

    >>> json_threshold(0.5), json_threshold(math.inf)
    (0.5, None)
    """
    return None if threshold == math.inf else threshold


def json_thresholds(thresholds: Sequence[float]) -> list[float | None]:
    """Return the `json_threshold` of each label.

    >>> json_thresholds([0.5, math.inf])
    [0.5, None]
    """
    return [json_threshold(threshold) for threshold in thresholds]


def general_threshold(results: Mapping[str, Any]) -> float:
    """Return the threshold that a model has for all labels, whether or not it stores one for each.

    Args:
        results: the file's `SceneModel.results`. A file from another source may hold anything there.

    >>> general_threshold({"threshold": {"probability": 0.7}}), general_threshold({})
    (0.7, 0.5)
    """
    stored = results.get("threshold")
    found = stored.get("probability") if isinstance(stored, dict) else None
    return float(found) if isinstance(found, int | float) and 0 <= found <= 1 else MIN_THRESHOLD


def find_threshold(targets: ArrayLike, probabilities: ArrayLike) -> Threshold:
    """Find the lowest threshold from `MIN_THRESHOLD` on with which `TARGET_ACCURACY` of the sure answers are right.

    If no threshold that keeps `MIN_COVERAGE` of the clips reaches the target, the most accurate of these is returned.
    The clips must not be training clips. The threshold holds for similar sounds only: no threshold on a classifier's
    probabilities detects sounds of other kinds reliably.

    Args:
        targets: (clips,) class indices.
        probabilities: (clips, classes).

    Raises:
        ValueError: there are no clips, or the lengths differ.

    >>> find_threshold([0, 0, 1], [[0.9, 0.1], [0.7, 0.3], [0.6, 0.4]])
    Threshold(probability=0.7, accuracy=1.0, coverage=0.6666666666666666, clips=3)
    >>> find_threshold([0, 0, 1], [[0.9, 0.1], [0.7, 0.3], [0.1, 0.9]])  # all answers are right
    Threshold(probability=0.5, accuracy=1.0, coverage=1.0, clips=3)
    """
    rows, true = np.asarray(probabilities, np.float64), np.asarray(targets)
    if len(rows) == 0 or len(rows) != len(true):
        raise ValueError(f"{len(true)} targets and {len(rows)} rows of probabilities; give one each for every clip")
    top, hits = rows.max(axis=1), rows.argmax(axis=1) == true
    order = np.argsort(-top, kind="stable")
    falling = top[order]
    last = np.append(falling[1:] != falling[:-1], True)  # of equal probabilities, all are sure or none is
    last &= falling >= MIN_THRESHOLD
    sure = np.flatnonzero(last) + 1
    if len(sure) == 0:  # all answers are below MIN_THRESHOLD
        return Threshold(MIN_THRESHOLD, 0.0, 0.0, len(top))
    accuracy, coverage = np.cumsum(hits[order])[last] / sure, sure / len(top)
    enough = coverage >= MIN_COVERAGE
    right = np.flatnonzero(enough & (accuracy >= TARGET_ACCURACY))
    if len(right):
        best = right[-1]  # the lowest threshold
    elif enough.any():
        best = np.flatnonzero(enough)[-1 - np.argmax(accuracy[enough][::-1])]
    else:
        best = len(sure) - 1
    candidates = falling[last]
    candidates[-1] = MIN_THRESHOLD  # the same clips are sure
    return Threshold(float(candidates[best]), float(accuracy[best]), float(coverage[best]), len(top))
