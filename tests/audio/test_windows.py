"""Tests of channel layouts, resampling and cutting into windows."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenelet.audio import io as recordings
from scenelet.audio.windows import WindowSplitter, windows, windows_of_array
from scenelet.config import FeatureConfig, WindowConfig

Write = Callable[..., Path]
MONO_1K = FeatureConfig(sample_rate=1000, channels="mono")


def layout(channels: Any, sample_rate: int = 22050) -> FeatureConfig:
    return FeatureConfig(sample_rate=sample_rate, channels=channels)


def split(splitter: WindowSplitter, sound: np.ndarray, lengths: Sequence[int]) -> list[np.ndarray]:
    """Push the sound in blocks of these lengths, again and again, and return the windows."""
    found, start = [], 0
    while start < sound.shape[1]:
        for length in lengths:
            found += list(splitter.push(sound[:, start : start + length]))
            start += length
    return found + list(splitter.finish())


def test_windows_of_many_channels(write_wav: Callable[..., Path], rng: np.random.Generator) -> None:
    sound = rng.uniform(-0.5, 0.5, (6, 8000)).astype(np.float32)
    path = write_wav(sound, 8000)
    for channels, expected in (("mono", sound.mean(axis=0, keepdims=True)), (6, sound[5:]), ("stereo", sound[:2])):
        features = FeatureConfig(sample_rate=8000, channels=channels)
        (window,) = windows(path, features, WindowConfig(seconds=1.0))
        assert np.abs(window - expected).max() < 1e-6


@given(
    total=st.integers(1, 4000),
    seconds=st.floats(0.1, 1.0),
    overlap=st.floats(0.1, 1.0),
    min_last_fraction=st.floats(0.0, 0.3),
    lengths=st.lists(st.integers(1, 700), min_size=1, max_size=8),
)
@settings(deadline=None)
def test_window_splitter_does_not_depend_on_blocks(
    total: int, seconds: float, overlap: float, min_last_fraction: float, lengths: list[int]
) -> None:
    config = WindowConfig(seconds=seconds, hop_seconds=seconds * overlap, min_last_fraction=min_last_fraction)
    sound = np.arange(1, total + 1, dtype=np.float32)[None]
    at_once = list(windows_of_array(sound, 1000, MONO_1K, config))
    in_blocks = split(WindowSplitter(1000, MONO_1K, config), sound, lengths)
    assert len(at_once) == len(in_blocks) == config.count(total, 1000)
    hop = config.hop_samples(1000)
    for i, (window, other) in enumerate(zip(at_once, in_blocks, strict=True)):
        assert np.array_equal(window, other)
        expected = np.zeros(config.samples(1000), np.float32)
        part = sound[0, i * hop : i * hop + len(expected)]
        expected[: len(part)] = part
        assert np.array_equal(window[0], expected)


@given(lengths=st.lists(st.integers(1, 9000), min_size=1, max_size=4), rate=st.sampled_from([48000, 16000]))
@settings(deadline=None, max_examples=20)
def test_window_splitter_resampling_does_not_depend_on_blocks(lengths: list[int], rate: int) -> None:
    sound = np.random.default_rng(1).standard_normal((2, 30000)).astype(np.float32)
    config = WindowConfig(seconds=0.1)
    at_once = list(windows_of_array(sound, rate, layout("stereo"), config))
    in_blocks = split(WindowSplitter(rate, layout("stereo"), config), sound, lengths)
    assert np.array_equal(np.stack(at_once), np.stack(in_blocks))


@pytest.mark.parametrize("channels", ["mono", "stereo", "mid-side"])
@pytest.mark.parametrize("rate", [22050, 48000])
def test_windows_do_not_depend_on_threads(write_wav: Write, channels: str, rate: int) -> None:
    sound = np.random.default_rng(1).standard_normal((2, 7 * recordings.BLOCK_FRAMES // 2)).astype(np.float32) * 0.1
    path, config = write_wav(sound, rate), WindowConfig(seconds=3.0, hop_seconds=1.0)
    expected = np.stack(list(windows(path, layout(channels), config)))
    assert len(expected) > 3
    for threads in (2, 3):
        assert np.array_equal(np.stack(list(windows(path, layout(channels), config, threads))), expected)


@pytest.mark.parametrize(("total", "count"), [(1, 1), (1000, 1), (1050, 1), (1051, 2), (2000, 2), (2050, 2), (2051, 3)])
def test_windows_pad_long_tail_and_drop_short_one(total: int, count: int) -> None:
    config = WindowConfig(seconds=1.0, min_last_fraction=0.05)
    assert config.count(total, 1000) == count
    assert len(list(windows_of_array(np.ones((1, total), np.float32), 1000, MONO_1K, config))) == count


def test_windows_resampling_keeps_tone(write_wav: Write) -> None:
    t = np.arange(48000) / 48000
    path = write_wav(np.sin(2 * np.pi * 3000 * t)[None].astype(np.float32) * 0.5, 48000)
    (window,) = windows(str(path), layout("mono"), WindowConfig(seconds=1.0))
    middle = window[0, 2000:20000]
    expected = 0.5 * np.sin(2 * np.pi * 3000 * np.arange(22050) / 22050)[2000:20000]
    assert np.abs(middle - expected).max() < 1e-3


def test_windows_of_real_recordings_have_no_encoder_padding(esc10: Path) -> None:
    for path in sorted((esc10 / "audio").glob("1-1*.ogg")):
        header = recordings.info(path)
        found = list(windows(path, layout("mono"), WindowConfig(seconds=5.0)))
        # nearly all clips have 5 s and a few encoder samples: one window, without a second one of silence
        assert len(found) == (1 if header.seconds < 5.25 else 2)


def no_sound(samples: np.ndarray, features: FeatureConfig, rate: int = 8000) -> str | None:
    cuts = windows_of_array(samples.astype(np.float32), rate, features, WindowConfig(seconds=0.5))
    assert all(np.isfinite(cut).all() for cut in cuts)
    return cuts.no_sound


def test_windows_tell_silence(rng: np.random.Generator) -> None:
    sound = 0.01 * rng.standard_normal((1, 8000))
    mono, stereo = layout("mono", 8000), layout("stereo", 8000)
    assert no_sound(sound, mono) is None
    assert no_sound(0 * sound, mono) == "silence"
    assert no_sound(0 * sound + 0.3, layout("mono", 4000)) == "silence"  # the resampler makes an edge of the offset
    assert no_sound(rng.integers(-2, 3, (1, 8000)) / 2**15, mono) == "silence"  # dither of 16 bits
    antiphase = np.concatenate([sound, -sound])
    assert no_sound(antiphase, mono) == "silence"
    assert no_sound(antiphase, stereo) is None
    assert no_sound(np.concatenate([sound, 0 * sound]), stereo) is None


def test_windows_tell_too_short(rng: np.random.Generator) -> None:
    assert no_sound(rng.standard_normal((1, 799)), layout("mono", 8000)) == "too short"
    assert no_sound(rng.standard_normal((1, 800)), layout("mono", 8000)) is None
