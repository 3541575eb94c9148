"""How large a model is: under every convention in use, and where the bytes of its file are."""

import math
from dataclasses import dataclass

from scenelet.modelfile import FRAME_BYTES, SceneModel, encode
from scenelet.nodes import INPUT, Node
from scenelet.planes import BYTES, MASKED, pack, weight_bits

SIZE_RULES = {
    "paper": ("kB", "kept weights and all norm parameters"),
    "dcase2020": ("KiB", "kept weights without norms; limit 500 KiB"),
    "dcase2020_with_ssn": ("KiB", "the same, with sub-spectral norms' parameters; limit 500 KiB"),
    "dcase2022": ("kB", "all parameters, zeros included; limit 128 kB"),
    "disk": ("kB", "the file, everything in it"),
}
"""Rule of `sizes` -> the unit it is given in, and what counts."""


@dataclass(frozen=True)
class FileParts:
    """Where the bytes of a `.scn` file are.

    Attributes:
        weights: the sections of weights that may be pruned.
        weights_bound: what these need at least by their order-0 entropy, see `scenelet.planes.weight_bits`.
        others: the sections of all other arrays: norms, biases, standardisation.
        head: labels, settings, nodes, provenance and results.
        frame: magic, version, lengths and checksum.
    """

    weights: int
    weights_bound: int
    others: int
    head: int
    frame: int


def file_parts(model: SceneModel) -> FileParts:
    """Where the bytes of a model's file are. Raises as `scenelet.modelfile.encode`."""
    lengths = {name: len(stored) for name, stored in pack(model.arrays, model.encodings).items()}
    weights = sum(length for name, length in lengths.items() if name.partition(".")[0] in MASKED)
    arrays = sum(lengths.values())
    return FileParts(
        weights=weights,
        weights_bound=math.ceil(weight_bits(model.arrays, model.encodings) / 8),
        others=arrays - weights,
        head=len(encode(model)) - arrays - FRAME_BYTES,
        frame=FRAME_BYTES,
    )


def sizes(model: SceneModel, disk_bytes: int) -> dict[str, int]:
    """Bytes of the model under every convention in use.

    - "paper": kept weights and all norm parameters (Chang et al., 2020).
    - "dcase2020": kept weights without any norm (limit 500 KiB).
    - "dcase2020_with_ssn": the same, sub-spectral norms' scales and shifts counted.
    - "dcase2022": all parameters, zeros included (limit 128 kB).
    - "disk": `disk_bytes`, the file as it ships.

    A parameter counts with the bytes of its encoding: 2 in fp16, 4 in fp32. Norm parameters are
    those of training; the input's standardisation is part of the features and not counted.
    """
    weights = _width(model, [n for n in model.nodes if n.op in ("Conv", "Linear")])
    norms = _width(model, [n for n in model.nodes if n.op == "ScaleShift" and n.input != INPUT])
    counts = model.counts
    kept = weights * (counts.conv_kept + counts.linear_kept)
    sub_spectral = norms * counts.sub_spectral_norm
    all_norms = norms * counts.batch_norm + sub_spectral
    return {
        "paper": kept + all_norms,
        "dcase2020": kept,
        "dcase2020_with_ssn": kept + sub_spectral,
        "dcase2022": weights * (counts.conv + counts.linear) + all_norms,
        "disk": disk_bytes,
    }


def _width(model: SceneModel, nodes: list[Node]) -> int:
    """Bytes a parameter of these nodes counts for; the widest where they differ."""
    return max((BYTES[model.encodings[name]] for node in nodes for name in node.arrays), default=2)
