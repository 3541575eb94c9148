"""Data files of an evaluation report."""

import csv
import json

import pytest


def test_predictions_json_holds_every_window(malicious: object) -> None:
    data = json.loads((malicious.folder / "predictions.json").read_text())
    assert data["labels"] == malicious.report["labels"]
    for row, prediction in zip(data["clips"], malicious.predictions, strict=True):
        assert row["filename"] == prediction.name
        assert row["predicted"] == prediction.predicted
        assert row["probabilities"] == list(prediction.probabilities)
        assert row["windows"] == [list(window) for window in prediction.windows]


def test_predictions_csv_holds_every_clip(malicious: object) -> None:
    with (malicious.folder / "predictions.csv").open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(malicious.predictions)
    for row, prediction in zip(rows, malicious.predictions, strict=True):
        assert (row["label"], row["predicted"]) == (prediction.label, prediction.predicted)
        probabilities = [float(row[label]) for label in malicious.report["labels"]]
        assert probabilities == pytest.approx(prediction.probabilities, abs=1e-6)
