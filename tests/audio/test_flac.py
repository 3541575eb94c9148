"""Tests of FLAC streams with a wrong length or damaged frames."""

import io
import struct

import numpy as np
import pytest
import soundfile

from scenelet.audio.flac import FlacStream
from scenelet.audio.io import blocks, info, read
from scenelet.errors import AudioError, TruncatedAudioError

FRAMES, RATE = 300_000, 44100


@pytest.fixture(scope="module")
def samples() -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.5, 0.5, FRAMES).astype(np.float32)


@pytest.fixture(scope="module")
def flac(samples: np.ndarray) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format="FLAC")
    return file.getvalue()


def decoded(data: bytes) -> tuple[np.ndarray, list[str]]:
    notes: list[str] = []
    read = [block[0] for block, _ in blocks(io.BytesIO(data), block_frames=50_000, on_note=notes.append)]
    return np.concatenate(read), notes


def with_total(data: bytes, total: int) -> bytes:
    number = int.from_bytes(data[18:26], "big") >> 36 << 36 | total
    return data[:18] + number.to_bytes(8, "big") + data[26:]


@pytest.mark.parametrize(("total", "notes"), [(0, 0), (2 * FRAMES, 1), (FRAMES - 5000, 1)])
def test_blocks_of_wrong_length_reach_the_end(flac: bytes, total: int, notes: int) -> None:
    found, said = decoded(with_total(flac, total))
    assert np.array_equal(found, decoded(flac)[0])
    assert len(said) == notes
    assert info(io.BytesIO(with_total(flac, total))).frames == FRAMES


def test_blocks_of_wrong_length_say_both_lengths(flac: bytes) -> None:
    expected = "the recording: its header states 13.6 s, but 6.8 s are there"
    assert decoded(with_total(flac, 2 * FRAMES))[1] == [expected]


def test_blocks_with_damaged_frame_continue_behind_it(flac: bytes) -> None:
    middle = len(flac) // 2
    found, notes = decoded(flac[:middle] + bytes(50) + flac[middle + 50 :])
    whole = decoded(flac)[0]
    lost = FRAMES - len(found)
    assert 0 < lost <= 2 * 4096
    before = int(np.argmin(found == whole[: len(found)]))
    assert before % 4096 == 0
    assert np.array_equal(found[before:], whole[before + lost :])
    (note,) = notes
    assert f"damaged after {before / RATE:.1f} s" in note
    assert f"{lost / RATE:.2f} s of 6.8 s are missing" in note


def test_blocks_with_damaged_last_frame_end_before_it(flac: bytes) -> None:
    found, notes = decoded(flac[:-200] + bytes(200))
    assert len(found) == FRAMES // 4096 * 4096
    assert "are missing" in notes[0]


def test_samples_with_something_like_a_frame_behind_are_those_stated(flac: bytes) -> None:
    first = FlacStream(flac, 0).file_after(-1)
    assert first is not None
    frame = flac.index(first[0].read()[42:100])
    assert FlacStream(flac + flac[frame : frame + 16], 0).samples == FRAMES


def test_blocks_with_bytes_behind_are_complete(flac: bytes) -> None:
    for behind in (bytes(5000), b"TAG" + bytes(125)):
        found, notes = decoded(flac + behind)
        assert (len(found), notes) == (FRAMES, [])


@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("total", [None, 2 * FRAMES])
def test_blocks_of_truncated_file_raise_and_say_how_much_is_there(
    flac: bytes, fraction: float, total: int | None
) -> None:
    data = flac if total is None else with_total(flac, total)
    with pytest.raises(TruncatedAudioError, match=r"ends after \d\.\d s of (6.8|13.6) s; the file is truncated"):
        decoded(data[: int(fraction * len(data))])


def test_read_more_than_half_damaged_raises(flac: bytes) -> None:
    first, last = len(flac) // 4, len(flac) * 9 // 10
    with pytest.raises(AudioError, match=r"damaged, only 2\.\d s of 6\.8 s can be decoded; export it again"):
        decoded(flac[:first] + bytes(last - first) + flac[last:])


def ogg_page(payload: bytes, number: int) -> bytes:
    """Return an Ogg page; its checksum is not needed by what unwraps the stream."""
    sizes = [255] * (len(payload) // 255) + [len(payload) % 255]
    header = struct.pack("<4sBBqIIIB", b"OggS", 0, 2 if number == 0 else 0, 0, 1, number, 0, len(sizes))
    return header + bytes(sizes) + payload


def test_read_ogg_flac_as_ffmpeg_writes_it(flac: bytes) -> None:
    """The first packet has the header, the others a block of metadata or a frame each."""
    packets = [b"\x7fFLAC\x01\x00\x00\x01" + flac[:42]]
    packets += [flac[start : start + 30_000] for start in range(42, len(flac), 30_000)]
    data = b"".join(ogg_page(packet, number) for number, packet in enumerate(packets))
    assert np.array_equal(read(io.BytesIO(data))[0], read(io.BytesIO(flac))[0])
