"""WAV files: the chunks, for files and for pipes, and a fast reader of 24-bit samples.

The 24-bit reader exists because libsndfile is slow at them and the DCASE challenges' recordings have them.
"""

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO, Literal

import numpy as np
import soundfile
from numpy.typing import NDArray

from scenelet.audio.pcm import MAX_SAMPLE_RATE, MIN_SAMPLE_RATE, PcmFormat, SampleFormat, read_fully
from scenelet.errors import AudioError

ByteOrder = Literal["big", "little"]

MAX_CHUNKS = 1000
"""Chunks that are read in search of the sound. A file of zeros looks like endless chunks of eight bytes."""
MAX_SKIPPED_BYTES = 1 << 20
"""Bytes of chunks that are read from a pipe in search of the sound."""
UNKNOWN_BYTES = 0x7FFFF000
"""Writers to a pipe do not know the length of the sound. They state this one or a larger one."""
SIZE_IN_DS64 = 0xFFFFFFFF  # the 32-bit size of an RF64's sound; its "ds64" chunk has the real one
MAX_BODY_BYTES = 64  # "fmt " and "ds64" are shorter
PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE  # format tags
PIPE_FORMATS: dict[tuple[int, int], SampleFormat] = {
    (PCM, 16): "s16",
    (PCM, 24): "s24",
    (PCM, 32): "s32",
    (FLOAT, 32): "f32",
}


def find_data_chunk(file: BinaryIO) -> tuple[int, int] | None:
    """Find the sound of a seekable WAV file: RIFF, RIFX (big-endian) or RF64 (64-bit sizes).

    Returns:
        The offset of the sound and its size in bytes as the header states it, or None if the file is not a WAV or
        has no sound.
    """
    file.seek(0)
    order = _read_byte_order(file)
    if order is None:
        return None
    for name, size, _ in _walk_chunks(file, order, seekable=True):
        if name == b"data":
            return file.tell(), size
    return None


def read_wav_header(stream: BinaryIO) -> tuple[PcmFormat, int | None]:
    """Read the chunks of a RIFF or RF64 WAV up to its sound, from a stream that need not be seekable.

    Returns:
        The layout of the samples, and the size of the sound in bytes or None if the writer did not know it.

    Raises:
        AudioError: the stream is not a WAV, or its samples are of a kind that only files may have.
    """
    order = _read_byte_order(stream, empty="nothing came; pipe sound into it")
    if order != "little":
        raise AudioError("not a WAV; for raw samples give --sample-rate")
    pcm = None
    for name, size, body in _walk_chunks(stream, order, seekable=False):
        if name == b"fmt ":
            pcm = _parse_format(body)
        if name == b"data" and pcm is not None:
            return pcm, size if 0 < size < UNKNOWN_BYTES else None
    raise AudioError("the WAV holds no sound; record or export it again")


def _read_byte_order(file: BinaryIO, empty: str = "") -> ByteOrder | None:
    """Read the first twelve bytes. Return None if they are not a WAV's.

    Raises:
        AudioError: with the message `empty`, if one is given and there are no bytes at all.
    """
    header = read_fully(file, 12)
    if empty and not header:
        raise AudioError(empty)
    if header[:4] not in (b"RIFF", b"RIFX", b"RF64") or header[8:] != b"WAVE":
        return None
    return "big" if header[:4] == b"RIFX" else "little"


def _walk_chunks(file: BinaryIO, order: ByteOrder, seekable: bool) -> Iterator[tuple[bytes, int, bytes]]:
    """Yield the name, size and first bytes of each chunk. End after "data", with `file` at the first byte of sound."""
    skipped, size_in_ds64 = 0, SIZE_IN_DS64
    for _ in range(MAX_CHUNKS):
        header = read_fully(file, 8)
        if len(header) < 8:
            return
        name, size = header[:4], int.from_bytes(header[4:], order)
        if name == b"data":
            yield name, size_in_ds64 if size == SIZE_IN_DS64 else size, b""
            return
        body = read_fully(file, min(size, MAX_BODY_BYTES))
        if name == b"ds64" and len(body) >= 16:
            size_in_ds64 = int.from_bytes(body[8:16], "little")
        yield name, size, body
        rest = size + size % 2 - len(body)  # chunks are padded to an even size
        if seekable:
            file.seek(rest, os.SEEK_CUR)
            continue
        skipped += size
        if skipped > MAX_SKIPPED_BYTES:
            return
        read_fully(file, rest)


def _parse_format(body: bytes) -> PcmFormat:
    if len(body) < 16:
        raise AudioError("the WAV's header is truncated; record or export it again")
    tag, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", body)
    if tag == EXTENSIBLE and len(body) >= 26:
        (tag,) = struct.unpack_from("<H", body, 24)
    if (tag, bits) not in PIPE_FORMATS or not 1 <= channels <= 2:
        raise AudioError(
            f"the WAV has {channels} channels, {bits} bits and format tag {tag}; a pipe may have one or two channels of"
            " 16, 24 or 32 bits or 32-bit floating point"
        )
    if not MIN_SAMPLE_RATE <= rate <= MAX_SAMPLE_RATE:
        raise AudioError(
            f"the WAV has a sample rate of {rate} Hz, outside of {MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE} Hz;"
            " is its header damaged?"
        )
    return PcmFormat(rate, channels, PIPE_FORMATS[tag, bits])


class Wav24Reader:
    """Reader of little-endian 24-bit WAV files. It gives the same numbers as libsndfile in less time.

    A sample's three bytes are the upper ones of a 32-bit integer that begins one byte earlier.

    Args:
        data: the open file.
        start: offset of its sound in bytes.
        file: the same file as opened by libsndfile, for its format and length.
    """

    def __init__(self, data: BinaryIO, start: int, file: soundfile.SoundFile) -> None:
        self._data, self._start = data, start
        self._channels, self._frames_left = file.channels, file.frames

    @staticmethod
    def supports(file: soundfile.SoundFile) -> bool:
        """Return True if this class can read the file."""
        return file.format in ("WAV", "WAVEX") and file.subtype == "PCM_24" and file.endian != "BIG"

    def read(self, frames: int, dtype: str = "float32", always_2d: bool = True) -> NDArray[np.float32]:
        """Read up to `frames` frames (frames, channels), and no frames at the end of the file.

        `dtype` and `always_2d` exist for the signature of `soundfile.SoundFile.read` and have no effect.
        """
        frame_bytes = 3 * self._channels
        self._data.seek(self._start - 1)
        stored = np.frombuffer(self._data.read(1 + frame_bytes * min(frames, self._frames_left)), np.uint8)
        # if the file became shorter since it was opened, there are fewer bytes, or none
        count = max(0, len(stored) - 1) // frame_bytes
        self._start += frame_bytes * count
        self._frames_left -= count
        # the lowest byte of each integer belongs to the sample before
        integers = np.ndarray((count * self._channels,), "<i4", stored, strides=(3,)) & -256
        samples = integers.astype(np.float32)
        samples *= np.float32(2.0**-31)
        return samples.reshape(-1, self._channels)
