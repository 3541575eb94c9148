"""Tests of the conversions from log-mel features to what a page draws."""

import librosa
import numpy as np
import pytest

from scenelet.audio.display import format_hz, hz_to_row, levels, pool, row_to_hz, shown_range, ticks_hz
from scenelet.audio.log_mel import LogMel
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


def test_ticks_hz_agree_with_the_bands_of_tones() -> None:
    config = FeatureConfig(sample_rate=22050, channels="mono", n_mels=128)
    marks = {tick["text"]: tick["position"] for tick in ticks_hz(config)}
    assert {"500 Hz", "1 kHz", "2 kHz", "5 kHz"} <= set(marks)
    for hz in (500, 1000, 2000, 5000):
        tone = np.sin(2 * np.pi * hz * np.arange(22050) / 22050).astype(np.float32)[None]
        band = int(LogMel(config)(tone)[0, :, 20].argmax())
        assert marks[format_hz(hz)] * 128 == pytest.approx(band + 0.5, abs=0.75)
    positions = list(marks.values())
    assert positions == sorted(positions)


def test_format_hz_chooses_the_unit() -> None:
    assert [format_hz(hz) for hz in (49.6, 999, 1000, 12345)] == ["50 Hz", "999 Hz", "1 kHz", "12.3 kHz"]


def test_pool_averages_to_at_most_the_number_of_columns() -> None:
    values = np.arange(20, dtype=np.float32).reshape(2, 10)
    assert pool(values, 10) is values
    assert pool(values, 3).tolist() == [[1, 4, 7.5], [11, 14, 17.5]]
