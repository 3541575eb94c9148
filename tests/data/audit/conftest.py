"""Fixtures of the audit tests: noise, and clips of noise or of given samples."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from scenelet.data.clips import Clip

RATE = 8000


@pytest.fixture
def noise(rng: np.random.Generator) -> Callable[..., np.ndarray]:
    """Function that returns uniform noise (n,) at 8 kHz."""

    def make(seconds: float = 1.0, peak: float = 0.5) -> np.ndarray:
        samples = rng.uniform(-1, 1, round(seconds * RATE))
        return peak * samples / np.abs(samples).max()

    return make


@pytest.fixture
def make_clip(tmp_path: Path, rng: np.random.Generator) -> Callable[..., Clip]:
    """Function that writes a recording of samples (n,) or (n, channels), else of 2 s of noise, and returns its clip."""

    def make(
        name: str,
        label: str = "x",
        samples: np.ndarray | None = None,
        rate: int = RATE,
        *,
        group: str | None = None,
        fold: str | None = None,
        split: str | None = None,
        subtype: str | None = None,
    ) -> Clip:
        sound = 0.1 * rng.standard_normal(2 * rate) if samples is None else samples
        soundfile.write(tmp_path / name, sound, rate, subtype=subtype)
        return Clip(tmp_path / name, name, label, group or name, fold, split)

    return make
