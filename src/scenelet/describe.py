"""A model file -> everything that can be said about it: what `scenelet info` prints."""

from pathlib import Path
from typing import Any

import numpy as np

from scenelet import modelfile
from scenelet.modelfile import SceneModel
from scenelet.nodes import INPUT, Conv, Linear, Node, layer_macs, receptive_field, shapes
from scenelet.planes import BYTES


def describe(path: Path) -> dict[str, Any]:
    """JSON values: parameters, multiply-accumulates of a window, sizes, settings, layers, provenance.

    "parameters" and "parameters_kept" are those of training (the paper's count); "layers" are the
    stored nodes, whose norms are one scale and shift per channel and sub-band.

    Raises:
        ModelFileError: as `scenelet.modelfile.read`.
    """
    model = modelfile.read(path)
    layers = layer_table(model)
    return {
        "file": str(path),
        "labels": list(model.labels),
        "parameters": model.counts.parameters,
        "parameters_kept": model.counts.parameters_kept,
        "macs": sum(layer["macs"] for layer in layers),
        "receptive_field": _receptive_field(model),
        "bytes": sizes(model, path.stat().st_size),
        "counts": model.counts.model_dump(),
        "features": model.features.model_dump(),
        "window": model.window.model_dump(),
        "layers": layers,
        "provenance": model.provenance,
        "results": model.results,
        "licences": model.licences,
    }


def _receptive_field(model: SceneModel) -> dict[str, Any]:
    """Of one position of the last map: bands, frames, and the seconds of sound under these frames."""
    bands, frames = receptive_field(model.nodes, model.array_shapes)
    features = model.features
    samples = (frames - 1) * features.hop_length + (features.win_length or features.n_fft)
    return {"bands": bands, "frames": frames, "seconds": samples / features.sample_rate}


def layer_table(model: SceneModel) -> list[dict[str, Any]]:
    """A row a node: name, op, output shape, parameters, kept (not zero), density, macs.

    An array that several nodes use is counted at the first and named under "shared_with" at the others,
    so that columns add up. Density is None for nodes without parameters of their own.
    """
    known = shapes(model.nodes, model.array_shapes, model.input_shape)
    costs = layer_macs(model.nodes, model.array_shapes, model.input_shape)
    first_user: dict[str, str] = {}
    rows = []
    for node, macs in zip(model.nodes, costs, strict=True):
        own = [model.arrays[name] for name in node.arrays if name not in first_user]
        shared = [first_user[name] for name in node.arrays if name in first_user]
        for name in node.arrays:
            first_user.setdefault(name, node.output)
        parameters = sum(array.size for array in own)
        # a scale or shift of zero is a value like any other; only weights are pruned
        pruned = sum(int(array.size - np.count_nonzero(array)) for array in own)
        kept = parameters - (pruned if isinstance(node, Conv | Linear) else 0)
        rows.append(
            {
                "name": node.output,
                "op": node.op,
                "shape": list(known[node.output]),
                "parameters": parameters,
                "kept": kept,
                "density": kept / parameters if parameters else None,
                "macs": macs,
                "shared_with": shared[0] if shared else None,
            }
        )
    return rows


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
