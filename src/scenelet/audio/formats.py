"""Formats of recordings, recognized by their first bytes. The decoder sees only formats that are listed here."""

from typing import BinaryIO, Literal

from scenelet.errors import AudioError, EmptyAudioError

Format = Literal["WAV", "AIFF", "W64", "CAF", "AU", "FLAC", "Ogg", "MPEG"]
READABLE = "WAV, FLAC, Ogg, Opus, MP3, MP2, AIFF, AU, CAF and W64"
_READABLE = "wav wave bwf rf64 w64 flac ogg oga opus mp3 mp2 mp1 mpga aif aiff aifc au snd caf"
_UNREADABLE = (
    "3ga 3gp 8svx aa aac aax ac3 adts amr ape avi awb dff dsf dts eac3 gsm iff ircam m4a m4b m4r mka mkv mov mp4 mpc"
    " ofr ogv ogx pvf qcp ra ram sd2 sds shn sph spx svx tak tta voc vqf wac webm wma wmv wv xi"
)
EXTENSIONS = tuple(f".{name}" for name in _READABLE.split())
"""Lower-case extensions of recordings that can be read."""
UNREADABLE_EXTENSIONS = tuple(f".{name}" for name in _UNREADABLE.split())
"""Lower-case extensions of recordings that cannot be read."""

MAX_TAGS = 16
"""ID3 tags before the sound."""
MAX_GAP_BYTES = 1 << 20
"""Zeros that may lie between an ID3 tag and the sound."""
W64_GUID = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
_BY_MAGIC: dict[bytes, Format] = {
    b"caff": "CAF",
    b".snd": "AU",
    b"dns.": "AU",
    b"fLaC": "FLAC",
    b"OggS": "Ogg",
}
_OTHERS = {
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"): "WMA",
    (0, b"\x1a\x45\xdf\xa3"): "WebM or Matroska",
    (0, b"wvpk"): "WavPack",
    (0, b"MAC "): "Monkey's Audio",
    (0, b"#!AMR"): "AMR",
    (0, b"ADIF"): "AAC",
    (0, b"\xff\xf1"): "AAC",
    (0, b"\xff\xf9"): "AAC",
    (0, b"\xff\xf0"): "AAC",
    (0, b"\xff\xf8"): "AAC",
    (0, b"Creative Voice File"): "VOC",
    (0, b"\xf0\x7e"): "a MIDI sample dump",
    (0, b"MATLAB 5.0"): "MATLAB",
    (0, b"NIST_1A"): "NIST SPHERE",
    (0, b"MPCK"): "Musepack",
    (0, b"TTA1"): "True Audio",
    (0, b"ajkg"): "Shorten",
    (0, b"DSD "): "DSD",
    (0, b"%PDF"): "a PDF",
    (0, b"PK\x03\x04"): "a ZIP archive",
    (0, b"\x1f\x8b"): "a gzip archive",
    (4, b"ftyp"): "MP4 or M4A",
    (8, b"8SVX"): "8SVX",
    (8, b"16SV"): "16SV",
    (8, b"AVI "): "AVI",
}


def recognize(file: BinaryIO) -> tuple[Format, int]:
    """Recognize the format of an open file by its content.

    Returns:
        The format, and the offset of its first byte: an ID3 tag, also one with zeros behind it, is skipped.

    Raises:
        EmptyAudioError: the file is empty.
        AudioError: the format is not one of those that can be read.
    """
    offset = 0
    for _ in range(MAX_TAGS):
        head = read_at(file, offset, 10)
        if head[:3] != b"ID3":
            break
        size = sum((byte & 127) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=False))
        offset += 10 + size + (10 if len(head) > 5 and head[5] & 16 else 0)
    if offset:
        gap = read_at(file, offset, MAX_GAP_BYTES)
        offset += len(gap) - len(gap.lstrip(b"\0"))
    head = read_at(file, offset, 64)
    if not head and not offset:
        raise EmptyAudioError("the file is empty; copy or record it again")
    if found := _match(head):
        return found, offset
    other = next((f"it is {text}" for (at, magic), text in _OTHERS.items() if head[at:].startswith(magic)), "")
    raise unreadable(other or "its format is not recognized")


def unreadable(reason: str) -> AudioError:
    """Return the error for a file of which nothing can be decoded."""
    return AudioError(f"not a recording that can be read ({reason}); convert it to one of {READABLE}")


def _match(head: bytes) -> Format | None:
    form, kind = head[:4], head[8:12]
    if form in (b"RIFF", b"RIFX", b"RF64", b"BW64") and kind == b"WAVE":
        return "WAV"
    if form == b"FORM" and kind in (b"AIFF", b"AIFC"):
        return "AIFF"
    if head.startswith(W64_GUID):
        return "W64"
    if len(form) == 4 and form[0] == 0xFF and form[1] & 0xE0 == 0xE0:  # the header of an MPEG frame
        version, layer, bitrate, rate = form[1] >> 3 & 3, form[1] >> 1 & 3, form[2] >> 4, form[2] >> 2 & 3
        return "MPEG" if version != 1 and layer != 0 and bitrate != 15 and rate != 3 else None
    return _BY_MAGIC.get(form)


def read_at(file: BinaryIO, offset: int, size: int) -> bytes:
    """Read bytes at an offset, fewer only if the file ends."""
    file.seek(offset)
    return file.read(size)
