"""Trials of a table's systems."""

import pytest

from scenelet.experiments.systems import System, SystemTable, load_systems
from scenelet.experiments.trial import make_trial


@pytest.mark.parametrize(
    ("held_out", "cities", "fold", "city", "title"),
    [
        ("", False, None, None, "N=1, seed 3"),
        ("1+2", False, "1+2", None, "N=1, fold 1+2, seed 3"),
        ("oslo", True, None, "oslo", "N=1, city oslo, seed 3"),
    ],
)
def test_make_trial_holds_out_a_fold_or_a_city(
    held_out: str, cities: bool, fold: str | None, city: str | None, title: str
) -> None:
    trial = make_trial(load_systems("ablation"), "N=1", "comparison", held_out, 3, cities)
    assert (trial.config.split.fold, trial.config.split.city, trial.config.seed) == (fold, city, 3)
    assert trial.title == title
    assert not trial.fine_tuned


def test_make_trial_gives_the_teacher_the_same_fold_and_seed() -> None:
    rows = (System(name="large"), System(name="small", teacher="large", fine_tune=True))
    table = SystemTable(title="Taught", reference="large", rows=rows)
    trial = make_trial(table, "small", "paper_short", "2", 1)
    assert trial.teachers == (make_trial(table, "large", "paper_short", "2", 1),)
    assert trial.fine_tuned


def test_make_trial_gives_a_teacher_that_is_named_again_the_next_seed() -> None:
    rows = (System(name="a"), System(name="b"), System(name="taught", teacher=["a", "b", "a"]))
    table = SystemTable(title="Several", reference="a", rows=rows)
    trial = make_trial(table, "taught", "paper_short", "2", 1)
    assert [(teacher.system, teacher.seed) for teacher in trial.teachers] == [("a", 1), ("b", 1), ("a", 2)]
    assert trial.teachers[2] == make_trial(table, "a", "paper_short", "2", 2)
