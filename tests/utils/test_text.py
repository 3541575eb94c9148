"""Numbers and lists as English text."""

import pytest

from scenelet.utils.text import duration, first_few, pluralize


@pytest.mark.parametrize(
    ("seconds", "expected"),
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
def test_duration_changes_unit_with_length(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected


def test_pluralize_adds_an_s_except_to_one() -> None:
    assert [pluralize(n, "epoch") for n in (0, 1, 2, 1200)] == ["0 epochs", "1 epoch", "2 epochs", "1,200 epochs"]


def test_first_few_lists_three_and_counts_the_others() -> None:
    assert first_few([]) == ""
    assert first_few("abc") == "a, b, c"
    assert first_few(map(str, range(1003))) == "0, 1, 2 and 1,000 more"
