"""Format of the two files: rows that keep their answer and sum to 1."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from scenelet.evaluation.submission.form import LABELS, output_text
from scenelet.evaluation.submission.validate_output import check_output

PROBABILITIES = st.lists(st.floats(0, 1, width=32), min_size=3, max_size=3).filter(lambda values: sum(values) > 1e-3)


@given(st.lists(PROBABILITIES, min_size=1, max_size=20))
def test_output_text_of_any_probabilities_is_valid(table: list[list[float]]) -> None:
    rows = []
    for number, values in enumerate(table):
        best = LABELS[int(np.argmax(values))]
        rows.append((number, best, dict(zip(LABELS, values, strict=True))))
    text = output_text(rows)
    assert check_output("x", text.encode(), partial=True) == []
    for row, line in zip(rows, text.splitlines()[1:], strict=True):
        name, label, *values = line.split("\t")
        assert (name, label) == (f"{row[0]}.wav", row[1])
        written = dict(zip(LABELS, map(float, values), strict=True))
        assert sum(int(value.replace(".", "")) for value in values) == 10**9  # exactly 1
        assert written[label] == max(written.values())
        total = sum(row[2].values())
        assert all(abs(written[k] - row[2][k] / total) < 1e-8 for k in LABELS)


def test_output_text_gives_the_rest_to_the_answer() -> None:
    text = output_text([(7, "outdoor", dict.fromkeys(LABELS, 1 / 3))])
    assert text.splitlines()[1].split("\t") == ["7.wav", "outdoor", "0.333333333", "0.333333334", "0.333333333"]


def test_output_text_has_the_challenges_order_of_columns() -> None:
    values = {"transportation": 0.5, "outdoor": 0.3, "indoor": 0.2}
    line = output_text([(0, "transportation", values)]).splitlines()[1]
    assert line.split("\t")[2:] == ["0.200000000", "0.300000000", "0.500000000"]
