"""What several devices are refused for, and what the processes exchange besides gradients."""

from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.gloo_ranks import shared_validation, spawn
from scenelet.config import TrainerConfig
from scenelet.config.recipes import load_recipe
from scenelet.errors import UsageError
from scenelet.training.distributed import check_devices
from scenelet.training.estimator import SceneClassifier
from scenelet.training.train import train


def gpus(monkeypatch: pytest.MonkeyPatch, cuda: int, mps: bool = False) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


def test_more_devices_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus(monkeypatch, cuda=2)
    check_devices(TrainerConfig(devices=2))
    with pytest.raises(UsageError, match=r"trainer\.devices is 4, and this machine has 2 GPUs; lower it"):
        check_devices(TrainerConfig(devices=4))


def test_apples_gpu_trains_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus(monkeypatch, cuda=0, mps=True)
    check_devices(TrainerConfig())
    with pytest.raises(UsageError, match=r"MPS.*set it to 1"):
        check_devices(TrainerConfig(devices=2))


def test_without_gpus_any_number_of_processes_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus(monkeypatch, cuda=0)
    check_devices(TrainerConfig(devices=16))


def test_more_devices_than_clips_are_refused(tone_set: Path, tiny_settings: list[str], tmp_path: Path) -> None:
    config = load_recipe("paper_short", [*tiny_settings, "schedule.batch_size=100", "trainer.devices=60"])
    with pytest.raises(UsageError, match="clips to train on are fewer than the 60 devices"):
        train(tone_set, tmp_path / "run", config, verbose=False)
    assert not (tmp_path / "run").exists()


def test_the_estimator_trains_on_one_device(tone_set: Path) -> None:
    clips = sorted(tone_set.parent.glob("*.wav"))
    with pytest.raises(UsageError, match="SceneClassifier trains on one device"):
        SceneClassifier(settings={"trainer.devices": 2}).fit(clips, [clip.name[:3] for clip in clips])


def test_validation_is_shared_out_and_every_process_gets_all_of_it(tmp_path: Path) -> None:
    """Of two clips on three devices one has none."""
    found = spawn(shared_validation, 3, tmp_path)
    for count in (2, 5):
        expected, *others = [results[0][str(count)] for results in found]
        alone = found[0][0][f"{count} alone"]
        assert expected.shape == (count, 3)
        assert np.allclose(expected, alone, atol=1e-6)
        assert all(torch.equal(other, expected) for other in others)
        assert all(float(results[0]["mean"]) == 1 for results in found)
