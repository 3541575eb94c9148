"""Plan of the runs of `train --each-device`."""

from dataclasses import replace
from pathlib import Path

import pytest

from scenelet.config import RunConfig
from scenelet.config.recipes import load_recipe
from scenelet.config.run_folder import DataRecord, RunRecord, SourceRecord, write_record
from scenelet.data.clips import ClipTable
from scenelet.data.load import load_table
from scenelet.errors import DataError, RunError, UsageError
from scenelet.training.device_runs import DeviceRun, device_config, plan_device_runs


@pytest.fixture
def table(device_set: Path) -> ClipTable:
    return load_table(device_set)


def plan(
    table: ClipTable, out: Path, config: RunConfig | None = None, source: str | None = None, general: bool = True
) -> list[DeviceRun]:
    return plan_device_runs(table, config or RunConfig(), out, source, general, resume=False)


def test_plan_has_a_general_run_and_one_per_complete_device(
    table: ClipTable, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "runs"
    general, a, s1 = plan(table, out, source="esc10")
    assert (general.name, general.folder, general.config, general.source) == (
        "general",
        out / "general",
        RunConfig(),
        "esc10",
    )
    for run, device in ((a, "a"), (s1, "s1")):
        assert (run.name, run.folder, run.source) == (device, out / device, out / "general")
        assert run.config == device_config(RunConfig(), device)
    words = "device s4: no run of its own, since it has no training clip of low; the general model answers for it"
    assert words in capsys.readouterr().err
    assert not out.exists()


def test_plan_from_a_general_model_trains_no_other(table: ClipTable, tmp_path: Path) -> None:
    assert [(run.name, run.source) for run in plan(table, tmp_path / "runs", source="m.scn", general=False)] == [
        ("a", "m.scn"),
        ("s1", "m.scn"),
    ]


def test_device_config_is_shorter_and_slower() -> None:
    changes = ["schedule.name=hold_decay_hold", "transfer.device_epochs=0.1", "transfer.device_rate=0.01"]
    config = load_recipe("default", [*changes, "schedule.min_learning_rate=1e-4", "schedule.epochs=40"])
    own = device_config(config, "s1")
    assert own.split.device == "s1"
    assert own.schedule.epochs == 4
    assert own.schedule.hold_epochs == round(0.1 * config.schedule.hold_epochs)
    assert own.schedule.decay_epochs == round(0.1 * config.schedule.decay_epochs)
    assert own.schedule.learning_rate == pytest.approx(0.01 * config.schedule.learning_rate)
    assert own.schedule.min_learning_rate == own.schedule.learning_rate  # a rate never ends above its maximum
    assert own.model_copy(update={"schedule": config.schedule, "split": config.split}) == config


@pytest.mark.parametrize(
    ("device", "words"),
    [
        ("a b", "device 'a b' cannot name a file"),
        ("general", "device 'general': this name means the model of all devices"),
        ("S1", "devices 'S1' and 's1' differ only in case"),
    ],
)
def test_plan_refuses_names_of_devices(table: ClipTable, tmp_path: Path, device: str, words: str) -> None:
    clips = tuple(replace(clip, device=device) if clip.device == "a" else clip for clip in table.clips)
    with pytest.raises(DataError, match=rf"devices\.csv: {words}"):
        plan(replace(table, clips=clips), tmp_path / "runs")


def test_plan_names_devices_without_a_training_clip(
    table: ClipTable, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clips = tuple(replace(clip, device="s9") if clip.name == "low0-s4.wav" else clip for clip in table.clips)
    plan(replace(table, clips=clips), tmp_path / "runs")
    words = "device s9: no run of its own, since it has no training clip; the general model answers for it"
    err = capsys.readouterr().err
    assert words in err
    assert "device unknown" not in err


def test_plan_without_devices_raises(table: ClipTable, tmp_path: Path) -> None:
    clips = tuple(replace(clip, device=None) for clip in table.clips)
    with pytest.raises(DataError, match=r"add a column device to the table, or leave --each-device out"):
        plan(replace(table, clips=clips), tmp_path / "runs")


def test_plan_refuses_other_settings_and_folders(table: ClipTable, tmp_path: Path) -> None:
    for change, words in (("split.device=a", "leave one out"), ("trainer.devices=2", "trains on one device")):
        with pytest.raises(UsageError, match=words):
            plan(table, tmp_path / "runs", load_recipe("default", [change]))
    (tmp_path / "run.json").touch()
    with pytest.raises(RunError, match="holds a run, and --each-device needs a folder for several"):
        plan(table, tmp_path)
    (tmp_path / "run.json").rename(tmp_path / "notes.txt")
    with pytest.raises(RunError, match="exists already"):
        plan(table, tmp_path)


def test_plan_resumes_no_foreign_folder(table: ClipTable, tmp_path: Path) -> None:
    (tmp_path / "general").mkdir()  # an interrupted start leaves no more
    assert len(plan_device_runs(table, RunConfig(), tmp_path, None, True, resume=True)) == 3
    (tmp_path / "notes.txt").touch()
    with pytest.raises(RunError, match="exists already; choose another --out"):
        plan_device_runs(table, RunConfig(), tmp_path, None, True, resume=True)


def begin(folder: Path, config: RunConfig, source: SourceRecord | None) -> None:
    data = DataRecord(path=folder)
    record = RunRecord(
        config=config, recipe="", data=data, labels=("a", "b"), train_counts=(1, 1), versions={}, source=source
    )
    write_record(folder, record, "")


def test_plan_keeps_settings_and_source_of_the_begun_runs(table: ClipTable, tmp_path: Path) -> None:
    config = load_recipe("default", ["schedule.epochs=50", "seed=3"])
    source = SourceRecord(path="m.scn", sha256="0", labels=("a", "b"))

    def resumed(general: bool = True, source: str | None = None) -> list[DeviceRun]:
        return plan_device_runs(table, RunConfig(), tmp_path, source, general, resume=True, keeps_settings=True)

    begin(tmp_path / "a", device_config(config, "a"), source)
    own = device_config(config, "s1")
    assert [(run.name, run.config, run.source) for run in resumed()] == [("a", None, "m.scn"), ("s1", own, "m.scn")]
    begin(tmp_path / "general", config, source)
    start = tmp_path / "general"
    assert [(run.name, run.config, run.source) for run in resumed()] == [
        ("general", None, None),
        ("a", None, start),
        ("s1", own, start),
    ]
    with pytest.raises(UsageError, match="is the general run, which --from would replace"):
        resumed(general=False, source="m.scn")


def test_plan_needs_validation_clips_of_each_device(table: ClipTable, tmp_path: Path) -> None:
    config = load_recipe("default", ["checkpoint=validation", "split.validation_fraction=0.25"])
    clips = tuple(
        replace(clip, split="validation") if clip.device == "a" and clip.split == "train" and "5" in clip.name else clip
        for clip in table.clips
    )
    with pytest.raises(DataError, match=r"no validation clip is of device 's1', and checkpoint = 'validation' needs"):
        plan(replace(table, clips=clips), tmp_path / "runs", config)
