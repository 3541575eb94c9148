"""Tests of decoding uncompressed samples, and of reading them from streams."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenelet.audio.pcm import MAX_LEVEL, PcmFormat, decode_pcm, find_invalid_samples, read_stream
from scenelet.errors import AudioError


@given(st.lists(st.integers(-(2**15), 2**15 - 1), min_size=1).map(lambda v: v[: len(v) // 2 * 2]))
def test_decode_pcm_keeps_integer_values(values: list[int]) -> None:
    data = np.array(values, "<i2").tobytes()
    samples = decode_pcm(data, PcmFormat(8000, 2, "s16"))
    assert samples.shape == (2, len(values) // 2)
    assert (samples.T.reshape(-1) * 2**15).tolist() == values


def test_decode_pcm_incomplete_frame_raises() -> None:
    with pytest.raises(AudioError, match="5 bytes are not a multiple of the frame size, 4 bytes"):
        decode_pcm(b"12345", PcmFormat(8000, 2, "s16"))


def test_decode_pcm_infinite_sample_raises() -> None:
    with pytest.raises(AudioError, match="not finite"):
        decode_pcm(np.array([np.inf], "<f4").tobytes(), PcmFormat(8000, 1, "f32"))


def test_read_stream_drops_incomplete_last_frame() -> None:
    data = np.arange(5, dtype="<i2").tobytes() + b"\x01"
    (block,) = read_stream(io.BytesIO(data), PcmFormat(8000, 1, "s16"))
    assert (block * 2**15).tolist() == [[0, 1, 2, 3, 4]]


def test_read_stream_ends_after_data_bytes() -> None:
    blocks = list(read_stream(io.BytesIO(bytes(100)), PcmFormat(8000, 1, "s16"), data_bytes=20, block_seconds=0.001))
    assert [block.shape for block in blocks] == [(1, 8), (1, 2)]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0.0, -MAX_LEVEL], None),
        ([0.0, -2 * MAX_LEVEL], "samples up to 2.0e+06 times full scale"),
        ([np.nan, 0.0], "samples that are not finite numbers"),
        ([0.0, -np.inf], "samples that are not finite numbers"),
    ],
)
def test_find_invalid_samples_describes_fault(values: list[float], message: str | None) -> None:
    assert find_invalid_samples(np.float32(values)) == message
