"""Broken and odd recordings: each is read or refused with one line, and no call waits forever."""

import itertools
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from helpers.odd_cases import cases, long_cases, no_right
from helpers.odd_recordings import RATE, Case, altered, cuts, noise, wav
from scenelet.audio import io as recordings
from scenelet.data.load import load_table
from scenelet.errors import AudioError, TruncatedAudioError
from scenelet.utils.files import walk_files

CASES = list(cases())


@pytest.fixture
def as_other_user() -> Iterator[None]:
    """Give up the rights of root, who may read everything, for one test."""
    if os.geteuid() == 0:
        os.seteuid(65534)
        yield
        os.seteuid(0)
    else:
        yield


def outcome(path: Path) -> str:
    """Return the error for a recording, or "" if it was read."""
    try:
        assert sum(block.shape[1] for block, _ in recordings.blocks(path)) > 0
    except AudioError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("case", CASES, ids=[f"{case.kind}-{number}" for number, case in enumerate(CASES)])
def test_blocks_reads_each_case_or_names_its_fault(tmp_path: Path, case: Case) -> None:
    path = tmp_path / case.name
    case.make(path)
    error = outcome(path)
    assert (error == "") == (case.says == "")
    assert case.says in error
    if error:
        assert error.startswith(str(path).replace("\n", "\\n"))
        assert error.isprintable()


def test_odd_recordings_are_the_same_each_time() -> None:
    twice = [list(itertools.islice(cuts(), 0, None, 97)) for _ in range(2)]
    assert twice[0] == twice[1]
    assert len({name for name, _ in twice[0]}) == len(twice[0])


@pytest.mark.parametrize(("variants", "step"), [(cuts, 23), (altered, 101)])
def test_blocks_never_takes_a_cut_recording_as_complete(
    tmp_path: Path, variants: Callable[[], Iterator[tuple[str, bytes]]], step: int
) -> None:
    """Every fault raises an `AudioError`, and no truncated WAV, FLAC or Ogg counts as complete."""
    for name, data in itertools.islice(variants(), 0, None, step):
        path = tmp_path / Path(name).with_stem("one").name
        path.write_bytes(data)
        error = outcome(path)
        assert error == "" or (error.startswith(str(path)) and error.isprintable()), name
        assert error or variants is altered or name.endswith(".mp3"), f"{name} was read as a complete recording"


def test_blocks_stops_at_endless_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "zeros.wav"
    next(case for case in long_cases() if "chunks" in case.name).make(path)
    read, real = [], recordings.open_audio

    def count_reads(recording: recordings.AudioSource):  # type: ignore[no-untyped-def]
        class CountedFile:
            def __init__(self, file: object) -> None:
                self.file = file

            def __getattr__(self, name: str) -> object:
                read.append(name)
                assert len(read) < 10_000, "too many chunks are read"
                return getattr(self.file, name)

        with real(recording) as file:
            yield CountedFile(file)

    monkeypatch.setattr(recordings, "open_audio", recordings.contextlib.contextmanager(count_reads))
    assert "not a recording that can be read" in outcome(path)


class TestChangingFile:
    """A file that changes while it is read."""

    @pytest.fixture(params=["PCM_16", "PCM_24"])
    def path(self, request: pytest.FixtureRequest, tmp_path: Path) -> Path:
        soundfile.write(tmp_path / "a.wav", noise(5000), RATE, subtype=request.param)
        return tmp_path / "a.wav"

    def test_blocks_growing_file_ends_at_its_first_length(self, path: Path) -> None:
        blocks = recordings.blocks(path, block_frames=1000)
        first = next(blocks)[0]
        with path.open("ab") as file:
            file.write(bytes(999))
        assert first.shape[1] + sum(block.shape[1] for block, _ in blocks) == 5000

    @pytest.mark.parametrize("left", [0, 1000, 5000])
    def test_blocks_shrinking_file_is_truncated(self, path: Path, left: int) -> None:
        blocks = recordings.blocks(path, block_frames=1000)
        next(blocks)
        next(blocks)
        os.truncate(path, left)
        with pytest.raises(TruncatedAudioError, match=r"a.wav: ends after 0\.\d s of 0.6 s"):
            list(blocks)

    @pytest.mark.skipif(os.name != "posix", reason="an open file cannot be removed")
    def test_read_file_removed_after_opening_is_complete(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(recordings, "find_data_chunk", lambda file: path.unlink())
        assert recordings.read(path)[0].shape == (1, 5000)

    @pytest.mark.skipif(os.name != "posix", reason="an open file cannot be removed")
    def test_blocks_replaced_file_is_read_to_its_end(self, path: Path) -> None:
        whole = recordings.read(path)[0]
        blocks = recordings.blocks(path, block_frames=1000)
        parts = [next(blocks)[0]]
        path.unlink()
        parts.append(next(blocks)[0])
        path.write_bytes(wav(24, 1, frames=9000))
        parts += [block for block, _ in blocks]
        assert np.array_equal(np.concatenate(parts, axis=1), whole)


@pytest.mark.skipif(os.name != "posix", reason="permissions differ there")
@pytest.mark.usefixtures("as_other_user")
def test_blocks_without_permission_is_an_error() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.wav"
        no_right(path)
        assert "cannot be read (Permission denied)" in outcome(path)
        (path.parent / "closed").mkdir(mode=0)
        skipped: list[str] = []
        found = walk_files(path.parent, on_skip=lambda skip, why: skipped.append(f"{skip.name}: {why}"))
        assert found == [path]
        assert skipped == ["closed: cannot be read (Permission denied)"]


class TestFolders:
    def test_find_recordings_skips_and_names_what_is_no_file(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for case in CASES:
            if case.kind == "what is no file":
                case.make(tmp_path / case.name)
        (tmp_path / "folder.wav").mkdir()
        (tmp_path / "folder.wav" / "inner.wav").write_bytes(wav())
        (tmp_path / "back").symlink_to(tmp_path)
        assert recordings.find_recordings(tmp_path) == [tmp_path / "folder.wav" / "inner.wav"]
        lines = capsys.readouterr().err.splitlines()
        reasons = {line.removeprefix(f"{tmp_path}/").removesuffix(", skipped") for line in lines}
        assert reasons == {
            "back: a link to a folder that is searched already",
            "circle.wav: a link that leads to no file",
            "dangling.wav: a link that leads to no file",
            "device.wav: a link that leads to no file",
            "pipe.wav: not a file",
            "socket.wav: not a file",
        }

    def test_load_table_follows_each_link_once(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        for name in ("data/rain/a.wav", "data/sea/b.wav", "elsewhere/c.wav"):
            (tmp_path / name).parent.mkdir(parents=True)
            (tmp_path / name).write_bytes(wav())
        (tmp_path / "data" / "rain" / "again").symlink_to(tmp_path / "data")
        (tmp_path / "data" / "wind").symlink_to(tmp_path / "elsewhere")  # a class folder may be a link
        table = load_table(tmp_path / "data")
        assert [clip.name for clip in table.clips] == ["rain/a.wav", "sea/b.wav", "wind/c.wav"]
        assert "rain/again: a link to a folder that is searched already, skipped" in capsys.readouterr().err
