"""Uncompressed sound, bytes that come in from a pipe or a socket -> float32 samples."""

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from scenelet.errors import AudioError

SampleFormat = Literal["s16", "s24", "s32", "f32"]
"""Little-endian: whole numbers with a sign, of so many bits, or floating point with full scale +-1."""
SAMPLE_FORMATS: tuple[SampleFormat, ...] = get_args(SampleFormat)
BYTES: dict[SampleFormat, int] = {"s16": 2, "s24": 3, "s32": 4, "f32": 4}
MAX_HEADER = 1 << 20  # bytes of chunks that may stand before a WAV's sound
MAX_RATE = 1 << 20  # Hz; blocks of a tenth of a second are asked for at once
MAX_LEVEL = 1e6  # times full scale, 120 dB above it; squares of more would leave float32
UNKNOWN_BYTES = 0x7FFFF000  # from here up, a WAV's length is what writers to a pipe put there, not a length
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE


def find_invalid_samples(samples: NDArray[np.float32]) -> str | None:
    """What makes samples of any shape, at least one, useless; None: nothing."""
    peak = max(float(samples.max()), -float(samples.min()))
    if peak <= MAX_LEVEL:  # false of nan too
        return None
    if np.isfinite(samples).all():
        return f"samples up to {peak:.1e} times full scale"
    return "samples that are not finite numbers"


@dataclass(frozen=True)
class PcmFormat:
    """How samples lie in bytes: frame by frame, the channels in turn."""

    sample_rate: int
    channels: int
    sample_format: SampleFormat

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of every channel."""
        return self.channels * BYTES[self.sample_format]


def decode_pcm(data: bytes, pcm: PcmFormat) -> NDArray[np.float32]:
    """Whole frames -> (channels, n), full scale +-1.

    Raises:
        AudioError: a part of a frame is left over, or a number is not finite.
    """
    if len(data) % pcm.frame_bytes:
        raise AudioError(f"{len(data)} bytes are no whole number of frames of {pcm.frame_bytes} bytes")
    if pcm.sample_format == "f32":
        samples = np.frombuffer(data, "<f4").astype(np.float32)
        if len(samples) and (fault := find_invalid_samples(samples)):
            raise AudioError(f"the sound holds {fault}; leave them out")
    elif pcm.sample_format == "s24":
        whole = np.zeros((len(data) // 3, 4), np.uint8)
        whole[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        samples = whole.view("<i4")[:, 0].astype(np.float32) * np.float32(2.0**-31)
    else:
        bits = 8 * BYTES[pcm.sample_format]
        samples = np.frombuffer(data, f"<i{bits // 8}").astype(np.float32) * np.float32(2.0 ** (1 - bits))
    return np.ascontiguousarray(samples.reshape(-1, pcm.channels).T)


def read_stream(
    stream: BinaryIO, pcm: PcmFormat, length: int | None = None, seconds: float = 0.1
) -> Iterator[NDArray[np.float32]]:
    """Yield (channels, n) blocks of about `seconds` until the stream, or its sound of `length` bytes, ends.

    A part of a last frame is left out.
    """
    size = max(1, round(seconds * pcm.sample_rate)) * pcm.frame_bytes
    left = math.inf if length is None else length
    while data := _read(stream, int(min(size, left))):
        left -= len(data)
        whole = len(data) - len(data) % pcm.frame_bytes
        if whole:
            yield decode_pcm(data[:whole], pcm)


def read_wav_header(stream: BinaryIO) -> tuple[PcmFormat, int | None]:
    """Read a WAV's chunks up to its sound, from a stream that cannot seek.

    Returns:
        How its samples lie, and how many bytes of them there are; None: not known, until the stream ends.

    Raises:
        AudioError: it is none, or its samples are of a kind that cannot be read here.
    """
    head = _read(stream, 12)
    if not head:
        raise AudioError("nothing came; pipe sound into it")
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        raise AudioError("not a WAV; for raw samples give --sample-rate")
    found: PcmFormat | None = None
    read = 0
    while len(start := _read(stream, 8)) == 8:
        name, length = struct.unpack("<4sI", start)
        if name == b"data":
            if found is None:
                break
            return found, length if 0 < length < UNKNOWN_BYTES else None
        read += length + length % 2
        if read > MAX_HEADER:
            break
        chunk = _read(stream, length + length % 2)
        if name == b"fmt ":
            found = _format(chunk)
    raise AudioError("the WAV holds no sound; record or export it again")


def _format(chunk: bytes) -> PcmFormat:
    if len(chunk) < 16:
        raise AudioError("the WAV's header is cut short; record or export it again")
    kind, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", chunk)
    if kind == _EXTENSIBLE and len(chunk) >= 26:
        (kind,) = struct.unpack_from("<H", chunk, 24)
    known: dict[tuple[int, int], SampleFormat] = {
        (_PCM, 16): "s16",
        (_PCM, 24): "s24",
        (_PCM, 32): "s32",
        (_FLOAT, 32): "f32",
    }
    if (kind, bits) not in known or not 1 <= channels <= 2 or rate == 0:
        raise AudioError(
            f"the WAV has {channels} channels, {bits} bits and kind {kind}; in a pipe, one or two channels of"
            " 16, 24 or 32 bits or 32-bit floating point can be read"
        )
    if rate > MAX_RATE:
        raise AudioError(f"the WAV has a sample rate of {rate} Hz, which no sound has; is its header damaged?")
    return PcmFormat(rate, channels, known[kind, bits])


def _read(stream: BinaryIO, size: int) -> bytes:
    """So many bytes, fewer only where the stream ends."""
    parts = []
    while size > 0 and (part := stream.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
