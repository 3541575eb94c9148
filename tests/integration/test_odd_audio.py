"""Broken and odd recordings: each is read or has its sentence, and nothing waits without end."""

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
def as_nobody() -> Iterator[None]:
    """Root may read everything; this makes it somebody else for a while."""
    if os.geteuid() == 0:
        os.seteuid(65534)
        yield
        os.seteuid(0)
    else:
        yield


def outcome(path: Path) -> str:
    """What is said of it; nothing: it was read."""
    try:
        assert sum(block.shape[1] for block, _ in recordings.blocks(path)) > 0
    except AudioError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("case", CASES, ids=[f"{case.kind}-{number}" for number, case in enumerate(CASES)])
def test_each_is_read_or_has_its_sentence(tmp_path: Path, case: Case) -> None:
    path = tmp_path / case.name
    case.make(path)
    said = outcome(path)
    assert (said == "") == (case.says == "")
    assert case.says in said
    if said:
        assert said.startswith(str(path).replace("\n", "\\n"))
        assert said.isprintable()


def test_the_same_bytes_each_time() -> None:
    twice = [list(itertools.islice(cuts(), 0, None, 97)) for _ in range(2)]
    assert twice[0] == twice[1]
    assert len({name for name, _ in twice[0]}) == len(twice[0])


@pytest.mark.parametrize(("variants", "step"), [(cuts, 23), (altered, 101)])
def test_cut_and_altered_headers(
    tmp_path: Path, variants: Callable[[], Iterator[tuple[str, bytes]]], step: int
) -> None:
    """Whatever is wrong, it is one of our errors; and no cut WAV, FLAC or Ogg is taken for a whole one."""
    for name, data in itertools.islice(variants(), 0, None, step):
        path = tmp_path / Path(name).with_stem("one").name
        path.write_bytes(data)
        said = outcome(path)
        assert said == "" or (said.startswith(str(path)) and said.isprintable()), name
        assert said or variants is altered or name.endswith(".mp3"), f"{name} was read as if it were whole"


def test_chunks_without_end_are_not_gone_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "zeros.wav"
    next(case for case in long_cases() if "chunks" in case.name).make(path)
    read, real = [], recordings.open_audio

    def counting(recording: recordings.AudioSource):  # type: ignore[no-untyped-def]
        class Counted:
            def __init__(self, file: object) -> None:
                self.file = file

            def __getattr__(self, name: str) -> object:
                read.append(name)
                assert len(read) < 10_000, "chunk after chunk"
                return getattr(self.file, name)

        with real(recording) as file:
            yield Counted(file)

    monkeypatch.setattr(recordings, "open_audio", recordings.contextlib.contextmanager(counting))
    assert "not a recording that can be read" in outcome(path)


class TestMeanwhile:
    """What happens to a file while it is read."""

    @pytest.fixture(params=["PCM_16", "PCM_24"])
    def path(self, request: pytest.FixtureRequest, tmp_path: Path) -> Path:
        soundfile.write(tmp_path / "a.wav", noise(5000), RATE, subtype=request.param)
        return tmp_path / "a.wav"

    def test_it_grows(self, path: Path) -> None:
        blocks = recordings.blocks(path, block_frames=1000)
        first = next(blocks)[0]
        with path.open("ab") as file:
            file.write(bytes(999))
        assert first.shape[1] + sum(block.shape[1] for block, _ in blocks) == 5000

    @pytest.mark.parametrize("left", [0, 1000, 5000])
    def test_it_becomes_shorter(self, path: Path, left: int) -> None:
        blocks = recordings.blocks(path, block_frames=1000)
        next(blocks)
        next(blocks)
        os.truncate(path, left)
        with pytest.raises(TruncatedAudioError, match=r"a.wav: ends after 0\.\d s of 0.6 s"):
            list(blocks)

    @pytest.mark.skipif(os.name != "posix", reason="an open file cannot be removed")
    def test_it_goes_between_a_look_at_it_and_reading(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(recordings, "find_data_chunk", lambda file: path.unlink())
        assert recordings.read(path)[0].shape == (1, 5000)

    @pytest.mark.skipif(os.name != "posix", reason="an open file cannot be removed")
    def test_it_goes_or_another_comes_in_its_place(self, path: Path) -> None:
        whole = recordings.read(path)[0]
        blocks = recordings.blocks(path, block_frames=1000)
        parts = [next(blocks)[0]]
        path.unlink()
        parts.append(next(blocks)[0])
        path.write_bytes(wav(24, 1, frames=9000))
        parts += [block for block, _ in blocks]
        assert np.array_equal(np.concatenate(parts, axis=1), whole)


@pytest.mark.skipif(os.name != "posix", reason="rights are others there")
@pytest.mark.usefixtures("as_nobody")
def test_no_right_to_read() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.wav"
        no_right(path)
        assert "cannot be read (Permission denied)" in outcome(path)
        (path.parent / "closed").mkdir(mode=0)
        said: list[str] = []
        assert walk_files(path.parent, on_skip=lambda place, why: said.append(f"{place.name}: {why}")) == [path]
        assert said == ["closed: cannot be read (Permission denied)"]


class TestFolders:
    def test_what_is_no_file_is_passed_over_and_said(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        for case in CASES:
            if case.kind == "what is no file":
                case.make(tmp_path / case.name)
        (tmp_path / "folder.wav").mkdir()
        (tmp_path / "folder.wav" / "inner.wav").write_bytes(wav())
        (tmp_path / "back").symlink_to(tmp_path)
        assert recordings.find_recordings(tmp_path) == [tmp_path / "folder.wav" / "inner.wav"]
        said = capsys.readouterr().err.splitlines()
        reasons = {line.removeprefix(f"{tmp_path}/").removesuffix(", skipped") for line in said}
        assert reasons == {
            "back: a link to a folder that is searched already",
            "circle.wav: a link that leads to no file",
            "dangling.wav: a link that leads to no file",
            "device.wav: a link that leads to no file",
            "pipe.wav: not a file",
            "socket.wav: not a file",
        }

    def test_links_in_a_circle_between_classes(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        for name in ("data/rain/a.wav", "data/sea/b.wav", "elsewhere/c.wav"):
            (tmp_path / name).parent.mkdir(parents=True)
            (tmp_path / name).write_bytes(wav())
        (tmp_path / "data" / "rain" / "again").symlink_to(tmp_path / "data")
        (tmp_path / "data" / "wind").symlink_to(tmp_path / "elsewhere")  # a class may lie elsewhere
        table = load_table(tmp_path / "data")
        assert [clip.name for clip in table.clips] == ["rain/a.wav", "sea/b.wav", "wind/c.wav"]
        assert "rain/again: a link to a folder that is searched already, skipped" in capsys.readouterr().err
