"""Precision is chosen by what the machine can do; the best epoch is kept, also where a run's folder is moved."""

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
from scenelet.training.loop import native_bf16, run_trainer
from scenelet.training.mixing import NO_MIXING
from scenelet.training.module import SceneModule


@pytest.mark.parametrize(
    ("capabilities", "native"),
    [({"avx512_bf16": True}, True), ({"amx_bf16": True}, True), ({"avx2": True, "avx512_bf16": False}, False)],
)
def test_bf16_only_where_it_is_native(
    capabilities: dict[str, bool], native: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert native_bf16() is native


def test_an_old_pytorch_cannot_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert native_bf16() is False


class Judged(SceneModule):
    """Is cut before epoch `cut`; what validation says of its epochs is made up."""

    macro_accuracies, cut = (0.5, 0.9, 0.2, 0.3), 4

    def on_train_epoch_start(self) -> None:
        if self.current_epoch == self.cut:
            raise RunError("cut")
        super().on_train_epoch_start()


def judged(monkeypatch: pytest.MonkeyPatch, cut: int = 4) -> Judged:
    values = np.random.default_rng(0).standard_normal((8, 1, 2, 3)).astype(np.float16)
    clips = LabelledFeatures(ClipFeatures(values, np.arange(8), np.ones(8, np.int64)), np.arange(8) % 3, 3)
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(6, 3))
    schedule = ScheduleConfig(epochs=4, batch_size=4)
    found = Judged(
        network, nn.CrossEntropyLoss(), schedule, lambda e: EpochBatches(clips, 4, [], NO_MIXING, 0, e), clips
    )
    found.cut = cut

    def summary(*_: object) -> dict[str, float]:
        figure = found.macro_accuracies[found.current_epoch]
        return {"accuracy": figure, "macro_accuracy": figure, "log_loss": 1.0}

    monkeypatch.setattr(modules, "classification_report", summary)
    return found


def test_a_run_that_was_moved_keeps_its_best_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = judged(monkeypatch)
    run_trainer(expected, "fp32", tmp_path / "whole", select_best=True, verbose=False)
    with pytest.raises(RunError, match="cut"):
        run_trainer(judged(monkeypatch, cut=2), "fp32", tmp_path / "run", select_best=True, verbose=False)
    shutil.move(tmp_path / "run", tmp_path / "moved")
    resumed = judged(monkeypatch)
    run_trainer(resumed, "fp32", tmp_path / "moved", resume=True, select_best=True, verbose=False)
    assert [row["validation_macro_accuracy"] for row in resumed.history] == list(Judged.macro_accuracies)
    for name, value in expected.network.state_dict().items():
        assert torch.equal(resumed.network.state_dict()[name], value)
    best = torch.load(tmp_path / "moved" / "checkpoints" / "best.ckpt", weights_only=True)
    assert best["epoch"] == 1
