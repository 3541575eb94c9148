"""Tests of compressed recordings that are read in several blocks or are damaged."""

import io

import numpy as np
import pytest
import soundfile

from scenelet.audio.io import blocks
from scenelet.errors import AudioError


@pytest.mark.parametrize(
    ("format", "subtype", "rate"),
    [("MP3", None, 44100), ("OGG", "VORBIS", 44100), ("OGG", "OPUS", 48000), ("FLAC", None, 44100)],
)
def test_blocks_together_equal_the_whole(format: str, subtype: str | None, rate: int) -> None:
    """libsndfile must not seek between two reads: its MP3 decoder then loses what it knows of earlier frames."""
    file = io.BytesIO()
    noise = 0.1 * np.random.default_rng(0).standard_normal((60_000, 2))
    soundfile.write(file, noise, rate, format=format, subtype=subtype)
    whole = soundfile.read(io.BytesIO(file.getvalue()), dtype="float32", always_2d=True)[0].T
    parts = [block for block, _ in blocks(io.BytesIO(file.getvalue()), block_frames=7001)]
    assert len(parts) > 8
    assert np.array_equal(np.concatenate(parts, axis=1), whole)


@pytest.fixture(scope="module")
def vorbis() -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.random.default_rng(0).uniform(-0.5, 0.5, 441_000), 44100, format="OGG")
    return file.getvalue()


def without(data: bytes, first: float, last: float) -> bytes:
    """Put zeros in place of the bytes between two fractions of the length."""
    begin, end = int(first * len(data)), int(last * len(data))
    return data[:begin] + bytes(end - begin) + data[end:]


def test_blocks_of_damaged_ogg_give_the_rest_and_say_so(vorbis: bytes) -> None:
    notes: list[str] = []
    count = sum(block.shape[1] for block, _ in blocks(io.BytesIO(without(vorbis, 0.5, 0.51)), on_note=notes.append))
    assert 350_000 < count < 441_000
    assert notes == [f"the recording: damaged; {(441_000 - count) / 44100:.2f} s of 10.0 s are missing"]


def test_blocks_of_ogg_damaged_by_more_than_half_raise(vorbis: bytes) -> None:
    with pytest.raises(AudioError, match=r"damaged, only \d\.\d s of 10\.0 s can be decoded"):
        list(blocks(io.BytesIO(without(vorbis, 0.2, 0.9))))
