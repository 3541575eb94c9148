"""FLAC streams whose header is wrong or whose frames are damaged (RFC 9639)."""

import io
import re
from collections.abc import Iterator

from scenelet.audio.decoder_process import Piece, PiecewiseFile

HEAD_BYTES = 42  # "fLaC", the header of the first metadata block, and its content STREAMINFO
TOTAL_BITS = 36
TAIL_BYTES = 1 << 20
"""Bytes at the end in which the last frame begins."""
SEARCH_BYTES = 1 << 20
MAX_HEADER_BYTES = 16
FRAME_START = re.compile(rb"\xff[\xf8\xf9][\x10-\xff][\x00-\xaf]", re.DOTALL)
BLOCK_SIZES = {1: 192, 2: 576, 3: 1152, 4: 2304, 5: 4608, **{code: 256 << (code - 8) for code in range(8, 16)}}
SAMPLE_BITS = {1: 8, 2: 12, 4: 16, 5: 20, 6: 24, 7: 32}


class FlacStream:
    """A FLAC stream, and repaired versions of it.

    Args:
        stream: the bytes of the stream.

    Attributes:
        stated_samples: number of samples that the header states, 0 if it states none.
        is_valid: whether the stream begins with the usual header. Otherwise nothing can be repaired.
    """

    def __init__(self, stream: PiecewiseFile) -> None:
        self._stream = stream
        stream.seek(0)
        self._head = bytes(stream.read(HEAD_BYTES) or b"")
        self.is_valid = len(self._head) == HEAD_BYTES and self._head[:4] == b"fLaC" and self._head[4] & 127 == 0
        self.stated_samples = int.from_bytes(self._head[18:26], "big") & ((1 << TOTAL_BITS) - 1)

    def count_samples(self) -> int | None:
        """Return the number of samples up to the end of the last frame, or None if there is no frame near the end."""
        size = self._stream.seek(0, io.SEEK_END)
        return max((end for _, _, end in self._frames(max(HEAD_BYTES, size - TAIL_BYTES))), default=None)

    def with_samples(self, samples: int) -> list[Piece]:
        """Return the stream with another number of samples in its header."""
        return [self._head_with(samples), *self._stream.pieces_from(HEAD_BYTES)]

    def pieces_after(self, sample: int, samples: int) -> tuple[list[Piece], int] | None:
        """Find the first frame behind a sample that cannot be decoded.

        Args:
            sample: its number.
            samples: number of samples of the stream.

        Returns:
            A stream of this frame and all that follow, and the number of its first sample. None if there is none.
        """
        for offset, first, _ in self._frames(HEAD_BYTES):
            if sample < first < samples:
                head = bytearray(self._head_with(samples - first))
                head[4] |= 128  # it is the last block of metadata
                return [bytes(head), *self._stream.pieces_from(offset)], first
        return None

    def _head_with(self, samples: int) -> bytes:
        number = int.from_bytes(self._head[18:26], "big") >> TOTAL_BITS << TOTAL_BITS | samples
        return self._head[:18] + number.to_bytes(8, "big") + self._head[26:]

    def _frames(self, start: int) -> Iterator[tuple[int, int, int]]:
        """Yield the offset, the first sample and one past the last sample of each frame from an offset on."""
        size = self._stream.seek(0, io.SEEK_END)
        for offset in range(start, size, SEARCH_BYTES):
            self._stream.seek(offset)
            data = self._stream.read(min(SEARCH_BYTES, size - offset) + MAX_HEADER_BYTES) or b""
            for match in FRAME_START.finditer(data):
                found = self._parse_frame(data[match.start() : match.start() + MAX_HEADER_BYTES])
                if found is not None and match.start() < SEARCH_BYTES:
                    yield offset + match.start(), *found

    def _parse_frame(self, data: bytes) -> tuple[int, int] | None:
        """Return the first and one past the last sample of a frame, or None if the bytes are not a frame's header."""
        fixed_size = int.from_bytes(self._head[8:10], "big")
        bits = ((self._head[20] & 1) << 4 | self._head[21] >> 4) + 1
        if len(data) < 6 or data[3] & 1 or SAMPLE_BITS.get(data[3] >> 1 & 7, bits) != bits:
            return None
        lead = 8 - (data[4] ^ 255).bit_length()  # the number is coded like a character of UTF-8
        following = data[5 : 5 + max(0, lead - 1)]
        if lead in (1, 8) or any(byte >> 6 != 2 for byte in following):
            return None
        number = data[4] & (127 >> lead)
        for byte in following:
            number = number << 6 | byte & 63
        position, size_code, rate_code = 5 + len(following), data[2] >> 4, data[2] & 15
        size_bytes = {6: 1, 7: 2}.get(size_code, 0)
        size = BLOCK_SIZES.get(size_code) or int.from_bytes(data[position : position + size_bytes], "big") + 1
        position += size_bytes + {12: 1, 13: 2, 14: 2}.get(rate_code, 0)
        if position >= len(data) or _crc8(data[:position]) != data[position]:
            return None
        first = number if data[1] & 1 else number * fixed_size
        return first, first + size


def _crc8(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc << 1 ^ (0x107 if crc & 128 else 0)
    return crc
