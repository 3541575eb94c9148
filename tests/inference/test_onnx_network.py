"""Tests of the ONNX graph against an interpreter of the nodes in float64, which uses SciPy."""

from pathlib import Path
from typing import get_args

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.signal import correlate2d
from scipy.special import expit

from helpers.tiny_model import Builder, random_network
from scenelet.errors import ModelFileError
from scenelet.inference.onnx_network import to_onnx
from scenelet.inference.runtimes import make_session
from scenelet.model.ops import INPUT, OUTPUT, Node


def interpret(net: Builder, log_mel: np.ndarray) -> dict[str, np.ndarray]:
    """Compute all values for one window (channels, n_mels, frames)."""
    arrays = {name: array.astype(np.float64) for name, array in net.arrays.items()}
    values = {INPUT: log_mel.astype(np.float64)}
    for node in net.nodes:
        x = values[node.reads[0]]
        if node.op == "Conv":
            y = convolve(x, arrays[node.weight], node.stride, node.padding, node.groups, node.dilation)
        elif node.op == "ScaleShift":
            scale, shift = arrays[node.scale], arrays[node.shift]
            y = np.empty_like(x)
            height = x.shape[1] // len(scale)
            for channel in range(x.shape[0]):
                for band in range(len(scale)):
                    rows = slice(band * height, (band + 1) * height)
                    column = channel if scale.shape[1] > 1 else 0
                    y[channel, rows] = x[channel, rows] * scale[band, column] + shift[band, column]
        elif node.op == "Relu":
            y = np.where(x > 0, x, 0)
        elif node.op == "Silu":
            y = x * expit(x)
        elif node.op == "Add":
            y = x + values[node.inputs[1]]
        elif node.op == "MaxPool":
            tiles = np.lib.stride_tricks.sliding_window_view(x, node.kernel, axis=(1, 2))
            y = tiles[:, :: node.stride[0], :: node.stride[1]].max(axis=(3, 4))
        elif node.op == "AveragePool":
            padded = np.pad(x, ((0, 0), *((p, p) for p in node.padding)))
            tiles = np.lib.stride_tricks.sliding_window_view(padded, node.kernel, axis=(1, 2))
            y = tiles[:, :: node.stride[0], :: node.stride[1]].mean(axis=(3, 4))
        elif node.op == "ResidualNorm":
            mean, var = x.mean(axis=(0, 2), keepdims=True), x.var(axis=(0, 2), keepdims=True)
            y = 0.1 * x + (x - mean) / np.sqrt(var + 1e-5)
        elif node.op == "FrequencyMeanPool":
            y = x.mean(axis=1, keepdims=True)
        elif node.op == "GlobalMeanPool":
            y = x.mean(axis=(1, 2))
        elif node.op == "Flatten":
            y = np.array([x[c, f, t] for c in range(x.shape[0]) for f in range(x.shape[1]) for t in range(x.shape[2])])
        elif node.op == "Linear":
            y = arrays[node.weight] @ x + arrays[node.bias]
        elif node.op == "Softmax":
            y = np.exp(x - x.max()) / np.exp(x - x.max()).sum()
        values[node.output] = y
    return values


def convolve(x: np.ndarray, weight: np.ndarray, stride, padding, groups: int, dilation) -> np.ndarray:
    apart = np.zeros((*weight.shape[:2], *((k - 1) * d + 1 for k, d in zip(weight.shape[2:], dilation, strict=True))))
    apart[:, :, :: dilation[0], :: dilation[1]] = weight
    padded = np.pad(x, ((0, 0), (padding[0],) * 2, (padding[1],) * 2))
    per_group = len(weight) // groups
    maps = []
    for out, kernels in enumerate(apart):
        first = out // per_group * len(kernels)
        total = sum(correlate2d(padded[first + i], kernel, mode="valid") for i, kernel in enumerate(kernels))
        maps.append(total[:: stride[0], :: stride[1]])
    return np.stack(maps)


def windows(net: Builder, count: int = 3) -> np.ndarray:
    return np.random.default_rng(5).normal(0, 2, (count, *net.input_shape)).astype(np.float32)


def run(session: onnxruntime.InferenceSession, log_mel: np.ndarray) -> np.ndarray:
    return session.run([OUTPUT], {INPUT: log_mel})[0]


@given(st.integers(0, 10_000), st.booleans())
@example(940, False)  # values of hundreds in a SiLU
@settings(max_examples=40, deadline=None)
def test_make_session_agrees_with_interpreter(seed: int, dense: bool) -> None:
    net = random_network(seed, dense)
    log_mel = windows(net)
    found = run(make_session(net.nodes, net.arrays, net.input_shape, threads=1), log_mel)
    expected = np.stack([interpret(net, window)[OUTPUT] for window in log_mel])
    np.testing.assert_allclose(found, expected, atol=2e-5)


@pytest.mark.parametrize("seed", range(6))
def test_to_onnx_agrees_with_make_session(seed: int, tmp_path: Path) -> None:
    net = random_network(seed, dense=seed % 2 == 1)
    path = tmp_path / "model.onnx"
    onnx.save_model(to_onnx(net.nodes, net.arrays, net.input_shape, metadata={"labels": "[]"}), path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    log_mel = windows(net)
    assert session.get_modelmeta().custom_metadata_map == {"labels": "[]"}
    assert [value.name for value in session.get_inputs()] == [INPUT]
    assert session.get_inputs()[0].shape == ["batch", *net.input_shape]
    assert session.get_outputs()[0].shape == ["batch", 3]
    in_memory = make_session(net.nodes, net.arrays, net.input_shape)
    np.testing.assert_allclose(run(session, log_mel), run(in_memory, log_mel), atol=1e-6)


def count(net: Builder, op: str) -> int:
    return sum(node.op_type == op for node in to_onnx(net.nodes, net.arrays, net.input_shape).graph.node)


def test_to_onnx_folds_norms_only_if_exact() -> None:
    net = Builder(np.random.default_rng(0), (2, 8, 6))
    net.scale_shift(1)  # reads the input, not a convolution
    net.conv(4)
    net.scale_shift(1)  # folded
    net.conv(4)
    net.scale_shift(2)  # two sub-bands
    start = net.conv(4)
    net.scale_shift(1)  # the convolution is read again below
    net.add(start)
    net.conv(4, weight="shared")
    net.scale_shift(1)  # folded, each use with its own norm
    net.conv(4, weight="shared")
    net.scale_shift(1, channels=1)  # folded
    net.relu()
    net.scale_shift(1)  # reads a ReLU
    net.head(3, dense=True)
    assert sum(node.op == "ScaleShift" for node in net.nodes) == 7
    assert count(net, "Mul") == 4
    log_mel = windows(net)
    expected = np.stack([interpret(net, window)[OUTPUT] for window in log_mel])
    found = run(make_session(net.nodes, net.arrays, net.input_shape), log_mel)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_make_session_does_not_change_arrays() -> None:
    net = random_network(3)
    before = {name: array.copy() for name, array in net.arrays.items()}
    make_session(net.nodes, net.arrays, net.input_shape)
    for name, array in before.items():
        np.testing.assert_array_equal(net.arrays[name], array)


def test_interpreter_detects_swapped_norms() -> None:
    """The comparisons in this file would fail if two norms were swapped."""
    net = random_network(1)
    log_mel = windows(net, 1)
    before = interpret(net, log_mel[0])[OUTPUT]
    scales = [node.scale for node in net.nodes if node.op == "ScaleShift" and net.arrays[node.scale].shape == (1, 4)]
    assert len(scales) > 1
    net.arrays[scales[0]], net.arrays[scales[-1]] = net.arrays[scales[-1]], net.arrays[scales[0]]
    assert np.abs(interpret(net, log_mel[0])[OUTPUT] - before).max() > 1e-3


def test_random_networks_have_all_kinds_of_nodes() -> None:
    nodes = [node for seed in range(20) for node in random_network(seed, dense=seed % 2 == 1).nodes]
    assert {node.op for node in nodes} == {kind.model_fields["op"].default for kind in get_args(get_args(Node)[0])}
    apart = [node.dilation for node in nodes if node.op == "Conv" and node.dilation != (1, 1)]
    assert {frequency > 1 for frequency, _ in apart} == {time > 1 for _, time in apart} == {True, False}


def test_random_network_depends_on_seed_only() -> None:
    one, again, other = random_network(4), random_network(4), random_network(5)
    assert one.nodes == again.nodes != other.nodes
    assert all(np.array_equal(one.arrays[name], array) for name, array in again.arrays.items())


def test_add_broadcasts_over_frequency() -> None:
    for swapped in (False, True):
        net = Builder(np.random.default_rng(0), (2, 8, 6))
        tall = net.conv(4)
        net.frequency_mean_pool()
        net.scale_shift(1)
        row = net.silu()
        total = net.add(tall, swapped=swapped)
        net.head(3, dense=True)
        window = windows(net, 1)
        values = interpret(net, window[0])
        for frequency in range(8):
            expected = values[tall][:, frequency] + values[row][:, 0]
            np.testing.assert_allclose(values[total][:, frequency], expected, atol=1e-12)
        found = run(make_session(net.nodes, net.arrays, net.input_shape), window)[0]
        np.testing.assert_allclose(found, values[OUTPUT], atol=1e-5)


def test_make_session_missing_array_raises() -> None:
    net = random_network(0)
    del net.arrays["v0.scale"]
    with pytest.raises(ModelFileError, match=r"'v0.scale', which is missing"):
        make_session(net.nodes, net.arrays, net.input_shape)
