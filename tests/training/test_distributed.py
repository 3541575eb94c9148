"""Checks of devices, and what the processes exchange besides gradients."""

from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.gloo_ranks import gathered_validation, spawn
from scenelet.config import TrainerConfig
from scenelet.config.recipes import load_recipe
from scenelet.errors import UsageError
from scenelet.training.distributed import check_devices
from scenelet.training.estimator import SceneClassifier
from scenelet.training.train import train


def set_gpus(monkeypatch: pytest.MonkeyPatch, cuda: int, mps: bool = False) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


def test_check_devices_with_too_few_gpus_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    set_gpus(monkeypatch, cuda=2)
    check_devices(TrainerConfig(devices=2))  # must not raise
    with pytest.raises(UsageError, match=r"trainer\.devices is 4, and this machine has 2 GPUs; lower it"):
        check_devices(TrainerConfig(devices=4))


def test_check_devices_with_several_on_mps_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    set_gpus(monkeypatch, cuda=0, mps=True)
    check_devices(TrainerConfig())
    with pytest.raises(UsageError, match=r"MPS.*set it to 1"):
        check_devices(TrainerConfig(devices=2))


def test_check_devices_without_gpus_accepts_any_number(monkeypatch: pytest.MonkeyPatch) -> None:
    set_gpus(monkeypatch, cuda=0)
    check_devices(TrainerConfig(devices=16))  # must not raise


def test_train_with_more_devices_than_clips_raises(tone_set: Path, tiny_settings: list[str], tmp_path: Path) -> None:
    config = load_recipe("paper_short", [*tiny_settings, "schedule.batch_size=100", "trainer.devices=60"])
    with pytest.raises(UsageError, match="training clips are fewer than the 60 devices"):
        train(tone_set, tmp_path / "run", config)
    assert not (tmp_path / "run").exists()


def test_estimator_with_several_devices_raises(tone_set: Path) -> None:
    clips = sorted(tone_set.parent.glob("*.wav"))
    with pytest.raises(UsageError, match="SceneClassifier trains on one device"):
        SceneClassifier(settings={"trainer.devices": 2}).fit(clips, [clip.name[:3] for clip in clips])


@pytest.mark.slow
def test_gather_probabilities_gives_every_process_all_clips(tmp_path: Path) -> None:
    found = spawn(gathered_validation, 3, tmp_path)
    for count in (2, 5):  # of two clips on three devices, one device has none
        expected, *others = [results[0][str(count)] for results in found]
        single = found[0][0][f"{count} single"]
        assert expected.shape == (count, 3)
        assert np.allclose(expected, single, atol=1e-6)
        assert all(torch.equal(other, expected) for other in others)
        assert all(float(results[0]["mean"]) == 1 for results in found)
