"""WAV files by their bytes: the chunks, and 24-bit samples, which the challenges' recordings have."""

import contextlib
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
from numpy.typing import NDArray

Recording = Path | BinaryIO
"""Where a recording lies, or an open binary file that holds it: one that can seek; errors call it by its `name`."""


@contextlib.contextmanager
def opened(recording: Recording) -> Iterator[BinaryIO]:
    """The recording as an open file at its beginning; one that was open stays so."""
    if isinstance(recording, Path):
        with recording.open("rb") as file:
            yield file
    else:
        recording.seek(0)
        yield recording


def chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """(name, length, where its bytes start) of each RIFF chunk."""
    while len(head := file.read(8)) == 8:
        name, length = struct.unpack("<4sI", head)
        start = file.tell()
        yield name, length, start
        file.seek(start + length + length % 2)


def _sound_start(recording: Recording) -> int | None:
    """Where the bytes of the sound start; None: no chunk holds it."""
    with opened(recording) as file:
        file.seek(12)
        return next((start for name, _, start in chunks(file) if name == b"data"), None)


class Wav24:
    """Reads a 24-bit WAV: the numbers that libsndfile gives, in less time.

    A sample's three bytes are the upper ones of a 32-bit integer that begins one byte earlier.

    Args:
        recording: where it lies, or it as an open file.
        file: the same, as libsndfile has it: for its format and length.
    """

    def __init__(self, recording: Recording, file: soundfile.SoundFile) -> None:
        start = _sound_start(recording)
        assert start is not None  # `fits`
        self._start = start
        self._recording, self._channels, self._left = recording, file.channels, file.frames

    @staticmethod
    def fits(recording: Recording, file: soundfile.SoundFile) -> bool:
        """Whether a file is of this kind, and its chunks are such that its sound is found."""
        kind = file.format in ("WAV", "WAVEX") and file.subtype == "PCM_24" and file.endian != "BIG"
        return kind and _sound_start(recording) is not None

    def read(self, frames: int, dtype: str = "float32", always_2d: bool = True) -> NDArray[np.float32]:
        """(up to `frames`, channels); none where the file ends."""
        count = 3 * self._channels * min(frames, self._left)
        stored = self._bytes(self._start - 1, count + 1)
        got = (len(stored) - 1) // (3 * self._channels)
        self._start += 3 * self._channels * got
        self._left -= got
        whole = np.ndarray((got * self._channels,), "<i4", stored, strides=(3,)) & -256  # the lowest byte is another's
        samples = whole.astype(np.float32)
        samples *= np.float32(2.0**-31)
        return samples.reshape(-1, self._channels)

    def _bytes(self, start: int, count: int) -> NDArray[np.uint8]:
        if isinstance(self._recording, Path):
            return np.fromfile(self._recording, np.uint8, count, offset=start)
        self._recording.seek(start)
        return np.frombuffer(self._recording.read(count), np.uint8)
