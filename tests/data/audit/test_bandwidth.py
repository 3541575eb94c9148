"""Where sound ends: noise made at a rate, brought to another."""

import numpy as np
import pytest
import soxr

from scenelet.data.audit.bandwidth import MeanSpectrum, apparent_rate


def _top(samples: np.ndarray, rate: int) -> float | None:
    spectrum = MeanSpectrum(rate)
    for block in np.array_split(samples, 3):
        spectrum.push(block.astype(np.float32)[None])
    return spectrum.cutoff_hz()


def _in_16_bits(samples: np.ndarray) -> np.ndarray:
    return np.round(samples * 32767) / 32767


@pytest.mark.parametrize("made_at", [8000, 11025, 16000, 22050])
def test_the_rate_it_was_made_at_is_seen(rng: np.random.Generator, made_at: int) -> None:
    noise = 0.1 * rng.standard_normal(2 * made_at)
    top = _top(_in_16_bits(soxr.resample(noise, made_at, 44100)), 44100)
    assert top is not None
    assert 0.94 * made_at / 2 < top < 1.02 * made_at / 2
    assert apparent_rate(top) == made_at


def test_what_is_not_cut_is_left_alone(rng: np.random.Generator) -> None:
    noise = 0.1 * rng.standard_normal(88200)
    assert _top(_in_16_bits(noise), 44100) is None
    quiet = 1e-4 * rng.standard_normal(88200)
    assert _top(_in_16_bits(quiet), 44100) is None
    spectrum = np.fft.rfft(noise)
    falling = np.fft.irfft(spectrum * 10 ** (-60 / 20 * np.linspace(0, 1, len(spectrum))))  # 60 dB, gradually
    assert _top(_in_16_bits(falling), 44100) is None
    like_mp3 = np.fft.irfft(spectrum * (np.fft.rfftfreq(88200, 1 / 44100) < 16000))
    assert _top(_in_16_bits(like_mp3), 44100) is None
    assert _top(_in_16_bits(0.5 * np.sin(np.arange(88200) * 0.3)), 44100) is None  # a line is no edge
    assert _top(np.zeros(88200), 44100) is None
    assert _top(noise[:100], 44100) is None
