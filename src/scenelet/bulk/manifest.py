"""The manifest: a table of paths or URLs (CSV, Parquet), or a folder of recordings -> inputs in their order."""

import csv
import hashlib
import io
import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pyarrow
from pyarrow import parquet

from scenelet.audio.io import EXTENSIONS, find_recordings
from scenelet.bulk.remote import WEB, RefusedError, is_url, local_copy, plain, reason
from scenelet.bulk.storage import parent
from scenelet.data.delimited import DELIMITERS
from scenelet.data.load import PARQUET_EXTENSIONS
from scenelet.errors import DataError, OutputError
from scenelet.utils.console import quiet

COLUMNS = ("path", "url", "filename", "file")
"""What the column of inputs may be called; the first of them that is there is taken."""
HELP = f"name the column of recordings {', '.join(COLUMNS[:-1])} or {COLUMNS[-1]}"
BATCH = 1 << 14
MAX_PATH_CHARACTERS = 1 << 15
"""Characters of an input in Parquet; of a field in a CSV, Python's own reader takes four times as many."""
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


def scan_manifest(place: str) -> Manifest:
    """Read through a manifest once, in constant memory.

    Raises:
        DataError: it cannot be read, has no column of inputs, an empty one, or no rows.
    """
    place = plain(place)
    is_folder = not is_url(place) and Path(place).is_dir()
    base = os.path.abspath(place) if is_folder else parent(place)
    count = _Count()
    for _ in count.of(read_inputs(place)):
        pass
    if count.inputs == 0:
        raise DataError(f"{place}: lists no recordings (WAV, FLAC, Ogg, MP3)")
    return Manifest(place, base, count.inputs, count.digest)


def read_inputs(place: str) -> Iterator[str]:
    """Every input in its order, as the manifest writes it. Raises as `scan_manifest`."""
    try:
        if not is_url(place) and Path(place).is_dir():
            yield from _of_folder(Path(place))
            return
        if place.lower().endswith(EXTENSIONS):
            raise DataError(f"{place}: is a recording; list it in a CSV, or leave out --out")
        if is_url(place) and place.endswith("/"):
            raise DataError(f"{place}: a folder behind a URL; list its recordings in a CSV or Parquet file")
        with local_copy(place) if is_url(place) else open(place, "rb") as file:
            name = place.partition("?")[0] if place.startswith(WEB) else place
            if name.lower().endswith(PARQUET_EXTENSIONS):
                yield from _of_parquet(place, file)
            else:
                yield from _of_text(place, file)
    except FileNotFoundError:
        raise DataError(f"{place}: no such file; give a CSV or Parquet file of recordings, or a folder") from None
    except RefusedError as error:
        raise DataError(str(error)) from None
    except (OSError, pyarrow.ArrowException, UnicodeDecodeError) as error:  # the last of a column's name
        raise DataError(
            f"{place}: cannot be read ({reason(error)}); give a CSV or Parquet file of recordings"
        ) from None


def write_inputs(manifest: Manifest, path: Path, shard_size: int) -> None:
    """Write inputs as Parquet, `shard_size` of them in each row group.

    Raises:
        DataError: they are not those of the survey.
        OutputError: there is no room.
    """
    schema = pyarrow.schema([pyarrow.field(INPUT, pyarrow.string(), nullable=False)])
    count = _Count()
    listed = count.of(read_inputs(manifest.place))
    try:
        with quiet(), parquet.ParquetWriter(path, schema) as writer:  # the survey has said what is passed over
            while group := list(itertools.islice(listed, shard_size)):
                writer.write_table(pyarrow.table([group], schema), row_group_size=shard_size)
    except OSError as error:  # of the manifest's own `read_inputs` speaks
        raise OutputError(f"{path.parent}: cannot be written ({reason(error)}); choose another place") from None
    if (count.inputs, count.digest) != (manifest.inputs, manifest.digest):
        raise DataError(f"{manifest.place}: changed while it was read; run the same command again")


class _Count:
    """Counts inputs as they go by, and digests them."""

    def __init__(self) -> None:
        self.inputs, self._hash = 0, hashlib.sha256()

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()

    def of(self, listed: Iterable[str]) -> Iterator[str]:
        for text in listed:
            data = text.encode()
            self._hash.update(len(data).to_bytes(4, "little") + data)
            self.inputs += 1
            yield text


def open_manifest(file: BinaryIO, coded: Sequence[str] = ()) -> parquet.ParquetFile:
    """A Parquet file that the calling thread reads by itself: Arrow's pools of threads are for large tables.

    Columns of `coded` come as places in a list of different texts, as Parquet stores them.
    """
    return parquet.ParquetFile(file, pre_buffer=False, read_dictionary=list(coded))


def _of_folder(folder: Path) -> Iterator[str]:
    for file in find_recordings(folder):
        name = file.relative_to(folder).as_posix()
        if name.encode(errors="replace").decode() != name:
            raise DataError(f"{os.fsencode(file)!r}: its name is not UTF-8, and cannot stand in a table; rename it")
        yield name


def _of_parquet(place: str, file: BinaryIO) -> Iterator[str]:
    table = open_manifest(file)
    names = table.schema_arrow.names
    column = names[_column(place, names)]
    kind = table.schema_arrow.field(column).type
    values = kind.value_type if pyarrow.types.is_dictionary(kind) else kind
    if not (pyarrow.types.is_string(values) or pyarrow.types.is_large_string(values)):
        raise DataError(f"{place}: its column {column!r} holds {kind}, not text")
    row = 0
    # a text that is stored once may stand in a million rows: it is held once
    table = open_manifest(file, [column])
    for batch in table.iter_batches(BATCH, columns=[column], use_threads=False):
        batch.validate(full=True)  # places within the texts, and these UTF-8: Arrow's reader looks at neither
        texts = batch.column(0).dictionary
        for index in batch.column(0).indices.to_pylist():
            row += 1
            text = "" if index is None else texts[index].as_py() or ""
            if not text.strip() or len(text) > MAX_PATH_CHARACTERS:
                what = "no recording" if not text.strip() else f"a recording in over {MAX_PATH_CHARACTERS:,} characters"
                raise DataError(f"{place}, row {row}: names {what}; delete the row")
            yield text.strip()


def _of_text(place: str, file: BinaryIO) -> Iterator[str]:
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    try:
        header = text.readline()
        delimiter = max(DELIMITERS, key=header.count)
        names = next(csv.reader([header], delimiter=delimiter, strict=True), [])
        index = _column(place, names)
        rows = csv.reader(text, delimiter=delimiter, strict=True)
        for fields in rows:
            if not fields:
                continue
            where = f"{place}, line {rows.line_num + 1}"
            if len(fields) > len(names):
                raise DataError(
                    f"{where}: has {len(fields)} fields for {len(names)} columns; quote what holds a delimiter"
                )
            if len(fields) <= index or not fields[index].strip():
                raise DataError(f"{where}: names no recording; delete the line")
            yield fields[index].strip()
    except UnicodeDecodeError:
        raise DataError(f"{place}: not a UTF-8 text table; save it as CSV in UTF-8") from None
    except csv.Error as error:
        raise DataError(f"{place}: not a table that can be read ({error}); is a quote missing?") from None
    finally:
        text.detach()


def _column(place: str, names: list[str]) -> int:
    """The place of the column of inputs."""
    known = [name.strip().lower() for name in names]
    found = next((name for name in COLUMNS if name in known), None)
    if found is None:
        listed = ", ".join(names[:8]).strip() or "none"
        raise DataError(f"{place}: its columns are {listed}; {HELP}")
    if known.count(found) > 1:
        raise DataError(f"{place}: has the column {found!r} twice; rename one")
    return known.index(found)
