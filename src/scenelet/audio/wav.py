"""WAV files by their bytes: the chunks, and 24-bit samples, which the challenges' recordings have."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Literal, cast

import numpy as np
import soundfile
from numpy.typing import NDArray

Recording = Path | BinaryIO
"""Where a recording lies, or an open binary file that holds it: one that can seek; errors call it by its `name`."""

MAX_CHUNKS = 1000
"""In front of the sound: zeros look like chunks without end, eight bytes each."""
_IN_DS64 = 0xFFFFFFFF


@contextlib.contextmanager
def open_audio(recording: Recording) -> Iterator[BinaryIO]:
    """The recording as an open file at its beginning; one that was open stays so."""
    if isinstance(recording, Path):
        with recording.open("rb", buffering=0) as file:  # libsndfile reads by the same descriptor
            yield cast(BinaryIO, file)
    else:
        recording.seek(0)
        yield recording


def find_data_chunk(file: BinaryIO) -> tuple[int, int] | None:
    """(where the bytes of a WAV's sound start, how many its header says there are); None: no WAV, or no sound in it.

    RIFF, RIFX (its big-endian form) and RF64 (lengths of 64 bits) are known.
    """
    file.seek(0)
    head = file.read(12)
    if head[:4] not in (b"RIFF", b"RIFX", b"RF64") or head[8:] != b"WAVE":
        return None
    order: Literal["big", "little"] = "big" if head[:4] == b"RIFX" else "little"
    wide = None
    for _ in range(MAX_CHUNKS):
        name, length = file.read(4), int.from_bytes(four := file.read(4), order)
        if len(four) < 4:
            return None
        start = file.tell()
        if name == b"ds64" and len(sizes := file.read(16)) == 16:
            wide = int.from_bytes(sizes[8:], "little")
        if name == b"data":
            return start, wide if wide is not None and length == _IN_DS64 else length
        file.seek(start + length + length % 2)
    return None


class Wav24Reader:
    """Reads a 24-bit WAV: the numbers that libsndfile gives, in less time.

    A sample's three bytes are the upper ones of a 32-bit integer that begins one byte earlier.

    Args:
        data: it as an open file.
        start: where the bytes of its sound start.
        file: the same, as libsndfile has it: for its format and length.
    """

    def __init__(self, data: BinaryIO, start: int, file: soundfile.SoundFile) -> None:
        self._data, self._start = data, start
        self._channels, self._left = file.channels, file.frames

    @staticmethod
    def fits(file: soundfile.SoundFile) -> bool:
        """Whether a file is of this kind."""
        return file.format in ("WAV", "WAVEX") and file.subtype == "PCM_24" and file.endian != "BIG"

    def read(self, frames: int, dtype: str = "float32", always_2d: bool = True) -> NDArray[np.float32]:
        """(up to `frames`, channels); none where the file ends."""
        count = 3 * self._channels * min(frames, self._left)
        self._data.seek(self._start - 1)
        stored = np.frombuffer(self._data.read(count + 1), np.uint8)
        # a file that became shorter meanwhile gives less, or nothing
        got = max(0, len(stored) - 1) // (3 * self._channels)
        self._start += 3 * self._channels * got
        self._left -= got
        whole = np.ndarray((got * self._channels,), "<i4", stored, strides=(3,)) & -256  # the lowest byte is another's
        samples = whole.astype(np.float32)
        samples *= np.float32(2.0**-31)
        return samples.reshape(-1, self._channels)
