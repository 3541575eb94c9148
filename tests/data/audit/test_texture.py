"""Texture of a window: independent of loudness and time, sensitive to modulation."""

import numpy as np
import pytest

from scenelet.data.audit.texture import FEATURES, GROUPED_BANDS, LENGTH, MODULATION_RATES, texture

MODULATIONS = slice(192, 192 + 128)


@pytest.fixture
def noise(rng: np.random.Generator) -> np.ndarray:
    """Noise of one window, (1, n)."""
    return 0.1 * rng.standard_normal((1, 5 * FEATURES.sample_rate)).astype(np.float32)


def test_texture_quieter_sound_is_equal(noise: np.ndarray) -> None:
    expected = texture(noise)
    assert expected.shape == (LENGTH,)
    np.testing.assert_allclose(texture(noise * np.float32(0.1)), expected, atol=1e-2)


def test_texture_rolled_sound_has_similar_means(noise: np.ndarray) -> None:
    rolled = np.roll(noise, 512 * 40, axis=1)
    np.testing.assert_allclose(texture(rolled)[:64], texture(noise)[:64], atol=0.2)


def test_texture_sound_modulated_at_4_hz_peaks_at_its_rate(noise: np.ndarray) -> None:
    seconds = np.arange(noise.shape[1]) / FEATURES.sample_rate
    modulated = (noise * (1 + 0.9 * np.sin(2 * np.pi * 4 * seconds))).astype(np.float32)
    gain = (texture(modulated) - texture(noise))[MODULATIONS].reshape(GROUPED_BANDS, MODULATION_RATES).mean(axis=0)
    assert np.argmax(gain) == 5  # 4 Hz is bin 20 of 108, and this rate covers bins 19 to 32
