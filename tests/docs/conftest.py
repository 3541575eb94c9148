"""Fixtures for the documentation tests: a folder with the model and recordings that the examples name."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from helpers.doc_pages import ROOT
from helpers.small_examples.sitecustomize import with_changes
from scenelet.cli import main
from scenelet.config import recipes
from scenelet.model import pretrained
from scenelet.training import estimator

sys.path.insert(0, str(ROOT / "docs" / "_ext"))  # what the site is built with


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to an empty folder, in which the examples run."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def examples(folder: Path) -> Path:
    """Copy the built-in model and its recording into the folder, under the names that the pages use."""
    model, recording = pretrained.built_in("esc10"), pretrained.example("esc10")
    assert model is not None
    assert recording is not None
    shutil.copy(model, folder / "model.scn")
    samples, sample_rate = soundfile.read(recording)
    for name in ("recording.wav", "new.wav"):
        soundfile.write(folder / name, samples[: 5 * sample_rate], sample_rate, subtype="FLOAT")
    (folder / "more").mkdir()
    shutil.copy(folder / "new.wav", folder / "more" / "a.wav")
    return folder


@pytest.fixture
def recordings(folder: Path) -> Path:
    """Write `recordings/<class>/<group>/`: tones in noise that a tiny network learns at once."""
    rng = np.random.default_rng(7)
    t = np.arange(4800) / 8000
    for label, location, hz in (("rain", "balcony", 300), ("sea", "beach", 2500)):
        for number in range(5):
            group = folder / "recordings" / label / f"{location}{number}"
            group.mkdir(parents=True)
            for clip in range(2):
                sound = 0.3 * np.sin(2 * np.pi * (hz + 20 * number) * t) + 0.02 * rng.standard_normal(len(t))
                soundfile.write(group / f"{clip}.wav", sound, 8000)
    return folder / "recordings"


@pytest.fixture
def background(folder: Path) -> None:
    """Write recordings of noise into the folders of background that the page names."""
    rng = np.random.default_rng(8)
    for name in ("garden", "other_nights"):
        (folder / name).mkdir()
        for number in range(5):
            soundfile.write(folder / name / f"{number}.wav", 0.1 * rng.standard_normal(8000), 8000)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[[list[str]], str]:
    """Return a function that runs `scenelet ARGUMENTS`, requires success, and returns stdout."""

    def call(arguments: list[str]) -> str:
        monkeypatch.setattr(sys, "argv", ["scenelet", *arguments])
        with pytest.raises(SystemExit) as caught:
            main()
        out, err = capfd.readouterr()
        assert not caught.value.code, f"scenelet {' '.join(arguments)}: {err}"
        return out

    return call


@pytest.fixture
def small_recipe(tiny_settings: list[str]) -> list[str]:
    """Settings under which any recipe trains in a second or two."""
    # gain_db needs decibels of power, which not every recipe has, and a BC-ResNet needs 40 bands
    small = [
        setting for setting in tiny_settings if not setting.startswith(("augment.gain_db", "features.n_", "network."))
    ]
    return [
        *small,
        "network.width=8",
        "features.n_fft=512",
        "features.n_mels=64",
        "schedule.epochs=2",
        "prune.epochs=1",
    ]


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, small_recipe: list[str]) -> None:
    """Make every recipe train a network of a second, on the command line and in the estimator."""
    small = with_changes(recipes.load_recipe, small_recipe)
    monkeypatch.setattr(recipes, "load_recipe", small)
    monkeypatch.setattr(estimator, "load_recipe", small)
