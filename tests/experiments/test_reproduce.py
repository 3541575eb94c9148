"""A table of systems: nothing is computed twice, and the results are complete."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from scenelet.data.load import load_table
from scenelet.errors import DataError, UsageError
from scenelet.experiments.reproduce import reproduce


def test_reproduce_computes_each_trial_once(
    tone_set: Path, recipe: str, two_systems: str, tmp_path: Path, computed: list[str], no_training: Callable
) -> None:
    out = tmp_path / "out"
    compared = reproduce(two_systems, tone_set, out, recipe=recipe, folds=["1"])
    assert computed == ["narrow, fold 1, seed 0", "wide, fold 1, seed 0"]
    assert compared["rows"][0]["clips"] == 8
    assert [row["trials"] for row in compared["rows"]] == [1, 1]
    for ending in ("md", "json", "png"):
        assert (out / f"two-tiny-fold1.{ending}").stat().st_size > 0
    assert json.loads((out / "two-tiny-fold1.json").read_text()) == compared
    assert not list(out.rglob("*.ckpt"))
    asked = no_training()
    assert reproduce(two_systems, tone_set, out, recipe=recipe, folds=["1"]) == compared
    assert not asked
    text = Path(recipe).read_text()
    Path(recipe).write_text(text.replace("epochs = 2\nbatch", "epochs = 4\nbatch"))
    with pytest.raises(UsageError, match="is from another table, recipe or machine"):
        reproduce(two_systems, tone_set, out, recipe=recipe, folds=["1"])
    Path(recipe).write_text(text)
    reproduce(two_systems, tone_set, out, recipe=recipe)
    assert len(asked) == 4  # the other two folds
    asked.clear()
    reproduce("ablation", tone_set, out, recipe=recipe, folds=["1"])
    assert len(asked) == 14
    assert (out / "ablation-tiny-fold1.md").is_file()


def test_reproduce_with_a_test_curve_has_the_same_results(
    tone_set: Path, recipe: str, two_systems: str, tmp_path: Path
) -> None:
    """Trials record their last training, so a fine-tuned one its fine-tuning. Finished trials stay as they are."""
    with Path(two_systems).open("a") as file:
        file.write('teacher = "narrow"\n\n[[rows]]\nname = "pruned"\nfine_tune = true\n')
    plain, curve = tmp_path / "plain", tmp_path / "curve"
    expected = reproduce(two_systems, tone_set, plain, recipe=recipe, folds=["1"])
    found = reproduce(two_systems, tone_set, curve, recipe=recipe, folds=["1"], test_curve=True)
    assert [row["best_test_epoch"] for row in expected["rows"]] == [None] * 3
    for row in found["rows"]:
        assert row["best_test_epoch"] >= row["macro_accuracy"]["value"]
    for row in [*expected["rows"], *found["rows"]]:
        del row["best_test_epoch"]
    assert found == expected
    assert (len(list(curve.glob("trained/*/test_curve.csv"))), len(list(curve.glob("models/*.csv")))) == (3, 1)
    assert not list(plain.rglob("test_curve.csv"))
    again = reproduce(two_systems, tone_set, plain, recipe=recipe, folds=["1"], test_curve=True)
    assert [row["best_test_epoch"] for row in again["rows"]] == [None] * 3


def test_reproduce_rejects_a_changed_teacher(
    tone_set: Path, recipe: str, two_systems: str, tmp_path: Path, no_training: Callable
) -> None:
    text = Path(two_systems).read_text()
    Path(two_systems).write_text(text.replace('name = "narrow"', 'name = "narrow"\nteacher = "wide"'))
    out = tmp_path / "out"
    reproduce(two_systems, tone_set, out, recipe=recipe, folds=["1"])
    asked = no_training()
    Path(two_systems).write_text(text)
    with pytest.raises(UsageError, match="is from another table, recipe or machine"):
        reproduce(two_systems, tone_set, out, recipe=recipe, folds=["1"])
    assert not asked


def test_reproduce_holds_out_one_city_after_the_other(
    tone_set: Path, recipe: str, two_systems: str, tmp_path: Path
) -> None:
    lines = tone_set.read_text().splitlines()
    table = tmp_path / "cities.csv"
    rows = [f"{line},{('oslo', 'rome')[i // 2 % 2]}" for i, line in enumerate(lines[1:])]
    table.write_text("\n".join([f"{lines[0]},city", *rows]) + "\n")
    compared = reproduce(two_systems, load_table(table, tone_set.parent), tmp_path / "out", recipe=recipe, cities=True)
    assert {trial["held_out"] for trial in compared["rows"][0]["by_trial"]} == {"oslo", "rome"}
    assert compared["rows"][0]["clips"] == 24
    assert (tmp_path / "out" / "two-tiny-cities.md").is_file()


def test_reproduce_selects_by_folds_that_were_held_out_together(
    tone_set: Path, recipe: str, tmp_path: Path, no_training: Callable
) -> None:
    table = tmp_path / "mine.toml"
    table.write_text('title = "Mine"\nreference = "a"\n[[rows]]\nname = "a"\nsettings.network = { width = 8 }\n')
    out = tmp_path / "out"
    compared = reproduce(str(table), tone_set, out, recipe=recipe, folds=["1+2", "2+3"])
    assert [(row["trials"], row["clips"]) for row in compared["rows"]] == [(2, 32)]
    choices = {choice["fold"]: choice for choice in compared["choices"]}
    assert {fold: choice["clips"] for fold, choice in choices.items()} == {"1": 8, "2": 16, "3": 8}
    page = (out / "mine-tiny-fold1+2-fold2+3.md").read_text()
    assert "| 1 | 8 | a | " in page
    asked = no_training()
    again = reproduce(str(table), tone_set, out, recipe=recipe, folds=["2+1", "1+2", "3+2"])
    assert again["choices"] == compared["choices"]
    assert not asked  # 2+1 is 1+2


@pytest.mark.parametrize(
    ("folds", "words"),
    [(["1+7"], "no fold '7'; there are 1 2 3"), (["1+1"], r"'1\+1' names a fold twice"), (["7"], "no fold '7'")],
)
def test_reproduce_rejects_invalid_folds(
    tone_set: Path, recipe: str, two_systems: str, tmp_path: Path, folds: list[str], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        reproduce(two_systems, tone_set, tmp_path / "out", recipe=recipe, folds=folds)
    assert not (tmp_path / "out").exists()
