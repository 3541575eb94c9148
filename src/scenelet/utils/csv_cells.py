"""Cells of CSV files that people open in a spreadsheet."""

import re
from collections.abc import Iterable

_NUMBER = r"[+-](\d+\.?\d*|\.\d+|inf|nan)(e[+-]?\d+)?\Z"
_FORMULA = re.compile(rf"(?!{_NUMBER})[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]", re.IGNORECASE)
"""Start of a cell that spreadsheets run as a formula, as OWASP lists them, also with full-width characters."""


def safe_row(cells: Iterable[object]) -> list[object]:
    """Put an apostrophe before texts that a spreadsheet would run as a formula. Numbers are unchanged.

    A file name or a label is a stranger's text, and a formula can read other cells or open an address.

    >>> safe_row(["=1+1.wav", "rain", -0.5, "-0.5"])
    ["'=1+1.wav", 'rain', -0.5, '-0.5']
    """
    return [f"'{cell}" if isinstance(cell, str) and _FORMULA.match(cell) else cell for cell in cells]


def original_cell(text: str) -> str:
    """Remove the apostrophe that `safe_row` put before a text.

    >>> original_cell("'-rain"), original_cell("'t Hooft"), original_cell("-rain")
    ('-rain', "'t Hooft", '-rain')
    """
    return text[1:] if text.startswith("'") and _FORMULA.match(text[1:]) else text
