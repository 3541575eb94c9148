"""Tests of finding the sound in WAV, AIFF, W64 and CAF files whose lengths may be wrong."""

import io
import struct

import numpy as np
import pytest
import soundfile

from helpers.odd_recordings import chunk, fmt, pcm, rf64, riff
from scenelet.audio.chunks import MAX_CHUNKS, SoundChunk, find_sound
from scenelet.audio.formats import Format
from scenelet.audio.io import read
from scenelet.errors import EmptyAudioError, TruncatedAudioError

SOUND = pcm(frames=80_000)  # 160,000 bytes, 10 s
JUNK = chunk(b"JUNK", bytes(4044))


def find(data: bytes, format: Format = "WAV") -> SoundChunk:
    found = find_sound(io.BytesIO(data), format, 0)
    assert found is not None
    return found


def declared(size: int, sound: bytes = SOUND, *behind: bytes) -> bytes:
    """Return a WAV that states this size of its sound."""
    return riff(JUNK, fmt(), b"data" + struct.pack("<I", size) + sound, *behind, length=4088)


def written(format: str, subtype: str | None = None) -> bytes:
    file = io.BytesIO()
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (20_000, 2))
    soundfile.write(file, samples, 8000, format=format, subtype=subtype)
    return file.getvalue()


@pytest.mark.parametrize("size", [0, 44, 1599, 0x7FFFF000, 0x7FFFFFFF, 0xFFFFFFFF])
def test_find_sound_without_length_takes_all_bytes(size: int) -> None:
    found = find(declared(size))
    assert found.end - found.start == len(SOUND)
    assert (found.note == "") == (size > 0x7FFFEFFF)


def test_find_sound_without_length_says_how_much_there_is() -> None:
    assert find(declared(44)).note == "its header states 44 bytes of sound, but 160,000 are there and used"


@pytest.mark.parametrize("missing", [1, 44, 1600])
def test_find_sound_slightly_too_long_takes_all_bytes(missing: int) -> None:
    found = find(declared(len(SOUND) + missing))
    assert found.end - found.start == len(SOUND)
    assert found.note == f"its header states {missing:,} bytes of sound more than there are"


@pytest.mark.parametrize("missing", [1700, 80_000, 10_000_000])
def test_find_sound_of_truncated_file_raises(missing: int) -> None:
    text = rf"{missing} of {len(SOUND) + missing} bytes of sound are missing \(10.0 s of"
    with pytest.raises(TruncatedAudioError, match=text):
        find(declared(len(SOUND) + missing))


@pytest.mark.parametrize("behind", [chunk(b"LIST", b"INFO" + bytes(100_000)), chunk(b"guan", b"odd")])
def test_find_sound_with_chunks_behind_takes_stated_length(behind: bytes) -> None:
    found = find(declared(len(SOUND), SOUND, behind))
    assert (found.end - found.start, found.note) == (len(SOUND), "")


def test_find_sound_of_nothing_before_a_chunk_is_empty() -> None:
    found = find(declared(0, b"", chunk(b"LIST", b"INFO" + bytes(5000))))
    assert found.end == found.start
    with pytest.raises(EmptyAudioError):
        read(io.BytesIO(declared(0, b"", chunk(b"LIST", b"INFO" + bytes(5000)))))


def test_find_sound_with_something_behind_says_it_is_not_used() -> None:
    assert find(declared(len(SOUND), SOUND, b"\xff" * 20)).note == ""
    found = find(declared(len(SOUND), SOUND, b"\xff" * 5000))
    assert found.end - found.start == len(SOUND)
    assert found.note == "5,000 bytes behind the stated end of its sound are not used"


def test_find_sound_with_wrapped_length_takes_all_bytes() -> None:
    class Huge(io.BytesIO):
        """A file of 5 GB, of which only the beginning exists."""

        def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
            return 5 << 30 if whence == io.SEEK_END else super().seek(offset, whence)

    start = len(declared(0, b""))
    found = find_sound(Huge(declared((5 << 30) - start - 2**32)), "WAV", 0)
    assert found is not None
    assert found.end == 5 << 30


def test_find_sound_of_two_pieces_says_so() -> None:
    assert "only the first is used" in find(riff(fmt(), chunk(b"data", SOUND), chunk(b"data", SOUND))).note


@pytest.mark.parametrize("padding", [b"", b"\0", b"\x51"])
def test_find_sound_after_odd_chunk_with_or_without_padding(padding: bytes) -> None:
    odd = b"iXML" + struct.pack("<I", 3) + b"odd" + padding
    found = find(riff(odd, fmt(), chunk(b"data", SOUND)))
    assert found.end - found.start == len(SOUND)


def test_find_sound_reads_rf64_size() -> None:
    found = find(rf64(800) + chunk(b"note", b"abcd"))
    assert found.end - found.start == 1600


@pytest.mark.parametrize("data", [riff(), riff(fmt()), riff(chunk(b"data", SOUND)), b"RIFF\0\0\0\0WAVE", rf64()[:50]])
def test_find_sound_without_format_or_sound_is_none(data: bytes) -> None:
    assert find_sound(io.BytesIO(data), "WAV", 0) is None


@pytest.mark.parametrize("count", [MAX_CHUNKS - 2, MAX_CHUNKS])
def test_find_sound_stops_after_max_chunks(count: int) -> None:
    data = riff(fmt(), chunk(b"note", b"") * count, chunk(b"data", SOUND))
    assert (find_sound(io.BytesIO(data), "WAV", 0) is None) == (count == MAX_CHUNKS)


@pytest.mark.parametrize(
    ("format", "container", "size_at", "size_bytes"), [("AIFF", "AIFF", b"SSND", 4), ("CAF", "CAF", b"data", 8)]
)
def test_find_sound_of_truncated_aiff_and_caf_raises(
    format: str, container: Format, size_at: bytes, size_bytes: int
) -> None:
    data = written(format)
    assert find(data, container).note == ""
    with pytest.raises(TruncatedAudioError, match=r"40000 of 8000\d bytes of sound are missing"):
        find(data[:-40_000], container)
    zeroed = bytearray(data)
    position = data.index(size_at) + 4
    zeroed[position : position + size_bytes] = bytes(size_bytes)
    assert "0 bytes of sound, but" in find(bytes(zeroed), container).note


def test_find_sound_of_truncated_or_streamed_w64() -> None:
    data = written("W64")
    for unknown in (2**63 - 1, 2**64 - 1):
        position = data.index(b"data") + 16
        streamed = data[:position] + unknown.to_bytes(8, "little") + data[position + 8 :]
        assert np.array_equal(read(io.BytesIO(streamed))[0], read(io.BytesIO(data))[0])
    assert find(data, "W64").note == ""
    with pytest.raises(TruncatedAudioError):
        find(data[:-40_000], "W64")


@pytest.mark.parametrize(
    ("format", "subtype"),
    [
        ("WAV", "ULAW"),
        ("WAV", "MS_ADPCM"),
        ("WAV", "PCM_U8"),
        ("AIFF", "PCM_24"),
        ("AIFF", "FLOAT"),
        ("AIFF", "ULAW"),
        ("W64", "PCM_16"),
        ("W64", "IMA_ADPCM"),
        ("CAF", "PCM_16"),
        ("CAF", "ALAC_16"),
        ("AU", "PCM_16"),
        ("AU", "FLOAT"),
    ],
)
def test_read_agrees_with_libsndfile(format: str, subtype: str) -> None:
    data = written(format, subtype)
    expected = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)[0]
    assert np.array_equal(read(io.BytesIO(data))[0].T, expected)


@pytest.mark.parametrize("format", ["AIFF", "CAF", "W64"])
def test_head_has_only_chunks_that_the_decoder_needs(format: Format) -> None:
    found = find(written(format), format)
    assert len(found.head()) < 250
    assert found.end - found.start >= 80_000


def test_read_au_with_wrong_length() -> None:
    data = bytearray(written("AU"))
    for size, count in ((0, 20_000), (0xFFFFFFFF, 20_000), (80_044, 20_000)):
        data[8:12] = size.to_bytes(4, "big")
        assert read(io.BytesIO(data))[0].shape == (2, count)
    data[8:12] = (160_000).to_bytes(4, "big")
    with pytest.raises(TruncatedAudioError):
        read(io.BytesIO(data))
