"""A stream that cannot seek."""

import io


class Pipe(io.RawIOBase):
    """Stream of `data` whose reads return at most `sizes` bytes, in turn."""

    def __init__(self, data: bytes, sizes: list[int]) -> None:
        self._data, self._sizes, self._turn = io.BytesIO(data), sizes, 0

    def read(self, size: int = -1) -> bytes:
        self._turn += 1
        return self._data.read(min(size, self._sizes[self._turn % len(self._sizes)]))

    def seekable(self) -> bool:
        return False
