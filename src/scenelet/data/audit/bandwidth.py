"""Where a recording's sound ends abruptly below half its rate: it was made at a lower rate, or a codec cut it."""

import numpy as np
from numpy.typing import NDArray
from scipy import fft

FRAME = 4096
STEP_DB = 25.0  # the fall at the edge; a sound's own decay is gradual
NEAR = (0.6, 0.97)  # of the edge: nearly all of it is compared with all that lies above `BEYOND` of it
BEYOND = 1.08
MAX_CUTOFF_FRACTION = 0.66  # of half the rate: what cuts above (MP3 at 16 kHz) is meant to be inaudible
MIN_CUTOFF_HZ = 1500.0
AT_RATE = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 96000)  # Hz, that recordings are made with
EMPTY_DB = -115.0  # of full scale, in each bin above the edge; rounding to 16 bits leaves -132


class LongSpectrum:
    """The mean power spectrum of blocks (channels, n)."""

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self._window = np.hanning(FRAME).astype(np.float32)
        self._power, self._frames = np.zeros(FRAME // 2 + 1), 0

    def push(self, samples: NDArray[np.float32]) -> None:
        """Add whole frames of a block; what is left over at its end is not needed."""
        for channel in samples:
            count = len(channel) // FRAME
            frames = channel[: count * FRAME].reshape(count, FRAME)
            spectrum = fft.rfft(frames * self._window)
            self._power += (spectrum.real**2 + spectrum.imag**2).sum(axis=0, dtype=np.float64)
            self._frames += count

    def top_hz(self) -> float | None:
        """Where the sound ends, Hz; None where it does not end abruptly, or there is too little of it."""
        if self._frames == 0:
            return None
        power = self._power / self._frames * (4 / FRAME) ** 2 / 2  # a full-scale sine is near 0.5
        # over 1/256 of the range, so that a single line is no edge
        decibels = 10 * np.log10(np.convolve(power, np.ones(16) / 16, "same") + 1e-20)
        bin_hz = self.sample_rate / FRAME
        above = np.maximum.accumulate(decibels[::-1])[::-1]  # the loudest from here up
        edges = np.arange(int(MIN_CUTOFF_HZ / bin_hz), int(FRAME / 2 / BEYOND), 4)
        empty = above[(BEYOND * edges).astype(int)]
        edges, empty = edges[empty < EMPTY_DB], empty[empty < EMPTY_DB]
        if len(edges) == 0:
            return None
        near = np.array([_low_quartile(decibels[int(NEAR[0] * e) : int(NEAR[1] * e)]) for e in edges])
        best = int(np.argmax(near - empty))
        if near[best] - empty[best] < STEP_DB:
            return None
        edge = np.flatnonzero(decibels > (near[best] + empty[best]) / 2)[-1]
        return float(edge * bin_hz) if edge < MAX_CUTOFF_FRACTION * FRAME / 2 else None


def _low_quartile(values: NDArray[np.float64]) -> float:
    return float(np.partition(values, len(values) // 4)[len(values) // 4])


def apparent_rate(top_hz: float) -> int:
    """The usual sample rate, Hz, that sound up to `top_hz` is made with."""
    return next((rate for rate in AT_RATE if rate >= 1.96 * top_hz), AT_RATE[-1])
