"""Selection for a fold: by the folds that were held out together with it."""

import dataclasses

import numpy as np
import pytest

from helpers.example_report import make_prediction
from helpers.example_trials import make_result
from scenelet.experiments.results import TrialResult
from scenelet.experiments.selection import select_pooled, select_system

LABELS = ("a", "b")
CLIPS = 4  # per fold, half of them of each class


def trial(held_out: str, right: dict[str, int], probability: float = 0.9, seed: int = 0) -> TrialResult:
    """A trial with `right` correct answers in each fold; every answer has the same probability."""
    clips = []
    for fold in held_out.split("+"):
        for i in range(CLIPS):
            answer = i % 2 if i < right[fold] else 1 - i % 2
            probabilities = (probability, 1 - probability) if answer == 0 else (1 - probability, probability)
            name = f"{fold}-{i}"
            clips.append(make_prediction(name, LABELS[i % 2], LABELS, probabilities, group=name, fold=fold))
    return make_result(held_out, clips, LABELS, seed)


def test_select_system_ignores_the_folds_own_clips() -> None:
    rows = {
        "good on 1": [trial("1+2", {"1": 4, "2": 0}), trial("2+3", {"2": 2, "3": 2}), trial("3+1", {"3": 0, "1": 4})],
        "good on 2 and 3": [
            trial("1+2", {"1": 0, "2": 4}),
            trial("2+3", {"2": 4, "3": 4}),
            trial("3+1", {"3": 4, "1": 0}),
        ],
    }
    choices = {choice["fold"]: choice for choice in select_system(rows)}
    assert choices["1"]["chosen"] == "good on 2 and 3"
    assert choices["1"]["clips"] == 8
    scores = choices["1"]["scores"]
    assert scores["good on 1"]["macro_accuracy"] == 0.0
    assert scores["good on 2 and 3"]["macro_accuracy"] == 1.0
    assert scores["good on 2 and 3"]["log_loss"] == pytest.approx(-np.log(0.9))
    # fold 2 is held out with 1 and with 3: 4 + 2 of 8 right, and 0 + 4
    assert choices["2"]["scores"]["good on 1"]["macro_accuracy"] == 0.75
    assert choices["2"]["chosen"] == "good on 1"


def test_select_system_prefers_the_lower_log_loss() -> None:
    rows = {
        "unsure": [trial("1+2", {"1": 4, "2": 4}, probability=0.6)],
        "sure": [trial("1+2", {"1": 4, "2": 4}, probability=0.9)],
    }
    assert [choice["chosen"] for choice in select_system(rows)] == ["sure", "sure"]


def test_select_system_leaves_out_incomplete_systems() -> None:
    complete = [trial("1+2", {"1": 2, "2": 2}), trial("2+3", {"2": 2, "3": 2})]
    rows = {"complete": complete, "half": [trial("1+2", {"1": 4, "2": 4})], "none": []}
    choices = {choice["fold"]: choice for choice in select_system(rows)}
    assert (choices["1"]["chosen"], choices["1"]["left_out"]) == ("half", ["none"])
    assert (choices["2"]["chosen"], choices["2"]["left_out"]) == ("complete", ["half", "none"])
    apart = {"a": [trial("1+2", {"1": 4, "2": 4})], "b": [trial("1+3", {"1": 4, "3": 4})]}
    assert {choice["fold"] for choice in select_system(apart)} == {"2", "3"}  # nothing to compare for fold 1


def test_select_system_counts_clips_once_for_all_seeds() -> None:
    again = trial("1+2", {"1": 4, "2": 4}, seed=1)
    assert [choice["clips"] for choice in select_system({"row": [trial("1+2", {"1": 4, "2": 0}), again]})] == [4, 4]


def test_select_system_of_single_folds_is_empty() -> None:
    assert select_system({"row": [trial("1", {"1": 2})]}) == []
    assert select_system({"row": []}) == []


def test_select_system_allows_the_separator_in_a_folds_name() -> None:
    single = trial("1", {"1": 2})
    clips = tuple(dataclasses.replace(clip, fold="a+b") for clip in single.clips)
    assert select_system({"row": [single.model_copy(update={"held_out": "a+b", "clips": clips})]}) == []


def test_select_system_ignores_cities() -> None:
    of_city = trial("1+2", {"1": 4, "2": 4}).model_copy(update={"held_out": "oslo"})
    assert select_system({"row": [of_city]}) == []


def test_select_pooled_counts_all_clips_and_seeds() -> None:
    rows = {
        "steady": [trial("1+2", {"1": 3, "2": 3}, seed=seed) for seed in (0, 1)],
        "lucky once": [trial("1+2", {"1": 4, "2": 4}), trial("1+2", {"1": 1, "2": 1}, seed=1)],
        "one seed": [trial("1+2", {"1": 4, "2": 4})],
        "single folds": [trial("1", {"1": 4})],
    }
    pooled = select_pooled(rows)
    assert pooled is not None
    assert (pooled["chosen"], pooled["clips"], list(pooled["scores"])) == ("steady", 8, ["steady", "lucky once"])
    assert pooled["scores"]["lucky once"]["macro_accuracy"] == 0.625


def test_select_pooled_without_comparable_trials_is_none() -> None:
    assert select_pooled({"row": [trial("1", {"1": 2})], "none": []}) is None
    assert select_pooled({"a": [trial("1+2", {"1": 4, "2": 4})], "b": [trial("1+3", {"1": 4, "3": 4})]}) is None
