"""Reference of a fused network in int8 in NumPy. It equals tflite-micro and the exported C program bit for bit."""

import numpy as np
from numpy.typing import NDArray

from scenelet.export.fused.int8_arithmetic import (
    ADD_SHIFT,
    Integers,
    add_multipliers,
    conv_multipliers,
    exp_table,
    mean_multiplier,
    rescale,
    rescale_table,
    silu_table,
    softmax,
    to_int8,
)
from scenelet.export.fused.int8_network import Int8Network
from scenelet.export.fused.layers import (
    Add,
    AveragePool,
    Conv,
    Flatten,
    FrequencyMean,
    GlobalMean,
    Layer,
    MaxPool,
    Relu,
    Silu,
    Softmax,
)
from scenelet.model.ops import INPUT

Int8 = NDArray[np.int8]


def run_int8(network: Int8Network, window: Int8) -> dict[str, Int8]:
    """Return every value of a network for one window.

    Args:
        network: the network.
        window: log-mel (n_mels, frames, channels), quantized as `network.values[INPUT]`.

    Returns:
        Values (frequency, time, channels) by name. `OUTPUT` is (1, 1, classes).
    """
    values = {INPUT: window}
    for layer in network.network.layers:
        values[layer.name] = _run(layer, network, values)
    return values


def _run(layer: Layer, network: Int8Network, values: dict[str, Int8]) -> Int8:
    result = network.values[layer.name]
    if isinstance(layer, Conv):
        return _conv(layer, network, values[layer.input])
    if isinstance(layer, Add):
        return _add(layer, network, values)
    x, source = values[layer.input], network.values[layer.input]
    match layer:
        case Relu():
            return rescale_table(source, result)[x.astype(np.int64) + 128]
        case Silu():
            return silu_table(source, result)[x.astype(np.int64) + 128]
        case MaxPool():
            largest: Int8 = _blocks(x, layer.kernel, layer.stride).max(axis=(3, 4))
            return largest
        case AveragePool():
            padded = np.pad(x, (*layer.pads, (0, 0)), constant_values=source.zero_point)
            count = layer.kernel[0] * layer.kernel[1]
            sums = _blocks(padded, layer.kernel, layer.stride).sum(axis=(3, 4), dtype=np.int64)
            return to_int8(np.sign(sums) * ((np.abs(sums) + count // 2) // count), 0)
        case FrequencyMean() | GlobalMean():
            axes = (0,) if isinstance(layer, FrequencyMean) else (0, 1)
            sums = (x.astype(np.int64) - source.zero_point).sum(axis=axes, keepdims=True)
            factor = mean_multiplier(source, x.size // sums.size, result)
            return to_int8(rescale(sums, factor.mantissa, factor.shift), result.zero_point)
        case Flatten():
            return x.transpose(2, 0, 1).reshape(1, 1, -1)
        case Softmax():
            return softmax(x[0, 0], exp_table(source))[None, None]
    raise AssertionError(layer)


def _add(layer: Add, network: Int8Network, values: dict[str, Int8]) -> Int8:
    result = network.values[layer.name]
    first, second = (network.values[name] for name in layer.inputs)
    *factors, of_sum = add_multipliers(first, second, result)
    terms = []
    for name, factor in zip(layer.inputs, factors, strict=True):
        numbers = (values[name].astype(np.int64) - network.values[name].zero_point) << ADD_SHIFT
        terms.append(rescale(numbers, factor.mantissa, factor.shift))
    return to_int8(rescale(terms[0] + terms[1], of_sum.mantissa, of_sum.shift), result.zero_point)


def _conv(layer: Conv, network: Int8Network, window: Int8) -> Int8:
    integers, shape = network.convs[layer.name], network.network.shapes[layer.name]
    source, result = network.values[layer.input], network.values[layer.name]
    x = window.astype(np.float64) - source.zero_point
    known: dict[int, Integers] = {}
    bands, rows = len(integers.weights), shape[0] // len(integers.weights)
    parts = []
    for band, weights in enumerate(integers.weights):
        if id(weights) not in known:
            known[id(weights)] = _sums(x, weights, layer, shape[:2])
        parts.append(known[id(weights)][band * rows : (band + 1) * rows])
    sums = np.stack(parts) + integers.biases.astype(np.int64)[:, None, None]
    mantissas, shifts = conv_multipliers(source, integers.steps, result)
    numbers = rescale(sums, mantissas[:, None, None], shifts[:, None, None])
    return to_int8(numbers.reshape(bands * rows, *shape[1:]), result.zero_point)


def _sums(x: NDArray[np.float64], weights: Int8, layer: Conv, sides: tuple[int, int]) -> Integers:
    """Return the convolution of numbers (frequency, time, channels). Sums below 2**53 are exact in float64."""
    padded = np.pad(x, (*layer.pads, (0, 0)))
    out = len(weights)
    sums = np.zeros((*sides, out))
    for kernel_f, kernel_t in np.ndindex(*layer.kernel):
        tap = weights[:, kernel_f, kernel_t].astype(np.float64)
        first_f, first_t = kernel_f * layer.dilation[0], kernel_t * layer.dilation[1]
        part = padded[first_f :: layer.stride[0], first_t :: layer.stride[1]][: sides[0], : sides[1]]
        if layer.groups == out == x.shape[2]:
            sums += part * tap[:, 0]
        else:
            by_group = part.reshape(-1, layer.groups, x.shape[2] // layer.groups).transpose(1, 0, 2)
            products = by_group @ tap.reshape(layer.groups, out // layer.groups, -1).transpose(0, 2, 1)
            sums += products.transpose(1, 0, 2).reshape(sums.shape)
    return sums.astype(np.int64)


def _blocks(x: Int8, kernel: tuple[int, int], stride: tuple[int, int]) -> Int8:
    """Return a view (frequency, time, channels, kernel F, kernel T) of the blocks of a pooling layer."""
    views = np.lib.stride_tricks.sliding_window_view(x, kernel, axis=(0, 1))
    return views[:: stride[0], :: stride[1]]
