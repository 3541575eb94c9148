"""Exported ONNX files from log-mel or samples: metadata, equivalence, and the comparison of runtimes."""

import json
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
import onnxruntime
import pytest

from helpers.tiny_model import FEATURES, WINDOW, changed, tiny_model
from scenelet.audio.log_mel import LogMel
from scenelet.config import FeatureConfig, WindowConfig
from scenelet.export.onnx_file import (
    GraphInput,
    RuntimeCheck,
    compare_runtimes,
    onnx_bytes,
    run_onnxruntime,
    synthetic_windows,
)
from scenelet.inference.classifier import Classifier
from scenelet.model.scene_model import SceneModel

KINDS = ("log-mel", "waveform")
REPEATING = WINDOW.model_copy(update={"pad_mode": "repeat", "min_sound_seconds": 0.02})
MODELS = {
    "stereo": tiny_model(),
    "mid-side": changed(tiny_model(), features=FEATURES.model_copy(update={"channels": "mid-side"})),
    "repeated sound": changed(tiny_model(), window=REPEATING),
}


def load_session(exported: bytes) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(exported, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize(
    ("kind", "name", "shape", "rows"),
    [("log-mel", "log_mel", ["batch", 2, 16, 13], "batch"), ("waveform", "waveform", [1, 2, 1600], 1)],
)
def test_onnx_bytes_has_input_output_and_metadata(
    kind: GraphInput, name: str, shape: list[int | str], rows: int | str
) -> None:
    model = tiny_model()
    session = load_session(onnx_bytes(model, kind))
    assert [(value.name, value.shape) for value in session.get_inputs()] == [(name, shape)]
    assert [(value.name, value.shape) for value in session.get_outputs()] == [("probabilities", [rows, 3])]
    metadata = session.get_modelmeta().custom_metadata_map
    assert set(metadata) == {"labels", "features", "window", "licenses"}
    assert json.loads(metadata["licenses"]) == list(model.licenses)
    assert json.loads(metadata["labels"]) == list(model.labels)
    assert FeatureConfig.model_validate_json(metadata["features"]) == model.features
    assert WindowConfig.model_validate_json(metadata["window"]) == model.window


@pytest.mark.parametrize("kind", KINDS)
def test_onnx_bytes_is_deterministic(kind: GraphInput) -> None:
    assert onnx_bytes(tiny_model(), kind) == onnx_bytes(tiny_model(), kind)
    assert onnx_bytes(tiny_model(), kind) != onnx_bytes(tiny_model(1), kind)


@pytest.mark.parametrize(
    ("model", "kind"),
    [(tiny_model(), "log-mel"), *((model, "waveform") for model in MODELS.values())],
    ids=["log-mel", *MODELS],
)
def test_compare_runtimes_agrees_with_the_right_model_only(model: SceneModel, kind: GraphInput) -> None:
    classifier = Classifier(model, threads=1)
    found = compare_runtimes(onnx_bytes(model, kind), classifier, kind)
    assert [check.runtime for check in found] == ["ONNX Runtime", *(["OpenVINO"] if find_spec("openvino") else [])]
    for check in found:
        assert check.error == ""
        assert check.largest_difference is not None
        assert check.largest_difference < 1e-5
    other = onnx_bytes(changed(tiny_model(1), features=model.features, window=model.window), kind)
    for check in compare_runtimes(other, classifier, kind):
        assert check.largest_difference > 0.1
        assert check.windows == 4
        assert check.other_labels > 0


def test_compare_runtimes_detects_missing_repetition() -> None:
    without = onnx_bytes(MODELS["stereo"], "waveform")
    found = compare_runtimes(without, Classifier(MODELS["repeated sound"], threads=1), "waveform")
    assert all(check.largest_difference > 1e-3 for check in found)


def test_compare_runtimes_reports_a_failure_in_one_line() -> None:
    def refuse(exported: bytes, name: str) -> Callable[[np.ndarray], np.ndarray]:
        raise RuntimeError("Check failed at x.cpp:1\n\nno such operation: STFT\n")

    exported, classifier = onnx_bytes(tiny_model(), "log-mel"), Classifier(tiny_model(), threads=1)
    runtimes = {"Some": refuse, "ONNX Runtime": run_onnxruntime}
    refused, ran = compare_runtimes(exported, classifier, "log-mel", runtimes=runtimes)
    assert refused == RuntimeCheck("Some", None, error="no such operation: STFT")
    assert ran.largest_difference is not None


def test_synthetic_windows_have_sound_and_silent_ends() -> None:
    windows = synthetic_windows(tiny_model(), "waveform")
    assert all(window.shape == (2, 1600) and window.dtype == np.float32 for window in windows)
    silent = [not window[:, :320].any() and not window[:, 800:].any() for window in windows]
    assert {True, False} == set(silent)
    assert all(np.isfinite(window).all() and window.any() for window in windows)
    features = synthetic_windows(tiny_model(), "log-mel")
    assert len(features) == len(windows)
    for log_mel, window in zip(features, windows, strict=True):
        np.testing.assert_array_equal(log_mel, LogMel(FEATURES)(window))


def test_compare_runtimes_uses_the_least_certain_windows() -> None:
    """A probability of 1 hides errors."""
    classifier, compared = Classifier(tiny_model(), threads=1), []

    def record(exported: bytes, name: str) -> Callable[[np.ndarray], np.ndarray]:
        return lambda windows: compared.append(windows) or classifier.probabilities(windows)

    (found,) = compare_runtimes(b"", classifier, "log-mel", runtimes={"Some": record})
    assert found == RuntimeCheck("Some", 0.0, 4)

    def certainty(windows: list[np.ndarray]) -> list[float]:
        return sorted(float(classifier.probabilities(window).max()) for window in windows)

    all_of_them = certainty([window[None] for window in synthetic_windows(tiny_model(), "log-mel")])
    assert certainty(compared) == all_of_them[:4]
    assert all_of_them[-1] > all_of_them[3]
