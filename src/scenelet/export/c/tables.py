"""Tables and settings of a model's front end in C, as numbers, and the memory that they take."""

import math

import numpy as np
from numpy.typing import NDArray

from scenelet.audio.log_mel import a_weighting_db, mel_matrix, window_function
from scenelet.errors import ModelFileError
from scenelet.model.scene_model import SceneModel

BIN_BITS = {1: 31, 2: 61}
"""Bits of a bin in fixed point, by the exponent of the spectrum."""


class Tables:
    """Tables and settings of a model's front end, as numbers.

    Args:
        model: the content of a `.scn` file.

    Attributes:
        half_window: first half of the window function, times 0.5.
        sine: one period, n_fft values.
        offsets: values of the A-weighting curve that are added to the bands, or zeros.
        weights: weights of all bands in a row, float32.
        bands: first bin and number of bins of each band.
        mantissas: weights as integers of 16 bits, each band with one exponent.
        exponents: exponents of the bands.
        value_bits: bits after the point of fixed-point log-mel in 16 bits.
        sum_shift: bits that fixed point drops from the product of a bin and its weight.
    """

    def __init__(self, model: SceneModel) -> None:
        features = model.features
        self.features, self.window = features, model.window
        self.samples = model.window.samples(features.sample_rate)
        length = features.win_length or features.n_fft
        self.half_window = 0.5 * window_function(features.window_function, length, length)[: length // 2 + 1]
        self.sine = np.sin(2 * np.pi * np.arange(features.n_fft) / features.n_fft)
        mel = mel_matrix(features.sample_rate, features.n_fft, features.n_mels, features.fmin_hz, features.top_hz)
        rows = [_span(row) for row in mel]
        self.bands = [(first, len(weights)) for first, weights in rows]
        self.weights = np.concatenate([weights for _, weights in rows])
        self.exponents = [math.frexp(weights.max())[1] - 16 if len(weights) else 0 for _, weights in rows]
        scaled = [np.round(row * 2.0**-exponent) for (_, row), exponent in zip(rows, self.exponents, strict=True)]
        self.mantissas = np.minimum(np.concatenate(scaled), 65535).astype(np.int64)
        curve = a_weighting_db(features.n_fft, features.sample_rate) * np.float32(features.a_weighting)
        self.offsets = mel @ curve
        sums = [int(part.sum()) for part in np.split(self.mantissas, np.cumsum([n for _, n in self.bands])[:-1])]
        self.sum_shift = max(0, BIN_BITS[features.power] + max(sums).bit_length() - 64)
        self.value_bits = math.floor(math.log2(32767 / self._largest_value(mel)))
        if self.value_bits < 0:
            raise ModelFileError(
                "the model's mel bands are too narrow for the C front end; train with fewer features.n_mels"
            )

    def _largest_value(self, mel: NDArray[np.float32]) -> float:
        """Return the largest absolute log-mel that samples up to full scale can have, dB."""
        features = self.features
        loudest = features.power * 20 * math.log10(4 * float(self.half_window.sum())) / 2
        sums = mel.sum(axis=1)
        if features.log_before_mel:
            return float(np.max(sums * max(100.0, loudest) + np.abs(self.offsets))) or 1.0
        return max(100.0, loudest + 10 * math.log10(max(float(sums.max()), 1e-10)))


def frontend_ram(tables: Tables) -> dict[str, int]:
    """Return the bytes of RAM of `scenelet_frontend`, of a window's samples and log-mel, and of `scenelet_stream`.

    >>> from scenelet.model.file import read_model
    >>> from scenelet.model.pretrained import built_in
    >>> frontend_ram(Tables(read_model(built_in("esc10"))))["frontend"]
    8204
    """
    features = tables.features
    channels, frames = features.n_channels, features.n_frames(tables.samples)
    frontend = 4 * (features.n_fft + 2) + 4
    columns = 2 * frames * features.n_mels * channels
    frame_values = int(tables.window.pad_mode == "repeat") + channels * int(features.log_before_mel)
    stream = frontend + 28 * channels + 28 + columns + 4 * frames * frame_values
    return {
        "frontend": frontend,
        "samples": 2 * tables.samples * channels,
        "log_mel": columns,
        "stream": stream + 2 * features.n_fft * channels + 2 * features.n_mels,
        "stream_float": stream + 4 * features.n_fft * channels + 4 * features.n_mels,
    }


def frontend_flash(tables: Tables, fixed: bool) -> int:
    """Return the bytes of flash of the tables, in fixed or in floating point.

    >>> from scenelet.model.file import read_model
    >>> from scenelet.model.pretrained import built_in
    >>> frontend_flash(Tables(read_model(built_in("esc10"))), fixed=True)
    16642
    """
    factors = len(tables.half_window) + len(tables.sine)
    band = (6 if fixed else 4) if not tables.features.log_before_mel else (16 if fixed else 8)
    return 4 * factors + band * len(tables.bands) + (2 if fixed else 4) * len(tables.weights)


def _span(row: NDArray[np.float32]) -> tuple[int, NDArray[np.float32]]:
    """Return the first bin and the weights of a band."""
    used = np.flatnonzero(row)
    return (int(used[0]), row[used[0] : used[-1] + 1]) if len(used) else (0, row[:0])
