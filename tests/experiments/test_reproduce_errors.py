"""A table that is killed, shared between processes, or cannot be computed: no trial is lost or started in vain."""

import signal
import subprocess
import sys
from pathlib import Path

import filelock
import pytest

from scenelet.data.load import load_table
from scenelet.errors import RunError, UsageError
from scenelet.experiments.compute import compute_trial
from scenelet.experiments.reproduce import reproduce
from scenelet.experiments.results import TrialResult
from scenelet.experiments.store import Store
from scenelet.experiments.systems import load_systems
from scenelet.experiments.trial import Trial, make_trial

KILL = """
import os, signal, sys
from scenelet.cli import main
from scenelet.experiments.store import Store
from scenelet.training.compression import build_model
from scenelet.training.module import SceneModule

moment = sys.argv.pop(1)
epochs = {"training": 0, "fine-tuning": 0}
work, cleaned = "training", 0
begin_epoch, compress, clean_up = SceneModule.on_train_epoch_start, build_model.prune_and_finetune, Store.clean_up

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def on_epoch(self):
    epochs[work] += 1
    if moment == f"{work} {epochs[work]}":
        die()
    begin_epoch(self)

def on_compress(*arguments, **settings):
    global work
    work = "fine-tuning"
    compressed = compress(*arguments, **settings)
    work = "training"
    return compressed

def on_clean_up(self, trial):
    global cleaned
    cleaned += 1
    if moment == f"clean-up {cleaned}":
        die()
    clean_up(self, trial)

SceneModule.on_train_epoch_start = on_epoch
build_model.prune_and_finetune = on_compress
Store.clean_up = on_clean_up
main()
"""
SYSTEMS = """
title = "Mine"
reference = "dense"
common.network = { width = 8, repeats = 1 }

[[rows]]
name = "dense"

[[rows]]
name = "half"
settings.prune = { sparsity = 0.5 }
fine_tune = true

[[rows]]
name = "most"
settings.prune = { sparsity = 0.8 }
fine_tune = true

[[rows]]
name = "narrow"
settings.network = { width = 4, repeats = 1 }
settings.prune = { sparsity = 0.5 }
fine_tune = true
"""


@pytest.mark.slow
def test_reproduce_killed_three_times_ends_the_same(tone_set: Path, recipe: str, tmp_path: Path) -> None:
    """Kills in the second epoch of a training, between a trial's result and its clean-up, and in a fine-tuning."""
    table, killed = tmp_path / "mine.toml", tmp_path / "killed"
    table.write_text(SYSTEMS)
    arguments = ["reproduce", str(table), str(tone_set), "--recipe", recipe, "--fold", "1", "--out", str(killed)]
    moments = {"training 2": 0, "clean-up 2": 2, "fine-tuning 4": 3}
    for moment, finished in moments.items():
        command = [sys.executable, "-c", KILL, moment, *arguments]
        assert subprocess.run(command, capture_output=True, check=False).returncode == -signal.SIGKILL
        assert len(list(killed.glob("trials/*.json"))) == finished
    for out in (killed, tmp_path / "undisturbed"):
        reproduce(str(table), tone_set, out, recipe=recipe, folds=["1"])
    for name in ("mine-tiny-fold1.md", "mine-tiny-fold1.json", "mine-tiny-fold1.png"):
        assert (killed / name).read_bytes() == (tmp_path / "undisturbed" / name).read_bytes()
    assert not list((killed / "finetuning").iterdir())


def test_reproduce_computes_the_other_trials_after_a_failure(
    tone_set: Path, recipe: str, two_systems: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail_once(store: Store, trial: Trial, description: str) -> TrialResult:
        if trial.system == "narrow":
            raise RunError("epoch 2: training diverged")
        return compute_trial(store, trial, description)

    monkeypatch.setattr("scenelet.experiments.reproduce.compute_trial", fail_once)
    words = r"1 of 2 trials failed, the others are finished: narrow, fold 1, seed 0: epoch 2"
    with pytest.raises(RunError, match=words):
        reproduce(two_systems, tone_set, tmp_path / "out", recipe=recipe, folds=["1"])
    assert len(list((tmp_path / "out" / "trials").iterdir())) == 1


def test_reproduce_postpones_a_trial_of_another_process(
    tone_set: Path, recipe: str, two_systems: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, order = tmp_path / "out", []
    store = Store(out, load_table(tone_set))
    first = make_trial(load_systems(two_systems), "narrow", recipe, "1")
    (out / "locks").mkdir(parents=True)
    lock = filelock.FileLock(out / "locks" / store.run_folder(first).name)
    lock.acquire()

    def release_after_the_other(store: Store, trial: Trial, description: str) -> TrialResult:
        order.append(trial.system)
        lock.release()
        return compute_trial(store, trial, description)

    monkeypatch.setattr("scenelet.experiments.reproduce.compute_trial", release_after_the_other)
    reproduce(two_systems, tone_set, out, recipe=recipe, folds=["1"])
    assert order == ["wide", "narrow"]


def test_reproduce_checks_every_system_before_any_work(
    tone_set: Path, recipe: str, tmp_path: Path, computed: list[str]
) -> None:
    coarse = tmp_path / "coarse.toml"
    coarse.write_text(Path(recipe).read_text().replace("n_mels = 64", "n_mels = 32"))
    with pytest.raises(UsageError, match=r"S=4 under .*coarse.toml: .* do not split into 4 equal sub-bands"):
        reproduce("ablation", tone_set, tmp_path / "out", recipe=str(coarse), folds=["1"])
    assert not computed
    assert not (tmp_path / "out").exists()


def test_reproduce_rejects_a_teacher_with_another_input(
    tone_set: Path, recipe: str, two_systems: str, tmp_path: Path, computed: list[str]
) -> None:
    text = Path(two_systems).read_text().replace('name = "narrow"', 'name = "narrow"\nteacher = "wide"')
    Path(two_systems).write_text(text + "settings.features = { n_mels = 32 }\n")
    with pytest.raises(UsageError, match="row 'narrow': its teacher 'wide' has other features; give both the same"):
        reproduce(two_systems, tone_set, tmp_path / "out", recipe=recipe, folds=["1"])
    assert not computed
    assert not (tmp_path / "out").exists()
