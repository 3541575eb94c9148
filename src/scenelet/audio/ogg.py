"""Ogg files by their bytes: whether the last page is whole (RFC 3533, section 6)."""

import os
from typing import BinaryIO

CAPTURE, VERSION = b"OggS", b"\0"
HEAD = 27  # bytes of a page before its segment table, whose length is the last of them
MAX_PAGE_BYTES = HEAD + 255 + 255 * 255


def is_truncated(file: BinaryIO) -> bool:
    """Whether an Ogg file ends within a page. One that ends between two pages is not told from a whole one."""
    file.seek(0)
    if file.read(len(CAPTURE)) != CAPTURE:
        return False
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - MAX_PAGE_BYTES))
    tail = file.read(MAX_PAGE_BYTES)
    page = tail[max(0, tail.rfind(CAPTURE + VERSION)) :]
    if not page.startswith(CAPTURE):
        return False  # something else follows the last page
    if len(page) < HEAD:
        return True
    segments = page[HEAD - 1]
    return len(page) < HEAD + segments + sum(page[HEAD : HEAD + segments])
