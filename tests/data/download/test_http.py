"""Downloads from servers that interrupt, lie and fail: the bytes are exact, or there is an error and no file."""

import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.loopback_server import Answer, Loopback, serve
from scenelet.data.download import session
from scenelet.data.download.http import (
    MAX_INTERRUPTIONS,
    InterruptedTransferError,
    RemoteFile,
    WrongBodyError,
    check_size_and_md5,
    download,
    write_body,
)
from scenelet.data.download.session import MAX_RETRIES, Web
from scenelet.errors import DataError, OutputError

BODY = np.random.default_rng(3).bytes(50_000)


@pytest.fixture
def server(server: Loopback) -> Loopback:
    server.files["a.zip"] = BODY
    return server


def remote_file(server: Loopback, folder: Path, size: int | None = len(BODY), max_bytes: int = 10**6) -> RemoteFile:
    find_fault = check_size_and_md5(len(BODY), hashlib.md5(BODY).hexdigest())
    return RemoteFile(f"{server.url}/a.zip", folder / "a.zip", size, find_fault, max_bytes)


def get(remote: RemoteFile) -> list[int]:
    """Download; gives the progress that was reported."""
    shown: list[int] = []
    with Web() as web:
        download(web, remote, shown.append)
    return shown


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("size", [len(BODY), None])
def test_download_writes_the_exact_bytes(server: Loopback, tmp_path: Path, size: int | None) -> None:
    shown = get(remote_file(server, tmp_path / "new" / "folder", size))
    assert (tmp_path / "new/folder/a.zip").read_bytes() == BODY
    assert names(tmp_path / "new/folder") == ["a.zip"]
    assert (shown[0], shown[-1]) == (0, len(BODY))
    assert server.log == [("a.zip", None)]


def test_download_existing_file_transfers_nothing(server: Loopback, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(BODY)
    assert remote_file(server, tmp_path).bytes_on_disk == len(BODY)
    get(remote_file(server, tmp_path))
    assert server.log == []
    (tmp_path / "a.zip").write_bytes(BODY[:-1])
    get(remote_file(server, tmp_path))
    assert (tmp_path / "a.zip").read_bytes() == BODY


def test_download_interrupted_resumes_where_it_stopped(server: Loopback, tmp_path: Path) -> None:
    # there are more interruptions than waits, but every attempt gets further
    server.answers["a.zip"] = [Answer(cut=7000) for _ in range(6)]
    get(remote_file(server, tmp_path))
    assert (tmp_path / "a.zip").read_bytes() == BODY
    assert server.log == [("a.zip", f"bytes={n * 7000}-" if n else None) for n in range(7)]


def test_download_without_ranges_starts_over(server: Loopback, tmp_path: Path) -> None:
    server.ranges = False
    server.answers["a.zip"] = [Answer(cut=7000), Answer(cut=30_000), Answer(cut=10)]
    shown = get(remote_file(server, tmp_path))
    assert (tmp_path / "a.zip").read_bytes() == BODY
    assert max(shown) == len(BODY)
    assert len(server.log) == 4


def test_download_giving_up_keeps_the_partial_file(server: Loopback, tmp_path: Path) -> None:
    server.ranges = False
    server.always["a.zip"] = Answer(cut=7000)
    with pytest.raises(DataError, match=r"a\.zip: .*run the command again, it resumes where it stopped"):
        get(remote_file(server, tmp_path))
    assert len(server.log) == 1 + MAX_INTERRUPTIONS  # only the first attempt made progress
    assert (tmp_path / "a.zip.part").read_bytes() == BODY[:7000]
    assert names(tmp_path) == ["a.zip.part"]


def test_download_only_new_bytes_count_as_progress(server: Loopback, tmp_path: Path) -> None:
    server.ranges = False
    server.answers["a.zip"] = [Answer(cut=cut) for cut in (7000, 5000) * 9]
    with pytest.raises(DataError, match="run the command again"):
        get(remote_file(server, tmp_path))
    assert len(server.log) == 1 + MAX_INTERRUPTIONS


def test_download_resumes_an_earlier_call(server: Loopback, tmp_path: Path) -> None:
    (tmp_path / "a.zip.part").write_bytes(BODY[:12_345])
    remote = remote_file(server, tmp_path)
    assert remote.bytes_on_disk == 12_345
    shown = get(remote)
    assert (tmp_path / "a.zip").read_bytes() == BODY
    assert server.log == [("a.zip", "bytes=12345-")]
    assert shown[0] == 12_345


def test_download_complete_partial_file_needs_no_server(tmp_path: Path, server: Loopback) -> None:
    (tmp_path / "a.zip.part").write_bytes(BODY)
    get(remote_file(server, tmp_path))
    assert (names(tmp_path), server.log) == (["a.zip"], [])


@pytest.mark.parametrize(
    ("part", "asked"),
    [(BODY + b"more", [None]), (b"\0" * 20_000, ["bytes=20000-", None]), (b"\0" * len(BODY), [None])],
)
def test_download_wrong_partial_file_is_discarded(
    server: Loopback, tmp_path: Path, part: bytes, asked: list[str | None]
) -> None:
    (tmp_path / "a.zip.part").write_bytes(part)
    get(remote_file(server, tmp_path))
    assert (tmp_path / "a.zip").read_bytes() == BODY
    assert [range for _, range in server.log] == asked


def test_download_unknown_size_never_resumes(server: Loopback, tmp_path: Path) -> None:
    (tmp_path / "a.zip.part").write_bytes(BODY[:12_345])
    server.answers["a.zip"] = [Answer(cut=7000)]
    remote = remote_file(server, tmp_path, size=None)
    assert remote.bytes_on_disk == 0
    get(remote)
    assert (tmp_path / "a.zip").read_bytes() == BODY
    assert server.log == [("a.zip", None), ("a.zip", None)]


def test_download_other_range_than_requested_starts_over(server: Loopback, tmp_path: Path) -> None:
    (tmp_path / "a.zip.part").write_bytes(BODY[:12_345])
    server.answers["a.zip"] = [Answer(shift=5)]
    get(remote_file(server, tmp_path))
    assert (tmp_path / "a.zip").read_bytes() == BODY
    assert server.log == [("a.zip", "bytes=12345-"), ("a.zip", None)]


def test_download_follows_redirects_when_it_resumes(server: Loopback, tmp_path: Path) -> None:
    server.files["new/a.zip"] = BODY
    server.always["a.zip"] = Answer(location=f"{server.url}/new/a.zip")
    server.answers["new/a.zip"] = [Answer(cut=7000)]
    get(remote_file(server, tmp_path))
    assert (tmp_path / "a.zip").read_bytes() == BODY
    assert server.log[-1] == ("new/a.zip", "bytes=7000-")


def test_download_login_page_keeps_the_partial_file(server: Loopback, tmp_path: Path) -> None:
    (tmp_path / "a.zip.part").write_bytes(BODY[:12_345])
    server.ranges = False
    server.always["a.zip"] = Answer(body=b"<html>Please log in to this network</html>")
    with pytest.raises(DataError, match="the server's file has 42 bytes, not 50,000"):
        get(remote_file(server, tmp_path))
    assert (tmp_path / "a.zip.part").read_bytes() == BODY[:12_345]


def test_download_refused_range_starts_over(server: Loopback, tmp_path: Path) -> None:
    (tmp_path / "a.zip.part").write_bytes(BODY[:12_345])
    server.answers["a.zip"] = [Answer(status=416)]
    get(remote_file(server, tmp_path))
    assert (tmp_path / "a.zip").read_bytes() == BODY


def test_download_wrong_checksum_once_is_tried_again(server: Loopback, tmp_path: Path) -> None:
    server.answers["a.zip"] = [Answer(body=b"x" * len(BODY))]
    get(remote_file(server, tmp_path))
    assert (tmp_path / "a.zip").read_bytes() == BODY
    assert len(server.log) == 2


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(body=b"x" * len(BODY)), "its md5 is"),
        (Answer(body=BODY + b"more"), "50,004 bytes"),
        (Answer(body=BODY[:-1]), "49,999 bytes"),
        (Answer(body=BODY + b"more" * 200_000, length=False), "more than 50,000 bytes"),
    ],
)
def test_download_wrong_twice_is_an_error_and_no_file(
    server: Loopback, tmp_path: Path, answer: Answer, words: str
) -> None:
    server.always["a.zip"] = answer
    shown: list[int] = []
    with Web() as web, pytest.raises(DataError, match=rf"a\.zip: wrong after two downloads.*{words}"):
        download(web, remote_file(server, tmp_path), shown.append)
    assert len(server.log) == 2
    assert names(tmp_path) == []
    assert max(shown) <= len(BODY)


def test_download_never_writes_more_than_the_size(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.always["a.zip"] = Answer(body=BODY + b"more" * 200_000, length=False)
    deleted: list[int] = []
    unlink = Path.unlink

    def record(path: Path, missing_ok: bool = False) -> None:
        deleted.append(path.stat().st_size)
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", record)
    with pytest.raises(DataError):
        get(remote_file(server, tmp_path))
    assert [size <= len(BODY) for size in deleted] == [True, True]


def test_download_unknown_size_is_limited(server: Loopback, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="more than 1,000 bytes"):
        get(remote_file(server, tmp_path, size=None, max_bytes=1000))


@pytest.mark.parametrize("status", [401, 403, 404])
def test_download_client_error_is_not_tried_again(server: Loopback, tmp_path: Path, status: int) -> None:
    server.always["a.zip"] = Answer(status=status)
    (tmp_path / "a.zip.part").write_bytes(BODY[:9])
    with pytest.raises(DataError, match=rf"a\.zip: the server answered {status}"):
        get(remote_file(server, tmp_path))
    assert len(server.log) == 1
    assert names(tmp_path) == ["a.zip.part"]


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_download_busy_server_is_tried_again(server: Loopback, tmp_path: Path, status: int) -> None:
    server.answers["a.zip"] = [Answer(cut=7000), Answer(status=status), Answer(status=status)]
    get(remote_file(server, tmp_path))
    assert (tmp_path / "a.zip").read_bytes() == BODY
    assert [asked for _, asked in server.log] == [None, "bytes=7000-", "bytes=7000-", "bytes=7000-"]


def test_download_server_that_stays_busy_is_an_error(server: Loopback, tmp_path: Path) -> None:
    server.always["a.zip"] = Answer(status=503)
    with pytest.raises(DataError, match=r"503 .*run the command again"):
        get(remote_file(server, tmp_path))
    assert len(server.log) == 1 + MAX_RETRIES


def test_download_waits_longer_after_each_failure(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    monkeypatch.setattr(session, "BACKOFF_FACTOR", 1.0)
    server.answers["a.zip"] = [Answer(status=503), Answer(status=503), Answer(cut=9), Answer(cut=0), Answer(cut=0)]
    get(remote_file(server, tmp_path))
    assert slept == [2.0, 0.0, 1.0, 4.0]


def test_download_no_server_is_an_error(tmp_path: Path) -> None:
    with serve() as gone:
        pass
    with pytest.raises(DataError, match="there is no connection to 127"):
        get(remote_file(gone, tmp_path))


def test_download_path_that_cannot_be_written(server: Loopback, tmp_path: Path) -> None:
    (tmp_path / "a.zip.part").mkdir()
    with pytest.raises(OutputError, match=r"a\.zip: cannot be written"):
        get(remote_file(server, tmp_path))


@pytest.fixture(scope="module")
def shared() -> Iterator[Loopback]:
    with serve() as running:
        yield running


@settings(deadline=None)  # the machine may be busy
@given(
    body=st.binary(min_size=1, max_size=400),
    part=st.integers(0, 400),
    cuts=st.lists(st.integers(0, 400), max_size=MAX_INTERRUPTIONS),
    ranges=st.booleans(),
)
def test_download_any_interruptions_give_the_same_bytes(
    shared: Loopback, body: bytes, part: int, cuts: list[int], ranges: bool
) -> None:
    shared.files, shared.ranges = {"b": body}, ranges
    shared.answers["b"] = [Answer(cut=cut) for cut in cuts]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "b"
        remote = RemoteFile(
            f"{shared.url}/b", path, len(body), check_size_and_md5(len(body), hashlib.md5(body).hexdigest())
        )
        remote.partial.write_bytes(body[:part])
        get(remote)
        assert path.read_bytes() == body
        assert names(path.parent) == ["b"]


def test_write_body_is_bounded(server: Loopback, tmp_path: Path) -> None:
    server.always["a"] = Answer(body=bytes(10**6), length=False)
    with Web() as web, web.open(f"{server.url}/a") as response, pytest.raises(WrongBodyError, match="1,000 bytes"):
        list(write_body(response, tmp_path / "a", "wb", 1000, decode=True))
    assert (tmp_path / "a").stat().st_size <= 1000


def test_write_body_slow_server_is_interrupted(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that runs 100 s between two pieces stands for a server that sends a byte now and then."""
    server.files["a"] = b"sound"
    seconds = iter(range(0, 10**6, 100))
    with Web() as web, web.open(f"{server.url}/a") as response:
        monkeypatch.setattr("time.monotonic", lambda: next(seconds))
        with pytest.raises(InterruptedTransferError, match="less than 1,000 bytes per second"):
            list(write_body(response, tmp_path / "a", "wb", 1000, decode=True))
