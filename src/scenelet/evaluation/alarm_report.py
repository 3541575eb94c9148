"""False alarms in the report of an evaluation, and their thresholds in the model file."""

import hashlib
import math
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.table import Column, Table
from rich.text import Text

from scenelet.errors import ModelFileError, UsageError
from scenelet.evaluation.bootstrap import interval_text
from scenelet.evaluation.clip_prediction import ClipPrediction
from scenelet.evaluation.false_alarms import AlarmCounts, FoundThresholds, hours_needed, poisson_interval
from scenelet.inference.threshold import json_threshold
from scenelet.model.file import read_bytes, update_results
from scenelet.model.pretrained import card, model_path
from scenelet.utils.files import replace_file
from scenelet.utils.text import pluralize


def alarm_report(
    counts: AlarmCounts,
    general: float,
    found: FoundThresholds,
    target_per_hour: float,
    predictions: Sequence[ClipPrediction],
) -> dict[str, Any]:
    """Return the part "false_alarms" of `report.json`.

    Args:
        counts: the alarms.
        general: the threshold of all labels "before".
        found: the threshold of each label "after".
        target_per_hour: the rate that they were found for.
        predictions: the evaluated clips, on which thresholds cost right answers.

    Returns:
        "recordings", "hours", "target_per_hour", "warning" (None, or why the rate is uncertain), "per_label" and
        "total". These have the "clips" and, under "before" and "after", "threshold" (None: never sure; missing in the
        total), "alarms", "per_hour" with its interval, and "recall", the fraction of the clips with a right and sure
        answer. "held_out" has the cross-validated "alarms" and their rate "per_hour", or it is
        None. "thresholds" and "counts" {label: [...]} have the alarms at each threshold but infinity.
    """
    before, thresholds, table = dict.fromkeys(counts.labels, general), found.thresholds, counts.counts
    targets = [clip for clip in predictions if clip.label in before]

    def rate(alarms: int) -> dict[str, Any]:
        return {"alarms": alarms, "per_hour": asdict(poisson_interval(alarms, counts.hours))}

    def state(labels: Sequence[str], of: Mapping[str, float]) -> dict[str, Any]:
        alarms = counts.alarms({label: of[label] for label in labels})
        clips = [clip for clip in targets if clip.label in labels]
        sure = [clip.is_correct and clip.is_sure(of[clip.label]) for clip in clips]
        return rate(alarms) | {"recall": sum(sure) / len(sure) if sure else None}

    def row(label: str) -> dict[str, Any]:
        states = {
            name: {"threshold": json_threshold(of[label]), **state([label], of)}
            for name, of in (("before", before), ("after", thresholds))
        }
        return {"clips": sum(clip.label == label for clip in targets)} | states

    return {
        "recordings": counts.recordings,
        "hours": counts.hours,
        "target_per_hour": target_per_hour,
        "warning": _warning(counts.hours, found.held_out_alarms, target_per_hour),
        "total": {
            "clips": len(targets),
            "before": state(counts.labels, before),
            "after": state(counts.labels, thresholds),
        },
        "held_out": None if found.held_out_alarms is None else rate(found.held_out_alarms),
        "per_label": {label: row(label) for label in counts.labels},
        "thresholds": counts.thresholds[:-1].tolist(),
        "counts": {label: table[k, :-1].tolist() for k, label in enumerate(counts.labels)},
    }


def _warning(hours: float, held_out_alarms: int | None, target_per_hour: float) -> str | None:
    needed = hours_needed(target_per_hour)
    if hours < needed:
        return (
            f"{hours:.2g} h of background are too few for a target of {target_per_hour:g} per hour: not even a"
            f" recording without false alarms would show it; record {math.ceil(10 * needed) / 10:g} h or more"
        )
    if held_out_alarms is not None and held_out_alarms > target_per_hour * hours:
        return (
            f"the cross-validated rate is above the target of {target_per_hour:g} per hour: expect more false alarms in"
            " other recordings; record more background, or train with it"
        )
    return None


def alarm_table(report: Mapping[str, Any]) -> Table:
    """Build the terminal's table of the part "false_alarms" of a report: a row per label with alarms, and the total."""
    names = ("threshold, %", "alarms", "per hour after", "recall, %")
    columns = (Column(name, justify="right", no_wrap=True) for name in names)
    table = Table("label", *columns, title=rates_text(report), title_justify="left", box=SIMPLE)
    for row in alarm_rows(report):
        table.add_row(*map(Text, row))
    return table


def rates_text(report: Mapping[str, Any]) -> str:
    """Put the rates of all labels together into words."""
    before, after = (interval_text(report["total"][name]["per_hour"], 2) for name in ("before", "after"))
    held_out = report["held_out"]
    return (
        f"{pluralize(report['recordings'], 'recording')} of background, {report['hours']:.2f} h: {before} false alarms"
        f" per hour at the general threshold, {after} at the thresholds for a target of {report['target_per_hour']:g}"
    ) + (f"; cross-validated over the recordings: {interval_text(held_out['per_hour'], 2)}" if held_out else "")


def alarm_rows(report: Mapping[str, Any]) -> list[list[str]]:
    """Return the rows of the table of the part "false_alarms": label, threshold, alarms, rate, and recall in percent.

    Labels without an alarm before are left out. The last row is the total.
    """
    rows = {label: own for label, own in report["per_label"].items() if own["before"]["alarms"]}
    rows[f"all {len(report['per_label'])}"] = report["total"]
    return [[label, *_cells(own)] for label, own in rows.items()]


def _cells(own: Mapping[str, Any]) -> list[str]:
    """Return the texts "before -> after" of a row."""
    before, after = own["before"], own["after"]

    def both(text: str, other: str) -> str:
        return text if text == other else f"{text} -> {other}"

    return [
        both(threshold_text(before), threshold_text(after)),
        both(f"{before['alarms']:,}", f"{after['alarms']:,}"),
        interval_text(after["per_hour"], 2),
        both(*("" if part["recall"] is None else f"{100 * part['recall']:.1f}" for part in (before, after))),
    ]


def threshold_text(part: Mapping[str, Any]) -> str:
    """Format the threshold of a label, in percent, before or after; the total has none.

    >>> threshold_text({"threshold": 0.905}), threshold_text({"threshold": None}), threshold_text({})
    ('90.5', 'never', '')
    """
    if "threshold" not in part:
        return ""
    return "never" if part["threshold"] is None else f"{100 * part['threshold']:.4g}"


def check_storable(model: str) -> Path:
    """Return the path of the model file that `--store` writes to.

    Raises:
        UsageError: it is a folder or a built-in model, or its owner made it read-only.
    """
    path = model_path(model)
    if path.is_dir():
        raise UsageError(f"--store: {path} is a folder, and thresholds belong to one model file; give that file")
    if card(path) is not None:
        raise UsageError(f"--store: {model} is a built-in model; copy {path} to a file of yours, and give that file")
    if path.is_file() and not path.stat().st_mode & stat.S_IWUSR:  # a rename would replace it all the same
        raise UsageError(f"--store: {path} is read-only; make it writable, or copy it and give the copy")
    return path


def store_thresholds(path: Path, report: Mapping[str, Any]) -> None:
    """Write the thresholds of a report into the model file that it is about. The weights keep their bytes.

    Args:
        path: the model file.
        report: the content of `report.json`.

    Raises:
        ModelFileError: the file has changed since.
        OutputError: the file cannot be written.
    """
    file, alarms = read_bytes(path), report["false_alarms"]
    if hashlib.sha256(file).hexdigest() != report["model_sha256"]:
        raise ModelFileError(f"{path}: has changed while it was evaluated; run the same command again")
    stored = {
        "probabilities": {label: own["after"]["threshold"] for label, own in alarms["per_label"].items()},
        "false_alarms_per_hour": alarms["target_per_hour"],
        "hours": alarms["hours"],
    }
    updated = update_results(file, {"label_thresholds": stored})
    replace_file(Path(os.path.realpath(path)), updated)  # a link stays a link
