"""Synthetic results of trials, for tests of comparisons."""

from collections.abc import Sequence

import numpy as np

from helpers.example_report import make_prediction
from scenelet.evaluation.clip_prediction import ClipPrediction
from scenelet.experiments.results import TrialResult

LABELS = ("indoor", "outdoor", "transportation")


def make_result(
    held_out: str, clips: Sequence[ClipPrediction], labels: tuple[str, ...] = LABELS, seed: int = 0
) -> TrialResult:
    """A result with these predictions."""
    return TrialResult(
        held_out=held_out,
        seed=seed,
        labels=labels,
        train_counts=(1,) * len(labels),
        parameters=100,
        parameters_kept=40,
        bytes={"paper": 1234, "disk": 5000 + seed},
        steps=10,
        minutes=0.5,
        versions={},
        clips=tuple(clips),
    )


def device_result(
    accuracies: dict[str, float], train_devices: tuple[str, ...] = (), seed: int = 0, locations: int = 20
) -> TrialResult:
    """A result with one clip of each class, location and device.

    A device is right at this fraction of the locations, of which the first ones are wrong.
    """
    clips = []
    for location in range(locations):
        for k, label in enumerate(LABELS):
            for device, accuracy in accuracies.items():
                is_wrong = location < round((1 - accuracy) * locations)
                probabilities = [0.1, 0.1, 0.1]
                probabilities[(k + is_wrong) % 3] = 0.8
                name, group = f"{label}-{location}-{device}.wav", f"place {location}"
                clips.append(make_prediction(name, label, LABELS, probabilities, group, device=device))
    return make_result("", clips, seed=seed).model_copy(update={"train_devices": train_devices})


def random_result(held_out: str, seed: int, skill: float, clips: int = 60) -> TrialResult:
    """A result that is correct with a probability of about `skill`, in groups of three clips."""
    rng = np.random.default_rng([int(held_out or 0), seed, int(100 * skill)])
    predictions = []
    for i in range(clips):
        probabilities = rng.dirichlet(np.ones(3))
        answer = i % 3 if rng.random() < skill else (i + 1) % 3
        order = np.argsort(probabilities)
        probabilities[[order[-1], answer]] = probabilities[[answer, order[-1]]]
        name, group = f"{held_out}-{i}.wav", f"{held_out}-{i // 3}"
        predictions.append(make_prediction(name, LABELS[i % 3], LABELS, probabilities.tolist(), group))
    return make_result(held_out, predictions, seed=seed)
