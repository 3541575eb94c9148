"""The background of a synthetic recording: broadband noise of the location, and the response of the recorder.

All classes draw both from the same distributions. The average spectrum therefore says little about the class.
"""

import numpy as np

from scenelet.data.synthetic import sounds as syn
from scenelet.data.synthetic.sounds import Array

OCTAVES_HZ: Array = 31.25 * 2.0 ** np.arange(10.0)
SPECTRUM_STD_DB = 3.5
"""Standard deviation between locations, per octave, of background and recorder."""
CLIP_SPECTRUM_STD_DB = 1.5
"""Standard deviation of the background between the clips of a location, per octave."""
CLIP_LEVEL_STD_DB = 3.0
"""Standard deviation of a source's level between the clips of a location."""


class Background:
    """Background noise of a location of any class, and the recorder, drawn at random.

    Attributes:
        spectrum_db: spectrum of the noise, dB per octave band.
        coherence: fraction of the noise power that both channels share, 0 to 1.
        color_db: frequency response of the recorder, dB per octave band.
        floor_db: level of the recorder's own noise relative to the scene, dB.
        level_db: level of the recording, dB relative to full scale.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        tilt = rng.uniform(-5.5, -1.5) * np.arange(len(OCTAVES_HZ))
        self.spectrum_db = tilt + rng.normal(0.0, SPECTRUM_STD_DB, len(OCTAVES_HZ))
        self.coherence = rng.uniform(0.0, 0.8)
        self.color_db = rng.normal(0.0, SPECTRUM_STD_DB, len(OCTAVES_HZ))
        self.floor_db = rng.uniform(-45.0, -22.0)
        self.level_db = rng.uniform(-36.0, -22.0)

    def sound(self, n: int, rng: np.random.Generator) -> Array:
        """Render n samples of background noise (2, n) with an RMS of 0 dB."""
        clip_db = self.spectrum_db + rng.normal(0.0, CLIP_SPECTRUM_STD_DB, len(OCTAVES_HZ))
        return syn.noise(n, syn.curve_db(n, OCTAVES_HZ, clip_db), rng, coherence=self.coherence)

    def record(self, scene: Array, rng: np.random.Generator) -> Array:
        """Apply the recorder's response, noise and level to a scene (2, n); the result stays within full scale."""
        n = scene.shape[1]
        recorded = syn.at_level(syn.filtered(scene, syn.curve_db(n, OCTAVES_HZ, self.color_db)), 0.0)
        recorded += rng.standard_normal(scene.shape, np.float32) * syn.decibels(self.floor_db)
        recorded *= syn.decibels(self.level_db + rng.normal(0.0, 2.0))
        return recorded * min(1.0, 0.95 / float(np.abs(recorded).max()))


def jitter_level(level_db: float, rng: np.random.Generator) -> float:
    """Draw the level of a source in one clip, in dB, around its level at the location."""
    return level_db + rng.normal(0.0, CLIP_LEVEL_STD_DB)
