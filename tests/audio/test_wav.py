"""Tests of the WAV parser for pipes, and of the reader of uncompressed samples."""

import io
import struct

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from helpers.pipe import Pipe
from scenelet.audio.pcm import PcmFormat, SampleFormat, read_stream
from scenelet.audio.wav import MAX_CHUNKS, open_pcm, parse_format, read_wav_header
from scenelet.errors import AudioError

SUBTYPES: dict[SampleFormat, str] = {"s16": "PCM_16", "s24": "PCM_24", "s32": "PCM_32", "f32": "FLOAT"}
FMT = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16)


def chunk(name: bytes, body: bytes, order: str = "<") -> bytes:
    return name + struct.pack(f"{order}I", len(body)) + body + bytes(len(body) % 2)


def wav(*chunks: bytes, form: bytes = b"RIFF") -> bytes:
    return form + bytes(4) + b"WAVE" + b"".join(chunks)


def rf64(samples: bytes) -> bytes:
    ds64 = chunk(b"ds64", struct.pack("<QQQI", 0, len(samples), 0, 0))
    return wav(ds64, FMT, b"data\xff\xff\xff\xff" + samples, form=b"RF64")


@pytest.mark.parametrize("sample_format", list(SUBTYPES))
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("kind", ["WAV", "WAVEX"])
def test_read_wav_header_of_pipe_agrees_with_libsndfile(sample_format: SampleFormat, channels: int, kind: str) -> None:
    noise = 0.2 * np.random.default_rng(0).standard_normal((1001, channels)).astype(np.float32)
    data = io.BytesIO()
    soundfile.write(data, noise, 12345, format=kind, subtype=SUBTYPES[sample_format])
    data.seek(0, io.SEEK_END)
    data.write(b"id3 \x10\x00\x00\x00" + bytes(range(100, 116)))  # a chunk behind the sound is not sound
    expected, _ = soundfile.read(io.BytesIO(data.getvalue()), dtype="float32", always_2d=True)
    pipe = Pipe(data.getvalue(), [1, 7, 100])
    pcm, data_bytes = read_wav_header(pipe)  # type: ignore[arg-type]
    assert (pcm, data_bytes) == (PcmFormat(12345, channels, sample_format), 1001 * pcm.frame_bytes)
    blocks = list(read_stream(pipe, pcm, data_bytes, block_seconds=0.01))  # type: ignore[arg-type]
    assert len(blocks) == 9
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), expected.T)


def test_read_wav_header_reads_rf64_from_pipe() -> None:
    pipe = Pipe(rf64(b"123456") + chunk(b"note", b"abcd"), [3])
    pcm, data_bytes = read_wav_header(pipe)  # type: ignore[arg-type]
    assert (pcm, data_bytes) == (PcmFormat(8000, 1, "s16"), 6)


@pytest.mark.parametrize("size", [0, 0x7FFFF000, 0xFFFFFFFF])
def test_read_wav_header_unknown_size_is_none(size: int) -> None:
    stream = io.BytesIO(wav(FMT, b"data" + struct.pack("<I", size), bytes(200)))
    pcm, data_bytes = read_wav_header(stream)
    assert data_bytes is None
    assert sum(block.shape[1] for block in read_stream(stream, pcm, data_bytes)) == 100


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "nothing came"),
        (b"OggS and so on", "not a WAV"),
        (wav(form=b"RIFX"), "not a WAV"),
        (wav(), "holds no sound"),
        (wav(chunk(b"data", b"")), "holds no sound"),
        (wav(b"fmt \x04\x00\x00\x00\x01\x00\x01\x00"), "truncated"),
        (wav(b"junk\xff\xff\xff\x7f"), "holds no sound"),
        (wav(chunk(b"junk", bytes(1 << 20)), chunk(b"junk", bytes(2)), FMT, chunk(b"data", b"12")), "holds no sound"),
        (wav(bytes(8) * MAX_CHUNKS, FMT, chunk(b"data", b"12")), "holds no sound"),
        (wav(FMT[:-2] + b"\x08\x00"), "8 bits"),
        (wav(FMT.replace(b"\x01\x00\x01\x00", b"\x01\x00\x41\x00")), "65 channels"),
        (wav(FMT.replace(struct.pack("<I", 8000), struct.pack("<I", 499))), "a sample rate of 499 Hz"),
        (wav(FMT.replace(struct.pack("<I", 8000), struct.pack("<I", 4294967280))), "a sample rate of 4294967280 Hz"),
    ],
)
def test_read_wav_header_refuses_invalid_stream(data: bytes, message: str) -> None:
    with pytest.raises(AudioError, match=message):
        read_wav_header(io.BytesIO(data))


@given(
    frames=st.integers(1, 700),
    channels=st.integers(1, 3),
    block=st.integers(1, 300),
    seed=st.integers(0, 99),
    kind=st.sampled_from(["WAV", "WAVEX", "RF64"]),
    subtype=st.sampled_from(list(SUBTYPES.values())),
)
def test_open_pcm_agrees_with_libsndfile(
    frames: int, channels: int, block: int, seed: int, kind: str, subtype: str
) -> None:
    data = io.BytesIO()
    values = np.random.default_rng(seed).integers(-(2**31), 2**31, (frames, channels)).astype(np.int32)
    values[0] = -(2**31)
    soundfile.write(data, values, 8000, format=kind, subtype=subtype)
    data.seek(0, io.SEEK_END)
    data.write(b"note\x08\x00\x00\x00ABCDEFGH")  # a chunk behind the sound is not sound
    expected, _ = soundfile.read(io.BytesIO(data.getvalue()), dtype="float32", always_2d=True)
    reader = open_pcm(data)
    assert reader is not None
    assert (reader.frames, reader.channels) == (frames, channels)
    parts = []
    while len(part := reader.read(block)[0]):
        parts.append(part)
    samples = np.concatenate(parts)
    assert samples.dtype == np.float32
    np.testing.assert_array_equal(samples, expected)


@pytest.mark.parametrize(("format", "subtype"), [("WAV", "PCM_U8"), ("WAV", "ULAW"), ("AIFF", "PCM_24")])
def test_open_pcm_leaves_other_samples_to_the_decoder(format: str, subtype: str) -> None:
    data = io.BytesIO()
    soundfile.write(data, np.zeros(100), 8000, format=format, subtype=subtype)
    assert open_pcm(data) is None


def test_parse_format_refuses_contradicting_fields() -> None:
    body = struct.pack("<HHIIHH", 1, 2, 8000, 32000, 4, 16)
    assert parse_format(body) == PcmFormat(8000, 2, "s16")
    assert parse_format(body[:12] + struct.pack("<HH", 3, 16)) is None
    assert parse_format(body[:12]) is None
