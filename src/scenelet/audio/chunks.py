"""Chunks of WAV, AIFF, W64 and CAF files: where the sound is, and a minimal header for the decoder.

Recorders write wrong lengths, and libsndfile hangs on some invalid chunks. So the decoder gets only the chunks that it
needs, with lengths that are right.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Literal, NamedTuple

from scenelet.audio.formats import Format, read_at
from scenelet.audio.lengths import SIZE_IN_DS64, sound_end

ByteOrder = Literal["big", "little"]

MAX_CHUNKS = 10_000
"""Chunks that are read in search of the sound. A file of zeros looks like endless empty chunks."""
MAX_KEPT_BYTES = 16 << 20
"""Maximum size of a chunk that is passed to the decoder. The packet table of a long CAF has megabytes."""
EXTENSIBLE, MP3 = 0xFFFE, 0x55  # format tags
ENCODINGS = (1, 2, 3, 6, 7, 0x11, 0x14, 0x31, 0x38, 0x40, MP3)
"""Format tags of what libsndfile decodes: PCM, ADPCM, float, A-law, mu-law, G.723, GSM, NMS, G.721 and MP3."""
CHUNK_NAME = re.compile(rb"[ -~]{4}")
USUAL_CHUNKS = (b"LIST", b"JUNK", b"bext", b"iXML", b"cue ", b"guan", b"wamd", b"PEAK")


class Form(NamedTuple):
    """Layout of the chunks of a format. Lengths are in bytes.

    Attributes:
        start: length of what is before the first chunk.
        name: length of a chunk's name, of which the first four bytes are used.
        size: length of its size.
        order: byte order of the size.
        alignment: chunks begin at multiples of it.
        sound: name of the chunk that has the sound.
        kept: names of the other chunks that the decoder needs; the first one must be there.
    """

    start: int
    name: int
    size: int
    order: ByteOrder
    alignment: int
    sound: bytes
    kept: tuple[bytes, ...]


RIFF = Form(12, 4, 4, "little", 2, b"data", (b"fmt ", b"fact"))
RIFX = RIFF._replace(order="big")
W64 = Form(40, 16, 8, "little", 8, b"data", (b"fmt ", b"fact"))
CAF = Form(8, 4, 8, "big", 1, b"data", (b"desc", b"kuki", b"pakt"))
AIFF = Form(12, 4, 4, "big", 2, b"SSND", (b"COMM",))


class Chunk(NamedTuple):
    """A chunk: its name, the offset of its content, and the size of its content as the file states it."""

    name: bytes
    start: int
    size: int


def walk_chunks(file: BinaryIO, form: Form, offset: int, file_size: int) -> Iterator[Chunk]:
    """Yield the chunks of a seekable file from an offset on, until one ends behind the file's end."""
    head_bytes = form.name + form.size
    for _ in range(MAX_CHUNKS):
        head = read_at(file, offset, head_bytes) if offset <= file_size else b""
        # a W64 states the size of the whole chunk
        size = int.from_bytes(head[form.name :], form.order) - (head_bytes if form is W64 else 0)
        if len(head) < head_bytes or size < 0:
            return
        yield Chunk(head[:4], offset + head_bytes, size)
        end = offset + head_bytes + size
        offset = end + -end % form.alignment
        is_odd = end < offset <= file_size and form.alignment == 2  # some writers forget the byte that makes it even
        if is_odd and read_at(file, end, 4) in (form.sound, *form.kept, *USUAL_CHUNKS):
            offset = end


@dataclass(frozen=True)
class SoundChunk:
    """Sound of a file that consists of chunks.

    Attributes:
        form: layout of the chunks.
        kind: what the header of an AIFF names, b"AIFF" or b"AIFC".
        kept: chunks that describe the sound, by name.
        start, end: range of the sound in bytes.
        note: what is odd about its length, or an empty text.
    """

    form: Form
    kind: bytes
    kept: dict[bytes, bytes]
    start: int
    end: int
    note: str

    def head(self) -> bytes:
        """Return all that is before the sound in a minimal file. That of a W64 is a WAV."""
        form = RIFF if self.form is W64 else self.form
        size = self.end - self.start

        def number(value: int) -> bytes:
            largest: int = 256**form.size - 1
            return min(value, largest).to_bytes(form.size, form.order)

        text = b""
        for name, body in self.kept.items():
            text += name + number(len(body)) + body + bytes(-len(body) % form.alignment)
        text += form.sound + number(size)
        if form is CAF:
            return b"caff\0\1\0\0" + text
        magic, kind = {RIFF: (b"RIFF", b"WAVE"), RIFX: (b"RIFX", b"WAVE"), AIFF: (b"FORM", self.kind)}[form]
        return magic + number(4 + len(text) + size) + kind + text


def find_sound(file: BinaryIO, format: Format, offset: int) -> SoundChunk | None:
    """Find the sound of a seekable WAV, AIFF, W64 or CAF file whose first byte is at an offset.

    Returns:
        The sound, or None if the file has no chunk of sound or no description of it.

    Raises:
        TruncatedAudioError: more of the sound is missing than a recorder's error explains.
    """
    head = read_at(file, offset, 12)
    form = {"W64": W64, "CAF": CAF, "AIFF": AIFF}.get(format) or (RIFX if head[:4] == b"RIFX" else RIFF)
    file_size = file.seek(0, os.SEEK_END)
    kept: dict[bytes, bytes] = {}
    sound, size_in_ds64 = None, SIZE_IN_DS64
    for chunk in walk_chunks(file, form, offset + form.start, file_size):
        if chunk.name == form.sound:
            sound = sound or chunk
        elif chunk.name == b"ds64" and form is RIFF:
            size_in_ds64 = int.from_bytes(read_at(file, chunk.start + 8, 8), "little") or SIZE_IN_DS64
        elif chunk.name in form.kept and chunk.name not in kept and chunk.size <= MAX_KEPT_BYTES:
            kept[chunk.name] = read_at(file, chunk.start, chunk.size)
        if sound and form.kept[0] in kept and form is not CAF:  # the packet table of a CAF may be at the end
            break
    if sound is None or form.kept[0] not in kept:
        return None
    stated = size_in_ds64 if form is RIFF and sound.size == SIZE_IN_DS64 else sound.size
    # the chunk behind the sound, if the length is right
    behind = next(walk_chunks(file, form, sound.start + stated + -stated % form.alignment, file_size), None)
    if behind and (behind.start + behind.size > file_size + 1 or not CHUNK_NAME.fullmatch(behind.name)):
        behind = None
    rate = int.from_bytes(kept[b"fmt "][8:12], form.order) if b"fmt " in kept else 0
    end, note = sound_end(sound.start, stated, file_size, rate, is_followed=behind is not None)
    if behind and behind.name == form.sound:
        note = "it has several pieces of sound, and only the first is used"
    return SoundChunk(form, head[8:12], kept, sound.start, end, note)


def encoding(body: bytes, order: ByteOrder = "little") -> int:
    """Return the format tag by the content of a "fmt " chunk. An extensible one has the tag further behind."""
    tag = int.from_bytes(body[:2], order)
    return int.from_bytes(body[24:26], order) if tag == EXTENSIBLE and len(body) >= 26 else tag
