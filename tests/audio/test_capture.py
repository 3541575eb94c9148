"""Tests of live sound from files and pipes. Sound cards are tested with `scenelet listen`."""

import io
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from helpers.pipe import Pipe
from scenelet.audio.capture import LiveAudio, from_file, from_pipe, pace_in_real_time, standard_input
from scenelet.audio.pcm import PcmFormat
from scenelet.errors import AudioError, UsageError

RATE = 8000


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    path = tmp_path / "noise.wav"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, (2000, 2)), RATE, subtype="FLOAT")
    return path


def joined(sound: LiveAudio) -> np.ndarray:
    return np.concatenate(list(sound.blocks), axis=1)


def test_from_file_yields_blocks_of_a_tenth_of_a_second(wav: Path) -> None:
    sound = from_file(str(wav))
    assert sound.sample_rate == RATE
    assert [block.shape for block in sound.blocks] == [(2, 800), (2, 800), (2, 400)]


def test_from_pipe_agrees_with_from_file(wav: Path) -> None:
    pipe = from_pipe(Pipe(wav.read_bytes(), [13, 999]), None)  # type: ignore[arg-type]
    assert pipe.sample_rate == RATE
    np.testing.assert_array_equal(joined(pipe), joined(from_file(wav)))


def test_from_pipe_decodes_raw_samples() -> None:
    samples = np.arange(6, dtype="<i2")
    sound = from_pipe(io.BytesIO(samples.tobytes()), PcmFormat(RATE, 2, "s16"))
    assert (joined(sound) * 2**15).tolist() == [[0, 2, 4], [1, 3, 5]]


def test_from_pipe_invalid_header_names_standard_input() -> None:
    with pytest.raises(AudioError, match=r"^standard input: not a WAV"):
        from_pipe(io.BytesIO(b"some text, no sound"), None)


def test_from_pipe_invalid_sample_names_standard_input() -> None:
    sound = from_pipe(io.BytesIO(np.float32([np.nan]).tobytes()), PcmFormat(RATE, 1, "f32"))
    with pytest.raises(AudioError, match=r"^standard input: the sound holds samples that are not finite"):
        list(sound.blocks)


def test_pace_in_real_time_keeps_samples(wav: Path) -> None:
    np.testing.assert_array_equal(joined(pace_in_real_time(from_file(wav))), joined(from_file(wav)))


def test_standard_input_closed_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(UsageError, match="standard input is closed; pipe sound"):
        standard_input()


def test_standard_input_terminal_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    with pytest.raises(UsageError, match="standard input is a terminal"):
        standard_input()
