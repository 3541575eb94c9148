"""Numbers as people say them."""

import pytest

from scenelet.wording import counted, duration, one_line


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
    assert [counted(n, "epoch") for n in (0, 1, 2, 1200)] == ["0 epochs", "1 epoch", "2 epochs", "1,200 epochs"]


def test_a_name_keeps_to_its_line() -> None:
    assert one_line("two\nlines\t\x1b[31m \u202egnaw\x9b") == "two\\nlines\\t\\x1b[31m \\u202egnaw\\x9b"
    assert one_line("caf\u00e9 \U0001f426 [b] \udce9") == "caf\u00e9 \U0001f426 [b] \udce9"
