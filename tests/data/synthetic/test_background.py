"""Backgrounds tell nothing about the class."""

import numpy as np

from scenelet.data.synthetic.background import Background
from scenelet.data.synthetic.scenes import SCENE_TYPES


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
