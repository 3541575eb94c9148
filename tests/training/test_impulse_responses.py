"""Impulse responses: synthetic rooms and microphones, and files of the user."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from scenelet.config import RunConfig
from scenelet.config.recipes import load_recipe
from scenelet.errors import AudioError, UsageError
from scenelet.training.impulse_responses import impulse_responses, microphone, minimum_phase, room, synthetic_response

RATE = 16000


def settings(folder: Path) -> RunConfig:
    changes = ["waveform.train=true", "waveform.response_probability=1", "features.sample_rate=16000"]
    return load_recipe("paper_short", [*changes, f"waveform.impulse_responses={folder}"])


@pytest.mark.parametrize("rt60", [0.2, 1.0])
def test_room_decays_by_60_db_in_its_reverberation_time(rt60: float) -> None:
    """Schroeder's integral of the squared response falls by 30 dB in half of the time."""
    energy = np.square(room(np.random.default_rng(0), RATE, rt60, direct_db=0.0)[1:], dtype=np.float64)
    decay = 10 * np.log10(np.cumsum(energy[::-1])[::-1] / energy.sum())
    assert len(energy) == round(rt60 * RATE)
    assert decay[round(rt60 * RATE / 2)] == pytest.approx(-30, abs=1)


@pytest.mark.parametrize("direct_db", [0.0, 12.0])
def test_room_has_the_ratio_of_direct_sound(direct_db: float) -> None:
    response = room(np.random.default_rng(0), RATE, 0.3, direct_db)
    assert response[0] == 1
    assert 10 * np.log10(np.square(response[1:], dtype=np.float64).sum()) == pytest.approx(-direct_db, abs=0.01)


def test_minimum_phase_has_the_gains_and_begins_at_once() -> None:
    gains = 6 * np.sin(np.linspace(0, 3, 513))
    response = minimum_phase(gains)
    assert 20 * np.log10(np.abs(np.fft.rfft(response))) == pytest.approx(gains, abs=0.01)
    assert np.abs(response).argmax() == 0


def test_microphone_stays_within_its_gains_and_differs() -> None:
    rng = np.random.default_rng(0)
    responses = [20 * np.log10(np.abs(np.fft.rfft(microphone(rng, RATE, 6.0)))) for _ in range(5)]
    assert np.abs(responses).max() < 6.1
    assert np.std(responses, axis=0).max() > 1


def test_synthetic_response_is_at_most_as_long_as_a_window() -> None:
    rng = np.random.default_rng(0)
    lengths = [len(synthetic_response(rng, RATE, 2.0, 6.0, max_samples=5000)) for _ in range(5)]
    assert max(lengths) == 5000
    assert len(synthetic_response(rng, RATE, 0.1, 0.0, max_samples=5000)) == 1601


def test_synthetic_response_without_rooms_is_a_microphone() -> None:
    response = synthetic_response(np.random.default_rng(0), RATE, 0.0, 6.0, max_samples=5000)
    assert np.array_equal(response, microphone(np.random.default_rng(0), RATE, 6.0))
    assert len(synthetic_response(np.random.default_rng(0), RATE, 0.0, 6.0, max_samples=500)) == 500


def test_recorded_responses_begin_with_the_direct_sound(tmp_path: Path, write_wav: Callable[..., Path]) -> None:
    sound = np.zeros((2, 3000))
    sound[0, 800:803] = 1.0, -0.5, 0.25
    sound[1] = 1
    write_wav(sound, RATE, "b.wav")
    write_wav(2 * sound[:1], RATE, "a.wav")
    first, second = impulse_responses(settings(tmp_path))
    assert len(first) == len(second) == 3000 - 800 + 16
    assert np.allclose(second[16:19], [1.0, -0.5, 0.25], atol=1e-6)
    assert np.allclose(first, 2 * second, atol=1e-6)


def test_recorded_responses_are_resampled_and_cut_to_a_window(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "long.wav", np.r_[1.0, np.full(99_999, 0.01)], 8000)
    (response,) = impulse_responses(settings(tmp_path))
    assert response.dtype == np.float32
    assert len(response) == 5 * RATE


def test_impulse_responses_are_drawn_by_the_seed_if_they_are_used() -> None:
    assert impulse_responses(load_recipe("default")) == ()
    used = ["waveform.train=true", "waveform.response_probability=0.5"]
    first, again, other = (impulse_responses(load_recipe("default", [*used, f"seed={seed}"])) for seed in (1, 1, 2))
    assert len(first) == 64
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0][:100], other[0][:100])


def test_recorded_responses_bad_folder_or_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"missing: is not a folder; set waveform\.impulse_responses to a folder"):
        impulse_responses(settings(tmp_path / "missing"))
    folder = tmp_path / "empty"
    folder.mkdir()
    with pytest.raises(UsageError, match="empty: holds no recordings; set"):
        impulse_responses(settings(folder))
    (folder / "a.wav").write_text("not sound")
    with pytest.raises(AudioError, match=r"a\.wav: "):
        impulse_responses(settings(folder))
    soundfile.write(folder / "a.wav", np.zeros(100), RATE)
    with pytest.raises(AudioError, match=r"a\.wav: is silent; remove it"):
        impulse_responses(settings(folder))
