"""Metrics of each recording device in a comparison, of seen and of unseen devices, and their table."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenelet.evaluation.bootstrap import class_mean, class_mean_gap, clip_mean, interval_text
from scenelet.experiments.answers import Answers
from scenelet.utils.text import markdown_table

SUBSETS = {"seen_devices": "all seen", "unseen_devices": "all unseen"}


def device_metrics(answers: Answers, rng: np.random.Generator) -> dict[str, Any]:
    """Compute the metrics of each device, and of all seen and all unseen ones, with their intervals; `rng` draws them.

    Returns:
        Nothing if the clips have fewer than two devices. Otherwise "per_device" {device: "clips", "macro_accuracy" and
        "log_loss" {value, low, high}, and "seen_in_training", which is None if unknown, or if only some trials have
        seen the device}. "seen_devices" and "unseen_devices" are the same without "seen_in_training", of the clips
        whose trials have seen their device or not. If both exist, "device_gap" is the macro accuracy {value, low,
        high} of the seen minus that of the unseen ones.
    """
    devices = sorted({device for device in answers.devices if device is not None})
    if len(devices) < 2:
        return {}
    per_device = {}
    for device in devices:
        own = answers.devices == device
        seen = set(answers.is_seen[own])
        per_device[device] = _metrics(answers, own, rng) | {"seen_in_training": seen.pop() if len(seen) == 1 else None}
    is_seen, is_unseen = (np.array([value is wanted for value in answers.is_seen]) for wanted in (True, False))
    metrics: dict[str, Any] = {"per_device": per_device}
    for name, own in zip(SUBSETS, (is_seen, is_unseen), strict=True):
        if own.any():
            metrics[name] = _metrics(answers, own, rng)
    if is_seen.any() and is_unseen.any():
        known = is_seen | is_unseen
        hits, targets, groups = answers.hits[known], answers.targets[known], answers.groups[known]
        metrics["device_gap"] = asdict(class_mean_gap(hits, is_seen[known], targets, groups, rng))
    return metrics


def _metrics(answers: Answers, own: NDArray[np.bool_], rng: np.random.Generator) -> dict[str, Any]:
    groups = answers.groups[own]
    return {
        "clips": int(own.sum()),
        "macro_accuracy": asdict(class_mean(answers.hits[own], answers.targets[own], groups, rng)),
        "log_loss": asdict(clip_mean(answers.losses[own], groups, rng)),
    }


def device_table(rows: Sequence[Mapping[str, Any]], mean_row: Mapping[str, Any] | None = None) -> list[str]:
    """Format the macro accuracies of the rows that have `device_metrics`, as lines of Markdown; empty without any.

    Args:
        rows: the rows of systems.
        mean_row: the row with the mean over them; None: there is no such row.
    """
    measured = [row for row in (*rows, *([mean_row] if mean_row else [])) if "per_device" in row]
    if not measured:
        return []
    devices = sorted({device for row in measured for device in row["per_device"]})
    subsets = [name for name in SUBSETS if any(name in row for row in measured)]
    has_gap = any("device_gap" in row for row in measured)
    columns = ["system", *devices, *(SUBSETS[name] for name in subsets)]
    columns += ["seen minus unseen, points"] if has_gap else []
    cells = [
        [
            row["name"],
            *(_device_cell(row["per_device"].get(device)) for device in devices),
            *(_accuracy(row.get(name)) for name in subsets),
            *([interval_text(row["device_gap"], 2, 100, sign=True) if "device_gap" in row else ""] if has_gap else []),
        ]
        for row in measured
    ]
    return [
        "Macro accuracy of each recording device, % [95 %]:",
        "",
        *markdown_table(columns, cells),
        "",
        *_notes(measured, mean_row),
    ]


def _notes(measured: Sequence[Mapping[str, Any]], mean_row: Mapping[str, Any] | None) -> list[str]:
    """Return the notes below the table of the measured rows, which end with the mean row if it is measured."""
    notes = [
        "- The intervals resample groups with the clips of all their devices, because devices that record the same"
        " scene are not independent."
    ]
    if any(own["seen_in_training"] is False for row in measured for own in row["per_device"].values()):
        notes.insert(0, "- *: no training clip of this row comes from the device.")
    seen = [{name: own["seen_in_training"] for name, own in row["per_device"].items()} for row in measured]
    if mean_row is not None and measured[-1] is mean_row and any(own != seen[0] for own in seen):
        notes.append(
            f"- '{mean_row['name']}': all seen and all unseen have only the devices that all rows have seen, or have"
            " not. The rows themselves were trained on different devices, so their columns differ in the devices."
        )
    return notes


def _device_cell(metrics: Mapping[str, Any] | None) -> str:
    mark = "*" if metrics is not None and metrics["seen_in_training"] is False else ""
    return _accuracy(metrics) + mark


def _accuracy(metrics: Mapping[str, Any] | None) -> str:
    return "" if metrics is None else interval_text(metrics["macro_accuracy"], 2, 100)
