"""Keys and files of a store of trials, without any training."""

import dataclasses
import shutil
from pathlib import Path

import pytest

from helpers.example_trials import random_result
from scenelet.config import RunConfig
from scenelet.data.load import load_table
from scenelet.errors import RunError
from scenelet.experiments.store import Store
from scenelet.experiments.systems import load_systems
from scenelet.experiments.trial import Trial, make_trial

TEACHER_TABLE = """
title = "Distilled"
reference = "plain"

[[rows]]
name = "distilled"
teacher = "wide"
settings.network = { width = 4, repeats = 1 }

[[rows]]
name = "plain"
settings.network = { width = 4, repeats = 1 }

[[rows]]
name = "wide"
settings.network = { width = 8, repeats = 1 }
"""


@pytest.fixture
def store(tone_set: Path, tmp_path: Path) -> Store:
    return Store(tmp_path / "store", load_table(tone_set))


def trials_of(table: str, fold: str = "1", seed: int = 0, recipe: str = "comparison") -> dict[str, Trial]:
    systems = load_systems(table)
    return {row.name: make_trial(systems, row.name, recipe, fold, seed) for row in systems.rows}


def test_run_folder_depends_on_settings_seed_and_fold(store: Store) -> None:
    trials = [
        trials_of("table4")["Ours"],
        trials_of("table4")["Ours + CBLoss"],
        trials_of("table4", seed=1)["Ours"],
        trials_of("table4", fold="2")["Ours"],
    ]
    assert len({store.run_folder(trial) for trial in trials}) == 4
    assert store.run_folder(trials[0]) == store.run_folder(trials_of("table4")["Ours"])


def test_run_folder_depends_on_the_precision_that_is_used(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine that computes in bf16, "auto" is another trial than on one that computes in fp32."""
    folders = set()
    for native in (False, True):
        monkeypatch.setattr("scenelet.training.precision.has_native_bf16", lambda native=native: native)
        folders.add(store.run_folder(trials_of("table4")["Ours"]))
    assert len(folders) == 2


def test_run_folder_depends_on_the_files_of_the_clips(tone_set: Path, tmp_path: Path) -> None:
    root = tmp_path / "tones"
    shutil.copytree(tone_set.parent, root)
    trial = trials_of("table4")["Ours"]

    def folder() -> Path:
        return Store(tmp_path, load_table(root / "tones.csv")).run_folder(trial)

    first = folder()
    assert folder() == first
    (root / "low0.wav").write_bytes((root / "low0.wav").read_bytes() + bytes(8))
    assert folder() != first


def test_run_folder_ignores_new_settings_at_their_defaults(store: Store) -> None:
    """A later version with more settings finds the trials of this one."""

    class LaterConfig(RunConfig):
        later_setting: int = 0

    trial = trials_of("table4")["Ours"]
    values = trial.config.model_dump()
    later = dataclasses.replace(trial, config=LaterConfig.model_validate(values))
    assert store.run_folder(later) == store.run_folder(trial)
    changed = dataclasses.replace(trial, config=LaterConfig.model_validate(values | {"later_setting": 1}))
    assert store.run_folder(changed) != store.run_folder(trial)


def test_run_folder_is_shared_by_pruned_systems(store: Store) -> None:
    trials = trials_of("table4")
    assert len({store.run_folder(trial) for trial in trials.values()}) == 4
    shared = {store.run_folder(trials[name]) for name in ("Ours + CBLoss", "Ours Pruned A", "Ours Pruned D")}
    assert len(shared) == 1
    assert len({store.model_path(trial) for trial in trials.values()}) == len(trials)


def test_run_folder_is_shared_between_tables(store: Store) -> None:
    """Under the recipe `paper`, the paper's network, S=1 and Mixup only are rows of Table 3 and of the ablation."""
    table3, ablation = (
        {store.run_folder(trial) for trial in trials_of(name, recipe="paper").values()}
        for name in ("table3", "ablation")
    )
    assert (len(table3), len(ablation)) == (5, 14)
    assert len(table3 & ablation) == 3


def test_run_folder_of_a_student_depends_on_its_teacher(store: Store, tmp_path: Path) -> None:
    def folder(old: str = "", new: str = "", row: str = "distilled") -> Path:
        path = tmp_path / "mine.toml"
        path.write_text(TEACHER_TABLE.replace(old, new) if old else TEACHER_TABLE)
        return store.run_folder(trials_of(str(path))[row])

    first = folder()
    assert folder("width = 8", "width = 12") != first
    assert folder('"wide"', '"another name"') == first
    assert folder("width = 8", "width = 12", row="plain") == folder(row="plain") != first
    others = [folder('teacher = "wide"', f"teacher = {names}") for names in ('"plain"', '["wide", "plain"]')]
    assert len({first, folder(row="plain"), *others}) == 4
    assert folder('teacher = "wide"', 'teacher = ["wide"]') == first


def test_run_folder_of_a_student_is_not_that_of_a_plain_system(store: Store, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(TEACHER_TABLE)
    tables = [trials_of(str(tmp_path / "mine.toml"), *key) for key in (("1", 0), ("1", 1), ("2", 0))]
    assert tables[0]["distilled"].config == tables[0]["plain"].config
    assert len({store.run_folder(trial) for trials in tables for trial in trials.values()}) == 3 * 3
    assert all(trials["distilled"].teachers == (trials["wide"],) for trials in tables)


def test_read_result_returns_the_written_result(store: Store) -> None:
    trial, result = trials_of("table4")["Ours"], random_result("1", 0, 0.5)
    assert store.read_result(trial) is None
    store.finetuning_folder(trial).mkdir(parents=True)
    store.write_result(trial, result)
    loaded = store.read_result(trial)
    assert loaded is not None
    assert loaded.model_dump() == result.model_dump()
    assert not store.finetuning_folder(trial).exists()
    assert store.read_result(trials_of("table4")["Ours + CBLoss"]) is None


def test_read_result_of_a_damaged_file_is_an_error(store: Store) -> None:
    trial = trials_of("table4")["Ours"]
    store.write_result(trial, random_result("1", 0, 0.5))
    (path,) = (store.folder / "trials").iterdir()
    path.write_bytes(b"")
    with pytest.raises(RunError, match="damaged; delete it"):
        store.read_result(trial)


def test_lock_is_exclusive_for_trials_of_one_training(store: Store) -> None:
    trials = trials_of("table4")
    with store.lock(trials["Ours Pruned A"], wait=False) as first:
        with store.lock(trials["Ours Pruned B"], wait=False) as second:
            assert (first, second) == (True, False)
        with store.lock(trials["Ours"], wait=False) as other:
            assert other
    with store.lock(trials["Ours Pruned B"], wait=False) as later:
        assert later
