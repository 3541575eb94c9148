"""A general run and one per recording device, trained and compressed, on a tiny network."""

from pathlib import Path
from typing import Any

import pytest
import torch

from scenelet.config import RunConfig
from scenelet.config.recipes import load_recipe
from scenelet.config.run_folder import read_record
from scenelet.data.load import load_table
from scenelet.errors import UsageError
from scenelet.inference.device_models import DeviceModels
from scenelet.training import train_devices as module
from scenelet.training.compression import compress as compress_module
from scenelet.training.compression.build_model import BuiltModel, build_model
from scenelet.training.compression.compress import compress_runs
from scenelet.training.compression.targets import compression_targets
from scenelet.training.device_runs import plan_device_runs
from scenelet.training.train_devices import train_devices


@pytest.fixture(scope="module")
def config(tiny_settings: list[str]) -> RunConfig:
    changes = ["schedule.epochs=4", "transfer.device_epochs=0.5", "prune.epochs=0", "prune.sparsity=0"]
    return load_recipe("low_complexity", [*tiny_settings, *changes, "prune.dtype=fp16"])


@pytest.fixture(scope="module")
def runs(device_set: Path, config: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a training that was interrupted after the general run, and resumed."""
    out, table = tmp_path_factory.mktemp("each") / "runs", load_table(device_set)
    planned = plan_device_runs(table, config, out, None, True, resume=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "print_message", _interrupt_in_the_second_run)
        with pytest.raises(KeyboardInterrupt):
            train_devices(table, planned)
    assert [path.name for path in out.iterdir()] == ["general"]
    weights = (out / "general" / "model.pt").stat().st_mtime_ns
    results = train_devices(table, plan_device_runs(table, config, out, None, True, resume=True), resume=True)
    assert list(results) == ["general", "a", "s1"]
    assert (out / "general" / "model.pt").stat().st_mtime_ns == weights
    return out


def _interrupt_in_the_second_run(text: str) -> None:
    if text.startswith("run 2 of 3: a"):
        raise KeyboardInterrupt


def test_runs_of_devices_start_from_the_general_one(runs: Path) -> None:
    general = read_record(runs / "general")
    assert (general.config.split.device, general.train_counts) == (None, (12, 8))
    for device in ("a", "s1"):
        record = read_record(runs / device)
        assert record.source is not None
        assert record.source.path == str((runs / "general").resolve())
        assert (record.config.split.device, record.train_counts, record.config.schedule.epochs) == (device, (4, 4), 2)
        assert record.config.network == general.config.network
        lines = (runs / device / "split.csv").read_text().splitlines()[1:]
        assert {line.partition(",")[0].partition("-")[2] for line in lines} == {f"{device}.wav"}
    own, start = (torch.load(runs / name / "model.pt", weights_only=True) for name in ("s1", "general"))
    assert torch.equal(own["mean"], start["mean"])
    distances = [float((own[name] - start[name]).norm() / start[name].norm()) for name in own if "conv" in name]
    assert 0 < max(distances) < 0.2  # fine-tuned, not trained from random weights


def test_run_of_a_device_does_not_warn_of_seen_test_clips(
    runs: Path, device_set: Path, config: RunConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    table = load_table(device_set)
    train_devices(table, plan_device_runs(table, config, runs, None, True, resume=True), resume=True)
    err = capsys.readouterr().err
    assert err.count("its training is finished, so nothing is left to resume") == 3
    assert "with another split" not in err


def test_compressed_runs_are_models_by_device(runs: Path, device_set: Path, tmp_path: Path) -> None:
    targets = compression_targets(runs, tmp_path / "models")
    assert targets == {runs / name: tmp_path / "models" / f"{name}.scn" for name in ("a", "general", "s1")}
    compress_runs(targets, settings={}, sensitivity=False, data=dict.fromkeys(targets))
    models = DeviceModels(tmp_path / "models", threads=1)
    assert models.devices == ("a", "s1")
    assert models.for_device("s1").model.provenance["split"]["device"] == "s1"
    recording = device_set.parent / "low0-s1.wav"
    found = [models.for_device(device).predict(recording).windows.tolist() for device in ("s1", "a", None)]
    assert found[0] != found[1] != found[2] != found[0]


def test_interrupted_compression_leaves_the_earlier_models(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "models"
    targets = compression_targets(runs, out)
    built = []

    def build_two(*args: Any) -> BuiltModel:
        if len(built) == 2:
            raise UsageError("the third run fails")
        built.append(build_model(*args))
        return built[-1]

    monkeypatch.setattr(compress_module, "build_model", build_two)
    for content in (None, b"earlier"):
        if content is not None:
            for file in targets.values():
                file.write_bytes(content)
        with pytest.raises(UsageError, match="the third run fails"):
            compress_runs(targets, settings={}, sensitivity=False, data=dict.fromkeys(targets))
        assert [path.read_bytes() for path in out.iterdir()] == [content] * (3 if content else 0)
        built.clear()


def test_teachers_of_runs_by_device_raise(device_set: Path, config: RunConfig, tmp_path: Path) -> None:
    by_device = config.model_copy(update={"data": config.data.model_copy(update={"standardize": "device"})})
    table = load_table(device_set)
    planned = plan_device_runs(table, by_device, tmp_path / "runs", None, True, resume=False)
    with pytest.raises(UsageError, match="--teacher has one standardization"):
        train_devices(table, planned, teachers=[tmp_path])
    assert not (tmp_path / "runs").exists()
