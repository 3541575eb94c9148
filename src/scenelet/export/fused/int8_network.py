"""Fused network in int8, with the arithmetic of TensorFlow Lite: integer weights, biases, and a step per value.

A number of a value is step * (integer - zero point), with integers from -128 to 127. Convolution weights have no zero
point and one step per output channel and sub-band. See "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference" (Jacob et al., 2018).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scenelet.errors import ModelFileError
from scenelet.export.fused.layers import (
    Add,
    AveragePool,
    Conv,
    Flatten,
    FusedNetwork,
    Layer,
    MaxPool,
    ResidualNorm,
    Softmax,
)
from scenelet.export.fused.value_ranges import Ranges
from scenelet.model.ops import INPUT

MAX_BIAS = 2**30


@dataclass(frozen=True)
class Quantization:
    """Step and zero point of a value. The step is a float32, as TensorFlow Lite stores it."""

    step: float
    zero_point: int

    def quantize(self, numbers: NDArray[np.float32]) -> NDArray[np.int8]:
        """Round numbers to the nearest integer, limited to int8.

        >>> Quantization(0.5, -10).quantize(np.float32([0.0, 1.2, 1000.0])).tolist()
        [-10, -8, 127]
        """
        integers = np.rint(np.asarray(numbers, np.float64) / self.step) + self.zero_point
        limited: NDArray[np.int8] = np.clip(integers, -128, 127).astype(np.int8)
        return limited

    def dequantize(self, integers: NDArray[np.int8]) -> NDArray[np.float32]:
        """Return the numbers of integers.

        >>> Quantization(0.5, -10).dequantize(np.int8([-10, -8])).tolist()
        [0.0, 1.0]
        """
        return (self.step * (integers.astype(np.float64) - self.zero_point)).astype(np.float32)


@dataclass(frozen=True, eq=False)
class ConvIntegers:
    """Integers of a convolution.

    Attributes:
        weights: one array (out, kernel F, kernel T, in / groups) int8 per sub-band. Equal arrays are the same object.
        steps: (sub_bands, out) float32, the step of each channel's weights, larger than 0.
        biases: (sub_bands, out) int32, on the step of the input times `steps`.
    """

    weights: tuple[NDArray[np.int8], ...]
    steps: NDArray[np.float32]
    biases: NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Int8Network:
    """Fused network in int8.

    Attributes:
        network: the layers and shapes.
        values: the quantization of every value by name.
        convs: the integers of every convolution by the name of its layer.
    """

    network: FusedNetwork
    values: Mapping[str, Quantization]
    convs: Mapping[str, ConvIntegers]


def quantize_network(network: FusedNetwork, ranges: Ranges) -> Int8Network:
    """Quantize a fused network.

    Args:
        network: the network in float.
        ranges: the range of every value, see `scenelet.export.fused.value_ranges`.

    Raises:
        ModelFileError: as `check_int8`.
    """
    check_int8(network)
    values = {INPUT: quantization(*ranges[INPUT])}
    convs: dict[str, ConvIntegers] = {}
    for layer in network.layers:
        values[layer.name] = _output(layer, values, ranges)
        if isinstance(layer, Conv):
            convs[layer.name] = _conv(layer, values[layer.input])
    return Int8Network(network, values, convs)


def has_int8_form(network: FusedNetwork) -> bool:
    """Return whether a network can run in int8. There is no int8 arithmetic for residual normalization."""
    return not any(isinstance(layer, ResidualNorm) for layer in network.layers)


def check_int8(network: FusedNetwork) -> None:
    """Check that a network has an int8 form, which needs no calibration.

    Raises:
        ModelFileError: the network has residual normalization, for which there is no int8 arithmetic.
    """
    if not has_int8_form(network):
        raise ModelFileError(
            "the network has residual normalization, which has no int8 form;"
            " export it in float, or train with network.residual_norm=false"
        )


def quantization(low: float, high: float) -> Quantization:
    """Return the quantization of a range. Zero is always exact.

    >>> quantization(-1.0, 1.55)
    Quantization(step=0.009999999776482582, zero_point=-28)
    """
    low, high = min(low, 0.0), max(high, 0.0)
    step = float(np.float32((high - low) / 255)) or 1.0
    return Quantization(step, int(np.clip(round(-128 - low / step), -128, 127)))


def _output(layer: Layer, values: Mapping[str, Quantization], ranges: Ranges) -> Quantization:
    """Return the quantization of a layer's result."""
    if isinstance(layer, MaxPool | AveragePool | Flatten):
        return values[layer.input]  # these layers move integers, or add integers of one step
    if isinstance(layer, Softmax):
        return Quantization(1 / 256, -128)
    low, high = ranges[layer.name]
    if isinstance(layer, Conv | Add) and layer.relu:
        low = 0.0
    return quantization(low, high)


def _conv(layer: Conv, source: Quantization) -> ConvIntegers:
    """Return the integers of a convolution whose input has the quantization `source`."""
    scale, shift = layer.scale.astype(np.float64), layer.shift.astype(np.float64)
    exact = layer.weight.steps * np.abs(scale)
    # If a norm nearly removes a channel, its step is raised until the shift fits in 32 bits.
    steps = np.maximum(exact, np.abs(shift) / (source.step * MAX_BIAS))
    steps = np.where(steps == 0, 1.0, steps).astype(np.float32)
    biases = np.clip(np.rint(shift / (steps.astype(np.float64) * source.step)), -MAX_BIAS, MAX_BIAS)
    shared: dict[bytes, NDArray[np.int8]] = {}
    weights = []
    for signs, factors in zip(np.sign(scale), np.where(exact < steps * 0.999, exact / steps, 1.0), strict=True):
        integers = np.rint(layer.weight.integers * (signs * factors)[:, None, None, None]).astype(np.int8)
        weights.append(shared.setdefault(integers.tobytes(), integers))
    return ConvIntegers(tuple(weights), steps, biases.astype(np.int32))
