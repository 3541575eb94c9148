"""Manifests in CSV, Parquet and folders, and the errors of invalid ones."""

import codecs
import gzip
from collections.abc import Iterator
from pathlib import Path

import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from helpers.archives import Archive
from helpers.stumbling_server import StumblingServer, serve_folder
from scenelet.bulk.manifest import read_inputs, scan_manifest, write_inputs
from scenelet.errors import DataError

NAMES = ["a.wav", "b/c d.flac", "s3://bucket/e.ogg", 'with ", quotes.wav', "ä.wav"]


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("column", ["path", "URL", " filename", "file", "File Name", "slice_file_name"])
def test_read_inputs_text_columns_and_delimiters(tmp_path: Path, delimiter: str, column: str) -> None:
    rows = [f"x{delimiter}{quoted(name)}" for name in NAMES]
    text = "\r\n".join([f"other{delimiter}{column}", *rows, "", ""])
    path = tmp_path / "list.csv"
    path.write_bytes(codecs.BOM_UTF8 + text.encode())
    assert list(read_inputs(str(path))) == NAMES


def test_read_inputs_ignores_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(codecs.BOM_UTF8 + b"path\na.wav\n")
    assert list(read_inputs(str(path))) == ["a.wav"]


def test_read_inputs_forms_of_excel_and_gzip(tmp_path: Path) -> None:
    """Excel names the delimiter in the first line and ends rows with delimiters."""
    text = "sep=;\r\nfile;site\r\na.wav;x;;\r\n;\r\n\r\nb.wav;y\r\n".encode("utf-8-sig")
    (tmp_path / "list.csv").write_bytes(text)
    (tmp_path / "list.csv.gz").write_bytes(gzip.compress(text))
    for name in ("list.csv", "list.csv.gz"):
        assert list(read_inputs(str(tmp_path / name))) == ["a.wav", "b.wav"]
    (tmp_path / "list.csv.gz").write_bytes(gzip.compress(text)[:-9])
    with pytest.raises(DataError, match="cannot be read"):
        list(read_inputs(str(tmp_path / "list.csv.gz")))


def test_read_inputs_uses_first_known_column(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("file,path\nwrong,right\n")
    assert list(read_inputs(str(path))) == ["right"]


@pytest.mark.parametrize("kind", [pyarrow.string(), pyarrow.large_string()])
def test_read_inputs_parquet(tmp_path: Path, kind: pyarrow.DataType) -> None:
    path = tmp_path / "list.parquet"
    parquet.write_table(pyarrow.table({"n": [1] * 5, "url": pyarrow.array(NAMES, kind)}), path)
    assert list(read_inputs(str(path))) == NAMES


def test_read_inputs_repeated_text_is_in_memory_once(tmp_path: Path) -> None:
    path = tmp_path / "list.parquet"
    column = pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * 20_000, pyarrow.int32()), ["x" * 30_000])
    parquet.write_table(pyarrow.table({"path": column}), path)  # a few hundred bytes on disk
    before = pyarrow.total_allocated_bytes()
    count = 0
    for _ in read_inputs(str(path)):
        assert pyarrow.total_allocated_bytes() - before < 1 << 23
        count += 1
    assert count == 20_000
    parquet.write_table(pyarrow.table({"path": ["x" * 40_000]}), path)
    with pytest.raises(DataError, match="row 1: the recording's path has over 32,768 characters"):
        scan_manifest(str(path))


def test_scan_manifest_parquet_not_utf8_raises(tmp_path: Path) -> None:
    path = tmp_path / "list.parquet"
    column = pyarrow.array([b"\xff\xfe.wav"], pyarrow.binary()).view(pyarrow.string())
    parquet.write_table(pyarrow.table({"path": column}), path)
    with pytest.raises(DataError, match="cannot be read"):
        scan_manifest(str(path))


def test_read_inputs_dictionary_column_is_stripped(tmp_path: Path) -> None:
    path = tmp_path / "list.PARQUET"
    column = pyarrow.array([" a.wav", "b.wav", "b.wav"]).dictionary_encode()
    parquet.write_table(pyarrow.table({"Path ": column}), path)
    assert list(read_inputs(str(path))) == ["a.wav", "b.wav", "b.wav"]


def test_write_inputs_changed_manifest_raises(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("path\na.wav\n")
    found = scan_manifest(str(path))
    path.write_text("path\nb.wav\n")
    with pytest.raises(DataError, match="changed while it was read"):
        write_inputs(found, tmp_path / "inputs.parquet", 2)


def test_scan_manifest_folder_lists_visible_recordings(tmp_path: Path) -> None:
    for name in ("b.wav", "a/c.FLAC", ".hidden.wav", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = scan_manifest(str(tmp_path))
    assert list(read_inputs(str(tmp_path))) == ["a/c.FLAC", "b.wav"]
    assert (found.inputs, found.base) == (2, str(tmp_path))


def test_scan_manifest_digest_depends_on_order(tmp_path: Path) -> None:
    def digest(*names: str) -> str:
        path = tmp_path / "list.csv"
        path.write_text("\n".join(["path", *names]) + "\n")
        found = scan_manifest(str(path))
        assert (found.inputs, found.base) == (len(names), str(tmp_path))
        return found.digest

    assert digest("a", "b") == digest("a", "b")
    assert len({digest("a", "b"), digest("b", "a"), digest("ab"), digest("a", "b", "b")}) == 4


@given(
    st.lists(st.text(st.characters(codec="utf-8"), min_size=1).filter(str.strip), min_size=1, max_size=9),
    st.integers(1, 4),
)
def test_write_inputs_one_row_group_per_shard(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], shard_size: int
) -> None:
    path = tmp_path_factory.mktemp("inputs") / "inputs.parquet"
    manifest = path.with_name("list.parquet")
    parquet.write_table(pyarrow.table({"path": names}), manifest)
    write_inputs(scan_manifest(str(manifest)), path, shard_size)
    with parquet.ParquetFile(path) as file:
        groups = [file.read_row_group(k).column(0).to_pylist() for k in range(file.num_row_groups)]
    names = [name.strip() for name in names]
    assert groups == [names[start : start + shard_size] for start in range(0, len(names), shard_size)]


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "its columns are none"),
        (b"a,b\n1,2\n", "its columns are a, b; name the column of recordings path, url"),
        (b"path\n", "lists no recordings"),
        (b"path,x\na.wav,1\n,2\n", "line 3: names no recording"),
        (b"x,path\n1\n", "line 2: names no recording"),
        (b"path\n\xff\xfe\n", "not a UTF-8 text table"),
        (b"path\na, b.wav\n", "line 2: has 2 fields for 1 columns"),
        (b'path\na.wav\n"b.wav\nc.wav\n', "check for a missing quote"),
        (b"path,Path\na,b\n", "has the column 'path' twice"),
        (b"sep=;\npath;x\na.wav;1\n;2\n", "line 4: names no recording"),
    ],
)
def test_scan_manifest_invalid_text_raises(tmp_path: Path, content: bytes, word: str) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=word) as caught:
        scan_manifest(str(path))
    assert str(path) in str(caught.value)


def test_scan_manifest_invalid_parquet_raises(tmp_path: Path) -> None:
    path = tmp_path / "list.parquet"
    for table, word in (
        (pyarrow.table({"path": [1, 2]}), "holds int64, not text"),
        (pyarrow.table({"path": ["a", None]}), "row 2: names no recording"),
        (pyarrow.table({"name": ["a"]}), "its columns are name"),
    ):
        parquet.write_table(table, path)
        with pytest.raises(DataError, match=word):
            scan_manifest(str(path))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"list\.parquet: cannot be read"):
        scan_manifest(str(path))
    with pytest.raises(DataError, match="no such file"):
        scan_manifest(str(tmp_path / "none.csv"))
    (tmp_path / "bare").mkdir()
    with pytest.raises(DataError, match="lists no recordings"):
        scan_manifest(str(tmp_path / "bare"))


@pytest.fixture(scope="module")
def server(archive: Archive) -> Iterator[StumblingServer]:
    with serve_folder(archive.manifest.parent) as running:
        yield running


def test_scan_manifest_behind_http(server: StumblingServer, archive: Archive) -> None:
    manifest = scan_manifest(f"{server.url}/all.csv?version=a/b")
    assert (manifest.base, manifest.inputs) == (server.url, len(archive.names))
    with pytest.raises(
        DataError, match=r"secret\.csv: access is denied \(the server answered 403 Forbidden\); check the network"
    ):
        scan_manifest(f"{server.url}/secret.csv")
