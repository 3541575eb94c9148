"""Parquet files of a job: buffering and damage."""

import io
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from scenelet.bulk.parts import FIRST_COLUMNS, LAST_COLUMNS, PartWriter, summarize_part
from scenelet.errors import OutputError

SCHEMA = pyarrow.schema([*FIRST_COLUMNS, *LAST_COLUMNS], {"inputs": "9"})


def write_part(path: Path, buffer_bytes: int) -> None:
    with PartWriter(path, SCHEMA, buffer_bytes) as part:
        for index in range(9):
            error = {"error": "bad"} if index == 4 else {"window": 0, "start_seconds": 0.0}
            part.add({"index": index, "input": f"{index}.wav", **error})


def test_part_writer_small_buffer_gives_same_rows(tmp_path: Path) -> None:
    write_part(tmp_path / "large", 1 << 20)
    write_part(tmp_path / "small", 1000)
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


def test_summarize_part_counts_inputs_rows_and_errors(tmp_path: Path) -> None:
    write_part(tmp_path / "part", 1 << 20)
    with (tmp_path / "part").open("rb") as file:
        summary = summarize_part("part", file)
    assert summary == (9, 9, [(4, "4.wav", "bad")])


def test_summarize_part_damaged_file_raises() -> None:
    with pytest.raises(OutputError, match="a/part: damaged; delete it"):
        summarize_part("a/part", io.BytesIO(b"PAR1 no parquet"))
