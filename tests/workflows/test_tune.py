"""Fine-tuning: cut off, it ends as if it had not been, and it has an average of its own."""

import copy
from pathlib import Path

import pytest
import torch

from scenelet.compression import prune
from scenelet.config import RunConfig
from scenelet.nn.standardise import Standardised
from scenelet.recipes import load_recipe
from scenelet.training import run as runs
from scenelet.training.module import SceneModule
from scenelet.workflows.fit import fit
from scenelet.workflows.sides import Sides, load_sides
from scenelet.workflows.tune import fine_tune

SETTINGS = [
    "schedule.epochs=2",
    "prune.epochs=4",
    "prune.average_epochs=2",
    "prune.distil=0.5",
    "mixing.time_stretch=0.1",
    'split.fold="1"',
]


@pytest.fixture
def trained(tone_set: Path, tiny_settings: list[str], tmp_path: Path) -> tuple[RunConfig, Standardised, Sides]:
    """A network before it is pruned, its settings and its data."""
    config = load_recipe("fast", [*tiny_settings, *SETTINGS])
    fit(tone_set, tmp_path / "run", config, cache_dir=tmp_path / "cache")
    record = runs.read_record(tmp_path / "run")
    sides = load_sides(record.data, config, tmp_path / "cache", talk=False)
    return config, runs.load_network(tmp_path / "run", record), sides


def test_a_distilled_and_averaged_fine_tuning_goes_on_where_it_was_cut(
    trained: tuple[RunConfig, Standardised, Sides], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, whole, sides = trained
    masks = prune.global_l1_masks(whole, 0.5)

    def tuned(folder: Path | None) -> dict[str, torch.Tensor]:
        network = copy.deepcopy(whole)
        prune.apply_masks(network, masks)
        fine_tune(network, sides, config, masks, whole, folder, talk=False)
        return dict(network.state_dict())

    undisturbed = tuned(None)
    begin, begun = SceneModule.on_train_epoch_start, []

    def cut_once(self: SceneModule) -> None:
        begun.append(self.current_epoch)
        if len(begun) == 3:
            raise ConnectionAbortedError
        begin(self)

    monkeypatch.setattr(SceneModule, "on_train_epoch_start", cut_once)
    with pytest.raises(ConnectionAbortedError):
        tuned(tmp_path / "tuning")
    resumed = tuned(tmp_path / "tuning")
    assert begun == [0, 1, 2, 2, 3]
    assert all(torch.equal(resumed[name], value) for name, value in undisturbed.items())
    before = whole.state_dict()
    assert any(not torch.equal(resumed[name], before[name] * mask) for name, mask in masks.items())
    assert all(torch.equal(resumed[name], resumed[name] * mask) for name, mask in masks.items())


def test_a_long_average_of_training_is_not_one_of_fine_tuning(
    trained: tuple[RunConfig, Standardised, Sides], tiny_settings: list[str]
) -> None:
    """Fine-tuning has an average of its own, and training's does not reach it."""
    _, whole, sides = trained

    def tuned(*settings: str) -> dict[str, torch.Tensor]:
        network = copy.deepcopy(whole)
        changed = load_recipe("fast", [*tiny_settings, *SETTINGS, *settings])
        fine_tune(network, sides, changed, {}, whole, talk=False)
        return dict(network.state_dict())

    last = tuned("prune.average_epochs=0", "schedule.average_epochs=0")
    also_last = tuned("prune.average_epochs=0", "schedule.average_epochs=40")
    averaged = tuned("prune.average_epochs=40", "schedule.average_epochs=0")
    assert all(torch.equal(also_last[name], value) for name, value in last.items())
    assert any(not torch.equal(averaged[name], value) for name, value in last.items())
