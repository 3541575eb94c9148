"""Choice of the minimum probability of an answer. Less probable answers are "unsure"."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

TARGET_ACCURACY = 0.95
"""Fraction of the sure answers that should be right."""
MIN_THRESHOLD = 0.5
"""Lower bound of the threshold."""
MIN_KEPT = 0.5
"""Fraction of the clips that should have a sure answer."""


@dataclass(frozen=True)
class Threshold:
    """Minimum probability of an answer, and its effect on the clips that it was found on.

    Attributes:
        below: answers with a lower probability are unsure.
        right: fraction of right answers among the sure ones.
        kept: fraction of clips with a sure answer.
        clips: number of clips.
    """

    below: float
    right: float
    kept: float
    clips: int


def find_threshold(targets: ArrayLike, probabilities: ArrayLike) -> Threshold:
    """Find the lowest threshold from `MIN_THRESHOLD` on with which `TARGET_ACCURACY` of the sure answers are right.

    If no threshold that keeps `MIN_KEPT` of the clips reaches the target, the most accurate of these is returned. The
    clips must not be training clips. The threshold holds for similar sounds only: no threshold on a classifier's
    probabilities detects sounds of other kinds reliably.

    Args:
        targets: (clips,) class indices.
        probabilities: (clips, classes).

    Raises:
        ValueError: there are no clips, or the lengths differ.

    >>> find_threshold([0, 0, 1], [[0.9, 0.1], [0.7, 0.3], [0.6, 0.4]])
    Threshold(below=0.7, right=1.0, kept=0.6666666666666666, clips=3)
    """
    rows, true = np.asarray(probabilities, np.float64), np.asarray(targets)
    if len(rows) == 0 or len(rows) != len(true):
        raise ValueError(f"{len(true)} targets and {len(rows)} rows of probabilities; give one each for every clip")
    top, hits = rows.max(axis=1), rows.argmax(axis=1) == true
    candidates = []
    for below in np.unique(np.maximum(top, MIN_THRESHOLD)):
        sure = top >= below
        if sure.any():
            candidates.append(Threshold(float(below), float(hits[sure].mean()), float(sure.mean()), len(top)))
    if not candidates:  # all answers are below MIN_THRESHOLD
        return Threshold(MIN_THRESHOLD, 0.0, 0.0, len(top))
    enough = [candidate for candidate in candidates if candidate.kept >= MIN_KEPT]
    for candidate in enough:
        if candidate.right >= TARGET_ACCURACY:
            return candidate
    return max(enough, key=lambda candidate: candidate.right, default=candidates[0])
