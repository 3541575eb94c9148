"""C99 sources of a model's network: constants, layers and places in memory, next to code that all models share."""

import math
from collections.abc import Sequence
from importlib import resources
from typing import Any

import numpy as np

from scenelet.export.c.golden_network import golden_network
from scenelet.export.c.literals import c_comment, c_float, c_table, c_text
from scenelet.export.c.memory_plan import is_depthwise, plan_memory
from scenelet.export.c.network_constants import Constants
from scenelet.export.fused.fuse import fuse
from scenelet.export.fused.int8_arithmetic import (
    multiplier,
)
from scenelet.export.fused.int8_network import Int8Network
from scenelet.export.fused.layers import (
    AveragePool,
    Conv,
    FusedNetwork,
    MaxPool,
)
from scenelet.inference.threshold import label_thresholds
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
    network, int8 = constants.network, constants.int8
    macros: dict[str, Any] = {
        "INT8": int(int8 is not None),
        "CLASSES": len(model.labels),
        "LAYERS": len(network.layers),
        "ARENA": constants.arena,
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


def _threshold(threshold: float) -> str:
    """Return the literal of a threshold. 2 stands for infinity, which compilers with -ffast-math treat as undefined."""
    return c_float(2 if threshold == math.inf else threshold)


def _source(model: SceneModel, constants: Constants, layers: Sequence[str]) -> str:
    return "\n".join([
        "/* Constants of one model's network, written by scenelet export.",
        f"   Licenses: {c_comment(model.licenses)} */",
        '#include "scenelet_layers.h"',
        "",
        *c_table("const char *const scenelet_labels[SCENELET_CLASSES]", map(c_text, model.labels)),
        *c_table("const float scenelet_thresholds[SCENELET_CLASSES]", map(_threshold, label_thresholds(model))),
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
