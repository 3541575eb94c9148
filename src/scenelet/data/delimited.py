"""Reader of delimited text (CSV, TSV), with errors that name the line."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from scenelet.errors import DataError
from scenelet.utils.text import first_few

DELIMITERS = ",\t;"


class CsvRow(NamedTuple):
    """Row of a table.

    Attributes:
        line: number of its line in the file, from 1.
        values: values without outer blanks, by lower-case column name.
    """

    line: int
    values: dict[str, str]


def read_rows(path: Path, required: Sequence[str]) -> list[CsvRow]:
    r"""Read the rows of a table. The delimiter (comma, tab or semicolon) is found in its header.

    A byte-order mark, any line ends, and empty lines at the end are accepted.

    Args:
        path: the file.
        required: the columns that the table must have, in lower case.

    Raises:
        DataError: the file is not UTF-8 text, a column of `required` is missing, the table has no rows, a row is empty,
            or a row does not fit the header.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "clips.csv"
    ...     _ = path.write_text("filename;label\na.wav; rain\n")
    ...     read_rows(path, ["filename", "label"])
    [CsvRow(line=2, values={'filename': 'a.wav', 'label': 'rain'})]
    """
    lines = _parse(path)
    columns = [name.strip().lower() for name in lines[0].fields] if lines else []
    absent = [name for name in required if name not in columns]
    if absent:
        found = ", ".join(columns) if any(columns) else "no columns"
        raise DataError(f"{path}: no column {' or '.join(map(repr, absent))} in its first line; it has {found}")
    repeated = first_few(name for name in dict.fromkeys(columns) if columns.count(name) > 1)
    if repeated:
        raise DataError(f"{path}: its header names the column {repeated} twice; rename one")
    rows = []
    for line, fields in lines[1:]:
        if not any(field.strip() for field in fields):
            raise DataError(f"{path}, line {line}: the row is empty; delete it")
        if len(fields) != len(columns):
            raise DataError(
                f"{path}, line {line}: has {len(fields)} fields where the header has {len(columns)};"
                " quote fields that hold a delimiter"
            )
        rows.append(CsvRow(line, {name: field.strip() for name, field in zip(columns, fields, strict=True)}))
    if not rows:
        raise DataError(f"{path}: has a header but no rows; add one per recording")
    return rows


def read_columns(path: Path) -> tuple[str, ...]:
    """Return the column names in a table's first line, in lower case. Raises DataError if the file is not text."""
    lines = _parse(path, header_only=True)
    return tuple(name.strip().lower() for name in lines[0].fields) if lines else ()


class _Line(NamedTuple):
    number: int
    fields: list[str]


def _parse(path: Path, header_only: bool = False) -> list[_Line]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            text = file.readline() if header_only else file.read()
    except UnicodeDecodeError:
        raise DataError(f"{path}: not a UTF-8 text table; save it as CSV in UTF-8") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    header = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(DELIMITERS, key=header.count))
    try:
        lines = [_Line(reader.line_num, fields) for fields in reader]
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: is not a readable table ({error})") from None
    while lines and not any(field.strip() for field in lines[-1].fields):
        lines.pop()
    return lines
