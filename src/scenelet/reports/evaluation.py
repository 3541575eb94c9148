"""The evaluation report: `report.json`, `predictions.csv`, and a table for the terminal."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from scenelet.data.table import Clip
from scenelet.files import make_folder, replace_file


@dataclass(frozen=True)
class ClipResult:
    """A clip, the label it was given, and its probabilities in the model's order."""

    clip: Clip
    label: str
    probabilities: tuple[float, ...]


def write_report(folder: Path, report: Mapping[str, Any], results: Sequence[ClipResult], labels: Sequence[str]) -> None:
    """Write `report.json` and `predictions.csv` into `folder`, each whole or not at all."""
    make_folder(folder)
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["filename", "label", "group", "predicted", *labels])
    for result in results:
        shares = (f"{p:.6f}" for p in result.probabilities)
        rows.writerow([result.clip.name, result.clip.label, result.clip.group, result.label, *shares])
    for name, content in (("predictions.csv", text.getvalue()), ("report.json", json.dumps(report, indent=2) + "\n")):
        replace_file(folder / name, content)


def report_table(report: Mapping[str, Any]) -> RenderableType:
    """Headline, figures per class, and what each class was mistaken for."""
    made = " (made scenes)" if report.get("made") else ""
    headline = (
        f"macro accuracy {100 * report['macro_accuracy']:.1f} %, accuracy {100 * report['accuracy']:.1f} %,"
        f" log loss {report['log_loss']:.3f}, {report['clips']} clips{made}"
    )
    labels = list(report["per_class"])
    table = Table("label", "clips", "accuracy", "log loss", "mistaken for", box=SIMPLE)
    for label, row in zip(labels, report["confusion"], strict=True):
        figures = report["per_class"][label]
        if figures["clips"] == 0:
            table.add_row(Text(label), "0", "", "", "")
            continue
        wrong = [(other, count) for other, count in zip(labels, row, strict=True) if count and other != label]
        mistaken = ", ".join(f"{other} {count}" for other, count in sorted(wrong, key=lambda pair: -pair[1]))
        accuracy, loss = f"{100 * figures['accuracy']:.1f} %", f"{figures['log_loss']:.3f}"
        table.add_row(Text(label), str(figures["clips"]), accuracy, loss, Text(mistaken))
    return Group(headline, table)
