"""Costs of a network: multiply-accumulates, activation memory, and its receptive field."""

import math
from collections.abc import Mapping, Sequence

from scenelet.model.ops import INPUT, AveragePool, Conv, Linear, MaxPool, Node, ScaleShift, Shape
from scenelet.model.scene_model import SceneModel
from scenelet.model.shapes import shapes

IN_PLACE_OPS = ("ScaleShift", "ResidualNorm", "Relu", "Silu", "Add")
"""Operations that can overwrite an input with their output."""
ACTIVATION_BYTES = 4  # fp32


def layer_macs(nodes: Sequence[Node], array_shapes: Mapping[str, Shape], input_shape: Shape) -> list[int]:
    """Count the multiply-accumulates of each node for one window; only `Conv` and `Linear` have any.

    Args:
        nodes: the network, in the order in which it runs.
        array_shapes: the shape of each array that the nodes name.
        input_shape: (channels, n_mels, frames) of one window's log-mel.

    Raises:
        ModelFileError: as `scenelet.model.shapes.shapes`.
    """
    return _layer_macs(nodes, array_shapes, shapes(nodes, array_shapes, input_shape))


def macs(nodes: Sequence[Node], array_shapes: Mapping[str, Shape], input_shape: Shape) -> int:
    """Count the multiply-accumulates of a network for one window; see `layer_macs` for arguments and errors.

    >>> from scenelet.model.ops import GlobalMeanPool, Linear, Softmax
    >>> nodes = [
    ...     GlobalMeanPool(input="log_mel", output="mean"),
    ...     Linear(input="mean", output="logits", weight="w", bias="b"),
    ...     Softmax(input="logits", output="probabilities"),
    ... ]
    >>> macs(nodes, {"w": (3, 2), "b": (3,)}, (2, 64, 100))
    6
    """
    return sum(layer_macs(nodes, array_shapes, input_shape))


def torchinfo_macs(model: SceneModel) -> int:
    """Count the multiply-accumulates for one window as `torchinfo.summary(network).total_mult_adds` counts them.

    - A convolution counts its weights and biases for each position of its output.
    - A dense layer counts its weights and biases once, and a norm its scales and shifts once, at each call. Batch norm
      has 2 per channel.
    - Everything else counts nothing: the standardization of the input, the mean over members, the temperature.

    A pruned weight counts as any other. The file holds a norm as one scale and shift per channel and sub-band. So the
    count of its parameters in training tells if a sub-spectral norm has one pair per channel or one per sub-band.

    Raises:
        ModelFileError: as `scenelet.model.shapes.shapes`.

    >>> from scenelet.model.file import read_model
    >>> from scenelet.model.pretrained import built_in
    >>> model = read_model(built_in("esc10"))
    >>> torchinfo_macs(model), macs(model.nodes, model.array_shapes, model.input_shape)
    (111735058, 111728816)
    """
    value_shapes, array_shapes = model.shapes(), model.array_shapes
    total = sum(_layer_macs(model.nodes, array_shapes, value_shapes))
    norms: list[ScaleShift] = []
    for node in model.nodes:
        match node:
            case Linear():
                total += math.prod(array_shapes[node.bias])
            case ScaleShift() if node.shift.endswith(".bias"):  # the bias of the convolution before it
                total += math.prod(value_shapes[node.output])
            case ScaleShift() if node.input != INPUT and len(value_shapes[node.output]) > 1:
                norms.append(node)
    pairs = {node.shift: array_shapes[node.shift] for node in norms}  # a norm may be called several times
    is_per_band = model.counts.batch_norm + model.counts.sub_spectral_norm > sum(2 * c for _, c in pairs.values())
    for node in norms:
        sub_bands, channels = array_shapes[node.shift]
        total += 2 * channels * (sub_bands if is_per_band else 1)
    return total


def operation_count(nodes: Sequence[Node], array_shapes: Mapping[str, Shape], value_shapes: Mapping[str, Shape]) -> int:
    """Count what bounds the time of one window.

    It is the sum of multiply-accumulates, numbers in the blocks of pools, and numbers read and written.

    Args:
        nodes: the network.
        array_shapes: the shape of each array.
        value_shapes: the result of `scenelet.model.shapes.shapes` for these nodes.
    """
    total = sum(_layer_macs(nodes, array_shapes, value_shapes))
    for node in nodes:
        size = math.prod(value_shapes[node.output])
        total += size + sum(math.prod(value_shapes[name]) for name in node.reads)
        if isinstance(node, MaxPool | AveragePool):
            total += size * math.prod(node.kernel)
    return total


def receptive_field(nodes: Sequence[Node], array_shapes: Mapping[str, Shape], input_shape: Shape) -> tuple[int, int]:
    """Return the (mel bands, frames) of the input that one position of the last map sees, before it is pooled.

    A convolution or pool with kernel k adds (k - 1) j, where j is the product of all strides before it. A sum sees what
    its wider input sees. After a mean over frequency every band is seen, and after `ResidualNorm` every frame. The
    field may be larger than the input.

    Args:
        nodes, array_shapes, input_shape: as in `layer_macs`.

    >>> from scenelet.model.ops import Conv
    >>> nodes = [Conv(input="log_mel", output="a", weight="w", stride=(2, 2)), Conv(input="a", output="b", weight="w")]
    >>> receptive_field(nodes, {"w": (1, 1, 3, 3)}, (1, 64, 100))
    (7, 7)
    """
    fields: dict[str, tuple[int, int]] = {INPUT: (1, 1)}
    jumps: dict[str, tuple[int, int]] = {INPUT: (1, 1)}
    last = INPUT
    for node in nodes:
        if node.op in ("GlobalMeanPool", "Flatten"):
            break
        kernel: Shape = (1, 1)
        stride = (1, 1)
        if isinstance(node, Conv):
            axes = zip(array_shapes[node.weight][2:], node.dilation, strict=True)
            kernel, stride = tuple((k - 1) * dilation + 1 for k, dilation in axes), node.stride
        elif isinstance(node, MaxPool | AveragePool):
            kernel, stride = node.kernel, node.stride
        jump = jumps[node.reads[0]]
        widest = (max(fields[name][axis] for name in node.reads) for axis in (0, 1))
        bands, frames = (size + (k - 1) * j for size, k, j in zip(widest, kernel, jump, strict=True))
        if node.op == "FrequencyMeanPool":
            bands = max(bands, input_shape[1])
        elif node.op == "ResidualNorm":
            frames = max(frames, input_shape[2])
        fields[node.output], last = (bands, frames), node.output
        jumps[node.output] = jump[0] * stride[0], jump[1] * stride[1]
    return fields[last]


def peak_activation_bytes(nodes: Sequence[Node], array_shapes: Mapping[str, Shape], input_shape: Shape) -> int:
    """Return the maximum size in bytes of all fp32 values that are in memory together while one window runs.

    The nodes run one by one. A value stays in memory until its last reader has run. An operation in `IN_PLACE_OPS`
    overwrites an input that no later node reads. Scratch memory of a runtime comes on top.

    Args:
        nodes, array_shapes, input_shape: as in `layer_macs`.

    Raises:
        ModelFileError: as `scenelet.model.shapes.shapes`.
    """
    return ACTIVATION_BYTES * peak_activation_size(nodes, shapes(nodes, array_shapes, input_shape))


def peak_activation_size(nodes: Sequence[Node], value_shapes: Mapping[str, Shape]) -> int:
    """Return the result of `peak_activation_bytes` as a count of numbers.

    Args:
        nodes: the network.
        value_shapes: the result of `scenelet.model.shapes.shapes` for these nodes.
    """
    size = {name: math.prod(shape) for name, shape in value_shapes.items()}
    last_reader = {name: index for index, node in enumerate(nodes) for name in node.reads}
    live, peak = {INPUT}, size[INPUT]
    for index, node in enumerate(nodes):
        finished = {name for name in node.reads if last_reader[name] == index}
        overwrites = any(
            node.op in IN_PLACE_OPS and value_shapes[name] == value_shapes[node.output] for name in finished
        )
        live_size = sum(size[name] for name in live)
        peak = max(peak, live_size if overwrites else live_size + size[node.output])
        live = (live - finished) | ({node.output} & last_reader.keys())
    return peak


def _layer_macs(
    nodes: Sequence[Node], array_shapes: Mapping[str, Shape], value_shapes: Mapping[str, Shape]
) -> list[int]:
    counts = []
    for node in nodes:
        match node:
            case Conv():
                positions = math.prod(value_shapes[node.output][1:])
                counts.append(positions * math.prod(array_shapes[node.weight]))
            case Linear():
                counts.append(math.prod(array_shapes[node.weight]))
            case _:
                counts.append(0)
    return counts
