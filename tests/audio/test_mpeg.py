"""Tests of MP3 streams whose header states a wrong length or none."""

import io
import struct

import numpy as np
import pytest
import soundfile

from helpers.odd_recordings import chunk, riff
from scenelet.audio import mpeg
from scenelet.audio.io import blocks
from scenelet.audio.mpeg import count_frames, measure, parse_frame

RATE = 44100


def encode(samples: np.ndarray, rate: int = RATE) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="MP3")
    return file.getvalue()


@pytest.fixture(scope="module")
def mp3() -> bytes:
    """Return 2 s of noise and 8 s of silence, of which libsndfile's encoder makes frames of very different sizes."""
    samples = np.concatenate([0.3 * np.random.default_rng(0).standard_normal(2 * RATE), np.zeros(8 * RATE)])
    return encode(samples)


def without_header(data: bytes) -> bytes:
    """Return the stream without its first frame, which has the length."""
    first = parse_frame(data[:4])
    assert first is not None
    assert data[first.xing_offset : first.xing_offset + 4] in (b"Xing", b"Info")
    return data[first.size :]


def decoded(data: bytes) -> tuple[int, list[str]]:
    notes: list[str] = []
    return sum(block.shape[1] for block, _ in blocks(io.BytesIO(data), on_note=notes.append)), notes


@pytest.mark.parametrize(("rate", "channels"), [(44100, 2), (48000, 1), (32000, 2), (22050, 1), (16000, 2), (8000, 1)])
def test_count_frames_agrees_with_the_header(rate: int, channels: int) -> None:
    data = encode(np.random.default_rng(0).uniform(-0.5, 0.5, (rate, channels)), rate)
    length = measure(data, 0, len(data))
    assert length is not None
    first = parse_frame(data)
    assert first is not None
    assert first.sample_rate == rate
    stated = int.from_bytes(data[first.xing_offset + 8 : first.xing_offset + 12], "big") * first.samples
    assert (length.samples, length.note) == (stated, "")
    assert count_frames(data, 0, len(data) - 1) * 576 < length.samples + 1153


def test_count_frames_passes_over_what_is_no_frame(mp3: bytes) -> None:
    count = count_frames(mp3, 0, len(mp3))
    data = mp3 + b"TAG" + bytes(125) + mp3 + b"\xff" * 2000
    assert count_frames(data, 0, len(data)) == 2 * count


def test_blocks_of_variable_bit_rate_without_length_reach_the_end(mp3: bytes) -> None:
    """libsndfile alone takes the length of the first frames' bit rate, and stops after 2 or 3 s."""
    count, notes = decoded(without_header(mp3))
    assert count > 9.9 * RATE
    assert notes == []


def test_blocks_of_two_files_in_one_reach_the_end(mp3: bytes) -> None:
    count, notes = decoded(mp3 + mp3)
    assert count > 19.9 * RATE
    assert notes == ["the recording: its header states 10.0 s, but 20.1 s are there"]


def test_blocks_of_cut_file_say_both_lengths(mp3: bytes) -> None:
    count, notes = decoded(mp3[: len(mp3) // 2])
    assert 0 < count < 9 * RATE
    assert len(notes) == 1
    assert notes[0].startswith("the recording: its header states 10.0 s, but ")


@pytest.mark.parametrize("fact", [[], [chunk(b"fact", struct.pack("<I", 20 * RATE))]])
def test_blocks_of_mp3_in_wav_reach_the_end(mp3: bytes, fact: list[bytes]) -> None:
    fmt = struct.pack("<HHIIHHHHIHHH", 0x55, 1, RATE, 16000, 1, 0, 12, 1, 2, 417, 1, 1393)
    for stream in (mp3, without_header(mp3), b"\0\0" + mp3):
        count, notes = decoded(riff(chunk(b"fmt ", fmt), *fact, chunk(b"data", stream)))
        assert 9.9 * RATE < count < 10.2 * RATE
        assert notes == []


@pytest.mark.parametrize("size", [4, 30, 48, 63, 64, 100, 500])
def test_measure_of_a_few_bytes_finds_no_frames(mp3: bytes, size: int) -> None:
    length = measure(mp3[:size], 0, size)
    assert length is None or length.samples in (0, 1152)


def test_measure_of_endless_stream_gives_up(mp3: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mpeg, "MAX_FRAMES", 200)
    frames = without_header(mp3)
    assert count_frames(frames, 0, len(frames)) == 200
    assert measure(frames, 0, len(frames)) is None
