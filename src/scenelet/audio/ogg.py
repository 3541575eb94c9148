"""Pages of Ogg files (RFC 3533, section 6)."""

from scenelet.audio.streams import Content
from scenelet.errors import AudioError, TruncatedAudioError

CAPTURE_PATTERN = b"OggS"
HEADER_BYTES = 27  # of a page before its segment table, whose length is the last of them
MAX_GAPS = 16
"""Gaps between pages that a file may have. At each one the decoder searches for the next page, which takes seconds."""
FLAC_MAPPING = b"\x7fFLAC"
FLAC_MAPPING_BYTES = 9  # before the FLAC stream in the first packet
CODECS = {b"\x01vorbis": "Vorbis", b"OpusHead": "Opus", FLAC_MAPPING: "FLAC"}
OTHER_CODECS = {b"Speex   ": "Speex", b"\x80theora": "Theora", b"fishead\0": "Ogg Skeleton", b"CELT    ": "CELT"}


def find_pages(data: Content, start: int) -> list[tuple[int, int]]:
    """Find the first and one past the last byte of the content of each page.

    Raises:
        TruncatedAudioError: the file ends within a page. One that ends between two pages looks complete.
        AudioError: the pages do not follow each other.
    """
    payloads: list[tuple[int, int]] = []
    gaps, offset = 0, data.find(CAPTURE_PATTERN, start)
    while offset >= 0:
        table = offset + HEADER_BYTES
        payload = table + data[table - 1] if table <= len(data) else table
        end = payload + sum(data[table:payload])
        if end > len(data):
            raise TruncatedAudioError("its last page is incomplete; the file is truncated, copy it again")
        payloads.append((payload, end))
        offset = data.find(CAPTURE_PATTERN, end)
        gaps += offset > end
        if gaps > MAX_GAPS:
            raise AudioError("its Ogg pages do not follow each other; the file is damaged, export it again")
    return payloads


def find_codec(packet: bytes) -> str:
    """Name the codec by the first bytes of a file's first page."""
    known = {**CODECS, **OTHER_CODECS}
    return next((codec for magic, codec in known.items() if packet.startswith(magic)), "an unknown codec")
