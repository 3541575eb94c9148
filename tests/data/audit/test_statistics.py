"""Statistics of one recording, and the errors of recordings that cannot be read."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from scenelet.data.audit.statistics import recording_stats, recording_stats_or_error
from scenelet.data.clips import Clip

RATE = 8000


def test_recording_stats_stereo_gives_duration_and_peak(
    make_clip: Callable[..., Clip], noise: Callable[..., np.ndarray]
) -> None:
    stereo = np.stack([noise(2.5, 0.25), noise(2.5, 0.75)], axis=1)
    stats = recording_stats(make_clip("a.wav", samples=stereo, subtype="PCM_16").path)
    assert (stats.seconds, stats.clipped, stats.channels, stats.sample_rate) == (2.5, 0.0, 2, RATE)
    assert stats.peak == pytest.approx(0.75, abs=1e-4)


def test_recording_stats_smaller_blocks_give_equal_digest(
    make_clip: Callable[..., Clip], noise: Callable[..., np.ndarray]
) -> None:
    path = make_clip("a.wav", samples=np.stack([noise(2.5), noise(2.5)], axis=1)).path
    at_once, in_blocks = recording_stats(path), recording_stats(path, block_frames=RATE)
    assert (in_blocks.digest, in_blocks.peak) == (at_once.digest, at_once.peak)


def test_recording_stats_digest_depends_on_sound_not_format(tmp_path: Path, noise: Callable[..., np.ndarray]) -> None:
    samples = np.round(noise() * 32767).astype(np.int16)
    soundfile.write(tmp_path / "a.wav", samples, RATE)
    soundfile.write(tmp_path / "b.flac", samples, RATE)
    soundfile.write(tmp_path / "rate.wav", samples, 2 * RATE)
    soundfile.write(tmp_path / "stereo.wav", samples.reshape(-1, 2), RATE)
    digests = [recording_stats(tmp_path / name).digest for name in ("a.wav", "b.flac", "rate.wav", "stereo.wav")]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def test_recording_stats_or_error_no_samples_is_empty(make_clip: Callable[..., Clip]) -> None:
    result = recording_stats_or_error(make_clip("a.wav", samples=np.zeros(0)).path)
    assert isinstance(result, tuple)
    assert result[0] == "empty"


def test_recording_stats_or_error_missing_bytes_is_truncated(
    make_clip: Callable[..., Clip], noise: Callable[..., np.ndarray]
) -> None:
    path = make_clip("a.wav", samples=noise()).path
    path.write_bytes(path.read_bytes()[:-2000])
    result = recording_stats_or_error(path)
    assert isinstance(result, tuple)
    assert result[0] == "truncated"
    assert "2000 of 16000 bytes" in result[1]
