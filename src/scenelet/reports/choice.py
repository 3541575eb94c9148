"""Which of several systems would have been chosen for each fold, without having seen it.

Cells that hold out two folds together, a and b, are trained on neither. Measured on b they are a validation for
test fold a, and measured on a one for test fold b: a choice made for a fold from its partners has then seen nothing
of it, in training or in measuring.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from scenelet.data.splits import FOLDS_TOGETHER
from scenelet.metrics import clip_losses
from scenelet.reports.cells import CellResult


def choose(rows: Mapping[str, Sequence[CellResult]]) -> list[dict[str, Any]]:
    """For each fold that was held out together with others, the rows' scores on those others.

    Args:
        rows: name of the system -> its cells; those that hold out one fold are passed over, and so are rows that
            lack a cell which another row has.

    Returns:
        Of each fold {"fold", "clips", "chosen", "scores": {row: {"macro_accuracy", "log_loss"}}}; chosen is the row of
        the highest accuracy, of those alike the one with the lowest log loss. Empty where no two folds were held out.
    """
    paired = {name: [cell for cell in cells if FOLDS_TOGETHER in cell.held_out] for name, cells in rows.items()}
    most = max((len(cells) for cells in paired.values()), default=0)
    paired = {name: cells for name, cells in paired.items() if len(cells) == most and most}
    folds = sorted({fold for cells in paired.values() for cell in cells for fold in _folds(cell)})
    choices = []
    for fold in folds:
        scores = {
            name: _score([cell for cell in cells if fold in _folds(cell)], fold) for name, cells in paired.items()
        }
        best = max(scores, key=lambda name: (scores[name]["macro_accuracy"], -scores[name]["log_loss"]))
        clips = int(next(iter(scores.values())).pop("clips"))
        for score in scores.values():
            score.pop("clips", None)
        choices.append({"fold": fold, "clips": clips, "chosen": best, "scores": scores})
    return choices


def _folds(cell: CellResult) -> list[str]:
    return cell.held_out.split(FOLDS_TOGETHER)


def _score(cells: Sequence[CellResult], fold: str) -> dict[str, float]:
    """Of the clips that were held out together with `fold` and are not in it."""
    hits, losses = defaultdict(list), []
    for cell in cells:
        clips = [clip for clip in cell.clips if clip.fold != fold]
        probabilities = np.array([clip.probabilities for clip in clips], np.float32)
        targets = np.array([cell.labels.index(clip.label) for clip in clips])
        losses += clip_losses(targets, probabilities).tolist()
        for target, right in zip(targets, probabilities.argmax(axis=1) == targets, strict=True):
            hits[int(target)].append(float(right))
    accuracy = float(np.mean([np.mean(own) for own in hits.values()]))
    return {"macro_accuracy": accuracy, "log_loss": float(np.mean(losses)), "clips": len(losses)}
