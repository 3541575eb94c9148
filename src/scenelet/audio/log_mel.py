"""Log-mel spectrograms of windows, in NumPy and SciPy.

`LogMel` follows the public CP-ResNet pipeline (Koutini et al., EUSIPCO 2019) if `log_before_mel` is True, and the usual
order otherwise. All settings are in `FeatureConfig`, which is stored with a model.
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
DECIBELS = np.float32(10 / np.log(10))
"""Factor from a natural logarithm to decibels. NumPy's `log10` takes three times as long as `log` without AVX-512."""
# So many frames and their spectra fit into a core's cache. Their product with a block of the mel matrix is too small
# for BLAS to use threads, which would spin after each product and take CPU time from the other threads.
CHUNK_FRAMES, MAX_BLOCK_WEIGHTS = 128, 2048

Part = tuple[int, slice]
"""Index of a channel, and a range of its frames."""


class LogMel:
    """Function from samples (channels, n) float32 to decibels per mel band (channels, n_mels, 1 + n // hop_length).

    P is `|STFT|^2`, or `|STFT|` if `power` is 1, with a periodic window, centered frames and reflect padding. Decibels
    are 10 log10(max(P, 1e-10)), clipped to `top_db` below the channel's maximum.

    - If `log_before_mel` is False, the result is the decibels of the mel bands, which are sums of P.
    - If `log_before_mel` is True, the mel matrix is applied to the decibels of the FFT bins, plus A-weighting if
      `a_weighting` is True.

    Args:
        config: the settings.
        threads: number of threads that share the work of one call. The result does not depend on it.

    >>> tone = np.sin(2 * np.pi * 1000 * np.arange(22050) / 22050, dtype=np.float32)
    >>> bands = LogMel(FeatureConfig(channels="mono", n_mels=64))(tone[None])
    >>> bands.shape, int(bands[0].mean(axis=1).argmax())
    ((1, 64, 44), 19)
    """

    def __init__(self, config: FeatureConfig, threads: int = 1) -> None:
        self.config, self.threads = config, threads
        self._window = window_function(config.window_function, config.win_length or config.n_fft, config.n_fft)
        mel = mel_matrix(config.sample_rate, config.n_fft, config.n_mels, config.fmin_hz, config.top_hz)
        self._blocks = mel_blocks(mel)
        self._weighting = np.zeros((config.n_mels, 1), np.float32)
        if config.a_weighting:
            # the mel matrix is linear, so the bands of the curve can be added in place of the curve
            self._weighting = (mel @ a_weighting_db(config.n_fft, config.sample_rate))[:, None]

    def __call__(self, samples: NDArray[np.float32]) -> Features:
        """Transform samples (channels, n) to decibels (channels, n_mels, frames).

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
        log_before_mel = self.config.log_before_mel

        def transform(part: Part) -> None:
            for channel, cut in chunks(part):
                self._power(frames[channel, cut], power[channel, cut])
                if not log_before_mel:
                    self._mel(power[channel, cut], bands[channel, :, cut])

        def finish(part: Part) -> None:
            for channel, cut in chunks(part):
                values = power[channel, cut]
                np.log(np.maximum(values, floors[channel], out=values), out=values)
                self._mel(values, bands[channel, :, cut])

        # each thread gets complete chunks, so that the products and their last digits do not depend on the threads
        length = -(-count // (CHUNK_FRAMES * -(-self.threads // channels))) * CHUNK_FRAMES
        cuts = [slice(start, min(start + length, count)) for start in range(0, count, length)]
        parts = [(channel, cut) for channel in range(channels) for cut in cuts]
        parallel_map(transform, parts, self.threads)
        floors = self._floors(power if log_before_mel else bands)
        if log_before_mel:
            parallel_map(finish, parts, self.threads)
        else:
            np.log(np.maximum(bands, floors[:, None, None], out=bands), out=bands)
        bands *= DECIBELS
        bands += self._weighting
        return bands

    def _power(self, frames: NDArray[np.float32], power: NDArray[np.float32]) -> None:
        """Write |rfft(window * frames)|^2 of frames (frames, n_fft), or its root, to `power` (frames, bins)."""
        squares = fft.rfft(frames * self._window).view(np.float32)
        np.square(squares, out=squares)
        np.add(squares[:, ::2], squares[:, 1::2], out=power)
        if self.config.power == 1:
            np.sqrt(power, out=power)

    def _mel(self, values: NDArray[np.float32], bands: NDArray[np.float32]) -> None:
        """Write the product of the mel matrix and `values` (frames, bins) to `bands` (n_mels, frames)."""
        for rows, bins, weights in self._blocks:
            np.matmul(weights, values[:, bins].T, out=bands[rows])

    def _floors(self, power: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the minimum of each channel (channels,) for power (channels, ...), by `top_db` or `POWER_FLOOR`."""
        loudest = np.maximum(power.max(axis=(1, 2)), np.float32(POWER_FLOOR))
        floors: NDArray[np.float32] = loudest * np.float32(10 ** (-self.config.top_db / 10))
        return np.maximum(floors, np.float32(POWER_FLOOR))


def chunks(part: Part) -> Iterator[Part]:
    """Split a part into chunks of `CHUNK_FRAMES` frames."""
    channel, cut = part
    for start in range(cut.start, cut.stop, CHUNK_FRAMES):
        yield channel, slice(start, min(start + CHUNK_FRAMES, cut.stop))


def window_function(name: Literal["hann", "hamming"], length: int, n_fft: int) -> NDArray[np.float32]:
    """Return the (n_fft,) periodic window of `length` samples, with zeros on both sides to fill the frame.

    >>> window_function("hann", length=4, n_fft=6)
    array([0. , 0. , 0.5, 1. , 0.5, 0. ], dtype=float32)
    """
    low = 0.5 if name == "hann" else 0.54
    values = low - (1 - low) * np.cos(2 * np.pi * np.arange(length) / length)
    before = (n_fft - length) // 2
    return np.pad(values, (before, n_fft - length - before)).astype(np.float32)


def mel_blocks(mel: NDArray[np.float32]) -> list[tuple[slice, slice, NDArray[np.float32]]]:
    """Split the mel matrix (n_mels, bins) into blocks `(bands, bins, weights)` without most of its zeros.

    A triangle covers few bins and overlaps its neighbors, so a few neighbors need one narrow range of bins. A block
    has as many bands as `MAX_BLOCK_WEIGHTS` allows.
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
            if (stop + 1 - start) * (wider[1] - wider[0]) > MAX_BLOCK_WEIGHTS:
                break
            (first, last), stop = wider, stop + 1
        blocks.append((slice(start, stop), slice(first, last), np.ascontiguousarray(mel[start:stop, first:last])))
        start = stop
    return blocks


def mel_matrix(sample_rate: int, n_fft: int, n_mels: int, fmin_hz: float, fmax_hz: float) -> NDArray[np.float32]:
    """Return the mel matrix (n_mels, n_fft // 2 + 1): triangles of unit area in Hz, equally spaced in mel.

    The mel scale is that of Slaney, Auditory Toolbox, 1998.

    >>> mel_matrix(sample_rate=8000, n_fft=16, n_mels=2, fmin_hz=0.0, fmax_hz=4000.0).argmax(axis=1)
    array([2, 4])
    """
    bins_hz = np.fft.rfftfreq(n_fft, 1 / sample_rate)
    edges_hz = mel_to_hz(np.linspace(hz_to_mel(fmin_hz), hz_to_mel(fmax_hz), n_mels + 2))
    widths = np.diff(edges_hz)
    slopes = edges_hz[:, None] - bins_hz[None, :]
    rising = -slopes[:-2] / widths[:-1, None]
    falling = slopes[2:] / widths[1:, None]
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    return np.asarray(triangles * (2.0 / (edges_hz[2:] - edges_hz[:-2]))[:, None], np.float32)


# Slaney's scale is linear up to 1 kHz (15 mel), and then has 27 steps for a factor of 6.4
_LINEAR_HZ, _BREAK_HZ, _BREAK_MEL = 200.0 / 3, 1000.0, 15.0
_LOG_STEP = float(np.log(6.4)) / 27.0


def hz_to_mel(hz: float) -> float:
    """Convert Hz to Slaney's mel.

    >>> hz_to_mel(1000.0)
    15.0
    """
    return hz / _LINEAR_HZ if hz < _BREAK_HZ else _BREAK_MEL + float(np.log(hz / _BREAK_HZ)) / _LOG_STEP


def mel_to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convert Slaney's mel to Hz.

    >>> mel_to_hz(np.array([15.0, 42.0]))
    array([1000., 6400.])
    """
    above = np.maximum(mel - _BREAK_MEL, 0.0)
    hz: NDArray[np.float64] = np.where(mel < _BREAK_MEL, mel * _LINEAR_HZ, _BREAK_HZ * np.exp(above * _LOG_STEP))
    return hz


def a_weighting_db(n_fft: int, sample_rate: int) -> NDArray[np.float32]:
    """Return the A-weighting (IEC 61672-1, 0 dB at 1 kHz) of each FFT bin (n_fft // 2 + 1,) in dB, at least -80 dB.

    >>> a_weighting_db(16, 8000).round(1)
    array([-80. ,  -3.2,   0. ,   0.9,   1.2,   1.3,   1.2,   1.1,   1. ],
          dtype=float32)
    """
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
