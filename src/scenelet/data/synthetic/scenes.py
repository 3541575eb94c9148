"""The three classes of synthetic locations: which sound sources they have, and how loud these are.

A location is drawn once; each of its clips is rendered with draws of its own. Backgrounds, recorders and levels have
the same distributions in all classes, so the average spectrum says little about the class. The class shows in how the
sound changes over time and frequency.
"""

import numpy as np

from scenelet.data.synthetic import sounds as syn
from scenelet.data.synthetic.sounds import SAMPLE_RATE, Array

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


class Indoor:
    """A room with voices, footsteps, clinking objects, and the hum of mains and ventilation.

    Attributes:
        response: impulse response of the room, (2, m).
        hum_hz, hum_gains, hum_db: fundamental frequency, gain of each harmonic, and level of the hum.
        pitches_hz, voices_db: pitch of each voice, and level of all.
        step_hz: footsteps per second.
        clink_hz, clinks_per_s: modes of the clinking objects, and mean number of clinks per second.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self.background = Background(rng)
        self.response = syn.room_response(rng.uniform(0.5, 1.8), rng.uniform(0.0, 8.0), rng)
        self.hum_hz = float(rng.choice([50.0, 60.0])) * float(rng.choice([1, 2]))
        self.hum_gains = rng.uniform(0.0, 1.0, 6)
        self.hum_db = rng.uniform(-12.0, 0.0)
        self.pitches_hz = rng.uniform(90, 240, size=rng.integers(2, 6))
        self.voices_db = rng.uniform(-12.0, 2.0)
        self.step_hz = rng.uniform(1.5, 2.3)
        self.clink_hz = rng.uniform(1200, 6000, 4)
        self.clinks_per_s = rng.uniform(0.3, 2.0)

    def render(self, n: int, rng: np.random.Generator) -> Array:
        """Render a clip of n samples, (2, n)."""
        dry = syn.at_level(syn.babble(n, self.pitches_hz, rng), jitter_level(self.voices_db, rng))
        if rng.random() < 0.6:
            dry += syn.at_level(syn.footsteps(n, self.step_hz, rng), jitter_level(-10.0, rng))
        clinks = np.zeros(n)
        for _ in range(rng.poisson(self.clinks_per_s * n / SAMPLE_RATE)):
            ring = syn.ringing(0.2, self.clink_hz * rng.uniform(0.95, 1.05), rng.uniform(0.05, 0.2))
            syn.add_at(clinks, ring * rng.uniform(0.3, 1.0), int(rng.integers(n)))
        dry += syn.at_level(clinks, jitter_level(-14.0, rng))
        hum = syn.harmonics(np.full(n, self.hum_hz), self.hum_gains)
        scene = self.background.sound(n, rng) + syn.convolve(dry, self.response)
        scene += syn.at_level(hum, jitter_level(self.hum_db, rng))
        return self.background.record(scene, rng)


class Outdoor:
    """A street or a park with gusts of wind, birds, cars that drive by, and sometimes people; without reverberation.

    Attributes:
        wind_corner_hz, gust_hz, wind_db: corner frequency of the wind noise, gusts per second, and level.
        song_hz: frequencies between which a bird's syllable sweeps: start and end.
        syllable_s, vibrato, birds_db: length of a syllable, depth of its vibrato as a fraction, and level.
        cars_per_clip, cars_db: mean number of cars in a clip, and their level.
        people: fraction of the clips with people.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self.background = Background(rng)
        self.wind_corner_hz = rng.uniform(80, 400)
        self.gust_hz = rng.uniform(0.5, 1.5)
        self.wind_db = rng.uniform(-6.0, 4.0)
        self.song_hz = rng.uniform(2000, 7000, 2)
        self.syllable_s = rng.uniform(0.04, 0.15)
        self.vibrato = rng.uniform(0.0, 0.06)
        self.birds_db = rng.uniform(-14.0, -2.0)
        self.cars_per_clip = rng.uniform(0.2, 1.2)
        self.cars_db = rng.uniform(-4.0, 4.0)
        self.people = rng.uniform(0.0, 0.6)

    def render(self, n: int, rng: np.random.Generator) -> Array:
        """Render a clip of n samples, (2, n)."""
        anchors = np.array([20.0, self.wind_corner_hz, self.wind_corner_hz * 16])
        wind = syn.noise(n, syn.curve_db(n, anchors, np.array([0.0, 0.0, -40.0])), rng)
        wind *= syn.decibels(7.0 * syn.smooth_noise(n, self.gust_hz, rng))
        scene = self.background.sound(n, rng) * syn.decibels(2.0 * syn.smooth_noise(n, self.gust_hz, rng))
        scene += syn.at_level(wind, jitter_level(self.wind_db, rng))
        scene += syn.at_level(syn.pan(self._song(n, rng), rng.uniform(-1, 1)), jitter_level(self.birds_db, rng))
        for _ in range(rng.poisson(self.cars_per_clip)):
            scene += self._car(n, rng)
        if rng.random() < self.people:
            dry = syn.at_level(syn.babble(n, rng.uniform(90, 240, 2), rng), jitter_level(-8.0, rng))
            dry += syn.at_level(syn.footsteps(n, rng.uniform(1.5, 2.3), rng), jitter_level(-10.0, rng))
            scene += syn.pan(dry, rng.uniform(-1, 1))
        return self.background.record(scene, rng)

    def _song(self, n: int, rng: np.random.Generator) -> Array:
        """Render bird song, (n,): phrases of 2 to 7 syllables."""
        track, time_s = np.zeros(n), rng.uniform(0.0, 1.5)
        while time_s < n / SAMPLE_RATE:
            start_hz, end_hz = self.song_hz * rng.uniform(0.95, 1.05)
            for _ in range(rng.integers(2, 8)):
                call = syn.chirp(start_hz, end_hz, self.syllable_s, self.vibrato)
                syn.add_at(track, call * rng.uniform(0.5, 1.0), int(time_s * SAMPLE_RATE))
                time_s += self.syllable_s * rng.uniform(1.2, 1.8)
            time_s += rng.uniform(0.4, 2.0)
        return track

    def _car(self, n: int, rng: np.random.Generator) -> Array:
        """Render the tire noise of a car that drives by, (2, n)."""
        size = n + SAMPLE_RATE
        anchors = rng.uniform(500, 1100) * np.array([1 / 16, 1 / 4, 1.0, 4.0, 16.0])
        tires = syn.noise(size, syn.curve_db(size, anchors, np.array([-20.0, -8, 0, -12, -36])), rng, channels=1)[0]
        speed = rng.uniform(8, 20) * rng.choice([-1, 1])
        car = syn.drive_by(tires, speed, rng.uniform(3, 10), rng.uniform(0.0, n / SAMPLE_RATE))
        return syn.at_level(car, jitter_level(self.cars_db, rng))


def rail_joints(n: int, rate_hz: float, rng: np.random.Generator) -> Array:
    """Render rail joints, (n,): two clicks per joint, one per axle."""
    track, corner_hz = np.zeros(n), rng.uniform(200, 900)
    time_s, gap_s = rng.uniform(0.0, 1.0 / rate_hz), 0.18 / rate_hz
    while time_s < n / SAMPLE_RATE:
        for click_s in (time_s, time_s + gap_s):
            syn.add_at(track, syn.impact(corner_hz, 0.06, rng), int(click_s * SAMPLE_RATE))
        time_s += 1.0 / rate_hz
    return track


class Transportation:
    """The inside of a vehicle, with engine harmonics that follow its speed, rumble, rail joints, chimes, passengers.

    Attributes:
        engine_hz, order_gains, engine_db: fundamental frequency at the mean speed, gain of each harmonic, and level.
        joints_hz, joints_db: rail joints per second at the mean speed (0 for a road vehicle), and level.
        chime_hz: frequencies of the two tones of the chime.
        people: fraction of the clips with talking passengers.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self.background = Background(rng)
        self.engine_hz = rng.uniform(25, 90)
        self.order_gains = rng.uniform(0.2, 1.0, 16) / np.arange(1, 17) ** rng.uniform(0.0, 0.8)
        self.engine_db = rng.uniform(-4.0, 5.0)
        self.joints_hz = rng.uniform(0.8, 1.8) if rng.random() < 0.6 else 0.0
        self.joints_db = rng.uniform(-8.0, 0.0)
        self.chime_hz = rng.uniform(500, 1500) * np.array([1.0, rng.choice([0.75, 0.8, 1.25])])
        self.people = rng.uniform(0.0, 0.6)

    def render(self, n: int, rng: np.random.Generator) -> Array:
        """Render a clip of n samples, (2, n)."""
        speed = rng.uniform(0.7, 1.3) * (1.0 + 0.12 * syn.smooth_noise(n, 0.5, rng))
        engine = syn.harmonics(self.engine_hz * speed, self.order_gains)
        scene = self.background.sound(n, rng) * syn.decibels(2.0 * syn.smooth_noise(n, 1.0, rng))
        scene += syn.pan(syn.at_level(engine, jitter_level(self.engine_db, rng)), rng.uniform(-0.5, 0.5))
        if self.joints_hz:
            joints = rail_joints(n, self.joints_hz * float(speed.mean()), rng)
            scene += syn.pan(syn.at_level(joints, jitter_level(self.joints_db, rng)), rng.uniform(-0.5, 0.5))
        if rng.random() < 0.3:
            chime = np.zeros(n)
            start = int(rng.integers(n))
            for step, tone_hz in enumerate(self.chime_hz):
                syn.add_at(chime, syn.ringing(0.6, np.array([tone_hz]), 1.2), start + step * SAMPLE_RATE // 2)
            scene += syn.at_level(chime, jitter_level(-12.0, rng))
        if rng.random() < self.people:
            dry = syn.at_level(syn.babble(n, rng.uniform(90, 240, 2), rng), jitter_level(-8.0, rng))
            scene += syn.pan(dry, rng.uniform(-1, 1))
        return self.background.record(scene, rng)


SCENE_TYPES: dict[str, type[Indoor] | type[Outdoor] | type[Transportation]] = {
    "indoor": Indoor,
    "outdoor": Outdoor,
    "transportation": Transportation,
}
"""Label -> class of its locations."""
