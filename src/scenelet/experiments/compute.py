"""Computation of a trial: train, fine-tune if asked for, and measure on the test clips."""

import shutil
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenelet.config import PruneConfig
from scenelet.config import run_folder as runs
from scenelet.errors import DataError
from scenelet.evaluation.clip_prediction import ClipPrediction
from scenelet.experiments.results import TrialResult
from scenelet.experiments.store import TEST_CURVE, Store
from scenelet.experiments.trial import Trial
from scenelet.inference.classifier import Classifier
from scenelet.model.file import decode_model, encode_model
from scenelet.model.sizes import file_parts, sizes
from scenelet.nn.convert import to_scene_model
from scenelet.nn.prune import nearly_empty_layers
from scenelet.nn.quantize import WeightFormat
from scenelet.training.batches import epoch_batches
from scenelet.training.compression.build_model import BuiltModel, build_model
from scenelet.training.dataset import Dataset, load_dataset
from scenelet.training.epoch_curve import EpochCurve, read_epoch_curve
from scenelet.training.loop import CHECKPOINTS, LOGS
from scenelet.training.measure import file_probabilities
from scenelet.training.network import load_network
from scenelet.training.probabilities import clip_probabilities
from scenelet.training.train import train
from scenelet.utils.console import progress_only
from scenelet.utils.files import make_folder, replace_file

FULL_PRECISION: WeightFormat = "fp32"


@progress_only()  # `reproduce` prints one line for each trial
def compute_trial(store: Store, trial: Trial, description: str, test_curve: bool = False) -> TrialResult:
    """Train, fine-tune and measure a trial, and store its result. An interrupted computation is resumed.

    Args:
        store: the store.
        trial: the trial.
        description: title of the progress bar.
        test_curve: record the accuracy on the test clips after each epoch, see `Store.curve_path`.

    Raises:
        SceneletError: data or settings cannot be used, or the training diverged.
    """
    config = trial.config
    dataset = load_dataset(store.table, config)
    if dataset.test is None:
        raise DataError(f"{store.table.path}: its split has no test clips; add some, or hold out a fold")
    _train(store, trial, dataset, description, test_curve)
    run = store.run_folder(trial)
    record = runs.read_record(run)
    network = load_network(run, record)
    minutes, epochs, details = float(runs.read_metrics(run)["minutes"]), config.schedule.epochs, dict[str, Any]()
    last_epochs = epochs
    if trial.fine_tuned:
        settings = config.model_copy(update={"prune": stored_format(config.prune)})
        folder = store.finetuning_folder(trial)
        callbacks = [EpochCurve(store.curve_path(trial), dataset.test)] if test_curve else []
        # not calibrated, since the test clips would choose the temperature that they are measured with
        built = build_model(network, record, dataset, settings, folder, f"{description}, fine-tuned", callbacks, False)
        path = store.model_path(trial)
        make_folder(path.parent)
        replace_file(path, built.file)
        model, file, answers = built.model, built.file, built.probabilities["test"]
        minutes, last_epochs = minutes + built.compression.minutes, built.compression.settings.epochs
        epochs += last_epochs
        details = _fine_tuning_details(built, clip_probabilities(network, dataset.test.features))
    else:
        file = encode_model(
            to_scene_model(
                network,
                dataset.labels,
                config.features,
                config.window,
                dtype=FULL_PRECISION,
                background=dataset.table.background,
            )
        )
        model = decode_model(file, description)
        answers = file_probabilities(Classifier(model), dataset.test.features)
    clips = zip(dataset.split.test, answers.tolist(), strict=True)
    result = TrialResult(
        held_out=trial.held_out,
        seed=trial.seed,
        labels=dataset.labels,
        train_counts=tuple(dataset.train.class_counts()),
        train_devices=tuple(sorted({clip.device for clip in dataset.split.train if clip.device is not None})),
        parameters=model.counts.parameters,
        parameters_kept=model.counts.parameters_kept,
        bytes=sizes(model, len(file)),
        steps=epochs * len(epoch_batches(dataset.train, config)(0)),
        minutes=minutes,
        test_curve=read_epoch_curve(store.curve_path(trial), last_epochs),
        versions=runs.versions(),
        clips=tuple(ClipPrediction.from_clip(clip, dataset.labels, row) for clip, row in clips),
        **details,
    )
    store.write_result(trial, result)
    return result


def _train(store: Store, trial: Trial, dataset: Dataset, description: str, test_curve: bool) -> None:
    """Train the trial's network, and before it its teachers, unless the run is finished."""
    run = store.run_folder(trial)
    if not (run / runs.METRICS).is_file():
        for teacher in trial.teachers:
            config = teacher.config
            loaded = ("features", "window", "data", "split", "waveform")
            is_same_data = all(getattr(config, s) == getattr(trial.config, s) for s in loaded)
            with store.lock(teacher, wait=True):
                teacher_dataset = dataset if is_same_data else load_dataset(store.table, config)
                _train(store, teacher, teacher_dataset, f"{teacher.system}, teacher of {description}", test_curve)
        train(
            dataset,
            run,
            trial.config.model_copy(update={"prune": PruneConfig()}),
            recipe="reproduce",
            resume=True,
            teachers=[store.run_folder(teacher) for teacher in trial.teachers],
            description=description,
            callbacks=[EpochCurve(run / TEST_CURVE, dataset.test)] if test_curve and dataset.test is not None else [],
        )
    for name in (CHECKPOINTS, LOGS):  # several times the size of the weights
        shutil.rmtree(run / name, ignore_errors=True)


def stored_format(settings: PruneConfig) -> PruneConfig:
    """Choose full precision for a network that is fine-tuned but neither pruned nor quantized, for a fair comparison.

    >>> stored_format(PruneConfig(sparsity=0)).dtype
    'fp32'
    """
    if settings.max_bytes is None and settings.sparsity == 0 and settings.dtype == "fp16":
        return settings.model_copy(update={"dtype": FULL_PRECISION})
    return settings


def _fine_tuning_details(built: BuiltModel, in_pytorch: NDArray[np.float32]) -> dict[str, Any]:
    """Return the fields of `TrialResult` that only a fine-tuned trial has.

    Args:
        built: the model file.
        in_pytorch: (clips, classes) answers of the fine-tuned network to the test clips, to compare with the file's.
    """
    settings, answers = built.compression.settings, built.probabilities["test"]
    return {
        "dtype": settings.dtype,
        "sparsity": settings.sparsity,
        "file_parts": asdict(file_parts(built.model, built.file)),
        "empty_layers": nearly_empty_layers(built.compression.masks),
        "file_difference": float(np.abs(in_pytorch - answers).max()),
        "other_labels": int((in_pytorch.argmax(1) != answers.argmax(1)).sum()),
    }
