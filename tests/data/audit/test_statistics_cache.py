"""Measures that are kept: the same as new ones, read again only when asked, and never in the way."""

import errno
import io
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from scenelet.data.audit import statistics_cache as kept
from scenelet.data.audit.statistics import RecordingStats, recording_stats
from scenelet.data.audit.statistics_cache import all_recording_stats
from scenelet.data.clips import Clip


@pytest.fixture
def clips(tmp_path: Path, rng: np.random.Generator) -> list[Clip]:
    (tmp_path / "data").mkdir()
    for name in ("a.wav", "b.wav", "c.wav"):
        soundfile.write(tmp_path / "data" / name, 0.1 * rng.standard_normal((4000, 2)), 8000)
    (tmp_path / "data" / "bad.wav").write_bytes(b"")
    names = ("a.wav", "b.wav", "bad.wav", "c.wav")
    return [Clip(tmp_path / "data" / name, name, "x", name) for name in names]


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the recordings that are read."""
    names: list[str] = []
    original = kept.recording_stats_or_error

    def count(path: Path) -> object:
        names.append(path.name)
        return original(path)

    monkeypatch.setattr(kept, "recording_stats_or_error", count)
    return names


def _all(clips: list[Clip], tmp_path: Path, again: bool = False) -> list[object]:
    return list(all_recording_stats(clips, tmp_path / "data", tmp_path / "cache", 1, again))


def _same(one: object, other: object) -> bool:
    if not isinstance(one, RecordingStats) or not isinstance(other, RecordingStats):
        return one == other
    return all(np.array_equal(value, getattr(other, key)) for key, value in vars(one).items())


def test_kept_measures_are_the_measured_ones(clips: list[Clip], tmp_path: Path, measured: list[str]) -> None:
    first, second = _all(clips, tmp_path), _all(clips, tmp_path)
    assert measured == ["a.wav", "b.wav", "bad.wav", "c.wav", "bad.wav"]  # what cannot be read is tried again
    assert all(_same(one, other) for one, other in zip(first, second, strict=True))
    assert _same(second[0], recording_stats(clips[0].path))
    assert first[2] == ("empty", second[2][1])  # type: ignore[index]
    _all(clips, tmp_path, again=True)
    assert measured[5:] == ["a.wav", "b.wav", "bad.wav", "c.wav"]


def test_an_altered_file_and_a_cut_line_are_measured_again(
    clips: list[Clip], tmp_path: Path, measured: list[str]
) -> None:
    first = _all(clips, tmp_path)
    os.utime(clips[0].path, ns=(1, 1))
    (path,) = (tmp_path / "cache").glob("*.jsonl")
    path.write_bytes(path.read_bytes()[:-20])
    measured.clear()
    assert all(_same(one, other) for one, other in zip(first, _all(clips, tmp_path), strict=True))
    assert measured == ["a.wav", "bad.wav", "c.wav"]
    measured.clear()
    _all(clips, tmp_path)
    assert measured == ["bad.wav"]


def test_a_damaged_line_costs_its_own_recording(clips: list[Clip], tmp_path: Path, measured: list[str]) -> None:
    _all(clips, tmp_path)
    (path,) = (tmp_path / "cache").glob("*.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    for damage in (b"\xff\n", b"[1, 2]\n", b'["x"]\n', b"[" * 5000 + b"\n"):
        path.write_bytes(lines[0] + damage + lines[2])
        measured.clear()
        _all(clips, tmp_path)
        assert measured == ["b.wav", "bad.wav"]
    _all(clips, tmp_path, again=True)
    assert len(path.read_bytes().splitlines()) == 3


def test_a_look_at_some_keeps_the_measures_of_the_others(
    clips: list[Clip], tmp_path: Path, measured: list[str]
) -> None:
    _all(clips, tmp_path)
    _all(clips[:1], tmp_path, again=True)
    cut = all_recording_stats(clips, tmp_path / "data", tmp_path / "cache", 1, True)
    next(cut)
    cut.close()  # type: ignore[attr-defined]  # an interrupt
    measured.clear()
    _all(clips, tmp_path)
    assert measured == ["bad.wav"]


class Full(io.StringIO):
    """A file on a disk that is full."""

    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_costs_nothing_but_time(
    clips: list[Clip], tmp_path: Path, measured: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Path.open
    monkeypatch.setattr(Path, "open", lambda path, mode="r", **k: Full() if mode == "a" else original(path, mode, **k))
    for again in (False, True):
        assert [type(result) for result in _all(clips, tmp_path, again)].count(RecordingStats) == 3


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(
    clips: list[Clip], tmp_path: Path, measured: list[str]
) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert [type(result) for result in _all(clips, tmp_path)].count(RecordingStats) == 3
