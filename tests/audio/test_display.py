"""Tests of the conversions from log-mel features to what a page draws."""

import librosa
import numpy as np
import pytest

from scenelet.audio.display import hz_to_row, levels, row_to_hz, shown_range
from scenelet.config import FeatureConfig

WINDOW = np.float32([[[-100.0, -60.0], [-20.0, 20.0]]])
CONFIG = FeatureConfig(sample_rate=16000, n_mels=40, fmin_hz=50, channels="mono")


def test_shown_range_ends_top_db_below_maximum() -> None:
    assert shown_range([WINDOW], top_db=80) == (-60.0, 20.0)


def test_shown_range_of_several_windows_covers_all() -> None:
    assert shown_range([WINDOW[:, 1:], WINDOW[:, 1:] - 10], top_db=80) == (-30.0, 20.0)


def test_levels_are_clipped_to_the_range() -> None:
    assert levels(WINDOW, -60.0, 20.0).tolist() == [[[0, 0], [127, 255]]]


def test_levels_of_silence_are_zero() -> None:
    assert levels(np.zeros((1, 1, 2), np.float32), 0.0, 0.0).tolist() == [[[0, 0]]]


def test_row_to_hz_matches_librosa() -> None:
    peaks = librosa.mel_frequencies(n_mels=42, fmin=50, fmax=8000)
    np.testing.assert_allclose(row_to_hz(CONFIG, np.arange(-1, 41)), peaks, rtol=1e-9)


@pytest.mark.parametrize("row", [-0.5, 0, 12.25, 39.5])
def test_hz_to_row_inverts_row_to_hz(row: float) -> None:
    assert hz_to_row(CONFIG, float(row_to_hz(CONFIG, np.array([row]))[0])) == pytest.approx(row)
