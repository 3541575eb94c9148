"""Tests of the recognition of formats by content."""

import io

import numpy as np
import pytest
import soundfile

from scenelet.audio.formats import EXTENSIONS, MAX_TAGS, UNREADABLE_EXTENSIONS, recognize
from scenelet.errors import AudioError


def encoded(format: str, subtype: str | None = None) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.zeros(4000), 8000, format=format, subtype=subtype)
    return file.getvalue()


@pytest.mark.parametrize(
    ("written", "recognized"),
    [
        ("WAV", "WAV"),
        ("WAVEX", "WAV"),
        ("RF64", "WAV"),
        ("AIFF", "AIFF"),
        ("W64", "W64"),
        ("CAF", "CAF"),
        ("AU", "AU"),
        ("FLAC", "FLAC"),
        ("OGG", "Ogg"),
        ("MP3", "MPEG"),
    ],
)
def test_recognize_formats_of_libsndfile(written: str, recognized: str) -> None:
    assert recognize(io.BytesIO(encoded(written))) == (recognized, 0)


@pytest.mark.parametrize("gap", [0, 2048])
def test_recognize_skips_id3_tags_and_zeros_behind_them(gap: int) -> None:
    tag = b"ID3\x03\0\0\0\0\x02\x0a" + b"\xff" * 266  # its size has seven bits in each byte
    data = tag + tag + bytes(gap) + encoded("MP3")
    assert recognize(io.BytesIO(data)) == ("MPEG", 2 * 276 + gap)


def test_recognize_gives_up_at_many_tags() -> None:
    with pytest.raises(AudioError, match="not recognized"):
        recognize(io.BytesIO(b"ID3\x03\0\0\0\0\0\0" * (MAX_TAGS + 1) + encoded("MP3")))


@pytest.mark.parametrize("format", ["SVX", "SDS", "VOC", "MAT5", "IRCAM", "PAF", "NIST", "AVR", "HTK", "WVE", "XI"])
def test_recognize_refuses_other_formats_of_libsndfile(format: str) -> None:
    subtype = {"XI": "DPCM_16", "WVE": "ALAW"}.get(format, "PCM_16")
    with pytest.raises(AudioError, match=r"^not a recording that can be read \(it"):
        recognize(io.BytesIO(encoded(format, subtype)))


@pytest.mark.parametrize(
    ("head", "named"),
    [
        (b"\0\0\0\x20ftypM4A ", "MP4 or M4A"),
        (b"\xff\xf1\x50\x80\x2e\x7f\xfc\x21", "AAC"),
        (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "WMA"),
        (b"\x1a\x45\xdf\xa3", "WebM or Matroska"),
        (b"wvpk", "WavPack"),
        (b"#!AMR\n", "AMR"),
        (b"FORM\0\0\0\x808SVX", "8SVX"),
        (b"\n<!DOCTYPE html>", r"it is a web page\); download or copy it again"),
        (b"<html><body>404", "it is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", r"Git LFS pointer\); download"),
        (bytes(1000), r"it begins with zeros instead of a header\); download or copy"),
    ],
)
def test_recognize_names_what_it_refuses(head: bytes, named: str) -> None:
    with pytest.raises(AudioError, match=named):
        recognize(io.BytesIO(head + bytes(100)))


def test_extensions_are_distinct_and_lower_case() -> None:
    both = (*EXTENSIONS, *UNREADABLE_EXTENSIONS)
    assert len(set(both)) == len(both)
    assert all(extension == extension.lower() and extension.startswith(".") for extension in both)
