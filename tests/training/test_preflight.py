"""Checks of arguments that run before PyTorch is loaded."""

from pathlib import Path

import pytest

from scenelet.config import RunConfig
from scenelet.config.recipes import load_recipe
from scenelet.config.run_folder import (
    BandStatistics,
    DataRecord,
    DeviceStatistics,
    RunRecord,
    write_record,
    write_statistics,
)
from scenelet.errors import DataError, RunError, UsageError
from scenelet.training.preflight import (
    check_batch_size,
    check_compress_arguments,
    check_one_device,
    load_recorded_table,
)
from scenelet.training.ranks import SINGLE, Rank


def config_with(devices: int, batch_size: int = 16) -> RunConfig:
    return RunConfig.model_validate({"trainer": {"devices": devices}, "schedule": {"batch_size": batch_size}})


def test_check_batch_size_returns_the_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TORCHELASTIC_RUN_ID", "SLURM_STEP_ID", "LOCAL_RANK", "NODE_RANK"):
        monkeypatch.delenv(name, raising=False)
    assert check_batch_size(config_with(1)) == SINGLE
    assert check_batch_size(config_with(4, batch_size=4)) == Rank(0, 4)


def test_check_batch_size_with_too_many_devices_raises() -> None:
    with pytest.raises(UsageError, match=r"trainer\.num_nodes is 5, and schedule\.batch_size 4 leaves some"):
        check_batch_size(config_with(5, batch_size=4))


def test_check_one_device_with_several_raises() -> None:
    check_one_device(config_with(1), "the demo")  # must not raise
    with pytest.raises(UsageError, match="the demo trains on one device"):
        check_one_device(config_with(2), "the demo")


def test_check_compress_arguments_refuses_what_cannot_work(tmp_path: Path) -> None:
    record = RunRecord(
        config=RunConfig(),
        recipe="",
        data=DataRecord(path=tmp_path),
        labels=("a", "b"),
        train_counts=(1, 1),
        versions={},
    )
    write_record(tmp_path / "run", record, "")
    with pytest.raises(UsageError, match=r"m\.onnx: a model file's name ends in \.scn"):
        check_compress_arguments(tmp_path / "run", tmp_path / "m.onnx")
    (tmp_path / "folder.scn").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        check_compress_arguments(tmp_path / "run", tmp_path / "folder.scn")
    for out in ("m.scn", "models"):
        for run in (tmp_path / "absent", tmp_path / "folder.scn"):
            with pytest.raises(RunError, match=f"{run.name}: not a run folder"):
                check_compress_arguments(run, tmp_path / out)


def test_check_compress_arguments_refuses_devices_that_no_file_can_name(tmp_path: Path) -> None:
    config, bands = load_recipe("default", ["data.standardize=device"]), BandStatistics(mean=(0.0,), std=(1.0,))
    data = DataRecord(path=tmp_path / "meta.csv")
    record = RunRecord(config=config, recipe="", data=data, labels=("a", "b"), train_counts=(1, 1), versions={})
    write_record(tmp_path / "run", record, "")
    write_statistics(tmp_path / "run", DeviceStatistics(all=bands, devices={"s1": bands, "手机": bands}))
    with pytest.raises(DataError, match=r"meta\.csv: device '手机' cannot name a file"):
        check_compress_arguments(tmp_path / "run", tmp_path / "models")
    check_compress_arguments(tmp_path / "run", tmp_path / "m.scn")  # one file has no name of a device


def test_load_recorded_table_of_moved_data_names_the_options(tone_set: Path, tmp_path: Path) -> None:
    lines = tone_set.read_text()
    (tmp_path / "moved.csv").write_text(lines)
    gone, new = DataRecord(path=tmp_path / "old.csv"), DataRecord(path=tone_set)
    with pytest.raises(DataError, match=r"old\.csv: .* give their new path with --data"):
        load_recorded_table(gone)
    with pytest.raises(DataError, match=r"--data \(and --audio-dir\)"):
        load_recorded_table(DataRecord(path=tone_set, audio_dir=tmp_path / "gone"))
    expected = load_recorded_table(new).clips
    assert load_recorded_table(gone, tone_set).clips == expected
    assert load_recorded_table(gone, tmp_path / "moved.csv", tone_set.parent).clips == expected
    # the table has not moved, but its recordings have
    assert load_recorded_table(DataRecord(path=tmp_path / "moved.csv"), audio_dir=tone_set.parent).clips == expected
