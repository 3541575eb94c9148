"""Metrics by class, city and group."""

import io

import numpy as np
import pytest
import scipy.stats
from rich.console import Console
from sklearn.metrics import balanced_accuracy_score

from helpers.example_report import make_prediction
from scenelet.evaluation.breakdown import (
    MAX_WORST_GROUPS,
    city_metrics,
    city_rows,
    group_rows,
    subset_metrics,
    worst_groups,
)
from scenelet.evaluation.clip_prediction import ClipPrediction
from scenelet.evaluation.report import report_table

LABELS = ("indoor", "outdoor", "transportation")


def predictions_of_city(city: str | None, skill: float, clips: int = 60) -> list[ClipPrediction]:
    """Predictions that are correct with a probability of `skill`, in groups of three clips."""
    rng = np.random.default_rng([clips, int(100 * skill)])
    predictions = []
    for i in range(clips):
        answer = i % 3 if rng.random() < skill else (i + 1) % 3
        probabilities = [0.2, 0.2, 0.2]
        probabilities[answer] = 0.6
        predictions.append(
            make_prediction(f"{city}{i}.wav", LABELS[i % 3], LABELS, probabilities, f"{city}{i // 3}", city)
        )
    return predictions


def predictions_of_group(group: str, right: int, wrong: int) -> list[ClipPrediction]:
    probabilities = [(1.0, 0.0)] * right + [(0.0, 1.0)] * wrong
    return [make_prediction("x", "rain", ("rain", "sea"), row, group) for row in probabilities]


def test_subset_metrics_have_intervals() -> None:
    predictions = predictions_of_city("oslo", 0.8)
    report = subset_metrics(predictions, LABELS)
    truth = [LABELS.index(prediction.label) for prediction in predictions]
    assert report["macro_accuracy"] == pytest.approx(
        balanced_accuracy_score(truth, [LABELS.index(prediction.predicted) for prediction in predictions])
    )
    for name, interval in report["intervals"].items():
        assert interval["low"] <= interval["value"] <= interval["high"]
        assert interval["value"] == pytest.approx(report[name])
    for entry in report["per_class"].values():
        assert entry["interval"]["value"] == pytest.approx(entry["accuracy"])
        assert entry["interval"]["high"] > entry["interval"]["low"]
    assert report["groups"] == 20


def test_city_metrics_separate_seen_from_unseen_cities() -> None:
    measured = predictions_of_city("oslo", 0.9) + predictions_of_city("rome", 0.8) + predictions_of_city("milan", 0.5)
    report = city_metrics(measured, predictions_of_city("milan", 0.6, 90), ["oslo", "rome"], LABELS)
    assert [report["per_city"][city]["seen_in_training"] for city in ("milan", "oslo", "rome")] == [False, True, True]
    assert report["seen"]["clips"] == 120
    assert report["unseen"]["clips"] == 60
    assert report["unseen_with_unused"]["clips"] == 150
    assert report["unseen"]["macro_accuracy"] == report["per_city"]["milan"]["macro_accuracy"]
    assert report["unseen"]["macro_accuracy"] < report["seen"]["macro_accuracy"]
    names = [name for name, _ in city_rows(report)]
    assert names[0] == "milan (unseen)"
    assert names[-2:] == ["all unseen cities", "all unseen cities, with unused clips"]
    whole = subset_metrics(measured, LABELS) | report
    console = Console(width=160, file=io.StringIO())
    console.print(report_table(whole, city_rows(report)))
    text = console.file.getvalue()
    for shown in (whole["intervals"]["macro_accuracy"], whole["per_class"]["indoor"]["interval"]):
        assert f"{100 * shown['value']:.1f} % [{100 * shown['low']:.1f}, {100 * shown['high']:.1f}]" in text
    assert "milan (unseen)" in text


def test_city_metrics_without_cities_are_empty() -> None:
    assert city_metrics(predictions_of_city(None, 0.9), [], [], LABELS) == {}


def test_city_metrics_with_unknown_training_have_no_unseen() -> None:
    report = city_metrics(predictions_of_city("oslo", 0.9), [], [], LABELS)
    assert report["per_city"]["oslo"]["seen_in_training"] is None
    assert "unseen" not in report


def test_group_rows_order_by_accuracy_then_size_then_name() -> None:
    counts = [("b", 1, 1), ("d", 0, 1), ("a", 5, 5), ("c", 3, 0), ("e", 0, 2), ("f", 1, 1)]
    rows = group_rows([prediction for count in counts for prediction in predictions_of_group(*count)])
    assert [row["group"] for row in rows] == ["e", "d", "a", "b", "f", "c"]
    assert rows[2] == {"group": "a", "labels": ["rain"], "clips": 10, "right": 5, "accuracy": 0.5}
    assert [row["group"] for row in worst_groups(rows)] == ["e", "d", "a", "b", "f"]  # c has no mistake


def test_worst_groups_are_limited_in_number() -> None:
    groups = [predictions_of_group(f"{k}", 0, 1) for k in range(MAX_WORST_GROUPS + 3)]
    rows = group_rows([prediction for group in groups for prediction in group])
    assert len(worst_groups(rows)) == MAX_WORST_GROUPS


@pytest.mark.parametrize(("right", "low", "high"), [(23, 0.025 ** (1 / 23), 1.0), (0, 0.0, 1 - 0.025 ** (1 / 23))])
def test_intervals_at_no_mistake_and_at_no_hit_are_exact(right: int, low: float, high: float) -> None:
    clips = [
        ClipPrediction(f"{i}.wav", "rain", "rain", (0.9, 0.1) if i < right else (0.1, 0.9), group=f"{i}")
        for i in range(23)
    ]
    report = subset_metrics(clips, ["rain", "sea"])
    intervals = report["intervals"]
    for interval in (intervals["accuracy"], intervals["macro_accuracy"], report["per_class"]["rain"]["interval"]):
        assert (interval["low"], interval["high"]) == pytest.approx((low, high))
    exact = scipy.stats.binomtest(right, 23).proportion_ci(0.95, method="exact")
    assert (low, high) == pytest.approx((exact.low, exact.high))


def test_interval_of_perfect_macro_accuracy_counts_the_smallest_class() -> None:
    clips = [ClipPrediction(f"{i}", "rain", "rain", (0.9, 0.1), group=f"{i}") for i in range(40)]
    clips += [ClipPrediction(f"s{i}", "sea", "sea", (0.1, 0.9), group=f"s{i}") for i in range(6)]
    intervals = subset_metrics(clips, ["rain", "sea"])["intervals"]
    assert intervals["accuracy"]["low"] == pytest.approx(0.025 ** (1 / 46))
    assert intervals["macro_accuracy"]["low"] == pytest.approx(0.025 ** (1 / 12))
