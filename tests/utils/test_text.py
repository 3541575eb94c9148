"""Numbers as people say them, and strangers' texts on one line."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenelet.errors import escape_unprintable
from scenelet.utils.text import duration, pluralize


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0.0 s"),
        (4.12, "4.1 s"),
        (9.96, "10 s"),
        (99.4, "99 s"),
        (99.6, "2 min"),
        (840, "14 min"),
        (99 * 60, "99 min"),
        (7500, "2 h 05 min"),
    ],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_one_is_not_many() -> None:
    assert [pluralize(n, "epoch") for n in (0, 1, 2, 1200)] == ["0 epochs", "1 epoch", "2 epochs", "1,200 epochs"]


def test_a_name_keeps_to_its_line() -> None:
    assert (
        escape_unprintable("two\nlines\t\x1b[31m \u202egnaw\x9b\x00") == "two\\nlines\\t\\x1b[31m \\u202egnaw\\x9b\\x00"
    )
    assert escape_unprintable("\ud800\u2028\ufeff\U000e0041") == "\\ud800\\u2028\\ufeff\\U000e0041"
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
def test_a_name_in_any_writing_stays_as_it_is(name: str) -> None:
    assert escape_unprintable(name) == name


@given(st.text(st.characters()))
def test_what_is_printable_is_so_twice(text: str) -> None:
    shown = escape_unprintable(text)
    assert escape_unprintable(shown) == shown
    assert len(shown.splitlines()) <= 1
