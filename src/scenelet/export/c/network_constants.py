"""Constants of a network in C: weights, biases, multipliers and tables."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenelet.export.c.literals import c_numbers, c_table
from scenelet.export.c.memory_plan import MemoryPlan, is_depthwise
from scenelet.export.fused.int8_arithmetic import (
    Multiplier,
    add_multipliers,
    conv_multipliers,
    exp_table,
    mean_multiplier,
    rescale_table,
    silu_table,
)
from scenelet.export.fused.int8_network import Int8Network
from scenelet.export.fused.layers import (
    Add,
    Conv,
    FrequencyMean,
    FusedNetwork,
    GlobalMean,
    Layer,
    Relu,
    Silu,
    Softmax,
)

BLOCK = 4
"""Output channels, and inputs, that int8 convolutions take at a time. They read up to BLOCK - 1 numbers too many."""


class Constants:
    """Constants of a network in C. Equal arrays are written once.

    Args:
        network: the network.
        plan: places in the arena.
        int8: its integers, if the C program runs in int8.

    Attributes:
        lines: the definitions.
        size: bytes of all arrays.
        arena: numbers in the arena. In int8 it ends with numbers that a convolution may read too many.
    """

    def __init__(self, network: FusedNetwork, plan: MemoryPlan, int8: Int8Network | None) -> None:
        self.network, self.plan, self.int8 = network, plan, int8
        self.lines: list[str] = []
        self.size = 0
        self.arena = plan.size + (0 if int8 is None else BLOCK)
        self._names: dict[tuple[str, bytes], str] = {}

    def array(self, c_type: str, numbers: Any) -> str:
        """Define an array of a C type and return its name."""
        array = np.ascontiguousarray(numbers, np.float32 if c_type == "float" else np.dtype(c_type.removesuffix("_t")))
        key = c_type, array.tobytes()
        if key not in self._names:
            self._names[key] = f"{c_type.removesuffix('_t')}_{len(self._names)}"
            self.size += array.nbytes
            self.lines += c_table(f"static const {c_type} {self._names[key]}[]", c_numbers(array.ravel()))
        return self._names[key]

    def parameters(self, layer: Layer) -> str:
        """Define the parameters of a layer and return a pointer to them."""
        if isinstance(layer, Conv):
            kind, fields = self._float_conv(layer) if self.int8 is None else self._int8_conv(layer, self.int8)
            name = f"conv_{len(self.lines)}"
            self.lines.append(f"static const scenelet_{kind}_conv {name} = {{{', '.join(fields)}}};")
            return f"&{name}"
        if self.int8 is None:
            return "0"
        result, values = self.int8.values[layer.name], self.int8.values
        sources = [values[name] for name in layer.reads]
        match layer:
            case Add():
                return self._multipliers(add_multipliers(sources[0], sources[1], result))
            case Relu():
                return self.array("int8_t", rescale_table(sources[0], result))
            case Silu():
                return self.array("int8_t", silu_table(sources[0], result))
            case FrequencyMean() | GlobalMean():
                frequencies, frames, _ = self.network.shapes[layer.input]
                count = frequencies * frames if isinstance(layer, GlobalMean) else frequencies
                return self._multipliers([mean_multiplier(sources[0], count, result)])
            case Softmax():
                return self.array("int32_t", exp_table(sources[0]))
        return "0"

    def _multipliers(self, multipliers: Sequence[Multiplier]) -> str:
        return self.array("int32_t", [number for each in multipliers for number in (each.mantissa, each.shift)])

    def _int8_conv(self, layer: Conv, int8: Int8Network) -> tuple[str, list[str]]:
        integers = int8.convs[layer.name]
        mantissas, shifts = conv_multipliers(int8.values[layer.input], integers.steps, int8.values[layer.name])
        distinct = {id(weights): weights for weights in integers.weights}
        variants = [list(distinct).index(id(weights)) for weights in integers.weights]
        weights = np.stack([self._in_order(layer, each) for each in distinct.values()])
        return "int8", [
            str(self.plan.patches.get(layer.name, 0)),
            self.array("int8_t", weights),
            self.array("uint8_t", variants) if len(distinct) > 1 else "0",
            self.array("int32_t", integers.biases),
            self.array("int32_t", mantissas),
            self.array("int8_t", shifts),
        ]

    def _float_conv(self, layer: Conv) -> tuple[str, list[str]]:
        weight, scale = layer.weight, layer.scale.astype(np.float64)
        integers = reals = "0"
        if weight.exact:
            integers = self.array("int8_t", self._in_order(layer, weight.integers))
            scale = scale * weight.steps
        else:
            reals = self.array("float", self._in_order(layer, weight.values))
        patch = str(self.plan.patches.get(layer.name, 0))
        return "float", [patch, integers, reals, self.array("float", scale), self.array("float", layer.shift)]

    def _in_order(self, layer: Conv, weights: NDArray[Any]) -> NDArray[Any]:
        """Return weights (out, kernel F, kernel T, in / groups) as the C program reads them, see scenelet_layers.h."""
        if is_depthwise(layer, self.network):
            return weights.transpose(3, 1, 2, 0)
        if self.int8 is None:
            return weights
        rows = weights.reshape(layer.groups, len(weights) // layer.groups, -1)
        rows = np.pad(rows, ((0, 0), (0, -rows.shape[1] % BLOCK), (0, -rows.shape[2] % BLOCK)))
        blocks = rows.reshape(layer.groups, rows.shape[1] // BLOCK, BLOCK, rows.shape[2] // BLOCK, BLOCK)
        return blocks.transpose(0, 1, 3, 2, 4)
