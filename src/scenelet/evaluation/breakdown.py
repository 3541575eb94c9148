"""Metrics of subsets of an evaluation: by class, city, device and group."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Literal

import numpy as np

from scenelet.evaluation.bootstrap import LEVEL, Interval, class_mean, class_mean_gap, clip_mean, interval_text
from scenelet.evaluation.clip_prediction import ClipPrediction
from scenelet.evaluation.metrics import classification_report, clip_losses

SEED = 0  # of the bootstrap, so that the same clips give the same intervals
MAX_WORST_GROUPS = 10
Attribute = Literal["city", "device"]
PLURALS: dict[Attribute, str] = {"city": "cities", "device": "devices"}


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


def metrics_by(
    attribute: Attribute,
    predictions: Sequence[ClipPrediction],
    trained: Sequence[str],
    labels: Sequence[str],
    unused: Sequence[ClipPrediction] = (),
) -> dict[str, Any]:
    """Compute `subset_metrics` of each city or device, of all that were seen in training, and of all unseen ones.

    Args:
        attribute: "city" or "device".
        predictions: the evaluated clips.
        trained: the cities or devices seen in training; empty if unknown.
        labels: (classes,) the model's labels.
        unused: clips in no split, of cities or devices that were not seen in training.

    Returns:
        Nothing if no clip has the attribute. Otherwise "per_device" {device: metrics and "seen_in_training", which is
        None if unknown}. If the devices seen in training are known, also the metrics of the nonempty ones of
        "seen_devices", "unseen_devices" and "unseen_devices_with_unused". If both exist, "device_gap" is seen minus
        unseen devices: "macro_accuracy" and "log_loss" {"value", "low", "high"}. The keys of cities have "city" and
        "cities" instead.
    """
    plural = PLURALS[attribute]
    by_name: dict[str, list[ClipPrediction]] = {}
    for prediction in predictions:
        name = getattr(prediction, attribute)
        if name is not None:
            by_name.setdefault(name, []).append(prediction)
    if not by_name:
        return {}
    report: dict[str, Any] = {
        f"per_{attribute}": {
            name: subset_metrics(own, labels) | {"seen_in_training": name in trained if trained else None}
            for name, own in sorted(by_name.items())
        }
    }
    if not trained:
        return report
    seen = [prediction for name, own in by_name.items() if name in trained for prediction in own]
    unseen = [prediction for name, own in by_name.items() if name not in trained for prediction in own]
    subsets = {"seen": seen, "unseen": unseen}
    report |= {f"{kind}_{plural}": subset_metrics(subset, labels) for kind, subset in subsets.items() if subset}
    if unused:
        report[f"unseen_{plural}_with_unused"] = subset_metrics([*unseen, *unused], labels)
    return report | ({f"{attribute}_gap": _gap(seen, unseen, labels)} if seen and unseen else {})


def _gap(
    seen: Sequence[ClipPrediction], unseen: Sequence[ClipPrediction], labels: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Compute macro accuracy and log loss of `seen` minus those of `unseen`, with intervals over the same groups."""
    clips = [*seen, *unseen]
    is_seen = np.arange(len(clips)) < len(seen)
    targets = np.array([labels.index(clip.label) for clip in clips])
    groups = np.array([clip.group for clip in clips], object)
    losses = clip_losses(targets, np.array([clip.probabilities for clip in clips], np.float32))
    hits, rng = [clip.is_correct for clip in clips], np.random.default_rng(SEED)
    return {
        "macro_accuracy": asdict(class_mean_gap(hits, is_seen, targets, groups, rng)),
        "log_loss": asdict(class_mean_gap(losses, is_seen, np.zeros(len(clips), np.int64), groups, rng)),
    }


def rows_by(attribute: Attribute, report: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """List the rows of a report's table of cities or devices: a name and its metrics.

    There are none for a single city or device without any unseen one, because they would repeat the overall metrics.
    """
    entries, plural = report.get(f"per_{attribute}", {}), PLURALS[attribute]
    rows = [(f"{name} (unseen)" if own["seen_in_training"] is False else name, own) for name, own in entries.items()]
    subsets = {
        f"seen_{plural}": f"all seen {plural}",
        f"unseen_{plural}": f"all unseen {plural}",
        f"unseen_{plural}_with_unused": f"all unseen {plural}, with unused clips",
    }
    rows += [(name, report[key]) for key, name in subsets.items() if key in report]
    has_unseen = any(key in report for key in (f"unseen_{plural}", f"unseen_{plural}_with_unused"))
    return rows if len(entries) > 1 or has_unseen else []


def gap_text(attribute: Attribute, report: Mapping[str, Any]) -> str:
    """Put the difference between seen and unseen cities or devices into words; empty if it is not known.

    >>> gap = {"macro_accuracy": {"value": 0.1, "low": 0.05, "high": 0.2}}
    >>> gap |= {"log_loss": {"value": -0.5, "low": -0.75, "high": -0.25}}
    >>> gap_text("device", {"device_gap": gap})  # doctest: +NORMALIZE_WHITESPACE
    'Seen minus unseen devices: macro accuracy +10.0 [+5.0, +20.0] points,
     log loss -0.500 [-0.750, -0.250].'
    """
    gap = report.get(f"{attribute}_gap")
    if gap is None:
        return ""
    accuracy = interval_text(gap["macro_accuracy"], 1, 100, sign=True)
    loss = interval_text(gap["log_loss"], 3, sign=True)
    return f"Seen minus unseen {PLURALS[attribute]}: macro accuracy {accuracy} points, log loss {loss}."


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
