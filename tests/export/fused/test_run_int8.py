"""The NumPy reference of int8 networks: every value equals tflite-micro's."""

from typing import Any

import numpy as np
import pytest

from helpers.fused_networks import INT8_NETWORKS, INT8_SEEDS, noise, quantized, random_model, traced_model, windows_of
from helpers.micro import require_micro, run_micro
from scenelet.export.fused.int8_network import Int8Network
from scenelet.export.fused.run_int8 import run_int8
from scenelet.export.tflite.lower import lower
from scenelet.inference.classifier import Classifier
from scenelet.model.ops import OUTPUT
from scenelet.model.scene_model import SceneModel


def assert_equals_micro(network: Int8Network, window: np.ndarray) -> None:
    graph, _, result = lower(network.network, network)
    indices = {tensor.name: index for index, tensor in enumerate(graph.tensors)}
    names = [layer.name for layer in network.network.layers]
    values = run_int8(network, window)
    micro = run_micro(graph, result, window[None], [indices[name] for name in names])
    for name, expected in zip(names, micro, strict=True):
        np.testing.assert_array_equal(values[name], expected.reshape(values[name].shape), err_msg=name)


def check(model: SceneModel) -> None:
    require_micro()
    network = quantized(model)
    for window in windows_of(network, noise(model, 2)):
        assert_equals_micro(network, window)


@pytest.mark.parametrize("settings", INT8_NETWORKS, ids=str)
def test_every_value_equals_micro(settings: dict[str, Any]) -> None:
    check(traced_model(settings))


@pytest.mark.parametrize("seed", INT8_SEEDS)
def test_every_value_of_a_random_network_equals_micro(seed: int) -> None:
    check(random_model(seed))


@pytest.mark.parametrize("seed", INT8_SEEDS)
def test_probabilities_are_near_the_models(seed: int) -> None:
    model = random_model(seed)
    network, log_mels = quantized(model), noise(model)
    expected = Classifier(model, threads=1).probabilities(log_mels)
    found = [run_int8(network, window)[OUTPUT].ravel() for window in windows_of(network, log_mels)]
    np.testing.assert_allclose((np.float64(found) + 128) / 256, expected, atol=0.1)
