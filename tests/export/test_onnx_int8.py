"""Exported ONNX files in int8: quantized parts and accuracy."""

from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest

from helpers.tiny_model import model_of, random_network, tiny_model
from scenelet.export.onnx_file import onnx_bytes, run_onnxruntime
from scenelet.export.onnx_int8 import int8_bytes
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
