"""A model of three bands, and recordings of tones in them at known times."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from helpers.band_model import band_model
from scenelet.model.file import write_model

RATE = 8000
TONES_HZ = {"low": 200, "mid": 1000, "high": 3000}


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
