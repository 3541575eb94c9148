"""Format of the output: rows that keep their answer and sum to 1."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.example_submission import SMALL, YEARS
from scenelet.evaluation.submission.form import output_text
from scenelet.evaluation.submission.validate_output import check_output

LABELS = SMALL[2020].labels
PROBABILITIES = st.lists(st.floats(0, 1, width=32), min_size=10, max_size=10).filter(
    lambda values: sum(values[:3]) > 1e-3
)


@pytest.mark.parametrize("year", YEARS)
@given(st.lists(PROBABILITIES, min_size=1, max_size=12))
def test_output_text_of_any_probabilities_is_valid(year: int, table: list[list[float]]) -> None:
    labels, rows = SMALL[year].labels, []
    for number, row in enumerate(table):
        values = row[: len(labels)]
        rows.append((number, labels[int(np.argmax(values))], dict(zip(labels, values, strict=True))))
    text = output_text(rows, labels)
    assert check_output("x", text.encode(), SMALL[year], partial=True) == []
    for row, line in zip(rows, text.splitlines()[1:], strict=True):
        name, label, *values = line.split("\t")
        assert (name, label) == (f"{row[0]}.wav", row[1])
        written = dict(zip(labels, map(float, values), strict=True))
        assert sum(int(value.replace(".", "")) for value in values) == 10**9  # exactly 1
        assert written[label] == max(written.values())
        total = sum(row[2].values())
        assert all(abs(written[k] - row[2][k] / total) < 2e-8 for k in labels)


def test_output_text_gives_the_rest_to_the_answer() -> None:
    text = output_text([(7, "outdoor", dict.fromkeys(LABELS, 1 / 3))], LABELS)
    assert text.splitlines()[1].split("\t") == ["7.wav", "outdoor", "0.333333333", "0.333333334", "0.333333333"]


def test_output_text_has_the_challenges_order_of_columns() -> None:
    values = {"transportation": 0.5, "outdoor": 0.3, "indoor": 0.2}
    line = output_text([(0, "transportation", values)], LABELS).splitlines()[1]
    assert line.split("\t")[2:] == ["0.200000000", "0.300000000", "0.500000000"]
