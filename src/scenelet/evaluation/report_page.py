"""The evaluation report as one HTML file that works offline, and its figures as SVG."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from scenelet.evaluation.alarm_report import alarm_rows, rates_text
from scenelet.evaluation.bootstrap import LEVEL, MIN_GROUPS
from scenelet.evaluation.breakdown import PLURALS, gap_text, rows_by
from scenelet.evaluation.clip_prediction import ClipPrediction
from scenelet.evaluation.detection import background_text
from scenelet.evaluation.figures import (
    accuracies_svg,
    alarms_svg,
    confusion_svg,
    curves_svg,
    detection_svg,
    reliability_svg,
)
from scenelet.evaluation.history import Epoch
from scenelet.evaluation.report import background_model_text, device_models_text, most_confused, sure_text
from scenelet.model.rules import RULES
from scenelet.utils.html import render

MAX_GROUPS = 1000  # rows in the table of all groups; report.json has the others


def figure_files(report: Mapping[str, Any], history: Sequence[Epoch]) -> dict[str, str]:
    """Draw the report's figures, as file name -> SVG.

    Args:
        report: the content of `report.json`.
        history: the epochs of the model's training; without any there is no `curves.svg`.
    """
    figures = {
        "confusion.svg": confusion_svg(report["labels"], report["confusion"]),
        "classes.svg": accuracies_svg(
            "Accuracy of each class", {label: own.get("interval") for label, own in report["per_class"].items()}
        ),
        "reliability.svg": reliability_svg(report["reliability"]),
        "detection.svg": detection_svg(report["detection"], report["sure"]["thresholds"]),
    }
    for attribute, plural in PLURALS.items():
        if rows := rows_by(attribute, report):
            accuracies = {name: own["intervals"]["macro_accuracy"] for name, own in rows}
            figures[f"{plural}.svg"] = accuracies_svg(f"Macro accuracy of each {attribute}", accuracies)
    if "false_alarms" in report:
        figures["alarms.svg"] = alarms_svg(report["false_alarms"])
    return figures | ({"curves.svg": curves_svg(history)} if history else {})


def report_page(
    report: Mapping[str, Any],
    figures: Mapping[str, str],
    model: Mapping[str, Any],
    predictions: Sequence[ClipPrediction],
    history: Sequence[Epoch] = (),
    anchors: Mapping[int, str] | None = None,
) -> str:
    """Render the page, as HTML.

    Args:
        report: the content of `report.json`.
        figures: the result of `figure_files`.
        model: the result of `scenelet.model.summary.describe`.
        predictions: the evaluated clips.
        history: the epochs of the model's training; empty if unknown.
        anchors: index of a clip -> its anchor on the listening page; None if there is no such page.
    """
    rules = [
        {"name": name, "bytes": count, "unit": RULES[name].unit, "counts": RULES[name].text}
        for name, count in model["bytes"].items()
    ]
    labels = report["labels"]
    linked: dict[str, list[dict[str, str]]] = {}  # the clips of each group that are on the listening page
    for i, anchor in sorted((anchors or {}).items()):
        linked.setdefault(predictions[i].group, []).append({"name": predictions[i].name, "anchor": anchor})
    return render(
        "scenelet.evaluation",
        "report.html.j2",
        report=report,
        sure=sure_text(report),
        background=background_text(report),
        device_models=device_models_text(report),
        background_model=background_model_text(report),
        rates=rates_text(report["false_alarms"]) if "false_alarms" in report else "",
        alarms=alarm_rows(report["false_alarms"]) if "false_alarms" in report else [],
        figures={name.removesuffix(".svg"): Markup(svg) for name, svg in figures.items()},  # noqa: S704 - our own SVG
        classes=[
            {"label": label, "wrong": most_confused(label, labels, counts), **report["per_class"][label]}
            for label, counts in zip(labels, report["confusion"], strict=True)
        ],
        breakdowns=[
            {
                "attribute": attribute,
                "plural": plural,
                "rows": rows_by(attribute, report),
                "gap": gap_text(attribute, report),
                "is_training_known": any(
                    own["seen_in_training"] is not None for own in report.get(f"per_{attribute}", {}).values()
                ),
            }
            for attribute, plural in PLURALS.items()
            if rows_by(attribute, report)
        ],
        worst=[row | {"links": linked.get(row["group"], [])} for row in report["worst_groups"]],
        grouped=report["groups"] < report["clips"],
        groups=report["per_group"][:MAX_GROUPS],
        model=model,
        rules=rules,
        name=Path(report["model"]).name,
        provenance=list(_flatten(model["provenance"])),
        settings=[*_flatten({"features": model["features"], "window": model["window"]})],
        listening=anchors is not None,
        level=round(100 * LEVEL),
        min_groups=MIN_GROUPS,
        chance=math.log(len(labels)),
        history=history,
        curves="curves.svg" in figures,
    )


def _flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Flatten nested JSON values into pairs of a dotted name and a text."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flatten(value, f"{prefix}{key}.")
        elif isinstance(value, list | tuple):
            yield f"{prefix}{key}", ", ".join(map(str, value))
        else:
            yield f"{prefix}{key}", "none" if value is None else str(value)
