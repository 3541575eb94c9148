"""Files of all kinds of networks: in float they predict like the model, in int8 the interpreters are identical."""

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from helpers import traced_networks
from helpers.tiny_model import END, Builder, changed, model_of, random_network, tiny_model
from helpers.traced_networks import ALL_NETWORKS, FEATURES, LABELS, WINDOW
from scenelet.errors import ModelFileError
from scenelet.export.tflite.file import tflite_bytes
from scenelet.export.tflite.interpreters import enough_arena, load_litert, load_micro, run_windows
from scenelet.inference.classifier import Classifier
from scenelet.model.ops import ResidualNorm
from scenelet.model.scene_model import SceneModel
from scenelet.nn.convert import to_scene_model
from scenelet.nn.quantize import round_network


def log_mels(model: SceneModel, count: int = 6) -> np.ndarray:
    return np.random.default_rng(1).normal(-40, 12, (count, *model.input_shape)).astype(np.float32)


def built(add_nodes: Callable[[Builder], None], channels: int = 2, classes: int = 3) -> SceneModel:
    """Build a model from a standardization, the nodes under test, and a head with small logits."""
    net = Builder(np.random.default_rng(7), (channels, 16, 13))
    net.scale_shift(16, channels=1)
    net.arrays["v0.scale"][:], net.arrays["v0.shift"][:] = 0.08, 3.0
    add_nodes(net)
    net.head(classes, dense=False)
    labels = tuple(f"label {index}" for index in range(classes))
    return changed(model_of(net), labels=labels)


def assert_files_predict_like_the_model(model: SceneModel, int8_tolerance: float = 0.1) -> None:
    windows = log_mels(model)
    expected = Classifier(model, threads=1).probabilities(windows)
    exported = tflite_bytes(model)
    np.testing.assert_allclose(run_windows(load_litert(exported, False), windows), expected, atol=1e-4)
    np.testing.assert_allclose(run_windows(load_micro(exported, enough_arena(exported)), windows), expected, atol=1e-4)
    if any(isinstance(node, ResidualNorm) for node in model.nodes):
        with pytest.raises(ModelFileError, match="residual normalization, which has no int8 form"):
            tflite_bytes(model, list(windows))
        return
    exported = tflite_bytes(model, list(windows))
    reference = run_windows(load_litert(exported, True), windows)
    np.testing.assert_array_equal(run_windows(load_micro(exported, enough_arena(exported)), windows), reference)
    assert np.abs(reference - expected).max() < int8_tolerance
    assert np.abs(run_windows(load_litert(exported, False), windows) - expected).max() < int8_tolerance


@pytest.mark.parametrize("settings", ALL_NETWORKS, ids=str)
@pytest.mark.parametrize("dtype", ["fp16", "int8"])
def test_file_of_every_trained_network(settings: dict[str, Any], dtype: str) -> None:
    network = traced_networks.random_network(zlib.crc32(str(settings).encode()), **settings)
    round_network(network, dtype)
    model = to_scene_model(network, LABELS, FEATURES, WINDOW, dtype=dtype)
    assert_files_predict_like_the_model(model)


@pytest.mark.parametrize("seed", range(9))
def test_file_of_random_networks(seed: int) -> None:
    """Cover mono and stereo, dense layers, shared weights, groups, dilation, sub-bands and rows of time."""
    net = random_network(seed, dense=seed % 2 == 0)
    net.arrays["v0.scale"][:], net.arrays["v0.shift"][:] = 0.08, 3.0
    last = [node for node in net.nodes if node.arrays][-1]
    for name in last.arrays:
        net.arrays[name] *= np.float32(0.2)
    assert_files_predict_like_the_model(model_of(net))


def test_file_of_the_tiny_model() -> None:
    assert_files_predict_like_the_model(tiny_model())


@pytest.mark.parametrize("classes", [1, 2, 50])
@pytest.mark.parametrize("channels", [1, 2])
def test_file_with_one_and_many_classes(classes: int, channels: int) -> None:
    assert_files_predict_like_the_model(built(lambda net: net.conv(4), channels, classes))


@pytest.mark.parametrize("kernel", [(1, 1), (3, 3), (5, 2), (4, 3)])
@pytest.mark.parametrize("stride", [(1, 1), (2, 1), (2, 3)])
@pytest.mark.parametrize("padding", [(0, 0), (1, 1), (2, 0)])
def test_file_with_any_padding_and_stride(
    kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int]
) -> None:
    assert_files_predict_like_the_model(built(lambda net: net.conv(4, kernel, stride, padding)))


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("dilation", [(2, 1), (3, 2)])
def test_file_with_dilation_and_groups(groups: int, dilation: tuple[int, int]) -> None:
    def add(net: Builder) -> None:
        net.conv(4)
        net.conv(8, groups=groups, dilation=dilation)

    assert_files_predict_like_the_model(built(add))


@pytest.mark.parametrize("sub_bands", [1, 2, 4, 16])
@pytest.mark.parametrize("groups", [1, 4])
@pytest.mark.parametrize("alone", [False, True], ids=["fused", "alone"])
def test_file_with_negative_and_zero_scales_of_sub_bands(sub_bands: int, groups: int, alone: bool) -> None:
    def add(net: Builder) -> None:
        net.conv(4)
        before = net.conv(4, groups=groups)
        net.scale_shift(sub_bands)
        scale = net.arrays[f"{net.value}.scale"]
        scale[0, 0], scale[-1, 1], scale[-1, 2] = 0.0, -1.0, 1e-9
        net.relu()
        if alone:  # a second reader of the convolution keeps the norm out of it
            net.add(before)

    assert_files_predict_like_the_model(built(add))


@pytest.mark.parametrize("stride", [(2, 1), (1, 2)])
@pytest.mark.parametrize("padding", [(0, 0), (1, 1)])
def test_file_with_a_norm_per_frequency_after_a_strided_depthwise_convolution(
    stride: tuple[int, int], padding: tuple[int, int]
) -> None:
    def add(net: Builder) -> None:
        net.conv(4)
        net.conv(4, (1, 1), stride, padding, groups=4)
        net.scale_shift(net.shape[1])

    assert_files_predict_like_the_model(built(add))


def test_file_with_relus_that_are_not_fused() -> None:
    def add(net: Builder) -> None:
        before = net.conv(4)
        net.relu()
        net.add(before)
        net.max_pool()
        net.relu()

    assert_files_predict_like_the_model(built(add))


def test_file_with_pools_and_rows_of_time() -> None:
    def add(net: Builder) -> None:
        before = net.conv(4)
        net.frequency_mean_pool()
        net.silu()
        net.add(before, swapped=True)
        net.average_pool()
        net.max_pool((3, 2), (2, 1))

    assert_files_predict_like_the_model(built(add))


def test_file_of_averaged_logits() -> None:
    """An ensemble scales the logits of its members after the mean over time and frequency."""
    net = Builder(np.random.default_rng(7), (1, 16, 13))
    net.conv(3)
    net.push(END[0].model_copy(update={"input": net.value, "output": "mean"}))
    net.shape = (3, 1, 1)
    net.scale_shift(1)
    net.push(END[1].model_copy(update={"input": net.value}))
    net.arrays["v0.weight"] *= np.float32(0.05)
    assert_files_predict_like_the_model(model_of(net))
