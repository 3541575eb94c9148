"""Silence: nothing above the lower limit of hearing that is louder than dither."""

import numpy as np
import pytest

from scenelet.audio.silence import SoundDetector, is_silent

RATE = 8000
TIME = np.arange(5 * RATE) / RATE


def sine(hz: float, level: float) -> np.ndarray:
    return level * np.sin(2 * np.pi * hz * TIME)


@pytest.mark.parametrize(
    "sound",
    [
        np.zeros(RATE),
        np.full(RATE, -0.9),
        np.linspace(0.1, 0.5, 5 * RATE),
        sine(0.1, 0.9),
        sine(1, 0.5),
        sine(5, 0.02),
        np.random.default_rng(0).integers(-2, 3, 5 * RATE) / 2**15,
        0.2 + sine(300, 5e-5),
    ],
    ids=["zeros", "offset", "drift", "0.1 Hz", "1 Hz", "5 Hz", "dither", "offset and a tone below the limit"],
)
def test_no_sound(sound: np.ndarray) -> None:
    assert is_silent(sound.astype(np.float32)[None], RATE)


@pytest.mark.parametrize(
    "sound",
    [
        sine(300, 2e-4),
        sine(30, 0.001),
        0.3 + sine(3000, 3e-4),
        np.r_[np.zeros(4 * RATE), 0.5, np.zeros(RATE)],
        np.r_[np.zeros(4 * RATE), sine(200, 0.001)[: RATE // 10]],
        sine(400, 5e-4)[: RATE // 8],
        sine(400, 0.1)[: RATE // 50],
    ],
    ids=["quiet tone", "30 Hz", "tone on an offset", "click", "late tone", "short quiet tone", "short tone"],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_sound(sound: np.ndarray, channels: int) -> None:
    samples = np.zeros((channels, len(sound)), np.float32)
    samples[-1] = sound
    assert not is_silent(samples, RATE)


@pytest.mark.parametrize("block", [1, 777, 3 * RATE])
def test_detector_does_not_depend_on_blocks(block: int) -> None:
    for sound, expected in ((np.linspace(0.1, 0.5, 2 * RATE), False), (sine(300, 2e-4)[: 2 * RATE], True)):
        detector = SoundDetector(RATE)
        for start in range(0, len(sound), block):
            detector.push(sound.astype(np.float32)[None, start : start + block])
        assert detector.has_sound == expected
