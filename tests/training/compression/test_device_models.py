"""Model files of a run that standardizes by recording device.

Device s1 of the data set records 12 dB less than device a, and s4 half of that. So s1 must get the same answers as a.
"""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from scenelet.config.recipes import load_recipe
from scenelet.config.run_folder import read_record, read_statistics
from scenelet.data.device_bands import BandMap
from scenelet.data.load import load_table
from scenelet.errors import DataError, UsageError
from scenelet.evaluation.evaluate import evaluate
from scenelet.inference.classifier import Classifier
from scenelet.inference.device_models import DeviceModels
from scenelet.model.file import read_model
from scenelet.training.compression.compress import compress
from scenelet.training.compression.device_models import with_band_map
from scenelet.training.network import load_network
from scenelet.training.train import train


@pytest.fixture(scope="module")
def run(device_set: Path, tiny_settings: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("standardized") / "run"
    changes = ["data.standardize=device", "schedule.epochs=6", "schedule.learning_rate=1e-2"]
    config = load_recipe("low_complexity", [*tiny_settings, *changes, "prune.sparsity=0.3", "prune.epochs=1"])
    train(device_set, folder, config)
    return folder


@pytest.fixture(scope="module")
def folder(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("models") / "models"
    result = compress(run, out, dtype="fp16")
    assert result["files"] == {path.name: path.stat().st_size for path in out.iterdir()}
    return out


def test_run_stores_the_statistics_of_complete_devices(run: Path) -> None:
    statistics = read_statistics(run)
    assert list(statistics.devices) == ["a", "s1"]  # s4 has no low tone, and one device is unknown
    difference = np.array(statistics.devices["a"].mean) - statistics.devices["s1"].mean
    assert difference == pytest.approx(20 * np.log10(4), abs=0.01)
    assert statistics.devices["a"].std == pytest.approx(statistics.devices["s1"].std, rel=1e-3)
    state = torch.load(run / "model.pt", weights_only=True)
    np.testing.assert_array_equal(state["mean"], np.float32(statistics.all.mean))
    np.testing.assert_array_equal(state["std"], np.float32(statistics.all.std))


def test_device_that_no_file_can_name_is_refused_before_training(
    device_set: Path, tiny_settings: list[str], tmp_path: Path
) -> None:
    table = load_table(device_set)
    clips = tuple(replace(clip, device="手机") if clip.device == "a" else clip for clip in table.clips)
    config = load_recipe("low_complexity", [*tiny_settings, "data.standardize=device"])
    with pytest.raises(DataError, match=r"devices\.csv: device '手机' cannot name a file"):
        train(replace(table, clips=clips), tmp_path / "run", config)
    assert not (tmp_path / "run").exists()


def test_files_differ_in_the_standardization_only(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == ["a.scn", "general.scn", "s1.scn"]
    models = {name: read_model(folder / f"{name}.scn") for name in ("general", "a", "s1")}
    for name in ("a", "s1"):
        assert models[name].nodes == models["general"].nodes
        differing = [
            array
            for array in models[name].arrays
            if not np.array_equal(models[name].arrays[array], models["general"].arrays[array])
        ]
        assert sorted(differing) == ["standardize.scale", "standardize.shift"]
        assert models[name].provenance["device"] == name
    assert "device" not in models["general"].provenance


def test_each_device_gets_the_answers_of_the_reference(folder: Path, device_set: Path) -> None:
    models = DeviceModels(folder, threads=1)
    differences = []
    for reference in sorted(device_set.parent.glob("*-a.wav")):
        other = reference.with_name(reference.name.replace("-a", "-s1"))
        expected = models.for_device("a").predict(reference).windows
        np.testing.assert_allclose(models.for_device("s1").predict(other).windows, expected, atol=2e-3)
        differences.append(np.abs(models.for_device("a").predict(other).windows - expected).max())
    assert max(differences) > 0.02  # the model of a hears the lower level


def test_results_of_a_file_are_of_its_clips(run: Path, folder: Path, device_set: Path) -> None:
    report = evaluate(str(folder), device_set)
    counts = {name: own["clips"] for name, own in report["device_models"].items()}
    assert counts == {"a": 4, "s1": 4, "general": 6}
    metrics = json.loads((run / "metrics.json").read_text())["test"]
    assert metrics["clips"] == 14
    stored = {name: read_model(folder / f"{name}.scn").results["compressed"]["test"] for name in counts}
    assert {name: result["clips"] for name, result in stored.items()} == counts
    right = sum(result["accuracy"] * result["clips"] for result in stored.values())
    assert right == pytest.approx(report["accuracy"] * 14)
    loss = sum(result["log_loss"] * result["clips"] for result in stored.values()) / 14
    assert loss == pytest.approx(report["log_loss"], abs=5e-3)


def test_single_file_is_the_general_one(
    run: Path, folder: Path, device_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = compress(run, tmp_path / "m.scn", dtype="fp16")
    assert "with a folder as --out, each device gets a file with its own standardization" in capsys.readouterr().err
    assert "files" not in result
    model, general = read_model(tmp_path / "m.scn"), read_model(folder / "general.scn")
    for name in ("standardize.scale", "standardize.shift"):
        np.testing.assert_array_equal(model.arrays[name], general.arrays[name])
    # its results are those of this file alone
    report = evaluate(str(tmp_path / "m.scn"), device_set)
    assert result["compressed"]["test"]["accuracy"] == report["accuracy"]
    assert result["compressed"]["test"]["log_loss"] == pytest.approx(report["log_loss"], abs=5e-3)


def test_compress_refuses_before_it_writes(run: Path, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "b.scn").touch()
    with pytest.raises(UsageError, match=r"b\.scn: is not a model of these devices; delete it"):
        compress(run, tmp_path / "old")
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is a file; give a folder"):
        compress(run, tmp_path / "file")


def test_with_band_map_equals_the_map_of_the_input(run: Path, folder: Path, rng: np.random.Generator) -> None:
    model = read_model(folder / "general.scn")
    bands = BandMap(rng.uniform(0.5, 2, 32).astype(np.float32), rng.normal(0, 9, 32).astype(np.float32))
    x = rng.normal(-40, 9, (3, *model.input_shape)).astype(np.float32)
    mapped = x * bands.scale[:, None] + bands.shift[:, None]
    found = Classifier(with_band_map(model, bands), threads=1).probabilities(x)
    np.testing.assert_allclose(found, Classifier(model, threads=1).probabilities(mapped), atol=1e-4)


def test_network_that_starts_from_it_gets_standardized_bands(
    run: Path, device_set: Path, tiny_settings: list[str], tmp_path: Path
) -> None:
    """A run on s1 alone standardizes by s1, so that the trained layers get what they got in training."""
    changes = ["data.standardize=device", "split.device=s1", "schedule.epochs=1"]
    train(device_set, tmp_path / "s1", load_recipe("low_complexity", [*tiny_settings, *changes]), source=run)
    own = load_network(tmp_path / "s1", read_record(tmp_path / "s1"))
    s1 = read_statistics(run).devices["s1"]
    np.testing.assert_allclose(own.mean, s1.mean, atol=1e-3)
    np.testing.assert_allclose(own.std, s1.std, rtol=1e-4)
