"""Temperature of a model file: it is found from probabilities, and it divides the logits of the file."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import traced_networks
from helpers.tiny_model import tiny_model
from scenelet.config.recipes import load_recipe
from scenelet.config.run_folder import read_record
from scenelet.evaluation.metrics import log_loss
from scenelet.inference.calibration import apply_temperature, stored_calibration
from scenelet.inference.classifier import Classifier
from scenelet.model.encodings import to_int8
from scenelet.model.file import decode_model, encode_model, read_model, stored_model
from scenelet.model.sizes import sizes
from scenelet.model.temperature import scale_logits
from scenelet.nn.convert import to_scene_model
from scenelet.nn.quantize import WeightFormat, round_network
from scenelet.training.compression.calibration import (
    MIN_TEMPERATURE,
    CalibratedModel,
    calibrate,
    find_temperature,
)
from scenelet.training.compression.compress import compress
from scenelet.training.dataset import load_dataset
from scenelet.training.measure import file_windows
from scenelet.training.preflight import load_recorded_table
from scenelet.training.probabilities import mean_over_windows
from scenelet.training.train import train


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0, 4.0])
def test_find_temperature_recovers_the_one_of_synthetic_logits(rng: np.random.Generator, temperature: float) -> None:
    """Labels are drawn from softmax(logits), and the network gives the logits times the temperature."""
    logits = rng.normal(0, 2, (40_000, 4))
    targets = (softmax(logits).cumsum(axis=1) > rng.uniform(size=(len(logits), 1))).argmax(axis=1)
    windows = softmax(temperature * logits).astype(np.float32)
    found = find_temperature(targets, windows, np.ones(len(logits), np.int64))
    assert found == pytest.approx(temperature, rel=0.03)


def test_find_temperature_uses_the_mean_over_windows(rng: np.random.Generator) -> None:
    """Two equal windows count as one. A silent window does not count."""
    windows = softmax(rng.normal(0, 3, (300, 3))).astype(np.float32)
    targets, once = rng.integers(0, 3, 300), np.ones(300, np.int64)
    expected = find_temperature(targets, windows, once)
    assert find_temperature(targets, np.repeat(windows, 2, axis=0), 2 * once) == pytest.approx(expected, rel=1e-4)
    with_silence = np.stack([windows, np.zeros_like(windows)], axis=1).reshape(-1, 3)
    assert find_temperature(targets, with_silence, 2 * once) == pytest.approx(expected, rel=1e-4)


def test_few_clips_hardly_change_the_temperature() -> None:
    """A few clips without a mistake do not show that the answers are certain. Many do."""
    for clips, low, high in ((5, 0.85, 1.0), (2000, MIN_TEMPERATURE, 0.6)):
        windows = np.full((clips, 2), (0.8, 0.2), np.float32)
        assert low < find_temperature(np.zeros(clips, np.int64), windows, np.ones(clips, np.int64)) < high


@given(st.floats(0.25, 8), st.integers(0, 2**32 - 1))
def test_apply_temperature_is_a_division_of_logits(temperature: float, seed: int) -> None:
    logits = np.random.default_rng(seed).normal(0, 5, (4, 3))
    changed = apply_temperature(softmax(logits), temperature)
    np.testing.assert_allclose(changed, softmax(logits / temperature), rtol=1e-5, atol=1e-30)
    np.testing.assert_allclose(apply_temperature(changed, 1 / temperature), softmax(logits), rtol=1e-4, atol=1e-9)
    assert (changed.argmax(1) == logits.argmax(1)).all()


@pytest.mark.parametrize("dtype", ["fp16", "int4"])
@pytest.mark.parametrize("settings", traced_networks.ALL_NETWORKS, ids=str)
def test_scaled_logits_keep_the_stored_weights(
    rng: np.random.Generator, settings: dict[str, Any], dtype: WeightFormat
) -> None:
    network = traced_networks.random_network(**settings)
    round_network(network, dtype)
    labels, features, window = traced_networks.LABELS, traced_networks.FEATURES, traced_networks.WINDOW
    model = stored_model(to_scene_model(network, labels, features, window, dtype=dtype))
    scaled = decode_model(encode_model(scale_logits(model, 1.7)), "x.scn")
    for array, values in model.arrays.items():
        assert scaled.encodings[array] == model.encodings[array]
        assert scaled.arrays[array].tobytes() == values.tobytes()
        if model.encodings[array] == "masked_int8":
            assert (to_int8(array, scaled.arrays[array])[0] == to_int8(array, values)[0]).all()
    log_mel = rng.normal(-40, 20, (3, *model.input_shape)).astype(np.float32)
    before = Classifier(model, threads=1).probabilities(log_mel)
    after = Classifier(scaled, threads=1).probabilities(log_mel)
    np.testing.assert_allclose(after, apply_temperature(before, 1.7), atol=1e-6)
    assert (after.argmax(1) == before.argmax(1)).all()


@pytest.fixture(scope="module")
def run(tone_set: Path, tiny_settings: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("calibration") / "run"
    settings = [*tiny_settings, "schedule.epochs=2", "prune.epochs=0", "network.width=8", 'split.fold="1"']
    train(tone_set, folder, load_recipe("paper_short", settings))
    return folder


def test_calibrate_agrees_with_the_calibrated_file(run: Path, tmp_path: Path) -> None:
    """The stored effects are those of the file, and those of the file without its temperature."""
    result = compress(run, tmp_path / "m.scn", dtype="int8")
    model = read_model(tmp_path / "m.scn")
    record = read_record(run)
    dataset = load_dataset(load_recorded_table(record.data), record.config)
    measured = calibrate(model, dataset, should_calibrate=False)
    assert measured.model is model
    assert measured.calibration == {}
    assert dataset.test is not None
    after = log_loss(dataset.test.targets, measured.answers["test"])
    found = stored_calibration(model.results)
    assert found is not None
    assert (found.subset, found.clips) == ("test", len(dataset.test))
    assert found.log_loss[1] == pytest.approx(after, abs=1e-6)
    assert found.log_loss[1] <= found.log_loss[0] + 1e-9
    windows = apply_temperature(file_windows(Classifier(model), dataset.test.features), 1 / found.temperature)
    before = mean_over_windows(windows, dataset.test.features.count)
    assert found.log_loss[0] == pytest.approx(log_loss(dataset.test.targets, before), abs=1e-5)
    assert result["calibration"] == model.results["calibration"]
    assert result["compressed"]["test"]["log_loss"] == result["calibration"]["after"]["log_loss"]


def test_calibrate_without_held_out_clips_keeps_the_model(run: Path) -> None:
    record = read_record(run)
    dataset = replace(load_dataset(load_recorded_table(record.data), record.config), test=None, validation=None)
    model = stored_model(tiny_model())
    assert calibrate(model, dataset) == CalibratedModel(model, {}, {})


@pytest.mark.parametrize(
    "change", [{"temperature": 0}, {"temperature": "hot"}, {"clips": 0}, {"subset": 3}, {"before": {}}, {"after": None}]
)
def test_stored_calibration_ignores_invalid_content(change: dict[str, Any]) -> None:
    effect = {"log_loss": 0.2, "ece": 0.1}
    stored = {"temperature": 1.5, "subset": "test", "clips": 9, "before": effect, "after": effect}
    assert stored_calibration({"calibration": stored}) is not None
    assert stored_calibration({"calibration": stored | change}) is None


def test_temperature_counts_for_no_size_but_the_files() -> None:
    model = tiny_model()
    assert sizes(scale_logits(model, 1.5), 1000) == sizes(model, 1000)
