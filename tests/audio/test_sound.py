"""Tests of long compressed recordings, which are read in several blocks."""

import io

import numpy as np
import pytest
import soundfile

from scenelet.audio.io import blocks


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
