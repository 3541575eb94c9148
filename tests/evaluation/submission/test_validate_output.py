"""Validation of the system output: each fault is named once, and any bytes give only faults."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.example_submission import SMALL, YEARS, valid_output
from scenelet.evaluation.submission.challenge import CHALLENGES
from scenelet.evaluation.submission.faults import Fault
from scenelet.evaluation.submission.validate_output import MAX_FAULTS, check_output, max_output_bytes

FIRST = CHALLENGES[2020]
OUTPUT = "Chang_QTI_task1b_1.output.csv"
MAX_OUTPUT_BYTES = max_output_bytes(FIRST)


def replaced(line: int, content: str | None) -> str:
    """The valid output with one line, counted from 1, replaced or left out."""
    lines = valid_output(FIRST).splitlines()
    lines[line - 1 : line] = [] if content is None else [content]
    return "\n".join(lines) + "\n"


def last_column_first() -> str:
    """The valid output with its last column first, which the organizers' validators accept."""
    rows = (line.split("\t") for line in valid_output(FIRST).splitlines())
    return "\n".join("\t".join([row[-1], *row[:-1]]) for row in rows)


HEADER = "filename\tscene_label\tindoor\toutdoor\ttransportation"


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        (valid_output(FIRST).replace("\t", ","), "line 1", "delimiter must be a tab"),
        (replaced(1, None), "line 1", "the header is missing"),
        (replaced(1, HEADER.replace("indoor", "inside")), "line 1", "must be filename, scene_label, indoor"),
        ("", "line 1", "empty"),
        ("\ufeff" + valid_output(FIRST), "line 1", "byte-order mark"),
        (replaced(9, None), "", "has 8,639 rows; it must have 8,640"),
        (replaced(9, None), "", "no row for 7.wav"),
        (valid_output(FIRST) + "0.wav\tindoor\t1\t0\t0\n", "line 8642", "duplicate of line 2"),
        (valid_output(FIRST) + "0.wav\tindoor\t1\t0\t0\n", "", "has 8,641 rows"),
        (valid_output(FIRST) + "\n", "line 8642", "is empty"),
        (replaced(9, "8640.wav\tindoor\t1\t0\t0"), "line 9", "'8640.wav' is unknown"),
        (replaced(9, "07.wav\tindoor\t1\t0\t0"), "line 9", "'07.wav' is unknown"),
        (replaced(9, "7.flac\tindoor\t1\t0\t0"), "line 9", "'7.flac' is unknown"),
        (replaced(9, f"{'7' * 9999}.wav\tindoor\t1\t0\t0"), "line 9", "is unknown"),
        (replaced(9, "7.wav\tpark\t1\t0\t0"), "line 9", "scene_label 'park' is unknown"),
        (replaced(9, "7.wav\tindoor\tx\t0\t0"), "line 9", "indoor 'x' is not a number"),
        (replaced(9, "7.wav\tindoor\t1_0\t0\t0"), "line 9", "indoor '1_0' is not a number"),
        (replaced(9, "7.wav\tindoor\t1\tnan\t0"), "line 9", "outdoor 'nan' is not a number"),
        (replaced(9, "7.wav\tindoor\t1e999\t0\t0"), "line 9", "must be a finite number"),
        (replaced(9, "7.wav\tindoor\t1\t0"), "line 9", "has 4 fields"),
        (replaced(9, "7.wav\tindoor\t1\t0\t" + "0" * 200_000), "line 9", "cannot be read"),
        ("x" * (MAX_OUTPUT_BYTES + 1), "", "larger than"),
        (HEADER + "\n" * (MAX_OUTPUT_BYTES - len(HEADER)), "", "has more than 17,280 rows; it must have 8,640"),
    ],
)
def test_check_output_names_the_fault(text: str, where: str, words: str) -> None:
    faults = check_output(OUTPUT, text.encode(), FIRST)
    assert any(fault.where == where and words in fault.message for fault in faults)
    assert all("must" in fault.message and "\n" not in str(fault) for fault in faults)
    assert all(str(fault).startswith(OUTPUT) for fault in faults)
    assert len(faults) <= 3  # and no other faults


def test_check_output_accepts_valid_rows() -> None:
    rows = ["7.wav\tindoor\t0.3334\t0.3333\t0.3333", "8.wav\toutdoor\t0.5\t.5\t0e0", '"9.wav"\tindoor\t1\t0\t0']
    assert check_output(OUTPUT, "\n".join([HEADER, *rows]).encode(), FIRST, partial=True) == []


def test_check_output_counts_one_in_the_singular() -> None:
    faults = check_output(OUTPUT, f"{HEADER}\n7.wav\n".encode(), FIRST)
    assert faults[0].message.startswith("has 1 field; ")
    assert "has 1 row; it must have 8,640" in {fault.message for fault in faults}


def test_check_output_without_rows_is_a_fault() -> None:
    assert check_output(OUTPUT, f"{HEADER}\n".encode(), FIRST, partial=True) == [
        Fault(OUTPUT, "", "has no rows; it must have from 1 to 8,640")
    ]


def test_check_output_names_the_line_that_is_not_utf8() -> None:
    assert check_output(OUTPUT, b"filename\n0\xff", FIRST)[0].where == "line 2"


@given(st.text(st.sampled_from(list('0123456789.wav\t\n\r"indoor,e-+_\x00٣é')), max_size=80))
def test_check_output_of_arbitrary_rows_gives_faults(text: str) -> None:
    faults = check_output(OUTPUT, f"{HEADER}\n{text}".encode(), FIRST, partial=False)
    assert faults
    assert all(str(fault).isprintable() for fault in faults)


@pytest.mark.parametrize("year", YEARS)
def test_check_output_of_each_year_accepts_a_valid_file(year: int) -> None:
    challenge = SMALL[year]
    text = valid_output(challenge)
    assert check_output(OUTPUT, text.encode(), challenge) == []
    # the validators take the base name, and the columns by their name
    assert check_output(OUTPUT, text.replace("\n", "\naudio/").removesuffix("audio/").encode(), challenge) == []
    assert check_output(OUTPUT, text.replace("\n", "\r\n").encode(), challenge) == []
    other = CHALLENGES[2021 if year == 2020 else 2020]
    assert "the header is" in check_output(OUTPUT, text.encode(), other)[0].message


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        (last_column_first(), "line 1", "should be filename, scene_label"),
        (replaced(9, "7.wav\tindoor\t1.5\t-0.5\t0"), "line 9", "the scores, -0.5 to 1.5, sum to 1; they should be"),
        (replaced(9, "7.wav\tindoor\t0.9\t0\t0.05"), "line 9", "sum to 0.95; they should be probabilities"),
        (replaced(9, "7.wav\tindoor\t0.4\t0.6\t0"), "line 9", "it should be outdoor"),
    ],
)
def test_check_output_warns_of_what_validators_accept(text: str, where: str, words: str) -> None:
    (found,) = check_output(OUTPUT, text.encode(), FIRST)
    assert (found.where, found.warning) == (where, True)
    assert words in found.message


def test_check_output_of_logits_gives_one_warning() -> None:
    rows = "".join(f"{number}.wav\tindoor\t7.5\t-3\t0.25\n" for number in range(FIRST.recordings))
    (found,) = check_output(OUTPUT, f"{HEADER}\n{rows}".encode(), FIRST)
    assert found.warning
    assert found.message.endswith("(and 8,639 other rows)")


def test_check_output_lists_so_many_faults_and_no_more() -> None:
    rows = "".join(f"{number}.wav\tpark\t1\t0\t0\n" for number in range(FIRST.recordings))
    found = check_output(OUTPUT, f"{HEADER}\n{rows}".encode(), FIRST)
    assert len(found) == MAX_FAULTS + 1
    assert found[-1].where == f"line {MAX_FAULTS + 2}"
    assert "must be corrected first" in found[-1].message


def test_check_output_of_an_unreadable_header_is_a_fault() -> None:
    (found,) = check_output(OUTPUT, b"x" * 200_000, FIRST)
    assert found.where == "line 1"
    assert "cannot be read" in found.message
