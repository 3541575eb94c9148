"""The grid of a table: nothing is computed twice, and rows share what they can."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from scenelet.data.load import load_table
from scenelet.errors import DataError, UsageError
from scenelet.experiments import store as grid
from scenelet.experiments.reproduce import reproduce
from scenelet.experiments.store import Store, make_trial
from scenelet.experiments.systems import SystemTable, load_systems


def test_a_grid_is_computed_once_and_shared_between_tables(
    tone_set: Path, recipe: str, tmp_path: Path, computed: list[str], no_training: Callable[[], list[str]]
) -> None:
    out = tmp_path / "out"
    compared = reproduce("table3", tone_set, out, recipe=recipe, folds=["1"])
    assert len(computed) == 5
    assert compared["rows"][0]["clips"] == 8
    assert [row["cells"] for row in compared["rows"]] == [1] * 5
    assert {row["paper"]["accuracy"] for row in compared["rows"]} == {82.1, 82.4, 82.7, 82.8, 82.9}
    for ending in ("md", "json", "png"):
        assert (out / f"table3-tiny-fold1.{ending}").stat().st_size > 0
    assert json.loads((out / "table3-tiny-fold1.json").read_text()) == compared
    assert not list(out.rglob("*.ckpt"))
    asked = no_training()
    assert reproduce("table3", tone_set, out, recipe=recipe, folds=["1"]) == compared
    assert not asked
    text = Path(recipe).read_text()
    Path(recipe).write_text(text.replace("epochs = 2\nbatch", "epochs = 4\nbatch"))
    with pytest.raises(UsageError, match="is of another table or recipe of this name"):
        reproduce("table3", tone_set, out, recipe=recipe, folds=["1"])
    Path(recipe).write_text(text)
    reproduce("table3", tone_set, out, recipe=recipe)
    assert len(asked) == 10  # the other two folds
    asked.clear()
    reproduce("ablation", tone_set, out, recipe=recipe, folds=["1"])
    assert len(asked) == 14 - 3  # the paper's network, S=1, and Mixup alone are rows of Table 3 too


def test_pruned_rows_share_their_training_and_end_as_files_in_fp16(tone_set: Path, recipe: str, tmp_path: Path) -> None:
    compared = reproduce("table4", tone_set, tmp_path / "out", recipe=recipe, folds=["1"])
    rows = {row["name"]: row for row in compared["rows"]}
    assert len(list((tmp_path / "out" / "trained").iterdir())) == 4
    dense, pruned = rows["Ours + CBLoss"], rows["Ours Pruned A"]
    assert dense["parameters_kept"] == dense["parameters"] == pruned["parameters"]
    assert dense["bytes"]["paper"] == 4 * dense["parameters"]
    assert pruned["bytes"]["paper"] == 2 * pruned["parameters_kept"]
    assert pruned["parameters_kept"] < 0.6 * dense["parameters_kept"]
    assert len({tuple(row["steps"]) for row in compared["rows"]}) == 1
    assert dense["steps"] == [(2 + 2) * 4]
    assert [cell["seed"] for cell in dense["by_cell"]] == [0]
    losses = {rows[f"Ours Pruned {letter}"]["log_loss"]["value"] for letter in "ABCD"}
    assert len(losses) == 4  # they are four different fine-tunings


def test_cities_one_after_the_other(tone_set: Path, recipe: str, tmp_path: Path, two_rows: SystemTable) -> None:
    lines = tone_set.read_text().splitlines()
    table = tmp_path / "cities.csv"
    rows = [f"{line},{('oslo', 'rome')[i // 2 % 2]}" for i, line in enumerate(lines[1:])]
    table.write_text("\n".join([f"{lines[0]},city", *rows]) + "\n")
    settings = {"recipe": recipe, "audio_dir": tone_set.parent}
    compared = reproduce("table3", table, tmp_path / "out", cities=True, **settings)
    assert {cell["held_out"] for cell in compared["rows"][0]["by_cell"]} == {"oslo", "rome"}
    assert compared["rows"][0]["clips"] == 24
    assert (tmp_path / "out" / "table3-tiny-cities.md").is_file()
    with pytest.raises(UsageError, match="not both"):
        reproduce("table3", table, tmp_path / "out", cities=True, folds=["1"], **settings)
    with pytest.raises(DataError, match="names 0 cities"):
        reproduce("table3", tone_set, tmp_path / "out", cities=True, recipe=recipe)


def test_what_a_key_depends_on(tone_set: Path, tmp_path: Path) -> None:
    """On settings that are not at their defaults, so that a version with more of them finds old cells; and on clips."""
    root = tmp_path / "tones"
    shutil.copytree(tone_set.parent, root)
    systems = load_systems("table4")

    def key(row: str = "Ours", seed: int = 0, fold: str = "1") -> Path:
        store = Store(tmp_path, load_table(root / "tones.csv"))
        return store.run_folder(make_trial(systems, row, "comparison", fold, seed))

    assert "hop_seconds" not in grid._settings(make_trial(systems, "Ours", "comparison").config)["window"]
    same = key()
    assert key() == same
    assert len({same, key("Ours + CBLoss"), key(seed=1), key(fold="2")}) == 4
    assert key("Ours Pruned A") == key("Ours Pruned D") == key("Ours + CBLoss")
    (root / "low0.wav").write_bytes((root / "low0.wav").read_bytes() + bytes(8))
    assert key() != same


def test_two_folds_held_out_together_choose_for_each_other(
    tone_set: Path, recipe: str, tmp_path: Path, no_training: Callable[[], list[str]]
) -> None:
    table = tmp_path / "mine.toml"
    table.write_text('title = "Mine"\nreference = "a"\n[[rows]]\nname = "a"\nsettings.network = { width = 8 }\n')
    out = tmp_path / "out"
    compared = reproduce(str(table), tone_set, out, recipe=recipe, folds=["1+2", "2+3"])
    assert [(row["cells"], row["clips"]) for row in compared["rows"]] == [(2, 32)]
    choices = {choice["fold"]: choice for choice in compared["choices"]}
    assert {fold: choice["clips"] for fold, choice in choices.items()} == {"1": 8, "2": 16, "3": 8}
    page = (out / "mine-tiny-fold1+2-fold2+3.md").read_text()
    assert "| 1 | 8 | a | " in page
    asked = no_training()
    assert (
        reproduce(str(table), tone_set, out, recipe=recipe, folds=["2+1", "1+2", "3+2"])["choices"]
        == compared["choices"]
    )
    assert not asked  # 2+1 is 1+2
    with pytest.raises(DataError, match="no fold '7'; there are 1 2 3"):
        reproduce(str(table), tone_set, out, recipe=recipe, folds=["1+7"])
    with pytest.raises(DataError, match=r"'1\+1' names a fold twice"):
        reproduce(str(table), tone_set, out, recipe=recipe, folds=["1+1"])
