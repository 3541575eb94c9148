"""Manifest: the list of recordings of a job, from a CSV or Parquet file of paths or URLs, or from a folder."""

import csv
import gzip
import hashlib
import io
import itertools
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import pyarrow
from pyarrow import parquet

from scenelet.audio.io import EXTENSIONS, find_recordings
from scenelet.bulk.parts import open_parquet, writing_errors
from scenelet.bulk.remote import PLAIN, HostError, Remote, RemoteFileError
from scenelet.bulk.urls import error_reason, is_url, parent, strip_file_scheme, without_query
from scenelet.data.delimited import EXCEL_MARK, FILE_COLUMNS, PARQUET_EXTENSIONS, column_name, find_delimiter
from scenelet.errors import DataError
from scenelet.utils.console import quiet

COLUMN_NAMES = tuple(dict.fromkeys(("path", "url", *FILE_COLUMNS)))
"""Possible names of the column of recordings; the first one that is present is used."""
GZIP_START = b"\x1f\x8b"
BATCH_ROWS = 1 << 14
MAX_PATH_CHARACTERS = 1 << 15
"""Limit for a path or URL in Parquet. In CSV files Python's reader limits a field to four times as many."""
INPUT_COLUMN = "input"


@dataclass(frozen=True)
class Manifest:
    """Summary of a manifest.

    Attributes:
        path: path or URL of the manifest, or a folder of recordings.
        base: folder or URL that relative paths start from.
        inputs: number of recordings.
        digest: SHA-256 of all paths in their order.
        remote: access to URLs.
    """

    path: str
    base: str
    inputs: int
    digest: str
    remote: Remote


def scan_manifest(path: str, remote: Remote = PLAIN) -> Manifest:
    """Read a manifest once, in constant memory.

    Args:
        path: path or URL of a CSV, TSV or Parquet file, or a folder. A path may begin with `~`.
        remote: access to URLs.

    Raises:
        DataError: the manifest cannot be read, has no rows, no column of recordings, or a row without a path.
    """
    path = strip_file_scheme(path)
    path = path if is_url(path) else os.path.expanduser(path)
    base = os.path.abspath(path) if _is_folder(path) else parent(path)
    count, digest = 0, hashlib.sha256()
    for text in read_inputs(path, remote):
        count += 1
        _update(digest, text)
    if count == 0:
        raise DataError(f"{path}: lists no recordings (WAV, FLAC, Ogg, MP3, AIFF, ...)")
    return Manifest(path, base, count, digest.hexdigest(), remote)


def read_inputs(path: str, remote: Remote = PLAIN) -> Iterator[str]:
    """Yield the path or URL of every recording, as the manifest writes it. Raises as `scan_manifest`."""
    try:
        if _is_folder(path):
            yield from _read_folder(Path(path))
            return
        if path.lower().endswith(EXTENSIONS):
            raise DataError(f"{path}: is a recording; list it in a CSV, or leave out --out")
        if is_url(path) and path.endswith("/"):
            raise DataError(f"{path}: a folder behind a URL; list its recordings in a CSV or Parquet file")
        with remote.temporary_copy(path) if is_url(path) else open(path, "rb") as file:
            if without_query(path).lower().endswith(PARQUET_EXTENSIONS):
                yield from _read_parquet(path, file)
            else:
                is_packed = file.read(2) == GZIP_START
                file.seek(0)
                yield from _read_text(path, cast(BinaryIO, gzip.GzipFile(fileobj=file)) if is_packed else file)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; give a CSV or Parquet file of recordings, or a folder") from None
    except RemoteFileError as error:
        raise DataError(str(error)) from None
    except HostError as error:
        raise DataError(f"{error}; check the network and the credentials, and run the same command again") from None
    except (OSError, EOFError, zlib.error, pyarrow.ArrowException, UnicodeDecodeError) as error:  # of a column's name
        reason = error_reason(error)
        raise DataError(f"{path}: cannot be read ({reason}); give a CSV or Parquet file of recordings") from None


def write_inputs(manifest: Manifest, path: Path, shard_size: int) -> None:
    """Write the recordings' paths to a Parquet file with `shard_size` of them per row group.

    It raises DataError if the manifest has changed since it was scanned, and OutputError if it cannot write.
    """
    schema = pyarrow.schema([pyarrow.field(INPUT_COLUMN, pyarrow.string(), nullable=False)])
    inputs, digest = read_inputs(manifest.path, manifest.remote), hashlib.sha256()
    # `scan_manifest` has already reported the files that are skipped
    with quiet(), writing_errors(path), parquet.ParquetWriter(path, schema) as writer:
        while group := list(itertools.islice(inputs, shard_size)):
            for text in group:
                _update(digest, text)
            writer.write_table(pyarrow.table([group], schema), row_group_size=shard_size)
    if digest.hexdigest() != manifest.digest:
        raise DataError(f"{manifest.path}: changed while it was read; run the same command again")


def _is_folder(path: str) -> bool:
    return not is_url(path) and Path(path).is_dir()


def _update(digest: Any, text: str) -> None:
    data = text.encode()
    digest.update(len(data).to_bytes(4, "little") + data)


def _read_folder(folder: Path) -> Iterator[str]:
    for file in find_recordings(folder):
        name = file.relative_to(folder).as_posix()
        if name.encode(errors="replace").decode() != name:
            raise DataError(f"{os.fsencode(file)!r}: its name is not valid UTF-8; rename the file")
        yield name


def _read_parquet(path: str, file: BinaryIO) -> Iterator[str]:
    table = open_parquet(file)
    names = table.schema_arrow.names
    column = names[_find_column(path, names)]
    kind = table.schema_arrow.field(column).type
    values = kind.value_type if pyarrow.types.is_dictionary(kind) else kind
    if not (pyarrow.types.is_string(values) or pyarrow.types.is_large_string(values)):
        raise DataError(f"{path}: its column {column!r} holds {kind}, not text")
    row = 0
    # a million rows may refer to one stored text: with dictionaries it is in memory once
    table = open_parquet(file, [column])
    for batch in table.iter_batches(BATCH_ROWS, columns=[column], use_threads=False):
        batch.validate(full=True)  # Arrow's reader checks neither the indices nor the UTF-8
        texts = batch.column(0).dictionary
        for index in batch.column(0).indices.to_pylist():
            row += 1
            text = ("" if index is None else texts[index].as_py() or "").strip()
            if not text or len(text) > MAX_PATH_CHARACTERS:
                fault = f"the recording's path has over {MAX_PATH_CHARACTERS:,} characters"
                raise DataError(f"{path}, row {row}: {fault if text else 'names no recording'}; delete the row")
            yield text


def _read_text(path: str, file: BinaryIO) -> Iterator[str]:
    lines = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    try:
        first = lines.readline()
        is_excel = first.lower().startswith(EXCEL_MARK)
        header = lines.readline() if is_excel else first
        delimiter = first[len(EXCEL_MARK) :][:1] if is_excel else find_delimiter(header)
        all_lines = itertools.chain([header], lines)
        rows = csv.reader(all_lines, delimiter=delimiter, skipinitialspace=delimiter == " ", strict=True)
        names = next(rows, [])
        column = _find_column(path, names)
        for fields in rows:
            while len(fields) > len(names) and not fields[-1].strip():
                fields.pop()  # Excel ends rows with delimiters if another row was longer
            if not any(field.strip() for field in fields):
                continue
            line = f"{path}, line {rows.line_num + is_excel}"
            if len(fields) > len(names):
                counts = f"{len(fields)} fields for {len(names)} columns"
                raise DataError(f"{line}: has {counts}; quote fields that contain the delimiter")
            if not (text := fields[column].strip() if column < len(fields) else ""):
                raise DataError(f"{line}: names no recording; delete the line")
            yield text
    except UnicodeDecodeError:
        raise DataError(f"{path}: not a UTF-8 text table; save it as CSV in UTF-8") from None
    except (csv.Error, TypeError) as error:  # the latter for a delimiter that is none
        raise DataError(f"{path}: not a valid CSV table ({error}); check for a missing quote") from None
    finally:
        lines.detach()


def _find_column(path: str, names: list[str]) -> int:
    """Return the index of the column of recordings."""
    known = [column_name(name) for name in names]
    column = next((name for name in COLUMN_NAMES if name in known), None)
    if column is None:
        listed, accepted = ", ".join(names[:8]).strip() or "none", ", ".join(COLUMN_NAMES[:-1])
        hint = f"name the column of recordings {accepted} or {COLUMN_NAMES[-1]}"
        raise DataError(f"{path}: its columns are {listed}; {hint}")
    if known.count(column) > 1:
        raise DataError(f"{path}: has the column {column!r} twice; rename one")
    return known.index(column)
