"""A model that hears which third of the spectrum is loudest, and recordings of tones at known times."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from helpers.tiny_model import changed, tiny_model
from scenelet.model.file import write_model
from scenelet.model.ops import INPUT, OUTPUT, Flatten, Linear, Softmax
from scenelet.model.scene_model import SceneModel

RATE = 8000
TONES_HZ = {"low": 200, "mid": 1000, "high": 3000}
NODES = (
    Flatten(input=INPUT, output="flat"),
    Linear(input="flat", output="logits", weight="dense", bias="bias"),
    Softmax(input="logits", output=OUTPUT),
)


def band_model() -> SceneModel:
    """Build a model whose logits are a tenth of the mean level, in dB, of a third of the bands."""
    weights = np.zeros((3, 2, 16, 13), np.float32)
    for label, bands in enumerate((slice(0, 5), slice(5, 11), slice(11, 16))):
        weights[label, 0, bands] = 0.1 / weights[label, 0, bands].size
    arrays = {"dense": weights.reshape(3, -1), "bias": np.zeros(3, np.float32)}
    encodings = dict.fromkeys(arrays, "fp32")
    return changed(tiny_model(), labels=tuple(TONES_HZ), nodes=NODES, arrays=arrays, encodings=encodings)


@pytest.fixture
def model(tmp_path: Path) -> str:
    write_model(band_model(), tmp_path / "bands.scn")
    return str(tmp_path / "bands.scn")


@pytest.fixture
def write_tones() -> Callable[..., Path]:
    """Write tones of 1 s each; "" is a second of silence."""

    def write(path: Path, *tones: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        seconds = np.arange(RATE) / RATE
        parts = [0.3 * np.sin(2 * np.pi * TONES_HZ[tone] * seconds) if tone else np.zeros(RATE) for tone in tones]
        with path.open("wb") as file:  # libsndfile takes only names in UTF-8
            format = {".flac": "FLAC"}.get(path.suffix, "WAV")
            soundfile.write(file, np.concatenate(parts), RATE, subtype="PCM_16", format=format)
        return path

    return write


@pytest.fixture
def recordings(tmp_path: Path, write_tones: Callable[..., Path]) -> list[Path]:
    """Three recordings of 4 s; the third is in another folder, and its name has no time."""
    return [
        write_tones(tmp_path / "sd" / "20240501_053000.wav", "low", "mid", "mid", "high"),
        write_tones(tmp_path / "sd" / "20240501_060000.wav", "", "low", "", ""),
        write_tones(tmp_path / "sd" / "more" / "garden.flac", "high", "high", "low", "mid"),
    ]
