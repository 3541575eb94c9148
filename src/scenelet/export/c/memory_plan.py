"""Places of a network's values in one block of memory, the arena, and the order in which layers run.

Layers run in chains. All layers of a chain run for one time step before they run for the next one. So a value between
two layers of a chain needs the memory of one column, its numbers of one time step. A single layer runs as a whole.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

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
    Shape,
    Silu,
    Softmax,
)
from scenelet.model.ops import INPUT, OUTPUT

ALIGNMENT = 4
"""Every value begins at a multiple of this many numbers."""
Chain = tuple[Layer, ...]


@dataclass(frozen=True, eq=False)
class MemoryPlan:
    """Plan of an arena, in numbers.

    Attributes:
        chains: all layers in their order.
        offsets: the place of each value by name.
        columns: names of the values that hold one time step.
        patches: places of the inputs of one output, by the name of each convolution that collects them.
        size: numbers in the arena.
        needed: numbers in memory while each chain runs. No plan of these chains is smaller than the largest of them.
    """

    chains: tuple[Chain, ...]
    offsets: Mapping[str, int]
    columns: frozenset[str]
    patches: Mapping[str, int]
    size: int
    needed: tuple[int, ...]


@dataclass
class _Buffer:
    """Memory of one value, or of several that follow each other in place, while chains `first` to `last` run."""

    size: int
    first: int
    last: int
    offset: int = 0

    def lives_with(self, other: "_Buffer") -> bool:
        return self.first <= other.last and other.first <= self.last


def plan_memory(network: FusedNetwork) -> MemoryPlan:
    """Plan the arena of a network.

    All layers that can form a chain do so. Then the chains that need most memory are split, while this saves memory. It
    can, because a chain needs its input and its result at the same time.

    >>> from scenelet.export.fused.fuse import fuse
    >>> from scenelet.model.file import read_model
    >>> from scenelet.model.pretrained import built_in
    >>> plan = plan_memory(fuse(read_model(built_in("esc10"))))
    >>> plan.size, plan.size == max(plan.needed)
    (533640, True)
    """
    layers = network.layers
    readers = Counter(name for layer in layers for name in layer.reads)
    joints = {index for index in range(1, len(layers)) if _continues(layers[index - 1], layers[index], readers)}
    plan = _plan(network, joints)
    while True:
        limit = 0 if plan.size > max(plan.needed) else plan.size  # with gaps in the arena, any split may help
        peaks = [chain for chain, needed in zip(plan.chains, plan.needed, strict=True) if needed >= limit]
        inside = {layer.name for chain in peaks for layer in chain[1:]}
        trials = [(_plan(network, joints - {joint}), joint) for joint in sorted(joints) if layers[joint].name in inside]
        best, cut = min(trials, key=lambda trial: _cost(trial[0]), default=(plan, 0))
        if _cost(best) >= _cost(plan):
            return plan
        plan, joints = best, joints - {cut}


def _cost(plan: MemoryPlan) -> tuple[int, list[int]]:
    """Return what a better plan has less of: the arena, or else the memory of the chains from the largest."""
    return plan.size, sorted(plan.needed, reverse=True)


def _continues(before: Layer, layer: Layer, readers: Mapping[str, int]) -> bool:
    """Return whether a layer can run in a chain with the layer before it, given the count of each value's readers."""
    makes_columns = not isinstance(before, GlobalMean | Flatten | Softmax | ResidualNorm)
    return makes_columns and before.name in layer.reads and readers[before.name] == 1 and _is_columnwise(layer)


def _is_columnwise(layer: Layer) -> bool:
    """Return whether each time step of a layer's result depends on the same time step of its inputs only."""
    match layer:
        case Conv():
            return layer.kernel[1] == layer.stride[1] == 1 and layer.pads[1] == (0, 0)
        case AveragePool():
            return layer.kernel[1] == layer.stride[1] == 1 and layer.pads[1] == (0, 0)
        case MaxPool():
            return layer.kernel[1] == layer.stride[1] == 1
    return isinstance(layer, Add | Relu | Silu | FrequencyMean)


def _is_elementwise(layer: Layer, network: FusedNetwork) -> bool:
    """Return whether a layer may write each number over the one that it reads at the same place."""
    if isinstance(layer, Conv):
        direct = layer.kernel == layer.stride == (1, 1) and not np.any(layer.pads)
        return direct and is_depthwise(layer, network)
    return isinstance(layer, Add | Relu | Silu | ResidualNorm)


def is_depthwise(layer: Conv, network: FusedNetwork) -> bool:
    """Return whether each output channel of a convolution has its own input channel."""
    channels = network.shapes[layer.input][2], network.shapes[layer.name][2]
    return channels == (layer.groups, layer.groups)


def _is_direct(layer: Conv, network: FusedNetwork) -> bool:
    """Return whether a convolution reads its inputs where they are."""
    return is_depthwise(layer, network) or (layer.kernel == (1, 1) and not np.any(layer.pads))


def _plan(network: FusedNetwork, joints: set[int]) -> MemoryPlan:
    """Plan the arena if the layers of `joints` run in a chain with the layer before them."""
    starts = [index for index in range(len(network.layers)) if index not in joints]
    ends = [*starts[1:], len(network.layers)]
    chains = tuple(network.layers[start:end] for start, end in zip(starts, ends, strict=True))
    columns = frozenset(layer.name for chain in chains for layer in chain[:-1])
    last_read = {name: index for index, chain in enumerate(chains) for layer in chain for name in layer.reads}
    last_read[OUTPUT] = len(chains)
    buffers = {INPUT: _Buffer(_size(network.shapes[INPUT]), 0, last_read[INPUT])}
    patches: dict[str, _Buffer] = {}
    for index, chain in enumerate(chains):
        for layer in chain:
            if isinstance(layer, Conv) and not _is_direct(layer, network):
                channels = network.shapes[layer.input][2] // layer.groups
                patches[layer.name] = _Buffer(_size((*layer.kernel, channels)), index, index)
        for layer in chain[:-1]:
            frequencies, _, channels = network.shapes[layer.name]
            buffers[layer.name] = _Buffer(_size((frequencies, 1, channels)), index, index)
        result = chain[-1].name
        over = _overwritten(chain, network, {name for name in buffers if last_read[name] == index} - columns)
        if over is None:
            buffers[result] = _Buffer(_size(network.shapes[result]), index, last_read[result])
        else:
            buffers[result] = buffers[over]
            buffers[result].last = last_read[result]
    distinct = list({id(buffer): buffer for buffer in (*buffers.values(), *patches.values())}.values())
    size = _place(distinct)
    needed = tuple(sum(b.size for b in distinct if b.first <= index <= b.last) for index in range(len(chains)))
    return MemoryPlan(chains, _offsets(buffers), columns, _offsets(patches), size, needed)


def _offsets(buffers: Mapping[str, _Buffer]) -> dict[str, int]:
    return {name: buffer.offset for name, buffer in buffers.items()}


def _overwritten(chain: Chain, network: FusedNetwork, unused: set[str]) -> str | None:
    """Return the value over which a chain writes its result, or None.

    Args:
        chain: the layers.
        network: the network.
        unused: values that no later chain reads.
    """
    last = chain[-1]
    for name in dict.fromkeys(name for layer in chain for name in layer.reads):
        if name not in unused or network.shapes[name] != network.shapes[last.name]:
            continue
        before = [layer for layer in chain[:-1] if name in layer.reads]
        if all(map(_is_columnwise, before)) and (name not in last.reads or _is_elementwise(last, network)):
            return name
    return None


def _size(shape: Shape) -> int:
    return -(-int(np.prod(shape)) // ALIGNMENT) * ALIGNMENT


def _place(buffers: Sequence[_Buffer]) -> int:
    """Place the largest buffers first, or those that take most memory for the longest time; return the arena's size."""
    by_size = sorted(buffers, key=lambda b: (-b.size, b.first))
    by_area = sorted(buffers, key=lambda b: -b.size * (b.last - b.first + 1))
    return _place_in_order(min((by_size, by_area), key=_place_in_order))


def _place_in_order(buffers: Sequence[_Buffer]) -> int:
    """Give each buffer the first place that is free while it lives, and return the end of the last one."""
    placed: list[_Buffer] = []
    for buffer in buffers:
        buffer.offset = 0
        for other in sorted((b for b in placed if b.lives_with(buffer)), key=lambda b: b.offset):
            if other.offset < buffer.offset + buffer.size:
                buffer.offset = max(buffer.offset, other.offset + other.size)
        placed.append(buffer)
    return max(buffer.offset + buffer.size for buffer in buffers)
