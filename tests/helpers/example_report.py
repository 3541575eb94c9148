"""Synthetic predictions and a report of them, for tests of an evaluation's pages and files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scenelet.data.clips import Clip
from scenelet.evaluation.breakdown import group_rows, metrics_by, subset_metrics, worst_groups
from scenelet.evaluation.clip_prediction import ClipPrediction
from scenelet.evaluation.detection import detection_curve
from scenelet.evaluation.metrics import reliability


def make_prediction(
    name: str,
    label: str,
    labels: Sequence[str],
    probabilities: Sequence[float],
    group: str,
    city: str | None = None,
    fold: str | None = None,
    device: str | None = None,
) -> ClipPrediction:
    """A prediction for a clip of this name."""
    clip = Clip(Path(name), name, label, group, fold=fold, city=city, device=device)
    return ClipPrediction.from_clip(clip, labels, probabilities)


def make_predictions(
    labels: tuple[str, ...], count: int = 60, seed: int = 0, locations: tuple[str, ...] = ("a", "b", "c")
) -> list[ClipPrediction]:
    """Clips in groups of three from two cities and three devices, of which three in four are predicted correctly."""
    rng = np.random.default_rng(seed)
    predictions = []
    for i in range(count):
        truth = i % len(labels)
        answer = truth if rng.uniform() < 0.75 else int(rng.integers(len(labels)))
        probabilities = rng.dirichlet(np.full(len(labels), 0.5) + 6 * (np.arange(len(labels)) == answer)).tolist()
        name = f"{i:03}.wav"
        group = f"{locations[i % len(locations)]}{i // (3 * len(labels))}"
        device = ("a", "s1", "s4")[i // 3 % 3]
        clip = Clip(Path(name), name, labels[truth], group, city=("oslo", "rome")[i % 2], device=device)
        predictions.append(ClipPrediction.from_clip(clip, labels, probabilities, [probabilities]))
    return predictions


def make_report(predictions: list[ClipPrediction], labels: tuple[str, ...]) -> dict[str, Any]:
    """The report that `scenelet.evaluation.evaluate` makes of them."""
    targets = [labels.index(prediction.label) for prediction in predictions]
    rows = group_rows(predictions)
    return {
        **subset_metrics(predictions, labels),
        **metrics_by("city", predictions, ["oslo"], labels),
        **metrics_by("device", predictions, ["a", "s1"], labels),
        "calibration": {
            "temperature": 1.25,
            "subset": "test",
            "clips": 80,
            "without": {"log_loss": 0.75, "ece": 0.125},
        },
        "sure": {"thresholds": [0.5] * len(labels), "min_similarity": None, "clips": len(predictions), "right": 3},
        "detection": detection_curve(predictions, None),
        "reliability": reliability(targets, [prediction.probabilities for prediction in predictions]),
        "worst_groups": worst_groups(rows),
        "per_group": rows,
        "model": "models/example.scn",
        "labels": list(labels),
        "data": "synthetic",
        "synthetic": True,
        "split": "test",
        "split_description": "all of it",
        "warning": None,
        "fold": None,
        "city": None,
    }
