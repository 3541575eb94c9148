"""A model file -> everything that can be said about it: what `scenelet info` prints."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from scenelet.model import file as modelfile
from scenelet.model.costs import layer_macs, macs, peak_activation_bytes, receptive_field
from scenelet.model.ops import Conv, Linear, shapes
from scenelet.model.scene_model import SceneModel
from scenelet.model.sizes import file_parts, sizes


def describe(path: Path) -> dict[str, Any]:
    """JSON values: parameters, multiply-accumulates of a window, sizes, settings, layers, provenance.

    "parameters" and "parameters_kept" are those of training (the paper's count); "layers" are the
    stored nodes, whose norms are one scale and shift per channel and sub-band.

    Raises:
        ModelFileError: as `scenelet.model.file.read_model`.
    """
    file = modelfile.read_bytes(path)
    model = modelfile.decode_model(file, str(path))
    layers = layer_summary(model)
    return {
        "file": str(path),
        "labels": list(model.labels),
        "parameters": model.counts.parameters,
        "parameters_kept": model.counts.parameters_kept,
        "macs": sum(layer["macs"] for layer in layers),
        "macs_per_second": round(sum(layer["macs"] for layer in layers) / model.window.seconds),
        "peak_activation_bytes": peak_activation_bytes(model.nodes, model.array_shapes, model.input_shape),
        "receptive_field": _receptive_field(model),
        "bytes": sizes(model, len(file)),
        "file_parts": asdict(file_parts(model, file)),
        "counts": model.counts.model_dump(),
        "features": model.features.model_dump(),
        "window": model.window.model_dump(),
        "layers": layers,
        "provenance": model.provenance,
        "results": model.results,
        "licenses": model.licenses,
    }


class StoredMetrics(BaseModel):
    """What a model file remembers of one side of its data."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    clips: int = Field(ge=0)
    macro_accuracy: float = Field(ge=0, le=1)
    log_loss: float = Field(ge=0)


def stored_results(model: SceneModel, kind: Literal["dense", "compressed"]) -> dict[str, StoredMetrics]:
    """Side -> figures of the file ("compressed"), or of the network before; what is no number is left out.

    The head's results are free JSON: a file of somebody else's may hold anything there.
    """
    sides = model.results.get(kind)
    found: dict[str, StoredMetrics] = {}
    for side, figures in (sides if isinstance(sides, dict) else {}).items():
        try:
            found[side] = StoredMetrics.model_validate(figures)
        except ValidationError:
            continue
    return found


@dataclass(frozen=True)
class ModelSummary:
    """A model in one row.

    Attributes:
        name: of its file, from the folder on.
        disk_bytes, parameter_bytes: the file; and all parameters, zeros included (the rule "dcase2022").
        macs_per_second: multiply-accumulates for a second of sound.
        accuracy: macro accuracy that the file remembers; None: not measured.
        side: that it was measured on: "test", or else "validation".
    """

    name: str
    disk_bytes: int
    parameter_bytes: int
    macs_per_second: int
    accuracy: float | None
    side: str = ""


def summarize(path: Path, folder: Path) -> ModelSummary:
    """A model file in one row. Raises as `scenelet.model.file.read_model`."""
    model = modelfile.read_model(path)
    disk = path.stat().st_size
    sides = stored_results(model, "compressed")
    side = next((side for side in ("test", "validation") if side in sides), "")
    return ModelSummary(
        name=str(path.relative_to(folder).with_suffix("")),
        disk_bytes=disk,
        parameter_bytes=sizes(model, disk)["dcase2022"],
        macs_per_second=round(macs(model.nodes, model.array_shapes, model.input_shape) / model.window.seconds),
        accuracy=sides[side].macro_accuracy if side else None,
        side=side,
    )


def _receptive_field(model: SceneModel) -> dict[str, Any]:
    """Of one position of the last map: bands, frames, and the seconds of sound under these frames."""
    bands, frames = receptive_field(model.nodes, model.array_shapes, model.input_shape)
    features = model.features
    samples = (frames - 1) * features.hop_length + (features.win_length or features.n_fft)
    return {"bands": bands, "frames": frames, "seconds": samples / features.sample_rate}


def layer_summary(model: SceneModel) -> list[dict[str, Any]]:
    """A row a node: name, op, output shape, parameters, kept (not zero), density, macs.

    An array that several nodes use is counted at the first and named under "shared_with" at the others,
    so that columns add up. Density is None for nodes without parameters of their own.
    """
    known = shapes(model.nodes, model.array_shapes, model.input_shape)
    costs = layer_macs(model.nodes, model.array_shapes, model.input_shape)
    first_user: dict[str, str] = {}
    rows = []
    for node, cost in zip(model.nodes, costs, strict=True):
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
                "macs": cost,
                "shared_with": shared[0] if shared else None,
            }
        )
    return rows
