"""Cutoff detection: the frequency at which a recording's sound ends abruptly, far below half its sample rate.

Such a recording was made at a lower sample rate, or a codec removed the upper bands.
"""

import functools

import numpy as np
from numpy.typing import NDArray
from scipy import fft

FRAME_SAMPLES = 4096
MIN_FALL_DB = 25.0
"""Minimum fall of the level at the cutoff. Natural sound decays gradually."""
BELOW = (0.6, 0.97)
"""Range below a cutoff, as fractions of its frequency. Its level is compared with the level above the cutoff."""
ABOVE = 1.08
"""Start of the range above a cutoff, as a fraction of its frequency."""
MAX_CUTOFF_FRACTION = 0.66
"""Maximum cutoff as a fraction of half the sample rate. MP3 cuts at 16 kHz on purpose, which is inaudible."""
MIN_CUTOFF_HZ = 1500.0
USUAL_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 96000)
"""Usual sample rates of recordings, Hz."""
EMPTY_DB = -115.0
"""Maximum level per bin above a cutoff, relative to full scale. Rounding to 16 bits leaves -132 dB."""


class MeanSpectrum:
    """Mean power spectrum of a recording that is read in blocks (channels, n).

    >>> spectrum = MeanSpectrum(48000)
    >>> spectrum.push(np.zeros((1, 8192), np.float32))
    >>> spectrum.cutoff_hz() is None
    True
    """

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self._power, self._frames = np.zeros(FRAME_SAMPLES // 2 + 1), 0

    def push(self, samples: NDArray[np.float32]) -> None:
        """Add the complete frames of a block (channels, n). Samples after the last complete frame are ignored."""
        for channel in samples:
            count = len(channel) // FRAME_SAMPLES
            frames = channel[: count * FRAME_SAMPLES].reshape(count, FRAME_SAMPLES)
            spectrum = fft.rfft(frames * _window())
            self._power += (spectrum.real**2 + spectrum.imag**2).sum(axis=0, dtype=np.float64)
            self._frames += count

    def cutoff_hz(self) -> float | None:
        """Return the frequency at which the sound ends, in Hz; None if it does not end abruptly or is too short."""
        if self._frames == 0:
            return None
        power = self._power / self._frames * (4 / FRAME_SAMPLES) ** 2 / 2  # a full-scale sine is near 0.5
        # the mean over 1/256 of the range, so that a single spectral line is not an edge
        decibels = 10 * np.log10(np.convolve(power, np.ones(16) / 16, "same") + 1e-20)
        bin_hz = self.sample_rate / FRAME_SAMPLES
        max_above = np.maximum.accumulate(decibels[::-1])[::-1]  # maximum level from each bin up
        edges = np.arange(int(MIN_CUTOFF_HZ / bin_hz), int(FRAME_SAMPLES / 2 / ABOVE), 4)
        above = max_above[(ABOVE * edges).astype(int)]
        edges, above = edges[above < EMPTY_DB], above[above < EMPTY_DB]
        if len(edges) == 0:
            return None
        below = np.array([_lower_quartile(decibels[int(BELOW[0] * e) : int(BELOW[1] * e)]) for e in edges])
        best = int(np.argmax(below - above))
        if below[best] - above[best] < MIN_FALL_DB:
            return None
        edge = np.flatnonzero(decibels > (below[best] + above[best]) / 2)[-1]
        return float(edge * bin_hz) if edge < MAX_CUTOFF_FRACTION * FRAME_SAMPLES / 2 else None


@functools.cache
def _window() -> NDArray[np.float32]:
    return np.hanning(FRAME_SAMPLES).astype(np.float32)


def _lower_quartile(values: NDArray[np.float64]) -> float:
    return float(np.partition(values, len(values) // 4)[len(values) // 4])


def apparent_rate(cutoff_hz: float) -> int:
    """Return the usual sample rate, in Hz, of a recording with this cutoff.

    >>> apparent_rate(3900.0)
    8000
    """
    return next((rate for rate in USUAL_RATES if rate >= 1.96 * cutoff_hz), USUAL_RATES[-1])
