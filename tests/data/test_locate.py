"""Search for the recordings of a table."""

import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from scenelet.data.locate import locate

Touch = Callable[..., Path]
NFC, NFD = (unicodedata.normalize(form, "Käuzchen") for form in ("NFC", "NFD"))


@pytest.mark.parametrize(("real", "listed"), [(NFD, NFC), (NFC, NFD)])
def test_locate_finds_names_of_the_other_unicode_form(touch: Touch, real: str, listed: str) -> None:
    root = touch(f"{real}/{real}.wav", "rain/1.wav")
    _, located, error = locate(root / "clips.csv", [f"{listed}/{listed}.wav", "rain/1.wav"], None)
    assert error is None
    assert located == {f"{listed}/{listed}.wav": f"{real}/{real}.wav", "rain/1.wav": "rain/1.wav"}


def test_locate_adds_the_extension_of_the_only_such_file(touch: Touch) -> None:
    root = touch("64.wav", "64.txt", "65.v1.flac", "66.wav", "66.mp3")
    _, located, error = locate(root / "clips.csv", ["64", "65.v1", "66"], None)
    assert located == {"64": "64.wav", "65.v1": "65.v1.flac"}
    assert error is not None
    assert error.names == ("66",)


def test_locate_prefers_the_folder_with_most_recordings(touch: Touch) -> None:
    root = touch("a.wav", "my_audio/a.wav", "my_audio/b.wav", "other/b.wav", "meta/x.csv", "labels/y.csv")
    for table in (root / "clips.csv", root / "meta" / "x.csv", root / "labels" / "y.csv"):
        located, _, error = locate(table, ["a.wav", "b.wav"], None)
        assert (located, error) == (root / "my_audio", None)
    assert locate(root / "clips.csv", ["b.wav"], root / "other")[0] == root / "other"


def test_locate_names_a_file_that_differs_in_case(touch: Touch) -> None:
    root = touch("audio/64.wav", "audio/65.wav")
    if (root / "audio" / "64.WAV").exists():
        pytest.skip("the file system ignores the case")
    *_, error = locate(root / "clips.csv", ["64.WAV", "65.WAV"], None)
    assert "2 of 2 files do not exist (64.WAV, 65.WAV)" in str(error)
    assert str(error).endswith("there is 64.wav: correct the names")


def test_locate_name_with_a_zero_byte_is_missing(touch: Touch) -> None:
    assert locate(touch("a.wav") / "clips.csv", ["a\0/b.wav"], None)[2] is not None


def test_locate_folder_of_the_name_is_no_hint(touch: Touch) -> None:
    error = locate(touch("sub/a.wav") / "clips.csv", ["sub"], None)[2]
    assert str(error).endswith("give --audio-dir, or delete their rows")
