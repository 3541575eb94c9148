"""Tests of the detection of truncated Ogg files."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from scenelet.audio.io import info
from scenelet.audio.ogg import is_truncated
from scenelet.errors import TruncatedAudioError


def encode(subtype: str) -> bytes:
    file = io.BytesIO()
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 48_000)
    soundfile.write(file, noise, 48_000, format="OGG", subtype=subtype)
    return file.getvalue()


def page_ends(data: bytes) -> set[int]:
    """Return the offsets of the pages' ends."""
    ends, offset = set(), 0
    while offset < len(data):
        segments = data[offset + 26]
        offset += 27 + segments + sum(data[offset + 27 : offset + 27 + segments])
        ends.add(offset)
    return ends


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_is_truncated_finds_every_cut_within_a_page(subtype: str) -> None:
    data = encode(subtype)
    ends = page_ends(data)
    assert len(ends) > 3
    assert max(ends) == len(data)
    for length in [*range(4, len(data), 7), *(end + k for end in ends for k in (-1, 0, 5, 26, 27) if end + k > 4)]:
        cut = data[:length]
        within = length < len(data) and all(length - end not in range(5) for end in ends)
        assert is_truncated(io.BytesIO(cut)) == within, length


def test_is_truncated_allows_data_after_last_page() -> None:
    data = encode("VORBIS")
    for tail in (b"TAG" + bytes(125), bytes(100_000), b"OggS\0"[:4]):
        assert not is_truncated(io.BytesIO(data + tail))
    assert not is_truncated(io.BytesIO(b"RIFF" + data))
    assert not is_truncated(io.BytesIO(b""))


def test_info_truncated_ogg_raises(tmp_path: Path) -> None:
    complete = encode("VORBIS")
    (tmp_path / "cut.ogg").write_bytes(complete[: len(complete) // 2])
    with pytest.raises(TruncatedAudioError, match=r"cut\.ogg: its last page is incomplete; the file is truncated"):
        info(tmp_path / "cut.ogg")
