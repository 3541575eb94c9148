"""Temperature scaling of a model file: probabilities that match the fraction of correct answers (Guo et al. 2017)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from scenelet.evaluation.metrics import clip_losses, log_loss, reliability
from scenelet.inference.calibration import apply_temperature
from scenelet.inference.classifier import Classifier
from scenelet.model.scene_model import SceneModel
from scenelet.model.temperature import scale_logits
from scenelet.training.dataset import Dataset
from scenelet.training.measure import file_windows
from scenelet.training.probabilities import mean_over_windows

MIN_TEMPERATURE, MAX_TEMPERATURE = 0.25, 8.0
PRIOR_DEVIATION = 0.25
"""Standard deviation of the logarithm of the temperature before any clip is seen.

A few clips without a mistake would ask for certainty: the lowest loss is at the lowest temperature. On ESC-10, the
temperature that minimizes the loss of 10 clips raises the loss of others by 0.11, to 0.29. With this deviation, no
number of clips from 5 to 40 raises it on average (`benchmarks/quality/calibration.py`)."""


def find_temperature(targets: NDArray[np.int64], windows: NDArray[np.float32], count: NDArray[np.int64]) -> float:
    """Find the temperature from `MIN_TEMPERATURE` to `MAX_TEMPERATURE` that suits clips, which were not trained on.

    It minimizes the sum of the clips' log losses and (ln T / `PRIOR_DEVIATION`)^2 / 2, which keeps it near 1 if there
    are few clips.

    Args:
        targets: (clips,) class indices.
        windows: (windows, classes) probabilities, sorted by clip.
        count: (clips,) number of windows of each clip.

    >>> windows = np.float32([[0.9, 0.1]] * 3000 + [[0.1, 0.9]] * 1000)  # 75 % are right
    >>> temperature = find_temperature(np.zeros(4000, int), windows, np.ones(4000, int))
    >>> apply_temperature(windows[:1], temperature).round(2)
    array([[0.75, 0.25]], dtype=float32)
    """

    def objective(exponent: float) -> float:
        clips = mean_over_windows(apply_temperature(windows, math.exp(exponent)), count)
        return float(clip_losses(targets, clips).sum() + (exponent / PRIOR_DEVIATION) ** 2 / 2)

    bounds = (math.log(MIN_TEMPERATURE), math.log(MAX_TEMPERATURE))
    return math.exp(minimize_scalar(objective, bounds=bounds, method="bounded").x)


@dataclass(frozen=True)
class CalibratedModel:
    """A model and its answers.

    Attributes:
        model: the model; its logits are scaled if `calibration` is not empty.
        answers: name of a subset -> probabilities (clips, classes).
        calibration: content of `results["calibration"]`, see `calibration_record`.
    """

    model: SceneModel
    answers: Mapping[str, NDArray[np.float32]]
    calibration: Mapping[str, Any]


def calibrate(model: SceneModel, dataset: Dataset, should_calibrate: bool = True) -> CalibratedModel:
    """Measure a model on the held-out clips, and calibrate it on the first subset of these.

    The calibrated answers are computed from the measured probabilities of windows. They are those of the calibrated
    model up to float32 rounding.

    Args:
        model: the model as a file holds it.
        dataset: the clips. Without held-out clips the model stays as it is.
        should_calibrate: False only measures the model.
    """
    classifier = Classifier(model)
    windows = {name: file_windows(classifier, clips.features) for name, clips in dataset.held_out()}
    counts = {name: clips.features.count for name, clips in dataset.held_out()}
    before = {name: mean_over_windows(rows, counts[name]) for name, rows in windows.items()}
    if not (windows and should_calibrate):
        return CalibratedModel(model, before, {})
    subset, clips = next(dataset.held_out())
    temperature = find_temperature(clips.targets, windows[subset], counts[subset])
    after = {
        name: mean_over_windows(apply_temperature(rows, temperature), counts[name]) for name, rows in windows.items()
    }
    record = calibration_record(temperature, subset, clips.targets, before[subset], after[subset])
    return CalibratedModel(scale_logits(model, temperature), after, record)


def calibration_record(
    temperature: float,
    subset: str,
    targets: NDArray[np.int64],
    before: NDArray[np.float32],
    after: NDArray[np.float32],
) -> dict[str, Any]:
    """Return what a model file stores: temperature, subset and clips, and the clips' log loss and calibration error.

    Args:
        temperature: the temperature.
        subset: name of the clips' subset.
        targets: (clips,) class indices.
        before, after: (clips, classes) probabilities without and with the temperature.
    """
    effects = {
        when: {"log_loss": log_loss(targets, answers), "ece": reliability(targets, answers)["ece"]}
        for when, answers in (("before", before), ("after", after))
    }
    return {"temperature": temperature, "subset": subset, "clips": len(targets), **effects}
