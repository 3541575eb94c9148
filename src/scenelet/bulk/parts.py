"""Parquet files of a job: write a part, and read back its counts and errors."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import pyarrow
from pyarrow import parquet

from scenelet.bulk.remote import error_reason
from scenelet.errors import OutputError

BUFFER_BYTES = 1 << 25
"""Bytes of rows that are buffered before they are written."""
VALUE_BYTES = 150
"""Approximate size of one value in a buffered row."""
ERROR_COLUMNS = ["index", "input", "error"]
"""Columns of `errors.csv`."""
FIRST_COLUMNS = [
    pyarrow.field("index", pyarrow.int64(), nullable=False),
    pyarrow.field("input", pyarrow.string(), nullable=False),
    pyarrow.field("window", pyarrow.int32()),
    pyarrow.field("start_seconds", pyarrow.float64()),
]
LAST_COLUMNS = [pyarrow.field("error", pyarrow.string())]


class PartWriter:
    """Context manager that writes rows to a Parquet file, and buffers some of them. Equal rows give equal bytes.

    Args:
        path: file to write.
        schema: columns of the file.
        buffer_bytes: approximate size of the buffered rows.

    Raises:
        OutputError: the file cannot be written.
    """

    def __init__(self, path: Path, schema: pyarrow.Schema, buffer_bytes: int = BUFFER_BYTES) -> None:
        self.path, self.schema, self.buffer_bytes = path, schema, buffer_bytes
        self._rows: list[dict[str, Any]] = []
        self._bytes = 0
        with self._translate_errors():
            self._writer = parquet.ParquetWriter(path, schema, compression="zstd")

    def __enter__(self) -> "PartWriter":
        return self

    def __exit__(self, *error: object) -> None:
        try:
            if error[0] is None:
                self._flush()
        finally:
            with self._translate_errors():
                self._writer.close()

    def add(self, row: dict[str, Any]) -> None:
        """Add a row, whose missing columns become null."""
        self._rows.append(row)
        array_bytes = sum(value.nbytes for value in row.values() if isinstance(value, np.ndarray))
        self._bytes += array_bytes + VALUE_BYTES * len(row)
        if self._bytes >= self.buffer_bytes:
            self._flush()

    def _flush(self) -> None:
        columns = [[row.get(field.name) for row in self._rows] for field in self.schema]
        arrays = [pyarrow.array(values, field.type) for values, field in zip(columns, self.schema, strict=True)]
        with self._translate_errors():
            self._writer.write_table(pyarrow.table(arrays, self.schema))
        self._rows, self._bytes = [], 0

    @contextlib.contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = error_reason(error)
            raise OutputError(f"{self.path.parent}: cannot be written ({reason}); choose another folder") from None


class PartSummary(NamedTuple):
    """Counts of a part, and the (index, input, error) of each recording that could not be read."""

    inputs: int
    rows: int
    errors: list[tuple[int, str, str]]


def summarize_part(path: str, file: BinaryIO) -> PartSummary:
    """Read the counts and errors of a part.

    Args:
        path: path of the part in error messages.
        file: the part, open for reading.

    Raises:
        OutputError: the part is damaged.
    """
    with parquet_errors(path):
        part = open_parquet(file)
        inputs = int(part.schema_arrow.metadata[b"inputs"])
        table = part.read(columns=ERROR_COLUMNS, use_threads=False)
        with_error = table.filter(table.column("error").is_valid())
        columns = (with_error.column(name).to_pylist() for name in ERROR_COLUMNS)
        return PartSummary(inputs, table.num_rows, list(zip(*columns, strict=True)))


def open_parquet(file: BinaryIO, dictionary_columns: Sequence[str] = ()) -> parquet.ParquetFile:
    """Open a Parquet file that the calling thread reads; Arrow's thread pools only pay for large tables.

    Columns in `dictionary_columns` are returned as Parquet stores them: indices into a list of distinct texts.
    """
    return parquet.ParquetFile(file, pre_buffer=False, read_dictionary=list(dictionary_columns))


@contextlib.contextmanager
def parquet_errors(path: str) -> Iterator[None]:
    """Turn errors from reading a Parquet file of a job into an `OutputError`.

    Raises:
        OutputError: the file is damaged.
    """
    try:
        yield
    except (pyarrow.ArrowException, LookupError, ValueError, TypeError):
        raise OutputError(f"{path}: damaged; delete it, and run the same command again") from None
