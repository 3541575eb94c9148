"""What a decoder may see of a recording: its format by content, and pieces whose lengths are right."""

import os
from dataclasses import dataclass, field
from typing import BinaryIO

from scenelet.audio.chunks import ByteOrder, SoundChunk, find_sound, sound_end
from scenelet.audio.decoder_process import Piece, PiecewiseFile
from scenelet.audio.flac import FlacStream
from scenelet.audio.formats import Format, recognize, unreadable
from scenelet.audio.ogg import CODECS, FLAC_MAPPING_BYTES, read_pages
from scenelet.audio.pcm import PcmFormat
from scenelet.audio.wav import parse_format
from scenelet.errors import EmptyAudioError


@dataclass(frozen=True)
class Layout:
    """Parts of a recording's file.

    Attributes:
        format: the container by its content.
        pieces: what the decoder sees.
        sound: range of the samples, for formats of chunks.
        pcm: layout of the samples if the decoder is not needed.
        notes: what is odd about the file.
        flac: the FLAC stream, for FLAC and Ogg FLAC.
    """

    format: Format
    pieces: list[Piece]
    sound: SoundChunk | None = None
    pcm: PcmFormat | None = None
    notes: list[str] = field(default_factory=list)
    flac: FlacStream | None = None


def find_layout(file: BinaryIO, name: str) -> Layout:
    """Find the parts of an open recording, and check them so that no decoder hangs on them.

    Args:
        file: an open, seekable file.
        name: what errors call it.

    Raises:
        EmptyAudioError: the file is empty.
        TruncatedAudioError: bytes at its end are missing.
        AudioError: it is not a recording that can be read.
    """
    size = file.seek(0, os.SEEK_END)
    if size == 0:
        raise EmptyAudioError(f"{name}: the file is empty; copy or record it again")
    format, start = recognize(file, name)
    if format in ("WAV", "AIFF", "W64", "CAF"):
        return _chunk_layout(file, format, start, name)
    if format == "FLAC":
        return _flac_layout(file, format, [(start, size)], name)
    if format == "Ogg":
        pages = read_pages(file, start, name)
        if pages.codec not in CODECS.values():
            raise unreadable(name, f"it is {pages.codec} in Ogg")
        if pages.codec == "FLAC":
            (first, end), *others = pages.payloads
            return _flac_layout(file, format, [(first + FLAC_MAPPING_BYTES, end), *others], name)
        return Layout(format, [(start, size)])
    return _au_layout(file, name) if format == "AU" else Layout(format, [(start, size)])


def _chunk_layout(file: BinaryIO, format: Format, start: int, name: str) -> Layout:
    sound = find_sound(file, format, start, name)
    if sound is None:
        raise unreadable(name, f"it is {format}, but its header is damaged or it has no sound")
    notes = [sound.note] if sound.note else []
    pcm = parse_format(sound.kept[b"fmt "]) if format == "WAV" and sound.form.order == "little" else None
    return Layout(format, sound.pieces(), sound, pcm, notes)


def _au_layout(file: BinaryIO, name: str) -> Layout:
    file.seek(0)
    head = file.read(12)
    order: ByteOrder = "big" if head[:4] == b".snd" else "little"
    start, stated = int.from_bytes(head[4:8], order), int.from_bytes(head[8:12], order)
    size = file.seek(0, os.SEEK_END)
    if not 24 <= start <= size:
        raise unreadable(name, "it is AU, but its header is damaged")
    end, note = sound_end(file, name, start, stated, 0, False)
    pieces: list[Piece] = [head[:8] + min(end - start, 0xFFFFFFFF).to_bytes(4, order), (12, end)]
    return Layout("AU", pieces, notes=[note] if note else [])


def _flac_layout(file: BinaryIO, format: Format, ranges: list[tuple[int, int]], name: str) -> Layout:
    def read_at(size: int, offset: int) -> bytes:
        file.seek(offset)
        return file.read(size)

    pieces: list[Piece] = [*ranges]
    stream = FlacStream(PiecewiseFile(read_at, pieces))
    if not stream.is_valid:
        raise unreadable(name, "it is FLAC, but its header is damaged")
    samples = stream.count_samples()
    if samples is not None and samples != stream.stated_samples:
        pieces = stream.with_samples(samples)
    return Layout(format, pieces, flac=stream)
