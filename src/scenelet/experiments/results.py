"""Result of a finished trial: the prediction for every test clip, sizes, and time."""

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import Field

from scenelet.config import Settings
from scenelet.evaluation.clip_prediction import ClipPrediction
from scenelet.evaluation.metrics import classification_report
from scenelet.utils.csv_cells import safe_row
from scenelet.utils.files import csv_text

CSV_METRICS = ("accuracy", "macro_accuracy", "log_loss")
CSV_COLUMNS = (
    *("system", "held_out", "seed", "clips", *CSV_METRICS, "parameters_kept"),
    *("bytes", "dtype", "sparsity", "weights_bytes", "weights_bound", "file_difference", "other_labels", "minutes"),
)


class TrialResult(Settings):
    """Result of one trial."""

    held_out: str  # the fold, the folds (1+2) or the city of the test clips; "" for the data's own split
    seed: int
    labels: tuple[str, ...]  # in the order of all probabilities
    train_counts: tuple[int, ...]  # (classes,) training clips of each class
    train_devices: tuple[str, ...] = ()  # that recorded the training clips; empty if unknown
    parameters: int  # this and the next as in `scenelet.model.scene_model.TrainingCounts`
    parameters_kept: int
    bytes: dict[str, int]  # size of the model file by each rule of `scenelet.model.sizes.sizes`
    steps: int  # optimizer steps, including the fine-tuning
    minutes: float  # duration of these steps; a training shared by several trials counts in each of them
    # of the model file of a fine-tuned network:
    dtype: str | None = None
    sparsity: float | None = None
    file_parts: dict[str, int] | None = None  # see `scenelet.model.sizes.FileParts`
    file_difference: float | None = None  # largest difference of a test clip's probability from PyTorch's
    other_labels: int | None = None  # test clips with another label than PyTorch's
    empty_layers: Mapping[str, float] = Field({})  # kept fraction of each layer that keeps nearly no weights
    # macro accuracy on the test clips after each epoch of the last training; empty: it was not recorded
    test_curve: tuple[float, ...] = ()
    versions: dict[str, str]  # of the software
    clips: tuple[ClipPrediction, ...]

    @functools.cached_property
    def metrics(self) -> dict[str, Any]:
        """`clip_metrics` of all clips."""
        return clip_metrics(self.clips, self.labels)


def clip_metrics(clips: Sequence[ClipPrediction], labels: Sequence[str]) -> dict[str, Any]:
    """Compute the `classification_report` of at least one clip; `labels` are in the order of the clips' probabilities.

    >>> clip = ClipPrediction("a.wav", "sea", "sea", (0.25, 0.75), group="coast")
    >>> clip_metrics([clip], ["rain", "sea"])["macro_accuracy"]
    1.0
    """
    return classification_report(
        [labels.index(clip.label) for clip in clips], [clip.probabilities for clip in clips], labels
    )


def trials_csv(trials: Iterable[tuple[str, TrialResult]]) -> str:
    """Write one line per pair of a system's name and a result: metrics, size of the file, and duration.

    If the clips have several devices, the last columns are the macro accuracy of each one.
    """
    listed = list(trials)
    found = {clip.device for _, trial in listed for clip in trial.clips if clip.device is not None}
    devices = sorted(found) if len(found) > 1 else []
    columns = [*CSV_COLUMNS, *(f"macro_accuracy_{device}" for device in devices)]
    rows = [[*_csv_row(system, trial), *_device_cells(trial, devices)] for system, trial in listed]
    return csv_text([str(cell) for cell in safe_row(columns)], rows)


def _device_cells(trial: TrialResult, devices: Sequence[str]) -> list[str]:
    by_device = {device: [clip for clip in trial.clips if clip.device == device] for device in devices}
    return [f"{clip_metrics(own, trial.labels)['macro_accuracy']:.6f}" if own else "" for own in by_device.values()]


def _csv_row(system: str, trial: TrialResult) -> list[object]:
    metrics, parts = trial.metrics, trial.file_parts or {}
    differs = trial.file_difference is not None
    return [
        *(system, trial.held_out, trial.seed, metrics["clips"], *(f"{metrics[name]:.6f}" for name in CSV_METRICS)),
        *(trial.parameters_kept, trial.bytes["disk"], trial.dtype or ""),
        "" if trial.sparsity is None else f"{trial.sparsity:.4f}",
        *(parts.get("weights", ""), parts.get("weights_bound", "")),
        *((f"{trial.file_difference:.1e}", trial.other_labels or 0) if differs else ("", "")),
        f"{trial.minutes:.1f}",
    ]
