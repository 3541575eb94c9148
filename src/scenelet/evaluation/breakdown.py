"""Metrics of subsets of an evaluation: by class, by city and by group."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from scenelet.evaluation.bootstrap import LEVEL, Interval, class_mean, clip_mean
from scenelet.evaluation.clip_prediction import ClipPrediction
from scenelet.evaluation.metrics import classification_report, clip_losses

SEED = 0  # of the bootstrap, so that the same clips give the same intervals
MAX_WORST_GROUPS = 10
CITY_SUBSETS = {
    "seen": "all seen cities",
    "unseen": "all unseen cities",
    "unseen_with_unused": "all unseen cities, with unused clips",
}


def subset_metrics(predictions: Sequence[ClipPrediction], labels: Sequence[str]) -> dict[str, Any]:
    """Compute the metrics of at least one clip, with 95 % intervals; `labels` are the model's (classes,).

    Returns:
        The result of `scenelet.evaluation.metrics.classification_report`, and in addition "groups" (their number) and
        "intervals" {"accuracy", "macro_accuracy", "log_loss": {"value", "low", "high"}}. Each "per_class" entry with
        clips also has "interval" (of its accuracy) and "log_loss_interval".
    """
    targets = np.array([labels.index(prediction.label) for prediction in predictions])
    probabilities = np.array([prediction.probabilities for prediction in predictions], np.float32)
    groups = np.array([prediction.group for prediction in predictions], object)
    hits = probabilities.argmax(axis=1) == targets
    losses = clip_losses(targets, probabilities)
    report = classification_report(targets, probabilities, labels)
    rng = np.random.default_rng(SEED)
    report["groups"] = len(set(groups))
    own_clips = {k: np.flatnonzero(targets == k) for k in np.unique(targets)}
    class_groups = [len(set(groups[clips])) for clips in own_clips.values()]
    smallest = min(class_groups) * len(class_groups)  # as many groups if every class had as few as the smallest one
    report["intervals"] = {
        "accuracy": asdict(exact_if_constant(clip_mean(hits, groups, rng), len(set(groups)))),
        "macro_accuracy": asdict(exact_if_constant(class_mean(hits, targets, groups, rng), smallest)),
        "log_loss": asdict(clip_mean(losses, groups, rng)),
    }
    for k, clips in own_clips.items():
        accuracy = exact_if_constant(clip_mean(hits[clips], groups[clips], rng), len(set(groups[clips])))
        report["per_class"][labels[k]] |= {
            "interval": asdict(accuracy),
            "log_loss_interval": asdict(clip_mean(losses[clips], groups[clips], rng)),
        }
    return report


def exact_if_constant(interval: Interval, groups: int) -> Interval:
    """Replace the interval of a fraction that is 0 or 1 by the exact one of independent groups (Clopper-Pearson, 1934).

    There the bootstrap interval has no width, since all clips gave the same result. `groups` is their number.

    >>> round(exact_if_constant(Interval(1.0, low=1.0, high=1.0), groups=23).low, 3)
    0.852
    """
    if interval.low is None or interval.low != interval.high or interval.value not in (0.0, 1.0):
        return interval
    bound = ((1 - LEVEL) / 2) ** (1 / groups)
    return replace(interval, low=bound) if interval.value == 1.0 else replace(interval, high=1 - bound)


def city_metrics(
    predictions: Sequence[ClipPrediction],
    unused: Sequence[ClipPrediction],
    training_cities: Sequence[str],
    labels: Sequence[str],
) -> dict[str, Any]:
    """Compute `subset_metrics` of each city, of all cities seen in training, and of all unseen cities.

    Args:
        predictions: the evaluated clips.
        unused: clips in no split, recorded in cities that were not seen in training.
        training_cities: the cities seen in training; empty if unknown.
        labels: (classes,) the model's labels.

    Returns:
        Nothing if no clip has a city. Otherwise "per_city" {city: metrics and "seen_in_training", which is None if
        unknown}. If the training cities are known, also the nonempty ones of `CITY_SUBSETS`.
    """
    cities = sorted({prediction.city for prediction in predictions if prediction.city is not None})
    if not cities:
        return {}
    report: dict[str, Any] = {"per_city": {}}
    for city in cities:
        own = subset_metrics([prediction for prediction in predictions if prediction.city == city], labels)
        report["per_city"][city] = own | {"seen_in_training": city in training_cities if training_cities else None}
    if not training_cities:
        return report
    seen = [prediction for prediction in predictions if prediction.city in training_cities]
    unseen = [prediction for prediction in predictions if prediction.city not in (None, *training_cities)]
    subsets = {"seen": seen, "unseen": unseen, "unseen_with_unused": [*unseen, *unused] if unused else []}
    return report | {name: subset_metrics(subset, labels) for name, subset in subsets.items() if subset}


def city_rows(report: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """List the rows of a report's table of cities: a name and its metrics."""
    cities = report.get("per_city", {}).items()
    rows = [(f"{city} (unseen)" if own["seen_in_training"] is False else city, own) for city, own in cities]
    return rows + [(name, report[key]) for key, name in CITY_SUBSETS.items() if key in report]


def group_rows(predictions: Sequence[ClipPrediction]) -> list[dict[str, Any]]:
    """Count the correct predictions of each group.

    Returns:
        Rows of "group", "labels" of its clips, "clips", "right" (correct predictions) and "accuracy", ordered by
        increasing accuracy, then by decreasing size, then by name.

    >>> rows = group_rows([ClipPrediction("a.wav", "rain", "sea", (0.4, 0.6), group="garden")])
    >>> rows[0]["group"], rows[0]["clips"], rows[0]["right"]
    ('garden', 1, 0)
    """
    by_group: dict[str, list[ClipPrediction]] = {}
    for prediction in predictions:
        by_group.setdefault(prediction.group, []).append(prediction)
    rows = [
        {
            "group": group,
            "labels": sorted({prediction.label for prediction in own}),
            "clips": len(own),
            "right": sum(prediction.is_correct for prediction in own),
            "accuracy": sum(prediction.is_correct for prediction in own) / len(own),
        }
        for group, own in by_group.items()
    ]
    return sorted(rows, key=lambda row: (row["accuracy"], -row["clips"], row["group"]))


def worst_groups(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Select the first `MAX_WORST_GROUPS` rows of `group_rows` that have a mistake."""
    return [row for row in rows if row["right"] < row["clips"]][:MAX_WORST_GROUPS]
