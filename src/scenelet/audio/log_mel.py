"""Log-mel spectrograms of stereo windows, in NumPy and SciPy.

`LogMel` follows the public CP-ResNet pipeline (Koutini et al., EUSIPCO 2019) when `order` is
"db_then_mel", and the usual order otherwise. Every setting lives in `FeatureConfig`, which a
model file carries with it.
"""

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from scenelet.config import FeatureConfig
from scenelet.utils.parallel import parallel_map

Features = NDArray[np.float32]
"""(channels, bands, frames), decibels."""

POWER_FLOOR = 1e-10  # -100 dB
A_WEIGHTING_FLOOR_DB = -80.0
# So many frames stay near a core with their spectra, and their product with a block of the mel matrix is too small
# for BLAS to put threads on it, which would go on spinning and take the processors from everybody else.
FRAMES_AT_ONCE, BLOCK_WEIGHTS = 128, 2048

Part = tuple[int, slice]
"""A channel and its frames from start to stop."""


class LogMel:
    """Samples (channels, n) float32 -> decibels per mel band (channels, n_mels, 1 + n // hop_length).

    P = `|STFT|^2` (or `|STFT|`, where `spectrum` is "magnitude") with a periodic window, centered, reflect
    padding. Decibels are 10 log10(max(P, 1e-10)), clipped to `top_db` below the channel's maximum.

    - "mel_then_db": decibels of the mel bands' sums of P.
    - "db_then_mel": decibels of each FFT bin, plus A-weighting where asked, and then the mel
      matrix on these decibels.

    Args:
        config: the settings.
        threads: how many share the work on one call; the result does not depend on it.
    """

    def __init__(self, config: FeatureConfig, threads: int = 1) -> None:
        self.config, self.threads = config, threads
        self._window = taper(config.window_function, config.win_length or config.n_fft, config.n_fft)
        mel = mel_matrix(config.sample_rate, config.n_fft, config.n_mels, config.fmin_hz, config.top_hz)
        self._blocks = mel_blocks(mel)
        self._weighting = np.zeros((config.n_mels, 1), np.float32)
        if config.a_weighting:
            # the mel matrix is linear: the bands of the curve are added, not the curve to every frame
            self._weighting = (mel @ a_weighting_db(config.n_fft, config.sample_rate))[:, None]

    def __call__(self, samples: NDArray[np.float32]) -> Features:
        """Samples (channels, n) -> decibels (channels, n_mels, frames); see the class.

        Raises:
            ValueError: n is not above n_fft // 2.
        """
        half = self.config.n_fft // 2
        if samples.shape[-1] <= half:
            raise ValueError(f"{samples.shape[-1]} samples are too few for n_fft = {self.config.n_fft}")
        padded = np.pad(samples, ((0, 0), (half, half)), mode="reflect")
        frames = np.lib.stride_tricks.sliding_window_view(padded, self.config.n_fft, axis=-1)
        frames = frames[:, :: self.config.hop_length]  # (channels, frames, n_fft), a view
        channels, count = frames.shape[:2]
        power = np.empty((channels, count, half + 1), np.float32)
        bands = np.empty((channels, self.config.n_mels, count), np.float32)
        decibels_first = self.config.log_before_mel

        def transform(part: Part) -> None:
            for channel, cut in pieces(part):
                self._power(frames[channel, cut], power[channel, cut])
                if not decibels_first:
                    self._mel(power[channel, cut], bands[channel, :, cut])

        def finish(part: Part) -> None:
            for channel, cut in pieces(part):
                values = power[channel, cut]
                np.log10(np.maximum(values, floors[channel], out=values), out=values)
                self._mel(values, bands[channel, :, cut])

        # shares are whole pieces, so that the products, and their last digits, do not depend on the threads
        share = -(-count // (FRAMES_AT_ONCE * -(-self.threads // channels))) * FRAMES_AT_ONCE
        cuts = [slice(start, min(start + share, count)) for start in range(0, count, share)]
        parts = [(channel, cut) for channel in range(channels) for cut in cuts]
        parallel_map(transform, parts, self.threads)
        floors = self._floors(power if decibels_first else bands)
        if decibels_first:
            parallel_map(finish, parts, self.threads)
        else:
            np.log10(np.maximum(bands, floors[:, None, None], out=bands), out=bands)
        bands *= np.float32(10.0)
        bands += self._weighting
        return bands

    def _power(self, frames: NDArray[np.float32], power: NDArray[np.float32]) -> None:
        """(frames, n_fft) -> |rfft(window * frames)|^2, or its root, into `power` (frames, n_fft // 2 + 1)."""
        squares = fft.rfft(frames * self._window).view(np.float32)
        np.square(squares, out=squares)
        np.add(squares[:, ::2], squares[:, 1::2], out=power)
        if self.config.power == 1:
            np.sqrt(power, out=power)

    def _mel(self, values: NDArray[np.float32], bands: NDArray[np.float32]) -> None:
        """(frames, n_fft // 2 + 1) -> the mel matrix times them, into `bands` (n_mels, frames)."""
        for rows, bins, weights in self._blocks:
            np.matmul(weights, values[:, bins].T, out=bands[rows])

    def _floors(self, power: NDArray[np.float32]) -> NDArray[np.float32]:
        """(channels, ...) power -> (channels,): what lies below is clipped, by `top_db` or the absolute floor."""
        loudest = np.maximum(power.max(axis=(1, 2)), np.float32(POWER_FLOOR))
        floors: NDArray[np.float32] = loudest * np.float32(10 ** (-self.config.top_db / 10))
        return np.maximum(floors, np.float32(POWER_FLOOR))


def pieces(part: Part) -> Iterator[Part]:
    """The part, `FRAMES_AT_ONCE` frames after the other."""
    channel, cut = part
    for start in range(cut.start, cut.stop, FRAMES_AT_ONCE):
        yield channel, slice(start, min(start + FRAMES_AT_ONCE, cut.stop))


def taper(shape: Literal["hann", "hamming"], length: int, n_fft: int) -> NDArray[np.float32]:
    """(n_fft,) periodic window of `length` samples, with zeros on both sides to fill the frame."""
    low = 0.5 if shape == "hann" else 0.54
    values = low - (1 - low) * np.cos(2 * np.pi * np.arange(length) / length)
    before = (n_fft - length) // 2
    return np.pad(values, (before, n_fft - length - before)).astype(np.float32)


def mel_blocks(mel: NDArray[np.float32]) -> list[tuple[slice, slice, NDArray[np.float32]]]:
    """The mel matrix (n_mels, bins) as `(bands, bins, weights)`, without most of its zeros.

    A triangle covers few bins and its neighbours overlap it, so some neighbours together need one narrow
    range of bins; there are as many in a block as `BLOCK_WEIGHTS` allows.
    """
    used = [np.flatnonzero(row) for row in mel]
    spans = [(int(bins[0]), int(bins[-1]) + 1) if len(bins) else (0, 1) for bins in used]
    blocks = []
    start = 0
    while start < len(mel):
        first, last = spans[start]
        stop = start + 1
        while stop < len(mel):
            wider = min(first, spans[stop][0]), max(last, spans[stop][1])
            if (stop + 1 - start) * (wider[1] - wider[0]) > BLOCK_WEIGHTS:
                break
            (first, last), stop = wider, stop + 1
        blocks.append((slice(start, stop), slice(first, last), np.ascontiguousarray(mel[start:stop, first:last])))
        start = stop
    return blocks


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
