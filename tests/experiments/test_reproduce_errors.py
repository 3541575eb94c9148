"""A table that is killed, shared between processes, or cannot be computed: no trial is lost or started in vain."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import filelock
import pytest

from scenelet.data.load import load_table
from scenelet.errors import OutputError, RunError, UsageError
from scenelet.experiments.comparison import SystemResult
from scenelet.experiments.compute import compute_trial
from scenelet.experiments.report import write_comparison
from scenelet.experiments.reproduce import reproduce, time_left
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
    def fail_once(store: Store, trial: Trial, description: str, test_curve: bool) -> TrialResult:
        if trial.system == "narrow":
            raise RunError("epoch 2: training diverged")
        return compute_trial(store, trial, description, test_curve)

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

    def release_after_the_other(store: Store, trial: Trial, description: str, test_curve: bool) -> TrialResult:
        order.append(trial.system)
        lock.release()
        return compute_trial(store, trial, description, test_curve)

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
    text = Path(two_systems).read_text().replace('name = "narrow"', 'name = "narrow"\nteacher = ["wide"]')
    Path(two_systems).write_text(text + "settings.features = { n_mels = 32 }\n")
    with pytest.raises(UsageError, match="row 'narrow': its teacher 'wide' has other features; give both the same"):
        reproduce(two_systems, tone_set, tmp_path / "out", recipe=recipe, folds=["1"])
    assert not computed
    assert not (tmp_path / "out").exists()


def test_reproduce_locks_its_table(
    tone_set: Path, recipe: str, two_systems: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process that writes the same table waits, so neither ends the other or restores an older table."""
    out, written = tmp_path / "out", []

    def write(folder: Path, compared: dict[str, Any], results: list[SystemResult]) -> None:
        with pytest.raises(filelock.Timeout):
            filelock.FileLock(out / "locks" / compared["name"], timeout=0).acquire()
        written.append(compared)

    monkeypatch.setattr("scenelet.experiments.reproduce.write_comparison", write)
    reproduce(two_systems, tone_set, out, recipe=recipe, folds=["1"])
    assert [[row["trials"] for row in compared["rows"]] for compared in written] == [[1, 0], [1, 1], [1, 1]]


def test_reproduce_goes_on_if_the_table_cannot_be_written(
    tone_set: Path,
    recipe: str,
    two_systems: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    attempts = []

    def fail_at_first(folder: Path, compared: dict[str, Any], results: list[SystemResult]) -> None:
        attempts.append(compared)
        if len(attempts) == 1:
            raise OutputError("two-tiny-fold1.md: cannot be written (No space left on device); choose another path")
        write_comparison(folder, compared, results)

    monkeypatch.setattr("scenelet.experiments.reproduce.write_comparison", fail_at_first)
    reproduce(two_systems, tone_set, tmp_path / "out", recipe=recipe, folds=["1"])
    assert len(attempts) == 3
    assert "No space left on device" in capsys.readouterr().err
    assert (tmp_path / "out" / "two-tiny-fold1.md").is_file()


def test_reproduce_reads_each_finished_trial_once(
    tone_set: Path,
    recipe: str,
    two_systems: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    no_training: Callable,
) -> None:
    out = tmp_path / "out"
    reproduce(two_systems, tone_set, out, recipe=recipe, folds=["1"])
    no_training()
    read, parse = [], TrialResult.model_validate_json
    monkeypatch.setattr(TrialResult, "model_validate_json", lambda data: read.append(data) or parse(data))
    Path(two_systems).write_text(Path(two_systems).read_text().replace("wide", "narrower").replace("8", "2"))
    reproduce(two_systems, tone_set, tmp_path / "out", recipe=recipe, folds=["1"], reference="narrow")
    assert len(read) == 2  # that of `narrow`, and the one that stands for a training here


EMPTIED = """
title = "Emptied"
reference = "sparse"

[[rows]]
name = "sparse"
fine_tune = true
settings.network = { width = 8, repeats = 1, init = "zero_residual" }
settings.prune = { sparsity = 0.9, epochs = 1 }
"""


def test_reproduce_warns_of_emptied_layers(
    tone_set: Path, recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second convolution of each block starts at zero, so few epochs later it is nearly pruned away."""
    table, out = tmp_path / "emptied.toml", tmp_path / "out"
    table.write_text(EMPTIED)
    compared = reproduce(str(table), tone_set, out, recipe=recipe, folds=["1"])
    assert "sparse, fold 1, seed 0: layers that are nearly empty after pruning: " in capsys.readouterr().err
    layers = compared["rows"][0]["empty_layers"]
    assert any(layer.endswith("conv2") for layer in layers)
    assert (
        f"Pruning left nearly nothing of {len(layers)} layers of 'sparse'"
        in (out / "emptied-tiny-fold1.md").read_text()
    )


def test_time_left_is_estimated_system_by_system() -> None:
    """A system that takes ten times as long counts with its own time, as soon as it has one."""
    seconds = {"narrow": [60.0, 60.0], "bc_resnet": [600.0]}
    assert time_left(["bc_resnet", "narrow"], seconds) == "about 11 min left"
    assert time_left(["narrow", "other"], seconds) == "about 60 s left, and not timed yet: other"
    assert time_left(["other", "other"], {}) == "not timed yet: other"
    assert time_left([], seconds) == "about 0.0 s left"
