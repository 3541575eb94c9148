"""The streaming C front end: the same for all sizes of blocks, and close to the log-mel of each window."""

from pathlib import Path

import numpy as np
import pytest

from helpers.c_frontend import CFrontend
from scenelet.config import FeatureConfig, WindowConfig

RATE, HOP = 8000, 128
PLAIN = FeatureConfig(sample_rate=RATE, channels="mid-side", n_fft=256, hop_length=HOP, n_mels=12, top_db=200)
ROUNDING_DB = 0.5 / 256
kinds = pytest.mark.parametrize("kind", ["float", "float16", "fixed"])


def noise(channels: int, n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 3000, (channels, n)).round()


@kinds
@pytest.mark.parametrize("block", [1, 7, 1000, 1600])
def test_blocks_of_any_size_give_the_same_answers(kind: str, block: int, tmp_path: Path) -> None:
    window = WindowConfig(seconds=0.2, pad_mode="repeat", min_sound_seconds=0.05)
    frontend = CFrontend(PLAIN, window, kind, tmp_path)
    sound = noise(2, 9000)
    sound[:, 2000:4000] = 0
    found, expected = frontend.stream(sound, block, 500), frontend.stream(sound, 333, 500)
    assert len(found.silent) > 10
    np.testing.assert_array_equal(found.log_mel, expected.log_mel)
    np.testing.assert_array_equal(found.silent, expected.silent)


@kinds
@pytest.mark.parametrize("hop", [HOP, 5 * HOP, 40 * HOP])
def test_inner_frames_are_those_of_each_window(kind: str, hop: int, tmp_path: Path) -> None:
    frontend = CFrontend(PLAIN, WindowConfig(seconds=0.2), kind, tmp_path)  # 1600 samples
    sound = noise(2, 40 * HOP + 1600 + 300)
    found = frontend.stream(sound, 100, hop)
    starts = range(0, sound.shape[1] - 1600 - HOP + 1, hop)
    expected = frontend.windows(np.stack([sound[:, start : start + 1600] for start in starts]))
    assert len(found.silent) == len(starts) > 1
    difference = np.abs(found.log_mel - expected.log_mel)[..., 1:-1]  # the outer frames are half outside of the window
    assert difference.max() <= ROUNDING_DB + 1e-4
    assert not found.silent.any()


@pytest.mark.parametrize(("hop", "answers"), [(-(2**31), 27), (0, 27), (2**31 - 1, 1)])
def test_extreme_hops_are_safe(hop: int, answers: int, tmp_path: Path) -> None:
    frontend = CFrontend(PLAIN, WindowConfig(seconds=0.2), "float", tmp_path)
    assert len(frontend.stream(noise(2, 5000), 100, hop).silent) == answers


@kinds
def test_outer_frames_see_the_sound_next_to_the_window(kind: str, tmp_path: Path) -> None:
    frontend = CFrontend(PLAIN, WindowConfig(seconds=0.2), kind, tmp_path)
    sound = noise(2, 6000)
    second = frontend.stream(sound, 100, 10 * HOP).log_mel[1]
    wider = frontend.windows(sound[None, :, 10 * HOP - 256 :][:, :, :1600])  # begins two frames before
    np.testing.assert_allclose(second[..., 0], wider.log_mel[0, ..., 2], atol=ROUNDING_DB + 1e-4)


@kinds
def test_range_is_that_of_each_window(kind: str, tmp_path: Path) -> None:
    frontend = CFrontend(PLAIN.model_copy(update={"top_db": 3.0}), WindowConfig(seconds=0.2), kind, tmp_path)
    sound = noise(2, 6000)
    sound[:, 1600:] /= 100
    answers = frontend.stream(sound, 100, 2000).log_mel
    ranges = answers.max(axis=(2, 3)) - answers.min(axis=(2, 3))
    assert len(answers) == 3
    np.testing.assert_allclose(ranges, 3, atol=2 * ROUNDING_DB)


@kinds
def test_decibels_before_mel_are_limited_by_the_frames_so_far(kind: str, tmp_path: Path) -> None:
    features = PLAIN.model_copy(update={"log_before_mel": True, "top_db": 30.0})
    frontend = CFrontend(features, WindowConfig(seconds=0.2), kind, tmp_path)
    sound = (noise(2, 1600 + 256) / 100).round()
    sound[:, 300:560] *= 10  # the loudest frames are those around 3
    found, expected = frontend.stream(sound, 100, HOP), frontend.windows(sound[None, :, :1600])
    step = np.abs(np.diff(expected.log_mel)).mean()
    difference = np.abs(found.log_mel[0] - expected.log_mel[0])[..., 5:-1]
    assert difference.max() < 0.01 * step


@kinds
def test_columns_of_a_short_sound_are_repeated(kind: str, tmp_path: Path) -> None:
    window = WindowConfig(seconds=0.4, pad_mode="repeat", min_sound_seconds=0.01)  # 3200 samples, 26 frames
    frontend = CFrontend(PLAIN, window, kind, tmp_path)
    sound = np.zeros((2, 3400))
    sound[:, 1000:2000] = noise(2, 1000)  # frames 8 to 15 have a sound closer to them than to others
    log_mel = frontend.stream(sound, 100, HOP).log_mel[0]
    frames = log_mel.shape[2]
    np.testing.assert_array_equal(log_mel, log_mel[..., np.arange(frames) % 9])
    assert log_mel.min() > -60  # nothing of the silence is left
    expected = frontend.windows(sound[None, :, :3200]).log_mel[0]
    assert np.abs(log_mel.mean(axis=2) - expected.mean(axis=2)).max() < 3


@kinds
def test_silence_is_that_of_the_last_window(kind: str, tmp_path: Path) -> None:
    window = WindowConfig(seconds=1.0)
    frontend = CFrontend(PLAIN.model_copy(update={"channels": "stereo"}), window, kind, tmp_path)
    sound = np.full((2, 7 * RATE), 3000.0)
    sound[1, 17_600:17_800] += 1000
    silent = frontend.stream(sound, 100, RATE).silent
    assert silent.tolist() == [True, True, False, True, True, True]


@kinds
def test_quiet_sound_is_found_by_the_filter(kind: str, tmp_path: Path) -> None:
    frontend = CFrontend(PLAIN, WindowConfig(seconds=1.0), kind, tmp_path)
    tone = np.zeros((2, 6 * RATE))
    tone[:, : 3 * RATE] = (6 * np.sin(2 * np.pi * 50 * np.arange(3 * RATE) / RATE)).round()
    assert frontend.stream(tone, 100, RATE).silent.tolist() == [False, False, False, True, True]
