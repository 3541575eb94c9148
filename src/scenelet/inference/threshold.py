"""How probable an answer must be to be given: below, a listener says that it is unsure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

TARGET_ACCURACY = 0.95
"""Share of the answers that should be right among those that are given."""
MIN_THRESHOLD = 0.5
"""An answer with less than half of the probability is never given."""


@dataclass(frozen=True)
class Threshold:
    """From which probability on an answer is given.

    Attributes:
        below: an answer whose probability is lower is "unsure".
        right: share of right answers among those at or above it.
        kept: share of the clips that were answered so.
        clips: how many it was found on.
    """

    below: float
    right: float
    kept: float
    clips: int


def find_threshold(targets: ArrayLike, probabilities: ArrayLike) -> Threshold:
    """The lowest threshold, not below `MIN_THRESHOLD`, at or above which `TARGET_ACCURACY` of the answers are right.

    Where no threshold that keeps at least half of the clips reaches that, the one with the largest share of right
    answers. It is found on clips that the network was not trained on, and holds for sounds like these: for one of
    another kind no threshold on a classifier's probabilities promises anything.

    Args:
        targets: (clips,) class indices.
        probabilities: (clips, classes).

    Raises:
        ValueError: no clips.
    """
    shares, true = np.asarray(probabilities, np.float64), np.asarray(targets)
    if len(shares) == 0 or len(shares) != len(true):
        raise ValueError(f"{len(true)} targets and {len(shares)} rows of probabilities; give one each for every clip")
    top, hits = shares.max(axis=1), shares.argmax(axis=1) == true
    tried = []
    for below in np.unique(np.maximum(top, MIN_THRESHOLD)):
        given = top >= below
        if given.any():
            tried.append(Threshold(float(below), float(hits[given].mean()), float(given.mean()), len(top)))
    if not tried:  # every answer has less than half of the probability
        return Threshold(MIN_THRESHOLD, 0.0, 0.0, len(top))
    reached = [one for one in tried if one.right >= TARGET_ACCURACY and one.kept >= 0.5]
    if reached:
        return reached[0]
    return max((one for one in tried if one.kept >= 0.5), key=lambda one: one.right, default=tried[0])
