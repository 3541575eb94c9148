"""Conversions from log-mel features to what a page draws: gray levels, and frequencies along the mel axis."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scenelet.audio.log_mel import Features, hz_to_mel, mel_to_hz
from scenelet.config import FeatureConfig


def shown_range(log_mels: Sequence[Features], top_db: float) -> tuple[float, float]:
    """Find the decibels of the darkest and the brightest level for windows that are drawn together.

    Args:
        log_mels: windows of any shape, dB.
        top_db: the largest range, dB; the levels below it are drawn alike.

    >>> shown_range([np.float32([-100.0, -60.0, 20.0])], top_db=80)
    (-60.0, 20.0)
    """
    top = max(float(log_mel.max()) for log_mel in log_mels)
    return max(min(float(log_mel.min()) for log_mel in log_mels), top - top_db), top


def levels(log_mel: Features, floor: float, top: float) -> NDArray[np.uint8]:
    """Map decibels to gray levels from 0 at `floor` to 255 at `top`, in the same shape.

    >>> levels(np.float32([-100.0, -20.0, 20.0]), floor=-60.0, top=20.0)
    array([  0, 127, 255], dtype=uint8)
    """
    scaled = (log_mel - floor) * (255 / max(top - floor, 1e-9))
    gray: NDArray[np.uint8] = np.clip(scaled, 0, 255).astype(np.uint8)
    return gray


def row_to_hz(config: FeatureConfig, rows: NDArray[np.floating]) -> NDArray[np.float64]:
    """Convert positions on the mel axis to Hz: k is the peak of band k, and k - 0.5 is midway between two peaks.

    >>> row_to_hz(FeatureConfig(n_mels=40), np.array([-1, 39.5, 40])).round()
    array([    0., 10573., 11025.])
    """
    low, high = hz_to_mel(config.fmin_hz), hz_to_mel(config.top_hz)
    return mel_to_hz(low + (high - low) * (rows + 1) / (config.n_mels + 1))


def hz_to_row(config: FeatureConfig, hz: float) -> float:
    """Convert Hz to a position on the mel axis. This is the inverse of `row_to_hz`.

    >>> round(hz_to_row(FeatureConfig(n_mels=40), 1000.0), 2)
    11.32
    """
    low, high = hz_to_mel(config.fmin_hz), hz_to_mel(config.top_hz)
    return (hz_to_mel(hz) - low) / (high - low) * (config.n_mels + 1) - 1
