"""The synthetic data set: same seed, same samples; a complete folder or none; locations in one split only."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from scenelet.data.load import load_table
from scenelet.data.synthetic import dataset
from scenelet.data.synthetic.dataset import synthetic_clip, write_synthetic_dataset
from scenelet.data.synthetic.scenes import SCENE_TYPES
from scenelet.errors import DataError, UsageError

SMALL = {"clips_per_location": 2, "train_locations": 2, "test_locations": 1, "seconds": 0.5}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_synthetic_dataset(tmp_path_factory.mktemp("synthetic") / "scenes", seed=3, workers=1, **SMALL)


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "scenes.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_write_synthetic_dataset_any_workers_same_samples(scenes: Path, tmp_path: Path) -> None:
    again = write_synthetic_dataset(tmp_path / "again", seed=3, workers=3, **SMALL)
    assert (again / "scenes.csv").read_bytes() == (scenes / "scenes.csv").read_bytes()
    for row in rows_of(scenes):
        first, second = (soundfile.read(folder / row["filename"], dtype="int16")[0] for folder in (scenes, again))
        np.testing.assert_array_equal(first, second)


def test_write_synthetic_dataset_writes_stereo_48_khz_16_bit(scenes: Path) -> None:
    for row in rows_of(scenes):
        info = soundfile.info(scenes / row["filename"])
        assert (info.samplerate, info.channels, info.frames, info.subtype) == (48000, 2, 24000, "PCM_16")
        samples = soundfile.read(scenes / row["filename"])[0]
        assert 0.001 < np.abs(samples).max() < 0.96  # audible, and not clipped


def test_write_synthetic_dataset_keeps_locations_in_one_split(scenes: Path) -> None:
    rows = rows_of(scenes)
    assert list(rows[0]) == ["filename", "label", "group", "split", "source"]
    assert {row["source"] for row in rows} == {"synthetic (scenelet, seed 3)"}
    groups = {split: {row["group"] for row in rows if row["split"] == split} for split in ("train", "test")}
    assert not groups["train"] & groups["test"]
    assert (len(groups["train"]), len(groups["test"]), len(rows)) == (6, 3, 18)
    assert all(row["group"].startswith(row["label"]) for row in rows)
    assert "synthetic" in (scenes / "README.txt").read_text()


def test_load_table_recognizes_the_data_as_synthetic(scenes: Path) -> None:
    table = load_table(scenes)
    assert table.synthetic
    assert table.labels == ("indoor", "outdoor", "transportation")
    assert {clip.split for clip in table.clips} == {"train", "test"}


def test_write_synthetic_dataset_keeps_a_complete_folder(scenes: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(scenes, copy)
    recording = copy / rows_of(copy)[0]["filename"]
    recording.write_bytes(b"not written again")
    assert write_synthetic_dataset(copy, seed=3, **SMALL) == copy
    assert recording.read_bytes() == b"not written again"


def test_write_synthetic_dataset_uses_as_many_threads_as_cpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []
    pool = dataset.ThreadPoolExecutor
    monkeypatch.setattr(dataset, "cpu_count", lambda: 3)  # as under `taskset`
    monkeypatch.setattr(dataset, "ThreadPoolExecutor", lambda count: threads.append(count) or pool(count))
    write_synthetic_dataset(tmp_path / "scenes", seed=3, **SMALL)
    assert threads == [3]


@pytest.mark.parametrize("change", [{"seed": 4}, {"seconds": 0.75}, {"clips_per_location": 1}])
def test_write_synthetic_dataset_other_settings_are_refused(scenes: Path, change: dict[str, int]) -> None:
    with pytest.raises(DataError, match="something else"):
        write_synthetic_dataset(scenes, **{"seed": 3, **SMALL, **change})
    assert len(rows_of(scenes)) == 18


def test_write_synthetic_dataset_failure_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(seed: int, label: str, location: int, clip: int, seconds: float) -> np.ndarray:
        if label == "outdoor":
            raise OSError("disk full")
        return synthetic_clip(seed, label, location, clip, seconds)

    monkeypatch.setattr(dataset, "synthetic_clip", fail)
    with pytest.raises(OSError, match="disk full"):
        write_synthetic_dataset(tmp_path / "scenes", seed=0, workers=2, **SMALL)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("change", [{"seed": -1}, {"seconds": 0.0}, {"test_locations": 0}, {"workers": -1}])
def test_write_synthetic_dataset_setting_out_of_range(tmp_path: Path, change: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        write_synthetic_dataset(tmp_path / "scenes", **{"seed": 0, **SMALL, **change})


def test_synthetic_clip_seeds_locations_and_clips_differ() -> None:
    keys = [(seed, location, clip) for seed in (0, 1) for location in (0, 1) for clip in (0, 1)]
    clips = [synthetic_clip(seed, "outdoor", location, clip, 0.5) for seed, location, clip in keys]
    for i, first in enumerate(clips):
        for second in clips[:i]:
            assert abs(np.corrcoef(first[0], second[0])[0, 1]) < 0.5


def test_synthetic_clip_stays_finite_and_within_full_scale() -> None:
    for label in SCENE_TYPES:
        for location in range(4):
            samples = synthetic_clip(11, label, location, 0, 4.0)
            assert samples.shape == (2, 192000)
            assert np.isfinite(samples).all()
            assert np.abs(samples).max() <= 0.951


def test_synthetic_clip_unknown_label_lists_the_labels() -> None:
    with pytest.raises(UsageError, match="indoor, outdoor, transportation"):
        synthetic_clip(0, "underwater", 0, 0)
