"""Accuracy on held-out clips after every epoch, in a file that the training does not read."""

import csv
from pathlib import Path

import lightning
from lightning.pytorch.callbacks import Callback

from scenelet.errors import RunError
from scenelet.evaluation.metrics import classification_report
from scenelet.training.batches import LabelledFeatures
from scenelet.training.module import SceneModule
from scenelet.training.probabilities import clip_probabilities
from scenelet.utils.files import csv_text, make_folder, replace_file

COLUMNS = ("epoch", "accuracy", "macro_accuracy", "log_loss")


class EpochCurve(Callback):
    """Lightning callback that writes a line per epoch: the epoch, counted from 1, accuracies and log loss.

    It measures the network that would be kept, with averaged weights if the schedule asks for them. The training ends
    with the same weights, bit by bit, as without it. A resumed training continues the file.

    Args:
        path: CSV file to write.
        clips: clips to measure on.
    """

    def __init__(self, path: Path, clips: LabelledFeatures) -> None:
        self.path, self.clips = path, clips

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Measure the network and write the line of this epoch."""
        assert isinstance(module, SceneModule)
        probabilities = clip_probabilities(module.averaged_network(), self.clips.features)
        labels = [str(k) for k in range(self.clips.classes)]
        report = classification_report(self.clips.targets, probabilities, labels)
        epoch = trainer.current_epoch + 1
        before = [row for row in _read_rows(self.path) if int(row["epoch"]) < epoch]
        lines = [[row[name] for name in COLUMNS] for row in before]
        lines.append([str(epoch), *(f"{report[name]:.6f}" for name in COLUMNS[1:])])
        make_folder(self.path.parent)
        replace_file(self.path, csv_text(COLUMNS, lines))


def read_epoch_curve(path: Path, epochs: int) -> tuple[float, ...]:
    """Read the macro accuracy after each epoch.

    Returns:
        An accuracy per epoch. It is empty if the file does not have each of `epochs`, because it does not exist or a
        part of the training ran without it.

    Raises:
        RunError: the file is damaged.
    """
    rows = _read_rows(path)
    if [int(row["epoch"]) for row in rows] != list(range(1, epochs + 1)):
        return ()
    return tuple(float(row["macro_accuracy"]) for row in rows)


def _read_rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    try:
        rows = list(csv.DictReader(path.read_text("utf-8").splitlines()))
        for row in rows:
            int(row["epoch"])
            [float(row[name]) for name in COLUMNS]
    except (ValueError, KeyError, TypeError, csv.Error):
        raise RunError(f"{path}: damaged; delete it") from None
    return rows
