"""The evaluation report: its files of data, and a table for the terminal."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from scenelet.data.clips import Clip
from scenelet.evaluation.bootstrap import MIN_GROUPS, interval_text
from scenelet.utils.files import csv_text, replace_files
from scenelet.utils.locks import file_lock

REPORT, LISTENING = "report.html", "listening.html"
OPTIONAL = {LISTENING, "curves.svg", "predictions_unused.csv"}
"""Files that an evaluation may write or not."""
NOTE = (
    "[low, high]: 95 %, by bootstrap over groups; without width: all clips came out alike, which is no certainty;"
    f" [few groups]: fewer than {MIN_GROUPS}."
)


@dataclass(frozen=True)
class ClipResult:
    """A clip, the label it was given, and its probabilities in the model's order; those of its windows, too."""

    clip: Clip
    label: str
    probabilities: tuple[float, ...]
    windows: tuple[tuple[float, ...], ...] = ()

    @property
    def right(self) -> bool:
        """Whether the answer is the clip's label."""
        return self.label == self.clip.label


def write_report(
    folder: Path,
    report: Mapping[str, Any],
    results: Sequence[ClipResult],
    labels: Sequence[str],
    unused: Sequence[ClipResult] = (),
    pages: Mapping[str, str] | None = None,
) -> None:
    """Write the files of a report; where the last is there, they are all of one evaluation, and of the last that ended.

    `predictions.csv` and `predictions.json`; `predictions_unused.csv` of clips in no split; `pages`, file name -> text,
    and `report.json`; the last is `report.html`, where it is one of the pages. Of `OPTIONAL` what an evaluation before
    wrote, and this one does not, goes away: it is about other answers.
    """
    files = {"predictions.csv": _rows(results, labels), "predictions.json": _predictions(results, labels)}
    if unused:
        files["predictions_unused.csv"] = _rows(unused, labels)
    files |= dict(pages or {}) | {"report.json": json.dumps(report, indent=2) + "\n"}
    if REPORT in files:
        files[REPORT] = files.pop(REPORT)
    with file_lock(folder / ".report.lock"):
        replace_files(
            {folder / name: text for name, text in files.items()},
            remove=[folder / name for name in OPTIONAL - set(files)],
        )


def _predictions(results: Sequence[ClipResult], labels: Sequence[str]) -> str:
    """Every prediction with its windows' probabilities, in the order of "labels"; a line a clip."""
    lines = [
        json.dumps(
            {
                "filename": result.clip.name,
                "label": result.clip.label,
                "group": result.clip.group,
                "city": result.clip.city,
                "predicted": result.label,
                "probabilities": result.probabilities,
                "windows": result.windows,
            }
        )
        for result in results
    ]
    return f'{{"labels": {json.dumps(list(labels))}, "clips": [\n' + ",\n".join(lines) + "\n]}\n"


def _rows(results: Sequence[ClipResult], labels: Sequence[str]) -> str:
    rows = []
    for result in results:
        clip, shares = result.clip, (f"{p:.6f}" for p in result.probabilities)
        rows.append([clip.name, clip.label, clip.group, clip.city or "", result.label, *shares])
    return csv_text(["filename", "label", "group", "city", "predicted", *labels], rows)


def most_confused(label: str, labels: Sequence[str], counts: Sequence[int]) -> list[tuple[str, int]]:
    """What a class was mistaken for, and how often, the most frequent first; `counts` is its row of the confusion."""
    wrong = [(other, count) for other, count in zip(labels, counts, strict=True) if count and other != label]
    return sorted(wrong, key=lambda pair: -pair[1])


def report_table(report: Mapping[str, Any], cities: Sequence[tuple[str, Mapping[str, Any]]] = ()) -> RenderableType:
    """Headline, figures per class with what each was mistaken for, and per city; 95 % intervals in brackets."""
    made = " (made scenes)" if report.get("synthetic") else ""
    intervals = report["intervals"]
    headline = (
        f"macro accuracy {_percent(intervals['macro_accuracy'])}, accuracy {_percent(intervals['accuracy'])},"
        f" log loss {_plain(intervals['log_loss'])}, {report['clips']:,} clips of {report['groups']:,} groups{made}"
    )
    labels = list(report["per_class"])
    table = Table("label", "clips", "accuracy", "log loss", "mistaken for", box=SIMPLE)
    for label, row in zip(labels, report["confusion"], strict=True):
        own = report["per_class"][label]
        if own["clips"] == 0:
            table.add_row(Text(label), "0", "", "", "")
            continue
        mistaken = ", ".join(f"{other} {count}" for other, count in most_confused(label, labels, row))
        accuracy, loss = _percent(own["interval"]), _plain(own["log_loss_interval"])
        table.add_row(Text(label), f"{own['clips']:,}", accuracy, loss, Text(mistaken))
    warning = f"Warning: {report['warning']}. " if report.get("warning") else ""
    note = Text(warning + NOTE, style="dim")
    if not cities:
        return Group(Text(headline), table, note)
    places = Table("city", "clips", "macro accuracy", "log loss", box=SIMPLE)
    for name, own in cities:
        accuracy, loss = own["intervals"]["macro_accuracy"], own["intervals"]["log_loss"]
        places.add_row(Text(name), f"{own['clips']:,}", _percent(accuracy), _plain(loss))
    return Group(Text(headline), table, places, note)


def _percent(interval: Mapping[str, float | None]) -> Text:
    text = interval_text(interval, 1, 100)
    return Text(text.replace(" [", " % [", 1))


def _plain(interval: Mapping[str, float | None]) -> Text:
    return Text(interval_text(interval, 3))
