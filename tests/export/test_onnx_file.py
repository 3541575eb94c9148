"""Exported ONNX files, from log-mel, from samples and in int8: what they say of themselves and what they compute."""

import json
from collections import Counter
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from helpers.tiny_model import FEATURES, WINDOW, changed, model_of, random_network, tiny_model
from scenelet.audio.log_mel import LogMel
from scenelet.audio.windows import windows
from scenelet.config import FeatureConfig, WindowConfig
from scenelet.errors import AudioError
from scenelet.export import onnx_file
from scenelet.export import onnx_int8 as int8_activations
from scenelet.export.onnx_file import RuntimeCheck, compare_runtimes, onnx_bytes, run_onnxruntime, synthetic_windows
from scenelet.export.onnx_int8 import calibrate, int8_bytes
from scenelet.inference.classifier import Classifier
from scenelet.model.scene_model import SceneModel

KINDS = ("log-mel", "waveform")
FILLED = WINDOW.model_copy(update={"pad_mode": "repeat", "min_sound_seconds": 0.02})
MODELS = {
    "stereo": tiny_model(),
    "mid-side": changed(tiny_model(), features=FEATURES.model_copy(update={"channels": "mid-side"})),
    "silent ends filled": changed(tiny_model(), window=FILLED),
}


def random_model(seed: int, dense: bool) -> SceneModel:
    """Its input is standardized, as it is in every trained network."""
    net = random_network(seed, dense)
    net.arrays["v0.scale"][:], net.arrays["v0.shift"][:] = 0.05, 2.0
    return model_of(net)


def opened(exported: bytes) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(exported, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize(
    ("kind", "name", "shape", "rows"),
    [("log-mel", "log_mel", ["batch", 2, 16, 13], "batch"), ("waveform", "waveform", [1, 2, 1600], 1)],
)
def test_a_file_says_what_it_takes_and_what_it_answers(
    kind: onnx_file.GraphInput, name: str, shape: list[int | str], rows: int | str
) -> None:
    model = tiny_model()
    session = opened(onnx_bytes(model, kind))
    assert [(value.name, value.shape) for value in session.get_inputs()] == [(name, shape)]
    assert [(value.name, value.shape) for value in session.get_outputs()] == [("probabilities", [rows, 3])]
    metadata = session.get_modelmeta().custom_metadata_map
    assert set(metadata) == {"labels", "features", "window", "licenses"}
    assert json.loads(metadata["licenses"]) == list(model.licenses)
    assert json.loads(metadata["labels"]) == list(model.labels)
    assert FeatureConfig.model_validate_json(metadata["features"]) == model.features
    assert WindowConfig.model_validate_json(metadata["window"]) == model.window


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_model_gives_the_same_bytes(kind: onnx_file.GraphInput) -> None:
    assert onnx_bytes(tiny_model(), kind) == onnx_bytes(tiny_model(), kind)
    assert onnx_bytes(tiny_model(), kind) != onnx_bytes(tiny_model(1), kind)


@pytest.mark.parametrize(
    ("model", "kind"),
    [(tiny_model(), "log-mel"), *((model, "waveform") for model in MODELS.values())],
    ids=["log-mel", *MODELS],
)
def test_every_runtime_agrees_with_the_model_file_and_with_no_other(
    model: SceneModel, kind: onnx_file.GraphInput
) -> None:
    classifier = Classifier(model, threads=1)
    found = compare_runtimes(onnx_bytes(model, kind), classifier, kind)
    assert [one.runtime for one in found] == ["ONNX Runtime", *(["OpenVINO"] if find_spec("openvino") else [])]
    for one in found:
        assert one.error == ""
        assert one.largest_difference is not None
        assert one.largest_difference < 1e-5
    other = onnx_bytes(changed(tiny_model(1), features=model.features, window=model.window), kind)
    for one in compare_runtimes(other, classifier, kind):
        assert one.largest_difference > 0.1
        assert one.windows == 4
        assert one.other_labels > 0


def test_a_graph_that_left_silent_ends_alone_would_be_seen() -> None:
    forgot = onnx_bytes(MODELS["stereo"], "waveform")
    found = compare_runtimes(forgot, Classifier(MODELS["silent ends filled"], threads=1), "waveform")
    assert all(one.largest_difference > 1e-3 for one in found)


def test_a_runtime_that_refuses_the_file_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(exported: bytes, name: str) -> Callable[[np.ndarray], np.ndarray]:
        raise RuntimeError("Check failed at x.cpp:1\n\nno such operation: STFT\n")

    monkeypatch.setattr(onnx_file, "_runtimes", lambda: {"Some": refuse, "ONNX Runtime": run_onnxruntime})
    refused, ran = compare_runtimes(onnx_bytes(tiny_model(), "log-mel"), Classifier(tiny_model(), threads=1), "log-mel")
    assert refused == RuntimeCheck("Some", None, error="no such operation: STFT")
    assert ran.largest_difference is not None


def test_made_windows_sound_from_end_to_end_and_between_silent_ends() -> None:
    windows = synthetic_windows(tiny_model(), "waveform")
    assert all(window.shape == (2, 1600) and window.dtype == np.float32 for window in windows)
    silent = [not window[:, :320].any() and not window[:, 800:].any() for window in windows]
    assert {True, False} == set(silent)
    assert all(np.isfinite(window).all() and window.any() for window in windows)
    heard = synthetic_windows(tiny_model(), "log-mel")
    assert len(heard) == len(windows)
    for log_mel, window in zip(heard, windows, strict=True):
        np.testing.assert_array_equal(log_mel, LogMel(FEATURES)(window))


def test_the_windows_compared_are_those_the_model_is_least_sure_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a probability is 1 nothing that is wrong shows."""
    classifier, heard = Classifier(tiny_model(), threads=1), []

    def record(exported: bytes, name: str) -> Callable[[np.ndarray], np.ndarray]:
        return lambda windows: heard.append(windows) or classifier.probabilities(windows)

    monkeypatch.setattr(onnx_file, "_runtimes", lambda: {"Some": record})
    (found,) = compare_runtimes(b"", classifier, "log-mel")
    assert found == RuntimeCheck("Some", 0.0, 4)

    def sureness(windows: list[np.ndarray]) -> list[float]:
        return sorted(float(classifier.probabilities(one).max()) for one in windows)

    all_of_them = sureness([one[None] for one in synthetic_windows(tiny_model(), "log-mel")])
    assert sureness(heard) == all_of_them[:4]
    assert all_of_them[-1] > all_of_them[3]


def log_mels(model: SceneModel, count: int = 8) -> list[np.ndarray]:
    return list(np.random.default_rng(1).normal(-40, 15, (count, *model.input_shape)).astype(np.float32))


def int8_difference(model: SceneModel, calibrated_on: list[np.ndarray], heard: list[np.ndarray]) -> float:
    run = run_onnxruntime(int8_bytes(model, calibrated_on), "log_mel")
    expected = Classifier(model, threads=1).probabilities(np.stack(heard))
    return float(np.abs(np.concatenate([run(one[None]) for one in heard]) - expected).max())


@pytest.mark.parametrize("model", [tiny_model(), random_model(1, dense=True)], ids=["tiny", "dense"])
def test_int8_answers_are_near_those_in_fp32(model: SceneModel) -> None:
    windows = log_mels(model)
    assert 0 < int8_difference(model, windows, windows) < 0.05


def test_int8_ranges_come_from_the_calibration_windows() -> None:
    model = tiny_model()
    quiet = [np.full(model.input_shape, -100, np.float32)]
    assert int8_difference(model, quiet, log_mels(model)) > 3 * int8_difference(model, log_mels(model), log_mels(model))


def test_an_int8_file_quantizes_weights_and_activations_and_says_what_the_other_says() -> None:
    model = tiny_model()
    exported = int8_bytes(model, log_mels(model))
    made = onnx.load_from_string(exported)
    operations = Counter(node.op_type for node in made.graph.node)
    assert operations["QuantizeLinear"] >= 6
    assert operations["DequantizeLinear"] > operations["QuantizeLinear"]  # those of the weights
    writers = {name: node for node in made.graph.node for name in node.output}
    convolutions = [node for node in made.graph.node if node.op_type == "Conv"]
    assert len(convolutions) == 4
    for node in convolutions:
        assert [writers[name].op_type for name in node.input] == ["DequantizeLinear"] * len(node.input)
    held = {tensor.name: tensor for tensor in made.graph.initializer}
    for node in convolutions:
        weight, step, _ = (held[name] for name in writers[node.input[1]].input)
        assert weight.data_type == onnx.TensorProto.INT8
        assert list(step.dims) == [weight.dims[0]]  # of each output channel
    session = opened(exported)
    assert session.get_inputs()[0].shape == ["batch", 2, 16, 13]
    plain = opened(onnx_bytes(model, "log-mel"))
    assert session.get_modelmeta().custom_metadata_map == plain.get_modelmeta().custom_metadata_map


def test_the_inputs_standardisation_is_not_quantized() -> None:
    made = onnx.load_from_string(int8_bytes(tiny_model(), log_mels(tiny_model())))
    (first,) = (node for node in made.graph.node if "log_mel" in node.input)
    assert first.op_type == "Mul"
    (second,) = (node for node in made.graph.node if first.output[0] in node.input)
    assert second.op_type == "Add"


def test_the_same_windows_give_the_same_int8_bytes_and_nothing_is_said(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    exported = int8_bytes(tiny_model(), log_mels(tiny_model()))
    assert exported == int8_bytes(tiny_model(), log_mels(tiny_model()))
    assert exported != int8_bytes(tiny_model(), log_mels(tiny_model(), count=2))
    assert "".join(capfd.readouterr()) == ""
    assert caplog.records == []


@pytest.fixture
def recordings(write_wav: Callable[..., Path]) -> list[Path]:
    """Five of 0.6 s, three windows each, every one 10 dB below the one before."""
    rng = np.random.default_rng(3)
    return [write_wav(rng.normal(0, 10 ** -(1 + i / 2), (2, 4800)), 8000, f"{i}.wav") for i in range(5)]


def window_levels(windows: list[np.ndarray]) -> list[int]:
    """The number of the recording that each window was cut from."""
    found = [float(window.mean()) for window in windows]
    return [round((max(found) - level) / 10) for level in found]


def test_calibration_windows_are_what_the_network_hears_of_the_recordings(recordings: list[Path]) -> None:
    model = tiny_model()
    found = calibrate(model, recordings)
    expected = [
        LogMel(model.features)(cut) for path in recordings for cut in windows(path, model.features, model.window)
    ]
    assert len(expected) == 15
    kept_out = expected[4::5]
    assert found.recordings == 5
    np.testing.assert_array_equal(np.stack(found.compared), np.stack(kept_out))
    ranges = [one for one in expected if not any(one is other for other in kept_out)]
    np.testing.assert_array_equal(np.stack(found.ranges), np.stack(ranges))


def test_a_few_windows_are_compared_on_too(recordings: list[Path]) -> None:
    found = calibrate(tiny_model(), recordings[:1])
    assert len(found.ranges) == 3
    np.testing.assert_array_equal(np.stack(found.compared), np.stack(found.ranges))


def test_calibration_windows_are_no_more_than_needed_and_from_first_to_last(
    recordings: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(int8_activations, "WINDOWS", 4)
    found = calibrate(tiny_model(), recordings)
    assert 2 <= len(found.ranges) <= 4
    assert {0, 4} <= set(window_levels(found.ranges))


def test_recordings_that_cannot_be_read_are_left_out_and_named(recordings: list[Path], tmp_path: Path) -> None:
    text, cut = tmp_path / "text.wav", tmp_path / "cut.wav"
    text.write_text("hello")
    cut.write_bytes(recordings[0].read_bytes()[:9000])
    found = calibrate(tiny_model(), [text, *recordings[:2], cut, tmp_path / "absent.wav"])
    read = calibrate(tiny_model(), recordings[:2])
    np.testing.assert_array_equal(np.stack(found.ranges), np.stack(read.ranges))
    assert found.recordings == 2
    assert [str(failure).split(": ")[0] for failure in found.failures] == [
        str(path) for path in (text, cut, tmp_path / "absent.wav")
    ]


def test_where_none_can_be_read_the_first_ones_fault_is_told(tmp_path: Path) -> None:
    text = tmp_path / "text.wav"
    text.write_text("hello")
    with pytest.raises(AudioError, match=r"text\.wav: not a recording"):
        calibrate(tiny_model(), [text, tmp_path / "absent.wav"])
    with pytest.raises(AudioError, match="no recordings"):
        calibrate(tiny_model(), [])
