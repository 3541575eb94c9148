"""Wall-clock time at which a recording begins, from the header or the name that its recorder gave it.

A time has a zone only if the recorder states it. Otherwise it is what the recorder's clock showed.
"""

import os
import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import BinaryIO

from scenelet.audio.chunks import RIFF, walk_chunks
from scenelet.audio.formats import read_at

MAX_TEXT_BYTES = 1 << 16
"""Bytes of a chunk that are searched for a time."""
BEXT_DATE_OFFSET = 320  # EBU Tech 3285: 256 bytes of description, 32 of originator, 32 of its reference
HEX_SECONDS = range(0x58000000, 0x60000000)
"""Seconds since 1970 in names of old AudioMoth firmware: October 2016 to January 2021."""

_NAME = re.compile(
    r"(?<!\d)(?P<year>(?:19|20)\d\d)(?P<dash>[-_.]?)(?P<month>\d\d)(?P=dash)(?P<day>\d\d)[-_.T ]?"
    r"(?P<hour>\d\d)(?P<colon>[-_.:]?)(?P<minute>\d\d)(?P=colon)(?P<second>\d\d)"
    r"(?:[._](?P<ms>\d{3})(?!\d))?(?P<zone>Z|[+-](?:0\d|1[0-4]):?(?:00|15|30|45)(?!\d))?(?!\d|\s?[AaPp][Mm])",
    re.ASCII,
)
_HEX_NAME = re.compile(r"[0-9A-F]{8}")
_COMMENT = re.compile(
    rb"Recorded at (\d\d):(\d\d):(\d\d)(?:\.(\d{3}))? (\d\d)/(\d\d)/(\d{4})( \(UTC(?:([+-])(\d{1,2})(?::(\d\d))?)?\))?"
)
_GUANO = re.compile(rb"^Timestamp:[ \t]*([^\r\n\0]+)", re.MULTILINE)
_BEXT = re.compile(rb"(\d{4})\D(\d\d)\D(\d\d)(\d\d)\D(\d\d)\D(\d\d)")


def recording_start(path: Path) -> datetime | None:
    """Return when a recording begins, or None if neither header nor name state it.

    The comment of an AudioMoth and the metadata of GUANO (https://guano-md.org) count more than the name. The name
    counts more than the date of a broadcast WAV (EBU Tech 3285), which some editors replace.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        comment, origin = times_in_header(file)
    return comment or time_in_name(path.name) or origin


def time_in_name(name: str) -> datetime | None:
    """Read the time in the file name of an AudioMoth, a Song Meter or a similar recorder.

    >>> time_in_name("SMM01234_20240501_053000.wav")
    datetime.datetime(2024, 5, 1, 5, 30)
    >>> time_in_name("20240501T053000+0200.flac").isoformat()
    '2024-05-01T05:30:00+02:00'
    >>> time_in_name("2024-05-01_05-30-00.wav")
    datetime.datetime(2024, 5, 1, 5, 30)
    >>> time_in_name("5AFCE2E0.WAV").isoformat()
    '2018-05-17T02:03:12+00:00'
    >>> time_in_name("rain-2.wav") is None
    True
    """
    stem = name.rpartition(".")[0] or name
    if _HEX_NAME.fullmatch(stem) and int(stem, 16) in HEX_SECONDS:
        return datetime.fromtimestamp(int(stem, 16), UTC)
    for found in _NAME.finditer(stem):
        part = found.groupdict("")
        time = "{year}-{month}-{day}T{hour}:{minute}:{second}".format(**part)
        milliseconds = f".{part['ms']}" if part["ms"] else ""
        if begin := _parse(f"{time}{milliseconds}{part['zone']}"):
            return begin
    return None


def times_in_header(file: BinaryIO) -> tuple[datetime | None, datetime | None]:
    """Return the time in the comment or the GUANO metadata of a WAV, and that in its broadcast extension.

    Args:
        file: an open and seekable file of any content.
    """
    comment = origin = None
    if not re.match(rb"(RIFF|RF64).{4}WAVE", read_at(file, 0, 12), re.DOTALL):
        return None, None
    for chunk in walk_chunks(file, RIFF, RIFF.start, file.seek(0, os.SEEK_END)):
        if chunk.name not in (b"LIST", b"guan", b"bext"):
            continue
        text = read_at(file, chunk.start, min(chunk.size, MAX_TEXT_BYTES))
        if chunk.name == b"LIST" and (found := _COMMENT.search(text)):
            comment = comment or _comment_time(*found.groups())
        elif chunk.name == b"guan" and (found := _GUANO.search(text)):
            comment = comment or _parse(found[1].decode(errors="replace").strip())
        elif chunk.name == b"bext" and (found := _BEXT.match(text, BEXT_DATE_OFFSET)):
            year, month, day, hour, minute, second = map(bytes.decode, found.groups())
            origin = _parse(f"{year}-{month}-{day}T{hour}:{minute}:{second}")
    return comment, origin


def _comment_time(*groups: bytes | None) -> datetime | None:
    """Convert the groups of `_COMMENT`. The first firmware does not state the zone."""
    texts = [(group or b"").decode() for group in groups]
    hour, minute, second, milliseconds, day, month, year, zone, sign, hours, minutes = texts
    time = _parse(f"{year}-{month}-{day}T{hour}:{minute}:{second}.{milliseconds or '000'}")
    if time is None or not zone:
        return time
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    return time.replace(tzinfo=timezone(-offset if sign == "-" else offset)) if offset < timedelta(days=1) else time


def _parse(text: str) -> datetime | None:
    """Parse a time in ISO 8601; return None if it is invalid."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
