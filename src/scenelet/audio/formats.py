"""Formats of recordings, recognized by their first bytes. The decoder sees only formats that are listed here."""

import contextlib
import re
from pathlib import Path
from typing import BinaryIO, Literal

from scenelet.errors import AudioError, EmptyAudioError

Format = Literal["WAV", "AIFF", "W64", "CAF", "AU", "FLAC", "Ogg", "MPEG"]
READABLE = "WAV, FLAC, Ogg, Opus, MP3, MP2, AIFF, AU, CAF and W64"
_READABLE = "wav wave bwf rf64 w64 flac ogg oga opus mp3 mp2 mp1 mpga aif aiff aifc au snd caf"
_UNREADABLE = (
    "3ga 3gp 8svx aa aac aax ac3 adts amr ape avi awb dff dsf dts eac3 gsm iff ircam m4a m4b m4r mka mkv mov mp4 mpc"
    " nist ofr ogv ogx pcm pvf qcp ra ram raw sd2 sds shn sph spx svx tak tta voc vqf w4v wac weba webm wma wmv"
    " wv xi zc"
)
EXTENSIONS = tuple(f".{name}" for name in _READABLE.split())
"""Lower-case extensions of recordings that can be read."""
UNREADABLE_EXTENSIONS = tuple(f".{name}" for name in _UNREADABLE.split())
"""Lower-case extensions of recordings that cannot be read."""
ARCHIVES = (".zip", ".7z", ".rar", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst")
"""Lower-case extensions of archives, which can hold recordings."""
WRAPPERS = (".gz", ".bz2", ".xz", ".zst", ".part", ".partial", ".crdownload", ".download", ".filepart", ".tmp", ".bak")
"""Lower-case extensions behind that of a recording: compressed, incomplete or saved."""

MAX_TAGS = 16
"""ID3 tags before the sound."""
MAX_GAP_BYTES = 1 << 20
"""Zeros that may lie between an ID3 tag and the sound."""
_MPEG_RATES = re.escape(bytes(byte for byte in range(0xF0) if byte & 12 != 12))  # third byte of a frame
_FORMATS: dict[Format, bytes] = {
    "WAV": rb"(RIFF|RIFX|RF64|BW64).{4}WAVE",
    "AIFF": rb"FORM.{4}AIF[FC]",
    "W64": rb"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00",
    "CAF": rb"caff",
    "AU": rb"\.snd|dns\.",
    "FLAC": rb"fLaC",
    "Ogg": rb"OggS",
    "MPEG": rb"\xff[\xe2-\xe7\xf2-\xf7\xfa-\xff][%b]" % _MPEG_RATES,
}
_OTHERS = {
    "WMA": rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11",
    "WebM or Matroska": rb"\x1a\x45\xdf\xa3",
    "WavPack": rb"wvpk",
    "Monkey's Audio": rb"MAC ",
    "AMR": rb"#!AMR",
    "AAC": rb"ADIF|\xff[\xf0\xf1\xf8\xf9]",
    "VOC": rb"Creative Voice File",
    "a MIDI sample dump": rb"\xf0\x7e",
    "MATLAB": rb"MATLAB 5\.0",
    "NIST SPHERE": rb"NIST_1A",
    "Musepack": rb"MPCK",
    "True Audio": rb"TTA1",
    "Shorten": rb"ajkg",
    "DSD": rb"DSD ",
    "a PDF": rb"%PDF",
    "a ZIP archive": rb"PK\x03\x04",
    "a gzip archive": rb"\x1f\x8b",
    "MP4 or M4A": rb".{4}ftyp",
    "8SVX": rb".{8}8SVX",
    "16SV": rb".{8}16SV",
    "AVI": rb".{8}AVI ",
}
_NO_SOUND = {
    "it begins with zeros instead of a header": rb"\0{16}",
    "it is a web page": rb"\s*<(!doctype|html|\?xml)",
    "it is a Git LFS pointer": rb"version https://git-lfs",
}
"""Regular expressions for a file's first bytes: formats that are read, others that are named, and failed copies."""


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
    for format, pattern in _FORMATS.items():
        if re.match(pattern, head, re.DOTALL):
            return format, offset
    for reason, pattern in _NO_SOUND.items():
        if re.match(pattern, head, re.IGNORECASE):
            raise AudioError(f"holds no sound ({reason}); download or copy it again")
    others = [f"it is {text}" for text, pattern in _OTHERS.items() if re.match(pattern, head, re.DOTALL)]
    raise unreadable(others[0] if others else "its format is not recognized")


def passed_over_as(path: Path) -> str:
    """Return how a file is called that can hold sound and is passed over by its name; "" for any other file.

    >>> [passed_over_as(Path(name)) for name in ("a.M4A", "a.wav.part", "more.tar.gz", "a.wav ", "notes.txt", "a.wav")]
    ['.m4a', '.wav.part', '.tar.gz', "'.wav '", '', '']
    """
    name, suffix, inner = path.name.lower(), path.suffix.lower(), Path(path.stem).suffix.lower()
    known = (*EXTENSIONS, *UNREADABLE_EXTENSIONS)
    if archive := [extension for extension in ARCHIVES if name.endswith(extension)]:
        return archive[0]
    if suffix in UNREADABLE_EXTENSIONS:
        return suffix
    if suffix in WRAPPERS and inner in known:
        return inner + suffix
    if suffix not in known and suffix.strip() in known:
        return repr(suffix)
    with contextlib.suppress(AudioError, OSError):
        if suffix in ("", ".dat"):
            with path.open("rb") as file:
                recognize(file)
            return suffix or "without extension"
    return ""


def unreadable(reason: str) -> AudioError:
    """Return the error for a file of which nothing can be decoded."""
    return AudioError(f"not a recording that can be read ({reason}); convert it to one of {READABLE}")


def read_at(file: BinaryIO, offset: int, size: int) -> bytes:
    """Read bytes at an offset, fewer only if the file ends."""
    file.seek(offset)
    return file.read(size)
