"""Shapes of the values of a stored network, which also check that its nodes and arrays fit together.

All shapes omit the batch, as in `scenelet.model.ops`.
"""

import math
from collections.abc import Mapping, Sequence

from scenelet.errors import ModelFileError
from scenelet.model.ops import (
    INPUT,
    MAX_NODES,
    MAX_SIDE,
    MAX_VALUES,
    OUTPUT,
    Add,
    AveragePool,
    Conv,
    Flatten,
    FrequencyMeanPool,
    GlobalMeanPool,
    Linear,
    MaxPool,
    Node,
    Relu,
    ResidualNorm,
    ScaleShift,
    Shape,
    Silu,
    Softmax,
)


def shapes(nodes: Sequence[Node], array_shapes: Mapping[str, Shape], input_shape: Shape) -> dict[str, Shape]:
    """Return the shape of every value of a network by its name, and check the network.

    Args:
        nodes: the network, in the order in which it runs.
        array_shapes: the shape of every stored array.
        input_shape: (channels, n_mels, frames) of "log_mel".

    Raises:
        ModelFileError: a value is unknown, unused or written twice, an array is missing or unused, shapes do not fit,
            or the last node is not the softmax that writes "probabilities".

    >>> nodes = [GlobalMeanPool(input="log_mel", output="mean"), Softmax(input="mean", output="probabilities")]
    >>> shapes(nodes, {}, (2, 64, 100))
    {'log_mel': (2, 64, 100), 'mean': (2,), 'probabilities': (2,)}
    """
    if len(input_shape) != 3 or min(input_shape) < 1:
        raise ModelFileError(f"input: shape {tuple(input_shape)} is not (channels, n_mels, frames)")
    if not 0 < len(nodes) <= MAX_NODES:
        raise ModelFileError(f"a network has 1 to {MAX_NODES} nodes, this one has {len(nodes)}")
    known: dict[str, Shape] = {INPUT: tuple(input_shape)}
    for index, node in enumerate(nodes):
        where = f"node {index} ({node.op} {node.output!r})"
        for name in node.reads:
            if name not in known:
                raise ModelFileError(f"{where} reads {name!r}, which no node before it writes")
        for name in node.arrays:
            if name not in array_shapes:
                raise ModelFileError(f"{where} uses the array {name!r}, which is missing")
        if node.output in known:
            raise ModelFileError(f"{where} writes {node.output!r}, which is written already")
        shape = _output_shape(node, [known[name] for name in node.reads], array_shapes, where)
        if min(shape) < 1:
            raise ModelFileError(f"{where}: its input is too small, the result would be empty")
        if math.prod(shape) > MAX_VALUES:
            raise ModelFileError(f"{where}: a value of {math.prod(shape)} numbers is too large (limit {MAX_VALUES})")
        known[node.output] = shape
    if nodes[-1].op != "Softmax" or nodes[-1].output != OUTPUT:
        raise ModelFileError(f"the last node must be a Softmax that writes {OUTPUT!r}, it is {where}")
    read = {name for node in nodes for name in node.reads}
    for index, node in enumerate(nodes[:-1]):
        if node.output not in read:
            raise ModelFileError(f"node {index} ({node.op} {node.output!r}) writes a value that no node reads")
    unused = set(array_shapes) - {name for node in nodes for name in node.arrays}
    if unused:
        raise ModelFileError(f"the array {min(unused)!r} is used by no node")
    return known


def _output_shape(node: Node, inputs: list[Shape], arrays: Mapping[str, Shape], where: str) -> Shape:
    """Return the shape of a node's result from the shapes of its inputs. `where` names the node in errors."""
    shape = inputs[0]
    match node:
        case Relu() | Silu():
            return shape
        case Add():
            return _sum(shape, inputs[1], where)
        case ScaleShift():
            return _scale_shift(arrays[node.scale], arrays[node.shift], shape, where)
        case Linear():
            return _linear(arrays[node.weight], arrays[node.bias], shape, where)
        case Softmax():
            if len(shape) != 1:
                raise ModelFileError(f"{where} reads the shape {shape}, not (classes,)")
            return shape
    if len(shape) != 3:
        raise ModelFileError(f"{where} reads the shape {shape}, not (channels, frequency, time)")
    match node:
        case Conv():
            return _conv(node, arrays[node.weight], shape, where)
        case ResidualNorm():
            return shape
        case MaxPool():
            return shape[0], *((n - k) // s + 1 for n, k, s in zip(shape[1:], node.kernel, node.stride, strict=True))
        case AveragePool():
            return _average_pool(node, shape, where)
        case FrequencyMeanPool():
            return shape[0], 1, shape[2]
        case GlobalMeanPool():
            return (shape[0],)
        case Flatten():
            return (math.prod(shape),)


def _conv(node: Conv, weight: Shape, shape: Shape, where: str) -> Shape:
    if len(weight) != 4 or weight[1] * node.groups != shape[0] or weight[0] % node.groups:
        raise ModelFileError(f"{where}: weight {weight} in {node.groups} groups does not fit {shape[0]} channels")
    if max(weight[2:]) > MAX_SIDE:
        raise ModelFileError(f"{where}: a kernel of {weight[2]} x {weight[3]} is too large (limit {MAX_SIDE})")
    spans = [(k - 1) * dilation + 1 for k, dilation in zip(weight[2:], node.dilation, strict=True)]
    axes = zip(shape[1:], spans, node.padding, node.stride, strict=True)
    return weight[0], *((n + 2 * pad - span) // stride + 1 for n, span, pad, stride in axes)


def _average_pool(node: AveragePool, shape: Shape, where: str) -> Shape:
    if any(pad >= k for pad, k in zip(node.padding, node.kernel, strict=True)):
        raise ModelFileError(f"{where}: padding {node.padding} is not smaller than the kernel {node.kernel}")
    axes = zip(shape[1:], node.kernel, node.padding, node.stride, strict=True)
    return shape[0], *((n + 2 * pad - k) // stride + 1 for n, k, pad, stride in axes)


def _sum(a: Shape, b: Shape, where: str) -> Shape:
    compatible = a == b or (len(a) == len(b) == 3 and a[0] == b[0] and a[2] == b[2])
    if not compatible or (a != b and 1 not in (a[1], b[1])):
        raise ModelFileError(f"{where} adds the shapes {a} and {b}")
    return max(a, b)


def _scale_shift(scale: Shape, shift: Shape, shape: Shape, where: str) -> Shape:
    if len(shape) not in (1, 3):
        raise ModelFileError(f"{where} reads the shape {shape}, not (channels, frequency, time) or (classes,)")
    frequencies = shape[1] if len(shape) == 3 else 1
    if scale != shift or len(scale) != 2 or scale[1] not in (1, shape[0]):
        raise ModelFileError(f"{where}: scale {scale} and shift {shift} do not fit {shape[0]} channels")
    if frequencies % scale[0]:
        raise ModelFileError(f"{where}: {frequencies} frequencies do not split into {scale[0]} equal sub-bands")
    return shape


def _linear(weight: Shape, bias: Shape, shape: Shape, where: str) -> Shape:
    if len(weight) != 2 or weight[1:] != shape or bias != weight[:1]:
        raise ModelFileError(f"{where}: weight {weight} and bias {bias} do not fit the input {shape}")
    return bias
