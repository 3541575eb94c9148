"""How large a model is: under every convention in use, and where the bytes of its file are."""

import math
from dataclasses import dataclass

from scenelet.model.file import FRAME_BYTES, stored_lengths
from scenelet.model.ops import INPUT, Conv, Linear, ScaleShift
from scenelet.model.scene_model import SceneModel
from scenelet.model.weights import BYTES, MASKED, entropy_bits

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
        weights_bound: their order-0 entropy, see `scenelet.model.weights.entropy_bits`; a coding that sees more than one
            symbol at a time can be a little below.
        others: the sections of all other arrays: norms, biases, standardization.
        head: labels, settings, nodes, provenance and results.
        frame: magic, version, lengths and checksum.
    """

    weights: int
    weights_bound: int
    others: int
    head: int
    frame: int


def file_parts(model: SceneModel, file: bytes) -> FileParts:
    """Return where the bytes of a model's file are; only the header of the file is decoded.

    Args:
        model: the model that was encoded or decoded; the result is the same for both.
        file: the bytes of its file.

    Raises:
        ModelFileError: as `scenelet.model.file.decode_model`.
    """
    head, sections = stored_lengths(file)
    weights = sum(length for name, length in sections.items() if name.partition(".")[0] in MASKED)
    arrays = sum(sections.values())
    return FileParts(
        weights=weights,
        weights_bound=math.ceil(entropy_bits(model.arrays, model.encodings) / 8),
        others=arrays - weights,
        head=head,
        frame=FRAME_BYTES,
    )


def sizes(model: SceneModel, disk_bytes: int) -> dict[str, int]:
    """Bytes of the model under every convention in use.

    - "paper": kept weights and all norm parameters (Chang et al., 2020).
    - "dcase2020": kept weights without any norm (limit 500 KiB).
    - "dcase2020_with_ssn": the same, sub-spectral norms' scales and shifts counted.
    - "dcase2022": all parameters, zeros included (limit 128 kB).
    - "disk": `disk_bytes`, the file as it ships.

    A parameter counts with the bytes of its encoding: 1 as a whole number, 2 in fp16, 4 in fp32; where a kind has
    several encodings, the widest. Norm parameters and biases are those of training; the input's standardization is
    part of the features and not counted.
    """
    layers = [node for node in model.nodes if isinstance(node, Conv | Linear)]
    dense = {node.weight for node in layers if isinstance(node, Linear)}
    shifts = {node.bias for node in layers if isinstance(node, Linear)}
    shifts |= {name for n in model.nodes if isinstance(n, ScaleShift) and n.input != INPUT for name in n.arrays}
    weights, norms = _width(model, {node.weight for node in layers}), _width(model, shifts)
    counts = model.counts
    biases = max(0, counts.linear - sum(model.arrays[name].size for name in dense))

    def linear(count: int) -> int:
        return weights * max(0, count - biases) + norms * min(count, biases)

    kept = weights * counts.conv_kept + linear(counts.linear_kept)
    sub_spectral = norms * counts.sub_spectral_norm
    all_norms = norms * counts.batch_norm + sub_spectral
    return {
        "paper": kept + all_norms,
        "dcase2020": kept,
        "dcase2020_with_ssn": kept + sub_spectral,
        "dcase2022": weights * counts.conv + linear(counts.linear) + all_norms,
        "disk": disk_bytes,
    }


def _width(model: SceneModel, names: set[str]) -> int:
    """Bytes that a number of these arrays counts for."""
    return max((BYTES[model.encodings[name]] for name in names), default=2)
