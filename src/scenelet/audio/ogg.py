"""Ogg files: their pages (RFC 3533, section 6), checked before the decoder sees them."""

from dataclasses import dataclass
from typing import BinaryIO

from scenelet.errors import AudioError, TruncatedAudioError

CAPTURE_PATTERN = b"OggS\0"
HEADER_BYTES = 27  # of a page before its segment table, whose length is the last of them
MAX_GAPS = 16
"""Gaps between pages, or page headers within pages, that a file may have.

At each one the decoder searches for the next page and checks its sum, which takes 4 s for a megabyte of such headers.
"""
SEARCH_BYTES = 1 << 20
FLAC_MAPPING = b"\x7fFLAC"
FLAC_MAPPING_BYTES = 9  # before the FLAC stream in the first packet
CODECS = {b"\x01vorbis": "Vorbis", b"OpusHead": "Opus", FLAC_MAPPING: "FLAC"}
OTHER_CODECS = {b"Speex   ": "Speex", b"\x80theora": "Theora", b"fishead\0": "Ogg Skeleton", b"CELT    ": "CELT"}


@dataclass(frozen=True)
class OggPages:
    """Pages of an Ogg file.

    Attributes:
        codec: "Vorbis", "Opus", "FLAC", another name, or "an unknown codec".
        payloads: first and one past the last byte of the content of each page.
    """

    codec: str
    payloads: list[tuple[int, int]]


def read_pages(file: BinaryIO, start: int, name: str) -> OggPages:
    """Read the headers of all pages.

    Args:
        file: an open file.
        start: offset of the first page.
        name: what errors call the file.

    Raises:
        TruncatedAudioError: the file ends within a page. One that ends between two pages looks complete.
        AudioError: the pages do not follow each other.
    """
    size = file.seek(0, 2)
    headers = _count(file, start, size)
    payloads: list[tuple[int, int]] = []
    offset, gaps = start, 0
    while 0 <= offset < size:
        file.seek(offset)
        head = file.read(HEADER_BYTES + 255)
        if not head.startswith(CAPTURE_PATTERN):
            gaps += 1
            offset = _find(file, offset + 1, size) if gaps <= MAX_GAPS else -1
            continue
        segments = head[HEADER_BYTES - 1] if len(head) >= HEADER_BYTES else 0
        payload = offset + HEADER_BYTES + segments
        end = payload + sum(head[HEADER_BYTES : HEADER_BYTES + segments])
        if len(head) < HEADER_BYTES or end > size:
            raise TruncatedAudioError(f"{name}: its last page is incomplete; the file is truncated, copy it again")
        payloads.append((payload, end))
        offset = end
    if gaps > MAX_GAPS or headers - len(payloads) > MAX_GAPS:
        raise AudioError(f"{name}: its Ogg pages do not follow each other; the file is damaged, export it again")
    return OggPages(_codec(file, payloads[0]), payloads)


def _codec(file: BinaryIO, payload: tuple[int, int]) -> str:
    file.seek(payload[0])
    packet = file.read(min(64, payload[1] - payload[0]))
    known = {**CODECS, **OTHER_CODECS}
    return next((codec for magic, codec in known.items() if packet.startswith(magic)), "an unknown codec")


def _count(file: BinaryIO, start: int, size: int) -> int:
    """Count the page headers, whether or not they are where a page begins."""
    count = 0
    for offset in range(start, size, SEARCH_BYTES):
        file.seek(offset)
        count += file.read(min(SEARCH_BYTES, size - offset) + len(CAPTURE_PATTERN) - 1).count(CAPTURE_PATTERN)
    return count


def _find(file: BinaryIO, start: int, size: int) -> int:
    """Return the offset of the next page header, or -1 if there is none."""
    for offset in range(start, size, SEARCH_BYTES):
        file.seek(offset)
        found = file.read(SEARCH_BYTES + len(CAPTURE_PATTERN) - 1).find(CAPTURE_PATTERN)
        if found >= 0:
            return offset + found
    return -1
