"""What a finished cell of a comparison holds: one system, trained once, and its answer to every test clip."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from scenelet.config import Settings
from scenelet.evaluation.metrics import classification_report
from scenelet.utils.files import csv_text


class ClipOutcome(Settings):
    """A test clip, and the probabilities it was given in the order of the cell's labels."""

    name: str
    label: str
    group: str
    city: str | None
    fold: str | None = None
    probabilities: tuple[float, ...]


class TrialResult(Settings):
    """One training and its outcome.

    Attributes:
        held_out: the fold, folds (1+2) or city that was tested on; "" for the data's own split.
        seed: of the training.
        labels: the classes, in the order of all probabilities.
        train_counts: (classes,) training clips of each.
        parameters, parameters_kept: as `scenelet.model.scene_model.TrainingCounts`.
        bytes: of the model file by each rule of `scenelet.model.sizes.sizes`.
        steps: optimizer steps, fine-tuning included.
        minutes: that these took; rows that share a training count it each.
        dtype, sparsity: of the weights in the model file, where the network was fine-tuned.
        file_parts: where that file's bytes are, see `scenelet.model.sizes.FileParts`.
        file_difference: the largest difference of a test clip's probability between the network as PyTorch computes it
            and that file.
        other_labels: test clips to which the two give different labels.
        versions: of the software.
        clips: every test clip.
    """

    held_out: str
    seed: int
    labels: tuple[str, ...]
    train_counts: tuple[int, ...]
    parameters: int
    parameters_kept: int
    bytes: dict[str, int]
    steps: int
    minutes: float
    dtype: str | None = None
    sparsity: float | None = None
    file_parts: dict[str, int] | None = None
    file_difference: float | None = None
    other_labels: int | None = None
    versions: dict[str, str]
    clips: tuple[ClipOutcome, ...]


def measures(clips: Sequence[ClipOutcome], labels: Sequence[str]) -> dict[str, Any]:
    """`scenelet.evaluation.metrics.classification_report` of these clips; `labels` in the order of their probabilities."""
    return classification_report(
        [labels.index(clip.label) for clip in clips], [clip.probabilities for clip in clips], labels
    )


def trials_csv(cells: Iterable[tuple[str, TrialResult]]) -> str:
    """A line a cell, with its system's name before it: what was measured, the file's bytes on disk, and the minutes."""
    head = ["system", "held_out", "seed", "clips", "accuracy", "macro_accuracy", "log_loss", "parameters_kept"]
    rows = []
    for system, cell in cells:
        measured = measures(cell.clips, cell.labels)
        shares = [f"{measured[name]:.6f}" for name in head[4:7]]
        own = [system, cell.held_out, cell.seed, measured["clips"], *shares, cell.parameters_kept]
        sparsity = "" if cell.sparsity is None else f"{cell.sparsity:.4f}"
        parts: Mapping[str, int | str] = cell.file_parts or {"weights": "", "weights_bound": ""}
        file = [cell.bytes["disk"], cell.dtype or "", sparsity, parts["weights"], parts["weights_bound"]]
        file += ["", ""] if cell.file_difference is None else [f"{cell.file_difference:.1e}", cell.other_labels or 0]
        rows.append([*own, *file, f"{cell.minutes:.1f}"])
    return csv_text(
        [
            *head,
            "bytes",
            "dtype",
            "sparsity",
            "weights_bytes",
            "weights_bound",
            "file_difference",
            "other_labels",
            "minutes",
        ],
        rows,
    )
