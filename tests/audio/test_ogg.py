"""Tests of the pages of Ogg files."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from scenelet.audio.io import info, read
from scenelet.audio.ogg import MAX_GAPS, find_codec, find_pages
from scenelet.errors import AudioError, DecoderError, TruncatedAudioError


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
        find_pages(data, 0)
    except TruncatedAudioError:
        return True
    return False


@pytest.mark.parametrize(("subtype", "codec"), [("VORBIS", "Vorbis"), ("OPUS", "Opus")])
def test_find_pages_finds_codec_and_payloads(subtype: str, codec: str) -> None:
    data = encode(subtype)
    pages = find_pages(b"before" + data, 6)
    assert find_codec((b"before" + data)[slice(*pages[0])]) == codec
    assert [end - 6 for _, end in pages] == page_ends(data)


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_find_pages_finds_every_cut_within_a_page(subtype: str) -> None:
    data = encode(subtype)
    ends = page_ends(data)
    assert len(ends) > 3
    for length in [*range(4, len(data), 7), *(end + k for end in ends for k in (-1, 0, 5, 26, 27))]:
        within = 4 <= length < len(data) and all(length - end not in range(4) for end in ends)
        assert is_truncated(data[:length]) == within, length


def test_find_pages_allows_data_behind_the_last_page_and_lost_pages() -> None:
    data = encode("VORBIS")
    ends = page_ends(data)
    for tail in (b"TAG" + bytes(125), bytes(100_000), b"Ogg"):
        assert len(find_pages(data + tail, 0)) == len(ends)
    without_header = data[: ends[2]] + data[ends[2] + 10 :]
    assert len(find_pages(without_header, 0)) == len(ends) - 1


@pytest.mark.parametrize(
    "header",
    [
        b"OggS\0\2" + bytes(21),
        b"OggS\0\2" + b"\xff" * 21,
        b"OggS\0\2" + bytes(20) + b"\xff",
        b"OggS\0",
        b"OggS\0x",
    ],
)
def test_info_of_endless_headers_raises(header: bytes) -> None:
    """libsndfile takes 4 s for a megabyte of headers that lie within each other's pages."""
    with pytest.raises(AudioError, match=r"^the recording: (its|not)") as caught:
        info(io.BytesIO(header * 50_000))
    assert not isinstance(caught.value, DecoderError)


@pytest.mark.parametrize("count", [MAX_GAPS, MAX_GAPS + 1])
def test_find_pages_counts_gaps(count: int) -> None:
    data = encode("VORBIS")
    end = page_ends(data)[0]
    page = data[:end] + b"gap"
    if count == MAX_GAPS:
        assert len(find_pages(page * count + data, 0)) == count + len(page_ends(data))
        return
    with pytest.raises(AudioError, match="do not follow each other"):
        find_pages(page * count + data, 0)


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
