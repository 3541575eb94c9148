"""Tests of the pages of Ogg files."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from scenelet.audio.io import info, read
from scenelet.audio.ogg import MAX_GAPS, read_pages
from scenelet.errors import AudioError, TruncatedAudioError


def encode(subtype: str) -> bytes:
    file = io.BytesIO()
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 48_000)
    soundfile.write(file, noise, 48_000, format="OGG", subtype=subtype)
    return file.getvalue()


def page_ends(data: bytes) -> list[int]:
    """Return the offsets of the pages' ends."""
    ends, offset = [], 0
    while offset < len(data):
        segments = data[offset + 26]
        offset += 27 + segments + sum(data[offset + 27 : offset + 27 + segments])
        ends.append(offset)
    return ends


def is_truncated(data: bytes) -> bool:
    try:
        read_pages(io.BytesIO(data), 0, "a.ogg")
    except TruncatedAudioError:
        return True
    return False


@pytest.mark.parametrize(("subtype", "codec"), [("VORBIS", "Vorbis"), ("OPUS", "Opus")])
def test_read_pages_finds_codec_and_payloads(subtype: str, codec: str) -> None:
    data = encode(subtype)
    pages = read_pages(io.BytesIO(b"before" + data), 6, "a.ogg")
    assert pages.codec == codec
    assert [end - 6 for _, end in pages.payloads] == page_ends(data)


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_read_pages_finds_every_cut_within_a_page(subtype: str) -> None:
    data = encode(subtype)
    ends = page_ends(data)
    assert len(ends) > 3
    for length in [*range(4, len(data), 7), *(end + k for end in ends for k in (-1, 0, 5, 26, 27))]:
        within = 4 <= length < len(data) and all(length - end not in range(4) for end in ends)
        assert is_truncated(data[:length]) == within, length


def test_read_pages_allows_data_behind_the_last_page_and_lost_pages() -> None:
    data = encode("VORBIS")
    ends = page_ends(data)
    for tail in (b"TAG" + bytes(125), bytes(100_000), b"Ogg"):
        assert len(read_pages(io.BytesIO(data + tail), 0, "a.ogg").payloads) == len(ends)
    without_header = data[: ends[2]] + data[ends[2] + 10 :]
    assert len(read_pages(io.BytesIO(without_header), 0, "a.ogg").payloads) == len(ends) - 1


def test_read_pages_of_endless_headers_raises() -> None:
    """libsndfile takes 4 s for a megabyte of headers that lie within each other's pages."""
    for header in (b"OggS\0\2" + b"\xff" * 21, b"OggS\0\2" + bytes(20) + b"\xff", b"OggS\0", b"OggS\0x"):
        with pytest.raises(AudioError, match=r"^a\.ogg: its"):
            read_pages(io.BytesIO(header * 10_000), 0, "a.ogg")


@pytest.mark.parametrize("count", [MAX_GAPS, MAX_GAPS + 1])
def test_read_pages_counts_headers_within_pages(count: int) -> None:
    data = encode("VORBIS")
    first_large = page_ends(data)[1] + 100
    nested = bytearray(data)
    nested[first_large : first_large + 5 * count] = b"OggS\0" * count
    if count == MAX_GAPS:
        read_pages(io.BytesIO(nested), 0, "a.ogg")
        return
    with pytest.raises(AudioError, match="do not follow each other"):
        read_pages(io.BytesIO(nested), 0, "a.ogg")


def test_info_truncated_ogg_raises(tmp_path: Path) -> None:
    complete = encode("VORBIS")
    (tmp_path / "cut.ogg").write_bytes(complete[: len(complete) // 2])
    with pytest.raises(TruncatedAudioError, match=r"cut\.ogg: its last page is incomplete; the file is truncated"):
        info(tmp_path / "cut.ogg")


def test_read_other_codec_in_ogg_is_named() -> None:
    data = bytearray(encode("VORBIS"))
    data[28:36] = b"Speex   "
    with pytest.raises(AudioError, match="it is Speex in Ogg"):
        read(io.BytesIO(data))
