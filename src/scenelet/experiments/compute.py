"""Computation of a trial: train, fine-tune if asked for, and measure on the test clips."""

import shutil
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenelet.config import PruneConfig, RunConfig, Settings
from scenelet.config import run_folder as runs
from scenelet.errors import DataError
from scenelet.evaluation.clip_prediction import ClipPrediction
from scenelet.experiments.results import TrialResult
from scenelet.experiments.store import Store
from scenelet.experiments.trial import Trial
from scenelet.inference.classifier import Classifier
from scenelet.model.file import decode_model, encode_model
from scenelet.model.scene_model import SceneModel
from scenelet.model.sizes import file_parts, sizes
from scenelet.nn.convert import to_scene_model
from scenelet.nn.prune import nearly_empty_layers
from scenelet.nn.quantize import WeightFormat
from scenelet.nn.standardize import StandardizedNetwork
from scenelet.training.batches import LabelledFeatures, epoch_batches
from scenelet.training.compression.build_model import build_model
from scenelet.training.dataset import Dataset, load_dataset
from scenelet.training.loop import CHECKPOINTS, LOGS
from scenelet.training.measure import file_probabilities
from scenelet.training.network import load_network
from scenelet.training.probabilities import clip_probabilities
from scenelet.training.train import train
from scenelet.utils.console import progress_only
from scenelet.utils.files import make_folder, replace_file

FULL_PRECISION: WeightFormat = "fp32"


@dataclass(frozen=True)
class _TestedModel:
    """A trial's model and its answers to the test clips.

    Attributes:
        model: the model, as decoded from its file.
        file_bytes: size of the file.
        probabilities: (clips, classes) the model's answers.
        epochs: epochs of the fine-tuning.
        minutes: duration of the fine-tuning.
        details: further fields of `TrialResult`.
    """

    model: SceneModel
    file_bytes: int
    probabilities: NDArray[np.float32]
    epochs: int = 0
    minutes: float = 0.0
    details: dict[str, Any] = field(default_factory=dict)


@progress_only()  # `reproduce` prints one line for each trial
def compute_trial(store: Store, trial: Trial, description: str) -> TrialResult:
    """Train, fine-tune and measure a trial, and store its result. An interrupted computation is resumed.

    Args:
        store: the store.
        trial: the trial.
        description: title of the progress bar.

    Raises:
        SceneletError: data or settings cannot be used, or the training diverged.
    """
    config = trial.config
    dataset = _load(store, config)
    if dataset.test is None:
        raise DataError(f"{store.table.path}: its split has no test clips; add some, or hold out a fold")
    _train(store, trial, dataset, description)
    run = store.run_folder(trial)
    record = runs.read_record(run)
    network = load_network(run, record)
    if trial.fine_tuned:
        tested = _fine_tune(store, trial, network, record, dataset, dataset.test, description)
    else:
        tested = _convert(network, config, dataset, dataset.test, description)
    epochs = config.schedule.epochs + tested.epochs
    result = TrialResult(
        held_out=trial.held_out,
        seed=trial.seed,
        labels=dataset.labels,
        train_counts=tuple(dataset.train.class_counts()),
        parameters=tested.model.counts.parameters,
        parameters_kept=tested.model.counts.parameters_kept,
        bytes=sizes(tested.model, tested.file_bytes),
        steps=epochs * len(epoch_batches(dataset.train, config)(0)),
        minutes=float(runs.read_metrics(run)["minutes"]) + tested.minutes,
        versions=runs.versions(),
        clips=_clip_predictions(tested.probabilities, dataset),
        **tested.details,
    )
    store.write_result(trial, result)
    return result


def _load(store: Store, config: RunConfig) -> Dataset:
    return load_dataset(store.table, config)


def _train(store: Store, trial: Trial, dataset: Dataset, description: str) -> None:
    """Train the trial's network, and before it its teacher, unless the run is finished."""
    run = store.run_folder(trial)
    if not (run / runs.METRICS).is_file():
        teacher = None
        if trial.teacher is not None:
            teacher = store.run_folder(trial.teacher)
            config = trial.teacher.config
            is_same_data = _data_settings(config) == _data_settings(trial.config)
            with store.lock(trial.teacher, wait=True):
                teacher_dataset = dataset if is_same_data else _load(store, config)
                _train(store, trial.teacher, teacher_dataset, f"{trial.teacher.system}, teacher of {description}")
        train(
            dataset,
            run,
            trial.config.model_copy(update={"prune": PruneConfig()}),
            recipe="reproduce",
            resume=True,
            teacher=teacher,
            description=description,
        )
    for name in (CHECKPOINTS, LOGS):  # several times the size of the weights
        shutil.rmtree(run / name, ignore_errors=True)


def _data_settings(config: RunConfig) -> tuple[Settings, ...]:
    """Return the settings on which a loaded data set depends."""
    return config.features, config.window, config.split


def _convert(
    network: StandardizedNetwork, config: RunConfig, dataset: Dataset, test: LabelledFeatures, description: str
) -> _TestedModel:
    """Convert a trained network to a model file in full precision, and test the file."""
    converted = to_scene_model(network, dataset.labels, config.features, config.window, dtype=FULL_PRECISION)
    data = encode_model(converted)
    model = decode_model(data, description)
    return _TestedModel(model, len(data), file_probabilities(Classifier(model), test.features))


def _fine_tune(
    store: Store,
    trial: Trial,
    network: StandardizedNetwork,
    record: runs.RunRecord,
    dataset: Dataset,
    test: LabelledFeatures,
    description: str,
) -> _TestedModel:
    """Prune and fine-tune a trained network, store its model file, and test the file."""
    config = trial.config.model_copy(update={"prune": stored_format(trial.config.prune)})
    folder = store.finetuning_folder(trial)
    built = build_model(network, record, dataset, config, folder, f"{description}, fine-tuned")
    path = store.model_path(trial)
    make_folder(path.parent)
    replace_file(path, built.file)
    probabilities, settings = built.probabilities["test"], built.compression.settings
    details = {
        "dtype": settings.dtype,
        "sparsity": settings.sparsity,
        "file_parts": asdict(file_parts(built.model, built.file)),
        "empty_layers": nearly_empty_layers(built.compression.masks),
        **_compare_with_file(network, test, probabilities),
    }
    minutes = built.compression.minutes
    return _TestedModel(built.model, len(built.file), probabilities, settings.epochs, minutes, details)


def stored_format(settings: PruneConfig) -> PruneConfig:
    """Choose full precision for a network that is fine-tuned but neither pruned nor quantized, for a fair comparison.

    >>> stored_format(PruneConfig(sparsity=0)).dtype
    'fp32'
    """
    if settings.max_bytes is None and settings.sparsity == 0 and settings.dtype == "fp16":
        return settings.model_copy(update={"dtype": FULL_PRECISION})
    return settings


def _compare_with_file(
    network: StandardizedNetwork, test: LabelledFeatures, file_answers: NDArray[np.float32]
) -> dict[str, Any]:
    """Compare the answers of the fine-tuned network with those of its model file."""
    answers = clip_probabilities(network, test.features)
    return {
        "file_difference": float(np.abs(answers - file_answers).max()),
        "other_labels": int((answers.argmax(1) != file_answers.argmax(1)).sum()),
    }


def _clip_predictions(probabilities: NDArray[np.float32], dataset: Dataset) -> tuple[ClipPrediction, ...]:
    return tuple(
        ClipPrediction.from_clip(clip, dataset.labels, row)
        for clip, row in zip(dataset.split.test, probabilities.tolist(), strict=True)
    )
