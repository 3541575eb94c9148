"""Prune a trained run, fine-tune it, and write the model file."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from scenelet import modelfile
from scenelet._version import __version__
from scenelet.classifier import Classifier
from scenelet.compression import prune
from scenelet.compression.pack import pack
from scenelet.compression.quantize import WeightFormat
from scenelet.config import PruneConfig
from scenelet.console import say
from scenelet.data.splits import fingerprint
from scenelet.errors import UsageError
from scenelet.files import make_folder, replace_file
from scenelet.metrics import summary
from scenelet.nn.standardise import Standardised
from scenelet.reports.sensitivity import write_sensitivity
from scenelet.sizes import file_parts
from scenelet.training import run as runs
from scenelet.training.batches import ClipSet
from scenelet.training.module import Masks
from scenelet.workflows.sensitivity import layer_losses
from scenelet.workflows.shrink import shrink
from scenelet.workflows.sides import Sides, file_probabilities, load_sides, measure

RESULTS_BYTES = 2000  # left free in a budget for the results that are put into the head last


def compress(
    run: Path,
    out: Path,
    *,
    sparsity: float | None = None,
    budget: int | None = None,
    dtype: Literal["fp16", "fp32", "int8", "int4", "auto"] | None = None,
    gradual: float | None = None,
    sensitivity: bool = False,
    data: Path | None = None,
    audio_dir: Path | None = None,
    cache_dir: Path | None = None,
) -> dict[str, Any]:
    """Prune a run's network, fine-tune it with the mask held, and write it as `.scn`.

    Args:
        run: a finished run folder.
        out: the model file.
        sparsity: share of convolution weights set to zero; None: the recipe's. 0 stores the network as it is.
        budget: bytes on disk, everything in the file included; the sparsity that fits is found, and, unless `dtype` is
            given, the number format that loses least, see `scenelet.workflows.shrink.choose`.
        dtype: how weights are stored: "fp16", "int8" or "int4" (fine-tuned as such), or "fp32" to store every number
            exactly, at more than twice the size; "auto" chooses, under a budget. None: "auto" under a budget, else
            the recipe's.
        gradual: share of the fine-tuning over which the sparsity grows; 0 prunes all at once. None: the recipe's.
        sensitivity: also measure what each layer alone loses, as `NAME.sensitivity.csv` and `.png` beside `out`.
        data, audio_dir: the recordings, if they moved since training.
        cache_dir: of the feature cache; None: `scenelet.files.cache_folder()`.

    Returns:
        "sparsity", "dtype", "bytes", "parts" (`scenelet.sizes.FileParts`), "trials" (of formats), and by side "dense"
        (the trained network) and "compressed" (the file, run by ONNX Runtime on the cached features).

    Raises:
        SceneletError: no such run, moved data, or a budget out of reach; `out` is not touched then.
    """
    if sparsity is not None and budget is not None:
        raise UsageError("give a sparsity or a budget, not both")
    if out.suffix != ".scn":
        raise UsageError(f"{out}: a model file's name ends in .scn")
    make_folder(out.parent)
    if out.is_dir():
        raise UsageError(f"{out}: is a folder; give the name of the file to write")
    record = runs.read_record(run)
    settings = _settings(record.config.prune, sparsity, budget, dtype, gradual)
    config = record.config.model_copy(update={"prune": settings})
    record = record.model_copy(update={"config": config})
    network = runs.load_network(run, record)
    source = record.data
    if data is not None:
        moved = None if audio_dir is None else str(audio_dir.resolve())
        source = source.model_copy(update={"path": str(data.resolve()), "audio_dir": moved})
    sides = load_sides(source, record.config, cache_dir)
    runs.require_same_split(run, sides.split, source.path)
    dense = {side: measure(network, clips, record.labels) for side, clips in sides.held_out()}

    if sensitivity:
        write_sensitivity(out, layer_losses(network, sides))

    def file_of(network: Standardised, masks: Masks, dtype: WeightFormat, results: dict[str, Any]) -> bytes:
        return modelfile.encode(_model(network, record, sides, masks, dtype, results))

    def size(network: Standardised, masks: Masks, dtype: WeightFormat) -> int:
        return len(file_of(network, masks, dtype, {})) + RESULTS_BYTES

    shrunk = shrink(network, sides, config, size)
    for layer, density in prune.nearly_pruned_away(shrunk.masks).items():
        say(
            f"warning: only {100 * density:.1f} % of layer {layer} is left; a lower sparsity or another init keeps more"
        )
    results = {"dense": _brief(dense)}
    classifier = Classifier(modelfile.decode(file_of(network, shrunk.masks, shrunk.dtype, results), str(out)))
    compressed = {side: _measure_file(classifier, clips, record.labels) for side, clips in sides.held_out()}
    results["compressed"] = _brief(compressed)
    replace_file(out, file_of(network, shrunk.masks, shrunk.dtype, results))
    return {
        "sparsity": shrunk.sparsity,
        "dtype": shrunk.dtype,
        "bytes": out.stat().st_size,
        "parts": asdict(file_parts(modelfile.read(out))),
        "trials": [asdict(trial) for trial in shrunk.trials],
        "dense": dense,
        "compressed": compressed,
    }


def _settings(
    own: PruneConfig, sparsity: float | None, budget: int | None, dtype: str | None, gradual: float | None
) -> PruneConfig:
    """The recipe's settings with what the caller asks for."""
    changes: dict[str, Any] = {"gradual": gradual, "dtype": dtype}
    if budget is not None:
        changes |= {"budget": budget, "dtype": dtype or "auto"}
    elif sparsity is not None:
        changes |= {"sparsity": sparsity, "budget": None}
        if own.dtype == "auto":
            changes["dtype"] = dtype or "fp16"
    given = {key: value for key, value in changes.items() if value is not None or key == "budget"}
    pruned = budget is not None or given.get("sparsity", own.sparsity) > 0
    if not pruned and given.get("dtype", own.dtype) in ("fp16", "fp32"):
        given["epochs"] = 0  # stores the network as it is
    try:
        return PruneConfig.model_validate(own.model_dump() | given)
    except ValidationError as error:
        raise UsageError(f"compress: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from None


def _model(
    network: Standardised,
    record: runs.RunRecord,
    sides: Sides,
    masks: Masks,
    dtype: WeightFormat,
    results: dict[str, Any],
) -> modelfile.SceneModel:
    config = record.config
    provenance = {
        "scenelet": __version__,
        "recipe": record.recipe,
        "network": config.network.model_dump(),
        "mixing": config.mixing.model_dump(),
        "loss": config.loss.model_dump(),
        "prune": config.prune.model_dump(),
        "dtype": dtype,
        "teacher": _teacher(record),
        "seed": config.seed,
        "epochs": config.schedule.epochs,
        "schedule": config.schedule.model_dump(),
        "sparsity": 1 - float(sum(mask.sum() for mask in masks.values()) / sum(m.numel() for m in masks.values())),
        "fine_tuning_epochs": config.prune.epochs,
        "data": sides.source.description,
        "made": sides.source.made,
        "three_classes": sides.source.three_classes,
        "split": config.split.model_dump(),
        "split_fingerprint": fingerprint(sides.split),
        "train_cities": sorted({clip.city for clip in sides.split.train if clip.city is not None}),
        "train_clips": dict(zip(record.labels, record.train_counts, strict=True)),
        "versions": record.versions,
    }
    settings = (record.labels, config.features, config.window)
    licences = (sides.source.licence,) if sides.source.licence else ()
    return pack(network, *settings, masks, dtype, provenance=provenance, results=results, licences=licences)


def _teacher(record: runs.RunRecord) -> dict[str, Any] | None:
    """What a model file says of the network that taught its own; not where that lies on the machine."""
    if record.teacher is None:
        return None
    return {"distil": record.config.distil} | {key: value for key, value in record.teacher.items() if key != "run"}


def _measure_file(classifier: Classifier, clips: ClipSet, labels: tuple[str, ...]) -> dict[str, Any]:
    return summary(clips.targets, file_probabilities(classifier, clips.features), labels)


def _brief(measured: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    keys = ("clips", "accuracy", "macro_accuracy", "log_loss")
    return {side: {key: figures[key] for key in keys} for side, figures in measured.items()}
