"""Quantization of a model's network to int8, and its comparison with the model."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scenelet.export.fused.fuse import fuse
from scenelet.export.fused.int8_network import Int8Network, check_int8, quantize_network
from scenelet.export.fused.run_int8 import run_int8
from scenelet.export.fused.value_ranges import value_ranges
from scenelet.export.onnx_file import RuntimeCheck, Values, compare_rows, comparison_windows
from scenelet.inference.classifier import Classifier
from scenelet.model.ops import INPUT, OUTPUT
from scenelet.model.scene_model import SceneModel

MAX_COMPARED = 12
"""Maximum count of compared windows; the reference in NumPy takes up to a second for one."""


def quantize_model(model: SceneModel, log_mels: Sequence[NDArray[np.float32]]) -> Int8Network:
    """Quantize the network of a model.

    Args:
        model: the content of a `.scn` file.
        log_mels: calibration windows (channels, n_mels, frames) in dB, similar to the later inputs.

    Raises:
        ModelFileError: as `scenelet.export.fused.int8_network.check_int8`.

    >>> from scenelet.model.file import read_model
    >>> from scenelet.model.pretrained import built_in
    >>> model = read_model(built_in("esc10"))
    >>> noise = np.random.default_rng(0).normal(-40, 10, model.input_shape).astype(np.float32)
    >>> quantize_model(model, [noise]).values["probabilities"]
    Quantization(step=0.00390625, zero_point=-128)
    """
    network = fuse(model)
    check_int8(network)
    return quantize_network(network, value_ranges(model, network.shapes, log_mels))


def compare_int8(int8: Int8Network, classifier: Classifier, windows: Sequence[Values]) -> RuntimeCheck:
    """Compare the network in int8 with the model on evenly spaced windows (channels, n_mels, frames)."""
    inputs, expected = comparison_windows(classifier, "log-mel", windows)
    chosen = np.unique(np.linspace(0, len(inputs) - 1, MAX_COMPARED).round().astype(int))
    rows = [run_int8(int8, int8.values[INPUT].quantize(inputs[i].transpose(1, 2, 0)))[OUTPUT].ravel() for i in chosen]
    return compare_rows("int8", int8.values[OUTPUT].dequantize(np.stack(rows)), expected[chosen])
