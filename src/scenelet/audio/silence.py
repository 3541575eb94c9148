"""Detection of silence: no sound above `MIN_HZ` that is louder than dither."""

import math

import numpy as np
from numpy.typing import NDArray

SILENT_DBFS = -80.0
"""Level below which samples are silence: 3 steps of 16 bits, which is dither."""
MIN_PEAK = 10 ** (SILENT_DBFS / 20)
MIN_HZ = 20.0
"""Lower limit of hearing. Offsets, drifts and slower oscillations are no sound."""
SETTLING_SECONDS = 0.2
"""Duration for which the high-pass filter responds to a slow drift that the sound begins with."""
FIRST_SAMPLES = 4096
"""Samples that are examined first."""


class SoundDetector:
    """Search for sound in blocks of samples (channels, n) at `sample_rate` Hz, until some is found.

    >>> detector = SoundDetector(8000)
    >>> detector.push(np.full((1, 8000), 0.3, np.float32))
    >>> detector.has_sound
    False
    """

    def __init__(self, sample_rate: int) -> None:
        self._max_step = 2 * math.pi * MIN_HZ / sample_rate  # between two samples of MIN_HZ at full scale
        self._rate = sample_rate
        self._filter: NDArray[np.float64] | None = None
        self._state: NDArray[np.float64] | None = None
        self._settling = round(SETTLING_SECONDS * sample_rate)
        self._received, self._start_peak, self._found = 0, 0.0, False

    @property
    def has_sound(self) -> bool:
        """True if sound was found. A drift at the beginning counts only if there is little else."""
        return self._found or (self._received < 2 * self._settling and self._start_peak >= MIN_PEAK)

    def push(self, samples: NDArray[np.float32]) -> None:
        """Examine a block. A block with large steps has sound; only others are filtered, which takes longer."""
        n = samples.shape[1]
        if self._found or n == 0:
            return
        for part in (samples[:, :FIRST_SAMPLES], samples):  # most recordings have sound from the beginning
            if n > 1 and np.abs(np.diff(part, axis=1)).max() > self._max_step:
                self._found = True
                return
        from scipy import signal  # takes as long as a prediction, and most recordings do not need it

        if self._filter is None or self._state is None:
            self._filter = signal.butter(4, MIN_HZ, "highpass", fs=self._rate, output="sos")
            self._state = signal.sosfilt_zi(self._filter)[:, None, :] * samples[None, :, :1]
        audible, self._state = signal.sosfilt(self._filter, samples, axis=1, zi=self._state)
        start, settled = np.split(np.abs(audible), [max(0, self._settling - self._received)], axis=1)
        self._received += n
        self._start_peak = max(self._start_peak, start.max(initial=0.0))
        self._found = bool(settled.max(initial=0.0) >= MIN_PEAK)


def is_silent(samples: NDArray[np.float32], sample_rate: int) -> bool:
    """Return True if samples (channels, n) hold no sound.

    >>> is_silent(np.full((1, 8000), 0.3, np.float32), 8000)
    True
    >>> is_silent(np.random.default_rng(0).normal(0, 0.01, (1, 8000)).astype(np.float32), 8000)
    False
    """
    detector = SoundDetector(sample_rate)
    detector.push(samples)
    return not detector.has_sound
