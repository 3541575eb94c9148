"""WAV files: the header of one that comes from a pipe, and a reader of uncompressed samples.

We read uncompressed WAV files ourselves: NumPy is faster than libsndfile, and it cannot hang.
"""

import struct
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from scenelet.audio.chunks import MAX_CHUNKS, encoding, find_sound
from scenelet.audio.formats import read_at, recognize
from scenelet.audio.lengths import SIZE_IN_DS64, UNKNOWN_BYTES, note_missing
from scenelet.audio.pcm import (
    MAX_CHANNELS,
    MAX_SAMPLE_RATE,
    MIN_SAMPLE_RATE,
    PcmFormat,
    SampleFormat,
    Sound,
    read_fully,
    to_float32,
)
from scenelet.errors import AudioError

MAX_SKIPPED_BYTES = 1 << 20
"""Bytes of chunks that are read from a pipe in search of the sound."""
MAX_BODY_BYTES = 64  # "fmt " and "ds64" are shorter
PCM, FLOAT = 1, 3  # format tags
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
    tag, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", body)
    if not (pcm := parse_format(body)):
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
    _, channels, rate, _, align, bits = struct.unpack_from("<HHIIHH", body)
    tag = encoding(body)
    if (tag, bits) not in SAMPLE_FORMATS or not 1 <= channels <= MAX_CHANNELS:
        return None
    pcm = PcmFormat(rate, channels, SAMPLE_FORMATS[tag, bits])
    return pcm if align == pcm.frame_bytes else None


def open_pcm(file: BinaryIO) -> Sound | None:
    """Open the WAV or W64 in a file if it has samples that a `PcmFormat` describes.

    The reader gives the same numbers as libsndfile, in less time.

    Raises:
        AudioError: the file is not a recording that can be read, or is truncated.
    """
    format, start = recognize(file)
    sound = find_sound(file, format, start) if format in ("WAV", "W64") else None
    pcm = parse_format(sound.kept[b"fmt "]) if sound and sound.form.order == "little" else None
    if sound is None or pcm is None:
        return None
    size, position, total = pcm.frame_bytes, sound.start, (sound.end - sound.start) // pcm.frame_bytes
    notes = [sound.note] if sound.note else []

    def read(frames: int) -> tuple[NDArray[np.float32], list[str]]:
        nonlocal position
        done = (position - sound.start) // size
        stored = read_at(file, position, size * min(frames, total - done))
        stored = stored[: len(stored) // size * size]
        position += len(stored)
        if not stored and done < total:  # the file became shorter since it was opened
            notes.append(note_missing(done, total, pcm.sample_rate))
        return to_float32(stored, pcm), notes

    def skip(frames: int) -> bool:
        nonlocal position
        position += size * frames
        return True

    return Sound(pcm.sample_rate, pcm.channels, total, read, skip)
