"""Size of a model under every common convention, and the distribution of bytes in its file."""

import math
from dataclasses import dataclass

from scenelet.model.encodings import BYTES, MASKED, entropy_bits
from scenelet.model.file import FRAME_BYTES, stored_lengths
from scenelet.model.ops import INPUT, Conv, Linear, ScaleShift
from scenelet.model.scene_model import SceneModel

SIZE_RULES = {
    "paper": ("kB", "kept weights and all norm parameters"),
    "dcase2020": ("KiB", "kept weights without norms; limit 500 KiB"),
    "dcase2020_with_ssn": ("KiB", "the same, with sub-spectral norms' parameters; limit 500 KiB"),
    "dcase2022": ("kB", "all parameters, zeros included; limit 128 kB"),
    "disk": ("kB", "the file, everything in it"),
}
"""Mapping from a rule of `sizes` to its unit and to what it counts."""


@dataclass(frozen=True)
class FileParts:
    """Bytes of each part of a `.scn` file.

    Attributes:
        weights: the sections of weights that may be pruned.
        weights_bound: their order-0 entropy, see `scenelet.model.encodings.entropy_bits`. A codec that sees more than
            one symbol at a time can be slightly below this bound.
        others: the sections of all other arrays: norms, biases, standardization.
        header: labels, settings, nodes, provenance and results.
        frame: magic, version, lengths and checksum.
    """

    weights: int
    weights_bound: int
    others: int
    header: int
    frame: int


def file_parts(model: SceneModel, file: bytes) -> FileParts:
    """Return how many bytes each part of a model's file takes. Only the header of the file is decoded.

    Args:
        model: the model that was encoded, or the decoded one; both give the same result.
        file: the bytes of its file.

    Raises:
        ModelFileError: as `scenelet.model.file.decode_model`.
    """
    header, sections = stored_lengths(file)
    weights = sum(length for name, length in sections.items() if name.partition(".")[0] in MASKED)
    return FileParts(
        weights=weights,
        weights_bound=math.ceil(entropy_bits(model.arrays, model.encodings) / 8),
        others=sum(sections.values()) - weights,
        header=header,
        frame=FRAME_BYTES,
    )


def sizes(model: SceneModel, disk_bytes: int) -> dict[str, int]:
    """Return the size of a model in bytes under every common convention.

    - "paper": kept weights and all norm parameters (Chang et al., 2020).
    - "dcase2020": kept weights without any norm (limit 500 KiB).
    - "dcase2020_with_ssn": the same, with the scales and shifts of sub-spectral norms.
    - "dcase2022": all parameters, zeros included (limit 128 kB).
    - "disk": `disk_bytes`, the whole file.

    The bytes of a parameter depend on its encoding: 1 in int8, 2 in fp16, 4 in fp32. If a kind of parameter has several
    encodings, the widest counts. Norm parameters and biases are those of training. The standardization of the input is
    part of the features and is not counted. Single numbers that scale the logits and the known sounds count in the file
    only.

    >>> from scenelet.model.file import read_model
    >>> from scenelet.model.pretrained import built_in
    >>> sizes(read_model(built_in("esc10")), 495_879)["dcase2022"]
    123159
    """
    layers = [node for node in model.nodes if isinstance(node, Conv | Linear)]
    dense = {node.weight for node in layers if isinstance(node, Linear)}
    shifts = {node.bias for node in layers if isinstance(node, Linear)}
    scalings = [node for node in model.nodes if isinstance(node, ScaleShift) and node.input != INPUT]
    shifts |= {name for node in scalings for name in node.arrays if model.arrays[name].size > 1}
    weights, norms = _parameter_bytes(model, {node.weight for node in layers}), _parameter_bytes(model, shifts)
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


def _parameter_bytes(model: SceneModel, names: set[str]) -> int:
    """Return the bytes that each parameter of these arrays counts for."""
    return max((BYTES[model.encodings[name]] for name in names), default=2)
