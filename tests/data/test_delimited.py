"""Reader of CSV and TSV; `test_load.py` has more invalid tables."""

import gzip
from pathlib import Path

import pytest

from scenelet.data.delimited import HEAD_LINES, TableRow, read_head, read_rows
from scenelet.errors import DataError


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "table.csv"


def test_read_rows_gives_values_by_column_and_line(table: Path) -> None:
    table.write_text('\ufeffName;Note\n a ;"two\nlines"\nb;\n;\n', encoding="utf-8")
    rows = read_rows(table, ["name"])
    assert rows == [TableRow(3, {"name": "a", "note": "two\nlines"}), TableRow(4, {"name": "b", "note": ""})]


def test_read_rows_names_the_missing_columns(table: Path) -> None:
    table.write_text("name,note\na,b\n")
    with pytest.raises(DataError, match=r"no column 'label' or 'fold' in its first line; it has name, note"):
        read_rows(table, ["name", "label", "fold"])


def test_read_head_reads_only_the_first_lines(table: Path) -> None:
    table.write_text("Name\t LABEL \n" + 30 * "a\tx\n" + '"not closed')
    assert read_head(table)[:2] == [["Name", " LABEL "], ["a", "x"]]
    assert len(read_head(table)) == HEAD_LINES
    table.write_bytes(b"")
    assert read_head(table) == []


def test_read_rows_accepts_what_spreadsheets_write(table: Path) -> None:
    table.write_text("sep=|\nname|note|\n\na|b|\n||\nc|d||\n")
    assert [(row.line, row.values) for row in read_rows(table)] == [
        (4, {"name": "a", "note": "b"}),
        (6, {"name": "c", "note": "d"}),
    ]
    table.write_text("name\na,b\n")
    with pytest.raises(DataError, match="line 2: has 2 fields where the header has 1"):
        read_rows(table)


def test_read_rows_takes_back_the_apostrophe_before_formulas(table: Path) -> None:
    table.write_text("name,note\n'=1+1.wav,'-rain\n't,'-0.5\n")
    assert [list(row.values.values()) for row in read_rows(table)] == [["=1+1.wav", "-rain"], ["'t", "'-0.5"]]


def test_read_rows_of_a_gzipped_table(table: Path) -> None:
    path = table.with_name("table.csv.gz")
    path.write_bytes(gzip.compress(b"name\na\n"))
    assert read_rows(path) == [TableRow(2, {"name": "a"})]
    for damaged in (b"name\na\n", gzip.compress(b"name\na\n")[:-9]):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"table.csv.gz: cannot be read"):
            read_rows(path)


def test_read_head_refuses_what_is_not_text(table: Path) -> None:
    table.write_bytes(b"name\xff\n")
    with pytest.raises(DataError, match="not a UTF-8 text table"):
        read_head(table)
    with pytest.raises(DataError, match="cannot be read"):
        read_head(table.with_name("absent.csv"))
