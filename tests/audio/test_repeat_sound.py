"""Silence at a window's ends: filled by repeating what is heard between."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenelet.audio.windows import repeat_sound, windows_of_array
from scenelet.config import WindowConfig

N = 40


def sound_at(first: int, length: int, level: float = 1.0) -> np.ndarray:
    """Two channels of silence with 1, 2, 3, ... (times level) from `first` on."""
    window = np.zeros((2, N), np.float32)
    window[:, first : first + length] = level * (np.arange(length) + length)
    return window


def test_the_sound_fills_the_window_from_its_start() -> None:
    filled = repeat_sound(sound_at(7, 12), 60, at_least=5)
    assert filled.tolist() == [[12 + i % 12 for i in range(N)]] * 2


def test_a_click_keeps_silence_around_it() -> None:
    filled = repeat_sound(sound_at(7, 1), 60, at_least=10)
    assert np.flatnonzero(filled[0]).tolist() == [0, 10, 20, 30]
    late = repeat_sound(sound_at(N - 1, 1), 60, at_least=10)  # no room behind it, so the silence is before
    assert np.flatnonzero(late[0]).tolist() == [9, 19, 29, 39]


def test_silence_is_measured_from_the_peak_in_either_channel() -> None:
    window = sound_at(10, 20)
    window[1, 35] = window.max() * 10 ** (-50 / 20)
    assert repeat_sound(window, 60, 5)[1, 25] == window[1, 35]
    assert repeat_sound(window, 40, 5).tolist() == [[20 + i % 20 for i in range(N)]] * 2
    assert np.array_equal(repeat_sound(1e-6 * window, 40, 5), np.float32(1e-6) * repeat_sound(window, 40, 5))


def test_sound_to_both_ends_and_silence_alone_stay() -> None:
    full = np.ones((1, N), np.float32)
    full[0, 3:30] = 0  # what is silent inside stays too
    assert repeat_sound(full, 60, 5) is full
    nothing = np.zeros((1, N), np.float32)
    assert repeat_sound(nothing, 60, 5) is nothing


@given(
    first=st.integers(0, N - 1),
    length=st.integers(1, N),
    at_least=st.integers(1, N),
    below=st.sampled_from([20.0, 60.0]),
)
@settings(deadline=None)
def test_every_sample_of_the_sound_is_kept(first: int, length: int, at_least: int, below: float) -> None:
    window = sound_at(first, min(length, N - first))
    filled = repeat_sound(window, below, at_least)
    assert filled.shape == window.shape
    assert filled.dtype == window.dtype
    assert set(filled[0].tolist()) - {0.0} == set(window[0].tolist()) - {0.0}


def test_it_is_done_to_each_window_by_itself() -> None:
    """With overlapping windows too: what is repeated in one must not show in the next."""
    sound = np.zeros((1, 3 * N), np.float32)
    sound[0, 50:70] = np.arange(20) + 20
    rule = WindowConfig(seconds=N / 1000, hop_seconds=N / 2000, pad_mode="repeat")
    plain = [
        w.copy() for w in windows_of_array(sound, 1000, 1000, "mono", rule.model_copy(update={"pad_mode": "zeros"}))
    ]
    filled = [w.copy() for w in windows_of_array(sound, 1000, 1000, "mono", rule)]
    assert len(filled) == len(plain) > 3
    # at 1 kHz the shortest sound that is repeated, half a second, is longer than the window
    assert all(np.array_equal(a, b) for a, b in zip(plain, filled, strict=True))
    long = WindowConfig(seconds=2.0, hop_seconds=1.0, pad_mode="repeat")
    tone = np.zeros((1, 5000), np.float32)
    tone[0, 2100:2900] = 1.0
    filled = [w.copy() for w in windows_of_array(tone, 1000, 1000, "mono", long)]
    assert [float(w.mean()) for w in filled] == pytest.approx([0.0, 1.0, 1.0, 0.0])
