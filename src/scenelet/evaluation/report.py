"""The data files of an evaluation report, and its table for the terminal."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from scenelet.evaluation.alarm_report import alarm_table
from scenelet.evaluation.bootstrap import MIN_GROUPS, interval_text
from scenelet.evaluation.breakdown import PLURALS, Attribute, gap_text, rows_by
from scenelet.evaluation.clip_prediction import ClipPrediction
from scenelet.evaluation.detection import background_text
from scenelet.utils.csv_cells import safe_row
from scenelet.utils.files import csv_text, make_folder, replace_files

REPORT, LISTENING = "report.html", "listening.html"
OPTIONAL_FILES = {LISTENING, "cities.svg", "devices.svg", "curves.svg", "alarms.svg", "predictions_unused.csv"}
NOTE = (
    "[low, high]: 95 % interval, by bootstrap over groups; exact for 0 and 100 %. [few groups]: fewer than"
    f" {MIN_GROUPS} groups, so no interval."
)


def write_report(
    folder: Path,
    report: Mapping[str, Any],
    predictions: Sequence[ClipPrediction],
    labels: Sequence[str],
    unused: Sequence[ClipPrediction] = (),
    pages: Mapping[str, str] | None = None,
) -> None:
    """Write the files of a report.

    `report.html` acts as the index. It is hidden while the other files are replaced, so if it exists, all files come
    from the same evaluation, even after a crash. Optional files of an earlier report are deleted.

    Args:
        folder: the folder to write into.
        report: the content of `report.json`.
        predictions: the evaluated clips, for `predictions.csv` and `predictions.json`.
        labels: (classes,) the model's labels.
        unused: clips in no split, for `predictions_unused.csv`.
        pages: file name -> text of each page and figure.

    Raises:
        OutputError: a file cannot be written.
    """
    files = {
        "predictions.csv": _predictions_csv(predictions, labels),
        "predictions.json": _predictions_json(predictions, labels),
        **({"predictions_unused.csv": _predictions_csv(unused, labels)} if unused else {}),
        **(pages or {}),
        "report.json": json.dumps(report, indent=2) + "\n",
    }
    if REPORT in files:
        files[REPORT] = files.pop(REPORT)  # the last file is the index
    make_folder(folder)
    replace_files(
        {folder / name: text for name, text in files.items()},
        remove=[folder / name for name in OPTIONAL_FILES - set(files)],
    )


def _predictions_json(predictions: Sequence[ClipPrediction], labels: Sequence[str]) -> str:
    """Encode the predictions and their windows, one clip per line; probabilities are in the order of "labels"."""
    lines = []
    for clip in predictions:
        values: dict[str, object] = {"filename": clip.name, "label": clip.label, "group": clip.group}
        values |= {"city": clip.city, "device": clip.device}
        values |= {"predicted": clip.predicted, "probabilities": clip.probabilities, "windows": clip.windows}
        lines.append(json.dumps(values))
    return f'{{"labels": {json.dumps(list(labels))}, "clips": [\n' + ",\n".join(lines) + "\n]}\n"


def _predictions_csv(predictions: Sequence[ClipPrediction], labels: Sequence[str]) -> str:
    rows: list[list[object]] = [["filename", "label", "group", "city", "device", "predicted", *labels]]
    for clip in predictions:
        probabilities = (f"{p:.6f}" for p in clip.probabilities)
        places = [clip.group, clip.city or "", clip.device or ""]
        rows.append([clip.name, clip.label, *places, clip.predicted, *probabilities])
    header, *safe = map(safe_row, rows)
    return csv_text([str(cell) for cell in header], safe)


def most_confused(label: str, labels: Sequence[str], counts: Sequence[int]) -> list[tuple[str, int]]:
    """List the classes that a class was mistaken for, the most frequent first, from its row of the confusion matrix.

    >>> most_confused("rain", ["rain", "sea", "wind"], [7, 1, 2])
    [('wind', 2), ('sea', 1)]
    """
    wrong = [(other, count) for other, count in zip(labels, counts, strict=True) if count and other != label]
    return sorted(wrong, key=lambda pair: -pair[1])


def sure_text(report: Mapping[str, Any]) -> str:
    """Put the sure answers of a report into words.

    >>> sure_text({"clips": 9, "sure": {"thresholds": [0.5, 0.5], "min_similarity": None, "clips": 8, "right": 7}})
    'Answers below 50.0 % are unsure. 8 of 9 clips have a sure answer, and 7 of these are right.'
    """
    sure = report["sure"]
    known = sorted({threshold for threshold in sure["thresholds"] if threshold is not None})
    ends = [f"{100 * threshold:.1f} %" for threshold in known[:1] + known[1:][-1:]]
    single = ends[0] if len(ends) == 1 and None not in sure["thresholds"] else ""
    limits = [*ends, *(["never"] if None in sure["thresholds"] else [])]
    minimum = sure["min_similarity"]
    unlike = "" if minimum is None else f", and so are sounds below a similarity of {minimum:.4f}"
    below = single or f"the threshold of their label ({' to '.join(limits)})"
    return (
        f"Answers below {below} are unsure{unlike}. {sure['clips']:,} of {report['clips']:,} clips have a sure answer,"
        f" and {sure['right']:,} of these are right."
    )


def device_models_text(report: Mapping[str, Any]) -> str:
    """Say how many clips each model of a folder answered; empty for a single model.

    >>> device_models_text({"device_models": {"general": {"clips": 3}, "s1": {"clips": 1}}})
    'Clips that each model answered: general 3, s1 1.'
    """
    answered = ", ".join(f"{name} {own['clips']:,}" for name, own in report.get("device_models", {}).items())
    return f"Clips that each model answered: {answered}." if answered else ""


def background_model_text(report: Mapping[str, Any]) -> str:
    """Say which model of a folder heard the recordings of background; empty for a single model, or without these."""
    if "device_models" not in report or "false_alarms" not in report:
        return ""
    return "The general model heard the recordings of background, so the false alarms and thresholds are its own."


def report_table(report: Mapping[str, Any]) -> RenderableType:
    """Build the terminal's table from the content of `report.json`: overall, of each class, city and device."""
    synthetic = " (synthetic scenes)" if report.get("synthetic") else ""
    intervals = report["intervals"]
    headline = (
        f"macro accuracy {_percent(intervals['macro_accuracy'])}, accuracy {_percent(intervals['accuracy'])},"
        f" log loss {_plain(intervals['log_loss'])}, {report['clips']:,} clips of {report['groups']:,} groups"
        f"{synthetic}"
    )
    note = f"Warning: {report['warning']}. " if report.get("warning") else ""
    if report.get("sure"):
        note += f"{sure_text(report)} "
    for text in (background_text(report), device_models_text(report), background_model_text(report)):
        note += f"{text} " if text else ""
    shown = [attribute for attribute in PLURALS if rows_by(attribute, report)]
    tables = [_class_table(report), *(_table_by(attribute, report) for attribute in shown)]
    note += "".join(f"{text} " for attribute in shown if (text := gap_text(attribute, report)))
    tables += [alarm_table(report["false_alarms"])] if "false_alarms" in report else []
    return Group(Text(headline), *tables, Text(note + NOTE, style="dim"))


def _class_table(report: Mapping[str, Any]) -> Table:
    labels = list(report["per_class"])
    table = Table("label", "clips", Column("accuracy", no_wrap=True), "precision", "mistaken for", box=SIMPLE)
    for label, row in zip(labels, report["confusion"], strict=True):
        own = report["per_class"][label]
        if own["clips"] == 0:
            table.add_row(Text(label), "0", "", "", "")
            continue
        mistaken = ", ".join(f"{other} {count}" for other, count in most_confused(label, labels, row))
        precision = "" if own["precision"] is None else f"{100 * own['precision']:.1f} %"
        accuracy = _percent(own["interval"])
        table.add_row(Text(label), f"{own['clips']:,}", accuracy, precision, Text(mistaken))
    return table


def _table_by(attribute: Attribute, report: Mapping[str, Any]) -> Table:
    table = Table(attribute, "clips", "macro accuracy", "log loss", box=SIMPLE)
    for name, own in rows_by(attribute, report):
        accuracy, loss = own["intervals"]["macro_accuracy"], own["intervals"]["log_loss"]
        table.add_row(Text(name), f"{own['clips']:,}", _percent(accuracy), _plain(loss))
    return table


def _percent(interval: Mapping[str, float | None]) -> Text:
    text = interval_text(interval, 1, 100)
    return Text(text.replace(" [", " % [", 1))


def _plain(interval: Mapping[str, float | None]) -> Text:
    return Text(interval_text(interval, 3))
