"""Conversion of a fused network to a TensorFlow Lite graph, in float or int8."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from scenelet.export.fused.int8_network import Int8Network
from scenelet.export.fused.layers import (
    Add,
    AveragePool,
    Conv,
    Flatten,
    FrequencyMean,
    FusedNetwork,
    GlobalMean,
    Layer,
    MaxPool,
    Relu,
    ResidualNorm,
    Silu,
    Softmax,
)
from scenelet.export.tflite.convolution import PADDING_VALID, Convolution
from scenelet.export.tflite.graph import Graph
from scenelet.model.ops import INPUT, OUTPUT, RESIDUAL_EPS, RESIDUAL_FACTOR

PROBABILITY_STEP, PROBABILITY_ZERO_POINT = 1 / 256, -128
"""Quantization that TensorFlow Lite prescribes for a sigmoid and a softmax."""


def lower(network: FusedNetwork, int8: Int8Network | None = None) -> tuple[Graph, int, int]:
    """Convert a network; return the graph and the indices of its input and output.

    The input is "log_mel" (1, n_mels, frames, channels), the output "probabilities" (1, classes).

    Args:
        network: the fused network.
        int8: its integers, for a graph in int8.

    >>> from scenelet.export.fused.fuse import fuse
    >>> from scenelet.model.file import read_model
    >>> from scenelet.model.pretrained import built_in
    >>> graph, source, result = lower(fuse(read_model(built_in("esc10"))))
    >>> graph.tensors[source].shape, graph.tensors[result].shape
    ((1, 64, 216, 1), (1, 10))
    """
    lowering = _Lowering(network, int8)
    for layer in network.layers:
        lowering.indices[layer.name] = lowering.layer(layer)
    return lowering.graph, lowering.indices[INPUT], lowering.indices[OUTPUT]


class _Lowering:
    """Graph under construction. `indices` are those of the tensors by the names of the network's values."""

    def __init__(self, network: FusedNetwork, int8: Int8Network | None) -> None:
        self.graph, self.shapes, self.int8 = Graph(), network.shapes, int8
        self.indices: dict[str, int] = {}
        quantized: dict[str, Any] = {}
        if int8 is not None:
            source = int8.values[INPUT]
            quantized = {"steps": (source.step,), "zero_points": (source.zero_point,)}
        dtype = np.float32 if int8 is None else np.int8
        self.indices[INPUT] = self.graph.tensor(INPUT, (1, *self.shapes[INPUT]), dtype, **quantized)

    def layer(self, layer: Layer) -> int:
        """Add the operators of a layer and return the index of its result."""
        graph, name, source = self.graph, layer.name, self.indices[layer.reads[0]]
        match layer:
            case Conv():
                int8 = None if self.int8 is None else (self.int8.convs[name], self.int8.values[name])
                return Convolution(graph, layer, source, self.shapes[name], int8).add()
            case Add():
                inputs = [self.indices[read] for read in layer.reads]
                return self.result("ADD", inputs, name, FusedActivationFunction=int(layer.relu))
            case Relu():
                return self.result("RELU", [source], name)
            case Silu():
                gate = self.probabilities("LOGISTIC", source, f"{name}/gate")
                return self.result("MUL", [source, gate], name)
            case ResidualNorm():
                return self.residual_norm(layer)
            case MaxPool():
                return self.result("MAX_POOL_2D", [source], name, **_window(layer.kernel, layer.stride))
            case AveragePool():
                # TensorFlow Lite leaves its own padding out of a mean
                padded = graph.pad(source, name, layer.pads)
                return self.result("AVERAGE_POOL_2D", [padded], name, **_window(layer.kernel, layer.stride))
            case FrequencyMean():
                return self.result("MEAN", [source, graph.integers(f"{name}/axes", [1])], name, KeepDims=True)
            case GlobalMean():
                return self.result("MEAN", [source, graph.integers(f"{name}/axes", [1, 2])], name, KeepDims=True)
            case Flatten():
                rows = graph.transpose(source, f"{name}/rows", (0, 3, 1, 2))
                return graph.reshape(rows, name, (1, *self.shapes[name]))
            case Softmax():
                logits = graph.reshape(source, f"{name}/logits", (1, self.shapes[layer.input][2]))
                return self.probabilities("SOFTMAX", logits, name, Beta=1.0)

    def probabilities(self, kind: str, source: int, name: str, **options: Any) -> int:
        """Add an operator whose results lie from 0 to 1."""
        shape = self.graph.tensors[source].shape
        return self.graph.apply(
            kind, [source], name, shape, step=PROBABILITY_STEP, zero_point=PROBABILITY_ZERO_POINT, **options
        )

    def result(self, kind: str, inputs: Sequence[int], name: str, **options: int) -> int:
        """Add an operator that writes a value of the network."""
        quantization: dict[str, Any] = {}
        if self.int8 is not None:
            value = self.int8.values[name]
            quantization = {"step": value.step, "zero_point": value.zero_point}
        return self.graph.apply(kind, inputs, name, (1, *self.shapes[name]), **quantization, **options)

    def residual_norm(self, layer: ResidualNorm) -> int:
        """Add 0.1 x + (x - mean) / sqrt(var + eps), in float."""
        source, name, shape = self.indices[layer.input], layer.name, (1, *self.shapes[layer.name])
        per_frequency = (1, shape[1], 1, 1)
        axes = self.graph.integers(f"{name}/axes", [2, 3])
        factor = self.graph.constant(f"{name}/factor", np.array([RESIDUAL_FACTOR], np.float32))
        eps = self.graph.constant(f"{name}/eps", np.array([RESIDUAL_EPS], np.float32))
        add = self.graph.apply
        mean = add("MEAN", [source, axes], f"{name}/mean", per_frequency, KeepDims=True)
        squares = add("SQUARED_DIFFERENCE", [source, mean], f"{name}/squares", shape)
        variance = add("MEAN", [squares, axes], f"{name}/variance", per_frequency, KeepDims=True)
        raised = add("ADD", [variance, eps], f"{name}/raised", per_frequency)
        inverse = add("RSQRT", [raised], f"{name}/inverse", per_frequency)
        centered = add("SUB", [source, mean], f"{name}/centered", shape)
        normalized = add("MUL", [centered, inverse], f"{name}/normalized", shape)
        kept = add("MUL", [source, factor], f"{name}/kept", shape)
        return add("ADD", [kept, normalized], name, shape)


def _window(kernel: tuple[int, int], stride: tuple[int, int]) -> dict[str, int]:
    return {
        "Padding": PADDING_VALID,
        "FilterHeight": kernel[0],
        "FilterWidth": kernel[1],
        "StrideH": stride[0],
        "StrideW": stride[1],
    }
