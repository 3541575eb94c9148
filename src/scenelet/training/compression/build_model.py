"""Model file of a trained network: compress the network, measure it, and record where it came from."""

import itertools
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenelet import __version__
from scenelet.config import PruneConfig
from scenelet.config.run_folder import RunRecord
from scenelet.data.splits import split_hash
from scenelet.evaluation.metrics import classification_report
from scenelet.inference.classifier import Classifier
from scenelet.inference.threshold import Threshold, find_threshold
from scenelet.model.file import encode_model, stored_model
from scenelet.model.scene_model import SceneModel
from scenelet.nn.convert import to_scene_model
from scenelet.nn.standardize import StandardizedNetwork
from scenelet.training.compression.search import Compressed, compress_network
from scenelet.training.dataset import Dataset
from scenelet.training.measure import evaluate_network, file_probabilities
from scenelet.training.module import Masks
from scenelet.utils.console import spinner

RESULT_KEYS = ("clips", "accuracy", "macro_accuracy", "log_loss")
"""Results of each subset that a model file holds."""
THRESHOLD_KEYS = tuple(field.name for field in fields(Threshold))
SPARE_BYTES = 64  # the measured results may take a few more bytes than the placeholders of the size estimate

Reports = Mapping[str, Mapping[str, Any]]
"""Name of a subset and its `scenelet.evaluation.metrics.classification_report`."""


@dataclass(frozen=True)
class BuiltModel:
    """A model file and the results of its network.

    Attributes:
        file: the bytes of the model file.
        model: its content.
        compression: how the network was compressed.
        probabilities: the answers of the file to the clips of each subset, (clips, classes), by ONNX Runtime.
        threshold: the `scenelet.inference.threshold.Threshold` of the file and its subset; {} without held-out clips.
        dense: results of the trained network, before compression.
        compressed: results of the file.
    """

    file: bytes
    model: SceneModel
    compression: Compressed
    probabilities: Mapping[str, NDArray[np.float32]]
    threshold: Mapping[str, Any]
    dense: Reports
    compressed: Reports


def build_model(
    network: StandardizedNetwork,
    record: RunRecord,
    dataset: Dataset,
    folder: Path | None = None,
    description: str = "Fine-tuning",
) -> BuiltModel:
    """Compress `network` in place as `record.config.prune` says, measure it, and encode its model file once.

    A limit on the bytes includes everything in the file, also the results.

    Args:
        network, dataset, folder, description: as `scenelet.training.compression.search.compress_network`.
        record: the record of the run that trained the network.

    Raises:
        SceneletError: as `compress_network`.
    """
    with spinner("Measuring the trained network"):
        dense = {name: evaluate_network(network, clips, record.labels) for name, clips in dataset.held_out()}
    placeholders = _placeholder_results(dense)

    def size(network: StandardizedNetwork, masks: Masks, settings: PruneConfig) -> int:
        model = _scene_model(network, record, dataset, masks, settings)
        return len(encode_model(replace(model, results=placeholders))) + SPARE_BYTES

    compression = compress_network(network, dataset, record.config, size, folder, description)
    model = stored_model(_scene_model(network, record, dataset, compression.masks, compression.settings))
    classifier = Classifier(model)
    with spinner("Measuring the file"):
        probabilities = {name: file_probabilities(classifier, clips.features) for name, clips in dataset.held_out()}
    compressed = {
        name: classification_report(clips.targets, probabilities[name], record.labels)
        for name, clips in dataset.held_out()
    }
    threshold = _threshold(dataset, probabilities)
    results: dict[str, Any] = {"dense": _results(dense), "compressed": _results(compressed)}
    if threshold:
        results["threshold"] = threshold
    model = replace(model, results=results)
    file = encode_model(model)
    assert compression.settings.max_bytes is None or len(file) <= compression.settings.max_bytes
    return BuiltModel(file, model, compression, probabilities, threshold, dense, compressed)


def _scene_model(
    network: StandardizedNetwork, record: RunRecord, dataset: Dataset, masks: Masks, settings: PruneConfig
) -> SceneModel:
    """Convert the network, which was pruned and rounded by `settings`; the results are still missing."""
    assert settings.dtype != "auto"
    config = record.config
    return to_scene_model(
        network,
        record.labels,
        config.features,
        config.window,
        masks,
        settings.dtype,
        provenance=_provenance(record, dataset, masks, settings),
        licenses=(dataset.table.license,) if dataset.table.license else (),
    )


def _provenance(record: RunRecord, dataset: Dataset, masks: Masks, settings: PruneConfig) -> dict[str, Any]:
    config, table = record.config, dataset.table
    weights = sum(mask.numel() for mask in masks.values())
    return {
        "scenelet": __version__,
        "recipe": record.recipe,
        "network": config.network.model_dump(),
        "mixing": config.mixing.model_dump(),
        "augment": config.augment.model_dump(),
        "loss": config.loss.model_dump(),
        "prune": settings.model_dump(),
        "dtype": settings.dtype,
        "teacher": _teacher(record),
        "seed": config.seed,
        "epochs": config.schedule.epochs,
        "schedule": config.schedule.model_dump(),
        "sparsity": 1 - float(sum(mask.sum() for mask in masks.values()) / weights) if weights else 0.0,
        "fine_tuning_epochs": settings.epochs,
        "data": table.describe(),
        "synthetic": table.synthetic,
        "tau_3_class": table.tau_3_class,
        "split": config.split.model_dump(),
        "split_hash": split_hash(dataset.split),
        "train_cities": sorted({clip.city for clip in dataset.split.train if clip.city is not None}),
        "train_clips": dict(zip(record.labels, record.train_counts, strict=True)),
        "versions": record.versions,
    }


def _teacher(record: RunRecord) -> dict[str, Any] | None:
    """Return what the file says about the teacher, without its path on this machine."""
    if record.teacher is None:
        return None
    return {"distillation": record.config.distillation} | {
        key: value for key, value in record.teacher.items() if key != "run"
    }


def _placeholder_results(dense: Reports) -> dict[str, Any]:
    """Return results whose digits no compression shortens, to estimate the size of a file before it is measured."""
    numbers = (math.sqrt(count + 0.5) for count in itertools.count())
    results: dict[str, Any] = {
        kind: {name: dict(zip(RESULT_KEYS, numbers, strict=False)) for name in dense}
        for kind in ("dense", "compressed")
    }
    if dense:
        results["threshold"] = {"subset": "validation", **{key: next(numbers) for key in THRESHOLD_KEYS}}
    return results


def _results(reports: Reports) -> dict[str, dict[str, float]]:
    return {name: {key: report[key] for key in RESULT_KEYS} for name, report in reports.items()}


def _threshold(dataset: Dataset, probabilities: Mapping[str, NDArray[np.float32]]) -> dict[str, Any]:
    """Find the minimum probability of an answer, on the first subset that was not trained on."""
    for name, clips in dataset.held_out():
        return {"subset": name, **asdict(find_threshold(clips.targets, probabilities[name]))}
    return {}
