"""Compression of bytes: lossless, bounded in memory, and as short as the better of its methods."""

import contextlib
import lzma
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scenelet.errors import ModelFileError
from scenelet.model.codec import DEFLATE, LZMA, compress_bytes, decompress_bytes


@given(st.binary(max_size=3000))
@example(b"")
@example(bytes(5000))
def test_decompress_bytes_inverts_compress_bytes(data: bytes) -> None:
    assert decompress_bytes(compress_bytes(data), len(data)) == data


def test_compress_bytes_takes_the_shortest_method() -> None:
    rng = np.random.default_rng(0)
    drifting = rng.integers(0, np.repeat([3, 200], 20_000)).astype(np.uint8).tobytes()
    flat = rng.bytes(1000)
    alternating = (np.arange(20_000) % 2 * 224 + rng.integers(0, 32, 20_000)).astype(np.uint8).tobytes()
    assert LZMA[compress_bytes(drifting)[0]] == 0
    assert LZMA[compress_bytes(alternating)[0]] == 3  # the previous byte predicts the next one
    assert compress_bytes(flat)[0] == DEFLATE
    assert len(compress_bytes(drifting)) < 0.97 * len(zlib.compress(drifting, 9))
    assert len(compress_bytes(flat)) < 1020


@pytest.mark.parametrize("size", [0, 1, 99, 101, 5000])
@pytest.mark.parametrize("data", [bytes(100), bytes(range(100))])
def test_decompress_bytes_refuses_another_size(data: bytes, size: int) -> None:
    with pytest.raises(ModelFileError, match=f"does not decompress to exactly {size} bytes"):
        decompress_bytes(compress_bytes(data), size)


@pytest.mark.parametrize("method", [DEFLATE, *LZMA])
def test_decompress_bytes_refuses_truncated_or_extra_bytes(method: int) -> None:
    data = b"scenes " * 20
    context = LZMA.get(method)
    stored = bytes([method]) + (zlib.compress(data) if context is None else _lzma(data, context))
    assert decompress_bytes(stored, len(data)) == data
    for length in range(len(stored)):
        with pytest.raises(ModelFileError):
            decompress_bytes(stored[:length], len(data))
    with pytest.raises(ModelFileError):
        decompress_bytes(stored + b"x", len(data))


@given(st.binary(max_size=300))
def test_decompress_bytes_of_any_bytes_raises_our_error_only(stored: bytes) -> None:
    for data in (stored, *(bytes([method]) + stored for method in (DEFLATE, *LZMA))):
        with contextlib.suppress(ModelFileError):
            assert len(decompress_bytes(data, 100)) == 100


def test_decompress_bytes_stops_a_decompression_bomb() -> None:
    for stored in (b"\0" + zlib.compress(bytes(10**7), 9), b"\1" + _lzma(bytes(10**7), 0)):
        tracemalloc.start()
        with pytest.raises(ModelFileError, match="does not decompress to exactly 10 bytes"):
            decompress_bytes(stored, 10)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 1 << 20


def _lzma(data: bytes, context: int) -> bytes:
    filters = [{"id": lzma.FILTER_LZMA1, "dict_size": 4096, "lc": context, "lp": 0, "pb": 0}]
    return lzma.compress(data, lzma.FORMAT_RAW, filters=filters)
