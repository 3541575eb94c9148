"""Settings of a run: those of the caller, or those of the run that is resumed."""

from pathlib import Path

import pytest

from scenelet.config import RunConfig, TrainerConfig
from scenelet.config.run_folder import DataRecord, RunRecord, write_record
from scenelet.errors import RunError, UsageError
from scenelet.training.ranks import SINGLE, Rank
from scenelet.training.run_settings import resolve_devices, resolve_settings

CONFIG = RunConfig(seed=3)
TWO = TrainerConfig(devices=2)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Return the folder of a run that was started with `CONFIG`."""
    record = RunRecord(
        config=CONFIG,
        recipe="default",
        data=DataRecord(path=Path("recordings")),
        labels=("a", "b"),
        train_counts=(1, 1),
        versions={},
    )
    write_record(tmp_path / "run", record, "filename,label,group,split\n")
    return tmp_path / "run"


def test_resolve_devices_takes_those_of_the_caller(run: Path) -> None:
    assert resolve_devices(run, CONFIG.model_copy(update={"trainer": TWO}), None) == TWO


def test_resolve_devices_changes_only_the_fields_set(run: Path) -> None:
    assert resolve_devices(run, None, None) == TrainerConfig()
    assert resolve_devices(run, None, TWO) == TWO
    assert resolve_devices(run / "absent", None, TWO) == TWO


def test_resolve_settings_of_a_new_run_returns_its_own(tmp_path: Path) -> None:
    assert resolve_settings(tmp_path / "new", CONFIG, False, TrainerConfig(), SINGLE, None) == CONFIG


def test_resolve_settings_resumes_with_the_stored_settings(run: Path) -> None:
    assert resolve_settings(run, None, True, TWO, SINGLE, None) == CONFIG.model_copy(update={"trainer": TWO})
    assert resolve_settings(run, CONFIG, True, TWO, SINGLE, None).seed == 3


def test_resolve_settings_resumes_with_the_recorded_precision(run: Path) -> None:
    path = run / "run.json"
    path.write_text(path.read_text().replace('"versions": {}', '"versions": {"precision": "bf16"}'))
    assert CONFIG.precision == "auto"
    for config in (None, CONFIG):
        assert resolve_settings(run, config, True, TrainerConfig(), SINGLE, None).precision == "bf16"


def test_resolve_settings_with_other_settings_names_the_first(run: Path) -> None:
    changed = CONFIG.model_copy(update={"seed": 4})
    with pytest.raises(RunError, match=r"started with other settings \(seed was 3 and is now 4\)"):
        resolve_settings(run, changed, True, TrainerConfig(), SINGLE, None)


def test_resolve_settings_never_overwrites_a_run(run: Path) -> None:
    with pytest.raises(RunError, match="exists already"):
        resolve_settings(run, CONFIG, False, TrainerConfig(), SINGLE, None)
    worker = Rank(rank=1, world_size=2)  # the first process has checked the folder and started the run
    assert resolve_settings(run, CONFIG, False, TrainerConfig(), worker, None) == CONFIG


def test_resolve_settings_without_run_or_config_raises(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="holds no run to resume; start it without --resume"):
        resolve_settings(tmp_path, None, True, TrainerConfig(), SINGLE, None)


def test_resolve_settings_of_more_devices_than_clips_raises(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"schedule\.batch_size"):
        resolve_settings(tmp_path / "new", CONFIG, False, TrainerConfig(devices=64), SINGLE, None)
