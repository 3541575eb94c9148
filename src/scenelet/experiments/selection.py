"""Selection of the best system for each fold, without the use of that fold, and for all folds together.

A trial that holds out the folds a and b together trains on neither. Its result on b can validate systems for test fold
a, and its result on a can validate systems for test fold b. A selection for a fold thus uses none of its clips, neither
in training nor in validation.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from scenelet.data.splits import FOLDS_TOGETHER
from scenelet.evaluation.clip_prediction import ClipPrediction
from scenelet.experiments.results import TrialResult, clip_metrics


def select_system(trials: Mapping[str, Sequence[TrialResult]]) -> list[dict[str, Any]]:
    """Select a system for each fold that was held out together with others, by the scores on those others.

    Args:
        trials: name of each system -> its finished trials. Trials that hold out one fold, or a city, are ignored.

    Returns:
        For each fold {"fold", "clips", "chosen", "scores": {system: {"macro_accuracy", "log_loss"}}, "left_out"}.
        "chosen" has the highest accuracy over all seeds, and the lowest log loss among equal accuracies. "left_out"
        lists the systems that lack a trial of this fold which another system has. The list is empty if no folds were
        held out together.
    """
    by_fold: dict[str, dict[str, list[TrialResult]]] = defaultdict(lambda: defaultdict(list))
    for name, results in trials.items():
        for result in results:
            for fold in _folds_together(result):
                by_fold[fold][name].append(result)
    choices = []
    for fold, systems in sorted(by_fold.items()):
        keys = {name: {(result.held_out, result.seed) for result in results} for name, results in systems.items()}
        complete = {name: systems[name] for name in systems if keys[name] == set().union(*keys.values())}
        if not complete:
            continue
        scores = {name: _score(results, fold) for name, results in complete.items()}
        clips = {clip.name for results in complete.values() for result in results for clip in _others(result, fold)}
        left_out = [name for name in trials if name not in complete]
        choices.append(
            {"fold": fold, "clips": len(clips), "chosen": _best(scores), "scores": scores, "left_out": left_out}
        )
    return choices


def select_pooled(trials: Mapping[str, Sequence[TrialResult]]) -> dict[str, Any] | None:
    """Select one system by all clips of folds that were held out together.

    Clips of every test fold have a part in this choice. It is free of their influence if each fold selects the same
    system without its own clips.

    Args:
        trials: as in `select_system`.

    Returns:
        {"chosen", "clips", "scores"} as in `select_system`, of the systems that have all trials that any other has.
        None if there is no such system, or no folds were held out together.
    """
    together = {name: [result for result in results if _folds_together(result)] for name, results in trials.items()}
    keys = {name: {(result.held_out, result.seed) for result in results} for name, results in together.items()}
    complete = {name: together[name] for name in keys if keys[name] == set().union(*keys.values())}
    if not any(complete.values()):
        return None
    scores = {name: _score(results) for name, results in complete.items()}
    clips = {clip.name for results in complete.values() for result in results for clip in result.clips}
    return {"chosen": _best(scores), "clips": len(clips), "scores": scores}


def _folds_together(result: TrialResult) -> set[str]:
    """Return the folds that a trial holds out together; a single fold's name may contain the separator."""
    folds = {clip.fold for clip in result.clips if clip.fold is not None}
    return folds if len(folds) > 1 and folds == set(result.held_out.split(FOLDS_TOGETHER)) else set()


def _others(result: TrialResult, fold: str | None) -> list[ClipPrediction]:
    """Return the clips that were held out together with `fold`; all clips for None."""
    return [clip for clip in result.clips if clip.fold != fold]


def _best(scores: Mapping[str, Mapping[str, float]]) -> str:
    return max(scores, key=lambda name: (scores[name]["macro_accuracy"], -scores[name]["log_loss"]))


def _score(results: Sequence[TrialResult], fold: str | None = None) -> dict[str, float]:
    clips = [clip for result in results for clip in _others(result, fold)]
    metrics = clip_metrics(clips, results[0].labels)
    return {key: metrics[key] for key in ("macro_accuracy", "log_loss")}
