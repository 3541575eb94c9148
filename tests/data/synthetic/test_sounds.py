"""Sounds with known answers: pitches, decays, Doppler shifts, levels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenelet.data.synthetic import sounds
from scenelet.data.synthetic.sounds import SAMPLE_RATE


@settings(deadline=None)
@given(rt60_s=st.floats(0.3, 2.0), seed=st.integers(0, 1000))
def test_room_response_decays_by_60_db_in_its_rt60(rt60_s: float, seed: int) -> None:
    response = sounds.room_response(rt60_s, 0.0, np.random.default_rng(seed))
    # Schroeder's backward integral; the slope is read after the early reflections
    left_db = 10 * np.log10(np.cumsum(np.sum(response**2, axis=0)[::-1])[::-1])
    first, second = (int(fraction * response.shape[1]) for fraction in (0.2, 0.6))
    assert left_db[first] - left_db[second] == pytest.approx(60 * 0.4, rel=0.08)


def test_convolve_a_click_gives_the_response(rng: np.random.Generator) -> None:
    response = sounds.room_response(0.3, 3.0, rng)
    click = np.zeros(SAMPLE_RATE)
    click[1000] = 1.0
    received = sounds.convolve(click, response)
    np.testing.assert_allclose(received[:, 1000 : 1000 + response.shape[1]], response, atol=1e-5)
    assert np.abs(received[:, :1000]).max() < 1e-5


@settings(deadline=None)
@given(rate_hz=st.integers(20, 400), gains=st.lists(st.floats(0.1, 1.0), min_size=1, max_size=8))
def test_harmonics_have_their_amplitudes(rate_hz: int, gains: list[float]) -> None:
    sound = sounds.harmonics(np.full(SAMPLE_RATE, float(rate_hz)), gains)
    amplitude = 2 * np.abs(np.fft.rfft(sound)) / SAMPLE_RATE  # one second: bin k is k Hz
    expected = np.zeros(len(amplitude))
    expected[rate_hz * np.arange(1, len(gains) + 1)] = gains
    np.testing.assert_allclose(amplitude, expected, atol=1e-6)


def test_harmonics_follow_a_varying_rate() -> None:
    rate = np.linspace(100.0, 300.0, SAMPLE_RATE)
    sound = sounds.harmonics(rate, [1.0])
    crossings = np.flatnonzero((sound[:-1] < 0) & (sound[1:] >= 0))
    np.testing.assert_allclose(SAMPLE_RATE / np.diff(crossings), rate[crossings[:-1]], rtol=0.03)


@pytest.mark.parametrize("speed", [12.0, -20.0])
def test_drive_by_shifts_by_doppler_and_moves_across(speed: float) -> None:
    source = np.sin(2 * np.pi * 1000.0 * np.arange(5 * SAMPLE_RATE) / SAMPLE_RATE)
    received = sounds.drive_by(source, speed, distance=2.0, closest_s=2.0)
    assert received.shape == (2, 4 * SAMPLE_RATE)
    ratio = abs(speed) / sounds.SPEED_OF_SOUND  # the path along the road delays the sound, so the factor is 1 -+ v/c
    for start, expected_hz in ((0, 1000 * (1 + ratio)), (3 * SAMPLE_RATE, 1000 * (1 - ratio))):
        spectrum = np.abs(np.fft.rfft(received[:, start : start + SAMPLE_RATE].sum(axis=0) * np.hanning(SAMPLE_RATE)))
        assert np.argmax(spectrum) == pytest.approx(expected_hz, abs=2)
    left, right = (np.abs(received[:, : SAMPLE_RATE // 2]) ** 2).sum(axis=1)
    assert (left > 50 * right) if speed > 0 else (right > 50 * left)
    power = (received**2).sum(axis=0).reshape(-1, SAMPLE_RATE // 10).sum(axis=1)
    assert np.argmax(power) in (19, 20)


@settings(deadline=None)
@given(position=st.floats(-1, 1))
def test_pan_keeps_power(position: float) -> None:
    both = sounds.pan(np.array([0.5, -1.0]), position)
    np.testing.assert_allclose((both**2).sum(axis=0), [0.25, 1.0])


@pytest.mark.parametrize("coherence", [0.0, 0.3, 0.8])
def test_noise_has_its_slope_and_coherence(coherence: float, rng: np.random.Generator) -> None:
    n = 8 * SAMPLE_RATE
    slope_db = sounds.curve_db(n, np.array([100.0, 6400.0]), np.array([0.0, -36.0]))  # -6 dB per octave
    sound = sounds.noise(n, slope_db, rng, coherence=coherence)
    assert np.sqrt(np.mean(sound**2)) == pytest.approx(1.0)
    power = np.abs(np.fft.rfft(sound[0])) ** 2
    hz = np.fft.rfftfreq(n, 1 / SAMPLE_RATE)
    low, high = (10 * np.log10(power[(hz > f * 0.9) & (hz < f * 1.1)].mean()) for f in (400, 3200))
    assert low - high == pytest.approx(18.0, abs=1.0)
    white = sounds.noise(n, np.zeros(n // 2 + 1), rng, coherence=coherence)
    assert np.corrcoef(white)[0, 1] == pytest.approx(coherence, abs=0.01)


def test_chirp_sweeps_between_its_frequencies() -> None:
    sound = sounds.chirp(2000.0, 4000.0, 0.2, vibrato=0.0)
    spectra = [np.abs(np.fft.rfft(part, SAMPLE_RATE)) for part in np.split(sound, 8)]
    expected_hz = 2000 * 2 ** ((np.arange(8) + 0.5) / 8)
    np.testing.assert_allclose([np.argmax(s) for s in spectra], expected_hz, rtol=0.06)


def test_smooth_noise_is_smooth_and_of_unit_variance(rng: np.random.Generator) -> None:
    curve = sounds.smooth_noise(400 * SAMPLE_RATE, 1.0, rng)[:: SAMPLE_RATE // 100]
    assert 0.6 < curve.std() < 1.3
    assert np.abs(np.diff(curve)).max() < 0.1


def test_footsteps_have_their_rate(rng: np.random.Generator) -> None:
    track = sounds.footsteps(20 * SAMPLE_RATE, 2.0, rng)
    power = (track.reshape(-1, 480) ** 2).sum(axis=1)
    onsets = np.flatnonzero((power[1:] > 0) & (power[:-1] == 0))
    assert np.diff(onsets).mean() == pytest.approx(50.0, rel=0.03)
