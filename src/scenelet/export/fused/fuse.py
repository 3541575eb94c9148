"""Fusion of a model's nodes: norms and ReLUs go into the convolutions and sums before them."""

from collections import Counter
from collections.abc import Mapping

import numpy as np

from scenelet.export.fused import layers
from scenelet.export.fused.layers import FusedNetwork, Layer, Pads, Values, Weight
from scenelet.model import ops
from scenelet.model.encodings import MAX_INT8, to_int8
from scenelet.model.scene_model import SceneModel


def fuse(model: SceneModel) -> FusedNetwork:
    """Fuse the network of a model.

    A `ScaleShift` that is the only reader of a convolution or a dense layer becomes its scale and shift, with any
    number of sub-bands. A ReLU goes into the layer before it in the same way. Any other `ScaleShift` is a depthwise
    convolution of size 1 x 1, and a `Linear` is a convolution of size 1 x 1.

    Raises:
        ModelFileError: as `scenelet.model.shapes.shapes`.

    >>> from scenelet.model.file import read_model
    >>> from scenelet.model.pretrained import built_in
    >>> network = fuse(read_model(built_in("esc10")))
    >>> len(network.layers), network.shapes["stem_1"], network.layers[1].relu
    (91, (32, 216, 76), True)
    """
    shapes = {name: _channels_last(shape) for name, shape in model.shapes().items()}
    readers = Counter(name for node in model.nodes for name in node.reads)
    only_reader = {node.reads[0]: node for node in model.nodes if len(node.reads) == 1 and readers[node.reads[0]] == 1}
    weights: dict[str, Weight] = {}
    fused: list[Layer] = []
    done: set[str] = set()  # nodes that a layer already contains
    for node in model.nodes:
        if node.output in done:
            continue
        norm: ops.ScaleShift | None = None
        follower = only_reader.get(node.output)
        if isinstance(node, ops.Conv | ops.Linear) and isinstance(follower, ops.ScaleShift):
            norm, follower = follower, only_reader.get(follower.output)
            done.add(norm.output)
        relu = isinstance(node, ops.Conv | ops.ScaleShift | ops.Linear | ops.Add) and isinstance(follower, ops.Relu)
        name = norm.output if norm is not None else node.output
        if relu:
            assert follower is not None
            name = follower.output
            done.add(name)
        fused.append(_layer(node, norm, name, relu, model, shapes, weights))
    written = {ops.INPUT, *(layer.name for layer in fused)}
    return FusedNetwork(tuple(fused), {name: shape for name, shape in shapes.items() if name in written})


def _layer(
    node: ops.Node,
    norm: ops.ScaleShift | None,
    name: str,
    relu: bool,
    model: SceneModel,
    shapes: Mapping[str, layers.Shape],
    weights: dict[str, Weight],
) -> Layer:
    """Convert a node, with the norm and the ReLU after it, to a layer that writes `name`."""
    match node:
        case ops.Conv():
            weight = _weight(node.weight, model, weights)
            out = len(weight.steps)
            scale, shift = np.ones((1, out), np.float32), np.zeros((1, out), np.float32)
            if norm is not None:
                scale, shift = _affine(norm, out, model)
            return layers.Conv(
                name,
                node.input,
                weight,
                scale,
                shift,
                stride=node.stride,
                dilation=node.dilation,
                pads=_both_sides(node.padding),
                groups=node.groups,
                relu=relu,
            )
        case ops.ScaleShift():
            channels = shapes[node.input][2]
            ones = Weight(
                f"ones.{channels}",
                np.ones((channels, 1, 1, 1), np.int8),
                np.ones(channels),
                True,
                np.ones((channels, 1, 1, 1), np.float32),
            )
            scale, shift = _affine(node, channels, model)
            return layers.Conv(name, node.input, ones, scale, shift, groups=channels, relu=relu)
        case ops.Linear():
            weight = _weight(node.weight, model, weights)
            out = len(weight.steps)
            scale, shift = np.ones((1, out), np.float32), model.arrays[node.bias][None]
            if norm is not None:
                scale, offset = _affine(norm, out, model)
                shift = shift * scale + offset
            return layers.Conv(name, node.input, weight, scale, shift, relu=relu)
        case ops.Add():
            return layers.Add(name, node.inputs, relu)
        case ops.Relu():
            return layers.Relu(name, node.input)
        case ops.Silu():
            return layers.Silu(name, node.input)
        case ops.ResidualNorm():
            return layers.ResidualNorm(name, node.input)
        case ops.MaxPool():
            return layers.MaxPool(name, node.input, node.kernel, node.stride)
        case ops.AveragePool():
            return layers.AveragePool(name, node.input, node.kernel, node.stride, _both_sides(node.padding))
        case ops.FrequencyMeanPool():
            return layers.FrequencyMean(name, node.input)
        case ops.GlobalMeanPool():
            return layers.GlobalMean(name, node.input)
        case ops.Flatten():
            return layers.Flatten(name, node.input)
        case ops.Softmax():
            return layers.Softmax(name, node.input)


def _channels_last(shape: ops.Shape) -> layers.Shape:
    return (1, 1, shape[0]) if len(shape) == 1 else (shape[1], shape[2], shape[0])


def _both_sides(padding: tuple[int, int]) -> Pads:
    return (padding[0], padding[0]), (padding[1], padding[1])


def _affine(norm: ops.ScaleShift, channels: int, model: SceneModel) -> tuple[Values, Values]:
    """Return scale and shift as (sub_bands, channels)."""
    scale, shift = model.arrays[norm.scale], model.arrays[norm.shift]
    return np.broadcast_to(scale, (len(scale), channels)), np.broadcast_to(shift, (len(shift), channels))


def _weight(name: str, model: SceneModel, weights: dict[str, Weight]) -> Weight:
    """Return the weights of an array, and remember them for other layers that share it."""
    if name not in weights:
        array = model.arrays[name]
        rows = array.reshape(len(array), -1)
        exact = model.encodings[name] == "masked_int8"
        if exact:
            integers, exponents = to_int8(name, array)
            steps = np.ldexp(1.0, exponents)
        else:
            largest = np.abs(rows).max(axis=1).astype(np.float64)
            steps = np.where(largest == 0, 1.0, largest) / MAX_INT8
            integers = np.rint(rows / steps[:, None]).astype(np.int8)
        full = (*array.shape, 1, 1)[:4]  # a dense layer is a convolution of size 1 x 1
        weights[name] = Weight(
            name,
            np.ascontiguousarray(integers.reshape(full).transpose(0, 2, 3, 1)),
            steps,
            exact,
            np.ascontiguousarray(array.reshape(full).transpose(0, 2, 3, 1)),
        )
    return weights[name]
