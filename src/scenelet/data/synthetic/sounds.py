"""Sound sources, rooms and movement, from which synthetic scenes are mixed.

Each function takes parameters, and a `numpy.random.Generator` if it draws. It returns samples at `SAMPLE_RATE`:
(n,) for mono, (2, n) for stereo.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.interpolate import CubicSpline

SAMPLE_RATE = 48000  # Hz
SPEED_OF_SOUND = 343.0  # m/s

Array = NDArray[np.float64]

VOWELS: tuple[tuple[float, float, float], ...] = (  # first three formants of a male voice, Hz; Peterson and Barney 1952
    (270, 2290, 3010),
    (390, 1990, 2550),
    (530, 1840, 2480),
    (660, 1720, 2410),
    (730, 1090, 2440),
    (570, 840, 2410),
    (440, 1020, 2240),
    (300, 870, 2240),
    (640, 1190, 2390),
    (490, 1350, 1690),
)


def decibels(gain_db: float | Array) -> Array:
    """Convert a gain in dB to a factor on the amplitude.

    >>> float(decibels(20.0))
    10.0
    """
    return np.asarray(10.0 ** (np.asarray(gain_db) / 20.0))


def at_level(samples: Array, level_db: float) -> Array:
    """Scale samples to an RMS of `level_db`; silence stays silence."""
    rms = float(np.sqrt(np.mean(samples**2)))
    return samples * (decibels(level_db) / rms) if rms > 0 else samples


def seconds_axis(n: int) -> Array:
    """Compute the time in seconds of each of n samples."""
    return np.arange(n) / SAMPLE_RATE


def smooth_noise(n: int, rate_hz: float, rng: np.random.Generator) -> Array:
    """Draw a smooth random curve (n,) of about unit variance.

    It is a cubic spline through `rate_hz` normal draws per second.
    """
    knots = 4 + int(n / SAMPLE_RATE * rate_hz)
    start = rng.uniform(0.0, 1.0)
    spline = CubicSpline(np.arange(knots + 1), rng.standard_normal(knots + 1))
    return np.asarray(spline(start + np.arange(n) * (rate_hz / SAMPLE_RATE)))


def curve_db(n: int, anchors_hz: Array, values_db: Array) -> Array:
    """Interpolate a gain in dB at each bin of an n-point real FFT, linearly in log frequency between the anchors."""
    hz = np.maximum(fft.rfftfreq(n, 1 / SAMPLE_RATE), 1.0)
    return np.asarray(np.interp(np.log2(hz), np.log2(anchors_hz), values_db))


def filtered(samples: Array, gain_db: Array) -> Array:
    """Apply a zero-phase filter along the last axis; `gain_db` is its gain per bin of an FFT as long as the samples."""
    spectrum = fft.rfft(samples.astype(np.float32)) * decibels(gain_db).astype(np.float32)
    return np.asarray(fft.irfft(spectrum, samples.shape[-1]), float)


def noise(n: int, gain_db: Array, rng: np.random.Generator, channels: int = 2, coherence: float = 0.0) -> Array:
    """Draw Gaussian noise (channels, n) of unit RMS.

    Args:
        n: number of samples.
        gain_db: spectrum in dB per bin of an n-point real FFT.
        rng: random generator.
        channels: number of channels.
        coherence: fraction of the power that the channels share, 0 to 1.
    """
    bins = n // 2 + 1
    # each pair of single-precision normals is the real and imaginary part of a bin
    spectra = rng.standard_normal((channels, 2 * bins), np.float32).view(np.complex64)
    if coherence > 0:
        common = rng.standard_normal(2 * bins, np.float32).view(np.complex64)
        spectra = np.float32(np.sqrt(1.0 - coherence)) * spectra + np.float32(np.sqrt(coherence)) * common
    spectra *= decibels(gain_db).astype(np.float32)
    spectra[:, 0] = 0.0
    return at_level(np.asarray(fft.irfft(spectra, n), float), 0.0)


def pan(mono: Array, position: float | Array) -> Array:
    """Pan mono (n,) to stereo (2, n) at constant power; `position` goes from -1 (left) to 1 (right).

    >>> pan(np.array([1.0]), 0.0).round(3).tolist()
    [[0.707], [0.707]]
    """
    angle = (np.asarray(position) + 1.0) * (np.pi / 4)
    return np.stack([np.cos(angle) * mono, np.sin(angle) * mono])


def add_at(track: Array, sound: Array, start: int) -> None:
    """Add `sound` to `track` (n,) in place, from sample `start` on; what exceeds the track is dropped."""
    stop = min(len(track), start + len(sound))
    if start < stop:
        track[start:stop] += sound[: stop - start]


def room_response(rt60_s: float, late_db: float, rng: np.random.Generator) -> Array:
    """Draw the impulse response (2, m) of a room: direct sound, ten early reflections, and decaying noise.

    The model is that of Moorer, About This Reverberation Business, 1979.

    Args:
        rt60_s: reverberation time in seconds, in which the late part decays by 60 dB.
        late_db: energy of the late part relative to the direct sound, dB.
        rng: random generator.
    """
    n = int(rt60_s * SAMPLE_RATE)
    time_s = seconds_axis(n)
    late = rng.standard_normal((2, n)) * 10.0 ** (-3.0 * time_s / rt60_s)
    late[:, time_s < min(0.02, 0.1 * rt60_s)] = 0.0  # no reflection arrives with the direct sound
    late *= decibels(late_db) / np.sqrt(np.mean(np.sum(late**2, axis=1)))
    delays_s = rng.uniform(0.004, 0.05, size=10) * min(1.0, rt60_s / 0.5)
    for delay_s, position in zip(delays_s, rng.uniform(-1, 1, size=10), strict=True):
        late[:, int(delay_s * SAMPLE_RATE)] += pan(np.array([0.3]), float(position))[:, 0]
    late[:, 0] += 1.0
    return late


def convolve(samples: Array, response: Array) -> Array:
    """Convolve samples (n,) with a response (2, m); return the first n samples, (2, n)."""
    size = fft.next_fast_len(len(samples) + response.shape[1] - 1, real=True)
    spectrum = fft.rfft(samples.astype(np.float32), size) * fft.rfft(response.astype(np.float32), size)
    return np.asarray(fft.irfft(spectrum, size)[:, : len(samples)], float)


def harmonics(rate_hz: Array, gains: Sequence[float] | Array) -> Array:
    """Sum the harmonics 1, 2, ... of a fundamental that may vary: samples (n,).

    Args:
        rate_hz: fundamental frequency at each sample, (n,).
        gains: amplitude of each harmonic.

    >>> quarter_period = np.full(SAMPLE_RATE // 4, 1.0)  # 1 Hz for a quarter of a second
    >>> round(float(harmonics(quarter_period, [1.0])[-1]), 3)
    1.0
    """
    turn = np.exp(2j * np.pi * np.cumsum(rate_hz) / SAMPLE_RATE)
    # z, z^2, z^3 ... as running products, so that one exponential serves all harmonics
    total, power = np.zeros(len(rate_hz)), np.ones(len(rate_hz), complex)
    for gain in gains:
        power = power * turn
        total += gain * power.imag
    return total


def voice(n: int, pitch_hz: float, rng: np.random.Generator) -> Array:
    """Draw a babbling voice (n,): glottal pulses of gliding pitch through formants, in syllables and phrases."""
    track = np.zeros(n)
    tract = pitch_hz / 120.0
    start = int(rng.uniform(-0.5, 0.6) * SAMPLE_RATE)
    while start < n:
        length = fft.next_fast_len(int(rng.uniform(0.09, 0.28) * SAMPLE_RATE), real=True)
        glide = pitch_hz * (1.0 + rng.uniform(-0.2, 0.25) + rng.uniform(-0.15, 0.1) * np.linspace(0, 1, length))
        pulses = np.diff(np.floor(np.cumsum(glide) / SAMPLE_RATE), prepend=0.0)
        hz = fft.rfftfreq(length, 1 / SAMPLE_RATE)
        formants = np.array(VOWELS[rng.integers(len(VOWELS))]) * tract**0.25
        tract_response = np.zeros(len(hz), complex)
        for formant_hz, width_hz, gain in zip(formants, (60, 90, 140), (1.0, 0.5, 0.3), strict=True):
            tract_response += gain / (1.0 + 1j * (hz - formant_hz) / width_hz)
        sound = fft.irfft(fft.rfft(pulses) * tract_response, length) * np.hanning(length)
        if start >= 0:
            add_at(track, sound * decibels(rng.uniform(-8, 0)), start)
        pause_s = rng.uniform(0.3, 1.0) if rng.random() < 0.15 else rng.uniform(0.0, 0.06)
        start += length + int(pause_s * SAMPLE_RATE)
    return track


def ringing(length_s: float, modes_hz: Array, decay_s: float) -> Array:
    """Sum the decaying modes (n,) of a struck object, such as glass, rail or chime; they lose 60 dB in `decay_s`."""
    time_s = seconds_axis(int(length_s * SAMPLE_RATE))
    rings = np.sin(2 * np.pi * modes_hz[:, None] * time_s).sum(axis=0)
    return np.asarray(rings * 10.0 ** (-3.0 * time_s / decay_s) / len(modes_hz))


def impact(corner_hz: float, decay_s: float, rng: np.random.Generator) -> Array:
    """Draw a short burst of noise (n,) around `corner_hz`, such as a footstep, a rail joint or a closing door."""
    n = fft.next_fast_len(int(decay_s * SAMPLE_RATE), real=True)
    shape = curve_db(n, np.array([corner_hz / 8, corner_hz, corner_hz * 8]), np.array([-15.0, 0.0, -24.0]))
    fall = 10.0 ** (-3.0 * seconds_axis(n) / decay_s)
    return np.asarray(noise(n, shape, rng, channels=1)[0] * fall)


def babble(n: int, pitches_hz: Array, rng: np.random.Generator) -> Array:
    """Draw several simultaneous voices, (n,)."""
    voices = [voice(n, float(pitch), rng) * decibels(rng.uniform(-9, 0)) for pitch in pitches_hz]
    return np.asarray(np.sum(voices, axis=0))


def footsteps(n: int, rate_hz: float, rng: np.random.Generator) -> Array:
    """Draw the slightly irregular footsteps of one person, (n,)."""
    track = np.zeros(n)
    corner_hz, time_s = rng.uniform(150, 600), rng.uniform(0.0, 1.0)
    while time_s < n / SAMPLE_RATE:
        add_at(track, impact(corner_hz, 0.08, rng) * rng.uniform(0.6, 1.0), int(time_s * SAMPLE_RATE))
        time_s += rng.normal(1.0, 0.04) / rate_hz
    return track


def chirp(from_hz: float, to_hz: float, length_s: float, vibrato: float) -> Array:
    """Compute a bird's syllable (n,): a sweep with a 40 Hz vibrato, whose depth is a fraction of the frequency."""
    time_s = seconds_axis(int(length_s * SAMPLE_RATE))
    sweep = from_hz * (to_hz / from_hz) ** (time_s / length_s)
    sweep *= 1.0 + vibrato * np.sin(2 * np.pi * 40.0 * time_s)
    return harmonics(sweep, (1.0, 0.08)) * np.hanning(len(time_s))


def drive_by(source: Array, speed: float, distance: float, closest_s: float) -> Array:
    """Move a source past the listener on a straight line, with delay, Doppler shift and panning: samples (2, n).

    Args:
        source: emitted samples, one second longer than the result.
        speed: m/s from left to right; negative from right to left.
        distance: m at the closest point, where the gain is 1.
        closest_s: time of the closest point, s.
    """
    n = len(source) - SAMPLE_RATE
    time_s = seconds_axis(n)
    along = speed * (time_s - closest_s)
    range_m = np.hypot(along, distance)
    sent_s = time_s - (range_m - distance) / SPEED_OF_SOUND
    received = np.interp(sent_s + 1.0, seconds_axis(len(source)), source) * (distance / range_m)
    return pan(received, along / range_m)
