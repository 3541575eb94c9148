"""The benchmark of many short clips: made roots in the layout of TAU 2022 Mobile, and its figures."""

import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.speed import many_clips
from benchmarks.speed.one_second_clips import Recording, recordings, sound, write_recordings, write_tables
from scenelet.audio.io import read
from scenelet.config import SplitConfig
from scenelet.data.load import load_table
from scenelet.data.splits import make_split


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a root of 400 clips."""
    folder = tmp_path_factory.mktemp("clips")
    write_recordings(folder, 400)
    write_tables(folder, 400)
    return folder


def test_write_tables_make_a_root_of_2022_mobile(root: Path) -> None:
    table = load_table(root)
    assert (len(table.clips), len(table.labels), table.source) == (400, 10, f"TAU root {root.name} (2022 Mobile)")
    assert set(table.devices) == {"a", "b", "c", "s1", "s2", "s3"}


def test_recordings_have_classes_in_both_subsets_and_no_shared_group(tmp_path: Path) -> None:
    write_tables(tmp_path, 2000)
    (tmp_path / "audio").mkdir()
    for recording in recordings(2000):
        for part in range(10):
            (tmp_path / recording.name(part)).touch()
    split = make_split(load_table(tmp_path), SplitConfig(validation_fraction=0))
    assert len(split.train) + len(split.test) == 2000
    assert {clip.label for clip in split.train} == {clip.label for clip in split.test}
    assert not {clip.group for clip in split.train} & {clip.group for clip in split.test}


def test_recordings_of_fewer_clips_are_the_first() -> None:
    assert list(recordings(4000))[:200] == list(recordings(2000))
    assert len(set(recordings(20_000))) == 2000


def test_write_recordings_gives_different_files_of_a_second(root: Path) -> None:
    paths = sorted((root / "audio").iterdir())
    contents = {path.read_bytes() for path in paths}
    assert len(contents) == len(paths) == 400
    samples, rate = read(paths[0])
    assert (samples.shape, rate) == ((1, 44_100), 44_100)
    changed = {path: path.stat().st_mtime_ns for path in paths}
    write_recordings(root, 400)
    assert {path: path.stat().st_mtime_ns for path in paths} == changed


def test_sound_of_another_device_is_alike_but_not_equal() -> None:
    first, other = (sound(Recording(0, 2, 20, device)).astype(float) for device in ("a", "s1"))
    assert not np.array_equal(first, other)
    assert np.corrcoef(first, other)[0, 1] > 0.9


def test_measure_runs_a_step_in_its_own_process(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = many_clips.measure("table", root)
    assert figures["seconds"] > 0
    monkeypatch.setattr(many_clips, "command", lambda step, root: [sys.executable, "-c", "raise SystemExit('broken')"])
    with pytest.raises(SystemExit, match="table failed: broken"):
        many_clips.measure("table", root)


def test_markdown_lists_steps_and_numbers_of_clips() -> None:
    figures = {"seconds": 2.0, "cpu_seconds": 4.0, "all_mib": 100, "written_mib": 0}
    text = many_clips.markdown([{"clips": clips, "step": "cache", **figures} for clips in (2000, 400)])
    assert text.splitlines()[2:] == [
        "| compute and cache log-mel | 400 | 2.0 | 4.0 | 10,000 | 100 |  |",
        "| compute and cache log-mel | 2,000 | 2.0 | 4.0 | 2,000 | 100 |  |",
    ]
