"""Hits and losses of test clips: pooled over trials, and averaged over systems."""

import numpy as np
import pytest

from helpers.example_trials import device_result, random_result
from scenelet.experiments.answers import mean_answers, pool


def test_pool_averages_seeds_and_keeps_devices() -> None:
    trials = [device_result({"a": accuracy, "s4": 0.0}, ("a",), seed) for seed, accuracy in enumerate((1.0, 0.0))]
    answers = pool(trials)
    assert len(answers.keys) == 120
    of_device = {device: answers.devices == device for device in ("a", "s4")}
    assert set(answers.hits[of_device["a"]]) == {0.5}
    assert set(answers.hits[of_device["s4"]]) == {0.0}
    assert answers.losses[of_device["a"]] == pytest.approx(-(np.log(0.8) + np.log(0.1)) / 2)
    assert [set(answers.is_seen[own]) for own in of_device.values()] == [{True}, {False}]


def test_pool_without_training_devices_knows_no_seen_ones() -> None:
    assert set(pool([device_result({"a": 1.0, "s4": 0.0})]).is_seen) == {None}
    assert set(pool([random_result("1", 0, 0.5)]).is_seen) == {None}


def test_mean_answers_aligns_the_clips() -> None:
    first, second = random_result("1", 0, 0.9), random_result("1", 1, 0.3)
    turned = second.model_copy(update={"clips": second.clips[::-1]})
    mean = mean_answers([pool([first]), pool([turned])])
    expected = [(a.is_correct + b.is_correct) / 2 for a, b in zip(first.clips, second.clips, strict=True)]
    assert mean.hits.tolist() == expected


def test_mean_answers_of_other_training_devices_know_no_seen_ones() -> None:
    """With less data, a system may not have seen a device that another one has."""
    accuracies = {"a": 1.0, "b": 1.0}
    mean = mean_answers([pool([device_result(accuracies, trained)]) for trained in (("a",), ("a", "b"))])
    assert set(mean.is_seen[mean.devices == "a"]) == {True}
    assert set(mean.is_seen[mean.devices == "b"]) == {None}


def test_mean_answers_of_other_clips_are_none() -> None:
    assert mean_answers([pool([random_result(fold, 0, 0.9)]) for fold in "12"]) is None
