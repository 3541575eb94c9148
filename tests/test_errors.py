"""Error messages: one printable line, with hints."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenelet.errors import MAX_MESSAGE_CHARACTERS, DataError, did_you_mean, escape_unprintable, missing_extra


def test_escape_unprintable_escapes_control_characters() -> None:
    text = "two\nlines\t\x1b[31m \u202egnaw\x9b\x00"
    assert escape_unprintable(text) == "two\\nlines\\t\\x1b[31m \\u202egnaw\\x9b\\x00"
    assert escape_unprintable("\ud800\u2028\ufeff\U000e0041") == "\\ud800\\u2028\\ufeff\\U000e0041"


def test_escape_unprintable_shows_bytes_that_are_not_utf8() -> None:
    assert escape_unprintable(os.fsdecode(b"caf\xe9.wav")) == "caf\\xe9.wav"


@pytest.mark.parametrize(
    "name",
    [
        "Zürich 東京 <b> \U0001f426",
        "\U0001f468\u200d\U0001f469\u200d\U0001f467.wav",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "3.00\u202fPM\u00a0\u3000",
    ],
)
def test_escape_unprintable_keeps_text_of_any_script(name: str) -> None:
    assert escape_unprintable(name) == name


@given(st.text(st.characters()))
def test_escape_unprintable_returns_one_stable_line(text: str) -> None:
    escaped = escape_unprintable(text)
    assert escape_unprintable(escaped) == escaped
    assert len(escaped.splitlines()) <= 1


def test_error_text_is_one_line_of_limited_length() -> None:
    assert str(DataError("a\nb")) == "a\\nb"
    text = str(DataError("start" + "x" * 10_000 + "end"))
    assert len(text) <= MAX_MESSAGE_CHARACTERS + len(" ... ")
    assert text.startswith("start")
    assert text.endswith("end")


def test_missing_extra_names_the_extra() -> None:
    assert "scenelet[train]" in str(missing_extra(ModuleNotFoundError("No module named 'x'", name="torch.nn")))
    assert "scenelet[serve]" in str(missing_extra(ModuleNotFoundError("install uvicorn first")))
    assert missing_extra(ModuleNotFoundError("No module named 'scenelet.x'", name="scenelet.x")) is None


def test_did_you_mean_is_empty_without_a_close_word() -> None:
    assert did_you_mean("tset", ("train", "test")) == "; did you mean 'test'?"
    assert did_you_mean("xyz", ("train", "test")) == ""
