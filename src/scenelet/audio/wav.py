"""WAV files: the header of one that comes from a pipe, and a reader of uncompressed samples.

We read uncompressed WAV files ourselves: NumPy is faster than libsndfile, and it cannot hang.
"""

import struct
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from scenelet.audio.chunks import MAX_CHUNKS, UNKNOWN_BYTES, SoundChunk
from scenelet.audio.pcm import (
    MAX_CHANNELS,
    MAX_SAMPLE_RATE,
    MIN_SAMPLE_RATE,
    PcmFormat,
    SampleFormat,
    read_fully,
    to_float32,
)
from scenelet.errors import AudioError

MAX_SKIPPED_BYTES = 1 << 20
"""Bytes of chunks that are read from a pipe in search of the sound."""
MAX_BODY_BYTES = 64  # "fmt " and "ds64" are shorter
SIZE_IN_DS64 = 0xFFFFFFFF  # the 32-bit size of an RF64's sound; its "ds64" chunk has the real one
PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE  # format tags
SAMPLE_FORMATS: dict[tuple[int, int], SampleFormat] = {
    (PCM, 16): "s16",
    (PCM, 24): "s24",
    (PCM, 32): "s32",
    (FLOAT, 32): "f32",
}


def read_wav_header(stream: BinaryIO) -> tuple[PcmFormat, int | None]:
    """Read the chunks of a RIFF or RF64 WAV up to its sound, from a stream that need not be seekable.

    Returns:
        The layout of the samples, and the size of the sound in bytes or None if the writer did not know it.

    Raises:
        AudioError: the stream is not a WAV, or its samples are of a kind that only files may have.
    """
    header = read_fully(stream, 12)
    if not header:
        raise AudioError("nothing came; pipe sound into it")
    if header[:4] not in (b"RIFF", b"RF64") or header[8:] != b"WAVE":
        raise AudioError("not a WAV; for raw samples give --sample-rate")
    pcm, skipped, size_in_ds64 = None, 0, SIZE_IN_DS64
    for _ in range(MAX_CHUNKS):
        head = read_fully(stream, 8)
        size = int.from_bytes(head[4:], "little")
        if len(head) < 8:
            break
        if head[:4] == b"data":
            if pcm is None:
                break
            size = size_in_ds64 if size == SIZE_IN_DS64 else size
            return pcm, size if 0 < size < UNKNOWN_BYTES else None
        body = read_fully(stream, min(size, MAX_BODY_BYTES))
        if head[:4] == b"ds64" and len(body) >= 16:
            size_in_ds64 = int.from_bytes(body[8:16], "little")
        if head[:4] == b"fmt ":
            pcm = _pipe_format(body)
        skipped += size
        if skipped > MAX_SKIPPED_BYTES:
            break
        read_fully(stream, size + size % 2 - len(body))  # chunks are padded to an even size
    raise AudioError("the WAV holds no sound; record or export it again")


def _pipe_format(body: bytes) -> PcmFormat:
    if len(body) < 16:
        raise AudioError("the WAV's header is truncated; record or export it again")
    pcm = parse_format(body)
    tag, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", body)
    if pcm is None:
        raise AudioError(
            f"the WAV has {channels} channels, {bits} bits and format tag {tag}; a pipe may have up to {MAX_CHANNELS}"
            " channels of 16, 24 or 32 bits or 32-bit floating point"
        )
    if not MIN_SAMPLE_RATE <= rate <= MAX_SAMPLE_RATE:
        raise AudioError(
            f"the WAV has a sample rate of {rate} Hz, outside of {MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE} Hz;"
            " is its header damaged?"
        )
    return pcm


def parse_format(body: bytes) -> PcmFormat | None:
    """Return the layout of the samples by the content of a "fmt " chunk, or None if they are of another kind."""
    if len(body) < 16:
        return None
    tag, channels, rate, _, align, bits = struct.unpack_from("<HHIIHH", body)
    if tag == EXTENSIBLE and len(body) >= 26:
        (tag,) = struct.unpack_from("<H", body, 24)
    if (tag, bits) not in SAMPLE_FORMATS or not 1 <= channels <= MAX_CHANNELS:
        return None
    pcm = PcmFormat(rate, channels, SAMPLE_FORMATS[tag, bits])
    return pcm if align == pcm.frame_bytes else None


class PcmFile:
    """Reader of a little-endian WAV file of 16, 24 or 32-bit integers or 32-bit floating point.

    It gives the same numbers as libsndfile, in less time. Its attributes are those of
    `scenelet.audio.decoder.DecodedFile`.

    Args:
        data: the open file.
        sound: the range of its sound.
        pcm: the layout of its samples.
    """

    format = "WAV"

    def __init__(self, data: BinaryIO, sound: SoundChunk, pcm: PcmFormat) -> None:
        self._data, self._pcm, self._position = data, pcm, sound.start
        self.sample_rate, self.channels = pcm.sample_rate, pcm.channels
        self.subtype = "FLOAT" if pcm.sample_format == "f32" else f"PCM_{pcm.sample_format[1:]}"
        self.frames = self._left = (sound.end - sound.start) // pcm.frame_bytes

    def read(self, frames: int) -> tuple[NDArray[np.float32], str]:
        """Read up to `frames` frames (frames, channels). The second value is always empty: nothing can be damaged."""
        self._data.seek(self._position)
        stored = read_fully(self._data, self._pcm.frame_bytes * min(frames, self._left))
        # if the file became shorter since it was opened, there are fewer bytes, or none
        count = len(stored) // self._pcm.frame_bytes
        self._position += count * self._pcm.frame_bytes
        self._left -= count
        return to_float32(stored[: count * self._pcm.frame_bytes], self._pcm), ""
