"""A trained network -> its model file: shrunk, measured, and with what it came from in its head."""

import itertools
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenelet import __version__
from scenelet.config import PruneConfig
from scenelet.data.splits import split_hash
from scenelet.evaluation.metrics import classification_report
from scenelet.inference.classifier import Classifier
from scenelet.inference.threshold import Threshold, find_threshold
from scenelet.model import file as modelfile
from scenelet.model.scene_model import SceneModel
from scenelet.nn.convert import to_scene_model
from scenelet.nn.standardize import StandardizedNetwork
from scenelet.training.compression.search import Compressed, compress_network
from scenelet.training.dataset import Dataset, evaluate_network, file_probabilities
from scenelet.training.module import Masks
from scenelet.training.run_record import RunRecord
from scenelet.utils.console import spinner

FIGURES = ("clips", "accuracy", "macro_accuracy", "log_loss")
"""What the head says of each side."""
THRESHOLD = tuple(field.name for field in fields(Threshold))
SPARE_BYTES = 64  # of a budget: results are measured last, and their digits may take a little more than made ones


@dataclass(frozen=True)
class BuiltModel:
    """A model file and what is known of it.

    Attributes:
        file: its bytes.
        shrunk: what was done to the network.
        answers: by side, what the file says of its clips (clips, classes), by ONNX Runtime from the cached features.
        unsure: `scenelet.inference.find_threshold.Threshold` as the file holds it, and the side it was found on; none: no such side.
        dense, compressed: by side, `scenelet.evaluation.metrics.classification_report` of the network before, and of these answers.
    """

    file: bytes
    compressed_network: Compressed
    answers: Mapping[str, NDArray[np.float32]]
    threshold: Mapping[str, Any]
    dense: Mapping[str, Mapping[str, Any]]
    compressed: Mapping[str, Mapping[str, Any]]


def build_model(
    network: StandardizedNetwork,
    record: RunRecord,
    dataset: Dataset,
    folder: Path | None = None,
    description: str = "Fine-tuning",
    talk: bool = True,
) -> BuiltModel:
    """Shrink `network` in place as `record.config.prune` says, and make its file.

    Under a budget everything counts that the file holds in the end, its results too.

    Args:
        network, sides, folder, description, talk: as `scenelet.training.compression.search.compress_network`.
        record: of the run that trained it.

    Raises:
        SceneletError: as `compress_network`.
    """
    with spinner("Measuring the trained network"):
        dense = {side: evaluate_network(network, clips, record.labels) for side, clips in dataset.held_out()}

    def file_of(network: StandardizedNetwork, masks: Masks, settings: PruneConfig, results: Mapping[str, Any]) -> bytes:
        return modelfile.encode_model(_model(network, record, dataset, masks, settings, results))

    numbers = (math.sqrt(count + 0.5) for count in itertools.count())  # of full length, which no coding shortens
    made_up: dict[str, Any] = {
        kind: {side: dict(zip(FIGURES, numbers, strict=False)) for side in dense} for kind in ("dense", "compressed")
    }
    if dense:
        made_up["threshold"] = {"side": "validation", **{name: next(numbers) for name in THRESHOLD}}

    def size(network: StandardizedNetwork, masks: Masks, settings: PruneConfig) -> int:
        return len(file_of(network, masks, settings, made_up)) + SPARE_BYTES

    compressed_network = compress_network(network, dataset, record.config, size, folder, description, talk)
    results = {"dense": _brief(dense)}
    held = modelfile.decode_model(
        file_of(network, compressed_network.masks, compressed_network.settings, results), description
    )
    classifier = Classifier(held)
    with spinner("Measuring the file"):
        answers = {side: file_probabilities(classifier, clips.features) for side, clips in dataset.held_out()}
    compressed = {
        side: classification_report(clips.targets, answers[side], record.labels) for side, clips in dataset.held_out()
    }
    threshold = _threshold(dataset, answers)
    results |= {"compressed": _brief(compressed), **({"threshold": threshold} if threshold else {})}
    file = file_of(network, compressed_network.masks, compressed_network.settings, results)
    assert compressed_network.settings.max_bytes is None or len(file) <= compressed_network.settings.max_bytes
    return BuiltModel(file, compressed_network, answers, threshold, dense, compressed)


def _model(
    network: StandardizedNetwork,
    record: RunRecord,
    dataset: Dataset,
    masks: Masks,
    settings: PruneConfig,
    results: Mapping[str, Any],
) -> SceneModel:
    """The network as it is now, which was pruned and rounded by `settings`."""
    assert settings.dtype != "auto"
    config = record.config
    weights = sum(mask.numel() for mask in masks.values())
    provenance = {
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
        "data": dataset.source.description,
        "synthetic": dataset.source.synthetic,
        "tau_3_class": dataset.source.tau_3_class,
        "split": config.split.model_dump(),
        "split_hash": split_hash(dataset.split),
        "train_cities": sorted({clip.city for clip in dataset.split.train if clip.city is not None}),
        "train_clips": dict(zip(record.labels, record.train_counts, strict=True)),
        "versions": record.versions,
    }
    hears = (record.labels, config.features, config.window)
    licenses = (dataset.source.license,) if dataset.source.license else ()
    return to_scene_model(
        network, *hears, masks, settings.dtype, provenance=provenance, results=results, licenses=licenses
    )


def _threshold(dataset: Dataset, answers: Mapping[str, NDArray[np.float32]]) -> dict[str, Any]:
    """From which probability on a listener gives an answer, found on the first side that was not trained on."""
    for side, clips in dataset.held_out():
        return {"side": side, **asdict(find_threshold(clips.targets, answers[side]))}
    return {}


def _teacher(record: RunRecord) -> dict[str, Any] | None:
    """What a model file says of the network that taught its own; not where that lies on the machine."""
    if record.teacher is None:
        return None
    return {"distil": record.config.distillation} | {
        key: value for key, value in record.teacher.items() if key != "run"
    }


def _brief(measured: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    return {side: {key: figures[key] for key in FIGURES} for side, figures in measured.items()}
