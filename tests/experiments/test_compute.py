"""Computed trials: fine-tuned files, shared trainings, and teachers."""

from pathlib import Path
from typing import Any

import pytest
import torch

from scenelet.config import run_folder as runs
from scenelet.data.load import load_table
from scenelet.errors import DataError
from scenelet.experiments.compute import compute_trial
from scenelet.experiments.reproduce import reproduce
from scenelet.experiments.store import Store
from scenelet.experiments.systems import load_systems
from scenelet.experiments.trial import Trial, make_trial
from scenelet.model.file import read_model

RECIPE = """
base = "comparison"
precision = "fp32"
features = { sample_rate = 8000, n_fft = 256, hop_length = 256, n_mels = 64 }
window = { seconds = 0.6 }
augment = { time_roll = 2 }
schedule = { epochs = 2, batch_size = 4 }
prune = { epochs = 2 }
"""
TABLE = """
title = "Fine-tuned and distilled"
reference = "dense"
common.network = { width = 12, repeats = 1 }
common.loss = { name = "class_balanced_focal", beta = 0.9999, gamma = 1.0 }

[[rows]]
name = "distilled"
teacher = ["wide", "wide"]

[[rows]]
name = "plain"

[[rows]]
name = "wide"
settings.network = { width = 16 }

[[rows]]
name = "dense"
fine_tune = true
settings.prune = { sparsity = 0.0 }
"""
PRUNED = "".join(f'\n[[rows]]\nname = "pruned {x}"\nrecipe = "pruned_{x}"\nfine_tune = true\n' for x in "abcd")


@pytest.fixture(scope="session")
def grid(tone_set: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The folder of the computed table, and the comparison."""
    folder = tmp_path_factory.mktemp("grid")
    (folder / "mine.toml").write_text(TABLE + PRUNED)
    (folder / "tiny.toml").write_text(RECIPE)
    compared = reproduce(
        str(folder / "mine.toml"), tone_set, folder / "out", recipe=str(folder / "tiny.toml"), folds=["1"]
    )
    return folder, compared


@pytest.fixture
def store(tone_set: Path, grid: tuple[Path, Any]) -> Store:
    return Store(grid[0] / "out", load_table(tone_set))


@pytest.fixture
def trials(grid: tuple[Path, Any]) -> dict[str, Trial]:
    folder, _ = grid
    systems = load_systems(str(folder / "mine.toml"))
    return {row.name: make_trial(systems, row.name, str(folder / "tiny.toml"), "1") for row in systems.rows}


def test_compute_trial_fine_tunes_from_a_shared_training(
    grid: tuple[Path, dict[str, Any]], store: Store, trials: dict[str, Trial]
) -> None:
    folder, compared = grid
    rows = {row["name"]: row for row in compared["rows"]}
    fine_tuned = [trials[name] for name in ("plain", "dense", "pruned a", "pruned b", "pruned c", "pruned d")]
    assert len({store.run_folder(trial) for trial in fine_tuned}) == 1
    assert len(list((folder / "out" / "trained").iterdir())) == 4
    losses = {rows[f"pruned {letter}"]["log_loss"]["value"] for letter in "abcd"}
    assert len(losses) == 4  # four different fine-tunings
    assert len({tuple(rows[trial.system]["steps"]) for trial in fine_tuned[1:]}) == 1
    assert rows["dense"]["steps"] == [(2 + 2) * 4]
    assert rows["plain"]["steps"] == [2 * 4]
    assert [trial["seed"] for trial in rows["dense"]["by_trial"]] == [0]


def test_compute_trial_stores_pruned_networks_in_fp16(grid: tuple[Path, dict[str, Any]]) -> None:
    rows = {row["name"]: row for row in grid[1]["rows"]}
    dense, pruned = rows["dense"], rows["pruned a"]
    assert dense["parameters_kept"] == dense["parameters"] == pruned["parameters"]
    assert dense["bytes"]["paper"] == 4 * dense["parameters"]
    assert pruned["bytes"]["paper"] == 2 * pruned["parameters_kept"]
    assert pruned["parameters_kept"] < 0.6 * dense["parameters_kept"]


def test_compute_trial_describes_the_file_of_a_fine_tuned_trial(store: Store, trials: dict[str, Trial]) -> None:
    result, plain = store.read_result(trials["pruned a"]), store.read_result(trials["plain"])
    assert result is not None
    assert plain is not None
    assert result.bytes["disk"] == store.model_path(trials["pruned a"]).stat().st_size
    assert (result.dtype, result.sparsity) == ("fp16", 0.6)
    assert result.file_difference is not None
    assert 0 < result.file_difference < 0.01
    # the test clips must not choose the temperature that they are measured with
    assert "calibration" not in read_model(store.model_path(trials["pruned a"])).results
    assert plain.dtype is None
    assert not store.model_path(trials["plain"]).exists()


def test_compute_trial_deletes_temporary_files(grid: tuple[Path, Any]) -> None:
    assert not list(grid[0].rglob("*.ckpt"))
    assert not list((grid[0] / "out" / "finetuning").iterdir())


def test_compute_trial_trains_the_teachers_first(store: Store, trials: dict[str, Trial]) -> None:
    """The table lists the student before its teachers. The first of them is trained once for both rows."""
    runs_of = {name: store.run_folder(trials[name]) for name in ("distilled", "plain", "wide")}
    teachers = [Path(teacher.path) for teacher in runs.read_record(runs_of["distilled"]).teachers]
    assert teachers[0] == runs_of["wide"]
    assert [runs.read_record(run).config.seed for run in teachers] == [0, 1]
    assert runs.read_record(runs_of["wide"]).teachers == ()
    finished = {name: (run / runs.METRICS).stat().st_mtime_ns for name, run in runs_of.items()}
    assert finished["wide"] < finished["distilled"] < finished["plain"]
    student, plain = (torch.load(runs_of[name] / runs.WEIGHTS, weights_only=True) for name in ("distilled", "plain"))
    assert not all(torch.equal(value, plain[name]) for name, value in student.items())


def test_compute_trial_without_test_clips_is_an_error(tone_set: Path, grid: tuple[Path, Any], tmp_path: Path) -> None:
    lines = tone_set.read_text().splitlines()
    table = tmp_path / "train.csv"
    rows = [",".join([*line.split(",")[:2], "train"]) for line in lines[1:]]
    table.write_text("\n".join(["filename,label,split", *rows]) + "\n")
    folder, audio = grid[0], tone_set.parent
    store = Store(tmp_path / "out", load_table(table, audio))
    trial = make_trial(load_systems(str(folder / "mine.toml")), "plain", str(folder / "tiny.toml"))
    with pytest.raises(DataError, match="no test clips"):
        compute_trial(store, trial, "plain")
