"""Bytes of a compressed recording as its decoder sees them."""

import io
import mmap
from typing import Any, BinaryIO, TypeAlias

Content: TypeAlias = bytes | mmap.mmap


def map_file(file: BinaryIO) -> Content:
    """Return the content of an open file, in virtual memory if the system can do this."""
    try:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError, AttributeError):
        file.seek(0)
        return file.read()


class JoinedFile(io.RawIOBase):
    """Read-only file of some bytes and a range of a recording's content behind them.

    >>> JoinedFile(b"ab", b"-cd-", 1, 3).read()
    b'abcd'
    """

    def __init__(self, head: bytes, data: Content, start: int, end: int | None = None) -> None:
        self._head, self._body, self._position = head, memoryview(data)[start:end], 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position in bytes."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Set the position. A negative one becomes 0: libsndfile seeks before the start of some damaged files."""
        base = (0, self._position, len(self._head) + len(self._body))[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer. Fewer bytes are read only at the end of the file."""
        target = memoryview(buffer).cast("B")
        first, last = self._position - len(self._head), self._position - len(self._head) + len(target)
        part = self._head[self._position : self._position + len(target)]
        part += bytes(self._body[max(0, first) : max(0, last)])
        target[: len(part)] = part
        self._position += len(part)
        return len(part)
