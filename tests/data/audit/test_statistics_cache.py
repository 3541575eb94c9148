"""Statistics cache: equal to new statistics, read again only if needed, and never a reason to fail."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scenelet.data.audit import statistics_cache
from scenelet.data.audit.statistics import RecordingStats, StatsError, recording_stats, recording_stats_or_error
from scenelet.data.audit.statistics_cache import all_recording_stats
from scenelet.data.clips import Clip
from scenelet.data.json_lines import JsonLines

Result = RecordingStats | StatsError
Reader = Callable[..., tuple[list[Result], list[str]]]


@pytest.fixture
def clips(tmp_path: Path, make_clip: Callable[..., Clip], rng: np.random.Generator) -> list[Clip]:
    """Three recordings, and an empty file before the last one."""
    a, b, c = (make_clip(name, samples=0.1 * rng.standard_normal((4000, 2))) for name in ("a.wav", "b.wav", "c.wav"))
    (tmp_path / "bad.wav").write_bytes(b"")
    return [a, b, Clip(tmp_path / "bad.wav", "bad.wav", "x", "bad.wav"), c]


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Reader:
    """Function that returns the statistics of clips, and the names of the recordings that it read for them."""

    monkeypatch.setenv("SCENELET_CACHE", str(tmp_path / "cache"))

    def statistics(clips: list[Clip], refresh: bool = False) -> tuple[list[Result], list[str]]:
        names: list[str] = []

        def read_stats(path: Path) -> Result:
            names.append(path.name)
            return recording_stats_or_error(path)

        with monkeypatch.context() as patch:
            patch.setattr(statistics_cache, "recording_stats_or_error", read_stats)
            return list(all_recording_stats(clips, tmp_path, 1, refresh)), names

    return statistics


def _cache_file(tmp_path: Path) -> Path:
    (path,) = (tmp_path / "cache").glob("*.jsonl")
    return path


def _is_equal(first: Result, second: Result) -> bool:
    if not isinstance(first, RecordingStats) or not isinstance(second, RecordingStats):
        return first == second
    return all(np.array_equal(value, getattr(second, key)) for key, value in vars(first).items())


def _all_equal(first: list[Result], second: list[Result]) -> bool:
    return all(_is_equal(one, other) for one, other in zip(first, second, strict=True))


def test_all_recording_stats_cached_are_equal_to_new(clips: list[Clip], read: Reader) -> None:
    new, read_first = read(clips)
    cached, read_second = read(clips)
    assert read_first == ["a.wav", "b.wav", "bad.wav", "c.wav"]
    assert read_second == ["bad.wav"]  # an error is not cached
    assert _all_equal(new, cached)
    assert _is_equal(cached[0], recording_stats(clips[0].path))
    assert cached[2] == recording_stats_or_error(clips[2].path)


def test_all_recording_stats_refresh_reads_everything(clips: list[Clip], read: Reader) -> None:
    read(clips)
    assert read(clips, refresh=True)[1] == ["a.wav", "b.wav", "bad.wav", "c.wav"]


def test_all_recording_stats_changed_file_is_read_again(clips: list[Clip], tmp_path: Path, read: Reader) -> None:
    new, _ = read(clips)
    os.utime(clips[0].path, ns=(1, 1))
    path = _cache_file(tmp_path)
    path.write_bytes(path.read_bytes()[:-20])  # the line of c.wav is truncated
    again, names = read(clips)
    assert names == ["a.wav", "bad.wav", "c.wav"]
    assert _all_equal(new, again)
    assert read(clips)[1] == ["bad.wav"]


@pytest.mark.parametrize("damage", [b"\xff\n", b"[1, 2]\n", b'["x"]\n', b"[" * 5000 + b"\n"])
def test_all_recording_stats_damaged_line_is_read_again(
    clips: list[Clip], tmp_path: Path, read: Reader, damage: bytes
) -> None:
    read(clips)
    path = _cache_file(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + damage + lines[2])
    assert read(clips)[1] == ["b.wav", "bad.wav"]
    read(clips, refresh=True)
    assert len(path.read_bytes().splitlines()) == 3


def test_all_recording_stats_refresh_of_some_keeps_others(clips: list[Clip], read: Reader) -> None:
    read(clips)
    read(clips[:1], refresh=True)
    assert read(clips)[1] == ["bad.wav"]


def test_all_recording_stats_interrupted_keeps_the_cache(clips: list[Clip], tmp_path: Path, read: Reader) -> None:
    read(clips)
    results: Any = all_recording_stats(clips, tmp_path, 1, refresh=True)
    next(results)
    results.close()
    assert read(clips)[1] == ["bad.wav"]


@pytest.mark.parametrize(("taken", "seconds"), [(1, 1e9), (2, 1e9), (2, 0.0), (3, 1e9)])
def test_all_recording_stats_interrupted_keeps_what_was_read(
    clips: list[Clip], tmp_path: Path, read: Reader, monkeypatch: pytest.MonkeyPatch, taken: int, seconds: float
) -> None:
    monkeypatch.setattr(statistics_cache, "WRITE_SECONDS", seconds)
    monkeypatch.setenv("SCENELET_CACHE", str(tmp_path / "cache"))
    results: Any = all_recording_stats(clips, tmp_path, 1)
    for _ in range(taken):
        next(results)
    results.close()
    assert read(clips)[1] == ["a.wav", "b.wav", "bad.wav", "c.wav"][min(taken, 2) :]


@pytest.mark.parametrize("seconds", [0.0, 1e9])
def test_all_recording_stats_batches_give_the_same_file(
    clips: list[Clip], tmp_path: Path, read: Reader, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    read(clips)
    expected = _cache_file(tmp_path).read_bytes()
    _cache_file(tmp_path).unlink()
    monkeypatch.setattr(statistics_cache, "WRITE_SECONDS", seconds)
    read(clips)
    read(clips, refresh=True)
    assert _cache_file(tmp_path).read_bytes() == expected


@pytest.mark.parametrize("refresh", [False, True])
def test_all_recording_stats_full_disk_yields_everything(
    clips: list[Clip], tmp_path: Path, read: Reader, monkeypatch: pytest.MonkeyPatch, refresh: bool
) -> None:
    expected = [recording_stats_or_error(clip.path) for clip in clips]

    def append(lines: JsonLines, values: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(JsonLines, "append", append)
    results, _ = read(clips, refresh)
    assert _all_equal(results, expected)
    monkeypatch.undo()
    assert not list((tmp_path / "cache").glob("*.jsonl"))
    assert read(clips)[1] == ["a.wav", "b.wav", "bad.wav", "c.wav"]


def test_all_recording_stats_unwritable_cache_yields_everything(
    clips: list[Clip], tmp_path: Path, read: Reader
) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    results, _ = read(clips)
    assert [type(result) for result in results].count(RecordingStats) == 3
