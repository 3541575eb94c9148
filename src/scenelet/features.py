"""Log-mel spectrograms of stereo windows, in NumPy and SciPy.

`LogMel` follows the public CP-ResNet pipeline (Koutini et al., EUSIPCO 2019) when `order` is
"db_then_mel", and the usual order otherwise. Every setting lives in `FeatureConfig`, which a
model file carries with it.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.signal import get_window

from scenelet.config import FeatureConfig

Features = NDArray[np.float32]
"""(channels, bands, frames), decibels."""

POWER_FLOOR = 1e-10  # -100 dB
A_WEIGHTING_FLOOR_DB = -80.0


class LogMel:
    """Samples (channels, n) float32 -> decibels per mel band (channels, n_mels, 1 + n // hop_length).

    P = |STFT|^2 with a periodic Hann window, centred, reflect padding. Decibels are
    10 log10(max(P, 1e-10)), clipped to `top_db` below the channel's maximum.

    - "mel_then_db": decibels of the mel bands' power.
    - "db_then_mel": decibels of each FFT bin, plus A-weighting where asked, and then the mel
      matrix on these decibels.
    """

    def __init__(self, config: FeatureConfig) -> None:
        self.config = config
        self._window = get_window("hann", config.n_fft).astype(np.float32)
        self._mel = mel_matrix(config.sample_rate, config.n_fft, config.n_mels, config.fmin_hz, config.top_hz)
        self._weighting = a_weighting_db(config.n_fft, config.sample_rate)[:, None] if config.a_weighting else None

    def __call__(self, samples: NDArray[np.float32]) -> Features:
        """Samples (channels, n) -> decibels (channels, n_mels, frames); see the class."""
        power = self._power(samples)
        if self.config.order == "mel_then_db":
            return self._decibels(self._mel @ power)
        decibels = self._decibels(power)
        if self._weighting is not None:
            decibels += self._weighting
        bands: Features = self._mel @ decibels
        return bands

    def _power(self, samples: NDArray[np.float32]) -> Features:
        """(channels, n) -> |STFT|^2 (channels, n_fft // 2 + 1, frames)."""
        half = self.config.n_fft // 2
        if samples.shape[-1] <= half:
            raise ValueError(f"{samples.shape[-1]} samples are too few for n_fft = {self.config.n_fft}")
        padded = np.pad(samples, ((0, 0), (half, half)), mode="reflect")
        frames = np.lib.stride_tricks.sliding_window_view(padded, self.config.n_fft, axis=-1)
        spectrum = fft.rfft(frames[:, :: self.config.hop_length] * self._window)
        return np.asarray((spectrum.real**2 + spectrum.imag**2).transpose(0, 2, 1), np.float32)

    def _decibels(self, power: Features) -> Features:
        decibels: Features = np.log10(np.maximum(power, np.float32(POWER_FLOOR))) * np.float32(10.0)
        loudest = decibels.max(axis=(1, 2), keepdims=True)
        clipped: Features = np.maximum(decibels, loudest - np.float32(self.config.top_db))
        return clipped


def mel_matrix(sample_rate: int, n_fft: int, n_mels: int, fmin_hz: float, fmax_hz: float) -> NDArray[np.float32]:
    """(n_mels, n_fft // 2 + 1) triangles, equally spaced on Slaney's mel scale, each of unit area in Hz.

    Source: Slaney, Auditory Toolbox, 1998.
    """
    bins_hz = np.fft.rfftfreq(n_fft, 1 / sample_rate)
    edges_hz = mel_to_hz(np.linspace(hz_to_mel(fmin_hz), hz_to_mel(fmax_hz), n_mels + 2))
    widths = np.diff(edges_hz)
    slopes = edges_hz[:, None] - bins_hz[None, :]
    rising = -slopes[:-2] / widths[:-1, None]
    falling = slopes[2:] / widths[1:, None]
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    return np.asarray(triangles * (2.0 / (edges_hz[2:] - edges_hz[:-2]))[:, None], np.float32)


# Slaney's scale: linear up to 1 kHz (15 mel), then 27 steps for a factor of 6.4
_LINEAR_HZ, _BREAK_HZ, _BREAK_MEL = 200.0 / 3, 1000.0, 15.0
_LOG_STEP = np.log(6.4) / 27.0


def hz_to_mel(hz: float) -> float:
    """Frequency in Hz -> Slaney's mel."""
    return hz / _LINEAR_HZ if hz < _BREAK_HZ else _BREAK_MEL + float(np.log(hz / _BREAK_HZ)) / _LOG_STEP


def mel_to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Slaney's mel -> frequency in Hz."""
    above = np.maximum(mel - _BREAK_MEL, 0.0)
    hz: NDArray[np.float64] = np.where(mel < _BREAK_MEL, mel * _LINEAR_HZ, _BREAK_HZ * np.exp(above * _LOG_STEP))
    return hz


def a_weighting_db(n_fft: int, sample_rate: int) -> NDArray[np.float32]:
    """A-weighting (IEC 61672-1, 0 dB at 1 kHz) of each FFT bin (n_fft // 2 + 1,) in dB, not below -80 dB."""
    squared = np.fft.rfftfreq(n_fft, 1 / sample_rate) ** 2
    poles = np.square([12194.217, 20.598997, 107.65265, 737.86223])
    with np.errstate(divide="ignore"):
        response = 2.0 + 20.0 * (
            np.log10(poles[0])
            + 2.0 * np.log10(squared)
            - np.log10(squared + poles[0])
            - np.log10(squared + poles[1])
            - 0.5 * np.log10(squared + poles[2])
            - 0.5 * np.log10(squared + poles[3])
        )
    return np.asarray(np.maximum(response, A_WEIGHTING_FLOOR_DB), np.float32)
