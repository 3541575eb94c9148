"""The evaluation report as one HTML file that works offline, and its figures as SVG."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from scenelet.evaluation.bootstrap import LEVEL, MIN_GROUPS
from scenelet.evaluation.breakdown import city_rows
from scenelet.evaluation.clip_prediction import ClipPrediction
from scenelet.evaluation.figures import classes_svg, confusion_svg, curves_svg, reliability_svg
from scenelet.evaluation.history import Epoch
from scenelet.evaluation.report import most_confused
from scenelet.model.sizes import SIZE_RULES
from scenelet.utils.html import render

MAX_GROUPS = 1000  # rows in the table of all groups; report.json has the others


@dataclass(frozen=True)
class PageContent:
    """Everything that the page shows and `report.json` does not hold.

    Attributes:
        model: the result of `scenelet.model.summary.describe`.
        predictions: the evaluated clips.
        history: the epochs of the model's training; empty if unknown.
        anchors: index of a clip -> its anchor on the listening page; None if there is no such page.
    """

    model: Mapping[str, Any]
    predictions: Sequence[ClipPrediction]
    history: Sequence[Epoch] = ()
    anchors: Mapping[int, str] | None = None


def figure_files(report: Mapping[str, Any], history: Sequence[Epoch]) -> dict[str, str]:
    """Draw the report's figures.

    Args:
        report: the content of `report.json`.
        history: the epochs of the model's training; without any there is no `curves.svg`.

    Returns:
        File name -> SVG.
    """
    figures = {
        "confusion.svg": confusion_svg(report["labels"], report["confusion"]),
        "classes.svg": classes_svg(report["per_class"]),
        "reliability.svg": reliability_svg(report["reliability"]),
    }
    return figures | ({"curves.svg": curves_svg(history)} if history else {})


def report_page(report: Mapping[str, Any], figures: Mapping[str, str], content: PageContent) -> str:
    """Render the page.

    Args:
        report: the content of `report.json`.
        figures: the result of `figure_files`.
        content: everything else that the page shows.

    Returns:
        HTML.
    """
    model = content.model
    rules = [
        {"name": name, "bytes": count, "unit": SIZE_RULES[name][0], "counts": SIZE_RULES[name][1]}
        for name, count in model["bytes"].items()
    ]
    per_city = report.get("per_city", {}).values()
    return render(
        "scenelet.evaluation",
        "report.html.j2",
        report=report,
        figures={name.removesuffix(".svg"): Markup(svg) for name, svg in figures.items()},  # noqa: S704 - our own SVG
        classes=_class_rows(report),
        cities=city_rows(report),
        training_cities_known=any(own["seen_in_training"] is not None for own in per_city),
        worst=[row | {"links": _links(row["group"], content)} for row in report["worst_groups"]],
        grouped=report["groups"] < report["clips"],
        groups=report["per_group"][:MAX_GROUPS],
        model=model,
        rules=rules,
        name=Path(report["model"]).name,
        provenance=list(_flatten(model["provenance"])),
        settings=[*_flatten({"features": model["features"], "window": model["window"]})],
        listening=content.anchors is not None,
        level=round(100 * LEVEL),
        min_groups=MIN_GROUPS,
        chance=math.log(len(report["labels"])),
        history=content.history,
        curves="curves.svg" in figures,
    )


def _class_rows(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """List the classes with their metrics and with the classes that they were mistaken for."""
    rows = []
    labels = report["labels"]
    for label, counts in zip(labels, report["confusion"], strict=True):
        rows.append({"label": label, "wrong": most_confused(label, labels, counts), **report["per_class"][label]})
    return rows


def _links(group: str, content: PageContent) -> list[dict[str, str]]:
    """List the clips of a group that are on the listening page."""
    anchors = content.anchors or {}
    own = (i for i, prediction in enumerate(content.predictions) if prediction.group == group and i in anchors)
    return [{"name": content.predictions[i].name, "anchor": anchors[i]} for i in own]


def _flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Flatten nested JSON values into pairs of a dotted name and a text."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flatten(value, f"{prefix}{key}.")
        elif isinstance(value, list | tuple):
            yield f"{prefix}{key}", ", ".join(map(str, value))
        else:
            yield f"{prefix}{key}", "none" if value is None else str(value)
