"""Faults of a submission: one line each, whatever the value."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenelet.evaluation.submission.faults import MAX_SHOWN_CHARACTERS, Fault, decode_text, format_value

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda x: st.lists(x) | st.dictionaries(st.text(), x),
)


def test_fault_without_location_names_the_file_only() -> None:
    assert str(Fault("a.csv", "", "is empty")) == "a.csv: is empty"
    assert str(Fault("a.csv", "line 2", "is empty")) == "a.csv, line 2: is empty"


def test_decode_text_names_the_line_of_the_first_invalid_byte() -> None:
    assert decode_text("a.csv", "ü\n".encode()) == "ü\n"
    assert decode_text("a.csv", b"x\ny\n\xff") == Fault("a.csv", "line 3", "is not UTF-8; it must be UTF-8 text")


@pytest.mark.parametrize(
    ("value", "shown"),
    [(True, "true"), (False, "false"), (3, "3"), (0.5, "0.5"), ({}, "a section"), ((), "a tuple"), ("x", "'x'")],
)
def test_format_value_of_each_kind(value: object, shown: str) -> None:
    assert format_value(value) == shown


def test_format_value_of_long_values_is_short() -> None:
    assert format_value(10**5000) == "a number of more than 18 digits"
    assert len(format_value("x" * 10_000)) == MAX_SHOWN_CHARACTERS + len("'...'")


@given(JSON)
def test_format_value_is_one_line(value: object) -> None:
    assert len(format_value(value).splitlines()) == 1
