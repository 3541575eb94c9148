"""Files and records of a run folder."""

import json
from pathlib import Path

import pytest

from scenelet.config import RunConfig
from scenelet.config.run_folder import (
    METRICS,
    RECORD,
    SPLIT,
    BandStatistics,
    DataRecord,
    DeviceStatistics,
    RunRecord,
    check_folder_is_new,
    check_run_exists,
    check_same_split,
    is_begun,
    read_metrics,
    read_record,
    read_statistics,
    write_metrics,
    write_record,
    write_statistics,
)
from scenelet.errors import RunError

RECORDED = RunRecord(
    config=RunConfig(seed=3),
    recipe="default",
    data=DataRecord(path=Path("recordings")),
    labels=("rain", "sea"),
    train_counts=(4, 5),
    versions={"python": "3"},
)
SHORTER = '{"all": {"mean": [1, 2], "std": [1, 1]}, "devices": {"a": {"mean": [1], "std": [1]}}}'
SPLIT_CSV = "filename,label,group,split\na.wav,rain,a,train\n"


def test_read_record_returns_what_write_record_wrote(tmp_path: Path) -> None:
    write_record(tmp_path / "run", RECORDED, SPLIT_CSV)
    assert is_begun(tmp_path / "run")
    assert read_record(tmp_path / "run") == RECORDED
    assert (tmp_path / "run" / SPLIT).read_text() == SPLIT_CSV
    check_same_split(tmp_path / "run", SPLIT_CSV, Path("recordings"))


def test_write_record_refuses_a_different_split(tmp_path: Path) -> None:
    (tmp_path / SPLIT).write_text("another split")
    with pytest.raises(RunError, match=r"split\.csv: exists without a run and lists another split"):
        write_record(tmp_path, RECORDED, SPLIT_CSV)
    assert not is_begun(tmp_path)


def test_check_same_split_of_other_clips_raises(tmp_path: Path) -> None:
    write_record(tmp_path, RECORDED, SPLIT_CSV)
    with pytest.raises(RunError, match=r"the recordings in data are not those that split\.csv lists; put them back"):
        check_same_split(tmp_path, SPLIT_CSV + "b.wav,sea,b,train\n", Path("data"))


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"config": {}}', '{"teacher": {}}'])
def test_read_record_of_damaged_file_names_it(damage: str, tmp_path: Path) -> None:
    (tmp_path / RECORD).write_text(damage)
    with pytest.raises(RunError, match=r"run\.json: damaged \(.*\); train again into a new folder"):
        read_record(tmp_path)


def test_record_with_a_teacher_without_its_hash_is_damaged(tmp_path: Path) -> None:
    values = RECORDED.model_dump(mode="json") | {"teachers": [{"path": "/y"}]}
    (tmp_path / RECORD).write_text(json.dumps(values))
    with pytest.raises(RunError, match=r"run\.json: damaged \(Field required\)"):
        read_record(tmp_path)


def test_check_run_exists_without_record_raises(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"not a run folder \(no run\.json\)"):
        check_run_exists(tmp_path)


@pytest.mark.parametrize("name", ["notes.txt", RECORD])
def test_check_folder_is_new_with_other_files_raises(name: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    with pytest.raises(RunError, match=r"exists already; try this"):
        check_folder_is_new(tmp_path, "try this")


def test_check_folder_is_new_ignores_leftovers_and_data(tmp_path: Path) -> None:
    check_folder_is_new(tmp_path / "absent")
    for name in (".lock", SPLIT, "clips.csv"):
        (tmp_path / name).touch()
    check_folder_is_new(tmp_path, ignore=tmp_path / "clips.csv")
    with pytest.raises(RunError):
        check_folder_is_new(tmp_path)


def test_read_metrics_returns_what_write_metrics_wrote(tmp_path: Path) -> None:
    write_metrics(tmp_path, {"minutes": 1.5, "test": {"accuracy": 0.5}})
    assert read_metrics(tmp_path) == {"minutes": 1.5, "test": {"accuracy": 0.5}}


@pytest.mark.parametrize("damage", ["", "[]", "{}", '{"minutes": "x"}', '{"minutes": null}', "[" * 100_000])
def test_read_metrics_of_damaged_file_names_it(damage: str, tmp_path: Path) -> None:
    (tmp_path / METRICS).write_text(damage)
    with pytest.raises(RunError, match=r"metrics\.json: damaged; delete the folder"):
        read_metrics(tmp_path)


def test_read_statistics_returns_what_was_written(tmp_path: Path) -> None:
    own = BandStatistics(mean=(-30.1, 2.0), std=(4.0, 1.5))
    statistics = DeviceStatistics(all=own, devices={"a": own})
    write_statistics(tmp_path, statistics)
    assert read_statistics(tmp_path) == statistics


@pytest.mark.parametrize("text", [None, "", '{"all": 3}', SHORTER, SHORTER.replace("[1, 1]", "[1, 0]")])
def test_read_statistics_of_a_damaged_file_raises(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "devices.json").write_text(text)
    with pytest.raises(RunError, match=r"devices\.json: missing or damaged; train again into a new folder"):
        read_statistics(tmp_path)
