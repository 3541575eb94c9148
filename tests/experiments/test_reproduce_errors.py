"""A grid that is killed, shared between processes, or asked for what cannot be: nothing is lost, or begun."""

import signal
import subprocess
import sys
from pathlib import Path

import filelock
import pytest

from scenelet.data.load import load_table
from scenelet.errors import DataError, RunError, UsageError
from scenelet.experiments.reproduce import reproduce
from scenelet.experiments.results import TrialResult
from scenelet.experiments.store import Store, Trial, make_trial
from scenelet.experiments.systems import SystemTable
from scenelet.training.run_record import DataRecord

KILL = """
import os, signal, sys
from scenelet.cli import main
from scenelet.training.module import SceneModule
from scenelet.experiments import store
from scenelet.training.compression import build_model

moment = sys.argv.pop(1)
epochs = {"training": 0, "fine-tuning": 0}
work, cleaned = "training", 0
begin, tune, clean = SceneModule.on_train_epoch_start, build_model.compress_network, store.Store.clean_up

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
    compressed = tune(*arguments, **settings)
    work = "training"
    return compressed

def on_clean_up(self, cell):
    global cleaned
    cleaned += 1
    if moment == f"clean-up {cleaned}":
        die()
    clean(self, cell)

SceneModule.on_train_epoch_start = on_epoch
build_model.compress_network = on_tune
store.Store.clean_up = on_clean_up
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


def test_a_grid_killed_three_times_ends_the_same(tone_set: Path, recipe: str, tmp_path: Path) -> None:
    """In the second epoch of a training, between a cell's result and its clean-up, and in a fine-tuning."""
    (tmp_path / "mine.toml").write_text(SYSTEMS)
    arguments = ["reproduce", str(tmp_path / "mine.toml"), str(tone_set), "--recipe", recipe, "--fold", "1", "--out"]

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
    for name in ("mine-tiny-fold1.md", "mine-tiny-fold1.json", "mine-tiny-fold1.png"):
        assert (killed / name).read_bytes() == (tmp_path / "undisturbed" / name).read_bytes()
    assert not list((killed / "tuning").iterdir())


def test_a_training_that_diverges_does_not_stop_the_others(
    tone_set: Path, recipe: str, tmp_path: Path, two_rows: SystemTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    compute = Store.compute

    def one_fails(self: Store, cell: Trial, description: str) -> TrialResult:
        if cell.row == "CP-ResNet(ch64)":
            raise RunError("epoch 2: training diverged")
        return compute(self, cell, description)

    monkeypatch.setattr(Store, "compute", one_fails)
    with pytest.raises(RunError, match=r"1 of 2 cells failed, the others are finished: CP-ResNet.*, fold 1, seed 0"):
        reproduce("table3", tone_set, tmp_path / "out", recipe=recipe, folds=["1"])
    assert len(list((tmp_path / "out" / "cells").iterdir())) == 1
    damaged = next((tmp_path / "out" / "cells").iterdir())
    damaged.write_bytes(b"")
    with pytest.raises(RunError, match="damaged; delete it"):
        reproduce("table3", tone_set, tmp_path / "out", recipe=recipe, folds=["1"])


def test_a_cell_that_another_process_is_at_is_left_to_it(
    tone_set: Path, recipe: str, tmp_path: Path, two_rows: SystemTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, order = tmp_path / "out", []
    store = Store(out, DataRecord(path=str(tone_set)), load_table(tone_set))
    first = make_trial(two_rows, "CP-ResNet(ch64)", recipe, "1")
    (out / "locks").mkdir(parents=True)
    lock = filelock.FileLock(out / "locks" / store.run_folder(first).name)
    lock.acquire()
    compute = Store.compute

    def release_after_the_other(self: Store, cell: Trial, description: str) -> TrialResult:
        order.append(cell.row)
        lock.release()
        return compute(self, cell, description)

    monkeypatch.setattr(Store, "compute", release_after_the_other)
    reproduce("table3", tone_set, out, recipe=recipe, folds=["1"])
    assert order == ["Shared-ResNet(N=3)", "CP-ResNet(ch64)"]


def test_a_row_that_does_not_fit_is_found_before_any_work(
    tone_set: Path, recipe: str, tmp_path: Path, computed: list[str]
) -> None:
    coarse = tmp_path / "coarse.toml"
    coarse.write_text(Path(recipe).read_text().replace("n_mels = 64", "n_mels = 32"))
    with pytest.raises(UsageError, match=r"S=4 under .*coarse.toml: .* do not split into 4 equal sub-bands"):
        reproduce("ablation", tone_set, tmp_path / "out", recipe=str(coarse), folds=["1"])
    assert not computed
    assert not (tmp_path / "out").exists()


def test_mistakes_are_found_before_any_work(tone_set: Path, recipe: str, tmp_path: Path, computed: list[str]) -> None:
    with pytest.raises(DataError, match="no fold '7'; there are 1 2 3"):
        reproduce("table3", tone_set, tmp_path / "out", recipe=recipe, folds=["7"])
    with pytest.raises(UsageError, match="no recipe is named"):
        reproduce("table3", tone_set, tmp_path / "out", recipe="tinny")
    with pytest.raises(UsageError, match=r"no table is named 'table5'; there are ablation, .*; did you mean 'table"):
        reproduce("table5", tone_set, tmp_path / "out")
    narrow = tmp_path / "narrow.toml"
    narrow.write_text('base = "comparison"\n[network]\nwidth = 8\nrepeats = 3\n')
    with pytest.raises(UsageError, match=r"sets network\.width, which a table's rows decide"):
        reproduce("table3", tone_set, tmp_path / "out", recipe=str(narrow))
    assert not computed
    assert not (tmp_path / "out").exists()
