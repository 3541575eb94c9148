"""Summaries of model files: everything that `scenelet info` prints."""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from scenelet.model.costs import layer_macs, macs, peak_activation_bytes, receptive_field
from scenelet.model.file import decode_model, read_bytes, read_model
from scenelet.model.ops import Conv, Linear
from scenelet.model.rules import RULES, Rule, RuleResult, apply_rule
from scenelet.model.scene_model import SceneModel
from scenelet.model.sizes import file_parts, sizes


def describe(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the description of a model file as JSON values: parameters, costs, sizes, settings, layers, provenance.

    "parameters" and "parameters_kept" are those of training (the paper's count). "macs" are per window. "rules" has the
    costs by each rule of `scenelet.model.rules`. "layers" are the stored nodes, in which each norm is one scale and
    shift per channel and sub-band.

    Raises:
        ModelFileError: as `scenelet.model.file.read_model`.

    >>> from scenelet.model.pretrained import built_in
    >>> found = describe(built_in("esc10"))
    >>> found["parameters"], found["macs"], found["bytes"]["disk"]
    (116917, 111728816, 118907)
    """
    file = read_bytes(path)
    return describe_model(decode_model(file, str(path)), file, str(path))


def describe_model(model: SceneModel, file: bytes, name: str) -> dict[str, Any]:
    """Return the result of `describe` for a model that is decoded already.

    Args:
        model: the content of the file.
        file: the bytes of the file.
        name: its path, for the entry "file".
    """
    layers = layer_summary(model)
    total_macs = sum(layer["macs"] for layer in layers)
    return {
        "file": name,
        "labels": list(model.labels),
        "background": model.background,
        "min_similarity": None if model.known is None else model.known.min_similarity,
        "parameters": model.counts.parameters,
        "parameters_kept": model.counts.parameters_kept,
        "macs": total_macs,
        "macs_per_second": round(total_macs / model.window.seconds),
        "peak_activation_bytes": peak_activation_bytes(model.nodes, model.array_shapes, model.input_shape),
        "receptive_field": _receptive_field(model),
        "bytes": sizes(model, len(file)),
        "rules": {name: apply_rule(rule, model, len(file)).to_json() for name, rule in RULES.items()},
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
    """Metrics in a model file for one subset of its data."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    clips: int = Field(ge=0)
    macro_accuracy: float = Field(ge=0, le=1)
    log_loss: float = Field(ge=0)


def stored_metrics(results: Mapping[str, Any], kind: Literal["dense", "compressed"]) -> dict[str, StoredMetrics]:
    """Return the metrics that a model file stores, by subset ("test" or "validation").

    The results of a file are free JSON, so a file from another source may hold anything. Invalid entries are left out.

    Args:
        results: the file's `SceneModel.results`.
        kind: "compressed" for the metrics of the file itself, "dense" for those of the network before compression.
    """
    stored = results.get(kind)
    valid: dict[str, StoredMetrics] = {}
    for subset, metrics in (stored if isinstance(stored, dict) else {}).items():
        try:
            valid[subset] = StoredMetrics.model_validate(metrics)
        except ValidationError:
            continue
    return valid


@dataclass(frozen=True)
class ModelSummary:
    """Summary of a model in one row of a table.

    Attributes:
        name: the file's path relative to the folder, without its extension.
        disk_bytes: the size of the file.
        parameter_bytes: the size of all parameters, zeros included (the rule "dcase2024").
        macs_per_second: multiply-accumulates per second of sound.
        accuracy: the macro accuracy that the file stores, or None if it stores none.
        subset: the clips that the accuracy was measured on: "test", otherwise "validation".
        rule: its costs by a size rule; None if no rule was asked for.
    """

    name: str
    disk_bytes: int
    parameter_bytes: int
    macs_per_second: int
    accuracy: float | None
    subset: str = ""
    rule: RuleResult | None = None


def summarize(path: Path, folder: Path, rule: Rule | None = None) -> ModelSummary:
    """Summarize a model file of a folder in one row, optionally with its costs by a size rule.

    Raises:
        ModelFileError: as `scenelet.model.file.read_model`.

    >>> from scenelet.model.pretrained import built_in
    >>> path = built_in("esc10")
    >>> row = summarize(path, path.parent)
    >>> row.name, row.accuracy, row.subset
    ('esc10', 0.95, 'test')
    """
    model = read_model(path)
    disk_bytes = path.stat().st_size
    results = stored_metrics(model.results, "compressed")
    subset = next((subset for subset in ("test", "validation") if subset in results), "")
    return ModelSummary(
        name=str(path.relative_to(folder).with_suffix("")),
        disk_bytes=disk_bytes,
        parameter_bytes=sizes(model, disk_bytes)["dcase2024"],
        macs_per_second=round(macs(model.nodes, model.array_shapes, model.input_shape) / model.window.seconds),
        accuracy=results[subset].macro_accuracy if subset else None,
        subset=subset,
        rule=None if rule is None else apply_rule(rule, model, disk_bytes),
    )


def _receptive_field(model: SceneModel) -> dict[str, Any]:
    """Return the receptive field of one position of the last map: bands, frames, and their duration in seconds."""
    bands, frames = receptive_field(model.nodes, model.array_shapes, model.input_shape)
    features = model.features
    samples = (frames - 1) * features.hop_length + (features.win_length or features.n_fft)
    return {"bands": bands, "frames": frames, "seconds": samples / features.sample_rate}


def layer_summary(model: SceneModel) -> list[dict[str, Any]]:
    """Return a row per node: its name, op, output shape, parameters, kept (non-zero) parameters, density, and macs.

    An array that several nodes use counts for the first of them only. The others name that node under "shared_with",
    so each column adds up to its total. The density is None for a node without parameters of its own.
    """
    value_shapes = model.shapes()
    node_macs = layer_macs(model.nodes, model.array_shapes, model.input_shape)
    first_user: dict[str, str] = {}
    rows = []
    for node, cost in zip(model.nodes, node_macs, strict=True):
        own = [model.arrays[name] for name in node.arrays if name not in first_user]
        shared_with = [first_user[name] for name in node.arrays if name in first_user]
        for name in node.arrays:
            first_user.setdefault(name, node.output)
        parameters = sum(array.size for array in own)
        # only weights are pruned; a zero in a scale or shift is a normal value
        zeros = sum(int(array.size - np.count_nonzero(array)) for array in own)
        kept = parameters - (zeros if isinstance(node, Conv | Linear) else 0)
        rows.append(
            {
                "name": node.output,
                "op": node.op,
                "shape": list(value_shapes[node.output]),
                "parameters": parameters,
                "kept": kept,
                "density": kept / parameters if parameters else None,
                "macs": cost,
                "shared_with": shared_with[0] if shared_with else None,
            }
        )
    return rows
