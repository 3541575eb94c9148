"""Fine-tuning: exact resumption after an interruption, masks, rounding, and its own weight average."""

import copy
from pathlib import Path

import pytest
import torch

from scenelet.config import RunConfig
from scenelet.config import run_folder as runs
from scenelet.config.recipes import load_recipe
from scenelet.nn import prune
from scenelet.nn.quantize import quantize, round_network
from scenelet.nn.standardize import StandardizedNetwork
from scenelet.training.compression.finetune import masks_by_epoch, prune_and_finetune
from scenelet.training.dataset import Dataset, load_dataset, load_recorded_table
from scenelet.training.module import Masks, SceneModule
from scenelet.training.network import load_network
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


@pytest.fixture
def trained(tone_set: Path, tiny_settings: list[str], tmp_path: Path) -> tuple[RunConfig, StandardizedNetwork, Dataset]:
    """A network before it is pruned, its settings and its data."""
    config = load_recipe("paper_short", [*tiny_settings, *SETTINGS])
    train(tone_set, tmp_path / "run", config, cache_dir=tmp_path / "cache")
    record = runs.read_record(tmp_path / "run")
    dataset = load_dataset(load_recorded_table(record.data), config, tmp_path / "cache", verbose=False)
    return config, load_network(tmp_path / "run", record), dataset


@pytest.mark.parametrize("how", ["plain", "gradual, int4"])
def test_finetune_interrupted_resumes_bit_identically(
    how: str, trained: tuple[RunConfig, StandardizedNetwork, Dataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, trained_network, dataset = trained
    if how != "plain":
        changes = {"ramp_fraction": 0.75, "dtype": "int4"}
        config = config.model_copy(update={"prune": config.prune.model_copy(update=changes)})
    masks: Masks = {}

    def tuned(folder: Path | None) -> dict[str, torch.Tensor]:
        nonlocal masks
        network = copy.deepcopy(trained_network)
        masks, _ = prune_and_finetune(network, dataset, config, folder, verbose=False)
        round_network(network, "fp16" if how == "plain" else "int4")
        return dict(network.state_dict())

    undisturbed = tuned(None)
    start_epoch, started = SceneModule.on_train_epoch_start, []

    def interrupt_once(self: SceneModule) -> None:
        started.append(self.current_epoch)
        if len(started) == 3:
            raise ConnectionAbortedError
        start_epoch(self)

    monkeypatch.setattr(SceneModule, "on_train_epoch_start", interrupt_once)
    with pytest.raises(ConnectionAbortedError):
        tuned(tmp_path / "tuning")
    resumed = tuned(tmp_path / "tuning")
    assert started == [0, 1, 2, 2, 3]
    assert all(torch.equal(resumed[name], value) for name, value in undisturbed.items())
    after_the_end = tuned(tmp_path / "tuning")  # as if killed after its last checkpoint
    assert started == [0, 1, 2, 2, 3]
    assert all(torch.equal(after_the_end[name], value) for name, value in undisturbed.items())
    before = trained_network.state_dict()
    assert any(not torch.equal(resumed[name], before[name] * mask) for name, mask in masks.items())
    assert all(torch.equal(resumed[name], resumed[name] * mask) for name, mask in masks.items())
    density = sum(float(mask.sum()) for mask in masks.values()) / sum(mask.numel() for mask in masks.values())
    assert density == pytest.approx(0.5, abs=1e-3)
    on_grid = all(torch.equal(resumed[name], quantize(resumed[name], 7)) for name in masks)
    assert on_grid == (how != "plain")


def test_finetune_average_ignores_the_one_of_training(
    trained: tuple[RunConfig, StandardizedNetwork, Dataset], tiny_settings: list[str]
) -> None:
    """The settings of the average of training have no effect on fine-tuning."""
    _, trained_network, dataset = trained

    def tuned(*settings: str) -> dict[str, torch.Tensor]:
        network = copy.deepcopy(trained_network)
        changed = load_recipe("paper_short", [*tiny_settings, *SETTINGS, *settings])
        prune_and_finetune(network, dataset, changed, verbose=False)
        return dict(network.state_dict())

    last = tuned("prune.ema_epochs=0", "schedule.ema_epochs=0")
    also_last = tuned("prune.ema_epochs=0", "schedule.ema_epochs=40")
    averaged = tuned("prune.ema_epochs=40", "schedule.ema_epochs=0")
    assert all(torch.equal(also_last[name], value) for name, value in last.items())
    assert any(not torch.equal(averaged[name], value) for name, value in last.items())


def test_masks_by_epoch_sparsity_rises_and_then_stays(
    trained: tuple[RunConfig, StandardizedNetwork, Dataset],
) -> None:
    config, trained_network, _ = trained
    settings = config.prune.model_copy(update={"sparsity": 0.8, "ramp_fraction": 0.5, "epochs": 8})
    masks_of = masks_by_epoch(trained_network, settings)
    network, sparsities = copy.deepcopy(trained_network), []
    for epoch in range(8):
        masks = masks_of(network, epoch)
        prune.apply_masks(network, masks)
        left = sum(float(mask.sum()) for mask in masks.values()) / sum(mask.numel() for mask in masks.values())
        sparsities.append(1 - left)
    expected = [0.8 * (1 - (1 - step / 4) ** 3) for step in (1, 2, 3, 4)]
    assert sparsities[:4] == pytest.approx(expected, abs=1e-3)
    assert sparsities[4:] == pytest.approx([0.8] * 4, abs=1e-3)
    before = {name: mask.clone() for name, mask in masks.items()}
    assert all(torch.equal(mask, before[name]) for name, mask in masks_of(network, 7).items())


def test_finetune_without_epochs_only_prunes(trained: tuple[RunConfig, StandardizedNetwork, Dataset]) -> None:
    config, trained_network, dataset = trained
    settings = config.prune.model_copy(update={"epochs": 0, "dtype": "int8"})
    network = copy.deepcopy(trained_network)
    masks, minutes = prune_and_finetune(network, dataset, config.model_copy(update={"prune": settings}), verbose=False)
    assert minutes == 0
    for name, mask in masks.items():
        assert torch.equal(network.get_parameter(name), trained_network.get_parameter(name) * mask)
