"""The manifest: a table of paths or URLs (CSV, Parquet), or a folder of recordings -> inputs in their order."""

import csv
import hashlib
import io
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pyarrow
from pyarrow import parquet

from scenelet.data.rows import DELIMITERS
from scenelet.errors import DataError
from scenelet.files import visible_files
from scenelet.recordings import EXTENSIONS
from scenelet.scale.storage import is_url, parent, reading

COLUMNS = ("path", "url", "filename", "file")
"""What the column of inputs may be called; the first of them that is there is taken."""
HELP = f"name the column of recordings {', '.join(COLUMNS[:-1])} or {COLUMNS[-1]}"
BATCH = 1 << 14
INPUT = "input"


@dataclass(frozen=True)
class Manifest:
    """What a manifest holds.

    Attributes:
        place: its path or URL; or a folder.
        base: the folder or URL that its relative paths begin at.
        inputs: how many.
        digest: SHA-256 of all of them in their order.
    """

    place: str
    base: str
    inputs: int
    digest: str


def survey(place: str) -> Manifest:
    """Read through a manifest once, in constant memory.

    Raises:
        DataError: it cannot be read, has no column of inputs, an empty one, or no rows.
    """
    digest, count = hashlib.sha256(), 0
    for text in inputs(place):
        data = text.encode()
        digest.update(len(data).to_bytes(4, "little") + data)
        count += 1
    if count == 0:
        raise DataError(f"{place}: lists no recordings (WAV, FLAC, Ogg, MP3)")
    is_folder = not is_url(place) and Path(place).is_dir()
    base = os.path.abspath(place) if is_folder else parent(place)
    return Manifest(place, base, count, digest.hexdigest())


def inputs(place: str) -> Iterator[str]:
    """Every input in its order, as the manifest writes it. Raises as `survey`."""
    try:
        if not is_url(place) and Path(place).is_dir():
            yield from _of_folder(Path(place))
            return
        with reading(place) as file:
            if place.lower().endswith((".parquet", ".pq")):
                yield from _of_parquet(place, file)
            else:
                yield from _of_text(place, file)
    except FileNotFoundError:
        raise DataError(f"{place}: no such file; give a CSV or Parquet file of recordings, or a folder") from None
    except (OSError, pyarrow.ArrowException) as error:
        reason = str(getattr(error, "strerror", None) or error).split("\n")[0]
        raise DataError(f"{place}: cannot be read ({reason}); give a CSV or Parquet file of recordings") from None


def write_inputs(listed: Iterable[str], path: Path, shard: int) -> None:
    """Write inputs as Parquet, `shard` of them in each row group."""
    schema = pyarrow.schema([pyarrow.field(INPUT, pyarrow.string(), nullable=False)])
    with parquet.ParquetWriter(path, schema) as writer:
        waiting: list[str] = []
        for text in listed:
            waiting.append(text)
            if len(waiting) == shard:
                writer.write_table(pyarrow.table([waiting], schema), row_group_size=shard)
                waiting = []
        if waiting:
            writer.write_table(pyarrow.table([waiting], schema), row_group_size=shard)


def opened(file: BinaryIO) -> parquet.ParquetFile:
    """A Parquet file that the calling thread reads by itself: Arrow's pools of threads are for large tables."""
    return parquet.ParquetFile(file, pre_buffer=False)


def _of_folder(folder: Path) -> Iterator[str]:
    for file in visible_files(folder):
        if file.suffix.lower() in EXTENSIONS:
            name = file.relative_to(folder).as_posix()
            if name.encode(errors="replace").decode() != name:
                raise DataError(f"{os.fsencode(file)!r}: its name is not UTF-8, and cannot stand in a table; rename it")
            yield name


def _of_parquet(place: str, file: BinaryIO) -> Iterator[str]:
    table = opened(file)
    column = _column(place, table.schema_arrow.names)
    kind = table.schema_arrow.field(column).type
    if not (pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind)):
        raise DataError(f"{place}: its column {column!r} holds {kind}, not text")
    row = 0
    for batch in table.iter_batches(BATCH, columns=[column], use_threads=False):
        for text in batch.column(0).to_pylist():
            row += 1
            if not text:
                raise DataError(f"{place}, row {row}: names no recording; delete the row")
            yield text


def _of_text(place: str, file: BinaryIO) -> Iterator[str]:
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    try:
        header = text.readline()
        delimiter = max(DELIMITERS, key=header.count)
        names = [name.strip().lower() for name in next(csv.reader([header], delimiter=delimiter), [])]
        index = names.index(_column(place, names))
        rows = csv.reader(text, delimiter=delimiter)
        for fields in rows:
            if not fields:
                continue
            if len(fields) <= index or not fields[index].strip():
                raise DataError(f"{place}, line {rows.line_num + 1}: names no recording; delete the line")
            yield fields[index].strip()
    except UnicodeDecodeError:
        raise DataError(f"{place}: not a UTF-8 text table; save it as CSV in UTF-8") from None
    except csv.Error as error:
        raise DataError(f"{place}: not a table that can be read ({error})") from None
    finally:
        text.detach()


def _column(place: str, names: list[str]) -> str:
    found = next((name for name in COLUMNS if name in names), None)
    if found is None:
        listed = ", ".join(names[:8]) if any(names) else "none"
        raise DataError(f"{place}: its columns are {listed}; {HELP}")
    return found
