"""Tests of filling silence at a window's ends by repeating the sound between them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenelet.audio.windows import repeat_sound, windows_of_array
from scenelet.config import FeatureConfig, WindowConfig

N = 40
MONO = FeatureConfig(sample_rate=1000, channels="mono")


def sound_at(first: int, length: int) -> np.ndarray:
    """Return two silent channels with length, length + 1, ... from `first` on."""
    window = np.zeros((2, N), np.float32)
    window[:, first : first + length] = np.arange(length) + length
    return window


def cut(sound: np.ndarray, window: WindowConfig) -> list[np.ndarray]:
    return [window.copy() for window in windows_of_array(sound, 1000, MONO, window)]


def test_repeat_sound_fills_window_from_its_start() -> None:
    filled = repeat_sound(sound_at(7, 12), 60, min_samples=5)
    assert filled.tolist() == [[12 + i % 12 for i in range(N)]] * 2


def test_repeat_sound_of_click_keeps_silence_around_it() -> None:
    filled = repeat_sound(sound_at(7, 1), 60, min_samples=10)
    assert np.flatnonzero(filled[0]).tolist() == [0, 10, 20, 30]


def test_repeat_sound_of_late_click_keeps_silence_before_it() -> None:
    filled = repeat_sound(sound_at(N - 1, 1), 60, min_samples=10)
    assert np.flatnonzero(filled[0]).tolist() == [9, 19, 29, 39]


def test_repeat_sound_threshold_is_below_peak_of_all_channels() -> None:
    window = sound_at(10, 20)
    window[1, 35] = window.max() * 10 ** (-50 / 20)
    assert repeat_sound(window, 60, 5)[1, 25] == window[1, 35]
    assert repeat_sound(window, 40, 5).tolist() == [[20 + i % 20 for i in range(N)]] * 2


def test_repeat_sound_does_not_depend_on_level() -> None:
    window = sound_at(10, 20)
    assert np.array_equal(repeat_sound(1e-6 * window, 40, 5), np.float32(1e-6) * repeat_sound(window, 40, 5))


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_repeat_sound_without_silent_ends_is_unchanged(level: float) -> None:
    window = np.full((1, N), level, np.float32)
    window[0, 3:30] = 0  # silence within the sound stays too
    assert repeat_sound(window, 60, 5) is window


@given(
    first=st.integers(0, N - 1),
    length=st.integers(1, N),
    min_samples=st.integers(1, N),
    threshold_db=st.sampled_from([20.0, 60.0]),
)
def test_repeat_sound_keeps_every_sample(first: int, length: int, min_samples: int, threshold_db: float) -> None:
    window = sound_at(first, min(length, N - first))
    filled = repeat_sound(window, threshold_db, min_samples)
    assert filled.shape == window.shape
    assert filled.dtype == window.dtype
    assert set(filled[0].tolist()) - {0.0} == set(window[0].tolist()) - {0.0}


def test_windows_repeat_overlapping_windows_independently() -> None:
    tone = np.zeros((1, 5000), np.float32)
    tone[0, 2100:2900] = 1.0
    filled = cut(tone, WindowConfig(seconds=2.0, hop_seconds=1.0, pad_mode="repeat"))
    assert [float(window.mean()) for window in filled] == pytest.approx([0.0, 1.0, 1.0, 0.0])


def test_windows_shorter_than_min_sound_are_unchanged() -> None:
    sound = np.zeros((1, 3 * N), np.float32)
    sound[0, 50:70] = np.arange(20) + 20
    repeat = WindowConfig(seconds=N / 1000, hop_seconds=N / 2000, pad_mode="repeat")
    plain, filled = cut(sound, repeat.model_copy(update={"pad_mode": "zeros"})), cut(sound, repeat)
    assert len(filled) == len(plain) > 3
    # the shortest sound that is repeated, half a second, is longer than the window
    assert all(np.array_equal(a, b) for a, b in zip(plain, filled, strict=True))
