"""Made scenes: deterministic, well-formed, places apart, and built from sounds with known answers."""

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from scenelet.data.load import load_table
from scenelet.data.synthetic import dataset as scenes
from scenelet.data.synthetic import sounds as synthesis
from scenelet.data.synthetic.dataset import synthetic_clip, write_synthetic_dataset
from scenelet.data.synthetic.scenes import LOCATIONS, Background, Transportation
from scenelet.data.synthetic.sounds import SAMPLE_RATE
from scenelet.errors import DataError, UsageError

SMALL = {"clips_per_place": 2, "train_places": 2, "test_places": 1, "seconds": 0.5}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_synthetic_dataset(tmp_path_factory.mktemp("synthetic") / "scenes", seed=3, workers=1, **SMALL)


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "scenes.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_same_seed_gives_the_same_samples_with_any_number_of_workers(made: Path, tmp_path: Path) -> None:
    again = write_synthetic_dataset(tmp_path / "again", seed=3, workers=3, **SMALL)
    assert (again / "scenes.csv").read_bytes() == (made / "scenes.csv").read_bytes()
    for row in rows_of(made):
        first, second = (soundfile.read(folder / row["filename"], dtype="int16")[0] for folder in (made, again))
        np.testing.assert_array_equal(first, second)


def test_seeds_places_and_clips_all_differ() -> None:
    keys = [(seed, place, clip) for seed in (0, 1) for place in (0, 1) for clip in (0, 1)]
    clips = [synthetic_clip(seed, "outdoor", place, clip, 0.5) for seed, place, clip in keys]
    for i, first in enumerate(clips):
        for second in clips[:i]:
            assert abs(np.corrcoef(first[0], second[0])[0, 1]) < 0.5


def test_recordings_are_stereo_48_khz_16_bit_and_not_clipped(made: Path) -> None:
    for row in rows_of(made):
        info = soundfile.info(made / row["filename"])
        assert (info.samplerate, info.channels, info.frames, info.subtype) == (48000, 2, 24000, "PCM_16")
        samples = soundfile.read(made / row["filename"])[0]
        assert 0.001 < np.abs(samples).max() < 0.96


def test_longest_draws_are_finite_and_within_full_scale() -> None:
    for label in LOCATIONS:
        for place in range(4):
            samples = synthetic_clip(11, label, place, 0, 4.0)
            assert samples.shape == (2, 192000)
            assert np.isfinite(samples).all()
            assert np.abs(samples).max() <= 0.951


def test_table_keeps_places_apart_and_says_that_it_is_made(made: Path) -> None:
    rows = rows_of(made)
    assert list(rows[0]) == ["filename", "label", "group", "split", "source"]
    assert {row["source"] for row in rows} == {"synthetic (scenelet, seed 3)"}
    sides = {split: {row["group"] for row in rows if row["split"] == split} for split in ("train", "test")}
    assert not sides["train"] & sides["test"]
    assert (len(sides["train"]), len(sides["test"]), len(rows)) == (6, 3, 18)
    assert all(row["group"].startswith(row["label"]) for row in rows)
    assert "synthetic" in (made / "README.txt").read_text()


def test_folder_is_recognised_as_made_data(made: Path) -> None:
    table = load_table(made)
    assert table.synthetic
    assert table.labels == ("indoor", "outdoor", "transportation")
    assert {clip.split for clip in table.clips} == {"train", "test"}


def test_a_complete_folder_is_used_again(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenes, "synthetic_clip", None)  # would fail if a clip were made
    assert write_synthetic_dataset(made, seed=3, **SMALL) == made


@pytest.mark.parametrize("change", [{"seed": 4}, {"seconds": 0.75}, {"clips_per_place": 1}])
def test_other_settings_are_refused_and_nothing_is_lost(made: Path, change: dict[str, int]) -> None:
    with pytest.raises(DataError, match="something else"):
        write_synthetic_dataset(made, **{"seed": 3, **SMALL, **change})
    assert len(rows_of(made)) == 18


def test_a_failure_on_the_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(seed: int, label: str, place: int, clip: int, seconds: float) -> np.ndarray:
        if label == "outdoor":
            raise OSError("disk full")
        return synthetic_clip(seed, label, place, clip, seconds)

    monkeypatch.setattr(scenes, "synthetic_clip", fail)
    with pytest.raises(OSError, match="disk full"):
        write_synthetic_dataset(tmp_path / "scenes", seed=0, workers=2, **SMALL)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("change", [{"seed": -1}, {"seconds": 0.0}, {"test_places": 0}, {"workers": -1}])
def test_settings_out_of_range(tmp_path: Path, change: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        write_synthetic_dataset(tmp_path / "scenes", **{"seed": 0, **SMALL, **change})


def test_unknown_label() -> None:
    with pytest.raises(UsageError, match="indoor, outdoor, transportation"):
        synthetic_clip(0, "underwater", 0, 0)


def test_only_rooms_reverberate(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def dry(samples: np.ndarray, response: np.ndarray) -> np.ndarray:
        calls.append(label)
        return np.stack([samples, samples])

    monkeypatch.setattr(synthesis, "convolve", dry)
    for label in LOCATIONS:
        synthetic_clip(0, label, 0, 0, 0.5)
    assert calls == ["indoor"]


@settings(deadline=None)
@given(rt60_s=st.floats(0.3, 2.0), seed=st.integers(0, 1000))
def test_room_response_falls_by_60_db_in_its_rt60(rt60_s: float, seed: int) -> None:
    response = synthesis.room_response(rt60_s, 0.0, np.random.default_rng(seed))
    # Schroeder's backward integral; the slope is read after the early reflections
    left_db = 10 * np.log10(np.cumsum(np.sum(response**2, axis=0)[::-1])[::-1])
    first, second = (int(share * response.shape[1]) for share in (0.2, 0.6))
    assert left_db[first] - left_db[second] == pytest.approx(60 * 0.4, rel=0.08)


def test_convolution_of_a_click_is_the_response(rng: np.random.Generator) -> None:
    response = synthesis.room_response(0.3, 3.0, rng)
    click = np.zeros(SAMPLE_RATE)
    click[1000] = 1.0
    heard = synthesis.convolve(click, response)
    np.testing.assert_allclose(heard[:, 1000 : 1000 + response.shape[1]], response, atol=1e-5)
    assert np.abs(heard[:, :1000]).max() < 1e-5


@settings(deadline=None)
@given(rate_hz=st.integers(20, 400), gains=st.lists(st.floats(0.1, 1.0), min_size=1, max_size=8))
def test_engine_orders_are_harmonics(rate_hz: int, gains: list[float]) -> None:
    sound = synthesis.harmonics(np.full(SAMPLE_RATE, float(rate_hz)), gains)
    amplitude = 2 * np.abs(np.fft.rfft(sound)) / SAMPLE_RATE  # one second: bin k is k Hz
    expected = np.zeros(len(amplitude))
    expected[rate_hz * np.arange(1, len(gains) + 1)] = gains
    np.testing.assert_allclose(amplitude, expected, atol=1e-6)


def test_engine_orders_follow_the_rate() -> None:
    rate = np.linspace(100.0, 300.0, SAMPLE_RATE)
    sound = synthesis.harmonics(rate, [1.0])
    crossings = np.flatnonzero((sound[:-1] < 0) & (sound[1:] >= 0))
    np.testing.assert_allclose(SAMPLE_RATE / np.diff(crossings), rate[crossings[:-1]], rtol=0.03)


@pytest.mark.parametrize("speed", [12.0, -20.0])
def test_passing_source_shifts_by_doppler_and_moves_across(speed: float) -> None:
    source = np.sin(2 * np.pi * 1000.0 * np.arange(5 * SAMPLE_RATE) / SAMPLE_RATE)
    heard = synthesis.drive_by(source, speed, distance=2.0, closest_s=2.0)
    assert heard.shape == (2, 4 * SAMPLE_RATE)
    ratio = abs(speed) / synthesis.SPEED_OF_SOUND  # heard late by the way along the road, so 1 -+ v/c
    for start, expected_hz in ((0, 1000 * (1 + ratio)), (3 * SAMPLE_RATE, 1000 * (1 - ratio))):
        spectrum = np.abs(np.fft.rfft(heard[:, start : start + SAMPLE_RATE].sum(axis=0) * np.hanning(SAMPLE_RATE)))
        assert np.argmax(spectrum) == pytest.approx(expected_hz, abs=2)
    left, right = (np.abs(heard[:, : SAMPLE_RATE // 2]) ** 2).sum(axis=1)
    assert (left > 50 * right) if speed > 0 else (right > 50 * left)
    power = (heard**2).sum(axis=0).reshape(-1, SAMPLE_RATE // 10).sum(axis=1)
    assert np.argmax(power) in (19, 20)


@settings(deadline=None)
@given(position=st.floats(-1, 1))
def test_pan_keeps_power(position: float) -> None:
    both = synthesis.pan(np.array([0.5, -1.0]), position)
    np.testing.assert_allclose((both**2).sum(axis=0), [0.25, 1.0])


@pytest.mark.parametrize("coherence", [0.0, 0.3, 0.8])
def test_noise_has_its_slope_and_coherence(coherence: float, rng: np.random.Generator) -> None:
    n = 8 * SAMPLE_RATE
    slope_db = synthesis.curve_db(n, np.array([100.0, 6400.0]), np.array([0.0, -36.0]))  # -6 dB an octave
    sound = synthesis.noise(n, slope_db, rng, coherence=coherence)
    assert np.sqrt(np.mean(sound**2)) == pytest.approx(1.0)
    power = np.abs(np.fft.rfft(sound[0])) ** 2
    hz = np.fft.rfftfreq(n, 1 / SAMPLE_RATE)
    low, high = (10 * np.log10(power[(hz > f * 0.9) & (hz < f * 1.1)].mean()) for f in (400, 3200))
    assert low - high == pytest.approx(18.0, abs=1.0)
    white = synthesis.noise(n, np.zeros(n // 2 + 1), rng, coherence=coherence)
    assert np.corrcoef(white)[0, 1] == pytest.approx(coherence, abs=0.01)


def test_chirp_sweeps_from_one_pitch_to_the_other() -> None:
    sound = synthesis.chirp(2000.0, 4000.0, 0.2, vibrato=0.0)
    spectra = [np.abs(np.fft.rfft(part, SAMPLE_RATE)) for part in np.split(sound, 8)]
    expected_hz = 2000 * 2 ** ((np.arange(8) + 0.5) / 8)
    np.testing.assert_allclose([np.argmax(s) for s in spectra], expected_hz, rtol=0.06)


def test_rail_joints_are_double_clicks(rng: np.random.Generator) -> None:
    track = Transportation.draw(rng)._joints(6 * SAMPLE_RATE, 1.25, rng)
    loud = (track.reshape(-1, 480) ** 2).sum(axis=1) > 0.05 * (track.reshape(-1, 480) ** 2).sum(axis=1).max()
    onsets_s = np.flatnonzero(loud[1:] & ~loud[:-1]) / 100
    gaps = np.diff(onsets_s)
    np.testing.assert_allclose(np.sort(gaps)[: len(gaps) // 2], 0.18 / 1.25, atol=0.021)
    np.testing.assert_allclose(np.sort(gaps)[-(len(gaps) // 2) :], 0.82 / 1.25, atol=0.021)


def test_wander_is_smooth_and_of_unit_size(rng: np.random.Generator) -> None:
    curve = synthesis.smooth_noise(400 * SAMPLE_RATE, 1.0, rng)[:: SAMPLE_RATE // 100]
    assert 0.6 < curve.std() < 1.3
    assert np.abs(np.diff(curve)).max() < 0.1


def test_footsteps_come_at_their_rate(rng: np.random.Generator) -> None:
    track = synthesis.footsteps(20 * SAMPLE_RATE, 2.0, rng)
    power = (track.reshape(-1, 480) ** 2).sum(axis=1)
    onsets = np.flatnonzero((power[1:] > 0) & (power[:-1] == 0))
    assert np.diff(onsets).mean() == pytest.approx(50.0, rel=0.03)


def test_beds_and_recorders_do_not_know_the_class() -> None:
    for kind in LOCATIONS.values():
        bed, alone = kind.draw(np.random.default_rng(5)).bed, Background.draw(np.random.default_rng(5))
        np.testing.assert_array_equal(bed.spectrum_db, alone.spectrum_db)
        np.testing.assert_array_equal(bed.color_db, alone.color_db)
