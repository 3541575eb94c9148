"""Start of recordings: names of recorders, comments, GUANO and broadcast WAV."""

import io
import struct
import tempfile
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenelet.timeline.recording_time import recording_start, time_in_name, times_in_header

DAWN = datetime(2024, 5, 1, 5, 30)
AUDIOMOTH = "Recorded at {} by AudioMoth 242A2605648965BB at medium gain while battery was 4.2V."


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("20240501_053000.WAV", DAWN),  # AudioMoth
        ("20240501_053000T.WAV", DAWN),  # AudioMoth, triggered
        ("20240501_053000_250.WAV", DAWN + timedelta(milliseconds=250)),
        ("242A2605648965BB_20240501_053000.WAV", DAWN),
        ("SMM01234_20240501_053000.wav", DAWN),  # Song Meter Mini and Micro
        ("SITE-A_0+1_20240501_053000.wav", DAWN),
        ("20240501T053000+0200_garden.flac", DAWN.replace(tzinfo=timezone(timedelta(hours=2)))),
        ("20240501T053000-0330.wav", DAWN.replace(tzinfo=timezone(-timedelta(hours=3, minutes=30)))),
        ("garden_20240501T053000Z.wav", DAWN.replace(tzinfo=UTC)),
        ("5AFCE2E0.WAV", datetime(2018, 5, 17, 2, 3, 12, tzinfo=UTC)),  # AudioMoth, firmware of 2018
        ("20240501_053000_12345.wav", DAWN),
        ("2024-05-01_05-30-00.wav", DAWN),
        ("2024-05-01T05:30:00.wav", DAWN),
        ("garden 2024-05-01 05.30.00.wav", DAWN),
        ("2024_05_01_05_30_00_12.wav", DAWN),
        ("2024-05-01_05-30-00+0200.wav", DAWN.replace(tzinfo=timezone(timedelta(hours=2)))),
        ("2024.05.01.05.30.00.wav", DAWN),
        ("2024-05-01_05-30-00-0123.wav", DAWN),  # a number, not a zone
        ("2024-05-01_05-30-00-9999.wav", DAWN),
        ("Recording 2024-05-01 05-30-00 PM.wav", None),
        ("20240501_053000pm.wav", None),
        ("2024-0501_05-30-00.wav", None),
        ("2024-05-01_05-3000.wav", None),
        ("2024-05-01.wav", None),
        ("20241301_053000.wav", None),  # month 13
        ("20240501_256000.wav", None),
        ("120240501_053000.wav", None),
        ("1-100032-A-0.wav", None),
        ("20240501.wav", None),
        ("DEADBEEF.wav", None),  # in the year 2088
        ("rain.wav", None),
        (".wav", None),
    ],
)
def test_time_in_name(name: str, expected: datetime | None) -> None:
    found = time_in_name(name)
    assert found == expected
    assert found is None or (found.tzinfo is None) == (expected is None or expected.tzinfo is None)


@given(st.datetimes(datetime(1980, 1, 1), datetime(2090, 1, 1)), st.from_regex(r"[A-Za-z_ -]{0,12}", fullmatch=True))
def test_time_in_name_reads_what_a_recorder_writes(time: datetime, prefix: str) -> None:
    time = time.replace(microsecond=0)
    assert time_in_name(f"{prefix}_{time:%Y%m%d_%H%M%S}.wav") == time


def wav(path: Path, *chunks: tuple[bytes, bytes], behind: tuple[tuple[bytes, bytes], ...] = ()) -> Path:
    """Write a WAV of 10 samples with chunks before the sound and behind it."""
    sound = [(b"fmt ", struct.pack("<HHIIHH", 1, 1, 8000, 16000, 2, 16)), *chunks, (b"data", bytes(20)), *behind]
    body = b"".join(name + struct.pack("<I", len(text)) + text + bytes(len(text) % 2) for name, text in sound)
    path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body)
    return path


def comment(text: str) -> tuple[bytes, bytes]:
    encoded = text.encode() + b"\0"
    return b"LIST", b"INFOICMT" + struct.pack("<I", len(encoded)) + encoded


def bext(date: bytes, time: bytes) -> tuple[bytes, bytes]:
    return b"bext", bytes(320) + date + time + bytes(272)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("05:30:00 01/05/2024 (UTC)", "2024-05-01T05:30:00+00:00"),
        ("05:30:00 01/05/2024 (UTC+2)", "2024-05-01T05:30:00+02:00"),
        ("05:30:00 01/05/2024 (UTC-6)", "2024-05-01T05:30:00-06:00"),
        ("05:30:00.125 01/05/2024 (UTC+5:30)", "2024-05-01T05:30:00.125000+05:30"),
        ("05:30:00 01/05/2024", "2024-05-01T05:30:00"),  # the first firmware
    ],
)
def test_comment_of_an_audiomoth_states_time_and_zone(tmp_path: Path, text: str, expected: str) -> None:
    path = wav(tmp_path / "20240501_033000.WAV", comment(AUDIOMOTH.format(text)))
    assert recording_start(path).isoformat() == expected  # type: ignore[union-attr]


def test_invalid_comment_leaves_the_name(tmp_path: Path) -> None:
    path = wav(tmp_path / "20240501_053000.WAV", comment(AUDIOMOTH.format("05:30:00 99/05/2024 (UTC)")))
    assert recording_start(path) == DAWN


def test_guano_behind_the_sound_counts_more_than_the_name(tmp_path: Path) -> None:
    text = b"GUANO|Version: 1.0\nMake: Wildlife Acoustics\nTimestamp: 2024-05-01T05:30:00-07:00\nLength: 60\n"
    path = wav(tmp_path / "20200101_000000.wav", behind=((b"guan", text),))
    assert recording_start(path).isoformat() == "2024-05-01T05:30:00-07:00"  # type: ignore[union-attr]


def test_broadcast_date_counts_less_than_the_name(tmp_path: Path) -> None:
    chunk = bext(b"2024-05-01", b"05:30:00")
    assert recording_start(wav(tmp_path / "dawn.wav", chunk)) == DAWN
    assert recording_start(wav(tmp_path / "20200101_000000.wav", chunk)) == datetime(2020, 1, 1)
    assert recording_start(wav(tmp_path / "empty.wav", bext(bytes(10), bytes(8)))) is None
    assert recording_start(wav(tmp_path / "zeros.wav", bext(b"0000-00-00", b"00:00:00"))) is None


@given(st.lists(st.tuples(st.integers(0, 10**6), st.binary(min_size=1, max_size=4)), max_size=6))
def test_damaged_headers_are_never_an_error(changes: list[tuple[int, bytes]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        guano = (b"guan", b"Timestamp: 2024-05-01T05:30:00\n")
        chunks = (comment(AUDIOMOTH.format("05:30:00 01/05/2024 (UTC+2)")), bext(b"2024-05-01", b"05:30:00"), guano)
        data = bytearray(wav(Path(folder) / "a.wav", *chunks).read_bytes())
    for position, values in changes:
        position %= len(data)
        data[position : position + len(values)] = values
    for time in times_in_header(io.BytesIO(data)):
        assert time is None or time.isoformat()


def test_other_files_and_damaged_headers_have_no_time(tmp_path: Path) -> None:
    path = wav(tmp_path / "a.wav", comment(AUDIOMOTH.format("05:30:00 01/05/2024 (UTC)")))
    for length in range(0, len(path.read_bytes()), 7):
        (tmp_path / "cut.wav").write_bytes(path.read_bytes()[:length])
        recording_start(tmp_path / "cut.wav")
    (tmp_path / "a.flac").write_bytes(b"fLaC")
    assert recording_start(tmp_path / "a.flac") is None
