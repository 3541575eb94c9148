"""Broken and odd recordings: each is read or gives its one-line error, and no call hangs."""

import contextlib
import itertools
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
import soundfile

from helpers.odd_cases import cases, long_cases, no_right
from helpers.odd_recordings import RATE, Case, altered, cuts, noise, wav
from scenelet.audio import io as recordings
from scenelet.audio.chunks import MAX_CHUNKS
from scenelet.audio.pcm import Sound
from scenelet.data.load import load_table
from scenelet.errors import AudioError, TruncatedAudioError
from scenelet.utils.files import walk_files

CASES = list(cases())


@pytest.fixture
def unprivileged() -> Iterator[None]:
    """Drop the rights of root during a test, because root may read everything."""
    if os.geteuid() == 0:
        os.seteuid(65534)
        yield
        os.seteuid(0)
    else:
        yield


def error_of(path: Path) -> str:
    """Read a recording; return the error message, or an empty text if there is no error."""
    try:
        assert sum(block.shape[1] for block, _ in recordings.blocks(path)) > 0
    except AudioError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("case", CASES, ids=[f"{case.kind}-{number}" for number, case in enumerate(CASES)])
def test_blocks_odd_recording_is_read_or_gives_its_error(tmp_path: Path, case: Case) -> None:
    path = tmp_path / case.name
    case.make(path)
    error = error_of(path)
    assert (error == "") == (case.says == "")
    assert case.says in error
    if error:
        assert error.startswith(str(path).replace("\n", "\\n"))
        assert error.isprintable()


def test_cuts_called_twice_gives_the_same_bytes() -> None:
    first, second = (list(itertools.islice(cuts(), 0, None, 97)) for _ in range(2))
    assert first == second
    assert len({name for name, _ in first}) == len(first)


@pytest.mark.parametrize(("variants", "step"), [(cuts, 23), (altered, 101)])
def test_blocks_truncated_or_altered_file_gives_one_error(
    tmp_path: Path, variants: Callable[[], Iterator[tuple[str, bytes]]], step: int
) -> None:
    """Each fault raises an error of scenelet, and no truncated WAV, FLAC or Ogg is read as a complete file."""
    for name, data in itertools.islice(variants(), 0, None, step):
        path = tmp_path / Path(name).with_stem("variant").name
        path.write_bytes(data)
        error = error_of(path)
        assert error == "" or (error.startswith(str(path)) and error.isprintable()), name
        assert error or variants is altered or name.endswith(".mp3"), f"{name} was read as if it were complete"


def test_blocks_endless_chunks_end_after_few_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "zeros.wav"
    next(case for case in long_cases() if "chunks" in case.name).make(path)
    calls, open_audio = [], recordings.open_audio

    def counting(recording: recordings.AudioSource):  # type: ignore[no-untyped-def]
        class Counted:
            def __init__(self, file: object) -> None:
                self.file = file

            def __getattr__(self, name: str) -> object:
                calls.append(name)
                assert len(calls) < 3 * MAX_CHUNKS, "chunk after chunk"
                return getattr(self.file, name)

        with open_audio(recording) as file:
            yield Counted(file)

    monkeypatch.setattr(recordings, "open_audio", contextlib.contextmanager(counting))
    assert "not a recording that can be read" in error_of(path)


class TestChangeDuringReading:
    """A file that another process changes while it is read."""

    @pytest.fixture(params=["PCM_16", "PCM_24"])
    def path(self, request: pytest.FixtureRequest, tmp_path: Path) -> Path:
        soundfile.write(tmp_path / "a.wav", noise(5000), RATE, subtype=request.param)
        return tmp_path / "a.wav"

    def test_blocks_growing_file_ends_at_the_first_length(self, path: Path) -> None:
        blocks = recordings.blocks(path, block_frames=1000)
        first = next(blocks)[0]
        with path.open("ab") as file:
            file.write(bytes(999))
        assert first.shape[1] + sum(block.shape[1] for block, _ in blocks) == 5000

    @pytest.mark.parametrize("size", [0, 1000, 5000])
    def test_blocks_shortened_file_is_an_error(self, path: Path, size: int) -> None:
        blocks = recordings.blocks(path, block_frames=1000)
        next(blocks)
        next(blocks)
        os.truncate(path, size)
        with pytest.raises(TruncatedAudioError, match=r"a.wav: ends after 0\.\d s of 0.6 s"):
            list(blocks)

    @pytest.mark.skipif(os.name != "posix", reason="an open file cannot be removed")
    def test_read_file_removed_after_opening_is_still_read(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        open_pcm = recordings.open_pcm

        def removing(file: BinaryIO) -> Sound | None:
            path.unlink()
            return open_pcm(file)

        monkeypatch.setattr(recordings, "open_pcm", removing)
        assert recordings.read(path)[0].shape == (1, 5000)

    @pytest.mark.skipif(os.name != "posix", reason="an open file cannot be removed")
    def test_blocks_replaced_file_is_read_to_the_end_of_the_old(self, path: Path) -> None:
        expected = recordings.read(path)[0]
        blocks = recordings.blocks(path, block_frames=1000)
        parts = [next(blocks)[0]]
        path.unlink()
        parts.append(next(blocks)[0])
        path.write_bytes(wav(24, 1, frames=9000))
        parts += [block for block, _ in blocks]
        assert np.array_equal(np.concatenate(parts, axis=1), expected)


@pytest.mark.skipif(os.name != "posix", reason="Windows has other file permissions")
@pytest.mark.usefixtures("unprivileged")
def test_blocks_and_walk_files_without_permission_are_errors() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.wav"
        no_right(path)
        assert "cannot be read (Permission denied)" in error_of(path)
        (path.parent / "closed").mkdir(mode=0)
        skipped: list[str] = []
        assert walk_files(path.parent, on_skip=lambda path, why: skipped.append(f"{path.name}: {why}")) == [path]
        assert skipped == ["closed: cannot be read (Permission denied)"]


class TestFolders:
    """Folders with links and special files."""

    def test_find_recordings_special_files_are_skipped_and_named(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for case in CASES:
            if case.kind == "what is no file":
                case.make(tmp_path / case.name)
        (tmp_path / "folder.wav").mkdir()
        (tmp_path / "folder.wav" / "inner.wav").write_bytes(wav())
        (tmp_path / "back").symlink_to(tmp_path)
        assert recordings.find_recordings(tmp_path) == [tmp_path / "folder.wav" / "inner.wav"]
        messages = capsys.readouterr().err.splitlines()
        reasons = {line.removeprefix(f"{tmp_path}/").removesuffix(", skipped") for line in messages}
        assert reasons == {
            "back: a link to a folder that is searched already",
            "circle.wav: a link that leads to no file",
            "dangling.wav: a link that leads to no file",
            "device.wav: a link that leads to no file",
            "pipe.wav: not a file",
            "socket.wav: not a file",
        }

    def test_load_table_circular_link_between_classes_is_skipped(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for name in ("data/rain/a.wav", "data/sea/b.wav", "elsewhere/c.wav"):
            (tmp_path / name).parent.mkdir(parents=True)
            (tmp_path / name).write_bytes(wav())
        (tmp_path / "data" / "rain" / "again").symlink_to(tmp_path / "data")
        (tmp_path / "data" / "wind").symlink_to(tmp_path / "elsewhere")  # a class folder may be a link
        table = load_table(tmp_path / "data")
        assert [clip.name for clip in table.clips] == ["rain/a.wav", "sea/b.wav", "wind/c.wav"]
        assert "rain/again: a link to a folder that is searched already, skipped" in capsys.readouterr().err
