"""Fine-tuning of pruned networks: resume after an interruption, masks, rounding and its own average."""

import copy
from pathlib import Path

import pytest
import torch

from scenelet.config import PruneConfig, RunConfig
from scenelet.config import run_folder as runs
from scenelet.config.recipes import load_recipe
from scenelet.nn.prune import Masks
from scenelet.nn.quantize import quantize, round_network
from scenelet.nn.standardize import StandardizedNetwork
from scenelet.training.compression import finetune
from scenelet.training.compression.finetune import prune_and_finetune, sparsity_of_epoch
from scenelet.training.dataset import Dataset, load_dataset
from scenelet.training.module import SceneModule
from scenelet.training.network import load_network
from scenelet.training.preflight import load_recorded_table
from scenelet.training.train import train

SETTINGS = [
    "schedule.epochs=2",
    "prune.epochs=4",
    "prune.ema_epochs=2",
    "prune.self_distillation=0.5",
    "prune.sparsity=0.5",
    "augment.time_stretch=0.1",
    'split.fold="1"',
]


@pytest.fixture(scope="module")
def trained(
    tone_set: Path, tiny_settings: list[str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[RunConfig, StandardizedNetwork, Dataset]:
    """Train a network; return its settings, the network before pruning, and its data."""
    folder = tmp_path_factory.mktemp("trained")
    config = load_recipe("paper_short", [*tiny_settings, *SETTINGS])
    train(tone_set, folder / "run", config)
    record = runs.read_record(folder / "run")
    dataset = load_dataset(load_recorded_table(record.data), config)
    return config, load_network(folder / "run", record), dataset


@pytest.mark.parametrize("mode", ["plain", "gradual, int4"])
def test_prune_and_finetune_interrupted_resumes_bit_for_bit(
    mode: str, trained: tuple[RunConfig, StandardizedNetwork, Dataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, dense, dataset = trained
    if mode != "plain":
        changes = {"ramp_fraction": 0.75, "dtype": "int4"}
        config = config.model_copy(update={"prune": config.prune.model_copy(update=changes)})
    masks: Masks = {}

    def finetune(folder: Path | None) -> dict[str, torch.Tensor]:
        nonlocal masks
        network = copy.deepcopy(dense)
        masks, _ = prune_and_finetune(network, dataset, config, folder)
        round_network(network, "fp16" if mode == "plain" else "int4")
        return dict(network.state_dict())

    uninterrupted = finetune(None)
    start_epoch, epochs = SceneModule.on_train_epoch_start, []

    def interrupt_third_epoch(self: SceneModule) -> None:
        epochs.append(self.current_epoch)
        if len(epochs) == 3:
            raise ConnectionAbortedError
        start_epoch(self)

    monkeypatch.setattr(SceneModule, "on_train_epoch_start", interrupt_third_epoch)
    with pytest.raises(ConnectionAbortedError):
        finetune(tmp_path / "tuning")
    resumed = finetune(tmp_path / "tuning")
    assert epochs == [0, 1, 2, 2, 3]
    assert all(torch.equal(resumed[name], value) for name, value in uninterrupted.items())
    after_last_checkpoint = finetune(tmp_path / "tuning")  # as after a kill between last checkpoint and model file
    assert epochs == [0, 1, 2, 2, 3]
    assert all(torch.equal(after_last_checkpoint[name], value) for name, value in uninterrupted.items())
    before = dense.state_dict()
    assert any(not torch.equal(resumed[name], before[name] * mask) for name, mask in masks.items())
    assert all(torch.equal(resumed[name], resumed[name] * mask) for name, mask in masks.items())
    density = sum(int(mask.sum()) for mask in masks.values()) / sum(mask.numel() for mask in masks.values())
    assert density == pytest.approx(0.5, abs=1e-3)
    on_grid = all(torch.equal(resumed[name], quantize(resumed[name], 7)) for name in masks)
    assert on_grid == (mode != "plain")


def test_prune_and_finetune_ignores_the_average_of_training(
    trained: tuple[RunConfig, StandardizedNetwork, Dataset], tiny_settings: list[str]
) -> None:
    """Fine-tune with averages of different lengths: only `prune.ema_epochs` has an effect."""
    _, dense, dataset = trained

    def finetune(*settings: str) -> dict[str, torch.Tensor]:
        network = copy.deepcopy(dense)
        config = load_recipe("paper_short", [*tiny_settings, *SETTINGS, *settings])
        prune_and_finetune(network, dataset, config)
        return dict(network.state_dict())

    last = finetune("prune.ema_epochs=0", "schedule.ema_epochs=0")
    also_last = finetune("prune.ema_epochs=0", "schedule.ema_epochs=40")
    averaged = finetune("prune.ema_epochs=40", "schedule.ema_epochs=0")
    assert all(torch.equal(also_last[name], value) for name, value in last.items())
    assert any(not torch.equal(averaged[name], value) for name, value in last.items())


def test_sparsity_of_epoch_rises_to_the_sparsity_and_stays() -> None:
    settings = PruneConfig(sparsity=0.8, ramp_fraction=0.5, epochs=8)
    expected = [0.8 * (1 - (1 - step / 4) ** 3) for step in (1, 2, 3, 4)]
    assert [sparsity_of_epoch(settings, epoch) for epoch in range(8)] == pytest.approx([*expected, 0.8, 0.8, 0.8, 0.8])
    at_once = PruneConfig(sparsity=0.8, epochs=8)
    assert [sparsity_of_epoch(at_once, epoch) for epoch in range(3)] == [0.8] * 3


@pytest.mark.parametrize(("mixing", "probability"), [("as_trained", 0.5), ("none", 0.0)])
def test_prune_and_finetune_mixes_waveforms_as_it_mixes_log_mel(
    mixing: str,
    probability: float,
    trained: tuple[RunConfig, StandardizedNetwork, Dataset],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config, dense, dataset = trained
    waveform = config.waveform.model_copy(update={"train": True, "mix_probability": 0.5})
    prune = config.prune.model_copy(update={"mixing": mixing})
    used = []

    def record(clips: object, settings: RunConfig, first_epoch: int, members: int) -> None:
        used.append(settings.waveform.mix_probability)
        raise ConnectionAbortedError

    monkeypatch.setattr(finetune, "epoch_batches", record)
    with pytest.raises(ConnectionAbortedError):
        prune_and_finetune(
            copy.deepcopy(dense), dataset, config.model_copy(update={"waveform": waveform, "prune": prune})
        )
    assert used == [probability]


def test_prune_and_finetune_zero_epochs_only_prunes(trained: tuple[RunConfig, StandardizedNetwork, Dataset]) -> None:
    config, dense, dataset = trained
    settings = config.prune.model_copy(update={"epochs": 0, "dtype": "int8"})
    network = copy.deepcopy(dense)
    masks, minutes = prune_and_finetune(network, dataset, config.model_copy(update={"prune": settings}))
    assert minutes == 0
    for name, mask in masks.items():
        assert torch.equal(network.get_parameter(name), dense.get_parameter(name) * mask)
