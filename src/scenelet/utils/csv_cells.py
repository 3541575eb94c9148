"""Cells of CSV files that people open in a spreadsheet."""

from collections.abc import Iterable

FORMULA_STARTS = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
"""First characters of a cell that spreadsheets run as a formula, as OWASP lists them, also full-width ones."""


def safe_row(cells: Iterable[object]) -> list[object]:
    """Put an apostrophe before texts that a spreadsheet would run as a formula. Numbers are unchanged.

    A file name or a label is a stranger's text, and a formula can read other cells or open an address.

    >>> safe_row(["=1+1.wav", "rain", -0.5, "-0.5"])
    ["'=1+1.wav", 'rain', -0.5, '-0.5']
    """
    return [f"'{cell}" if _is_formula(cell) else cell for cell in cells]


def _is_formula(cell: object) -> bool:
    if not isinstance(cell, str) or not cell.startswith(FORMULA_STARTS):
        return False
    try:
        float(cell)
    except ValueError:
        return True
    return cell != cell.strip()
