"""Cells that a spreadsheet would run, in every CSV with names or labels of strangers."""

import pytest

from scenelet.utils.csv_cells import safe_row


@pytest.mark.parametrize(
    "cell",
    ["=1+1", "+1+1.wav", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1", '=HYPERLINK("http://a")', "-1\n"],
)
def test_safe_row_formula_gets_an_apostrophe(cell: str) -> None:
    assert safe_row([cell]) == [f"'{cell}"]


@pytest.mark.parametrize("cell", ["rain", "", "-0.5", "+1e-3", "a=b", " =1", "'=1", -1, 0.5, None])
def test_safe_row_other_cells_are_unchanged(cell: object) -> None:
    assert safe_row([cell]) == [cell]
