"""MP3 streams: how many frames there are, and a header that says so.

libsndfile stops after the length that the header states. Without one it estimates the length by the first frames.
"""

import re
from typing import NamedTuple

from scenelet.audio.lengths import allowed_missing, note_lengths
from scenelet.audio.streams import Content, JoinedFile

MAX_FRAMES = 1_000_000  # 7 h
MIN_BYTES = 64  # the header with the length lies within
MAX_PADDING_SAMPLES = 4608
"""Samples at both ends of an MP3 that are no part of the sound. Its decoder leaves them out."""
KBITS = {  # of MPEG-1, and of MPEG-2 and 2.5
    True: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
FRAME_START = re.compile(rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb][\x10-\xef]", re.DOTALL)  # of layer III
XING_KBITS_INDEX = 9  # of the frame that we add; the smallest frames would have no room for the number


class Frame(NamedTuple):
    """Header of a frame: its bytes, samples, sample rate, and where a Xing header would be in it."""

    size: int
    samples: int
    sample_rate: int
    xing_offset: int


def parse_frame(head: bytes) -> Frame | None:
    """Read the header of a frame from its first four bytes. Return None if they are not one, or have no bit rate."""
    if len(head) < 4 or not FRAME_START.match(head) or head[2] & 12 == 12:
        return None
    is_first, is_half, is_mono = head[1] & 24 == 24, head[1] & 16, head[3] >> 6 == 3
    sample_rate = (44100, 48000, 32000)[head[2] >> 2 & 3] // (1 if is_first else 2 if is_half else 4)
    samples = 1152 if is_first else 576
    size = samples * 125 * KBITS[is_first][(head[2] >> 4) - 1] // sample_rate + (head[2] >> 1 & 1)
    side_bytes = (17 if is_mono else 32) if is_first else (9 if is_mono else 17)
    return Frame(size, samples, sample_rate, 4 + (0 if head[1] & 1 else 2) + side_bytes)


def find_frame(data: Content, start: int, end: int) -> int:
    """Return the offset of the first frame in a range, or the range's end."""
    found = FRAME_START.search(data, start, end)
    while found and not parse_frame(data[found.start() : found.start() + 4]):
        found = FRAME_START.search(data, found.start() + 1, end)
    return found.start() if found else end


def count_frames(data: Content, start: int, end: int) -> int:
    """Count the frames that lie completely in a range, `MAX_FRAMES` at most. What is no frame is passed over."""
    count, position = 0, find_frame(data, start, end)
    while position < end and count < MAX_FRAMES:
        frame = parse_frame(data[position : position + 4])
        if frame is None:
            position = find_frame(data, position, end)
        else:
            position += frame.size
            count += position <= end
    return count


class Mp3Length(NamedTuple):
    """Number of samples that the frames of an MP3 have, a stream whose header states it, and what was odd or ""."""

    samples: int
    file: JoinedFile
    note: str


def measure(data: Content, start: int, end: int) -> Mp3Length | None:
    """Find the length of an MP3 stream whose first frame is at `start`. Return None for others and unusual headers."""
    head = bytes(data[start : min(start + 2048, end)])
    first = parse_frame(head[:4])
    if first is None or len(head) < MIN_BYTES or head[36:40] == b"VBRI":
        return None
    counted, at, rate = count_frames(data, start, end), first.xing_offset, first.sample_rate
    if counted == MAX_FRAMES:
        return None
    if head[at : at + 4] not in (b"Xing", b"Info"):
        header = bytes([head[0], head[1] | 1, XING_KBITS_INDEX << 4 | head[2] & 12, head[3]])
        added = parse_frame(header)
        assert added is not None
        number = b"Xing\0\0\0\1" + counted.to_bytes(4, "big")
        frame = (header + bytes(added.xing_offset - 4) + number).ljust(added.size, b"\0")
        return Mp3Length(counted * first.samples, JoinedFile(frame, data, start, end), "")
    if not head[at + 7] & 1:  # it does not have the number
        return None
    counted = max(0, counted - 1)
    stated, samples = int.from_bytes(head[at + 8 : at + 12], "big") * first.samples, counted * first.samples
    is_odd = stated and abs(stated - samples) > allowed_missing(stated, rate)
    file = JoinedFile(head[: at + 8] + counted.to_bytes(4, "big"), data, start + at + 12, end)
    return Mp3Length(samples, file, note_lengths(stated, samples, rate) if is_odd else "")
