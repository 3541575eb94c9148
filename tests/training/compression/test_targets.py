"""Runs to compress, and where their model files go."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from scenelet.config import RunConfig, WindowConfig
from scenelet.config.run_folder import METRICS, RECORD, WEIGHTS, read_record
from scenelet.errors import DataError, ModelFileError, RunError, UsageError
from scenelet.model.file import encode_model
from scenelet.nn.convert import to_scene_model
from scenelet.training.compression.targets import compression_targets
from scenelet.training.network import load_network


@pytest.fixture
def runs(finished_run: tuple[Path, RunConfig], tmp_path: Path) -> Path:
    """Return a folder with two copies of a run: general and s1."""
    for name in ("general", "s1"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        for file in (RECORD, WEIGHTS, METRICS):
            shutil.copy(finished_run[0] / file, tmp_path / "runs" / name / file)
    record = tmp_path / "runs" / "s1" / RECORD
    values = json.loads(record.read_text())
    values["config"]["split"]["device"] = "s1"
    record.write_text(json.dumps(values))
    return tmp_path / "runs"


def test_single_run_needs_the_name_of_a_file(finished_run: tuple[Path, RunConfig], tmp_path: Path) -> None:
    run, file = finished_run[0], tmp_path / "m.scn"
    assert compression_targets(run, file) == {run: file}
    with pytest.raises(UsageError, match=r"a model file's name ends in \.scn"):
        compression_targets(run, tmp_path / "models")
    for out in (file, tmp_path / "models"):
        with pytest.raises(RunError, match="not a run folder"):
            compression_targets(tmp_path, out)


def test_several_runs_need_a_folder(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "models"
    (runs / "notes").mkdir()
    assert compression_targets(runs, out) == {runs / name: out / f"{name}.scn" for name in ("general", "s1")}
    with pytest.raises(UsageError, match=r"holds 2 runs; give a folder for their model files as --out"):
        compression_targets(runs, tmp_path / "m.scn")


def test_run_of_another_training_is_refused(runs: Path, tmp_path: Path) -> None:
    (runs / "s1").rename(runs / "sweep")
    with pytest.raises(RunError, match=r"sweep: is not a run of `train --each-device`; move it to another folder"):
        compression_targets(runs, tmp_path / "models")


def test_runs_without_a_general_one_need_its_file(runs: Path, tmp_path: Path) -> None:
    shutil.rmtree(runs / "general")
    with pytest.raises(RunError, match=r"holds no run named general; .* to .*models/general\.scn first"):
        compression_targets(runs, tmp_path / "models")
    (tmp_path / "models").mkdir()
    record, file = read_record(runs / "s1"), tmp_path / "models" / "general.scn"
    network = load_network(runs / "s1", record)
    model = to_scene_model(network, record.labels, record.config.features, record.config.window)
    own = {"labels": model.labels[::-1], "window": WindowConfig(seconds=7)}
    for name, words in (("labels", "classes"), ("window", "windows")):
        file.write_bytes(encode_model(replace(model, **{name: own[name]})))
        with pytest.raises(ModelFileError, match=rf"general\.scn: its {words} are not those of .*s1; put the model"):
            compression_targets(runs, tmp_path / "models")
    file.write_bytes(encode_model(model))
    assert list(compression_targets(runs, tmp_path / "models")) == [runs / "s1"]


def test_unsuitable_runs_raise(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "models"
    (runs / "s1").rename(runs / "a b")
    with pytest.raises(DataError, match="device 'a b' cannot name a file"):
        compression_targets(runs, out)
    (runs / "a b").rename(runs / "s1")
    record = read_record(runs / "s1").model_copy(update={"labels": ("low", "high")})
    (runs / "s1" / RECORD).write_text(record.model_dump_json())
    with pytest.raises(RunError, match="s1: its labels are not those of"):
        compression_targets(runs, out)
    (runs / "s1" / METRICS).unlink()
    with pytest.raises(RunError, match="s1: this run has not finished"):
        compression_targets(runs, out)
    out.mkdir()
    (out / "b.scn").touch()
    shutil.copy(runs / "general" / METRICS, runs / "s1" / METRICS)
    with pytest.raises(UsageError, match=r"b\.scn: is not a model of these devices"):
        compression_targets(runs, out)
