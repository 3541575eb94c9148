"""Arguments of `reproduce` and `demo` that are checked before PyTorch is loaded."""

from pathlib import Path
from typing import Any

import pytest

from scenelet.errors import DataError, RunError, SceneletError, UsageError
from scenelet.experiments.plan import check_demo_folder, plan

OPTIONS: dict[str, Any] = {
    "recipe": None,
    "folds": (),
    "cities": False,
    "reference": None,
}


def test_plan_holds_out_every_fold_by_default(tone_set: Path) -> None:
    planned = plan("table3", tone_set, **OPTIONS)
    assert planned.held_out == ("1", "2", "3")
    assert planned.recipe == "comparison"
    assert set(planned.configs) == {row.name for row in planned.systems.rows}


def test_plan_changes_the_reference(tone_set: Path) -> None:
    planned = plan("table3", tone_set, **OPTIONS | {"reference": "Shared-ResNet(N=3)"})
    assert planned.systems.reference == "Shared-ResNet(N=3)"


@pytest.mark.parametrize(
    ("table", "changes", "error", "words"),
    [
        ("table5", {}, UsageError, r"no table is named 'table5'; the tables are ablation, .*; did you mean 'table"),
        ("table3", {"recipe": "tinny"}, UsageError, "no recipe is named"),
        ("table3", {"folds": ["7"]}, DataError, "no fold '7'; there are 1 2 3"),
        ("table3", {"folds": ["1"], "cities": True}, UsageError, "give one of them, not both"),
        ("table3", {"cities": True}, DataError, "has fewer than two cities; leave --cities out"),
        ("table3", {"reference": "no"}, UsageError, "no row is named 'no'"),
    ],
)
def test_plan_rejects_invalid_arguments(
    tone_set: Path, table: str, changes: dict[str, Any], error: type[SceneletError], words: str
) -> None:
    with pytest.raises(error, match=words):
        plan(table, tone_set, **OPTIONS | changes)


def test_plan_rejects_a_recipe_that_changes_the_networks(tone_set: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "narrow.toml"
    recipe.write_text('base = "comparison"\n[network]\nwidth = 8\nrepeats = 3\n')
    with pytest.raises(UsageError, match=r"sets network\.width, but the table sets the networks"):
        plan("table3", tone_set, **OPTIONS | {"recipe": str(recipe)})


def test_check_demo_folder_allows_an_interrupted_demo(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    check_demo_folder(out)  # must not raise
    (out / "scenes").mkdir(parents=True)
    check_demo_folder(out)  # must not raise


def test_check_demo_folder_rejects_other_content(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="exists already"):
        check_demo_folder(tmp_path)


def test_check_demo_folder_rejects_a_finished_demo(tmp_path: Path) -> None:
    (tmp_path / "scenes").mkdir()
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "report.html").touch()
    with pytest.raises(RunError, match="exists already"):
        check_demo_folder(tmp_path)
