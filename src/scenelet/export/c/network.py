"""C99 sources of a model's network: constants, layers and places in memory, next to code that all models share."""

from collections.abc import Sequence
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenelet.export.c.golden_network import golden_network
from scenelet.export.c.literals import c_comment, c_float, c_numbers, c_table, c_text
from scenelet.export.c.memory_plan import MemoryPlan, is_depthwise, plan_memory
from scenelet.export.fused.fuse import fuse
from scenelet.export.fused.int8_arithmetic import (
    Multiplier,
    add_multipliers,
    conv_multipliers,
    exp_table,
    mean_multiplier,
    multiplier,
    rescale_table,
    silu_table,
)
from scenelet.export.fused.int8_network import Int8Network
from scenelet.export.fused.layers import (
    Add,
    AveragePool,
    Conv,
    FrequencyMean,
    FusedNetwork,
    GlobalMean,
    Layer,
    MaxPool,
    Relu,
    Silu,
    Softmax,
)
from scenelet.inference.threshold import MIN_THRESHOLD, stored_threshold
from scenelet.model.ops import INPUT
from scenelet.model.scene_model import SceneModel

SOURCES = (
    "qemu_cortex_m.c",
    "qemu_cortex_m.ld",
    "scenelet_layers.h",
    "scenelet_network.c",
    "scenelet_network.h",
    "test_network.c",
)
"""Files in `sources/` that every export holds, besides the layers in int8 or float."""
BLOCK = 4
"""Output channels, and inputs, that int8 convolutions take at a time. They read up to BLOCK - 1 numbers too many."""
KINDS = {
    "Add": "ADD",
    "AveragePool": "AVERAGE_POOL",
    "Conv": "CONV",
    "Flatten": "FLATTEN",
    "FrequencyMean": "FREQUENCY_MEAN",
    "GlobalMean": "GLOBAL_MEAN",
    "MaxPool": "MAX_POOL",
    "Relu": "RELU",
    "ResidualNorm": "RESIDUAL_NORM",
    "Silu": "SILU",
    "Softmax": "SOFTMAX",
}
"""Mapping from a layer's class to its kind in C."""


def network_files(model: SceneModel, int8: Int8Network | None = None) -> dict[str, str]:
    """Return the C99 sources of a model's network with its test, by file name.

    Args:
        model: the content of a `.scn` file.
        int8: its network in int8; by default the sources run in float.

    >>> from scenelet.model.file import read_model
    >>> from scenelet.model.pretrained import built_in
    >>> files = network_files(read_model(built_in("esc10")))
    >>> "#define SCENELET_ARENA 533640" in files["model_network.h"]
    True
    """
    network = fuse(model) if int8 is None else int8.network
    plan = plan_memory(network)
    constants = Constants(network, plan, int8)
    layers = _layers(network, constants)
    kind = "float" if int8 is None else "int8"
    names = [*SOURCES, f"scenelet_conv_{kind}.c", f"scenelet_layers_{kind}.c"]
    sources = resources.files("scenelet.export.c") / "sources"
    return {
        "model_network.h": _header(model, constants),
        "model_network.c": _source(model, constants, layers),
        "golden_network.h": golden_network(model, int8),
        **{name: (sources / name).read_text(encoding="utf-8") for name in names},
    }


def constant_bytes(network: FusedNetwork, int8: Int8Network | None) -> int:
    """Return the bytes of flash that a network's weights and tables take.

    Args:
        network: the network.
        int8: its integers, if the C program runs in int8.
    """
    constants = Constants(network, plan_memory(network), int8)
    for layer in network.layers:
        constants.parameters(layer)
    return constants.size


def arena_size(plan: MemoryPlan, int8: bool) -> int:
    """Return the numbers of the arena in C. In int8, it ends with numbers that a convolution may read too many."""
    return plan.size + BLOCK * int8


class Constants:
    """Constants of a network in C. Equal arrays are written once.

    Args:
        network: the network.
        plan: places in the arena.
        int8: its integers, if the C program runs in int8.

    Attributes:
        lines: the definitions.
        size: bytes of all arrays.
    """

    def __init__(self, network: FusedNetwork, plan: MemoryPlan, int8: Int8Network | None) -> None:
        self.network, self.plan, self.int8 = network, plan, int8
        self.lines: list[str] = []
        self.size = 0
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


def _layers(network: FusedNetwork, constants: Constants) -> list[str]:
    """Return the entries of all layers."""
    indices = {name: index for index, name in enumerate(_value_names(network))}
    entries = []
    for chain in constants.plan.chains:
        for layer in chain:
            kind = KINDS[type(layer).__name__]
            bands, stride, dilation, pads, kernel, groups = 1, (1, 1), (1, 1), (0, 0), (1, 1), 1
            if isinstance(layer, Conv):
                bands, groups, dilation = len(layer.scale), layer.groups, layer.dilation
                kind = "DEPTHWISE_CONV" if is_depthwise(layer, network) else kind
            if isinstance(layer, Conv | AveragePool):
                pads = layer.pads[0][0], layer.pads[1][0]
            if isinstance(layer, Conv | AveragePool | MaxPool):
                kernel, stride = layer.kernel, layer.stride
            inputs = indices[layer.reads[0]], indices[layer.reads[-1]]
            relu, length = int(getattr(layer, "relu", False)), len(chain) if layer is chain[0] else 0
            pairs = ", ".join(_pair(pair) for pair in (kernel, stride, dilation, pads))
            entries.append(
                f"{{SCENELET_{kind}, {relu}, {length}, {bands}, {_pair(inputs)}, {indices[layer.name]},"
                f" {pairs}, {groups}, {constants.parameters(layer)}}}"
            )
    return entries


def _value_names(network: FusedNetwork) -> list[str]:
    return [INPUT, *(layer.name for layer in network.layers)]


def _pair(pair: Sequence[int]) -> str:
    return f"{{{pair[0]}, {pair[1]}}}"


def _tensor(name: str, constants: Constants) -> str:
    network, plan, int8 = constants.network, constants.plan, constants.int8
    frequencies, frames, channels = network.shapes[name]
    row, column = (channels, 0) if name in plan.columns else (frames * channels, channels)
    zero_point = 0 if int8 is None else int8.values[name].zero_point
    numbers = plan.offsets[name], frequencies, frames, channels, row, column, zero_point
    return f"    {{{', '.join(map(str, numbers))}}}, /* {c_comment(name)} */"


def _header(model: SceneModel, constants: Constants) -> str:
    network, plan, int8 = constants.network, constants.plan, constants.int8
    threshold = stored_threshold(model.results)
    macros: dict[str, Any] = {
        "INT8": int(int8 is not None),
        "CLASSES": len(model.labels),
        "THRESHOLD": c_float(threshold.probability if threshold else MIN_THRESHOLD),
        "LAYERS": len(network.layers),
        "ARENA": arena_size(plan, int8 is not None),
        "INPUT_NUMBERS": int(np.prod(network.shapes[INPUT])),
    }
    if int8 is not None:
        source = int8.values[INPUT]
        factor = multiplier(1 / source.step)
        macros |= {
            "INPUT_STEP": c_float(source.step),
            "INPUT_ZERO_POINT": f"({source.zero_point})",
            "INPUT_MANTISSA": factor.mantissa,
            "INPUT_SHIFT": f"({factor.shift})",
        }
    width = 4 if int8 is None else 1
    return "\n".join([
        "/* Sizes of one model's network, written by scenelet export.",
        f"   Licenses: {c_comment(model.licenses)}",
        "",
        f"   Bytes of RAM: {macros['ARENA'] * width} for the arena of scenelet_run.",
        f"   Bytes of flash: {constants.size} for weights and tables. */",
        "#ifndef SCENELET_MODEL_NETWORK_H",
        "#define SCENELET_MODEL_NETWORK_H",
        "",
        *(f"#define SCENELET_{name} {value}" for name, value in macros.items()),
        "",
        "#endif",
        "",
    ])  # fmt: skip


def _source(model: SceneModel, constants: Constants, layers: Sequence[str]) -> str:
    return "\n".join([
        "/* Constants of one model's network, written by scenelet export.",
        f"   Licenses: {c_comment(model.licenses)} */",
        '#include "scenelet_layers.h"',
        "",
        *c_table("const char *const scenelet_labels[SCENELET_CLASSES]", map(c_text, model.labels)),
        "",
        *constants.lines,
        "",
        "const scenelet_tensor scenelet_tensors[] = {",
        *(_tensor(name, constants) for name in _value_names(constants.network)),
        "};",
        "",
        "const scenelet_layer scenelet_layers[SCENELET_LAYERS] = {",
        *(f"    {layer}," for layer in layers),
        "};",
        "",
    ])  # fmt: skip
