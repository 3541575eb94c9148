"""Functions of an inference package: they agree with the classifier, for each device."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from helpers.scene_models import SCENES, write_scene_model
from scenelet.errors import AudioError, ModelFileError, UsageError
from scenelet.inference.classifier import load
from scenelet.model.file import read_model, write_model
from scenelet.training import inference_package as package

RATE = 44_100


def write_clip(path: Path, seed: int, seconds: float = 1.0, level: float = 0.1) -> str:
    noise = np.random.default_rng(seed).normal(0, level, round(seconds * RATE))
    ramp = 10 ** np.linspace(-seed % 3, 0, len(noise))  # so that clips and windows differ
    soundfile.write(path, noise * ramp, RATE, subtype="FLOAT")
    return str(path)


@pytest.fixture
def clips(tmp_path: Path) -> list[str]:
    return [write_clip(tmp_path / f"{seed}.wav", seed) for seed in range(4)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for seed, name in enumerate(("general", "a", "s1")):
        write_scene_model(tmp_path / "models" / f"{name}.scn", seed, temperature=30.0)
    return tmp_path / "models"


def probabilities(model: Path, clip: str) -> np.ndarray:
    return np.array(list(load(model, threads=1).predict(clip).probabilities.values()))


def test_predict_agrees_with_the_classifier_of_each_device(folder: Path, clips: list[str]) -> None:
    devices = ["s1", "unknown", "a", "s1"]
    logits, classes = package.predict(clips, devices, folder, use_cuda=False)
    assert classes == list(SCENES)
    assert [(row.shape, row.dtype) for row in logits] == [(torch.Size([10]), torch.float32)] * 4
    found = torch.stack(logits).softmax(1).numpy()
    names = ["s1", "general", "a", "s1"]
    expected = np.stack([probabilities(folder / f"{name}.scn", clip) for name, clip in zip(names, clips, strict=True)])
    assert np.abs(found - expected).max() < 2e-6
    assert expected.max() < 0.97
    other = np.stack([probabilities(folder / "general.scn", clip) for clip in clips])
    assert np.abs(other - expected).max(1)[[0, 2, 3]].min() > 1e-3


def test_predict_in_several_batches_keeps_the_order(
    folder: Path, clips: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    devices = ["a", "b", "s1", "a"]
    whole, _ = package.predict(clips, devices, folder, use_cuda=False)
    monkeypatch.setattr(package, "BATCH_CLIPS", 3)
    parts, _ = package.predict(clips, devices, folder, use_cuda=False)
    assert torch.allclose(torch.stack(whole), torch.stack(parts), atol=1e-5)


def test_predict_several_windows_averages_their_probabilities(tmp_path: Path) -> None:
    model = write_scene_model(tmp_path / "half.scn", seconds=0.5, temperature=30.0)
    clip = write_clip(tmp_path / "clip.wav", 2)
    (logits,), _ = package.predict([clip], ["a"], model, use_cuda=False)
    assert np.abs(logits.softmax(0).numpy() - probabilities(model, clip)).max() < 2e-6
    assert package.load_inputs([clip], ["a"], package.load_model(model))[0].shape == (2, 1, 64, 21)


def test_predict_silence_gives_equal_logits(folder: Path, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "silent.wav", 0, level=0.0)
    (logits,), _ = package.predict([clip], ["a"], folder, use_cuda=False)
    assert logits.tolist() == [0.0] * 10


def test_predict_other_number_of_devices_raises(folder: Path, clips: list[str]) -> None:
    with pytest.raises(UsageError, match="4 files and 1 devices"):
        package.predict(clips, ["a"], folder, use_cuda=False)
    with pytest.raises(UsageError, match="4 files and 0 devices"):
        package.load_inputs(clips, [], package.load_model(folder))


def test_predict_missing_clip_raises(folder: Path) -> None:
    with pytest.raises(AudioError, match=r"missing\.wav: no such file"):
        package.predict(["missing.wav"], ["a"], folder, use_cuda=False)


def test_load_model_has_the_networks_of_devices(folder: Path) -> None:
    model = package.load_model(folder)
    assert sorted(model.model.devices) == ["a", "s1"]
    assert package.get_model_for_device(model, "a") is model.model.get_model_for_device("a")
    assert package.get_model_for_device(model, "a") is not model.model.general
    assert package.get_model_for_device(model, "unknown") is model.model.general
    assert {name.split(".")[0] for name in model.model.state_dict()} == {"general", "devices"}


def test_load_inputs_fit_the_network_of_a_device(folder: Path, clips: list[str]) -> None:
    model = package.load_model(folder)
    (x,) = package.load_inputs(clips[:1], ["a"], model)
    logits = package.get_model_for_device(model, "a")(x)
    (expected,), _ = package.predict(clips[:1], ["a"], folder, use_cuda=False)
    assert torch.allclose(logits[0].log_softmax(0), expected, atol=1e-6)


def test_load_model_of_another_network_raises(tmp_path: Path) -> None:
    path = write_scene_model(tmp_path / "m.scn")
    model = read_model(path)
    model.provenance["network"]["width"] = 16
    write_model(model, path)
    with pytest.raises(ModelFileError, match=r"m\.scn: its layers are not those of the network that it names"):
        package.load_model(path)
