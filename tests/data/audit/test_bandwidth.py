"""Cutoff detection: noise that was resampled from a lower rate, and sounds without a cutoff."""

from collections.abc import Callable

import numpy as np
import pytest
import soxr

from scenelet.data.audit.bandwidth import MeanSpectrum, apparent_rate

RATE = 44100
SAMPLES = 88200


def _cutoff_hz(samples: np.ndarray) -> float | None:
    spectrum = MeanSpectrum(RATE)
    for block in np.array_split(samples, 3):
        spectrum.push(block.astype(np.float32)[None])
    return spectrum.cutoff_hz()


def _round_to_16_bits(samples: np.ndarray) -> np.ndarray:
    return np.round(samples * 32767) / 32767


def _filter(noise: np.ndarray, gains: np.ndarray) -> np.ndarray:
    return np.fft.irfft(np.fft.rfft(noise) * gains)


@pytest.mark.parametrize("recorded_at", [8000, 11025, 16000, 22050])
def test_cutoff_hz_upsampled_noise_gives_its_rate(rng: np.random.Generator, recorded_at: int) -> None:
    noise = 0.1 * rng.standard_normal(2 * recorded_at)
    cutoff = _cutoff_hz(_round_to_16_bits(soxr.resample(noise, recorded_at, RATE)))
    assert cutoff is not None
    assert 0.94 * recorded_at / 2 < cutoff < 1.02 * recorded_at / 2
    assert apparent_rate(cutoff) == recorded_at


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda noise: noise, id="full band"),
        pytest.param(lambda noise: 1e-3 * noise, id="quiet"),
        pytest.param(lambda noise: _filter(noise, 10 ** (-3 * np.linspace(0, 1, SAMPLES // 2 + 1))), id="falls 60 dB"),
        pytest.param(lambda noise: _filter(noise, np.fft.rfftfreq(SAMPLES, 1 / RATE) < 16000), id="MP3"),
        pytest.param(lambda noise: 0.5 * np.sin(np.arange(SAMPLES) * 0.3), id="tone"),
    ],
)
def test_cutoff_hz_no_abrupt_end_gives_none(
    rng: np.random.Generator, change: Callable[[np.ndarray], np.ndarray]
) -> None:
    noise = 0.1 * rng.standard_normal(SAMPLES)
    assert _cutoff_hz(_round_to_16_bits(change(noise))) is None


def test_cutoff_hz_silent_or_short_sound_gives_none(rng: np.random.Generator) -> None:
    assert _cutoff_hz(np.zeros(SAMPLES)) is None
    assert _cutoff_hz(0.1 * rng.standard_normal(100)) is None
