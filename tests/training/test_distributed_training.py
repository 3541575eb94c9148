"""Training on two devices (gloo, on the CPU) is training on one: batches, whole runs, going on elsewhere."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from helpers import interrupted_training as cut_training
from scenelet.config import RunConfig
from scenelet.config import run_folder as runs
from scenelet.config.recipes import load_recipe
from scenelet.data.feature_cache import ClipFeatures
from scenelet.training.augment import RandomGain, TimeRoll
from scenelet.training.batches import EpochBatches, LabelledFeatures
from scenelet.training.compression.compress import compress
from scenelet.training.mixing import Mixer, build_mixer
from scenelet.training.module import SceneModule
from scenelet.training.ranks import Rank
from scenelet.training.train import train

WEIGHTS = 2e-5
"""Distance of all weights and statistics, relative to their length: sums of fp32 in another order, through Adam."""
FIGURES = {
    "loss": 1e-5,
    "rate": 0,
    "validation_accuracy": 0,
    "validation_macro_accuracy": 0,
    "validation_log_loss": 1e-3,  # as far as one device is from itself without the compiled norms
}
"""Of the history, and how far they may be off."""


def epoch(clips: int, size: int, mixer: Mixer, rank: Rank) -> EpochBatches:
    values = np.random.default_rng(0).standard_normal((clips, 1, 4, 6)).astype(np.float16)
    features = ClipFeatures(values, np.arange(clips), np.ones(clips, np.int64))
    return EpochBatches(
        LabelledFeatures(features, np.arange(clips) % 3, 3), size, [TimeRoll(2), RandomGain(3)], mixer, 1, 2, rank
    )


@pytest.mark.parametrize("mode", ["none", "one_of", "all"])
@pytest.mark.parametrize(("clips", "size", "world_size"), [(23, 8, 2), (23, 8, 3), (20, 5, 2), (18, 7, 4)])
def test_the_shares_of_a_batch_are_the_batch(mode: str, clips: int, size: int, world_size: int) -> None:
    mixer = build_mixer(load_recipe("paper_short", [f"mixing.combine={mode}"]).mixing)
    whole = list(epoch(clips, size, mixer, Rank()))
    shares = [list(epoch(clips, size, mixer, Rank(rank, world_size))) for rank in range(world_size)]
    assert [len(x) for x, _ in whole] == [len(x) for x, _ in whole[: len(shares[0])]]
    for index, (batch, *parts) in enumerate(zip(whole, *shares, strict=True)):
        for at in (0, 1):
            assert torch.equal(torch.cat([part[at] for part in parts]), batch[at])
        sizes = [len(x) for x, _ in parts]
        assert max(sizes) - min(sizes) <= 1
        # the mean over the devices of the weighted means is the mean over the batch
        weights = [epoch(clips, size, mixer, Rank(r, world_size)).weight(index) for r in range(world_size)]
        means = [float(x.double().mean()) for x, _ in parts]
        assert np.mean(np.multiply(weights, means)) == pytest.approx(float(batch[0].double().mean()), rel=1e-12)


def test_a_last_batch_of_fewer_clips_than_devices_is_left_out() -> None:
    mixer = build_mixer(load_recipe("paper_short").mixing)
    assert [len(epoch(18, 8, mixer, Rank(0, world_size))) for world_size in (1, 2, 3)] == [3, 3, 2]
    assert len(list(epoch(18, 8, mixer, Rank(2, 3)))) == 2


def test_dropout_differs_from_device_to_device_and_the_first_draws_as_one_alone() -> None:
    mixer = build_mixer(load_recipe("paper_short").mixing)
    seeds = [epoch(8, 4, mixer, Rank(rank, 3)).dropout_seed() for rank in range(3)]
    assert len(set(seeds)) == 3
    assert seeds[0] == epoch(8, 4, mixer, Rank()).dropout_seed()


def test_the_average_waits_for_no_gradients() -> None:
    schedule = load_recipe("paper_short", ["schedule.ema_epochs=1"]).schedule
    mixer = build_mixer(load_recipe("paper_short").mixing)
    module = SceneModule(
        torch.nn.Linear(2, 2), torch.nn.CrossEntropyLoss(), schedule, lambda _: epoch(8, 4, mixer, Rank())
    )
    assert [p.requires_grad for p in module.averaged.parameters()] == [False, False]


@pytest.fixture(scope="module")
def settings(tiny_settings: list[str]) -> list[str]:
    # 12 clips for training: batches of 7 and 5, of which no device gets the same as the other
    more = [
        "schedule.batch_size=7",
        "schedule.epochs=4",
        "schedule.learning_rate=1e-4",
        "split.validation_fraction=0.25",
    ]
    return [*tiny_settings, *more, 'split.fold="1"', "select=validation", "prune.epochs=1"]


def command(*arguments: str | Path, program: tuple[str, ...] = ("-m", "scenelet"), **variables: str) -> Any:
    """Run it; Lightning starts the same one again for the other device."""
    kept = {name: value for name, value in os.environ.items() if name not in ("LOCAL_RANK", "RANK", "WORLD_SIZE")}
    ran = [sys.executable, *program, "train", *map(str, arguments)]
    return subprocess.run(ran, capture_output=True, text=True, timeout=240, env={**kept, **variables})


def changes(settings: list[str]) -> list[str]:
    return [part for setting in settings for part in ("--set", setting)]


def require_same(run: Path, expected: Path) -> None:
    """The folder is complete, and holds the same run within the tolerance."""
    for name in ("curves.png", "checkpoints/last.ckpt", "checkpoints/best.ckpt", "logs/csv/version_0/metrics.csv"):
        assert (run / name).stat().st_size > 0
    assert not list(run.rglob("*.part"))
    assert (run / "split.csv").read_bytes() == (expected / "split.csv").read_bytes()
    assert runs.read_record(run).train_counts == runs.read_record(expected).train_counts
    found, wanted = runs.read_metrics(run), runs.read_metrics(expected)
    assert len(found["history"]) == len(wanted["history"]) == 4
    for row, reference in zip(found["history"], wanted["history"], strict=True):
        for figure, tolerance in FIGURES.items():
            assert row[figure] == pytest.approx(reference[figure], rel=tolerance), (row["epoch"], figure)
    assert found["test"]["log_loss"] == pytest.approx(wanted["test"]["log_loss"], rel=1e-3)
    weights, others = (torch.load(folder / "model.pt", weights_only=True) for folder in (run, expected))
    squares = [((weights[name] - others[name]).double() ** 2).sum() for name in others]
    lengths = [(value.double() ** 2).sum() for value in others.values()]
    assert float(sum(squares) / sum(lengths)) ** 0.5 < WEIGHTS


@pytest.fixture(scope="module")
def config(settings: list[str]) -> RunConfig:
    return load_recipe("paper_short", settings)


@pytest.fixture(scope="module")
def undisturbed(tone_set: Path, config: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("one") / "run"
    train(tone_set, run, config, recipe="paper_short", verbose=False)
    return run


def test_two_devices_train_what_one_trains_without_mixing(
    tone_set: Path, settings: list[str], config: RunConfig, tmp_path: Path
) -> None:
    plain = ["mixing.combine=none", "augment.time_roll=0", "augment.gain_db=0"]
    train(tone_set, tmp_path / "one", load_recipe("paper_short", [*settings, *plain]), recipe="paper_short", verbose=False)
    ran = command(
        tone_set, "--out", tmp_path / "two", *changes([*settings, *plain, "trainer.devices=2"]), "--format", "json"
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count('"history"') == 1
    assert ran.stderr.count("on 2 devices") == ran.stderr.count("epoch 4 of 4") == 1
    assert "Initializing" not in ran.stderr
    require_same(tmp_path / "two", tmp_path / "one")
    assert runs.read_record(tmp_path / "two").config.trainer.devices == 2
    assert compress(tmp_path / "two", tmp_path / "m.scn")["bytes"] > 0  # on one device


def test_a_run_begun_on_two_devices_goes_on_with_one(
    tone_set: Path, settings: list[str], config: RunConfig, undisturbed: Path, tmp_path: Path
) -> None:
    program = (cut_training.__file__,)
    arguments = (tone_set, "--out", tmp_path / "run", *changes([*settings, "trainer.devices=2"]))
    ran = command(*arguments, program=program, CUT_AT="2")
    assert ran.returncode == 1
    assert ran.stderr.splitlines()[-1] == "error: cut"
    assert ran.stderr.count("error") == 1
    assert "Traceback" not in ran.stderr
    train(tone_set, tmp_path / "run", config, resume=True, verbose=False)
    require_same(tmp_path / "run", undisturbed)


def test_a_run_begun_on_one_device_goes_on_with_two(
    tone_set: Path, config: RunConfig, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(SceneModule, "on_train_epoch_start", SceneModule.on_train_epoch_start)
        cut_training.cut_at(2)
        with pytest.raises(cut_training.CutError):
            train(tone_set, tmp_path / "run", config, recipe="paper_short", verbose=False)
    ran = command(tone_set, "--out", tmp_path / "run", "--resume", "--set", "trainer.devices=2")
    assert ran.returncode == 0, ran.stderr
    assert "resuming after epoch 2 of 4" in ran.stderr
    require_same(tmp_path / "run", undisturbed)


def test_norms_of_each_device_are_one_network_at_the_end_of_an_epoch(
    tone_set: Path, settings: list[str], undisturbed: Path, tmp_path: Path
) -> None:
    """The first device alone measures the trained network, both together the last epoch's."""
    own = [*settings, "select=last", "schedule.ema_epochs=0", "trainer.devices=2", "trainer.sync_batchnorm=per_device"]
    ran = command(tone_set, "--out", tmp_path / "run", *changes(own))
    assert ran.returncode == 0, ran.stderr
    metrics = runs.read_metrics(tmp_path / "run")
    losses = [row["loss"] for row in metrics["history"]]
    synchronized = [row["loss"] for row in runs.read_metrics(undisturbed)["history"]]
    assert losses != pytest.approx(synchronized, rel=1e-3)
    assert losses == pytest.approx(synchronized, rel=0.5)
    assert metrics["history"][-1]["validation_log_loss"] == pytest.approx(metrics["validation"]["log_loss"], rel=1e-5)
