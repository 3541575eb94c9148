"""Tests of the choice of the minimum probability of an answer."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.tiny_model import changed, tiny_model
from scenelet.inference.threshold import (
    MIN_THRESHOLD,
    TARGET_ACCURACY,
    Threshold,
    find_threshold,
    json_thresholds,
    label_thresholds,
    stored_label_thresholds,
)


def two_classes(*clips: tuple[float, bool]) -> Threshold:
    """Find the threshold for clips of (probability of the answer, True if it is right)."""
    rows = [(top, 1 - top) for top, _ in clips]
    return find_threshold([0 if right else 1 for _, right in clips], rows)


def test_find_threshold_is_lowest_with_target_accuracy() -> None:
    assert two_classes((0.9, True), (0.8, True), (0.7, True), (0.6, False)) == Threshold(0.7, 1.0, 0.75, 4)
    assert two_classes((0.9, True), (0.8, True), (0.7, True), (0.7, False)).probability == 0.8


def test_find_threshold_out_of_reach_is_most_accurate() -> None:
    assert two_classes((0.9, False), (0.8, True), (0.7, True), (0.6, False)) == Threshold(0.7, 2 / 3, 0.75, 4)


def test_find_threshold_of_right_answers_is_a_half() -> None:
    """A high threshold would make answers unsure of which no mistake warns."""
    assert two_classes((0.999, True), (0.994, True), (0.996, True)) == Threshold(0.5, 1.0, 1.0, 3)


def test_find_threshold_without_clips_raises() -> None:
    with pytest.raises(ValueError, match="give one each"):
        find_threshold([], np.zeros((0, 2)))


def test_find_threshold_is_at_least_a_half() -> None:
    assert find_threshold([0], [[0.4, 0.3, 0.3]]) == Threshold(MIN_THRESHOLD, 0.0, 0.0, 1)
    assert find_threshold([0, 0], [[0.4, 0.3, 0.3], [0.9, 0.1, 0.0]]) == Threshold(MIN_THRESHOLD, 1.0, 0.5, 2)


@given(st.lists(st.tuples(st.floats(0.34, 1), st.booleans()), min_size=1))
def test_find_threshold_matches_its_definition(clips: list[tuple[float, bool]]) -> None:
    rows = np.array([(top, (1 - top) / 2, (1 - top) / 2) for top, _ in clips])
    true = [0 if right else 1 for _, right in clips]
    found = find_threshold(true, rows)
    sure = [right for top, right in clips if top >= found.probability]
    assert found.probability >= MIN_THRESHOLD
    assert found.coverage == pytest.approx(len(sure) / len(clips))
    if sure:
        assert found.accuracy == pytest.approx(np.mean(sure))
    for lower in {top for top, _ in clips if MIN_THRESHOLD <= top < found.probability}:
        more = [right for top, right in clips if top >= lower]
        assert np.mean(more) < TARGET_ACCURACY


STORED = {"probabilities": {"indoor": 0.9, "transportation": None}, "false_alarms_per_hour": 1, "hours": 2}


def test_label_thresholds_replace_the_general_one() -> None:
    results = {"threshold": {"probability": 0.7}, "label_thresholds": STORED}
    model = changed(tiny_model(), results=results)
    assert label_thresholds(model) == (0.9, 0.7, math.inf)
    assert json_thresholds(label_thresholds(model)) == [0.9, 0.7, None]
    found = stored_label_thresholds(results, model.labels)
    assert found is not None
    assert (found.false_alarms_per_hour, found.hours) == (1, 2)


@pytest.mark.parametrize(
    "change",
    [
        {"probabilities": {"indoor": 1.1}},
        {"probabilities": {"indoor": -0.1}},
        {"probabilities": {"indoor": "high"}},
        {"probabilities": {"garden": 0.5}},
        {"probabilities": [0.5, 0.5, 0.5]},
        {"probabilities": {"indoor": 10**400}},
        {"hours": 0},
        {"hours": None},
        {"false_alarms_per_hour": -1},
    ],
    ids=str,
)
def test_label_thresholds_ignores_invalid_content(change: dict[str, Any]) -> None:
    model = changed(tiny_model(), results={"label_thresholds": STORED | change})
    assert stored_label_thresholds(model.results, model.labels) is None
    assert label_thresholds(model) == (MIN_THRESHOLD,) * 3


@pytest.mark.parametrize("stored", [None, [], "high", {}])
def test_label_thresholds_of_other_content_are_the_general_one(stored: Any) -> None:
    model = changed(tiny_model(), results={"threshold": {"probability": 0.7}, "label_thresholds": stored})
    assert label_thresholds(model) == (0.7, 0.7, 0.7)
