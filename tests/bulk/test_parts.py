"""Parquet files of a job: buffering and damage."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pyarrow
import pytest
from pyarrow import parquet

from scenelet.bulk.parts import FIRST_COLUMNS, LAST_COLUMNS, PartCounts, PartWriter, read_counts, read_errors
from scenelet.errors import OutputError

SCHEMA = pyarrow.schema([*FIRST_COLUMNS, *LAST_COLUMNS])


def write_part(path: Path, buffer_bytes: int) -> None:
    with PartWriter(path, SCHEMA, buffer_bytes) as part:
        for index in range(9):
            columns = {"index": index, "input": f"{index}.wav"}
            if index == 4:
                part.add_error({**columns, "error": "bad"}, is_host_error=True)
            else:
                part.add(columns, [{"window": [0, 1], "start_seconds": [0.0, 1.0], "end_seconds": [1.0, 2.0]}])


def test_part_writer_small_buffer_gives_same_rows(tmp_path: Path) -> None:
    write_part(tmp_path / "large", 1 << 20)
    write_part(tmp_path / "small", 4000)
    large, small = (parquet.ParquetFile(tmp_path / name) for name in ("large", "small"))
    assert large.num_row_groups == 1
    assert small.num_row_groups > 3
    assert large.read().to_pylist() == small.read().to_pylist()
    large.close()
    small.close()


def test_part_writer_same_rows_give_same_bytes(tmp_path: Path) -> None:
    write_part(tmp_path / "a", 1 << 20)
    write_part(tmp_path / "b", 1 << 20)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_part_writer_missing_folder_raises(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"none: cannot be written .*; choose another folder"):
        PartWriter(tmp_path / "none" / "part", SCHEMA)


def test_part_writer_error_of_arrow_is_an_output_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrow has errors of its own besides those of the system."""

    def fail(*_: object) -> None:
        raise pyarrow.ArrowCapacityError("array cannot contain more than 2147483646 bytes")

    monkeypatch.setattr(parquet.ParquetWriter, "write_table", fail)
    with pytest.raises(OutputError, match=r"cannot be written \(array cannot contain"):
        write_part(tmp_path / "part", 1 << 20)


def test_read_counts_and_errors(tmp_path: Path) -> None:
    write_part(tmp_path / "part", 1 << 20)
    with (tmp_path / "part").open("rb") as file:
        assert read_counts("part", file) == PartCounts(inputs=9, rows=17, errors=1, host_errors=1)
        assert read_errors("part", file) == [(4, "4.wav", "bad")]


@pytest.mark.parametrize("read", [read_counts, read_errors])
def test_read_damaged_part_raises(read: Callable[[str, BinaryIO], object]) -> None:
    with pytest.raises(OutputError, match="a/part: damaged; delete it"):
        read("a/part", io.BytesIO(b"PAR1 no parquet"))
