"""Conversion of a fused network to a TensorFlow Lite graph, in float or int8.

TensorFlow Lite knows no sub-bands, and no padding but its own "same". So a convolution with sub-bands becomes one per
sub-band on a slice of the input, and other paddings become an operator of their own. These steps move numbers only.
"""

from collections.abc import Mapping, Sequence

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
    Pads,
    Relu,
    ResidualNorm,
    Shape,
    Silu,
    Softmax,
)
from scenelet.export.tflite.graph import Graph
from scenelet.model.ops import INPUT, OUTPUT, RESIDUAL_EPS, RESIDUAL_FACTOR

PADDING_SAME, PADDING_VALID = 0, 1
ACTIVATION_NONE, ACTIVATION_RELU = 0, 1
GATE_STEP, GATE_ZERO_POINT = 1 / 256, -128
"""Quantization that TensorFlow Lite prescribes for a sigmoid and a softmax."""


def lower(network: FusedNetwork, int8: Int8Network | None = None) -> tuple[Graph, int, int]:
    """Convert a network; return the graph and the indices of its input and output.

    The input is "log_mel" (1, n_mels, frames, channels), the output "probabilities" (1, classes).

    Args:
        network: the fused network.
        int8: its integers, for a graph in int8.
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
        quantized = {}
        if int8 is not None:
            source = int8.values[INPUT]
            quantized = {"steps": (source.step,), "zero_points": (source.zero_point,)}
        dtype = np.float32 if int8 is None else np.int8
        self.indices[INPUT] = self.graph.tensor(INPUT, (1, *self.shapes[INPUT]), dtype, **quantized)

    def layer(self, layer: Layer) -> int:
        """Add the operators of a layer and return the index of its result."""
        match layer:
            case Conv():
                return self.conv(layer)
            case Add():
                inputs = [self.indices[name] for name in layer.inputs]
                return self.result("ADD", inputs, layer.name, FusedActivationFunction=int(layer.relu))
            case Silu():
                return self.silu(layer)
            case ResidualNorm():
                return self.residual_norm(layer)
            case AveragePool():
                return self.average_pool(layer)
        source = self.indices[layer.input]
        match layer:
            case Relu():
                return self.result("RELU", [source], layer.name)
            case MaxPool():
                return self.result("MAX_POOL_2D", [source], layer.name, **_window(layer.kernel, layer.stride))
            case FrequencyMean():
                return self.mean(source, layer.name, [1])
            case GlobalMean():
                return self.mean(source, layer.name, [1, 2])
            case Flatten():
                frequencies, frames, channels = self.shapes[layer.input]
                rows = self.transpose(source, f"{layer.name}/rows", (0, 3, 1, 2), (1, channels, frequencies, frames))
                return self.reshape(rows, layer.name, (1, *self.shapes[layer.name]))
            case Softmax():
                classes = self.shapes[layer.input][2]
                logits = self.reshape(source, f"{layer.name}/logits", (1, classes))
                return self.graph.apply(
                    "SOFTMAX",
                    [logits],
                    layer.name,
                    (1, classes),
                    step=GATE_STEP,
                    zero_point=GATE_ZERO_POINT,
                    Beta=1.0,
                )
        raise AssertionError(layer)

    def result(self, kind: str, inputs: Sequence[int], name: str, **options: int | bool) -> int:
        """Add an operator that writes a value of the network."""
        return self.graph.apply(kind, inputs, name, (1, *self.shapes[name]), **self.quantization(name), **options)

    def quantization(self, name: str) -> dict[str, float | int]:
        """Return step and zero point of a value, or nothing in float."""
        if self.int8 is None:
            return {}
        value = self.int8.values[name]
        return {"step": value.step, "zero_point": value.zero_point}

    def mean(self, source: int, name: str, axes: list[int]) -> int:
        """Add a mean over axes."""
        return self.result("MEAN", [source, self.graph.integers(f"{name}/axes", axes)], name, KeepDims=True)

    def silu(self, layer: Silu) -> int:
        """Add x * sigmoid(x)."""
        source = self.indices[layer.input]
        shape = (1, *self.shapes[layer.name])
        gate = self.graph.apply(
            "LOGISTIC", [source], f"{layer.name}/gate", shape, step=GATE_STEP, zero_point=GATE_ZERO_POINT
        )
        return self.result("MUL", [source, gate], layer.name)

    def average_pool(self, layer: AveragePool) -> int:
        """Add a mean over blocks. TensorFlow Lite leaves its own padding out of the mean, so zeros are added before."""
        source = self.pad(self.indices[layer.input], layer.name, layer.pads)
        return self.result("AVERAGE_POOL_2D", [source], layer.name, **_window(layer.kernel, layer.stride))

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
        inverse = add("RSQRT", [add("ADD", [variance, eps], f"{name}/raised", per_frequency)], f"{name}/inverse",
                      per_frequency)  # fmt: skip
        centered = add("SUB", [source, mean], f"{name}/centered", shape)
        normalized = add("MUL", [centered, inverse], f"{name}/normalized", shape)
        kept = add("MUL", [source, factor], f"{name}/kept", shape)
        return add("ADD", [kept, normalized], name, shape)

    def conv(self, layer: Conv) -> int:
        """Add a convolution: one operator, or one per sub-band."""
        source, bands = self.indices[layer.input], len(layer.scale)
        shape = self.shapes[layer.name]
        if bands == 1:
            return self.conv_part(layer, source, layer.name, shape, 0, layer.pads)
        if bands == shape[0] and layer.groups == shape[2] and layer.kernel == (1, 1):
            return self.affine_per_frequency(layer, source)
        source = self.pad(source, layer.name, layer.pads)
        _, _, frames, channels = self.graph.tensors[source].shape
        rows = shape[0] // bands
        height = (rows - 1) * layer.stride[0] + (layer.kernel[0] - 1) * layer.dilation[0] + 1
        parts = []
        for band in range(bands):
            name, first = f"{layer.name}/{band}", band * rows * layer.stride[0]
            begin = self.graph.integers(f"{name}/begin", [0, first, 0, 0])
            size = self.graph.integers(f"{name}/size", [1, height, frames, channels])
            cut = self.graph.apply("SLICE", [source, begin, size], f"{name}/cut", (1, height, frames, channels))
            parts.append(self.conv_part(layer, cut, name, (rows, *shape[1:]), band, ((0, 0), (0, 0))))
        return self.result("CONCATENATION", parts, layer.name, Axis=1)

    def affine_per_frequency(self, layer: Conv, source: int) -> int:
        """Add a scale and shift for each frequency and channel, to which (frequency, channel) appear as channels."""
        frequencies, frames, channels = self.shapes[layer.name]
        name, wide = layer.name, (1, frames, 1, frequencies * channels)
        rows = self.transpose(source, f"{name}/rows", (0, 2, 1, 3), (1, frames, frequencies, channels))
        flat = self.reshape(rows, f"{name}/flat", wide)
        quantization = self.quantization(name)
        options = _depthwise_options(layer, wide[3], wide[3], PADDING_VALID)
        constants = [
            self.weight(layer, f"{name}/weight", band=None),
            self.bias(layer, f"{name}/bias", band=None),
        ]
        scaled = self.graph.apply(
            "DEPTHWISE_CONV_2D", [flat, *constants], f"{name}/scaled", wide, **quantization, **options
        )
        back = self.reshape(scaled, f"{name}/back", (1, frames, frequencies, channels))
        return self.transpose(back, name, (0, 2, 1, 3), (1, frequencies, frames, channels))

    def conv_part(self, layer: Conv, source: int, name: str, shape: Shape, band: int, pads: Pads) -> int:
        """Add the convolution of one sub-band."""
        _, frequencies, frames, channels = self.graph.tensors[source].shape
        padding = PADDING_VALID
        if pads != ((0, 0), (0, 0)):
            if pads == _same_pads(layer, (frequencies, frames), shape):
                padding = PADDING_SAME
            else:
                source = self.pad(source, name, pads)
        constants = [self.weight(layer, f"{name}/weight", band), self.bias(layer, f"{name}/bias", band)]
        depthwise = layer.groups == channels and layer.groups > 1
        kind = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
        options = (
            _depthwise_options(layer, channels, shape[2], padding) if depthwise else _conv_options(layer, padding)
        )
        return self.graph.apply(
            kind, [source, *constants], name, (1, *shape), **self.quantization(layer.name), **options
        )

    def weight(self, layer: Conv, name: str, band: int | None) -> int:
        """Add the weights of a sub-band; of all sub-bands, for `affine_per_frequency`, if it is None."""
        bands = range(len(layer.scale)) if band is None else [band]
        depthwise = layer.groups > 1 and layer.groups == self.shapes[layer.input][2]
        if self.int8 is None:
            parts = [layer.weight.values * layer.scale[b][:, None, None, None] for b in bands]
            quantization = {}
        else:
            integers = self.int8.convs[layer.name]
            parts = [integers.weights[b] for b in bands]
            steps = integers.steps[list(bands)].ravel()
            zeros = (0,) * len(steps)
            quantization = {"steps": tuple(steps), "zero_points": zeros, "axis": 3 if depthwise or band is None else 0}
        weights = np.concatenate(parts)
        if depthwise or band is None:
            weights = weights.transpose(3, 1, 2, 0)
        return self.graph.constant(name, np.ascontiguousarray(weights), **quantization)

    def bias(self, layer: Conv, name: str, band: int | None) -> int:
        """Add the biases of a sub-band; of all sub-bands if it is None."""
        chosen = slice(None) if band is None else slice(band, band + 1)
        if self.int8 is None:
            return self.graph.constant(name, np.ascontiguousarray(layer.shift[chosen].ravel()))
        integers, source = self.int8.convs[layer.name], self.int8.values[layer.input]
        steps = integers.steps[chosen].ravel() * np.float32(source.step)
        zeros = (0,) * len(steps)
        return self.graph.constant(name, integers.biases[chosen].ravel(), steps=tuple(steps), zero_points=zeros)

    def pad(self, source: int, name: str, pads: Pads) -> int:
        """Add zeros around a tensor."""
        if pads == ((0, 0), (0, 0)):
            return source
        _, frequencies, frames, channels = self.graph.tensors[source].shape
        shape = (1, frequencies + sum(pads[0]), frames + sum(pads[1]), channels)
        counts = self.graph.integers(f"{name}/pads", [(0, 0), *pads, (0, 0)])
        return self.graph.apply("PAD", [source, counts], f"{name}/padded", shape)

    def transpose(self, source: int, name: str, order: Sequence[int], shape: Sequence[int]) -> int:
        """Add a transposition."""
        return self.graph.apply("TRANSPOSE", [source, self.graph.integers(f"{name}/order", order)], name, shape)

    def reshape(self, source: int, name: str, shape: Sequence[int]) -> int:
        """Add a change of shape."""
        return self.graph.apply("RESHAPE", [source, self.graph.integers(f"{name}/shape", shape)], name, shape)


def _same_pads(layer: Conv, sides: tuple[int, int], shape: Shape) -> Pads | None:
    """Return the zeros that TensorFlow Lite adds for "same", or None if its output has another shape."""
    pads = []
    axes = zip(sides, layer.kernel, layer.stride, layer.dilation, shape[:2], strict=True)
    for side, kernel, stride, dilation, out in axes:
        if out != -(-side // stride):
            return None
        total = max((out - 1) * stride + (kernel - 1) * dilation + 1 - side, 0)
        pads.append((total // 2, total - total // 2))
    return pads[0], pads[1]


def _window(kernel: tuple[int, int], stride: tuple[int, int]) -> dict[str, int]:
    return {
        "Padding": PADDING_VALID,
        "FilterHeight": kernel[0],
        "FilterWidth": kernel[1],
        "StrideH": stride[0],
        "StrideW": stride[1],
    }


def _conv_options(layer: Conv, padding: int) -> dict[str, int]:
    return {
        "Padding": padding,
        "StrideH": layer.stride[0],
        "StrideW": layer.stride[1],
        "DilationHFactor": layer.dilation[0],
        "DilationWFactor": layer.dilation[1],
        "FusedActivationFunction": ACTIVATION_RELU if layer.relu else ACTIVATION_NONE,
    }


def _depthwise_options(layer: Conv, channels: int, out: int, padding: int) -> Mapping[str, int]:
    return {**_conv_options(layer, padding), "DepthMultiplier": out // channels}
