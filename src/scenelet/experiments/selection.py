"""Which of several systems would have been chosen for each fold, without having seen it.

Cells that hold out two folds together, a and b, are trained on neither. Measured on b they are a validation for
test fold a, and measured on a one for test fold b: a choice made for a fold from its partners has then seen nothing
of it, in training or in measuring.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from scenelet.data.splits import FOLDS_TOGETHER
from scenelet.experiments.results import TrialResult, measures


def select_system(rows: Mapping[str, Sequence[TrialResult]]) -> list[dict[str, Any]]:
    """For each fold that was held out together with others, the rows' scores on those others.

    Args:
        rows: name of the system -> its finished cells; those that hold out one fold, or a city, are passed over.

    Returns:
        Of each fold {"fold", "clips", "chosen", "scores": {row: {"macro_accuracy", "log_loss"}}, "left_out"}; chosen is
        the row of the highest accuracy, of those alike the one with the lowest log loss; left_out are the rows that
        lack a cell of this fold which another row has. Empty where no folds were held out together.
    """
    of_fold: dict[str, dict[str, list[TrialResult]]] = defaultdict(lambda: defaultdict(list))
    for name, cells in rows.items():
        for cell in cells:
            for fold in _folds_together(cell):
                of_fold[fold][name].append(cell)
    choices = []
    for fold, own in sorted(of_fold.items()):
        wanted = {_place(cell) for cells in own.values() for cell in cells}
        whole = {name: cells for name, cells in own.items() if {_place(cell) for cell in cells} == wanted}
        if not whole:
            continue
        scores = {name: _score(cells, fold) for name, cells in whole.items()}
        best = max(scores, key=lambda name: (scores[name]["macro_accuracy"], -scores[name]["log_loss"]))
        partners = {clip.name for cells in whole.values() for cell in cells for clip in cell.clips if clip.fold != fold}
        left_out = [name for name in rows if name not in whole]
        choices.append({"fold": fold, "clips": len(partners), "chosen": best, "scores": scores, "left_out": left_out})
    return choices


def _folds_together(cell: TrialResult) -> set[str]:
    """The folds that the cell holds out, where there are several; a name may have the sign between them in it."""
    folds = {clip.fold for clip in cell.clips if clip.fold is not None}
    return folds if len(folds) > 1 and folds == set(cell.held_out.split(FOLDS_TOGETHER)) else set()


def _place(cell: TrialResult) -> tuple[str, int]:
    return cell.held_out, cell.seed


def _score(cells: Sequence[TrialResult], fold: str) -> dict[str, float]:
    """Of the clips that were held out together with `fold` and are not in it."""
    clips = [clip for cell in cells for clip in cell.clips if clip.fold != fold]
    measured = measures(clips, cells[0].labels)
    return {key: measured[key] for key in ("macro_accuracy", "log_loss")}
