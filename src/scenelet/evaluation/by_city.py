"""How sure a model's figures are, and how they differ from city to city."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from scenelet.evaluation.bootstrap import class_mean, clip_mean
from scenelet.evaluation.metrics import classification_report, clip_losses
from scenelet.evaluation.report import ClipResult

SEED = 0  # of the bootstrap: the same clips give the same intervals


def subset_figures(results: Sequence[ClipResult], labels: Sequence[str]) -> dict[str, Any]:
    """`scenelet.evaluation.metrics.classification_report` of some clips, with the 95 % intervals of its measures.

    Returns:
        What `classification_report` does; also "groups", "intervals" {"accuracy", "macro_accuracy", "log_loss": {value, low, high}},
        and in each "per_class" entry with clips "interval", its accuracy's, and "log_loss_interval".
    """
    targets = np.array([labels.index(result.clip.label) for result in results])
    probabilities = np.array([result.probabilities for result in results], np.float32)
    groups = [result.clip.group for result in results]
    hits = probabilities.argmax(axis=1) == targets
    report = classification_report(targets, probabilities, labels)
    rng = np.random.default_rng(SEED)
    report["groups"] = len(set(groups))
    report["intervals"] = {
        "accuracy": asdict(clip_mean(hits, groups, rng)),
        "macro_accuracy": asdict(class_mean(hits, targets, groups, rng)),
        "log_loss": asdict(clip_mean(clip_losses(targets, probabilities), groups, rng)),
    }
    losses = clip_losses(targets, probabilities)
    for k, label in enumerate(labels):
        own = np.flatnonzero(targets == k)
        if len(own):
            of_class = [groups[i] for i in own]
            report["per_class"][label]["interval"] = asdict(clip_mean(hits[own], of_class, rng))
            report["per_class"][label]["log_loss_interval"] = asdict(clip_mean(losses[own], of_class, rng))
    return report


def city_figures(
    results: Sequence[ClipResult], unused: Sequence[ClipResult], heard: Sequence[str], labels: Sequence[str]
) -> dict[str, Any]:
    """`subset_figures` by city, and over the cities that training heard and did not hear; nothing where no city is known.

    Args:
        results: of the measured clips.
        unused: of clips that are in no split, of cities that training did not hear.
        heard: the cities of the model's training clips; none: not known.
        labels: of the model.

    Returns:
        "per_city" {city: figures and "heard", None where not known}; where training's cities are known and there
        are such clips "seen" and "unseen", and with unused clips "unseen_with_unused".
    """
    cities = sorted({result.clip.city for result in results if result.clip.city is not None})
    if not cities:
        return {}
    report: dict[str, Any] = {"per_city": {}}
    for city in cities:
        own = subset_figures([result for result in results if result.clip.city == city], labels)
        report["per_city"][city] = own | {"heard": city in heard if heard else None}
    if not heard:
        return report
    seen = [result for result in results if result.clip.city in heard]
    unseen = [result for result in results if result.clip.city not in (None, *heard)]
    parts = {"seen": seen, "unseen": unseen, "unseen_with_unused": [*unseen, *unused] if unused else []}
    return report | {name: subset_figures(part, labels) for name, part in parts.items() if part}


def city_rows(report: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """What a table shows of a report's cities: a name and its figures a row."""
    rows = []
    for city, own in report.get("per_city", {}).items():
        rows.append((f"{city} (unseen)" if own["heard"] is False else city, own))
    names = {
        "seen": "all seen cities",
        "unseen": "all unseen cities",
        "unseen_with_unused": "unseen, with the clips in no split",
    }
    return rows + [(names[key], report[key]) for key in names if key in report]
