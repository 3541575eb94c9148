"""Data files of an evaluation report."""

import csv
import json
from pathlib import Path

import pytest

from scenelet.data.clips import Clip
from scenelet.evaluation.clip_prediction import ClipPrediction
from scenelet.evaluation.report import _predictions_csv


def test_predictions_json_holds_every_window(malicious: object) -> None:
    data = json.loads((malicious.folder / "predictions.json").read_text())
    assert data["labels"] == malicious.report["labels"]
    for row, prediction in zip(data["clips"], malicious.predictions, strict=True):
        assert row["filename"] == prediction.name
        assert (row["device"], row["predicted"]) == (prediction.device, prediction.predicted)
        assert row["probabilities"] == list(prediction.probabilities)
        assert row["windows"] == [list(window) for window in prediction.windows]


def test_predictions_csv_holds_every_clip(malicious: object) -> None:
    with (malicious.folder / "predictions.csv").open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(malicious.predictions)
    for row, prediction in zip(rows, malicious.predictions, strict=True):
        assert (row["label"], row["predicted"]) == (prediction.label, prediction.predicted)
        assert row["device"] == prediction.device
        probabilities = [float(row[label]) for label in malicious.report["labels"]]
        assert probabilities == pytest.approx(prediction.probabilities, abs=1e-6)


def test_predictions_csv_holds_no_formula() -> None:
    """A stranger names the files, groups and labels; a spreadsheet must not run them."""
    clip = Clip(Path("=1+1.wav"), "=1+1.wav", label="@SUM(A1)", group="+group")
    prediction = ClipPrediction.from_clip(clip, ["@SUM(A1)", "sea"], [0.4, 0.6])
    header, row = csv.reader(_predictions_csv([prediction], ["@SUM(A1)", "sea"]).splitlines())
    assert header[-2:] == ["'@SUM(A1)", "sea"]
    assert row[:3] == ["'=1+1.wav", "'@SUM(A1)", "'+group"]
