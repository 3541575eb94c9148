"""Cells that a spreadsheet would run, in every CSV with names or labels of strangers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenelet.utils.csv_cells import original_cell, safe_row


@pytest.mark.parametrize(
    "cell",
    ["=1+1", "+1+1.wav", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1", '=HYPERLINK("http://a")', "-1\n"],
)
def test_safe_row_formula_gets_an_apostrophe(cell: str) -> None:
    assert safe_row([cell]) == [f"'{cell}"]


@pytest.mark.parametrize("cell", ["rain", "", "-0.5", "+1e-3", "a=b", " =1", "'=1", -1, 0.5, None])
def test_safe_row_other_cells_are_unchanged(cell: object) -> None:
    assert safe_row([cell]) == [cell]


@given(st.text(alphabet="=+-@\t\r\n1.ea\uff1d", max_size=6))
def test_original_cell_undoes_safe_row(cell: str) -> None:
    assert original_cell(str(safe_row([cell])[0])) == cell


@pytest.mark.parametrize("cell", ["'", "'t Hooft", "''=1", "'-0.5", "=1"])
def test_original_cell_leaves_other_apostrophes(cell: str) -> None:
    assert original_cell(cell) == cell
