"""The grid of a table: nothing is computed twice, and a killed one ends as if it had not been."""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import filelock
import pytest

from scenelet.data.sources import load_table
from scenelet.errors import DataError, RunError, UsageError
from scenelet.recipes.tables import SystemTable, load_table_of_systems
from scenelet.reports.cells import CellResult
from scenelet.training.run import DataRecord
from scenelet.workflows import grid
from scenelet.workflows.grid import Cell, Store, cell_of
from scenelet.workflows.reproduce import reproduce

BUDGET = """
base = "small"
precision = "fp32"

[features]
sample_rate = 8000
n_fft = 256
hop_length = 256
n_mels = 64

[window]
seconds = 0.6

[mixing]
time_roll = 2

[schedule]
epochs = 2
batch_size = 4

[prune]
epochs = 2
"""


@pytest.fixture
def budget(tmp_path: Path) -> str:
    path = tmp_path / "tiny.toml"
    path.write_text(BUDGET)
    return str(path)


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Titles of the cells that are computed."""
    titles: list[str] = []
    original = Store.compute

    def count(self: Store, cell: object, description: str) -> CellResult:
        titles.append(description)
        return original(self, cell, description)

    monkeypatch.setattr(Store, "compute", count)
    return titles


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """Once called, cells are asked for and not computed; gives their titles."""

    def stop() -> list[str]:
        titles: list[str] = []

        def pretend(self: Store, cell: object, description: str) -> CellResult:
            titles.append(description)
            return CellResult.model_validate_json(next((self.folder / "cells").iterdir()).read_bytes())

        monkeypatch.setattr(Store, "compute", pretend)
        return titles

    return stop


def test_a_grid_is_computed_once_and_shared_between_tables(
    tone_set: Path, budget: str, tmp_path: Path, computed: list[str], no_training: Callable[[], list[str]]
) -> None:
    out = tmp_path / "out"
    compared = reproduce("table3", tone_set, out, budget=budget, folds=["1"])
    assert len(computed) == 5
    assert compared["rows"][0]["clips"] == 8
    assert [row["cells"] for row in compared["rows"]] == [1] * 5
    assert {row["paper"]["accuracy"] for row in compared["rows"]} == {82.1, 82.4, 82.7, 82.8, 82.9}
    for ending in ("md", "json", "png"):
        assert (out / f"table3-tiny-fold1.{ending}").stat().st_size > 0
    assert json.loads((out / "table3-tiny-fold1.json").read_text()) == compared
    assert not list(out.rglob("*.ckpt"))
    asked = no_training()
    assert reproduce("table3", tone_set, out, budget=budget, folds=["1"]) == compared
    assert not asked
    Path(budget).write_text(BUDGET.replace("epochs = 2\nbatch", "epochs = 4\nbatch"))
    with pytest.raises(UsageError, match="is of another table or budget of this name"):
        reproduce("table3", tone_set, out, budget=budget, folds=["1"])
    Path(budget).write_text(BUDGET)
    reproduce("table3", tone_set, out, budget=budget)
    assert len(asked) == 10  # the other two folds
    asked.clear()
    reproduce("ablation", tone_set, out, budget=budget, folds=["1"])
    assert len(asked) == 14 - 3  # the paper's network, S=1, and Mixup alone are rows of Table 3 too


def test_pruned_rows_share_their_training_and_end_as_files_in_fp16(tone_set: Path, budget: str, tmp_path: Path) -> None:
    compared = reproduce("table4", tone_set, tmp_path / "out", budget=budget, folds=["1"])
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


KILL = """
import os, signal, sys
from scenelet.cli import main
from scenelet.training.module import SceneModule
from scenelet.workflows import grid

moment = sys.argv.pop(1)
epochs = {"training": 0, "fine-tuning": 0}
work, cleaned = "training", 0
begin, tune, clean = SceneModule.on_train_epoch_start, grid.shrink, grid.Store.clean_up

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def on_epoch(self):
    epochs[work] += 1
    if moment == f"{work} {epochs[work]}":
        die()
    begin(self)

def on_tune(*arguments, **settings):
    global work
    work = "fine-tuning"
    shrunk = tune(*arguments, **settings)
    work = "training"
    return shrunk

def on_clean_up(self, cell):
    global cleaned
    cleaned += 1
    if moment == f"clean-up {cleaned}":
        die()
    clean(self, cell)

SceneModule.on_train_epoch_start, grid.shrink, grid.Store.clean_up = on_epoch, on_tune, on_clean_up
main()
"""


def test_a_grid_killed_three_times_ends_the_same(tone_set: Path, budget: str, tmp_path: Path) -> None:
    """In the second epoch of a training, between a cell's result and its clean-up, and in a fine-tuning."""
    arguments = ["reproduce", "table4", str(tone_set), "--budget", budget, "--fold", "1", "--out"]

    def run(moment: str, out: Path) -> int:
        return subprocess.run(
            [sys.executable, "-c", KILL, moment, *arguments, str(out)], capture_output=True, check=False
        ).returncode

    killed = tmp_path / "killed"
    moments = {"training 2": 0, "clean-up 2": 2, "fine-tuning 4": 3}
    for moment, finished in moments.items():
        assert run(moment, killed) == -signal.SIGKILL
        assert len(list(killed.glob("cells/*.json"))) == finished
    for out in (killed, tmp_path / "undisturbed"):
        assert run("never", out) == 0
    for name in ("table4-tiny-fold1.md", "table4-tiny-fold1.json", "table4-tiny-fold1.png"):
        assert (killed / name).read_bytes() == (tmp_path / "undisturbed" / name).read_bytes()
    assert not list((killed / "tuning").iterdir())


def test_a_training_that_diverges_does_not_stop_the_others(
    tone_set: Path, budget: str, tmp_path: Path, two_rows: SystemTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    compute = Store.compute

    def one_fails(self: Store, cell: Cell, description: str) -> CellResult:
        if cell.row == "CP-ResNet(ch64)":
            raise RunError("epoch 2: training diverged")
        return compute(self, cell, description)

    monkeypatch.setattr(Store, "compute", one_fails)
    with pytest.raises(RunError, match=r"1 of 2 cells failed, the others are finished: CP-ResNet.*, fold 1, seed 0"):
        reproduce("table3", tone_set, tmp_path / "out", budget=budget, folds=["1"])
    assert len(list((tmp_path / "out" / "cells").iterdir())) == 1
    damaged = next((tmp_path / "out" / "cells").iterdir())
    damaged.write_bytes(b"")
    with pytest.raises(RunError, match="damaged; delete it"):
        reproduce("table3", tone_set, tmp_path / "out", budget=budget, folds=["1"])


@pytest.fixture
def two_rows(monkeypatch: pytest.MonkeyPatch) -> SystemTable:
    """Table 3 with its first two rows only."""
    systems = load_table_of_systems("table3")
    short = systems.model_copy(update={"rows": systems.rows[:2]})
    monkeypatch.setattr("scenelet.workflows.reproduce.load_table_of_systems", lambda _: short)
    return short


def test_a_cell_that_another_process_is_at_is_left_to_it(
    tone_set: Path, budget: str, tmp_path: Path, two_rows: SystemTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, order = tmp_path / "out", []
    store = Store(out, DataRecord(path=str(tone_set)), load_table(tone_set))
    first = cell_of(two_rows, "CP-ResNet(ch64)", budget, "1")
    (out / "locks").mkdir(parents=True)
    lock = filelock.FileLock(out / "locks" / store.run_folder(first).name)
    lock.acquire()
    compute = Store.compute

    def release_after_the_other(self: Store, cell: Cell, description: str) -> CellResult:
        order.append(cell.row)
        lock.release()
        return compute(self, cell, description)

    monkeypatch.setattr(Store, "compute", release_after_the_other)
    reproduce("table3", tone_set, out, budget=budget, folds=["1"])
    assert order == ["Shared-ResNet(N=3)", "CP-ResNet(ch64)"]


def test_cities_one_after_the_other(tone_set: Path, budget: str, tmp_path: Path, two_rows: SystemTable) -> None:
    lines = tone_set.read_text().splitlines()
    table = tmp_path / "cities.csv"
    rows = [f"{line},{('oslo', 'rome')[i // 2 % 2]}" for i, line in enumerate(lines[1:])]
    table.write_text("\n".join([f"{lines[0]},city", *rows]) + "\n")
    settings = {"budget": budget, "audio_dir": tone_set.parent}
    compared = reproduce("table3", table, tmp_path / "out", cities=True, **settings)
    assert {cell["held_out"] for cell in compared["rows"][0]["by_cell"]} == {"oslo", "rome"}
    assert compared["rows"][0]["clips"] == 24
    assert (tmp_path / "out" / "table3-tiny-cities.md").is_file()
    with pytest.raises(UsageError, match="not both"):
        reproduce("table3", table, tmp_path / "out", cities=True, folds=["1"], **settings)
    with pytest.raises(DataError, match="names 0 cities"):
        reproduce("table3", tone_set, tmp_path / "out", cities=True, budget=budget)


def test_a_row_that_does_not_fit_is_found_before_any_work(tone_set: Path, tmp_path: Path, computed: list[str]) -> None:
    coarse = tmp_path / "coarse.toml"
    coarse.write_text(BUDGET.replace("n_mels = 64", "n_mels = 32"))
    with pytest.raises(UsageError, match=r"S=4 under .*coarse.toml: .* do not split into 4 equal sub-bands"):
        reproduce("ablation", tone_set, tmp_path / "out", budget=str(coarse), folds=["1"])
    assert not computed
    assert not (tmp_path / "out").exists()


def test_mistakes_are_found_before_any_work(tone_set: Path, budget: str, tmp_path: Path, computed: list[str]) -> None:
    with pytest.raises(DataError, match="no fold '7'; there are 1 2 3"):
        reproduce("table3", tone_set, tmp_path / "out", budget=budget, folds=["7"])
    with pytest.raises(UsageError, match="no recipe is named"):
        reproduce("table3", tone_set, tmp_path / "out", budget="tinny")
    with pytest.raises(UsageError, match=r"no table is named 'table5'; there are ablation, .*; did you mean 'table"):
        reproduce("table5", tone_set, tmp_path / "out")
    narrow = tmp_path / "narrow.toml"
    narrow.write_text('base = "small"\n[network]\nwidth = 8\nrepeats = 3\n')
    with pytest.raises(UsageError, match=r"sets network\.width, which a table's rows decide"):
        reproduce("table3", tone_set, tmp_path / "out", budget=str(narrow))
    assert not computed
    assert not (tmp_path / "out").exists()


def test_what_a_key_depends_on(tone_set: Path, tmp_path: Path) -> None:
    """On settings that are not at their defaults, so that a version with more of them finds old cells; and on clips."""
    root = tmp_path / "tones"
    shutil.copytree(tone_set.parent, root)
    systems = load_table_of_systems("table4")
    source = DataRecord(path=str(root / "tones.csv"))

    def key(row: str = "Ours", seed: int = 0, fold: str = "1") -> Path:
        store = Store(tmp_path, source, load_table(root / "tones.csv"))
        return store.run_folder(cell_of(systems, row, "small", fold, seed))

    assert "hop_seconds" not in grid._settings(cell_of(systems, "Ours", "small").config)["window"]
    same = key()
    assert key() == same
    assert len({same, key("Ours + CBLoss"), key(seed=1), key(fold="2")}) == 4
    assert key("Ours Pruned A") == key("Ours Pruned D") == key("Ours + CBLoss")
    (root / "low0.wav").write_bytes((root / "low0.wav").read_bytes() + bytes(8))
    assert key() != same


def test_two_folds_held_out_together_choose_for_each_other(
    tone_set: Path, budget: str, tmp_path: Path, no_training: Callable[[], list[str]]
) -> None:
    table = tmp_path / "mine.toml"
    table.write_text('title = "Mine"\nreference = "a"\n[[rows]]\nname = "a"\nsettings.network = { width = 8 }\n')
    out = tmp_path / "out"
    compared = reproduce(str(table), tone_set, out, budget=budget, folds=["1+2", "2+3"])
    assert [(row["cells"], row["clips"]) for row in compared["rows"]] == [(2, 32)]
    choices = {choice["fold"]: choice for choice in compared["choices"]}
    assert {fold: choice["clips"] for fold, choice in choices.items()} == {"1": 8, "2": 16, "3": 8}
    page = (out / "mine-tiny-fold1+2-fold2+3.md").read_text()
    assert "| 1 | 8 | a | " in page
    asked = no_training()
    assert (
        reproduce(str(table), tone_set, out, budget=budget, folds=["2+1", "1+2", "3+2"])["choices"]
        == compared["choices"]
    )
    assert not asked  # 2+1 is 1+2
    with pytest.raises(DataError, match="no fold '7'; there are 1 2 3"):
        reproduce(str(table), tone_set, out, budget=budget, folds=["1+7"])
    with pytest.raises(DataError, match=r"'1\+1' names a fold twice"):
        reproduce(str(table), tone_set, out, budget=budget, folds=["1+1"])
