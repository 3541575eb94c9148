"""Flash, RAM and time that a model needs on a microcontroller, with the sources that `scenelet.export.c` writes."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from scenelet.errors import ModelFileError
from scenelet.export.c.memory_plan import plan_memory
from scenelet.export.c.network_constants import Constants
from scenelet.export.c.tables import Tables, frontend_flash, frontend_ram
from scenelet.export.fused.fuse import fuse
from scenelet.export.fused.int8_network import Int8Network, has_int8_form, quantize_network
from scenelet.export.fused.layers import Add, Conv, FusedNetwork
from scenelet.inference.onnx_frontend import frontend_macs
from scenelet.model.costs import macs
from scenelet.model.scene_model import SceneModel

CODE_BYTES = 12_000
"""Estimated bytes of machine code, with the parts of the C library that it needs."""
# Fitted to counts of two models on an emulated Cortex-M4, compiled with -O2: 74 and 666 million per window in int8.
INT8_INSTRUCTIONS, FLOAT_INSTRUCTIONS = (2, 57), (6, 29)
"""Instructions per multiply-accumulate, and per number that a convolution or a sum writes."""
FRONTEND_INSTRUCTIONS = 10
"""Instructions per multiply-accumulate of the front end in floating point."""
CYCLES_PER_INSTRUCTION = 1.5
"""Assumed for a Cortex-M4 that reads weights from flash."""


@dataclass(frozen=True)
class Footprint:
    """Memory of a C program in bytes, and the work of one window.

    Attributes:
        int8: True for a network in int8; False if it can only run in float.
        constants: weights and tables of the network and the front end, in flash.
        code: an estimate of the machine code, in flash.
        activations: the arena of the network, in RAM.
        features: samples and log-mel of the stream, and the part of a window's log-mel for which the arena has no room,
            in RAM.
        network_macs: multiply-accumulates of the network per window.
        frontend_macs: multiply-accumulates of the Fourier transforms and mel bands per window.
        cycles: an estimate of the cycles of one window on a Cortex-M4.
    """

    int8: bool
    constants: int
    code: int
    activations: int
    features: int
    network_macs: int
    frontend_macs: int
    cycles: int


def footprint(model: SceneModel, int8: bool = True) -> Footprint:
    """Return the memory and the work of a model on a microcontroller, with the front end in floating point.

    Args:
        model: the content of a `.scn` file.
        int8: True for a network in int8, if it has an int8 form.

    Raises:
        ModelFileError: as `scenelet.export.c.tables.Tables`.

    >>> from scenelet.model.file import read_model
    >>> from scenelet.model.pretrained import built_in
    >>> found = footprint(read_model(built_in("esc10")))
    >>> found.int8, found.activations
    (True, 533644)
    """
    network, tables = fuse(model), Tables(model)
    integers = _any_int8(network) if int8 and has_int8_form(network) else None
    constants = Constants(network, plan_memory(network), integers)
    for layer in network.layers:
        constants.parameters(layer)
    samples = model.window.samples(model.features.sample_rate)
    transforms, _ = frontend_macs(model.features, samples)
    frames = model.features.n_channels * model.features.n_frames(samples)
    network_work = macs(model.nodes, model.array_shapes, model.input_shape)
    frontend_work = transforms + frames * len(tables.weights)
    written = sum(math.prod(network.shapes[layer.name]) for layer in network.layers if isinstance(layer, Conv | Add))
    per_mac, per_number = FLOAT_INSTRUCTIONS if integers is None else INT8_INSTRUCTIONS
    instructions = per_mac * network_work + per_number * written + FRONTEND_INSTRUCTIONS * frontend_work
    arena, ram = constants.arena * (1 if integers is not None else 4), frontend_ram(tables)
    return Footprint(
        int8=integers is not None,
        constants=constants.size + frontend_flash(tables, fixed=False),
        code=CODE_BYTES,
        activations=arena,
        features=ram["stream_float"] + max(0, 2 * ram["log_mel"] - arena),  # log-mel is in fixed point there
        network_macs=network_work,
        frontend_macs=frontend_work,
        cycles=round(CYCLES_PER_INSTRUCTION * instructions),
    )


def describe_footprint(model: SceneModel, mhz: float) -> dict[str, Any]:
    """Return the footprint as JSON values, with the sums "flash" and "ram", and "seconds" of one window at `mhz`.

    If there is no C program for the model, the result is the reason under "error".

    >>> from scenelet.model.file import read_model
    >>> from scenelet.model.pretrained import built_in
    >>> found = describe_footprint(read_model(built_in("esc10")), mhz=100)
    >>> found["ram"] == found["activations"] + found["features"]
    True
    """
    try:
        found = footprint(model)
    except ModelFileError as error:
        return {"error": str(error)}
    return {
        **asdict(found),
        "flash": found.constants + found.code,
        "ram": found.activations + found.features,
        "mhz": mhz,
        "seconds": found.cycles / (1e6 * mhz),
    }


def _any_int8(network: FusedNetwork) -> Int8Network:
    """Quantize with made ranges, which the sizes do not depend on. Different ranges keep equal tables from merging."""
    return quantize_network(network, {name: (-1.0 - index, 1.0) for index, name in enumerate(network.shapes)})
