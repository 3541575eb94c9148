"""Ogg files: detection of truncated ones by their last page (RFC 3533, section 6)."""

import os
from typing import BinaryIO

CAPTURE_PATTERN, VERSION = b"OggS", b"\0"
HEADER_BYTES = 27  # of a page before its segment table, whose length is the last of them
MAX_PAGE_BYTES = HEADER_BYTES + 255 + 255 * 255


def is_truncated(file: BinaryIO) -> bool:
    """Return True if an Ogg file ends within a page. A file that ends between two pages looks complete."""
    file.seek(0)
    if file.read(len(CAPTURE_PATTERN)) != CAPTURE_PATTERN:
        return False
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - MAX_PAGE_BYTES))
    tail = file.read(MAX_PAGE_BYTES)
    page = tail[max(0, tail.rfind(CAPTURE_PATTERN + VERSION)) :]
    if not page.startswith(CAPTURE_PATTERN):
        return False  # something else follows the last page
    if len(page) < HEADER_BYTES:
        return True
    segments = page[HEADER_BYTES - 1]
    return len(page) < HEADER_BYTES + segments + sum(page[HEADER_BYTES : HEADER_BYTES + segments])
