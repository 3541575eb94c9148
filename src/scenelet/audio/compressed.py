"""Recordings that libsndfile decodes: what it sees of the file, and decoding as far as possible.

NumPy is not imported here, so that a decoder process starts quickly.
"""

from dataclasses import dataclass
from typing import BinaryIO, Literal

import soundfile

from scenelet.audio.chunks import ENCODINGS, MP3, SoundChunk, encoding, find_sound
from scenelet.audio.flac import FlacStream
from scenelet.audio.formats import Format, recognize, unreadable
from scenelet.audio.lengths import note_lengths, note_missing, sound_end
from scenelet.audio.mpeg import MAX_PADDING_SAMPLES, Mp3Length, find_frame, measure
from scenelet.audio.ogg import CODECS, FLAC_MAPPING_BYTES, find_codec, find_pages
from scenelet.audio.streams import Content, JoinedFile, map_file
from scenelet.errors import AudioError, EmptyAudioError, TruncatedAudioError

UNKNOWN_FRAMES = 1 << 40  # libsndfile states at least so many if the header does not have the length
MAX_FAULTS = 16
"""Damaged places behind which decoding continues."""


@dataclass(frozen=True)
class Stream:
    """View of a recording for libsndfile: the container by its content, and a file whose lengths are right."""

    format: Format
    file: JoinedFile
    note: str = ""
    flac: FlacStream | None = None
    mp3: Mp3Length | None = None


def find_stream(file: BinaryIO) -> Stream:
    """Find what libsndfile may see of a seekable file.

    Raises:
        EmptyAudioError: the file is empty.
        TruncatedAudioError: bytes at its end are missing.
        AudioError: it is not a recording that can be read.
    """
    format, start = recognize(file)
    data = map_file(file)
    if format in ("WAV", "AIFF", "W64", "CAF"):
        return _chunk_stream(format, find_sound(file, format, start), data)
    if format == "Ogg":
        pages = find_pages(data, start)
        codec = find_codec(data[slice(*pages[0])])
        if codec not in CODECS.values():
            raise unreadable(f"it is {codec} in Ogg")
        if codec == "FLAC":  # libsndfile does not read all of these
            data, start = b"".join(data[slice(*page)] for page in pages), FLAC_MAPPING_BYTES
        else:
            return Stream(format, JoinedFile(b"", data, start))
    if format in ("FLAC", "Ogg"):
        flac = FlacStream(data, start)
        return Stream(format, flac.file(), flac=flac)
    return _au_stream(data) if format == "AU" else _mpeg_stream(data, start, len(data))


def _chunk_stream(format: Format, sound: SoundChunk | None, data: Content) -> Stream:
    if sound is None:
        raise unreadable(f"it is {format}, but its header is damaged or it has no sound")
    if b"fmt " in sound.kept:
        tag = encoding(sound.kept[b"fmt "], sound.form.order)
        if tag not in ENCODINGS:
            raise unreadable(f"it is {format} with the encoding {tag:#06x}")
        if tag == MP3 and sound.end > sound.start:
            return _mpeg_stream(data, find_frame(data, sound.start, sound.end), sound.end, sound.note)
    return Stream(format, JoinedFile(sound.head(), data, sound.start, sound.end), sound.note)


def _au_stream(data: Content) -> Stream:
    order: Literal["big", "little"] = "big" if data[:4] == b".snd" else "little"
    start, stated = int.from_bytes(data[4:8], order), int.from_bytes(data[8:12], order)
    if not 24 <= start <= len(data):
        raise unreadable("it is AU, but its header is damaged")
    end, note = sound_end(start, stated, len(data))
    return Stream("AU", JoinedFile(data[:8] + min(end - start, 0xFFFFFFFF).to_bytes(4, order), data, 12, end), note)


def _mpeg_stream(data: Content, start: int, end: int, note: str = "") -> Stream:
    mp3 = measure(data, start, end)
    return Stream("MPEG", JoinedFile(b"", data, start, end), note or (mp3.note if mp3 else ""), mp3=mp3)


class _SequentialFile(soundfile.SoundFile):  # type: ignore[misc]  # soundfile has no types
    """Sound file that is only read from its beginning to its end.

    Otherwise `soundfile` seeks after each read to where the file is already. That fails behind a fault, and an MP3
    decoder loses what it knows of earlier frames.
    """

    def seekable(self) -> bool:
        """Return False, so that `soundfile` does not seek."""
        return False


class CompressedSound:
    """Reader of a recording by libsndfile.

    Args:
        file: an open and seekable file.

    Attributes:
        header: its `sample_rate`, `channels` and `frames` as libsndfile states them.

    Raises:
        AudioError: as `find_stream`, or libsndfile cannot read it.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._stream = find_stream(file)
        self._content, mp3 = self._stream.file, self._stream.mp3
        self._file = self._open(self._content)
        if mp3 and self._file.frames + MAX_PADDING_SAMPLES < mp3.samples:
            self._content = mp3.file
            self._file = self._open(self._content)
        self.sample_rate, self.channels = self._file.samplerate, self._file.channels
        self.frames = self._left = self._file.frames
        self.header = {"sample_rate": self.sample_rate, "channels": self.channels, "frames": self.frames}
        self._count, self._skipped = 0, 0
        self._faults: list[str] = []

    def read(self, frames: int) -> tuple[bytearray, list[str]]:
        """Read up to `frames` frames as float32. None are the end, at which the second value is what is odd.

        Raises:
            EmptyAudioError: there were no samples.
            AudioError: more cannot be decoded than `note_missing` allows.
        """
        while True:
            decoded, fault = self._decode(frames)
            self._count += len(decoded) // (4 * self.channels)
            can_continue = self._continue_behind(fault) if fault else bool(decoded)
            if decoded:
                return decoded, []
            if not can_continue:
                return decoded, self._finish()

    def skip(self, frames: int) -> bool:
        """Skip frames before the first `read`. Return False, and skip none, if libsndfile cannot seek in the format."""
        try:
            self._file.seek(frames)
        except soundfile.LibsndfileError:
            self._content.seek(0)
            self._file = self._open(self._content)
            return False
        self._count, self._left = frames, self.frames - frames
        return True

    def _open(self, file: JoinedFile) -> _SequentialFile:
        try:
            return _SequentialFile(file)
        except soundfile.LibsndfileError as error:
            if "not exist" in _reason(error):  # what libsndfile says of an MP3 shorter than a frame
                raise TruncatedAudioError("ends before its first sound; copy or record it again") from None
            raise unreadable(f"it is {self._stream.format}; libsndfile: {_reason(error)}") from None

    def _decode(self, frames: int) -> tuple[bytearray, str]:
        """Return up to `frames` decoded frames, and libsndfile's complaint or an empty text."""
        frame_bytes = 4 * self.channels
        # libsndfile does not say how much it has decoded before a fault. No decoded sample has only ones as bits.
        decoded = bytearray(b"\xff") * (frame_bytes * min(frames, self._left))
        fault = ""
        try:
            size = frame_bytes * self._file.buffer_read_into(decoded, "float32")
        except soundfile.LibsndfileError as error:
            fault = _reason(error)
            size = len(decoded.rstrip(b"\xff")) // frame_bytes * frame_bytes
        del decoded[size:]
        self._left -= size // frame_bytes
        return decoded, fault

    def _continue_behind(self, fault: str) -> bool:
        """Continue behind a damaged frame, and return whether there is anything."""
        position, flac = self._count + self._skipped, self._stream.flac
        self._faults.append(f"damaged after {position / self.sample_rate:.1f} s ({fault})")
        found = flac.file_after(position) if flac and len(self._faults) <= MAX_FAULTS else None
        if found is None:
            self._left = 0
            return False
        file, first = found
        self._skipped += first - position
        self._file = self._open(file)
        self._left = self._file.frames
        return True

    def _finish(self) -> list[str]:
        """Return what is odd about a recording that was read to its end."""
        notes, flac, rate = [self._stream.note] if self._stream.note else [], self._stream.flac, self.sample_rate
        if self._count == 0:
            raise AudioError(f"{self._faults[0]}; export it again") if self._faults else empty_error()
        if self.frames >= UNKNOWN_FRAMES:
            return notes
        stated = (flac.stated_samples if flac else 0) or self.frames
        if self._count + self._skipped >= self.frames and not self._faults:
            return notes if stated == self.frames else [*notes, note_lengths(stated, self.frames, rate)]
        if self._stream.format == "MPEG" and not self._faults:  # its length is an estimate
            return notes
        # an Ogg that ends within a page is refused before, so frames are missing in between
        is_damaged = self._skipped > 0 or self._stream.format == "Ogg" or (flac is None and bool(self._faults))
        fault, last_block = "".join(self._faults[:1]), flac.block_frames if flac else 0
        return [*notes, note_missing(self._count, stated, rate, fault, is_damaged, last_block)]


def empty_error() -> EmptyAudioError:
    """Return the error for a recording without samples."""
    return EmptyAudioError("holds no samples; record or export it again")


def _reason(error: soundfile.LibsndfileError) -> str:
    """Return libsndfile's message without its prefix and full stop."""
    return str(error.error_string).removeprefix("Error : ").strip().rstrip(".")
