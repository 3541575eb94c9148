"""Reader of tables: delimited text (CSV, TSV, also gzipped) and Parquet, with errors that name the line."""

import csv
import gzip
import io
import itertools
import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from scenelet.errors import DataError
from scenelet.utils.csv_cells import original_cell
from scenelet.utils.text import first_few

FILE_COLUMNS = ("filename", "file_name", "path", "file_path", "filepath", "file", "fname", "slice_file_name")
"""Accepted names of the column of recordings; the first one that is present is used."""
PARQUET_EXTENSIONS = (".parquet", ".pq")
TABLE_EXTENSIONS = (".csv", ".tsv", ".csv.gz", ".tsv.gz", *PARQUET_EXTENSIONS)
DELIMITERS = ",\t;|"
HEAD_LINES = 20
RAVEN_MARK = "Begin Time (s)"
"""Column of Raven's tables, which have no quotes around fields."""
EXCEL_MARK = "sep="
"""Start of the first line of a CSV in which Excel names the delimiter."""


class TableRow(NamedTuple):
    """Row of a table.

    Attributes:
        line: number of its line in the file, from 1.
        values: values by column name, see `column_name`; without outer blanks and apostrophes of `csv_cells.safe_row`.
    """

    line: int
    values: dict[str, str]


_Line = tuple[int, list[str]]
"""Number of a line in the file, and its fields."""


def column_name(text: str) -> str:
    """Return a column's name in lower case, with underscores for blanks.

    >>> column_name(" File Name")
    'file_name'
    """
    return text.strip().lower().replace(" ", "_")


def find_delimiter(header: str) -> str:
    r"""Return the delimiter of a header line: the most frequent of `DELIMITERS`, or a blank if it has none of them.

    >>> find_delimiter("filename;label, in words;fold"), find_delimiter("filename label")
    (';', ' ')
    """
    delimiter = max(DELIMITERS, key=header.count)
    return " " if delimiter not in header and " " in header.strip() else delimiter


def read_rows(path: Path, required: Sequence[str] = ()) -> list[TableRow]:
    r"""Read the rows of a table.

    Text may have a byte-order mark, any line ends, blank lines, delimiters at the end of rows, and Excel's first line
    `sep=;`.

    Args:
        path: the file.
        required: the columns that the table must have.

    Raises:
        DataError: the file is not a table in UTF-8 text or Parquet, a column of `required` is missing, the table has
            no rows, or a row does not fit the header.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "clips.csv"
    ...     _ = path.write_text("filename;label\na.wav; rain\n")
    ...     read_rows(path, ["filename", "label"])
    [TableRow(line=2, values={'filename': 'a.wav', 'label': 'rain'})]
    """
    lines = _read_lines(path)
    columns = [column_name(field) for field in lines[0][1]] if lines else []
    absent = [name for name in required if name not in columns]
    if absent:
        found = ", ".join(columns) if any(columns) else "no columns"
        raise DataError(f"{path}: no column {' or '.join(map(repr, absent))} in its first line; it has {found}")
    if repeated := [name for name, count in Counter(columns).items() if name and count > 1]:
        raise DataError(f"{path}: its header names the column {first_few(repeated)} twice; rename one")
    rows = []
    for line, fields in lines[1:]:
        while len(fields) > len(columns) and not fields[-1].strip():
            fields.pop()  # Excel ends rows with delimiters if another row was longer
        if len(fields) != len(columns):
            raise DataError(
                f"{path}, line {line}: has {len(fields)} fields where the header has {len(columns)};"
                " quote fields that hold a delimiter"
            )
        named = zip(columns, fields, strict=True)
        rows.append(TableRow(line, {name: original_cell(field.strip()) for name, field in named if name}))
    if not rows:
        raise DataError(f"{path}: has a header but no rows; add one per recording")
    return rows


def read_head(path: Path) -> list[list[str]]:
    """Return the fields of a table's first lines, header included. Raises DataError as `read_rows`."""
    return [fields for _, fields in _read_lines(path, head_only=True)[:HEAD_LINES]]


def read_text(path: Path, head_only: bool = False) -> str:
    """Read a text file, gzipped or not, or its first `HEAD_LINES` lines.

    Raises:
        DataError: the file cannot be read, or is not in UTF-8.
    """
    try:
        with gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb") as file:
            data = b"".join(itertools.islice(file, HEAD_LINES)) if head_only else file.read()
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{path}: not a UTF-8 text table; save it as CSV in UTF-8") from None
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None


def _read_lines(path: Path, head_only: bool = False) -> list[_Line]:
    """Read the lines that are not blank, or at least the first `HEAD_LINES` of them."""
    if not path.name.lower().endswith(PARQUET_EXTENSIONS):
        return _split_lines(path, read_text(path, head_only))
    try:
        return _read_parquet(path, head_only)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None


def _split_lines(path: Path, text: str) -> list[_Line]:
    lines = text.splitlines()
    skipped = 1 if lines and lines[0].lower().startswith(EXCEL_MARK) else 0
    header = lines[skipped] if len(lines) > skipped else ""
    delimiter = lines[0][len(EXCEL_MARK) :][:1] if skipped else find_delimiter(header)
    has_quotes = delimiter != "\t" or RAVEN_MARK not in header
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=delimiter or ",",
        skipinitialspace=delimiter == " ",
        quoting=csv.QUOTE_MINIMAL if has_quotes else csv.QUOTE_NONE,
    )
    try:
        parsed = [(reader.line_num, fields) for fields in reader][skipped:]
    except (csv.Error, TypeError) as error:
        raise DataError(f"{path}, line {reader.line_num}: is not a readable table ({error})") from None
    return [(number, fields) for number, fields in parsed if any(field.strip() for field in fields)]


def _read_parquet(path: Path, head_only: bool) -> list[_Line]:
    """Read the columns of plain values as text. Missing values are empty."""
    import pyarrow  # an optional package, which also takes long to import
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            names = [field.name for field in file.schema_arrow if not pyarrow.types.is_nested(field.type)]
            batches = itertools.islice(file.iter_batches(columns=names), 1 if head_only else None)
            rows = [[row[name] for name in names] for batch in batches for row in batch.to_pylist()]
    except (pyarrow.ArrowException, ValueError) as error:
        raise DataError(f"{path}: is not a readable Parquet file ({error}); write it again") from None
    texts = [["" if value is None else str(value) for value in row] for row in rows]
    return list(enumerate([names, *texts], 1))
