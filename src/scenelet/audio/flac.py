"""FLAC streams whose header is wrong or whose frames are damaged (RFC 9639)."""

import re
from functools import reduce

from scenelet.audio.formats import unreadable
from scenelet.audio.streams import Content, JoinedFile

HEAD_BYTES = 42  # "fLaC", the header of the first metadata block, and its content STREAMINFO
TOTAL_BITS = 36
TAIL_BYTES = (1 << 16, 1 << 20)
"""Bytes at the end in which the last frame begins. The second number is for files of many channels."""
MAX_HEADER_BYTES = 16
FRAME_START = re.compile(rb"\xff[\xf8\xf9][\x10-\xff][\x00-\xaf]", re.DOTALL)
BLOCK_SIZES = {1: 192, 2: 576, 3: 1152, 4: 2304, 5: 4608, **{code: 256 << (code - 8) for code in range(8, 16)}}
SAMPLE_BITS = {1: 8, 2: 12, 4: 16, 5: 20, 6: 24, 7: 32}


class FlacStream:
    """A FLAC stream, and repaired versions of it.

    Args:
        data: what has the stream.
        start: offset of the stream.

    Attributes:
        block_frames: maximum number of frames in a block.
        stated_samples: number of samples that the header states, 0 if it states none.
        samples: number of samples up to the end of the last frame, or that of the header if there is none.

    Raises:
        AudioError: the stream does not begin with the usual header.
    """

    def __init__(self, data: Content, start: int) -> None:
        self._data, self._start = data, start + HEAD_BYTES
        self._head = head = bytes(data[start : self._start])
        if len(head) < HEAD_BYTES or head[:4] != b"fLaC" or head[4] & 127:
            raise unreadable("it is FLAC, but its header is damaged")
        self.block_frames = int.from_bytes(head[10:12], "big")
        self.stated_samples = int.from_bytes(head[18:26], "big") & ((1 << TOTAL_BITS) - 1)
        self.samples = self._last_sample() or self.stated_samples

    def file(self) -> JoinedFile:
        """Return the stream with the right number of samples in its header."""
        return JoinedFile(self._head_with(self.samples), self._data, self._start)

    def file_after(self, sample: int) -> tuple[JoinedFile, int] | None:
        """Find the first frame behind a sample that cannot be decoded.

        Returns:
            A stream of this frame and all that follow, and the number of its first sample. None if there is none.
        """
        for match in FRAME_START.finditer(self._data, self._start):
            frame = self._parse_frame(match.start())
            if frame and sample < frame[0] < self.samples:
                head = bytearray(self._head_with(self.samples - frame[0]))
                head[4] |= 128  # it is the last block of metadata
                return JoinedFile(bytes(head), self._data, match.start()), frame[0]
        return None

    def _last_sample(self) -> int | None:
        found = None
        for tail_bytes in TAIL_BYTES:
            tail = max(self._start, len(self._data) - tail_bytes)
            for match in reversed(list(FRAME_START.finditer(self._data, tail))):
                frame = self._parse_frame(match.start())
                if frame and frame[1] == self.stated_samples:  # the others may look like frames by chance
                    return frame[1]
                found = found or (frame and frame[1])
            if found:
                break
        return found

    def _head_with(self, samples: int) -> bytes:
        number = int.from_bytes(self._head[18:26], "big") >> TOTAL_BITS << TOTAL_BITS | samples
        return self._head[:18] + number.to_bytes(8, "big") + self._head[26:]

    def _parse_frame(self, offset: int) -> tuple[int, int] | None:
        """Return the first and one past the last sample of a frame, or None if the bytes are not a frame's header."""
        data = self._data[offset : offset + MAX_HEADER_BYTES]
        bits = ((self._head[20] & 1) << 4 | self._head[21] >> 4) + 1
        if len(data) < 6 or data[3] & 1 or SAMPLE_BITS.get(data[3] >> 1 & 7, bits) != bits:
            return None
        lead = 8 - (data[4] ^ 255).bit_length()  # the number is coded like a character of UTF-8
        following = data[5 : 5 + max(0, lead - 1)]
        if lead in (1, 8) or any(byte >> 6 != 2 for byte in following):
            return None
        number = reduce(lambda high, byte: high << 6 | byte & 63, following, data[4] & (127 >> lead))
        position, size_code, rate_code = 5 + len(following), data[2] >> 4, data[2] & 15
        size_bytes = {6: 1, 7: 2}.get(size_code, 0)
        size = BLOCK_SIZES.get(size_code) or int.from_bytes(data[position : position + size_bytes], "big") + 1
        position += size_bytes + {12: 1, 13: 2, 14: 2}.get(rate_code, 0)
        if position >= len(data) or _crc8(data[:position]) != data[position]:
            return None
        first = number if data[1] & 1 else number * int.from_bytes(self._head[8:10], "big")
        return first, first + size


def _crc8(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc << 1 ^ (0x107 if crc & 128 else 0)
    return crc
