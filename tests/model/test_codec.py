"""Coding of bytes: exact both ways, bounded, and as short as the better of its methods."""

import contextlib
import lzma
import zlib

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scenelet.errors import ModelFileError
from scenelet.model import codec as coding


@given(st.binary(max_size=3000))
@example(b"")
@example(bytes(5000))
def test_every_string_of_bytes_comes_back(data: bytes) -> None:
    assert coding.decompress_bytes(coding.compress_bytes(data), len(data)) == data


def test_each_method_is_taken_where_it_is_shorter_and_named_by_the_first_byte() -> None:
    rng = np.random.default_rng(0)
    drifting = rng.integers(0, np.repeat([3, 200], 20_000)).astype(np.uint8).tobytes()
    flat = rng.bytes(1000)
    alternating = (np.arange(20_000) % 2 * 224 + rng.integers(0, 32, 20_000)).astype(np.uint8).tobytes()
    assert coding.LZMA[coding.compress_bytes(drifting)[0]] == 0
    assert coding.LZMA[coding.compress_bytes(alternating)[0]] == 3  # what comes next is told by the byte before
    assert coding.compress_bytes(flat)[0] == coding.DEFLATE
    assert len(coding.compress_bytes(drifting)) < 0.97 * len(zlib.compress(drifting, 9))
    assert len(coding.compress_bytes(flat)) < 1020


@pytest.mark.parametrize("size", [0, 1, 99, 101, 5000])
@pytest.mark.parametrize("data", [bytes(100), bytes(range(100))])
def test_another_size_is_refused(data: bytes, size: int) -> None:
    with pytest.raises(ModelFileError, match=f"does not inflate to the {size} bytes"):
        coding.decompress_bytes(coding.compress_bytes(data), size)


@pytest.mark.parametrize("method", [coding.DEFLATE, *coding.LZMA])
def test_what_is_cut_or_followed_by_more_is_refused(method: int) -> None:
    data = b"scenes " * 20
    context = coding.LZMA.get(method)
    stored = bytes([method]) + (zlib.compress(data) if context is None else _lzma(data, context))
    assert coding.decompress_bytes(stored, len(data)) == data
    for length in range(len(stored)):
        with pytest.raises(ModelFileError):
            coding.decompress_bytes(stored[:length], len(data))
    with pytest.raises(ModelFileError):
        coding.decompress_bytes(stored + b"x", len(data))


@given(st.binary(max_size=300))
def test_no_bytes_end_in_anything_but_our_own_error(stored: bytes) -> None:
    for data in (stored, *(bytes([method]) + stored for method in (coding.DEFLATE, *coding.LZMA))):
        with contextlib.suppress(ModelFileError):
            assert len(coding.decompress_bytes(data, 100)) == 100


def test_a_section_that_would_inflate_without_end_is_stopped() -> None:
    """A bomb: a kilobyte that stands for a hundred megabytes is inflated to one byte more than it may have."""
    for stored in (b"\0" + zlib.compress(bytes(10**8), 9), b"\1" + _lzma(bytes(10**8), 0)):
        with pytest.raises(ModelFileError, match="does not inflate to the 10 bytes"):
            coding.decompress_bytes(stored, 10)


def _lzma(data: bytes, context: int) -> bytes:
    filters = [{"id": lzma.FILTER_LZMA1, "dict_size": 4096, "lc": context, "lp": 0, "pb": 0}]
    return lzma.compress(data, lzma.FORMAT_RAW, filters=filters)
