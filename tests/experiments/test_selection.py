"""A fold's choice: made on the folds held out with it, from networks that saw neither."""

import numpy as np
import pytest

from scenelet.experiments.results import ClipOutcome, TrialResult
from scenelet.experiments.selection import select_system

LABELS = ("a", "b")


def cell(held_out: str, right: dict[str, int], sure: float = 0.9, each: int = 4) -> TrialResult:
    """A cell of `each` clips a fold, half of each class, of which so many of a fold are answered right."""
    clips = []
    for fold in held_out.split("+"):
        for i in range(each):
            answer = i % 2 if i < right[fold] else 1 - i % 2
            clips.append(
                ClipOutcome(
                    name=f"{fold}-{i}",
                    label=LABELS[i % 2],
                    group=f"{fold}-{i}",
                    city=None,
                    fold=fold,
                    probabilities=(sure, 1 - sure) if answer == 0 else (1 - sure, sure),
                )
            )
    return TrialResult(
        held_out=held_out,
        seed=0,
        labels=LABELS,
        train_counts=(1, 1),
        parameters=1,
        parameters_kept=1,
        bytes={"disk": 1},
        steps=1,
        minutes=0.0,
        versions={},
        clips=tuple(clips),
    )


def test_a_folds_own_clips_have_no_say() -> None:
    rows = {
        "good on 1": [cell("1+2", {"1": 4, "2": 0}), cell("2+3", {"2": 2, "3": 2}), cell("3+1", {"3": 0, "1": 4})],
        "good on 2 and 3": [
            cell("1+2", {"1": 0, "2": 4}),
            cell("2+3", {"2": 4, "3": 4}),
            cell("3+1", {"3": 4, "1": 0}),
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


def test_of_rows_alike_the_surer_one() -> None:
    rows = {"unsure": [cell("1+2", {"1": 4, "2": 4}, sure=0.6)], "sure": [cell("1+2", {"1": 4, "2": 4}, sure=0.9)]}
    assert [choice["chosen"] for choice in select_system(rows)] == ["sure", "sure"]


def test_rows_that_lack_a_cell_are_named_and_left_out() -> None:
    whole = [cell("1+2", {"1": 2, "2": 2}), cell("2+3", {"2": 2, "3": 2})]
    rows = {"whole": whole, "half": [cell("1+2", {"1": 4, "2": 4})], "none": []}
    choices = {choice["fold"]: choice for choice in select_system(rows)}
    assert (choices["1"]["chosen"], choices["1"]["left_out"]) == ("half", ["none"])
    assert (choices["2"]["chosen"], choices["2"]["left_out"]) == ("whole", ["half", "none"])
    apart = {"a": [cell("1+2", {"1": 4, "2": 4})], "b": [cell("1+3", {"1": 4, "3": 4})]}
    assert {choice["fold"] for choice in select_system(apart)} == {"2", "3"}  # nothing to compare for fold 1


def test_clips_are_counted_once_whatever_the_seeds() -> None:
    again = cell("1+2", {"1": 4, "2": 4}).model_copy(update={"seed": 1})
    assert [choice["clips"] for choice in select_system({"row": [cell("1+2", {"1": 4, "2": 0}), again]})] == [4, 4]


def test_single_folds_choose_nothing() -> None:
    assert select_system({"row": [cell("1", {"1": 2})]}) == []
    assert select_system({"row": []}) == []
    named = cell("1", {"1": 2})
    clips = tuple(clip.model_copy(update={"fold": "a+b"}) for clip in named.clips)
    assert (
        select_system({"row": [named.model_copy(update={"held_out": "a+b", "clips": clips})]}) == []
    )  # one fold's own name
    assert (
        select_system({"row": [cell("1+2", {"1": 4, "2": 4}).model_copy(update={"held_out": "oslo"})]}) == []
    )  # a city
