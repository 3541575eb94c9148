"""Augmentations of waveforms, in NumPy: speed, pitch, mixing at balanced levels, impulse responses and noise.

`x` has the shape (channels, n) and holds float32 samples; full scale is +-1. A function returns a new array.
"""

import numpy as np
import soxr
from numpy.typing import NDArray
from scipy import fft

from scenelet.audio.io import Samples

QUALITY = "MQ"
"""soxr's quality of changes of speed: 16 bits. What would be above half of the sample rate is removed before."""
LEVEL_SECONDS = 0.1
"""Length of the parts of a sound whose loudest one is the sound's level."""
MIN_LEVEL = 1e-8
"""Minimum power of a sound's level, so that silence has one."""
VOCODER_SECONDS = 0.05
"""Length of a frame of the phase vocoder."""


def change_speed(x: Samples, factor: float) -> Samples:
    """Play x `factor` times as fast by resampling: (channels, round(n / factor)). All frequencies rise by the factor.

    >>> change_speed(np.ones((2, 1000), np.float32), 1.25).shape
    (2, 800)
    """
    resampled: Samples = soxr.resample(x.T, factor, 1.0, quality=QUALITY).T
    return resampled


def stretch(x: Samples, factor: float, sample_rate: int) -> Samples:
    """Make x `factor` times as long at the same pitch, by a phase vocoder: (channels, round(n * factor)).

    An output frame has the magnitudes of the input frame at its time. Its phases advance from those of the previous
    output frame as the input's do over one hop (Laroche and Dolson 1999, without phase locking). Frames have a quarter
    of their length as hop, and transients are spread over a frame.
    """
    hop = fft.next_fast_len(max(4, round(VOCODER_SECONDS * sample_rate / 4)), real=True)
    size, length = 4 * hop, round(x.shape[1] * factor)
    count = -(-length // hop) + 3
    centers = (np.arange(count) - 1) * (hop / factor)  # the first frame ends one hop after the first sample
    starts = centers.round().astype(np.int64) + 4 * hop
    padded = np.pad(x, ((0, 0), (6 * hop, size + 4 * hop)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size, axis=1)
    window = np.sin(np.pi * (np.arange(size, dtype=np.float32) + np.float32(0.5)) / size) ** 2
    spectra = fft.rfft(frames[:, starts] * window)
    turns = spectra * fft.rfft(frames[:, starts - hop] * window).conj()
    turns[:, 0] = spectra[:, 0]
    phases = np.multiply.accumulate(_unit(turns), axis=1)
    synthesized = fft.irfft(np.abs(spectra) * _unit(phases), size) * window
    parts = synthesized.reshape(len(x), count, 4, hop)
    summed = sum(parts[:, 3 - part : count - part, part] for part in range(4))
    stretched: Samples = summed.reshape(len(x), -1)[:, :length] / np.float32(1.5)  # the sum of the squared windows
    return stretched


def shift_pitch(x: Samples, semitones: float, sample_rate: int) -> Samples:
    """Change the pitch of x and keep its duration: (channels, n)."""
    factor = 2.0 ** (semitones / 12)
    return fit_length(stretch(change_speed(x, factor), factor, sample_rate), x.shape[1])


def fit_length(x: Samples, n: int) -> Samples:
    """Cut x to n samples, or continue it from its start: (channels, n).

    >>> fit_length(np.float32([[1, 2, 3]]), 5).tolist()
    [[1.0, 2.0, 3.0, 1.0, 2.0]]
    """
    return x[:, :n] if x.shape[1] >= n else np.tile(x, -(-n // x.shape[1]))[:, :n]


def level_db(x: Samples, sample_rate: int) -> float:
    """Return the level of a sound: the maximum power of parts of 0.1 s in dB, at least -80.

    >>> tone = np.sin(np.arange(8000) / 2, dtype=np.float32)[None]
    >>> round(level_db(tone, 8000), 1), round(level_db(0 * tone, 8000), 1)
    (-3.0, -80.0)
    """
    n = x.shape[1]
    size = min(n, max(1, round(LEVEL_SECONDS * sample_rate)))
    power = np.square(x[:, : n // size * size]).reshape(len(x), -1, size).mean(axis=(0, 2))
    return float(10 * np.log10(max(float(power.max()), MIN_LEVEL)))


def mix_between_classes(x: Samples, other: Samples, weight: float, level: float, other_level: float) -> Samples:
    """Mix two sounds so that one is heard with the fraction `weight` (Tokozume, Ushiku and Harada 2018, Eq. 2).

    With r = `weight` and levels G1 and G2 in dB, this is (p x1 + (1 - p) x2) / sqrt(p^2 + (1 - p)^2) with
    p = 1 / (1 + 10^((G1 - G2) / 20) (1 - r) / r). So the levels of both parts are as r to 1 - r. The paper's levels are
    A-weighted, and `level_db` is not. The labels are mixed as r y1 + (1 - r) y2.

    >>> loud, quiet = np.ones((1, 2), np.float32), np.full((1, 2), 0.1, np.float32)
    >>> mix_between_classes(loud, -quiet, 0.5, level=0.0, other_level=-20.0).round(6).tolist()
    [[0.0, 0.0]]
    """
    ratio = 10 ** ((level - other_level) / 20) * (1 - weight)
    p = weight / (weight + ratio)
    norm = np.hypot(p, 1 - p)
    return x * np.float32(p / norm) + other * np.float32((1 - p) / norm)


def response_spectrum(response: NDArray[np.float32], n: int) -> NDArray[np.complex64]:
    """Return the spectrum (bins,) of an impulse response (taps,), for `convolve` with n samples.

    It is scaled to unit energy, so that white noise keeps its level and an impulse leaves a sound as it is.
    """
    size = 2 * fft.next_fast_len(-(-(n + len(response) - 1) // 2), real=True)
    spectrum: NDArray[np.complex64] = fft.rfft(response / np.sqrt(np.square(response).sum()), size)
    return spectrum


def convolve(x: Samples, spectrum: NDArray[np.complex64]) -> Samples:
    """Convolve x with an impulse response, given by its `response_spectrum`, and cut the result to (channels, n).

    >>> x = np.float32([[1, 2, 3, 4]])
    >>> convolve(x, response_spectrum(np.float32([0, 2]), 4)).round().astype(int).tolist()
    [[0, 1, 2, 3]]
    """
    size = 2 * (len(spectrum) - 1)
    convolved: Samples = fft.irfft(fft.rfft(x, size) * spectrum, size)[:, : x.shape[1]]
    return convolved


def add_noise(x: Samples, noise: Samples, snr_db: float) -> Samples:
    """Add noise (channels, n), scaled so that the power of x is `snr_db` above it. Silence stays silent."""
    power, noise_power = np.square(x).mean(dtype=np.float64), np.square(noise).mean(dtype=np.float64)
    return x + noise * np.float32(np.sqrt(power / noise_power) * 10 ** (-snr_db / 20))


def _unit(values: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """Scale complex numbers to magnitude 1; zero becomes 1."""
    values = values + np.complex64(1e-30)
    unit: NDArray[np.complex64] = np.divide(values, np.abs(values))
    return unit
