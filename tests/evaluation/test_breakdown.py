"""Metrics by class, city and group."""

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.stats
from rich.console import Console
from sklearn.metrics import balanced_accuracy_score

from helpers.example_report import make_prediction
from scenelet.evaluation.breakdown import (
    MAX_WORST_GROUPS,
    Attribute,
    group_rows,
    metrics_by,
    rows_by,
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


def test_metrics_by_city_separate_seen_from_unseen() -> None:
    measured = predictions_of_city("oslo", 0.9) + predictions_of_city("rome", 0.8) + predictions_of_city("milan", 0.5)
    report = metrics_by("city", measured, ["oslo", "rome"], LABELS, predictions_of_city("milan", 0.6, 90))
    assert [report["per_city"][city]["seen_in_training"] for city in ("milan", "oslo", "rome")] == [False, True, True]
    assert report["seen_cities"]["clips"] == 120
    assert report["unseen_cities"]["clips"] == 60
    assert report["unseen_cities_with_unused"]["clips"] == 150
    assert report["unseen_cities"]["macro_accuracy"] == report["per_city"]["milan"]["macro_accuracy"]
    assert report["unseen_cities"]["macro_accuracy"] < report["seen_cities"]["macro_accuracy"]
    names = [name for name, _ in rows_by("city", report)]
    assert names[0] == "milan (unseen)"
    assert names[-2:] == ["all unseen cities", "all unseen cities, with unused clips"]
    whole = subset_metrics(measured, LABELS) | report
    text = printed(whole)
    for shown in (whole["intervals"]["macro_accuracy"], whole["per_class"]["indoor"]["interval"]):
        assert f"{100 * shown['value']:.1f} % [{100 * shown['low']:.1f}, {100 * shown['high']:.1f}]" in text
    assert "milan (unseen)" in text


def printed(report: dict[str, Any]) -> str:
    console = Console(width=160, file=io.StringIO())
    console.print(report_table(report))
    return console.file.getvalue()


def predictions_of_devices(locations: int = 12, fails: bool = False) -> list[ClipPrediction]:
    """One clip of each class, location and device. They are right, but on device s4 the last class never is.

    With `fails`, every second location is wrong on all devices instead.
    """
    predictions = []
    for location in range(locations):
        for k, label in enumerate(LABELS):
            for device in ("a", "b", "s4"):
                is_wrong = location % 2 == 1 if fails else device == "s4" and k == 2
                probabilities = [0.1, 0.1, 0.1]
                probabilities[(k + is_wrong) % 3] = 0.8
                name = f"{label}-{location}-{device}.wav"
                predictions.append(
                    make_prediction(name, label, LABELS, probabilities, f"place {location}", device=device)
                )
    return predictions


def test_metrics_by_device_of_a_planted_predictor_are_exact() -> None:
    report = metrics_by("device", predictions_of_devices(), ["a", "b", "c"], LABELS)
    assert list(report["per_device"]) == ["a", "b", "s4"]
    right, wrong = -np.log(0.8), -np.log(0.1)
    for device, accuracy, loss, is_seen in (
        ("a", 1.0, right, True),
        ("b", 1.0, right, True),
        ("s4", 2 / 3, (2 * right + wrong) / 3, False),
    ):
        own = report["per_device"][device]
        assert own["macro_accuracy"] == pytest.approx(accuracy)
        assert own["log_loss"] == pytest.approx(loss)
        assert own["seen_in_training"] is is_seen
        for name in ("macro_accuracy", "log_loss"):
            interval = own["intervals"][name]
            assert interval["low"] - 1e-9 <= own[name] <= interval["high"] + 1e-9
    assert report["per_device"]["s4"]["per_class"]["transportation"]["accuracy"] == 0.0
    assert (report["seen_devices"]["clips"], report["unseen_devices"]["clips"]) == (72, 36)
    assert report["seen_devices"]["macro_accuracy"] == 1.0
    assert report["unseen_devices"]["macro_accuracy"] == pytest.approx(2 / 3)
    gap = report["device_gap"]
    assert gap["macro_accuracy"]["value"] == pytest.approx(1 / 3)
    assert gap["log_loss"]["value"] == pytest.approx((right - wrong) / 3)


def test_device_gap_pairs_the_devices_of_a_group() -> None:
    """Half of the locations fail on all devices, so seen and unseen vary together and their difference does not."""
    report = metrics_by("device", predictions_of_devices(fails=True), ["a", "b"], LABELS)
    unseen = report["unseen_devices"]["intervals"]["macro_accuracy"]
    assert unseen["high"] - unseen["low"] > 0.3
    gap = report["device_gap"]["macro_accuracy"]
    assert (gap["value"], gap["low"], gap["high"]) == pytest.approx((0.0, 0.0, 0.0), abs=1e-9)


def test_intervals_are_wider_if_devices_share_groups() -> None:
    shared = predictions_of_devices(locations=60, fails=True)
    apart = [replace(clip, group=f"{clip.group} {clip.device}") for clip in shared]
    widths = []
    for clips in (shared, apart):
        interval = metrics_by("device", clips, ["a", "b"], LABELS)["seen_devices"]["intervals"]["macro_accuracy"]
        widths.append(interval["high"] - interval["low"])
    assert widths[0] > 1.2 * widths[1]  # two devices: the square root of 2


def test_report_table_shows_devices_and_their_gap() -> None:
    clips = predictions_of_devices()
    text = printed(subset_metrics(clips, LABELS) | metrics_by("device", clips, ["a", "b"], LABELS))
    assert "s4 (unseen)" in text
    assert "all seen devices" in text
    assert "Seen minus unseen devices: macro accuracy +33.3 [" in text


def test_report_table_of_a_single_device_has_no_device_table() -> None:
    clips = [clip for clip in predictions_of_devices() if clip.device == "s4"]
    for trained, rows in ((["s4"], 0), ([], 0), (["a"], 2)):  # a single unseen device is worth a table
        report = metrics_by("device", clips, trained, LABELS)
        assert len(rows_by("device", report)) == rows
        assert ("device " in printed(subset_metrics(clips, LABELS) | report)) == (rows > 0)


def test_rows_by_of_a_single_city_show_the_unused_clips_of_others() -> None:
    report = metrics_by("city", predictions_of_city("oslo", 0.9), ["oslo"], LABELS, predictions_of_city("milan", 0.6))
    assert [name for name, _ in rows_by("city", report)] == [
        "oslo",
        "all seen cities",
        "all unseen cities, with unused clips",
    ]


@pytest.mark.parametrize("attribute", ["city", "device"])
def test_metrics_by_without_the_attribute_are_empty(attribute: Attribute) -> None:
    assert metrics_by(attribute, predictions_of_city(None, 0.9), [], LABELS) == {}
    assert rows_by(attribute, {}) == []


def test_metrics_by_with_unknown_training_have_no_unseen() -> None:
    report = metrics_by("device", predictions_of_devices(), [], LABELS)
    assert [own["seen_in_training"] for own in report["per_device"].values()] == [None] * 3
    assert list(report) == ["per_device"]
    assert [name for name, _ in rows_by("device", report)] == ["a", "b", "s4"]


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
