"""Operators of a convolution in a TensorFlow Lite graph.

TensorFlow Lite has no sub-bands, and no padding but "same". So a convolution with sub-bands becomes one convolution per
sub-band on a slice of the input. Other paddings become an operator of their own. These operators only move numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenelet.export.fused.int8_network import ConvIntegers, Quantization
from scenelet.export.fused.layers import Conv, Pads, Shape
from scenelet.export.tflite.graph import Graph

PADDING_SAME, PADDING_VALID = 0, 1
ACTIVATION_NONE, ACTIVATION_RELU = 0, 1
MAX_PARTS = 10
"""Maximum count of tensors that tflite-micro can concatenate."""
NO_PADS: Pads = ((0, 0), (0, 0))


@dataclass(frozen=True)
class Convolution:
    """Convolution that is added to a graph.

    Attributes:
        graph: the graph.
        layer: the convolution.
        source: the index of its input.
        shape: the shape of its result.
        int8: its integers and the quantization of its result, or None in float.
    """

    graph: Graph
    layer: Conv
    source: int
    shape: Shape
    int8: tuple[ConvIntegers, Quantization] | None

    def add(self) -> int:
        """Add the operators and return the index of the result."""
        layer, bands = self.layer, len(self.layer.scale)
        if bands == 1:
            return self._part(self.source, layer.name, self.shape, 0, layer.pads)
        if bands == self.shape[0] and self._is_affine:
            return self._affine_per_frequency()
        source = self.graph.pad(self.source, layer.name, layer.pads)
        _, _, frames, channels = self.graph.tensors[source].shape
        rows = self.shape[0] // bands
        height = (rows - 1) * layer.stride[0] + (layer.kernel[0] - 1) * layer.dilation[0] + 1
        parts = []
        for band in range(bands):
            name, first = f"{layer.name}/{band}", band * rows * layer.stride[0]
            begin = self.graph.integers(f"{name}/begin", [0, first, 0, 0])
            size = self.graph.integers(f"{name}/size", [1, height, frames, channels])
            cut = self.graph.apply("SLICE", [source, begin, size], f"{name}/cut", (1, height, frames, channels))
            parts.append(self._part(cut, name, (rows, *self.shape[1:]), band, NO_PADS))
        return self._concatenate(parts)

    def _concatenate(self, parts: list[int]) -> int:
        """Add the concatenation of sub-bands, in several steps if there are many."""
        while len(parts) > MAX_PARTS:
            first = parts[:MAX_PARTS]
            rows = sum(self.graph.tensors[part].shape[1] for part in first)
            name = f"{self.layer.name}/first {rows} rows"
            parts = [self._apply("CONCATENATION", first, name, (rows, *self.shape[1:]), Axis=1), *parts[MAX_PARTS:]]
        return self._apply("CONCATENATION", parts, self.layer.name, self.shape, Axis=1)

    @property
    def _is_depthwise(self) -> bool:
        return self.layer.groups > 1 and self.layer.groups == self.graph.tensors[self.source].shape[3]

    @property
    def _is_affine(self) -> bool:
        """True if each output number depends on the input number at its own position only."""
        layer, shape = self.layer, self.graph.tensors[self.source].shape
        return layer.groups == shape[3] and layer.kernel == (1, 1) and shape == (1, *self.shape)

    def _part(self, source: int, name: str, shape: Shape, band: int, pads: Pads) -> int:
        """Add the convolution of one sub-band."""
        layer, padding = self.layer, PADDING_VALID
        _, frequencies, frames, channels = self.graph.tensors[source].shape
        if pads != NO_PADS and pads == _same_pads(layer, (frequencies, frames), shape):
            padding = PADDING_SAME
        else:
            source = self.graph.pad(source, name, pads)
        inputs = [source, self._weight(f"{name}/weight", [band]), self._bias(f"{name}/bias", [band])]
        options = self._options(padding)
        if not self._is_depthwise:
            return self._apply("CONV_2D", inputs, name, shape, **options)
        return self._apply("DEPTHWISE_CONV_2D", inputs, name, shape, **options, DepthMultiplier=shape[2] // channels)

    def _affine_per_frequency(self) -> int:
        """Add a scale and shift per frequency and channel, as a depthwise convolution over frequency times channel."""
        graph, name = self.graph, self.layer.name
        frequencies, frames, channels = self.shape
        rows = graph.transpose(self.source, f"{name}/rows", (0, 2, 1, 3))
        wide = (frames, 1, frequencies * channels)
        flat = graph.reshape(rows, f"{name}/flat", (1, *wide))
        bands = range(frequencies)
        inputs = [flat, self._weight(f"{name}/weight", bands), self._bias(f"{name}/bias", bands)]
        options = self._options(PADDING_VALID)
        scaled = self._apply("DEPTHWISE_CONV_2D", inputs, f"{name}/scaled", wide, **options, DepthMultiplier=1)
        return graph.transpose(graph.reshape(scaled, f"{name}/back", graph.tensors[rows].shape), name, (0, 2, 1, 3))

    def _apply(self, kind: str, inputs: Sequence[int], name: str, shape: Shape, **options: int) -> int:
        """Add an operator whose result has the quantization of the layer's result."""
        result: dict[str, Any] = {}
        if self.int8 is not None:
            result = {"step": self.int8[1].step, "zero_point": self.int8[1].zero_point}
        return self.graph.apply(kind, inputs, name, (1, *shape), **result, **options)

    def _options(self, padding: int) -> dict[str, int]:
        layer = self.layer
        return {
            "Padding": padding,
            "StrideH": layer.stride[0],
            "StrideW": layer.stride[1],
            "DilationHFactor": layer.dilation[0],
            "DilationWFactor": layer.dilation[1],
            "FusedActivationFunction": ACTIVATION_RELU if layer.relu else ACTIVATION_NONE,
        }

    def _weight(self, name: str, bands: Sequence[int]) -> int:
        """Add the weights of sub-bands, one after the other along the output channels."""
        values: list[NDArray[Any]]
        if self.int8 is None:
            values = [self.layer.weight.values * self.layer.scale[band][:, None, None, None] for band in bands]
        else:
            values = [self.int8[0].weights[band] for band in bands]
        weights = np.concatenate(values)
        if self._is_depthwise or len(bands) > 1:
            weights = weights.transpose(3, 1, 2, 0)  # the output channels of a depthwise convolution are the last axis
        weights = np.ascontiguousarray(weights)
        if self.int8 is None:
            return self.graph.constant(name, weights)
        steps = self.int8[0].steps[list(bands)].ravel()
        axis = 3 if self._is_depthwise or len(bands) > 1 else 0
        return self.graph.constant(name, weights, steps=tuple(steps), zero_points=(0,) * len(steps), axis=axis)

    def _bias(self, name: str, bands: Sequence[int]) -> int:
        """Add the biases of sub-bands, one after the other."""
        if self.int8 is None:
            return self.graph.constant(name, self.layer.shift[list(bands)].ravel())
        integers = self.int8[0]
        steps = integers.steps[list(bands)].ravel() * np.float32(self.graph.tensors[self.source].steps[0])
        biases = integers.biases[list(bands)].ravel()
        return self.graph.constant(name, biases, steps=tuple(steps), zero_points=(0,) * len(steps))


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
