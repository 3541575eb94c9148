"""Odd recordings of each kind, with their error messages. The kinds are rows of the documentation's table."""

import os
import socket
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from helpers.odd_recordings import (
    FLOAT,
    PCM,
    RATE,
    READ,
    UNREADABLE,
    Case,
    Make,
    chunk,
    coded,
    fmt,
    pcm,
    rf64,
    riff,
    wav,
    whole,
)

HOURS = 12
BAD_NUMBERS = "samples that are not finite numbers"
CUT, EMPTY, NO_FILE = "the file is truncated", "holds no samples", "not a file"


def cases() -> Iterator[Case]:
    """All but `long_cases`, each quickly made."""
    yield from _headers()
    yield from _chunks()
    yield from _samples()
    yield from _encodings()
    yield from _no_sound()
    yield from _names()
    yield from _no_files()


def _headers() -> Iterator[Case]:
    data = chunk(b"data", pcm())
    for name, head in {
        "align 0": fmt(align=0),
        "align 1": fmt(align=1),
        "align 999": fmt(align=999),
        "20 bits": fmt(bits=20, align=3),
    }.items():
        yield Case("header: fields that contradict each other", f"{name}.wav", READ, whole(riff(head, data)))
    for bits in (0, 7, 255, 65535):
        says = READ if bits == 7 else UNREADABLE
        yield Case(
            "header: fields that contradict each other",
            f"bits {bits}.wav",
            says,
            whole(riff(fmt(bits=bits, align=2), data)),
        )
    for channels, says in {0: UNREADABLE, 3: READ, 64: READ, 65: "has 65 channels", 65535: UNREADABLE}.items():
        many = riff(fmt(channels=channels, align=2 * channels & 0xFFFF), chunk(b"data", bytes(2 * max(channels, 1))))
        yield Case("header: none or too many channels", f"channels {channels}.wav", says, whole(many))
    for rate in (8000, 11025, 16000, 22050, 32000, 44100, 48000, 96000, 192000, 384000, 768000):
        yield Case("rates from 8 to 768 kHz", f"rate {rate}.wav", READ, whole(wav(rate=rate)))
    for rate in (1, 499, 768001, 1_000_000_000, 2**32 - 1):
        says = "too low for sound" if rate < 500 else "too high for sound"
        yield Case("rates that are none", f"rate {rate}.wav", says, whole(wav(rate=rate)))
    yield Case("rates that are none", "rate 0.wav", "too low for sound", whole(wav(rate=0)))


def _chunks() -> Iterator[Case]:
    data, kind = chunk(b"data", pcm()), "chunks with wrong lengths"
    for name, says, content in (
        ("riff length 0", READ, riff(fmt(), data, length=0)),
        ("riff length 4 GB", READ, riff(fmt(), data, length=0xFFFFFFFF)),
        ("sound of unknown length", READ, riff(fmt(), chunk(b"data", pcm(), 0xFFFFFFFF))),
        ("sound missing", CUT, riff(fmt(), chunk(b"data", pcm(), 0x7FFFEFFF))),
        ("sound of no length", READ, riff(fmt(), chunk(b"data", pcm(), 0))),
        ("sound of 2 bytes", READ, riff(fmt(), chunk(b"data", pcm(), 2))),
        ("sound 44 bytes too long", READ, riff(fmt(), chunk(b"data", pcm(), 1644))),
        ("no length and no sound", EMPTY, riff(fmt(), chunk(b"data", b""), chunk(b"LIST", b"INFO"))),
        ("note without its padding", READ, riff(fmt(), chunk(b"note", b"odd")[:-1], data)),
        ("note of 4 GB", UNREADABLE, riff(fmt(), chunk(b"note", b"abcd", 0xFFFFFFFF), data)),
        ("note back to the start", UNREADABLE, riff(fmt(), chunk(b"note", b"abcd", 0xFFFFFFF8), data)),
        ("no format", UNREADABLE, riff(data)),
        ("no sound", UNREADABLE, riff(fmt())),
        ("sound before format", READ, riff(data, fmt())),
        ("sound twice", READ, riff(fmt(), data, data)),
        ("5000 empty chunks", READ, riff(fmt(), chunk(b"note", b"") * 5000, data)),
        ("rf64 cut", CUT, rf64()[:-400]),
        ("rf64 of unknown length", READ, rf64().replace(struct.pack("<Q", 1600), b"\xff" * 8, 1)),
    ):
        yield Case(kind, f"{name}.wav", says, whole(content))


def _samples() -> Iterator[Case]:
    for name, value, says in (
        ("nan", np.nan, BAD_NUMBERS),
        ("infinite", np.inf, BAD_NUMBERS),
        ("1e9", 1e9, "times full scale"),
    ):
        values = np.zeros(800, "<f4")
        values[400] = value
        yield Case(
            "samples that are no sound",
            f"{name}.wav",
            says,
            whole(riff(fmt(FLOAT, bits=32), chunk(b"data", values.tobytes()))),
        )
    huge = np.full(800, 1e300, "<f8").tobytes()
    yield Case(
        "samples that are no sound", "1e300.wav", BAD_NUMBERS, whole(riff(fmt(FLOAT, bits=64), chunk(b"data", huge)))
    )
    yield Case("one sample", "one sample.wav", READ, whole(wav(frames=1)))
    yield Case("one sample", "one sample.flac", READ, whole(coded("FLAC", frames=1)))
    yield Case("no sample", "no sample.wav", EMPTY, whole(wav(frames=0)))


def _encodings() -> Iterator[Case]:
    subtypes = (
        "PCM_U8",
        "PCM_16",
        "PCM_24",
        "PCM_32",
        "FLOAT",
        "DOUBLE",
        "ALAW",
        "ULAW",
        "IMA_ADPCM",
        "MS_ADPCM",
        "GSM610",
    )
    for subtype in subtypes:
        yield Case("rarer encodings", f"{subtype}.wav", READ, whole(coded("WAV", subtype, 800)))
    for format in ("W64", "AIFF", "AU", "CAF"):
        yield Case("rarer encodings", f"is {format}.wav", READ, whole(coded(format, "PCM_16", 800)))
    yield Case("rarer encodings", "is big-endian.wav", READ, whole(_rifx()))
    yield Case("rarer encodings", "is MP3.wav", READ, whole(coded("MP3")))


def _rifx() -> bytes:
    data = pcm()
    swapped = np.frombuffer(data, "<i2").astype(">i2").tobytes()
    head = b"WAVEfmt " + struct.pack(">IHHIIHH", 16, PCM, 1, RATE, 2 * RATE, 2, 16)
    body = head + b"data" + struct.pack(">I", len(swapped)) + swapped
    return b"RIFX" + struct.pack(">I", len(body)) + body


def _no_sound() -> Iterator[Case]:
    kind = "something else under a recording's name"
    contents = {
        "text": b"this is no sound\n" * 50,
        "page": b"<!doctype html><title>404</title>" * 20,
        "picture": b"\x89PNG\r\n\x1a\n" + bytes(200),
        "film": b"RIFF" + struct.pack("<I", 100) + b"AVI LIST" + bytes(92),
        "zeros": bytes(4096),
        "chance": np.random.default_rng(0).bytes(4096),
    }
    for name, content in contents.items():
        for extension in ("wav", "flac", "ogg", "mp3"):
            says = "holds no sound" if name in ("page", "zeros") else UNREADABLE
            yield Case(kind, f"{name}.{extension}", says, whole(content))
    yield Case(kind, "archive.wav", UNREADABLE, _zip)
    for extension in ("wav", "flac", "ogg", "mp3"):
        yield Case("an empty file", f"empty.{extension}", "the file is empty", whole(b""))


def _zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo("a.wav", (2000, 1, 1, 0, 0, 0)), wav())


def _names() -> Iterator[Case]:
    names = ["two\nlines.wav", "tab\t.wav", "\x1b[31mred.wav", "\U0001f426.wav", "-x.wav", "--out.wav", "[bold].wav"]
    names += [os.fsdecode(b"caf\xe9.wav"), "quo'te\".wav", "a" * 251 + ".wav", "  blanks  .wav", "\u202egnaw.wav"]
    for name in names:
        yield Case("names of any kind", name, READ, whole(wav()))
    yield Case("names of any kind", "bad\nname.wav", "the file is empty", whole(b""))


def _no_files() -> Iterator[Case]:
    kind = "what is no file"
    yield Case(kind, "pipe.wav", NO_FILE, os.mkfifo)
    yield Case(kind, "socket.wav", NO_FILE, _socket)
    yield Case(kind, "device.wav", NO_FILE, lambda path: path.symlink_to("/dev/zero"))
    yield Case(kind, "circle.wav", "a link that leads to no file", lambda path: path.symlink_to(path.name))
    yield Case(kind, "dangling.wav", "a link that leads to no file", lambda path: path.symlink_to("gone.wav"))
    yield Case(kind, "absent.wav", "no such file", lambda path: None)
    yield Case(kind, "name too long" + "g" * 300 + ".wav", "cannot be read (File name too long)", lambda path: None)


def _socket(path: Path) -> None:
    """Bind a socket by a short name: its path may have about a hundred bytes."""
    with socket.socket(socket.AF_UNIX) as one:
        before = os.open(".", os.O_RDONLY)
        try:
            os.chdir(path.parent)
            one.bind(path.name)
        finally:
            os.fchdir(before)
            os.close(before)


def no_right(path: Path) -> None:
    """Write a recording that its owner may not read; root may."""
    path.write_bytes(wav())
    path.chmod(0)


def long_cases() -> Iterator[Case]:
    """Yield files that are small on the disk and very long for a reader."""
    kind = "hours of silence in a small file"
    yield Case(kind, "twelve hours.wav", READ, _sparse(fmt(rate=44100), 2 * 44100 * 3600 * HOURS))
    yield Case(kind, "twelve hours.flac", READ, _silent_flac)
    yield Case(kind, "4 GB of empty chunks.wav", UNREADABLE, _sparse(fmt(), 0xFFFFFF00, b""))


def _sparse(head: bytes, length: int, name: bytes = b"data") -> Make:
    def make(path: Path) -> None:
        start = riff(head) + (name + struct.pack("<I", length) if name else b"")  # without a name zeros follow
        path.write_bytes(start)
        os.truncate(path, len(start) + length)

    return make


def _silent_flac(path: Path) -> None:
    with soundfile.SoundFile(path, "w", RATE, 1, format="FLAC") as file:
        minute = np.zeros(60 * RATE, np.int16)
        for _ in range(60 * HOURS):
            file.write(minute)
