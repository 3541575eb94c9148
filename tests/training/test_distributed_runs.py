"""Runs of two processes end as runs of one, also if they resume with another number; errors end all of them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from helpers import two_processes
from scenelet.config import RunConfig
from scenelet.config import run_folder as runs
from scenelet.config.recipes import load_recipe
from scenelet.nn import registry
from scenelet.training.compression.compress import compress
from scenelet.training.module import SceneModule
from scenelet.training.train import train

pytestmark = pytest.mark.slow  # each test trains in two processes

WEIGHT_TOLERANCE = 2e-5
"""Maximum distance of all weights and statistics, relative to their norm, as fp32 sums have another order."""
HISTORY_TOLERANCES = {
    "loss": 1e-5,
    "rate": 0,
    "validation_accuracy": 0,
    "validation_macro_accuracy": 0,
    "validation_log_loss": 1e-3,  # one device differs as much from itself without the compiled norms
}


@pytest.fixture(scope="module", autouse=True)
def known_network() -> Iterator[None]:
    """Register the network for this file, so that others still see only ours."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(vars(registry)["_BUILDERS"], two_processes.NETWORK, two_processes.WithoutNorms)
        yield


@pytest.fixture(scope="module")
def settings(tiny_settings: list[str]) -> list[str]:
    # 12 training clips: batches of 7 and 5, which two devices cannot divide evenly
    more = [
        "schedule.batch_size=7",
        "schedule.epochs=4",
        "schedule.learning_rate=1e-4",
        "split.validation_fraction=0.25",
    ]
    network = f"network.name={two_processes.NETWORK}"
    own = [setting for setting in tiny_settings if not setting.startswith("network.")]
    return [*own, *more, network, 'split.fold="1"', "checkpoint=validation", "prune.epochs=1"]


def command(*arguments: str | Path, **variables: str) -> Any:
    """Run `two_processes.py train`. Lightning starts the same command again for the other process."""
    environment = {
        name: value for name, value in os.environ.items() if name not in ("LOCAL_RANK", "RANK", "WORLD_SIZE")
    }
    words = [sys.executable, two_processes.__file__, "train", *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, timeout=240, env={**environment, **variables})


def options(settings: list[str]) -> list[str]:
    return ["--recipe", "paper_short", *(part for setting in settings for part in ("--set", setting))]


def check_same_run(run: Path, expected: Path) -> None:
    """Check that the folder is complete and holds the same run within the tolerances."""
    for name in ("curves.png", "checkpoints/last.ckpt", "checkpoints/best.ckpt", "logs/csv/version_0/metrics.csv"):
        assert (run / name).stat().st_size > 0
    assert not list(run.rglob("*.part"))
    assert (run / "split.csv").read_bytes() == (expected / "split.csv").read_bytes()
    assert runs.read_record(run).train_counts == runs.read_record(expected).train_counts
    found, wanted = runs.read_metrics(run), runs.read_metrics(expected)
    assert len(found["history"]) == len(wanted["history"]) == 4
    for row, reference in zip(found["history"], wanted["history"], strict=True):
        for figure, tolerance in HISTORY_TOLERANCES.items():
            assert row[figure] == pytest.approx(reference[figure], rel=tolerance), (row["epoch"], figure)
    assert found["test"]["log_loss"] == pytest.approx(wanted["test"]["log_loss"], rel=1e-3)
    weights, others = (torch.load(folder / "model.pt", weights_only=True) for folder in (run, expected))
    squares = [((weights[name] - others[name]).double() ** 2).sum() for name in others]
    lengths = [(value.double() ** 2).sum() for value in others.values()]
    assert float(sum(squares) / sum(lengths)) ** 0.5 < WEIGHT_TOLERANCE


@pytest.fixture(scope="module")
def config(settings: list[str]) -> RunConfig:
    return load_recipe("paper_short", settings)


@pytest.fixture(scope="module")
def single_device_run(tone_set: Path, config: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("one") / "run"
    train(tone_set, run, config, recipe="paper_short")
    return run


def test_train_on_two_devices_equals_one_device(
    tone_set: Path, settings: list[str], config: RunConfig, tmp_path: Path
) -> None:
    plain = ["mixing.combine=none", "augment.time_roll=0", "augment.gain_db=0"]
    train(tone_set, tmp_path / "one", load_recipe("paper_short", [*settings, *plain]), recipe="paper_short")
    ran = command(
        tone_set, "--out", tmp_path / "two", *options([*settings, *plain, "trainer.devices=2"]), "--format", "json"
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count('"history"') == 1
    assert ran.stderr.count("on 2 devices") == ran.stderr.count("epoch 4 of 4") == 1
    assert "Initializing" not in ran.stderr
    check_same_run(tmp_path / "two", tmp_path / "one")
    assert runs.read_record(tmp_path / "two").config.trainer.devices == 2
    assert compress(tmp_path / "two", tmp_path / "m.scn")["bytes"] > 0  # on one device


def test_run_of_two_devices_resumes_on_one(
    tone_set: Path, settings: list[str], config: RunConfig, single_device_run: Path, tmp_path: Path
) -> None:
    arguments = (tone_set, "--out", tmp_path / "run", *options([*settings, "trainer.devices=2"]))
    ran = command(*arguments, CUT_AT="2")
    assert ran.returncode == 1
    assert ran.stderr.splitlines()[-1] == "error: cut"
    assert ran.stderr.count("error: ") == 1, ran.stderr
    assert "Traceback" not in ran.stderr
    train(tone_set, tmp_path / "run", config, resume=True)
    check_same_run(tmp_path / "run", single_device_run)


def test_run_of_one_device_resumes_on_two(
    tone_set: Path, config: RunConfig, single_device_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(SceneModule, "on_train_epoch_start", SceneModule.on_train_epoch_start)
        two_processes.cut_at(2)
        with pytest.raises(two_processes.CutError):
            train(tone_set, tmp_path / "run", config, recipe="paper_short")
    ran = command(tone_set, "--out", tmp_path / "run", "--resume", "--set", "trainer.devices=2")
    assert ran.returncode == 0, ran.stderr
    assert "resuming after epoch 2 of 4" in ran.stderr
    check_same_run(tmp_path / "run", single_device_run)


def test_processes_that_see_other_sound_end_with_one_error(tone_set: Path, settings: list[str], tmp_path: Path) -> None:
    arguments = (tone_set, "--out", tmp_path / "run", *options([*settings, "trainer.devices=2"]))
    ran = command(*arguments, OTHER_SOUND="1")
    assert ran.returncode == 2
    assert ran.stderr.splitlines()[-1].startswith("error: process 1 of 2 sees other recordings or settings than")
    assert "Traceback" not in ran.stderr
