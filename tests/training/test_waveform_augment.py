"""Augmentations of waveforms, on tones and noise whose results are known."""

import numpy as np
import pytest

from scenelet.audio.io import Samples
from scenelet.training.waveform_augment import (
    add_noise,
    change_speed,
    convolve,
    fit_length,
    level_db,
    mix_between_classes,
    response_spectrum,
    shift_pitch,
    stretch,
)

RATE = 16000


def tone(hertz: float, seconds: float = 1.0, level: float = -20.0) -> Samples:
    """Return a sine (1, n) whose power is `level` dB."""
    times = np.arange(round(seconds * RATE)) / RATE
    return (np.sqrt(2) * 10 ** (level / 20) * np.sin(2 * np.pi * hertz * times)).astype(np.float32)[None]


def amplitude(x: Samples, hertz: float) -> float:
    """Return the amplitude of a frequency in x (1, n), which is cut to complete periods of 10 Hz."""
    samples = x[0, : x.shape[1] // (RATE // 10) * (RATE // 10)].astype(np.float64)
    return float(2 * np.abs(np.mean(samples * np.exp(-2j * np.pi * hertz * np.arange(len(samples)) / RATE))))


def peak_hertz(x: Samples) -> float:
    """Return the frequency of the largest magnitude of x (1, n)."""
    return float(np.abs(np.fft.rfft(x[0] * np.hanning(x.shape[1]), 8 * RATE)).argmax() / 8)


def power_db(x: Samples) -> float:
    return float(10 * np.log10(np.square(x, dtype=np.float64).mean()))


# Speed and pitch


@pytest.mark.parametrize("factor", [0.7, 0.9, 1.0, 1.123, 1.5])
def test_change_speed_moves_a_tone_by_the_factor_and_keeps_its_level(factor: float) -> None:
    faster = change_speed(tone(1000), factor)
    assert faster.dtype == np.float32
    assert faster.shape == (1, round(RATE / factor))
    assert peak_hertz(faster) == pytest.approx(1000 * factor, abs=0.5)
    assert power_db(faster[:, 1000:-1000]) == pytest.approx(-20, abs=0.05)


def test_change_speed_removes_what_would_be_aliased() -> None:
    """A tone of 7 kHz would become one of 8.75 kHz, which half of the sample rate turns into 7.25 kHz."""
    assert power_db(change_speed(tone(7000), 1.25)[:, 1000:-1000]) < -20 - 80


@pytest.mark.parametrize("factor", [0.8, 1.0, 1.25])
def test_stretch_changes_the_duration_and_keeps_tone_and_level(factor: float) -> None:
    longer = stretch(tone(1000), factor, RATE)
    assert longer.dtype == np.float32
    assert longer.shape == (1, round(RATE * factor))
    assert peak_hertz(longer) == pytest.approx(1000, abs=1)
    assert power_db(longer[:, 2000:-2000]) == pytest.approx(-20, abs=1)


def test_stretch_by_one_is_the_identity(rng: np.random.Generator) -> None:
    x = rng.normal(size=(2, 5000)).astype(np.float32)
    assert np.allclose(stretch(x, 1.0, RATE), x, atol=1e-4)


@pytest.mark.parametrize("factor", [0.75, 1.5])
def test_stretch_moves_sounds_to_their_new_times(factor: float) -> None:
    x = np.zeros((1, RATE), np.float32)
    x[:, 4000:4400] = tone(1000)[:, :400]
    energy = np.square(stretch(x, factor, RATE)[0])
    assert float((energy * np.arange(len(energy))).sum() / energy.sum()) == pytest.approx(4200 * factor, abs=160)


def test_stretch_of_silence_is_silence() -> None:
    assert not stretch(np.zeros((2, 100), np.float32), 1.3, RATE).any()


@pytest.mark.parametrize("semitones", [-5.0, 0.5, 4.0])
def test_shift_pitch_moves_a_tone_and_keeps_the_duration(semitones: float) -> None:
    shifted = shift_pitch(tone(1000), semitones, RATE)
    assert shifted.shape == (1, RATE)
    assert peak_hertz(shifted) == pytest.approx(1000 * 2 ** (semitones / 12), abs=1)


@pytest.mark.parametrize("n", [1, 3, 4, 11])
def test_fit_length_continues_from_the_start(n: int) -> None:
    x = np.arange(8, dtype=np.float32).reshape(2, 4)
    assert np.array_equal(fit_length(x, n), x[:, np.arange(n) % 4])


# Mixing


@pytest.mark.parametrize("weight", [0.1, 0.5, 0.8])
@pytest.mark.parametrize(("level", "other_level"), [(-10.0, -10.0), (-10.0, -40.0), (-35.0, -5.0)])
def test_mix_between_classes_balances_the_levels(weight: float, level: float, other_level: float) -> None:
    """Of two tones of any level, the amplitudes in the mixture are as r to 1 - r."""
    x, other = tone(1000, level=level), tone(2000, level=other_level)
    levels = level_db(x, RATE), level_db(other, RATE)
    assert levels == pytest.approx((level, other_level), abs=0.01)
    mixed = mix_between_classes(x, other, weight, *levels)
    assert amplitude(mixed, 1000) / amplitude(mixed, 2000) == pytest.approx(weight / (1 - weight), rel=1e-3)
    # Eq. 2 of the paper
    p = 1 / (1 + 10 ** ((level - other_level) / 20) * (1 - weight) / weight)
    assert np.allclose(mixed, (p * x + (1 - p) * other) / np.sqrt(p**2 + (1 - p) ** 2), atol=1e-4)


def test_mix_between_classes_of_equal_levels_keeps_the_power() -> None:
    mixed = mix_between_classes(tone(1000), tone(2000), 0.3, -20, -20)
    assert power_db(mixed) == pytest.approx(-20, abs=0.01)


@pytest.mark.parametrize(("weight", "kept"), [(0.0, 2000), (1.0, 1000)])
def test_mix_between_classes_of_weight_zero_or_one_is_one_sound(weight: float, kept: float) -> None:
    mixed = mix_between_classes(tone(1000), tone(2000), weight, -20, -20)
    assert np.allclose(mixed, tone(kept), atol=1e-6)


def test_level_is_that_of_the_loudest_part() -> None:
    x = tone(1000, level=-60)
    x[:, 8000:9600] = tone(1000, 0.1, level=-6)
    assert level_db(x, RATE) == pytest.approx(-6, abs=0.01)


# Impulse responses and noise


def respond(x: Samples, response: np.ndarray) -> Samples:
    return convolve(x, response_spectrum(response, x.shape[1]))


def test_convolve_with_an_impulse_is_the_identity(rng: np.random.Generator) -> None:
    x = rng.normal(size=(2, 1000)).astype(np.float32)
    assert np.allclose(respond(x, np.float32([3])), x, atol=1e-5)
    assert np.allclose(respond(x, np.float32([0, 0, -2]))[:, 2:], -x[:, :-2], atol=1e-5)


def test_convolve_equals_the_definition(rng: np.random.Generator) -> None:
    x, response = rng.normal(size=(2, 500)).astype(np.float32), rng.normal(size=90).astype(np.float32)
    expected = [np.convolve(row, response)[:500] / np.linalg.norm(response) for row in x.astype(np.float64)]
    assert np.allclose(respond(x, response), expected, atol=1e-5)


def test_convolve_keeps_the_power_of_noise(rng: np.random.Generator) -> None:
    x, response = rng.normal(size=(1, 200_000)).astype(np.float32), 5 * rng.normal(size=300).astype(np.float32)
    assert power_db(respond(x, response)) == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("snr_db", [-10.0, 0.0, 25.0])
def test_add_noise_has_the_signal_to_noise_ratio(snr_db: float, rng: np.random.Generator) -> None:
    x = np.concatenate([tone(1000), tone(500)])
    added = add_noise(x, rng.normal(size=x.shape).astype(np.float32), snr_db) - x
    assert power_db(x) - power_db(added) == pytest.approx(snr_db, abs=0.01)


def test_add_noise_to_silence_is_silence(rng: np.random.Generator) -> None:
    silence = np.zeros((1, 100), np.float32)
    assert not add_noise(silence, rng.normal(size=(1, 100)).astype(np.float32), 10).any()
