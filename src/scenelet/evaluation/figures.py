"""The figures of an evaluation as SVG: the same text stands in the page and is a file of its own."""

import math
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from scenelet.errors import escape_unprintable
from scenelet.evaluation.bootstrap import interval_text
from scenelet.evaluation.history import Epoch
from scenelet.utils.html import render

MAX_NAME = 26  # letters of a label that a figure shows
DIGIT = 7.0  # width at 11 px in a wide typeface, as are the following
NARROW, BROAD = "ijlI.,:;'|! ", "mwMW%@#&"


FRAMED = 40  # classes of a confusion matrix; of more, boxes without clips are left out, which would fill the page


class Name(NamedTuple):
    """A label as a figure shows it, and in full."""

    shown: str
    full: str


def confusion_svg(labels: Sequence[str], confusion: Sequence[Sequence[int]]) -> str:
    """Counts (classes, classes), rows for the truth, each cell as strong as its share of the row's clips."""
    names = _names(labels)
    room = _room([name.shown for name in names], at_least=52)
    cell = max(26, _room([f"{count}" for row in confusion for count in row]) + 8)
    boxes = []
    for i, row in enumerate(confusion):
        for j, count in enumerate(row):
            if count == 0 and i != j and len(labels) > FRAMED:
                continue
            share = count / max(1, sum(row))
            boxes.append(
                {
                    "x": room + 8 + j * cell,
                    "y": room + 8 + i * cell,
                    "count": count,
                    "right": i == j,
                    "strength": round(0.12 + 0.88 * share, 2),
                    "says": f"{names[i].full}, answered {names[j].full}: {count:,} of {sum(row):,}",
                }
            )
    side = room + 8 + cell * len(labels) + 6
    return _draw(
        "confusion", "Confusion matrix", side, side, names=names, boxes=boxes, cell=cell, left=room + 8, top=room + 8
    )


def classes_svg(per_class: Mapping[str, Mapping[str, Any]]) -> str:
    """A row a class: accuracy as a dot, its 95 % interval as a bar."""
    names, step, wide = _names(list(per_class)), 24, 120
    left = _room([name.shown for name in names]) + 12
    rows = []
    for i, (name, own) in enumerate(zip(names, per_class.values(), strict=True)):
        row: dict[str, Any] = {"name": name, "y": 36 + step * i, "x": None, "says": "no clips"}
        if own["clips"]:
            ends = {key: _scale(own["interval"][key], left, wide) for key in ("value", "low", "high")}
            row |= {"x": ends["value"], "low": ends["low"], "high": ends["high"]}
            row["says"] = interval_text(own["interval"], 1, 100)
        rows.append(row)
    height = 36 + step * len(rows) + 12
    ticks = [{"x": left + wide * share, "text": f"{100 * share:.0f}"} for share in (0, 0.5, 1)]
    right = left + wide
    width = right + 20 + _room(["[95 % interval]", *(row["says"] for row in rows)])
    return _draw("classes", "Accuracy of each class", width, height, rows=rows, ticks=ticks, left=left, right=right)


def _scale(value: float | None, start: float, length: float) -> float | None:
    return None if value is None else round(start + length * value, 1)


def reliability_svg(reliability: Mapping[str, Any]) -> str:
    """How often answers of a probability are right, and how many clips there are of each."""
    left, top, side = 46.0, 28.0, 296.0
    bottom, right, strip = top + side, left + side, 46.0
    floor = bottom + 44 + 18 + strip
    most = max(row["clips"] for row in reliability["bins"])
    bars = []
    for row in reliability["bins"]:
        if not row["clips"]:
            continue
        promised = f"{100 * row['confidence']:.1f} % promised, {100 * row['accuracy']:.1f} % right"
        bars.append(
            {
                "x": round(left + side * row["low"] + 1, 1),
                "width": round(side * (row["high"] - row["low"]) - 2, 1),
                "y": round(bottom - side * row["accuracy"], 1),
                "cx": round(left + side * row["confidence"], 1),
                "tall": round(strip * row["clips"] / most, 1),
                "clips": row["clips"],
                "says": f"{row['low']:.1f} to {row['high']:.1f}: {row['clips']:,} clips, {promised}",
            }
        )
    places = {"left": left, "right": right, "top": top, "bottom": bottom, "floor": floor}
    ticks = [
        {"x": left + side * t, "y": bottom - side * t, "text": f"{100 * t:.0f} %"} for t in (0, 0.25, 0.5, 0.75, 1)
    ]
    return _draw("reliability", "Reliability", right + 18, floor + 24, bars=bars, ticks=ticks, **places)


def curves_svg(history: Sequence[Epoch]) -> str:
    """Loss, validation accuracy where there was one, and learning rate, over the epochs; at least one epoch."""
    left, right, tall, gap = 52, 346, 96, 36
    validated = all(row.validation_log_loss is not None for row in history)
    shown: list[tuple[str, list[list[float]]]] = [("loss in training", [[row.loss for row in history]])]
    if validated:
        shown[0] = ("loss: in training; dashed: on validation clips", shown[0][1])
        shown[0][1].append([row.validation_log_loss or 0.0 for row in history])
    if all(row.validation_macro_accuracy is not None for row in history):
        accuracies = [100 * (row.validation_macro_accuracy or 0.0) for row in history]
        shown.append(("macro accuracy on validation clips, %", [accuracies]))
    shown.append(("learning rate", [[row.rate for row in history]]))
    first, last = history[0].epoch, history[-1].epoch
    xs = [left + (right - left) * (row.epoch - first) / max(1, last - first) for row in history]
    panels = []
    for index, (title, lines) in enumerate(shown):
        top = 26 + index * (tall + gap)
        ticks = _ticks(min(map(min, lines)), max(map(max, lines)))
        low, span = ticks[0], ticks[-1] - ticks[0]

        def place(value: float, top: int = top, low: float = low, span: float = span) -> float:
            return round(top + tall * (1 - (value - low) / span), 1)

        points = [" ".join(f"{x:.1f},{place(y)}" for x, y in zip(xs, line, strict=True)) for line in lines]
        marks = [{"y": place(value), "text": f"{value:g}"} for value in ticks]
        panels.append({"title": title, "top": top, "ticks": marks, "lines": points})
    height = 26 + len(shown) * (tall + gap) + 12
    whole = [t for t in _ticks(first, last, 5) if first <= t <= last and t == int(t)]
    epochs = [{"x": left + (right - left) * (t - first) / max(1, last - first), "text": f"{t:g}"} for t in whole]
    return _draw("curves", "Training", right + 14, height, panels=panels, epochs=epochs, left=left, right=right)


def _ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Round numbers from at most `low` to at least `high`, two at least."""
    if high <= low:
        low, high = low - (abs(low) or 1) / 2, high + (abs(high) or 1) / 2
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    start, stop = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [float(f"{step * k:.12g}") for k in range(start, stop + 1)]


def _names(labels: Sequence[str]) -> list[Name]:
    full = [escape_unprintable(label) for label in labels]
    return [Name(text if len(text) <= MAX_NAME else text[: MAX_NAME - 1] + "…", text) for text in full]


def _room(texts: Sequence[str], at_least: int = 0) -> int:
    """Width that the widest of some texts takes, in px: enough for any usual typeface."""
    return max(at_least, math.ceil(max(sum(map(_width, text)) for text in texts)))


def _width(letter: str) -> float:
    if unicodedata.east_asian_width(letter) in "WF":
        return 11.5
    if letter in NARROW:
        return 4.0
    if letter in BROAD:
        return 10.5
    return 7.6 if letter.isupper() else DIGIT


def _draw(name: str, title: str, width: float, height: float, **values: Any) -> str:
    return render("scenelet.evaluation", f"{name}.svg.j2", title=title, width=width, height=height, **values)
