"""Exported ONNX files in int8: quantized parts, accuracy, and calibration."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from helpers.tiny_model import model_of, random_network, tiny_model
from scenelet.audio.log_mel import LogMel
from scenelet.audio.windows import windows
from scenelet.errors import AudioError
from scenelet.export.onnx_file import onnx_bytes, run_onnxruntime
from scenelet.export.onnx_int8 import calibrate, int8_bytes
from scenelet.inference.classifier import Classifier
from scenelet.model.scene_model import SceneModel


def random_model(seed: int, dense: bool) -> SceneModel:
    """Build a random model whose input is standardized, as in every trained network."""
    net = random_network(seed, dense)
    net.arrays["v0.scale"][:], net.arrays["v0.shift"][:] = 0.05, 2.0
    return model_of(net)


def load_session(exported: bytes) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(exported, providers=["CPUExecutionProvider"])


def log_mels(model: SceneModel, count: int = 8) -> list[np.ndarray]:
    return list(np.random.default_rng(1).normal(-40, 15, (count, *model.input_shape)).astype(np.float32))


def int8_difference(model: SceneModel, calibration: list[np.ndarray], windows: list[np.ndarray]) -> float:
    run = run_onnxruntime(int8_bytes(model, calibration), "log_mel")
    expected = Classifier(model, threads=1).probabilities(np.stack(windows))
    return float(np.abs(np.concatenate([run(window[None]) for window in windows]) - expected).max())


@pytest.mark.parametrize("model", [tiny_model(), random_model(1, dense=True)], ids=["tiny", "dense"])
def test_int8_bytes_predicts_nearly_like_fp32(model: SceneModel) -> None:
    windows = log_mels(model)
    assert 0 < int8_difference(model, windows, windows) < 0.05


def test_int8_bytes_takes_ranges_from_calibration() -> None:
    model = tiny_model()
    quiet = [np.full(model.input_shape, -100, np.float32)]
    assert int8_difference(model, quiet, log_mels(model)) > 3 * int8_difference(model, log_mels(model), log_mels(model))


def test_int8_bytes_quantizes_weights_and_activations() -> None:
    model = tiny_model()
    exported = int8_bytes(model, log_mels(model))
    proto = onnx.load_from_string(exported)
    operations = Counter(node.op_type for node in proto.graph.node)
    assert operations["QuantizeLinear"] >= 6
    assert operations["DequantizeLinear"] > operations["QuantizeLinear"]  # weights have no QuantizeLinear
    writers = {name: node for node in proto.graph.node for name in node.output}
    convolutions = [node for node in proto.graph.node if node.op_type == "Conv"]
    assert len(convolutions) == 4
    for node in convolutions:
        assert [writers[name].op_type for name in node.input] == ["DequantizeLinear"] * len(node.input)
    held = {tensor.name: tensor for tensor in proto.graph.initializer}
    for node in convolutions:
        weight, step, _ = (held[name] for name in writers[node.input[1]].input)
        assert weight.data_type == onnx.TensorProto.INT8
        assert list(step.dims) == [weight.dims[0]]  # per output channel
    session = load_session(exported)
    assert session.get_inputs()[0].shape == ["batch", 2, 16, 13]
    plain = load_session(onnx_bytes(model, "log-mel"))
    assert session.get_modelmeta().custom_metadata_map == plain.get_modelmeta().custom_metadata_map


def test_int8_bytes_keeps_standardization_in_fp32() -> None:
    proto = onnx.load_from_string(int8_bytes(tiny_model(), log_mels(tiny_model())))
    (first,) = (node for node in proto.graph.node if "log_mel" in node.input)
    assert first.op_type == "Mul"
    (second,) = (node for node in proto.graph.node if first.output[0] in node.input)
    assert second.op_type == "Add"


def test_int8_bytes_keeps_residual_norms_in_fp32() -> None:
    net = random_network(1)
    assert sum(node.op == "ResidualNorm" for node in net.nodes) == 2
    model = random_model(1, dense=False)
    windows = log_mels(model)
    assert 0 < int8_difference(model, windows, windows) < 0.05
    proto = onnx.load_from_string(int8_bytes(model, windows))
    writers = {name: node for node in proto.graph.node for name in node.output}
    sums = [node for node in proto.graph.node if node.op_type == "Add" and "normalized" in node.input[1]]
    assert [[writers[name].op_type for name in node.input] for node in sums] == 2 * [["Mul", "Transpose"]]


def test_int8_bytes_is_deterministic_and_silent(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    exported = int8_bytes(tiny_model(), log_mels(tiny_model()))
    assert exported == int8_bytes(tiny_model(), log_mels(tiny_model()))
    assert exported != int8_bytes(tiny_model(), log_mels(tiny_model(), count=2))
    assert "".join(capfd.readouterr()) == ""
    assert caplog.records == []


@pytest.fixture
def recordings(write_wav: Callable[..., Path]) -> list[Path]:
    """Write five recordings of 0.6 s, three windows each, in steps of -10 dB."""
    rng = np.random.default_rng(3)
    return [write_wav(rng.normal(0, 10 ** -(1 + i / 2), (2, 4800)), 8000, f"{i}.wav") for i in range(5)]


def window_levels(windows: list[np.ndarray]) -> list[int]:
    """Return the index of the recording that each window was cut from."""
    found = [float(window.mean()) for window in windows]
    return [round((max(found) - level) / 10) for level in found]


def test_calibrate_returns_the_features_of_all_windows(recordings: list[Path]) -> None:
    model = tiny_model()
    found = calibrate(model, recordings)
    expected = [
        LogMel(model.features)(cut) for path in recordings for cut in windows(path, model.features, model.window)
    ]
    assert len(expected) == 15
    held_out = expected[4::5]
    assert found.recordings == 5
    np.testing.assert_array_equal(np.stack(found.compared), np.stack(held_out))
    ranges = [window for window in expected if not any(window is other for other in held_out)]
    np.testing.assert_array_equal(np.stack(found.ranges), np.stack(ranges))


def test_calibrate_reuses_few_windows_for_comparison(recordings: list[Path]) -> None:
    found = calibrate(tiny_model(), recordings[:1])
    assert len(found.ranges) == 3
    np.testing.assert_array_equal(np.stack(found.compared), np.stack(found.ranges))


def test_calibrate_spreads_a_limited_count_of_windows(recordings: list[Path]) -> None:
    found = calibrate(tiny_model(), recordings, max_windows=4)
    assert 2 <= len(found.ranges) <= 4
    assert {0, 4} <= set(window_levels(found.ranges))


def test_calibrate_reports_recordings_it_cannot_read(recordings: list[Path], tmp_path: Path) -> None:
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


def test_calibrate_without_readable_recordings_raises(tmp_path: Path) -> None:
    text = tmp_path / "text.wav"
    text.write_text("hello")
    with pytest.raises(AudioError, match=r"text\.wav: not a recording"):
        calibrate(tiny_model(), [text, tmp_path / "absent.wav"])
    with pytest.raises(AudioError, match="there are no recordings"):
        calibrate(tiny_model(), [])
