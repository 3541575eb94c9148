"""MPEG audio streams (MP3, MP2): how many frames there are, and a header that says so.

libsndfile stops after the length that the header states. Without one it estimates the length by the first frames.
"""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from scenelet.audio.decoder_process import Piece, ReadAt

READ_BYTES = 1 << 20
MAX_FRAMES, MAX_SEARCHES = 1_000_000, 10_000
"""Frames, which are 7 h, and places without a frame that are counted. A malicious file could have many more."""
MIN_BYTES = 64  # the header with the length lies within
KBITS = {  # by version (1, or 2 and 2.5) and layer
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
SAMPLE_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
FRAME_START = re.compile(rb"\xff[\xe2-\xff][\x10-\xef]", re.DOTALL)
XING_KBITS_INDEX = 9  # of the frame that we add; the smallest frames would have no room for the number


@dataclass(frozen=True)
class Frame:
    """Header of a frame."""

    layer: int
    size: int
    samples: int
    sample_rate: int
    xing_offset: int
    """Offset of a Xing or Info header, if this is the first frame."""


def parse_frame(head: bytes) -> Frame | None:
    """Read the header of a frame from its first four bytes. Return None if they are not one, or have no bit rate."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer, bits, rate = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3), head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or layer == 4 or bits in (0, 15) or rate == 3:
        return None
    is_first = version == 3
    sample_rate = SAMPLE_RATES[version][rate]
    samples = {1: 384, 2: 1152, 3: 1152 if is_first else 576}[layer]
    size = samples * 125 * KBITS[1 if is_first else 2, layer][bits - 1] // sample_rate + (head[2] >> 1 & 1)
    if layer == 1:
        size = size // 4 * 4
    is_mono = head[3] >> 6 == 3
    side_bytes = (17 if is_mono else 32) if is_first else (9 if is_mono else 17)
    return Frame(layer, size, samples, sample_rate, 4 + (0 if head[1] & 1 else 2) + side_bytes)


def count_frames(read_at: ReadAt, start: int, end: int) -> int:
    """Count the frames in a range of a file. What is no frame is passed over."""
    return sum(1 for _ in itertools.islice(_frames(read_at, start, end), MAX_FRAMES))


def _frames(read_at: ReadAt, start: int, end: int) -> Iterator[Frame]:
    """Yield the frames that lie completely in a range of a file."""
    data, offset = b"", start  # `data` begins at `offset`
    position, searches = 0, 0
    while offset + position < end and searches < MAX_SEARCHES:
        if position + 4 > len(data):
            offset, position = offset + position, 0
            data = read_at(min(READ_BYTES, end - offset), offset)
            if len(data) < 4:
                return
        frame = parse_frame(data[position : position + 4])
        if frame is not None:
            if offset + position + frame.size > end:
                return
            position += frame.size
            yield frame
            continue
        searches += 1
        found = FRAME_START.search(data, position + 1)
        position = found.start() if found else len(data)


@dataclass(frozen=True)
class MpegLength:
    """Length of an MP3 stream.

    Attributes:
        stated_samples: what its Xing or Info header states, 0 if it has none.
        samples: what its frames have together.
        sample_rate: Hz.
        pieces: the stream with a header that states this.
    """

    stated_samples: int
    samples: int
    sample_rate: int
    pieces: list[Piece]


def measure(read_at: ReadAt, start: int, end: int) -> MpegLength | None:
    """Count the frames of an MP3 stream. Return None for other streams and for unusual headers.

    Args:
        read_at: reader of the file.
        start: offset of the first frame.
        end: one past the last byte of the stream.
    """
    head = read_at(2048, start)
    first = parse_frame(head[:4])
    if first is None or first.layer != 3 or len(head) < MIN_BYTES or head[36:40] == b"VBRI":
        return None
    counted, at = count_frames(read_at, start, end), first.xing_offset
    if counted == MAX_FRAMES:
        return None
    if head[at : at + 4] in (b"Xing", b"Info"):
        if not head[at + 7] & 1:  # it does not have the number
            return None
        counted = max(0, counted - 1)
        stated = int.from_bytes(head[at + 8 : at + 12], "big") * first.samples
        pieces: list[Piece] = [head[: at + 8] + counted.to_bytes(4, "big"), (start + at + 12, end)]
        return MpegLength(stated, counted * first.samples, first.sample_rate, pieces)
    header = bytes([head[0], head[1] | 1, XING_KBITS_INDEX << 4 | head[2] & 12, head[3]])
    added = parse_frame(header)
    assert added is not None
    number = b"Xing\0\0\0\1" + counted.to_bytes(4, "big")
    frame = (header + bytes(added.xing_offset - 4) + number).ljust(added.size, b"\0")
    return MpegLength(0, counted * first.samples, first.sample_rate, [frame, (start, end)])
