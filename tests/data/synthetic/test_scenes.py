"""Scenes are built from the sounds that they should have."""

import numpy as np
import pytest

from scenelet.data.synthetic import sounds
from scenelet.data.synthetic.scenes import SCENE_TYPES, Background, rail_joints
from scenelet.data.synthetic.sounds import SAMPLE_RATE


def test_render_only_rooms_reverberate(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(samples: np.ndarray, response: np.ndarray) -> np.ndarray:
        raise RuntimeError("reverberation")

    monkeypatch.setattr(sounds, "convolve", fail)
    rng = np.random.default_rng(0)
    for label in ("outdoor", "transportation"):
        SCENE_TYPES[label](rng).render(SAMPLE_RATE // 2, rng)
    with pytest.raises(RuntimeError, match="reverberation"):
        SCENE_TYPES["indoor"](rng).render(SAMPLE_RATE // 2, rng)


def test_rail_joints_are_double_clicks(rng: np.random.Generator) -> None:
    track = rail_joints(6 * SAMPLE_RATE, 1.25, rng)
    power = (track.reshape(-1, 480) ** 2).sum(axis=1)  # per 10 ms
    loud = power > 0.05 * power.max()
    onsets_s = np.flatnonzero(loud[1:] & ~loud[:-1]) / 100
    gaps = np.sort(np.diff(onsets_s))
    np.testing.assert_allclose(gaps[: len(gaps) // 2], 0.18 / 1.25, atol=0.021)
    np.testing.assert_allclose(gaps[-(len(gaps) // 2) :], 0.82 / 1.25, atol=0.021)


def test_background_does_not_depend_on_the_class() -> None:
    alone = Background(np.random.default_rng(5))
    for scene_type in SCENE_TYPES.values():
        background = scene_type(np.random.default_rng(5)).background
        np.testing.assert_array_equal(background.spectrum_db, alone.spectrum_db)
        np.testing.assert_array_equal(background.color_db, alone.color_db)


def test_background_sound_has_unit_rms(rng: np.random.Generator) -> None:
    sound = Background(rng).sound(4800, rng)
    assert sound.shape == (2, 4800)
    np.testing.assert_allclose(np.sqrt(np.mean(sound**2)), 1.0)
