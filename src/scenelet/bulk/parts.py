"""Parquet files of a job: write a part, and read back its counts and errors."""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import pyarrow
from pyarrow import parquet

from scenelet.bulk.urls import error_reason
from scenelet.errors import OutputError

BUFFER_BYTES = 1 << 25
"""Bytes of rows that are buffered before they are written."""
ARRAY_BYTES = 500
"""Approximate memory of an array besides its values."""
ERROR_COLUMNS = ["index", "input", "error"]
"""Columns of `errors.csv`."""
FIRST_COLUMNS = [
    pyarrow.field("index", pyarrow.int64(), nullable=False),
    pyarrow.field("input", pyarrow.string(), nullable=False),
    pyarrow.field("window", pyarrow.int32()),
    pyarrow.field("start_seconds", pyarrow.float64()),
    pyarrow.field("end_seconds", pyarrow.float64()),
]
LAST_COLUMNS = [pyarrow.field("note", pyarrow.string()), pyarrow.field("error", pyarrow.string())]


class PartCounts(NamedTuple):
    """Counts of a part.

    Attributes:
        inputs: recordings.
        rows: rows, including one for each error.
        errors: recordings that could not be read.
        host_errors: those of them whose host failed, so that another run may read them.
    """

    inputs: int
    rows: int
    errors: int = 0
    host_errors: int = 0


class PartWriter(contextlib.AbstractContextManager["PartWriter"]):
    """Context manager that writes rows to a Parquet file, and buffers some of them. Equal rows give equal bytes.

    Its methods raise OutputError if the file cannot be written.
    """

    def __init__(self, path: Path, schema: pyarrow.Schema, buffer_bytes: int = BUFFER_BYTES) -> None:
        self.path, self.schema, self.buffer_bytes = path, schema, buffer_bytes
        self.counts = PartCounts(0, 0)
        self._tables: list[pyarrow.Table] = []
        self._bytes = 0
        with writing_errors(self.path):
            self._writer = parquet.ParquetWriter(path, schema, compression="zstd")

    def __exit__(self, *error: object) -> None:
        with writing_errors(self.path), self._writer:
            if error[0] is None:
                self._flush()
                counts = {name: str(count) for name, count in self.counts._asdict().items()}
                self._writer.add_key_value_metadata(counts)

    def add(self, columns: dict[str, Any], rows: Iterable[dict[str, Any]]) -> None:
        """Add the rows of one recording: `rows` holds arrays for some rows at a time, `columns` values of all rows."""
        inputs, count, *errors = self.counts
        for some in rows:
            table = self._make_table({**columns, **some}, len(some["window"]))
            count += table.num_rows
            self._buffer(table)
        self.counts = PartCounts(inputs + 1, count, *errors)

    def add_error(self, columns: dict[str, Any], is_host_error: bool) -> None:
        """Add the row of a recording that could not be read."""
        self._buffer(self._make_table(columns, 1))
        inputs, rows, errors, host_errors = self.counts
        self.counts = PartCounts(inputs + 1, rows + 1, errors + 1, host_errors + is_host_error)

    def _make_table(self, columns: dict[str, Any], rows: int) -> pyarrow.Table:
        """Make a table, in which a missing column is null and a single value fills its column."""

        def make_array(field: pyarrow.Field) -> pyarrow.Array:
            value = columns.get(field.name)
            if value is None or isinstance(value, str | int | float):
                return pyarrow.repeat(pyarrow.scalar(value, field.type), rows)
            return pyarrow.array(value, field.type)

        return pyarrow.table([make_array(field) for field in self.schema], self.schema)

    def _buffer(self, table: pyarrow.Table) -> None:
        self._tables.append(table)
        self._bytes += table.nbytes + ARRAY_BYTES * table.num_columns
        if self._bytes >= self.buffer_bytes:
            self._flush()

    def _flush(self) -> None:
        if self._tables:
            with writing_errors(self.path):
                self._writer.write_table(pyarrow.concat_tables(self._tables).combine_chunks())
        self._tables, self._bytes = [], 0


@contextlib.contextmanager
def writing_errors(path: Path) -> Iterator[None]:
    """Turn errors from writing a Parquet file into an `OutputError`."""
    try:
        yield
    except (OSError, pyarrow.ArrowException) as error:
        reason = error_reason(error)
        raise OutputError(f"{path.parent}: cannot be written ({reason}); choose another folder") from None


def read_counts(path: str, file: BinaryIO) -> PartCounts:
    """Read the counts of a part from the end of its file; raise OutputError, with the path, if it is damaged."""
    with parquet_errors(path):
        metadata = open_parquet(file).metadata.metadata
        return PartCounts(*(int(metadata[name.encode()]) for name in PartCounts._fields))


def read_errors(path: str, file: BinaryIO) -> list[tuple[int, str, str]]:
    """Read the (index, input, error) of each recording in a part that could not be read. Raises as `read_counts`."""
    with parquet_errors(path):
        table = open_parquet(file).read(columns=ERROR_COLUMNS, use_threads=False)
        with_error = table.filter(table.column("error").is_valid())
        return list(zip(*(with_error.column(name).to_pylist() for name in ERROR_COLUMNS), strict=True))


def open_parquet(file: BinaryIO, dictionary_columns: Sequence[str] = ()) -> parquet.ParquetFile:
    """Open a Parquet file that the calling thread reads; Arrow's thread pools only pay for large tables.

    Columns in `dictionary_columns` are returned as Parquet stores them: indices into a list of distinct texts.
    """
    return parquet.ParquetFile(file, pre_buffer=False, read_dictionary=list(dictionary_columns))


@contextlib.contextmanager
def parquet_errors(path: str) -> Iterator[None]:
    """Turn errors from reading a Parquet file of a job into an `OutputError`."""
    try:
        yield
    except (pyarrow.ArrowException, LookupError, ValueError, TypeError):
        raise OutputError(f"{path}: damaged; delete it, and run the same command again") from None
