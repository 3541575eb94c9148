"""Bytes of uncompressed sound: the numbers that libsndfile gives, and WAVs from a pipe."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from scenelet.audio.pcm import PcmFormat, SampleFormat, decode_pcm, read_stream, read_wav_header
from scenelet.errors import AudioError

SUBTYPES: dict[SampleFormat, str] = {"s16": "PCM_16", "s24": "PCM_24", "s32": "PCM_32", "f32": "FLOAT"}


class Pipe(io.RawIOBase):
    """Gives a few bytes at a time, and cannot seek."""

    def __init__(self, data: bytes, sizes: list[int]) -> None:
        self._data, self._sizes, self._turn = io.BytesIO(data), sizes, 0

    def read(self, size: int = -1) -> bytes:
        self._turn += 1
        return self._data.read(min(size, self._sizes[self._turn % len(self._sizes)]))

    def seekable(self) -> bool:
        return False


@pytest.mark.parametrize("form", list(SUBTYPES))
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("kind", ["WAV", "WAVEX"])
def test_a_wav_from_a_pipe_is_what_libsndfile_reads(form: SampleFormat, channels: int, kind: str) -> None:
    noise = 0.2 * np.random.default_rng(0).standard_normal((1001, channels)).astype(np.float32)
    data = io.BytesIO()
    soundfile.write(data, noise, 12345, format=kind, subtype=SUBTYPES[form])
    data.seek(0, io.SEEK_END)
    data.write(b"id3 \x10\x00\x00\x00" + bytes(range(100, 116)))  # what comes behind the sound is none
    expected, _ = soundfile.read(io.BytesIO(data.getvalue()), dtype="float32", always_2d=True)
    pipe = Pipe(data.getvalue(), [1, 7, 100])
    pcm, length = read_wav_header(pipe)  # type: ignore[arg-type]
    assert (pcm, length) == (PcmFormat(12345, channels, form), 1001 * pcm.frame_bytes)
    blocks = list(read_stream(pipe, pcm, length, seconds=0.01))  # type: ignore[arg-type]
    assert len(blocks) == 9
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), expected.T)


@given(st.lists(st.integers(-(2**15), 2**15 - 1), min_size=1).map(lambda v: v[: len(v) // 2 * 2]))
def test_whole_numbers_keep_their_value(values: list[int]) -> None:
    data = np.array(values, "<i2").tobytes()
    samples = decode_pcm(data, PcmFormat(8000, 2, "s16"))
    assert samples.shape == (2, len(values) // 2)
    assert (samples.T.reshape(-1) * 2**15).tolist() == values


def test_what_cannot_be_decoded() -> None:
    with pytest.raises(AudioError, match="5 bytes are no whole number of frames of 4 bytes"):
        decode_pcm(b"12345", PcmFormat(8000, 2, "s16"))
    with pytest.raises(AudioError, match="not finite"):
        decode_pcm(np.array([np.inf], "<f4").tobytes(), PcmFormat(8000, 1, "f32"))


@pytest.mark.parametrize("length", [0, 0x7FFFF000, 0xFFFFFFFF])
def test_a_length_that_is_none_means_until_the_end(length: int) -> None:
    data = io.BytesIO()
    soundfile.write(data, np.zeros(100), 8000, format="WAV", subtype="PCM_16")
    wav = bytearray(data.getvalue())
    struct.pack_into("<I", wav, wav.index(b"data") + 4, length)
    stream = io.BytesIO(wav)
    pcm, told = read_wav_header(stream)
    assert told is None
    assert sum(block.shape[1] for block in read_stream(stream, pcm, told)) == 100


def test_the_end_of_a_stream_may_cut_a_frame() -> None:
    data = np.arange(5, dtype="<i2").tobytes() + b"\x01"
    (block,) = read_stream(io.BytesIO(data), PcmFormat(8000, 1, "s16"))
    assert (block * 2**15).tolist() == [[0, 1, 2, 3, 4]]


def test_headers_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "u8.wav"
    soundfile.write(path, np.zeros(10), 8000, subtype="PCM_U8")
    for data, message in (
        (b"", "nothing came"),
        (b"OggS and so on", "not a WAV"),
        (b"RIFF\x00\x00\x00\x00WAVE", "holds no sound"),
        (b"RIFF\x00\x00\x00\x00WAVEdata\x00\x00\x00\x00", "holds no sound"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt \x04\x00\x00\x00\x01\x00\x01\x00", "cut short"),
        (b"RIFF\x00\x00\x00\x00WAVEjunk\xff\xff\xff\x7f", "holds no sound"),
        (path.read_bytes(), "8 bits"),
    ):
        with pytest.raises(AudioError, match=message):
            read_wav_header(io.BytesIO(data))


def test_a_header_with_a_rate_that_no_sound_has_is_refused() -> None:
    fmt = struct.pack("<HHIIHH", 1, 2, 0xFFFFFFF0, 0, 8, 32)
    wav = b"RIFF\0\0\0\0WAVEfmt " + struct.pack("<I", 16) + fmt + b"data" + struct.pack("<I", 64) + bytes(64)
    with pytest.raises(AudioError, match="a sample rate of 4294967280 Hz"):
        read_wav_header(io.BytesIO(wav))
