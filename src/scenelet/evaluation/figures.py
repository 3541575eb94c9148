"""The figures of an evaluation as SVG, for the page and as separate files."""

import math
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from scenelet.errors import escape_unprintable
from scenelet.evaluation.bootstrap import interval_text
from scenelet.evaluation.history import Epoch
from scenelet.utils.html import render

MAX_NAME_LENGTH = 26  # characters of a label that a figure shows
MAX_FRAMED_CLASSES = 40  # larger confusion matrices leave out their empty boxes, which would fill the page
# Widths of characters at 11 px in a wide typeface.
WIDE_PX, UPPER_PX, REGULAR_PX, NARROW_PX, EAST_ASIAN_PX = 10.5, 7.6, 7.0, 4.0, 11.5
NARROW_LETTERS, WIDE_LETTERS = "ijlI.,:;'|! ", "mwMW%@#&"


class Name(NamedTuple):
    """A label, shortened for a figure and in full."""

    shown: str
    full: str


def confusion_svg(labels: Sequence[str], confusion: Sequence[Sequence[int]]) -> str:
    """Draw a confusion matrix (classes, classes) with one row per true class; colors show fractions of a row."""
    names = _names(labels)
    margin = _text_width([name.shown for name in names], min_width=52) + 8
    cell = max(26, _text_width([f"{count}" for row in confusion for count in row]) + 8)
    boxes = [
        {
            "x": margin + j * cell,
            "y": margin + i * cell,
            "count": count,
            "correct": i == j,
            "strength": round(0.12 + 0.88 * (count / max(1, sum(row))), 2),
            "tooltip": f"{names[i].full}, classified as {names[j].full}: {count:,} of {sum(row):,}",
        }
        for i, row in enumerate(confusion)
        for j, count in enumerate(row)
        if count or i == j or len(labels) <= MAX_FRAMED_CLASSES
    ]
    side = margin + cell * len(labels) + 6
    return _draw(
        "confusion", "Confusion matrix", side, side, names=names, boxes=boxes, cell=cell, left=margin, top=margin
    )


def accuracies_svg(title: str, accuracies: Mapping[str, Mapping[str, float | None] | None]) -> str:
    """Draw one row per class, city or device: its accuracy as a dot, the 95 % interval as a bar.

    Args:
        title: title of the figure.
        accuracies: name -> accuracy with its interval {"value", "low", "high"}; None: there are no clips.
    """
    names, step, axis_length = _names(list(accuracies)), 24, 120
    left = _text_width([name.shown for name in names]) + 12
    rows = []
    for i, (name, own) in enumerate(zip(names, accuracies.values(), strict=True)):
        row: dict[str, Any] = {"name": name, "y": 36 + step * i, "x": None, "text": "no clips"}
        if own is not None:
            ends = {"x": own["value"], "low": own["low"], "high": own["high"]}
            row |= {key: None if end is None else round(left + axis_length * end, 1) for key, end in ends.items()}
            row["text"] = interval_text(own, 1, 100)
        rows.append(row)
    height = 36 + step * len(rows) + 12
    ticks = [{"x": left + axis_length * t, "text": f"{100 * t:.0f}"} for t in (0, 0.5, 1)]
    right = left + axis_length
    width = right + 20 + _text_width(["[95 % interval]", *(row["text"] for row in rows)])
    return _draw("accuracies", title, width, height, rows=rows, ticks=ticks, left=left, right=right)


def reliability_svg(reliability: Mapping[str, Any]) -> str:
    """Draw the result of `scenelet.evaluation.metrics.reliability`: accuracy and number of clips by probability."""
    left, top, side = 46.0, 28.0, 296.0
    bottom, right, strip = top + side, left + side, 46.0
    floor = bottom + 44 + 18 + strip
    max_clips = max(row["clips"] for row in reliability["bins"])
    bars = []
    for row in reliability["bins"]:
        if not row["clips"]:
            continue
        compared = f"mean probability {100 * row['confidence']:.1f} %, accuracy {100 * row['accuracy']:.1f} %"
        bars.append(
            {
                "x": round(left + side * row["low"] + 1, 1),
                "width": round(side * (row["high"] - row["low"]) - 2, 1),
                "y": round(bottom - side * row["accuracy"], 1),
                "cx": round(left + side * row["confidence"], 1),
                "tall": round(strip * row["clips"] / max_clips, 1),
                "clips": row["clips"],
                "tooltip": f"{row['low']:.1f} to {row['high']:.1f}: {row['clips']:,} clips, {compared}",
            }
        )
    positions = {"left": left, "right": right, "top": top, "bottom": bottom, "floor": floor}
    ticks = [
        {"x": left + side * t, "y": bottom - side * t, "text": f"{100 * t:.0f} %"} for t in (0, 0.25, 0.5, 0.75, 1)
    ]
    return _draw("reliability", "Reliability", right + 18, floor + 24, bars=bars, ticks=ticks, **positions)


def curves_svg(history: Sequence[Epoch]) -> str:
    """Draw loss, validation accuracy and learning rate over at least one epoch. Panels without values are left out."""
    left, right, panel_height, gap = 52, 346, 96, 36
    panels: list[tuple[str, list[list[float]]]] = [("training loss", [[row.loss for row in history]])]
    if all(row.validation_log_loss is not None for row in history):
        losses = [row.validation_log_loss or 0.0 for row in history]
        panels = [("training loss; dashed: validation loss", [*panels[0][1], losses])]
    if all(row.validation_macro_accuracy is not None for row in history):
        accuracies = [100 * (row.validation_macro_accuracy or 0.0) for row in history]
        panels.append(("validation macro accuracy, %", [accuracies]))
    panels.append(("learning rate", [[row.rate for row in history]]))
    first, last = history[0].epoch, history[-1].epoch
    xs = [left + (right - left) * (row.epoch - first) / max(1, last - first) for row in history]
    drawn = []
    for index, (title, lines) in enumerate(panels):
        top = 26 + index * (panel_height + gap)
        ticks = _ticks(min(map(min, lines)), max(map(max, lines)))
        low, span = ticks[0], ticks[-1] - ticks[0]

        def height_of(value: float, top: int = top, low: float = low, span: float = span) -> float:
            return round(top + panel_height * (1 - (value - low) / span), 1)

        points = [" ".join(f"{x:.1f},{height_of(y)}" for x, y in zip(xs, line, strict=True)) for line in lines]
        marks = [{"y": height_of(value), "text": f"{value:g}"} for value in ticks]
        drawn.append({"title": title, "top": top, "ticks": marks, "lines": points})
    height = 26 + len(panels) * (panel_height + gap) + 12
    integers = [t for t in _ticks(first, last, 5) if first <= t <= last and t == int(t)]
    epochs = [{"x": left + (right - left) * (t - first) / max(1, last - first), "text": f"{t:g}"} for t in integers]
    return _draw("curves", "Training", right + 14, height, panels=drawn, epochs=epochs, left=left, right=right)


def detection_svg(curve: Mapping[str, Sequence[float | None]], thresholds: Sequence[float | None]) -> str:
    """Draw the result of `scenelet.evaluation.detection.detection_curve`.

    Args:
        curve: precision and recall by threshold.
        thresholds: (classes,) the model's thresholds, which are marked; None: a label that is never sure.
    """
    rows = [[(t, v) for t, v in zip(curve["threshold"], curve[key], strict=True)] for key in ("precision", "recall")]
    ticks = [(value, f"{100 * value:.0f} %") for value in (0, 0.25, 0.5, 0.75, 1)]
    return _threshold_figure("Precision and recall", "precision; dashed: recall", rows, ticks, thresholds)


def alarms_svg(alarms: Mapping[str, Any]) -> str:
    """Draw the false alarms per hour of all labels, and the target, over the threshold of all labels.

    The axis is logarithmic. Its lowest value stands for 0.

    Args:
        alarms: the result of `scenelet.evaluation.alarm_report.alarm_report`.
    """
    totals = [sum(own) / alarms["hours"] for own in zip(*alarms["counts"].values(), strict=True)]
    lowest = math.floor(math.log10(min(1 / alarms["hours"], alarms["target_per_hour"]) / 2))
    highest = max(lowest + 1, math.ceil(math.log10(max(*totals, alarms["target_per_hour"]))))

    def scaled(rate: float) -> float:
        return (max(lowest, math.log10(rate)) - lowest) / (highest - lowest) if rate else 0.0

    ticks = [(scaled(10.0**k), f"{10.0**k:g}" if k > lowest else "0") for k in range(lowest, highest + 1)]
    thresholds = alarms["thresholds"]
    lines = [
        list(zip(thresholds, map(scaled, totals), strict=True)),
        [(end, scaled(alarms["target_per_hour"])) for end in (0.0, 1.0)],
    ]
    general = next(iter(alarms["per_label"].values()))["before"]["threshold"]
    caption = "false alarms per hour; dashed: target"
    return _threshold_figure("False alarms", caption, lines, ticks, [general])


def _threshold_figure(
    title: str,
    caption: str,
    lines: Sequence[Sequence[tuple[float | None, float | None]]],
    y_ticks: Sequence[tuple[float, str]],
    marked: Sequence[float | None],
) -> str:
    """Draw lines of points from 0 to 1, over a threshold. The lowest and the highest `marked` threshold are marked."""
    left, top, side = 52.0, 28.0, 260.0
    bottom, right = top + side, left + side
    known = [threshold for threshold in marked if threshold is not None]
    return _draw(
        "lines",
        title,
        right + 28,
        bottom + 42,
        caption=caption,
        lines=[
            " ".join(f"{left + side * x:.1f},{bottom - side * y:.1f}" for x, y in line if not (x is None or y is None))
            for line in lines
        ],
        marks=[round(left + side * x, 1) for x in sorted({min(known), max(known)})] if known else [],
        x_ticks=[{"x": left + side * x, "text": f"{100 * x:.0f} %"} for x in (0, 0.25, 0.5, 0.75, 1)],
        y_ticks=[{"y": round(bottom - side * y, 1), "text": text} for y, text in y_ticks],
        left=left,
        right=right,
        top=top,
        bottom=bottom,
    )


def _ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Choose at least two round numbers that span the range from `low` to `high`."""
    if high <= low:
        low, high = low - (abs(low) or 1) / 2, high + (abs(high) or 1) / 2
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    start, stop = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [float(f"{step * k:.12g}") for k in range(start, stop + 1)]


def _names(labels: Sequence[str]) -> list[Name]:
    full = [escape_unprintable(label) for label in labels]
    return [Name(text if len(text) <= MAX_NAME_LENGTH else text[: MAX_NAME_LENGTH - 1] + "…", text) for text in full]


def _text_width(texts: Sequence[str], min_width: int = 0) -> int:
    """Estimate the width of the widest text in px, for any common typeface."""
    return max(min_width, math.ceil(max(sum(map(_letter_width, text)) for text in texts)))


def _letter_width(letter: str) -> float:
    if unicodedata.east_asian_width(letter) in "WF":
        return EAST_ASIAN_PX
    if letter in NARROW_LETTERS:
        return NARROW_PX
    if letter in WIDE_LETTERS:
        return WIDE_PX
    return UPPER_PX if letter.isupper() else REGULAR_PX


def _draw(name: str, title: str, width: float, height: float, **values: Any) -> str:
    return render("scenelet.evaluation", f"{name}.svg.j2", title=title, width=width, height=height, **values)
