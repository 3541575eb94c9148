"""Choice of the best epoch, also after the run folder was moved."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from scenelet.config import ScheduleConfig
from scenelet.data.feature_cache import ClipFeatures
from scenelet.errors import RunError
from scenelet.training import module as modules
from scenelet.training.batches import EpochBatches, LabelledFeatures
from scenelet.training.loop import run_trainer
from scenelet.training.mixing import NO_MIXING
from scenelet.training.module import SceneModule


class ScriptedModule(SceneModule):
    """Module with given validation accuracies that fails before epoch `fails_at`."""

    macro_accuracies, fails_at = (0.5, 0.9, 0.2, 0.3), 4

    def on_train_epoch_start(self) -> None:
        if self.current_epoch == self.fails_at:
            raise RunError("interrupted")
        super().on_train_epoch_start()


def scripted_module(monkeypatch: pytest.MonkeyPatch, fails_at: int = 4) -> ScriptedModule:
    values = np.random.default_rng(0).standard_normal((8, 1, 2, 3)).astype(np.float16)
    clips = LabelledFeatures(ClipFeatures(values, np.arange(8), np.ones(8, np.int64)), np.arange(8) % 3, 3)
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(6, 3))
    schedule = ScheduleConfig(epochs=4, batch_size=4)
    module = ScriptedModule(
        network, nn.CrossEntropyLoss(), schedule, lambda e: EpochBatches(clips, 4, [], NO_MIXING, 0, e), clips
    )
    module.fails_at = fails_at

    def scripted_report(*_: object) -> dict[str, float]:
        accuracy = module.macro_accuracies[module.current_epoch]
        return {"accuracy": accuracy, "macro_accuracy": accuracy, "log_loss": 1.0}

    monkeypatch.setattr(modules, "classification_report", scripted_report)
    return module


def test_run_trainer_in_a_moved_folder_keeps_the_best_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = scripted_module(monkeypatch)
    run_trainer(expected, "fp32", tmp_path / "uninterrupted", select_best=True)
    with pytest.raises(RunError, match="interrupted"):
        run_trainer(scripted_module(monkeypatch, fails_at=2), "fp32", tmp_path / "run", select_best=True)
    shutil.move(tmp_path / "run", tmp_path / "moved")
    resumed = scripted_module(monkeypatch)
    run_trainer(resumed, "fp32", tmp_path / "moved", resume=True, select_best=True)
    assert [row["validation_macro_accuracy"] for row in resumed.history] == list(ScriptedModule.macro_accuracies)
    for name, value in expected.network.state_dict().items():
        assert torch.equal(resumed.network.state_dict()[name], value)
    best = torch.load(tmp_path / "moved" / "checkpoints" / "best.ckpt", weights_only=True)
    assert best["epoch"] == 1
