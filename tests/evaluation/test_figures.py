"""Numbers in the figures of an evaluation."""

from xml.etree import ElementTree

import pytest

from helpers.example_report import make_predictions, make_report
from scenelet.evaluation.figures import confusion_svg, reliability_svg

LABELS = ("indoor", "outdoor", "transportation")
REPORT = make_report(make_predictions(LABELS, seed=3), LABELS)
NAMES = {"s": "http://www.w3.org/2000/svg"}


def test_confusion_svg_shows_the_counts() -> None:
    confusion = REPORT["confusion"]
    root = ElementTree.fromstring(confusion_svg(LABELS, confusion))
    correct = root.findall(".//s:rect[@class='mark']", NAMES)
    assert all(rect.get("x") == rect.get("y") for rect in correct)
    assert len(correct) == sum(confusion[k][k] > 0 for k in range(3))
    counts = [text.text for text in root.findall(".//s:g/s:text", NAMES)]
    assert counts == [f"{count}" for row in confusion for count in row if count]


def test_reliability_svg_shows_counts_and_accuracies() -> None:
    bins = [row for row in REPORT["reliability"]["bins"] if row["clips"]]
    root = ElementTree.fromstring(reliability_svg(REPORT["reliability"]))
    assert [text.text for text in root.findall(".//s:g/s:text", NAMES)] == [f"{row['clips']}" for row in bins]
    dots = [float(dot.get(axis)) for dot in root.findall(".//s:circle", NAMES) for axis in ("cx", "cy")]
    left, bottom, side = 46, 28 + 296, 296
    points = [(left + side * row["confidence"], bottom - side * row["accuracy"]) for row in bins]
    assert dots == pytest.approx([value for point in points for value in point], abs=0.06)
