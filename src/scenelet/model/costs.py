"""What a network of nodes costs: multiply-accumulates, memory for activations; and how much sound it sees."""

import math
from collections.abc import Mapping, Sequence

from scenelet.model.ops import INPUT, Conv, Linear, MaxPool, Node, Shape, shapes

IN_PLACE = ("ScaleShift", "Relu", "Silu", "Add")
"""Operations that can write over what they read."""
ACTIVATION_BYTES = 4  # fp32


def layer_macs(nodes: Sequence[Node], array_shapes: Mapping[str, Shape], input_shape: Shape) -> list[int]:
    """Multiply-accumulates of each node for one window; only `Conv` and `Linear` count. Raises as `shapes`."""
    return _layer_macs(nodes, array_shapes, shapes(nodes, array_shapes, input_shape))


def macs(nodes: Sequence[Node], array_shapes: Mapping[str, Shape], input_shape: Shape) -> int:
    """Multiply-accumulates of the network for one window; see `layer_macs`."""
    return sum(layer_macs(nodes, array_shapes, input_shape))


def operation_count(nodes: Sequence[Node], array_shapes: Mapping[str, Shape], known: Mapping[str, Shape]) -> int:
    """What bounds the time of one window: multiply-accumulates, what pools compare, and all that is read and written.

    `known` is what `shapes` says of these nodes.
    """
    total = sum(_layer_macs(nodes, array_shapes, known))
    for node in nodes:
        size = math.prod(known[node.output])
        total += size + sum(math.prod(known[name]) for name in node.reads)
        if isinstance(node, MaxPool):
            total += size * math.prod(node.kernel)
    return total


def receptive_field(nodes: Sequence[Node], array_shapes: Mapping[str, Shape], input_shape: Shape) -> tuple[int, int]:
    """(mel bands, frames) of the input that one position of the last map sees, before it is pooled or flattened.

    A convolution or pool with kernel k after steps of j in all widens it by (k - 1) j; a sum sees what the wider
    of its parts sees, and after a mean over frequency every band is seen. It may be larger than the input, whose edges
    then lie inside it.
    """
    sizes: dict[str, tuple[int, int]] = {INPUT: (1, 1)}
    steps: dict[str, tuple[int, int]] = {INPUT: (1, 1)}
    last = INPUT
    for node in nodes:
        if node.op in ("GlobalMeanPool", "Flatten"):
            break
        kernel: Shape = (1, 1)
        stride = (1, 1)
        if isinstance(node, Conv):
            sides = zip(array_shapes[node.weight][2:], node.dilation, strict=True)
            kernel, stride = tuple((k - 1) * apart + 1 for k, apart in sides), node.stride
        elif isinstance(node, MaxPool):
            kernel, stride = node.kernel, node.stride
        step = steps[node.reads[0]]
        widest = (max(sizes[name][axis] for name in node.reads) for axis in (0, 1))
        bands, frames = (size + (k - 1) * j for size, k, j in zip(widest, kernel, step, strict=True))
        if node.op == "FrequencyMeanPool":
            bands = max(bands, input_shape[1])
        sizes[node.output], last = (bands, frames), node.output
        steps[node.output] = step[0] * stride[0], step[1] * stride[1]
    return sizes[last]


def peak_activation_bytes(nodes: Sequence[Node], array_shapes: Mapping[str, Shape], input_shape: Shape) -> int:
    """Most bytes of fp32 values that lie in memory together while one window runs, node by node.

    A value is kept until its last reader has run; an operation of `IN_PLACE` writes over a value that nobody reads
    after it. Scratch memory of a runtime's own comes on top. Raises as `shapes`.
    """
    return ACTIVATION_BYTES * peak_numbers(nodes, shapes(nodes, array_shapes, input_shape))


def peak_numbers(nodes: Sequence[Node], known: Mapping[str, Shape]) -> int:
    """As `peak_activation_bytes`, in numbers; `known` is what `shapes` says of these nodes."""
    size = {name: math.prod(shape) for name, shape in known.items()}
    last_reader = {name: index for index, node in enumerate(nodes) for name in node.reads}
    live, peak = {INPUT}, size[INPUT]
    for index, node in enumerate(nodes):
        done = {name for name in node.reads if last_reader[name] == index}
        over = any(node.op in IN_PLACE and known[name] == known[node.output] for name in done)
        held = sum(size[name] for name in live)
        peak = max(peak, held if over else held + size[node.output])
        live = (live - done) | ({node.output} & last_reader.keys())
    return peak


def _layer_macs(nodes: Sequence[Node], array_shapes: Mapping[str, Shape], known: Mapping[str, Shape]) -> list[int]:
    counts = []
    for node in nodes:
        match node:
            case Conv():
                positions = math.prod(known[node.output][1:])
                counts.append(positions * math.prod(array_shapes[node.weight]))
            case Linear():
                counts.append(math.prod(array_shapes[node.weight]))
            case _:
                counts.append(0)
    return counts
