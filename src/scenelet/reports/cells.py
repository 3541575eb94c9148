"""What a finished cell of a comparison holds: one system, trained once, and its answer to every test clip."""

from scenelet.config import Settings


class ClipOutcome(Settings):
    """A test clip, and the probabilities it was given in the order of the cell's labels."""

    name: str
    label: str
    group: str
    city: str | None
    fold: str | None = None
    probabilities: tuple[float, ...]


class CellResult(Settings):
    """One training and its outcome.

    Attributes:
        held_out: the fold, folds (1+2) or city that was tested on; "" for the data's own split.
        seed: of the training.
        labels: the classes, in the order of all probabilities.
        train_counts: (classes,) training clips of each.
        parameters, parameters_kept: as `scenelet.modelfile.TrainingCounts`.
        bytes: of the model file by each rule of `scenelet.describe.sizes`.
        steps: optimiser steps, fine-tuning included.
        minutes: that these took.
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
    versions: dict[str, str]
    clips: tuple[ClipOutcome, ...]
