"""Model file of a trained network: compress the network, measure it, and record where it came from."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch.callbacks import Callback
from numpy.typing import NDArray

from scenelet import __version__
from scenelet.config import PruneConfig, RunConfig
from scenelet.config.run_folder import RunRecord
from scenelet.data.background import background_hash
from scenelet.data.clips import Clips, ClipTable
from scenelet.data.splits import split_hash
from scenelet.evaluation.metrics import classification_report
from scenelet.inference.threshold import find_threshold
from scenelet.model.file import encode_model, stored_model
from scenelet.model.scene_model import SceneModel
from scenelet.model.temperature import scale_logits
from scenelet.nn.convert import to_scene_model
from scenelet.nn.ensemble import keep_members
from scenelet.nn.prune import Masks
from scenelet.nn.standardize import StandardizedNetwork
from scenelet.training.compression.calibration import calibrate, calibration_record
from scenelet.training.compression.finetune import prune_and_finetune
from scenelet.training.compression.known_sounds import can_find_known_sounds, find_known_sounds, with_placeholder
from scenelet.training.compression.members import choose_members
from scenelet.training.compression.search import FormatTrial, choose_format, prune_until_fits, rounded
from scenelet.training.dataset import Dataset
from scenelet.training.probabilities import clip_probabilities
from scenelet.utils.console import spinner

RESULT_KEYS = ("clips", "accuracy", "macro_accuracy", "log_loss")  # of each subset, that a model file holds
Probabilities = Mapping[str, NDArray[np.float32]]  # name of a subset -> probabilities (clips, classes)
Reports = Mapping[str, Mapping[str, Any]]  # name of a subset -> its `classification_report`


@dataclass(frozen=True)
class Compressed:
    """Record of how a network was compressed."""

    settings: PruneConfig  # with the format and the sparsity that were chosen
    masks: Masks  # the weights that remain
    minutes: float  # duration of all training, trials included
    trials: tuple[FormatTrial, ...] = ()  # the formats that were tried to keep within `max_bytes`


@dataclass(frozen=True)
class BuiltModel:
    """A model file and the results of its network."""

    file: bytes
    model: SceneModel  # the content of the file
    compression: Compressed
    probabilities: Probabilities  # answers of the file, by ONNX Runtime from cached features (fp16)
    found: Mapping[str, Any]  # see `_found`
    dense: Reports  # of the trained network, before compression
    compressed: Reports  # of the file


def build_model(
    network: StandardizedNetwork,
    record: RunRecord,
    dataset: Dataset,
    config: RunConfig,
    folder: Path | None = None,
    description: str = "Fine-tuning",
    callbacks: Sequence[Callback] = (),
    should_calibrate: bool = True,
) -> BuiltModel:
    """Compress a trained network in place as `config.prune` says, measure it, and encode its model file.

    Args:
        network, record, dataset: the trained network, and the record and the data of its run.
        config: settings of the compression; `prune`, `mixing` and `loss` may differ from those of the training.
        folder: folder from which an interrupted compression continues. None writes nothing.
        description: text next to the progress bar of the fine-tuning.
        callbacks: further Lightning callbacks of the fine-tuning, which must not change it.
        should_calibrate: scale the logits, see `scenelet.training.compression.calibration`, and find the known sounds
            if there are enough held-out clips, see `scenelet.training.compression.known_sounds`.

    Raises:
        UsageError: no sparsity is enough for `max_bytes`, which includes everything in the file.
        RunError: the fine-tuning diverged.
    """
    with spinner("Measuring the trained network"):
        before = {name: clip_probabilities(network, clips.features) for name, clips in dataset.held_out()}
    dense = _reports(dataset, before)
    teacher = copy.deepcopy(network)
    # until the file is measured, the results of the trained network stand for those of the file
    records = [
        calibration_record(1 / 3, name, clips.targets, before[name], before[name])
        for name, clips in dataset.held_out()
        if should_calibrate
    ]
    finds_known_sounds = should_calibrate and can_find_known_sounds(dataset)
    estimate, extra_bytes = _results(dense, dense, _found(dataset, before, records[0] if records else {})), 0

    def scene_model(network: StandardizedNetwork, masks: Masks, settings: PruneConfig) -> SceneModel:
        """Convert the network, which was pruned and rounded by `settings`; the results are still missing."""
        assert settings.dtype != "auto"
        return to_scene_model(
            network,
            record.labels,
            config.features,
            config.window,
            masks,
            settings.dtype,
            provenance=_provenance(record, dataset, masks, settings) | _finetuning(record.config, config),
            licenses=_licenses(record, dataset),
            background=dataset.table.background,
        )

    def size(network: StandardizedNetwork, masks: Masks, settings: PruneConfig) -> int:
        model = replace(scene_model(network, masks, settings), results=estimate)
        model = scale_logits(model, 1.5) if "calibration" in estimate else model
        return len(encode_model(with_placeholder(model) if finds_known_sounds else model)) + extra_bytes

    chosen = choose_members(network, config.prune, size)
    network.network = keep_members(network.network, chosen.members)
    config = config.model_copy(update={"prune": chosen})
    settings, trials = choose_format(network, dataset, config, size, folder, teacher)
    config = config.model_copy(update={"prune": settings})
    masks, minutes = prune_and_finetune(network, dataset, config, folder, description, teacher, callbacks)
    while True:
        masks, settings = prune_until_fits(network, masks, settings, size)
        final = rounded(network, settings)
        model = stored_model(scene_model(final, masks, settings))
        with spinner("Measuring the file"):
            calibrated = calibrate(model, dataset, should_calibrate)
            known, record_of_known = find_known_sounds(model, dataset) if finds_known_sounds else (None, {})
        answers = calibrated.answers
        compressed, found = _reports(dataset, answers), _found(dataset, answers, calibrated.calibration)
        found |= {"known_sounds": record_of_known} if known else {}
        model = replace(calibrated.model, results=_results(dense, compressed, found), known=known)
        file = encode_model(model)
        if settings.max_bytes is None or len(file) <= settings.max_bytes:
            break
        extra_bytes += len(file) - settings.max_bytes  # the digits of the results are longer than estimated
    network.load_state_dict(final.state_dict())
    compression = Compressed(settings, masks, minutes + sum(trial.minutes for trial in trials), trials)
    return BuiltModel(file, model, compression, answers, found, dense, compressed)


def _provenance(record: RunRecord, dataset: Dataset, masks: Masks, settings: PruneConfig) -> dict[str, Any]:
    config, table = record.config, dataset.table
    weights = sum(mask.numel() for mask in masks.values())
    # without paths, which are of this machine
    teachers = [teacher.model_dump(exclude={"path"}, exclude_defaults=True) for teacher in record.teachers]
    return {
        "scenelet": __version__,
        "recipe": record.recipe,
        **{name: getattr(config, name).model_dump() for name in ("network", "mixing", "augment", "loss")},
        # without defaults, and without a path on this machine
        "waveform": config.waveform.model_dump(exclude_defaults=True, exclude={"impulse_responses"}),
        "prune": settings.model_dump(),
        "dtype": settings.dtype,
        "teacher": config.distillation.model_dump() | {"teachers": teachers} if teachers else None,
        **_source(record),
        "seed": config.seed,
        "epochs": 0 if record.config.transfer.freeze else config.schedule.epochs,
        "schedule": config.schedule.model_dump(),
        "sparsity": 1 - float(sum(mask.sum() for mask in masks.values()) / weights) if weights else 0.0,
        "fine_tuning_epochs": settings.epochs,
        "data": table.describe(),
        "synthetic": table.synthetic,
        "tau_3_class": table.tau_3_class,
        **({"multi_label": table.multi_label} if table.multi_label != "refuse" else {}),
        **_background(table),
        **({"standardize": "device"} if config.data.standardize == "device" else {}),
        "split": config.split.model_dump(),
        "split_hash": split_hash(dataset.split),
        **_own_split_hash(dataset),
        "train_cities": sorted({clip.city for clip in dataset.split.train if clip.city is not None}),
        "train_devices": sorted({clip.device for clip in dataset.split.train if clip.device is not None}),
        "train_clips": dict(zip(record.labels, record.train_counts, strict=True)),
        "versions": record.versions,
    }


def _background(table: ClipTable) -> dict[str, Any]:
    clips = tuple(clip for clip in table.clips if clip.label == table.background)
    try:
        return {"background_hash": background_hash(clips)} if clips else {}
    except OSError:  # the features are cached, so the recordings may have been moved
        return {}


def _licenses(record: RunRecord, dataset: Dataset) -> tuple[str, ...]:
    """Return the licenses of the training recordings, and of those of the source."""
    own = (dataset.table.license, *(record.source.licenses if record.source else ()))
    return tuple(dict.fromkeys(filter(None, own)))


def _source(record: RunRecord) -> dict[str, Any]:
    """Return the entry of the trained weights that the run started from, without the path, which is of this machine."""
    if record.source is None:
        return {}
    source = record.source.model_dump(mode="json", include={"sha256", "labels"})
    return {"source": {"name": record.source.name, "frozen": record.config.transfer.freeze} | source}


def _own_split_hash(dataset: Dataset) -> dict[str, str]:
    """Return the hash of the split without a background folder, for `evaluate`, which gets the data alone."""
    added, split = {clip.name for clip in dataset.table.background_clips}, dataset.split

    def own(clips: Clips) -> Clips:
        return tuple(clip for clip in clips if clip.name not in added)

    without = replace(split, train=own(split.train), validation=own(split.validation), test=own(split.test))
    return {"own_split_hash": split_hash(without)} if added else {}


def _finetuning(trained: RunConfig, config: RunConfig) -> dict[str, Any]:
    """Return the sections of settings with which fine-tuning differs from training."""
    changed = [name for name in ("mixing", "loss") if getattr(config, name) != getattr(trained, name)]
    return {f"finetuning_{name}": getattr(config, name).model_dump() for name in changed}


def _reports(dataset: Dataset, answers: Probabilities) -> Reports:
    return {
        name: classification_report(clips.targets, answers[name], dataset.labels) for name, clips in dataset.held_out()
    }


def _results(dense: Reports, compressed: Reports, found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the results that a model file holds."""
    results: dict[str, Any] = {
        kind: {name: {key: report[key] for key in RESULT_KEYS} for name, report in reports.items()}
        for kind, reports in (("dense", dense), ("compressed", compressed))
    }
    return {**results, **found}


def _found(dataset: Dataset, answers: Probabilities, calibration: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was found on the first subset that was not trained on.

    It has "threshold", the `scenelet.inference.threshold.Threshold` with its subset, and "calibration" if the model is
    calibrated. It is empty without such a subset.
    """
    for name, clips in dataset.held_out():
        threshold = {"subset": name, **asdict(find_threshold(clips.targets, answers[name]))}
        return {"threshold": threshold} | ({"calibration": dict(calibration)} if calibration else {})
    return {}
