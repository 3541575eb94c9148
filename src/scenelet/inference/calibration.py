"""Temperature of a model: what a model file stores about it, and its effect on probabilities (Guo et al. 2017).

A network's logits are divided by the temperature before the softmax, so that its probabilities match the fraction of
correct answers. `scenelet.training.compression.calibration` finds the temperature. It is part of the network in a file.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenelet.inference.prediction import Probabilities


@dataclass(frozen=True)
class Calibration:
    """A temperature, and its effect on the clips that it was found on.

    Attributes:
        temperature: the number that divides the logits; above 1 the probabilities become less extreme.
        subset: "validation" or "test".
        clips: number of clips.
        log_loss: of these clips, before and after.
        ece: their expected calibration error (see `scenelet.evaluation.metrics.reliability`), before and after.
    """

    temperature: float
    subset: str
    clips: int
    log_loss: tuple[float, float]
    ece: tuple[float, float]


def stored_calibration(results: Mapping[str, Any]) -> Calibration | None:
    """Return the calibration that a model file stores, or None if it stores no valid one.

    Args:
        results: the file's `SceneModel.results`. A file from another source may hold anything there.

    >>> before, after = {"log_loss": 0.3, "ece": 0.1}, {"log_loss": 0.2, "ece": 0.05}
    >>> stored = {"temperature": 1.5, "subset": "test", "clips": 80, "before": before, "after": after}
    >>> stored_calibration({"calibration": stored})
    Calibration(temperature=1.5, subset='test', clips=80, log_loss=(0.3, 0.2), ece=(0.1, 0.05))
    >>> stored_calibration({"calibration": 2}) is None
    True
    """
    try:
        stored = results["calibration"]
        pairs = [tuple(float(stored[when][name]) for when in ("before", "after")) for name in ("log_loss", "ece")]
        (loss_before, loss_after), (ece_before, ece_after) = pairs
        temperature, clips = float(stored["temperature"]), int(stored["clips"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    numbers = (loss_before, loss_after, ece_before, ece_after)
    is_valid = 0 < temperature < math.inf and clips > 0 and all(0 <= number < math.inf for number in numbers)
    subset = stored.get("subset")
    if not is_valid or not isinstance(subset, str):
        return None
    return Calibration(temperature, subset, clips, (loss_before, loss_after), (ece_before, ece_after))


def apply_temperature(windows: NDArray[np.floating[Any]], temperature: float) -> Probabilities:
    """Return the probabilities of logits that are divided by a temperature: p ** (1 / temperature), normalized.

    Args:
        windows: (n, classes) probabilities of windows. Those of a silent window are 0 and stay so.
        temperature: more than 0. `1 / temperature` undoes it.

    >>> apply_temperature(np.array([[0.8, 0.2], [0.0, 0.0]]), 0.5).round(4).tolist()  # doctest: +ELLIPSIS
    [[0.941..., 0.058...], [0.0, 0.0]]
    """
    rows = np.asarray(windows, np.float64)
    highest = rows.max(axis=1, keepdims=True)
    powers = (rows / np.where(highest > 0, highest, 1)) ** (1 / temperature)  # the highest is 1, so no sum underflows
    totals = powers.sum(axis=1, keepdims=True)
    return np.asarray(powers / np.where(totals > 0, totals, 1), np.float32)
