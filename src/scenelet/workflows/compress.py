"""Prune a trained run, fine-tune it, and write the model file."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from scenelet import modelfile
from scenelet._version import __version__
from scenelet.classifier import Classifier
from scenelet.compression import prune
from scenelet.compression.pack import pack
from scenelet.console import say
from scenelet.data.splits import fingerprint
from scenelet.errors import UsageError
from scenelet.files import make_folder
from scenelet.metrics import summary
from scenelet.nn.standardise import Standardised
from scenelet.training import run as runs
from scenelet.training.batches import ClipSet
from scenelet.workflows.sides import Sides, file_probabilities, load_sides, measure
from scenelet.workflows.tune import fine_tune

RESULTS_BYTES = 2000  # left free in a budget for the results that are put into the head last
BUDGET_STEP = 0.002  # sparsity added while a fine-tuned network is still over its budget


def compress(
    run: Path,
    out: Path,
    *,
    sparsity: float | None = None,
    budget: int | None = None,
    dtype: Literal["fp16", "fp32"] = "fp16",
    data: Path | None = None,
    audio_dir: Path | None = None,
    cache_dir: Path | None = None,
) -> dict[str, Any]:
    """Prune a run's network, fine-tune it with the mask held, and write it as `.scn`.

    Args:
        run: a finished run folder.
        out: the model file.
        sparsity: share of convolution weights set to zero; None: the recipe's. 0 stores the network as it is.
        budget: bytes on disk; the sparsity is raised from 0 until the file fits.
        dtype: "fp16", or "fp32" to store every number exactly, at more than twice the size.
        data, audio_dir: the recordings, if they moved since training.
        cache_dir: of the feature cache; None: `scenelet.files.cache_folder()`.

    Returns:
        "sparsity", "bytes", and by side "dense" (the trained network) and "compressed" (the file,
        run by ONNX Runtime on the cached features).

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
    network = runs.load_network(run, record)
    source = record.data
    if data is not None:
        moved = None if audio_dir is None else str(audio_dir.resolve())
        source = source.model_copy(update={"path": str(data.resolve()), "audio_dir": moved})
    sides = load_sides(source, record.config, cache_dir)
    runs.require_same_split(run, sides.split, source.path)
    dense = {side: measure(network, clips, record.labels) for side, clips in sides.held_out()}

    def size(share: float) -> int:
        trial = copy.deepcopy(network)
        masks = prune.global_l1_masks(trial, share)
        prune.apply_masks(trial, masks)
        return len(modelfile.encode(_model(trial, record, sides, masks, dtype, 0, {}))) + RESULTS_BYTES

    if budget is not None:
        share = prune.sparsity_for_bytes(size, budget)
    else:
        share = record.config.prune.sparsity if sparsity is None else sparsity
    whole = copy.deepcopy(network)
    masks = prune.global_l1_masks(network, share)
    prune.apply_masks(network, masks)
    for layer, density in prune.nearly_pruned_away(masks).items():
        say(
            f"warning: only {100 * density:.1f} % of layer {layer} is left; a lower sparsity or another init keeps more"
        )
    epochs = record.config.prune.epochs if share > 0 else 0
    if epochs:
        fine_tune(network, sides, record.config, masks, whole)
    while budget is not None and size(share) > budget:  # fine-tuned values may deflate a little worse
        share += BUDGET_STEP
        masks = prune.global_l1_masks(network, share)
        prune.apply_masks(network, masks)

    model = _model(network, record, sides, masks, dtype, epochs, {"dense": _brief(dense)})
    classifier = Classifier(modelfile.decode(modelfile.encode(model), str(out)))
    compressed = {side: _measure_file(classifier, clips, record.labels) for side, clips in sides.held_out()}
    model = _model(
        network, record, sides, masks, dtype, epochs, {"dense": _brief(dense), "compressed": _brief(compressed)}
    )
    modelfile.write(model, out)
    return {"sparsity": share, "bytes": out.stat().st_size, "dense": dense, "compressed": compressed}


def _model(
    network: Standardised,
    record: runs.RunRecord,
    sides: Sides,
    masks: Mapping[str, Tensor],
    dtype: Literal["fp16", "fp32"],
    fine_tuned: int,
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
        "seed": config.seed,
        "epochs": config.schedule.epochs,
        "schedule": config.schedule.model_dump(),
        "sparsity": 1 - float(sum(mask.sum() for mask in masks.values()) / sum(m.numel() for m in masks.values())),
        "fine_tuning_epochs": fine_tuned,
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


def _measure_file(classifier: Classifier, clips: ClipSet, labels: tuple[str, ...]) -> dict[str, Any]:
    return summary(clips.targets, file_probabilities(classifier, clips.features), labels)


def _brief(measured: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    keys = ("clips", "accuracy", "macro_accuracy", "log_loss")
    return {side: {key: figures[key] for key in keys} for side, figures in measured.items()}
