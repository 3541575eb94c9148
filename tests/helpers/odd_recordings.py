"""Broken and odd recordings with fixed bytes, for the tests and `benchmarks/robustness/odd_audio.py`."""

import functools
import io
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

Make = Callable[[Path], None]
READ = ""
RATE = 8000
PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")
UNREADABLE = "not a recording that can be read"


@dataclass(frozen=True)
class Case:
    """An odd file, or something else under the path of a file.

    Attributes:
        kind: name of the row in the documentation's table.
        name: name of the file.
        says: a part of the error message; `READ`: the file is read.
        make: function that writes the file to a path.
    """

    kind: str
    name: str
    says: str
    make: Make


def whole(data: bytes) -> Make:
    """Return a function that writes these bytes to a path."""
    return lambda path: _write(path, data)


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


@functools.cache
def noise(frames: int = 800, channels: int = 1) -> np.ndarray:
    """Return random samples (frames, channels), float64, within +-0.5."""
    return np.random.default_rng(frames + channels).uniform(-0.5, 0.5, (frames, channels))


def chunk(name: bytes, data: bytes, length: int | None = None) -> bytes:
    """Return a RIFF chunk. `length` replaces the length in its header."""
    return name + struct.pack("<I", len(data) if length is None else length) + data + b"\0" * (len(data) % 2)


def fmt(
    kind: int = PCM, channels: int = 1, rate: int = RATE, bits: int = 16, align: int | None = None, more: bytes = b""
) -> bytes:
    """Return the format chunk of a WAV."""
    align = channels * ((bits + 7) // 8) if align is None else align
    return chunk(b"fmt ", struct.pack("<HHIIHH", kind, channels, rate, rate * align & 0xFFFFFFFF, align, bits) + more)


def riff(*chunks: bytes, length: int | None = None) -> bytes:
    """Return a WAV of these chunks."""
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body) if length is None else length) + body


def pcm(bits: int = 16, channels: int = 1, frames: int = 800) -> bytes:
    """Return noise as little-endian integers."""
    values = (noise(frames, channels) * 2**31).astype("<i4")
    return values.view(np.uint8).reshape(frames, channels, 4)[:, :, 4 - bits // 8 :].tobytes()


def wav(bits: int = 16, channels: int = 1, rate: int = RATE, frames: int = 800) -> bytes:
    """Return a complete WAV of noise."""
    return riff(fmt(PCM, channels, rate, bits), chunk(b"data", pcm(bits, channels, frames)))


def extensible(bits: int = 24, channels: int = 2, frames: int = 800) -> bytes:
    """Return a complete WAV with an extensible format chunk."""
    more = struct.pack("<HHI", 22, bits, 3) + struct.pack("<H", PCM) + GUID_TAIL
    return riff(fmt(EXTENSIBLE, channels, RATE, bits, more=more), chunk(b"data", pcm(bits, channels, frames)))


def rf64(frames: int = 800) -> bytes:
    """Return a complete RF64: a WAV with lengths of 64 bits."""
    data = pcm(16, 1, frames)
    sizes = chunk(b"ds64", struct.pack("<QQQI", 4 + 36 + 24 + 8 + len(data), len(data), frames, 0))
    return b"RF64" + b"\xff" * 4 + b"WAVE" + sizes + fmt() + chunk(b"data", data, 0xFFFFFFFF)


@functools.cache
def coded(format: str, subtype: str | None = None, frames: int = 8000, channels: int = 1, rate: int = RATE) -> bytes:
    """Return a file that libsndfile writes. The serial number of an Ogg stream is fixed."""
    file = io.BytesIO()
    soundfile.write(file, noise(frames, channels), rate, format=format, subtype=subtype)
    return _same_serial(file.getvalue()) if format == "OGG" else file.getvalue()


def _same_serial(data: bytes) -> bytes:
    pages, start = bytearray(data), 0
    while start < len(pages):
        segments = pages[start + 26]
        end = start + 27 + segments + sum(pages[start + 27 : start + 27 + segments])
        pages[start + 14 : start + 18] = b"odd!"
        pages[start + 22 : start + 26] = bytes(4)
        pages[start + 22 : start + 26] = struct.pack("<I", _ogg_crc(bytes(pages[start:end])))
        start = end
    return bytes(pages)


def _ogg_crc(data: bytes) -> int:
    table = _ogg_table()
    crc = 0
    for byte in data:
        crc = (crc << 8 & 0xFFFFFFFF) ^ table[crc >> 24 ^ byte]
    return crc


@functools.cache
def _ogg_table() -> list[int]:
    table = []
    for value in range(256):
        crc = value << 24
        for _ in range(8):
            crc = crc << 1 & 0xFFFFFFFF ^ (0x04C11DB7 if crc & 0x80000000 else 0)
        table.append(crc)
    return table


WHOLE: dict[str, Callable[[], bytes]] = {
    "wav16.wav": wav,
    "wav24.wav": lambda: wav(24, 2),
    "wavex.wav": extensible,
    "float64.wav": lambda: coded("WAV", "DOUBLE", 800),
    "rf64.wav": rf64,
    "flac.flac": lambda: coded("FLAC"),
    "ogg.ogg": lambda: coded("OGG", "VORBIS"),
    "opus.ogg": lambda: coded("OGG", "OPUS"),
    "mp3.mp3": lambda: coded("MP3"),
}
"""A recording of each format, for cutting and altering."""

HEADER = {".wav": 120, ".flac": 130, ".ogg": 4500, ".mp3": 600}
"""Bytes from the beginning that are cut or altered one by one."""


def cut_points(name: str, data: bytes) -> list[int]:
    """Return the lengths to which a file is cut: each byte of its header, and some later ones."""
    header = min(HEADER[Path(name).suffix], len(data))
    return [*range(header), *range(header, len(data), max(1, len(data) // 40)), len(data) - 1]


def cuts() -> Iterator[tuple[str, bytes]]:
    """Yield (name, bytes) of every recording of `WHOLE`, cut at each of its `cut_points`."""
    for name, make in WHOLE.items():
        data = make()
        for end in cut_points(name, data):
            yield f"cut-{end:05d}-{name}", data[:end]


def altered() -> Iterator[tuple[str, bytes]]:
    """Yield (name, bytes) of every recording of `WHOLE`, each byte of its header set to 0, 255 and its opposite."""
    for name, make in WHOLE.items():
        data = make()
        for offset in range(min(HEADER[Path(name).suffix], len(data))):
            for value in sorted({0, 255, data[offset] ^ 255, data[offset] ^ 1} - {data[offset]}):
                changed = bytearray(data)
                changed[offset] = value
                yield f"byte-{offset:04d}-{value:03d}-{name}", bytes(changed)
