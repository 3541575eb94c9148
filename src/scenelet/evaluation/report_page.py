"""The evaluation report as one HTML file that needs no network, and its figures as SVG."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from scenelet.evaluation.bootstrap import LEVEL, MIN_GROUPS
from scenelet.evaluation.by_city import city_rows
from scenelet.evaluation.figures import classes_svg, confusion_svg, curves_svg, reliability_svg
from scenelet.evaluation.history import Epoch
from scenelet.evaluation.report import ClipResult, most_confused
from scenelet.model.sizes import SIZE_RULES
from scenelet.utils.html import render

MAX_GROUPS = 1000  # rows of the table of all groups; the rest is in report.json


@dataclass(frozen=True)
class Shown:
    """What the page shows beside the figures of `report.json`.

    Attributes:
        model: what `scenelet.model.summary.describe` says of the model.
        results: of the measured clips.
        history: the epochs of the model's training; none: not known.
        anchors: index of a clip -> where it stands on the listening page; None: there is no such page.
    """

    model: Mapping[str, Any]
    results: Sequence[ClipResult]
    history: Sequence[Epoch] = ()
    anchors: Mapping[int, str] | None = None


def figure_files(report: Mapping[str, Any], history: Sequence[Epoch]) -> dict[str, str]:
    """File name -> SVG; `curves.svg` only where the training is known."""
    figures = {
        "confusion.svg": confusion_svg(report["labels"], report["confusion"]),
        "classes.svg": classes_svg(report["per_class"]),
        "reliability.svg": reliability_svg(report["reliability"]),
    }
    return figures | ({"curves.svg": curves_svg(history)} if history else {})


def report_page(report: Mapping[str, Any], figures: Mapping[str, str], shown: Shown) -> str:
    """The page.

    Args:
        report: what `report.json` holds.
        figures: of `figure_files`.
        shown: the rest.
    """
    model = shown.model
    rules = [
        {"name": name, "bytes": count, "unit": SIZE_RULES[name][0], "counts": SIZE_RULES[name][1]}
        for name, count in model["bytes"].items()
    ]
    return render(
        "scenelet.evaluation",
        "report.html.j2",
        report=report,
        figures={name.removesuffix(".svg"): Markup(svg) for name, svg in figures.items()},  # noqa: S704 - by matplotlib
        classes=_classes(report),
        cities=city_rows(report),
        heard_known=any(own["heard"] is not None for own in report.get("per_city", {}).values()),
        worst=[row | {"links": _links(row["group"], shown)} for row in report["worst_groups"]],
        grouped=report["groups"] < report["clips"],
        groups=report["per_group"][:MAX_GROUPS],
        model=model,
        rules=rules,
        name=Path(report["model"]).name,
        provenance=list(_flat(model["provenance"])),
        settings=[*_flat({"features": model["features"], "window": model["window"]})],
        listening=shown.anchors is not None,
        level=round(100 * LEVEL),
        min_groups=MIN_GROUPS,
        chance=math.log(len(report["labels"])),
        history=shown.history,
        curves="curves.svg" in figures,
    )


def _classes(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row a class, with what it was mistaken for, the most frequent first."""
    rows = []
    labels = report["labels"]
    for label, counts in zip(labels, report["confusion"], strict=True):
        rows.append({"label": label, "wrong": most_confused(label, labels, counts), **report["per_class"][label]})
    return rows


def _links(group: str, shown: Shown) -> list[dict[str, str]]:
    """The clips of a group that are on the listening page."""
    anchors = shown.anchors or {}
    own = (i for i, result in enumerate(shown.results) if result.clip.group == group and i in anchors)
    return [{"name": shown.results[i].clip.name, "anchor": anchors[i]} for i in own]


def _flat(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Nested JSON values as names with dots and texts."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{above}{key}.")
        elif isinstance(value, list | tuple):
            yield f"{above}{key}", ", ".join(map(str, value))
        else:
            yield f"{above}{key}", "none" if value is None else str(value)
