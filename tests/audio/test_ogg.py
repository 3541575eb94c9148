"""An Ogg that was cut is told from a whole one, wherever it was cut within a page."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from helpers.tiny_model import tiny_model
from scenelet.audio.ogg import is_truncated
from scenelet.errors import TruncatedAudioError
from scenelet.inference.classifier import Classifier


def _coded(subtype: str) -> bytes:
    file = io.BytesIO()
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 48_000)
    soundfile.write(file, noise, 48_000, format="OGG", subtype=subtype)
    return file.getvalue()


def _ends(data: bytes) -> set[int]:
    """Where the pages of a file end."""
    ends, place = set(), 0
    while place < len(data):
        segments = data[place + 26]
        place += 27 + segments + sum(data[place + 27 : place + 27 + segments])
        ends.add(place)
    return ends


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_only_a_cut_between_two_pages_goes_unnoticed(subtype: str) -> None:
    data = _coded(subtype)
    ends = _ends(data)
    assert len(ends) > 3
    assert max(ends) == len(data)
    for length in [*range(4, len(data), 7), *(end + k for end in ends for k in (-1, 0, 5, 26, 27) if end + k > 4)]:
        cut = data[:length]
        within = length < len(data) and all(length - end not in range(5) for end in ends)
        assert is_truncated(io.BytesIO(cut)) == within, length


def test_what_follows_the_last_page_is_no_cut() -> None:
    data = _coded("VORBIS")
    for tail in (b"TAG" + bytes(125), bytes(100_000), b"OggS\0"[:4]):
        assert not is_truncated(io.BytesIO(data + tail))
    assert not is_truncated(io.BytesIO(b"RIFF" + data))
    assert not is_truncated(io.BytesIO(b""))


def test_a_cut_recording_is_refused(tmp_path: Path) -> None:
    whole = _coded("VORBIS")
    (tmp_path / "cut.ogg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TruncatedAudioError, match=r"cut\.ogg: its last page is not whole; the file was cut short"):
        Classifier(tiny_model()).predict(tmp_path / "cut.ogg")
