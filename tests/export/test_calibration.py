"""Calibration windows: their choice, held-out windows, and recordings that cannot be read."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from helpers.tiny_model import tiny_model
from scenelet.audio.log_mel import LogMel
from scenelet.audio.windows import windows
from scenelet.errors import AudioError
from scenelet.export.calibration import calibrate


@pytest.fixture
def recordings(write_wav: Callable[..., Path]) -> list[Path]:
    """Write five recordings of 0.6 s, three windows each, in steps of -10 dB."""
    rng = np.random.default_rng(3)
    return [write_wav(rng.normal(0, 10 ** -(1 + i / 2), (2, 4800)), 8000, f"{i}.wav") for i in range(5)]


def window_levels(windows: list[np.ndarray]) -> list[int]:
    """Return the index of the recording that each window was cut from."""
    found = [float(window.mean()) for window in windows]
    return [round((max(found) - level) / 10) for level in found]


def test_calibrate_returns_the_features_of_all_windows(recordings: list[Path]) -> None:
    model = tiny_model()
    found = calibrate(model, recordings)
    expected = [
        LogMel(model.features)(cut) for path in recordings for cut in windows(path, model.features, model.window)
    ]
    assert len(expected) == 15
    held_out = expected[4::5]
    assert found.recordings == 5
    np.testing.assert_array_equal(np.stack(found.compared), np.stack(held_out))
    ranges = [window for window in expected if not any(window is other for other in held_out)]
    np.testing.assert_array_equal(np.stack(found.ranges), np.stack(ranges))


def test_calibrate_reuses_few_windows_for_comparison(recordings: list[Path]) -> None:
    found = calibrate(tiny_model(), recordings[:1])
    assert len(found.ranges) == 3
    np.testing.assert_array_equal(np.stack(found.compared), np.stack(found.ranges))


def test_calibrate_spreads_a_limited_count_of_windows(recordings: list[Path]) -> None:
    found = calibrate(tiny_model(), recordings, max_windows=4)
    assert 2 <= len(found.ranges) <= 4
    assert {0, 4} <= set(window_levels(found.ranges))


def test_calibrate_reports_recordings_it_cannot_read(recordings: list[Path], tmp_path: Path) -> None:
    text, cut = tmp_path / "text.wav", tmp_path / "cut.wav"
    text.write_text("hello")
    cut.write_bytes(recordings[0].read_bytes()[:9000])
    found = calibrate(tiny_model(), [text, *recordings[:2], cut, tmp_path / "absent.wav"])
    read = calibrate(tiny_model(), recordings[:2])
    np.testing.assert_array_equal(np.stack(found.ranges), np.stack(read.ranges))
    assert found.recordings == 2
    assert [str(failure).split(": ")[0] for failure in found.failures] == [
        str(path) for path in (text, cut, tmp_path / "absent.wav")
    ]


def test_calibrate_without_readable_recordings_raises(tmp_path: Path) -> None:
    text = tmp_path / "text.wav"
    text.write_text("hello")
    with pytest.raises(AudioError, match=r"text\.wav: not a recording"):
        calibrate(tiny_model(), [text, tmp_path / "absent.wav"])
    with pytest.raises(AudioError, match="there are no recordings"):
        calibrate(tiny_model(), [])


def test_calibrate_leaves_out_silent_windows(recordings: list[Path], write_wav: Callable[..., Path]) -> None:
    sound = np.random.default_rng(1).normal(0, 0.1, (2, 1600))
    mixed = write_wav(np.concatenate([np.zeros((2, 3200)), sound], axis=1), 8000, "mixed.wav")
    found = calibrate(tiny_model(), [mixed])
    read = calibrate(tiny_model(), [write_wav(sound, 8000, "sound.wav")])
    np.testing.assert_array_equal(np.stack(found.ranges), np.stack(read.ranges))


def test_calibrate_on_silence_raises(write_wav: Callable[..., Path]) -> None:
    silent = write_wav(np.zeros((2, 4800)), 8000, "silent.wav")
    with pytest.raises(AudioError, match=r"no recordings with sound \(.*silent\.wav\); give recordings of"):
        calibrate(tiny_model(), [silent])
