"""Size of a model by every rule, and the distribution of bytes in its file."""

import math
from dataclasses import dataclass

import numpy as np

from scenelet.model.encodings import BYTES, MASKED, entropy_bits
from scenelet.model.file import FRAME_BYTES, stored_lengths
from scenelet.model.ops import INPUT, Conv, Linear, ScaleShift
from scenelet.model.scene_model import SceneModel


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
    """Return the size of a model in bytes by every rule of `scenelet.model.rules.RULES`.

    - "paper": kept weights and all norm parameters (Chang et al., 2020).
    - "dcase2020": kept weights without any norm.
    - "dcase2020_with_ssn": the same, with the scales and shifts of sub-spectral norms.
    - "dcase2021": weights that are not zero in the file, and all norm parameters. Rounding to integers adds zeros.
    - "dcase2022": all parameters, zeros included, one byte each. The rule requires int8, whatever the file stores.
    - "dcase2023", "dcase2024", "dcase2025": all parameters, zeros included.
    - "disk": `disk_bytes`, the whole file.

    The bytes of a parameter depend on its encoding: 1 in int8, 2 in fp16, 4 in fp32. int4 counts as int8, the smallest
    type of the challenges. If a kind of parameter has several encodings, the widest counts. Norm parameters and biases
    are those of training; the statistics of norms do not count. The standardization of the input is part of the
    features and is not counted. Single numbers that scale the logits and the known sounds count in the file only.

    >>> from scenelet.model.file import read_model
    >>> from scenelet.model.pretrained import built_in
    >>> found = sizes(read_model(built_in("esc10")), 495_879)
    >>> found["dcase2022"], found["dcase2024"]
    (116917, 123159)
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
    everything = weights * counts.conv + linear(counts.linear) + all_norms
    return {
        "paper": kept + all_norms,
        "dcase2020": kept,
        "dcase2020_with_ssn": kept + sub_spectral,
        "dcase2021": everything - weights * (counts.parameters - nonzero_parameters(model)),
        "dcase2022": counts.parameters,
        **dict.fromkeys(("dcase2023", "dcase2024", "dcase2025"), everything),
        "disk": disk_bytes,
    }


def nonzero_parameters(model: SceneModel) -> int:
    """Count the parameters without the weights that are zero in the file, as the rule "dcase2021" does.

    >>> from scenelet.model.file import read_model
    >>> from scenelet.model.pretrained import built_in
    >>> nonzero_parameters(read_model(built_in("esc10")))  # of 116,917
    115633
    """
    arrays = {node.weight: model.arrays[node.weight] for node in model.nodes if isinstance(node, Conv | Linear)}
    return model.counts.parameters - sum(array.size - int(np.count_nonzero(array)) for array in arrays.values())


def _parameter_bytes(model: SceneModel, names: set[str]) -> int:
    """Return the bytes that each parameter of these arrays counts for."""
    return max((BYTES[model.encodings[name]] for name in names), default=2)
