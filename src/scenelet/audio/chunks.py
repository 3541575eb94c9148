"""Chunks of WAV, AIFF, W64 and CAF files: where the sound is, and a minimal file around it for the decoder.

Recorders write wrong lengths, and libsndfile hangs on some invalid chunks. So the decoder gets only the chunks that it
needs, with lengths that are right.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Literal

from scenelet.audio.decoder_process import Piece
from scenelet.audio.formats import Format
from scenelet.audio.pcm import read_fully
from scenelet.errors import TruncatedAudioError

ByteOrder = Literal["big", "little"]

MAX_CHUNKS = 1000
"""Chunks that are read in search of the sound. A file of zeros looks like endless chunks of eight bytes."""
MAX_KEPT_BYTES = 16 << 20
"""Maximum size of a chunk that is passed to the decoder. The packet table of a long CAF has megabytes."""
UNKNOWN_BYTES = 0x7FFFF000
"""Writers to a pipe do not know the length of the sound. They state this one or a larger one."""
STREAM_BYTES = (256**8 - 1, 256**8 - 25)  # CAF and W64 whose writer did not know the length
SIZE_IN_DS64 = 0xFFFFFFFF  # the 32-bit size of an RF64's sound; its "ds64" chunk has the real one
MISSING_SECONDS, MISSING_FRACTION, MAX_MISSING_FRACTION = 0.2, 0.01, 0.1
"""Sound that may be missing at the end: the larger of a duration and a fraction, but never more than the last."""
MIN_STATED_FRACTION = 0.01
"""Fraction of the bytes that are there. If a header states less, its recorder died before it wrote the length."""


@dataclass(frozen=True)
class Form:
    """Layout of the chunks of a format.

    Attributes:
        header_bytes: bytes before the first chunk.
        name_bytes: length of a chunk's name, of which the first four bytes are used.
        size_bytes: length of its size.
        order: byte order of the size.
        alignment: chunks begin at multiples of it.
        size_has_header: whether a size counts the chunk's name and size too.
        sound: name of the chunk that has the sound.
        kept: names of the other chunks that the decoder needs.
    """

    header_bytes: int
    name_bytes: int
    size_bytes: int
    order: ByteOrder
    alignment: int
    size_has_header: bool
    sound: bytes
    kept: tuple[bytes, ...]


RIFF = Form(12, 4, 4, "little", 2, False, b"data", (b"fmt ", b"fact"))
RIFX = Form(12, 4, 4, "big", 2, False, b"data", (b"fmt ", b"fact"))
FORMS: dict[Format, Form] = {
    "AIFF": Form(12, 4, 4, "big", 2, False, b"SSND", (b"COMM", b"FVER")),
    "W64": Form(40, 16, 8, "little", 8, True, b"data", (b"fmt ", b"fact")),
    "CAF": Form(8, 4, 8, "big", 1, False, b"data", (b"desc", b"kuki", b"pakt")),
}


@dataclass(frozen=True)
class Chunk:
    """A chunk: its name, the offset of its content, and the size of its content as the file states it."""

    name: bytes
    start: int
    size: int


def walk_chunks(file: BinaryIO, form: Form, offset: int, file_size: int) -> Iterator[Chunk]:
    """Yield the chunks of a seekable file from an offset on, until one ends behind the file's end."""
    head_bytes = form.name_bytes + form.size_bytes
    for _ in range(MAX_CHUNKS):
        file.seek(offset)
        head = read_fully(file, head_bytes + 1)
        if len(head) < head_bytes:
            return
        size = int.from_bytes(head[form.name_bytes : head_bytes], form.order)
        size -= head_bytes if form.size_has_header else 0
        if size < 0:
            return
        yield Chunk(head[:4], offset + head_bytes, size)
        end = offset + head_bytes + size
        offset = end + -end % form.alignment
        if offset > end and form.alignment == 2:  # some writers forget the byte that makes the size even
            file.seek(end)
            if bytes(read_fully(file, 4)) in (form.sound, *form.kept):
                offset = end
        if offset > file_size:
            return


@dataclass(frozen=True)
class SoundChunk:
    """Sound of a file that consists of chunks.

    Attributes:
        form: layout of the chunks.
        head: bytes before the first chunk.
        kept: chunks that describe the sound, by name.
        start, end: range of the sound in bytes.
        note: what is odd about its length, or an empty text.
    """

    form: Form
    head: bytes
    kept: dict[bytes, bytes]
    start: int
    end: int
    note: str

    def pieces(self) -> list[Piece]:
        """Return what the decoder sees: the header, the chunks that it needs, and the sound."""
        form, head = self.form, bytearray(self.head)
        sound_name = self._full_name(form.sound)
        texts = []
        for name, body in self.kept.items():
            texts.append(self._head(self._full_name(name), len(body)) + body + bytes(-len(body) % form.alignment))
        texts.append(self._head(sound_name, self.end - self.start))
        total = len(head) + sum(map(len, texts)) + self.end - self.start
        if bytes(head[:4]) in (b"RF64", b"BW64"):
            head[:4] = b"RIFF"
        if form.size_has_header:
            head[16:24] = total.to_bytes(8, form.order)
        elif form.header_bytes == 12:
            head[4:8] = (min(total, 0xFFFFFFFF) - 8).to_bytes(4, form.order)
        return [bytes(head) + b"".join(texts), (self.start, self.end)]

    def _full_name(self, name: bytes) -> bytes:
        return name if self.form.name_bytes == 4 else name + W64_GUID_END

    def _head(self, name: bytes, size: int) -> bytes:
        size += len(name) + self.form.size_bytes if self.form.size_has_header else 0
        largest: int = 256**self.form.size_bytes - 1
        return name + min(size, largest).to_bytes(self.form.size_bytes, self.form.order)


W64_GUID_END = b"\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"


def find_sound(file: BinaryIO, format: Format, offset: int, name: str) -> SoundChunk | None:
    """Find the sound of a seekable WAV, AIFF, W64 or CAF file.

    Args:
        file: an open file.
        format: its format.
        offset: offset of the format's first byte.
        name: what errors call the file.

    Returns:
        The sound, or None if the file has no chunk of sound or no description of it.

    Raises:
        TruncatedAudioError: more of the sound is missing than a recorder's error explains.
    """
    file.seek(offset)
    head = read_fully(file, 40)
    form = FORMS.get(format) or (RIFX if head[:4] == b"RIFX" else RIFF)
    file_size = file.seek(0, os.SEEK_END)
    kept: dict[bytes, bytes] = {}
    sound, size_in_ds64 = None, SIZE_IN_DS64
    for chunk in walk_chunks(file, form, offset + form.header_bytes, file_size):
        if chunk.name == form.sound and sound is None:
            sound = chunk
            if all(needed in kept for needed in form.kept[:1]) and format == "WAV":
                break
        elif chunk.name == b"ds64" and form is RIFF:
            file.seek(chunk.start)
            size_in_ds64 = int.from_bytes(read_fully(file, 16)[8:], "little") or SIZE_IN_DS64
        elif chunk.name in form.kept and chunk.name not in kept and chunk.size <= MAX_KEPT_BYTES:
            file.seek(chunk.start)
            kept[chunk.name] = read_fully(file, chunk.size)
    if sound is None or form.kept[0] not in kept:
        return None
    stated = size_in_ds64 if form is RIFF and sound.size == SIZE_IN_DS64 else sound.size
    # the chunk behind the sound, if the length is right
    behind = next(walk_chunks(file, form, sound.start + stated + -stated % form.alignment, file_size), None)
    is_followed = (
        behind is not None
        and behind.start + behind.size <= file_size + 1
        and behind.name.isascii()
        and behind.name.decode().isprintable()
    )
    rate = int.from_bytes(kept[b"fmt "][8:12], form.order) if b"fmt " in kept else 0
    end, note = sound_end(file, name, sound.start, stated, rate, is_followed)
    return SoundChunk(form, head[: form.header_bytes], kept, sound.start, end, note)


def sound_end(
    file: BinaryIO, name: str, start: int, stated: int, bytes_per_second: int, is_followed: bool
) -> tuple[int, str]:
    """Find the end of the sound of a file whose header may state a wrong length.

    Args:
        file: an open file.
        name: what errors call it.
        start: offset of the sound.
        stated: length of the sound in bytes as the header states it.
        bytes_per_second: bytes of a second of sound, 0 if this is not known.
        is_followed: whether something valid follows the sound if the stated length is right.

    Returns:
        One past the last byte of sound, and what is odd about the length or an empty text.

    Raises:
        TruncatedAudioError: more of the sound is missing than a recorder's error explains.
    """
    file_size = file.seek(0, os.SEEK_END)
    available = file_size - start
    if stated in STREAM_BYTES or (UNKNOWN_BYTES <= stated <= SIZE_IN_DS64 and stated > available):
        return file_size, ""
    if stated > available:
        if stated - available <= allowed_missing(stated, bytes_per_second):
            return file_size, f"its header states {stated - available:,} bytes of sound more than there are"
        times = (
            f" ({available / bytes_per_second:.1f} s of {stated / bytes_per_second:.1f} s are there)"
            if bytes_per_second
            else ""
        )
        raise TruncatedAudioError(
            f"{name}: {stated - available} of {stated} bytes of sound are missing{times};"
            " the file is truncated, copy it again"
        )
    behind = available - stated
    if is_followed or behind <= 1:
        return start + stated, ""
    if stated < MIN_STATED_FRACTION * available or behind >= 1 << 32:  # the number in the header has 32 bits
        return file_size, f"its header states {stated:,} bytes of sound, but {available:,} are there and used"
    if behind > MISSING_FRACTION * stated:
        return start + stated, f"{behind:,} bytes behind the stated end of its sound are not used"
    return start + stated, ""


def allowed_missing(stated: int, per_second: float) -> float:
    """Return how much sound may be missing at the end of a recording that is used all the same.

    No window depends on so little. Recorders state a length that is a few bytes too large, or lose the last block.

    Args:
        stated: length of the recording, in bytes or frames.
        per_second: such bytes or frames in a second, 0 if this is not known.

    >>> allowed_missing(480_000, 48_000), allowed_missing(480, 48_000)
    (9600.0, 48.0)
    """
    allowed = max(MISSING_FRACTION * stated, MISSING_SECONDS * per_second)
    return min(allowed, MAX_MISSING_FRACTION * stated)
