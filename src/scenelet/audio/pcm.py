"""Uncompressed samples: decoding bytes to float32, reading them from a stream, and checking their values."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from scenelet.errors import AudioError

SampleFormat = Literal["s16", "s24", "s32", "f32"]
"""Little-endian samples: signed integers of 16, 24 or 32 bits, or 32-bit floating point with full scale +-1."""
SAMPLE_FORMATS: tuple[SampleFormat, ...] = get_args(SampleFormat)
MIN_SAMPLE_RATE, MAX_SAMPLE_RATE = 500, 768_000
"""Bounds in Hz for files, pipes, arrays and live sound. The minimum is above a rate that is in kHz by mistake."""
MAX_CHANNELS = 64
"""Maximum number of channels of files, pipes, arrays and live sound."""
MAX_LEVEL = 1e6  # times full scale, i.e. 120 dB above it; the squares of larger samples could overflow float32


def find_invalid_samples(samples: NDArray[np.float32]) -> str | None:
    """Describe the samples, of any shape but not empty, that cannot be used. Return None if all can.

    >>> find_invalid_samples(np.float32([0.5, np.nan]))
    'samples that are not finite numbers'
    """
    peak = max(float(samples.max()), -float(samples.min()))
    if peak <= MAX_LEVEL:  # false for nan too
        return None
    if np.isfinite(samples).all():
        return f"samples up to {peak:.1e} times full scale"
    return "samples that are not finite numbers"


@dataclass(frozen=True)
class AudioInfo:
    """Properties that a recording's header states."""

    sample_rate: int
    channels: int
    frames: int

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return self.frames / self.sample_rate


@dataclass(frozen=True)
class Sound(AudioInfo):
    """An open recording.

    Attributes:
        read: function that reads up to so many frames, (frames, channels). None are the end. It returns too what is
            odd about the recording, which is known at the end.
        skip: function that skips so many frames before the first one is read. It returns False, and skips none, if the
            format has no way to seek.
    """

    read: Callable[[int], tuple[NDArray[np.float32], list[str]]]
    skip: Callable[[int], bool]


@dataclass(frozen=True)
class PcmFormat:
    """Layout of samples in bytes: one frame after the other, with the channels of a frame in turn."""

    sample_rate: int
    channels: int
    sample_format: SampleFormat

    @property
    def frame_bytes(self) -> int:
        """Bytes of one frame, i.e. of one sample per channel."""
        return self.channels * int(self.sample_format[1:]) // 8


def decode_pcm(data: bytes, pcm: PcmFormat) -> NDArray[np.float32]:
    """Decode complete frames to samples (channels, n) with full scale +-1.

    Raises:
        AudioError: the data ends within a frame, or a number is not finite.

    >>> decode_pcm(bytes([0, 64, 0, 192]), PcmFormat(8000, 1, "s16"))
    array([[ 0.5, -0.5]], dtype=float32)
    """
    if len(data) % pcm.frame_bytes:
        raise AudioError(f"{len(data)} bytes are not a multiple of the frame size, {pcm.frame_bytes} bytes")
    samples = to_float32(data, pcm)
    if pcm.sample_format == "f32" and samples.size and (fault := find_invalid_samples(samples)):
        raise AudioError(f"the sound holds {fault}; leave them out")
    return np.ascontiguousarray(samples.T)


def to_float32(data: bytes, pcm: PcmFormat) -> NDArray[np.float32]:
    """Convert complete frames to samples (n, channels) with full scale +-1, whatever their values are.

    >>> to_float32(bytes([0, 64, 0, 192]), PcmFormat(8000, 2, "s16"))
    array([[ 0.5, -0.5]], dtype=float32)
    """
    if pcm.sample_format == "f32":
        samples = np.frombuffer(data, "<f4").astype(np.float32)
    elif pcm.sample_format == "s24":
        # each three bytes become the upper ones of a 32-bit integer, whose lowest byte is the last of the one before
        integers = np.ndarray((len(data) // 3,), "<i4", b"\0" + data, strides=(3,)) & -256
        samples = integers.astype(np.float32)
        samples *= np.float32(2.0**-31)
    else:
        bits = int(pcm.sample_format[1:])
        samples = np.frombuffer(data, f"<i{bits // 8}").astype(np.float32)
        samples *= np.float32(2.0 ** (1 - bits))
    return samples.reshape(-1, pcm.channels)


def read_stream(
    stream: BinaryIO, pcm: PcmFormat, data_bytes: int | None = None, block_seconds: float = 0.1
) -> Iterator[NDArray[np.float32]]:
    """Yield blocks (channels, n) until the stream ends. An incomplete last frame is dropped.

    Args:
        stream: a binary file that need not be seekable.
        pcm: layout of its samples.
        data_bytes: length of the sound. None reads until the stream ends.
        block_seconds: approximate length of a block.

    Raises:
        AudioError: a number is not finite.
    """
    block_bytes = max(1, round(block_seconds * pcm.sample_rate)) * pcm.frame_bytes
    left = math.inf if data_bytes is None else data_bytes
    while data := read_fully(stream, int(min(block_bytes, left))):
        left -= len(data)
        complete = len(data) - len(data) % pcm.frame_bytes
        if complete:
            yield decode_pcm(data[:complete], pcm)


def read_fully(stream: BinaryIO, size: int) -> bytes:
    """Read `size` bytes. Fewer are returned only if the stream ends."""
    parts = []
    while size > 0 and (part := stream.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
