"""Conversions from log-mel features to what a page draws: gray levels, and frequencies along the mel axis."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenelet.audio.log_mel import Features, hz_to_mel, mel_to_hz
from scenelet.config import FeatureConfig

TICKS_HZ = (50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000)
MIN_TICK_DISTANCE = 0.085  # as a fraction of the height


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


def ticks_hz(features: FeatureConfig) -> list[dict[str, Any]]:
    """Choose the ticks {"position", "text"} of the frequency axis; positions are fractions of the height.

    >>> [tick["text"] for tick in ticks_hz(FeatureConfig(sample_rate=8000, n_mels=64))]
    ['100 Hz', '500 Hz', '1 kHz', '2 kHz']
    """
    ticks: list[dict[str, Any]] = []
    margin = MIN_TICK_DISTANCE / 3
    for hz in TICKS_HZ:
        if not features.fmin_hz <= hz <= features.top_hz:
            continue
        position = (hz_to_row(features, hz) + 0.5) / features.n_mels
        is_distant = not ticks or position - ticks[-1]["position"] > MIN_TICK_DISTANCE
        if margin < position < 1 - margin and is_distant:
            ticks.append({"position": position, "text": format_hz(hz)})
    return ticks


def format_hz(hz: float) -> str:
    """Format a frequency with its unit.

    >>> format_hz(250), format_hz(12500)
    ('250 Hz', '12.5 kHz')
    """
    return f"{hz:.0f} Hz" if hz < 1000 else f"{hz / 1000:.3g} kHz"


def pool(values: NDArray[np.float32], columns: int) -> NDArray[np.float32]:
    """Average values (rows, n) to at most `columns` columns.

    >>> pool(np.float32([[1, 3, 5, 7]]), 2)
    array([[2., 6.]], dtype=float32)
    """
    count = values.shape[1]
    if count <= columns:
        return values
    edges = np.linspace(0, count, columns + 1).astype(int)
    return (np.add.reduceat(values, edges[:-1], axis=1) / np.diff(edges)).astype(np.float32)
