"""Reader of CSV and TSV; `test_load.py` has more invalid tables."""

from pathlib import Path

import pytest

from scenelet.data.delimited import CsvRow, read_columns, read_rows
from scenelet.errors import DataError


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "table.csv"


def test_read_rows_gives_values_by_column_and_line(table: Path) -> None:
    table.write_text('\ufeffName;Note\n a ;"two\nlines"\nb;\n;\n', encoding="utf-8")
    rows = read_rows(table, ["name"])
    assert rows == [CsvRow(3, {"name": "a", "note": "two\nlines"}), CsvRow(4, {"name": "b", "note": ""})]


def test_read_rows_names_the_missing_columns(table: Path) -> None:
    table.write_text("name,note\na,b\n")
    with pytest.raises(DataError, match=r"no column 'label' or 'fold' in its first line; it has name, note"):
        read_rows(table, ["name", "label", "fold"])


def test_read_columns_reads_only_the_header(table: Path) -> None:
    table.write_text('Name\t LABEL \n"not closed')
    assert read_columns(table) == ("name", "label")
    table.write_bytes(b"")
    assert read_columns(table) == ()


def test_read_columns_refuses_what_is_not_text(table: Path) -> None:
    table.write_bytes(b"name\xff\n")
    with pytest.raises(DataError, match="not a UTF-8 text table"):
        read_columns(table)
    with pytest.raises(DataError, match="cannot be read"):
        read_columns(table.with_name("absent.csv"))
