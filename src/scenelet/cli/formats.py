"""How results are printed: what `--format` takes."""

from enum import StrEnum


class Format(StrEnum):
    """For people or for programs."""

    table = "table"
    json = "json"


class RowFormat(StrEnum):
    """The same, for results with a row a recording."""

    table = "table"
    json = "json"
    csv = "csv"
