"""Comparison of several systems on the same clips, with intervals, paired tests, and the paper's results."""

import functools
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from scenelet.config import RunConfig
from scenelet.evaluation.bootstrap import class_mean, clip_mean, paired_test
from scenelet.evaluation.clip_prediction import ClipPrediction
from scenelet.experiments.answers import Answers, mean_answers, pool
from scenelet.experiments.device_metrics import device_metrics
from scenelet.experiments.results import TrialResult, clip_metrics
from scenelet.experiments.selection import select_pooled, select_system
from scenelet.experiments.systems import PaperFigures, System, SystemTable

SEED = 0  # of every interval and test, so that the same trials give the same table

RowCache = dict[tuple[str, int, int], dict[str, Any]]
"""Rows by the name of the system, its number of trials, and that of the reference."""


@dataclass(frozen=True)
class SystemResult:
    """A system, its settings and its finished trials."""

    system: System
    config: RunConfig
    trials: Sequence[TrialResult]
    expected: int  # number of its trials in the complete table


def summarize_settings(config: RunConfig, teacher: str | list[str] | None = None) -> dict[str, Any]:
    """List the settings that differ from their defaults, without fold, city and seed, which differ between trials.

    `teacher` names the systems that are teachers, as `System.teacher` does.

    >>> summarize_settings(RunConfig(seed=3, precision="fp32"), teacher="wide")
    {'precision': 'fp32', 'teacher': 'wide'}
    """
    plain = config.model_copy(update={"split": config.split.model_copy(update={"fold": None, "city": None}), "seed": 0})
    return plain.model_dump(mode="json", exclude_defaults=True) | ({"teacher": teacher} if teacher else {})


def compare(
    table: SystemTable,
    results: Sequence[SystemResult],
    data: str,
    name: str,
    recipe: str,
    synthetic: bool,
    known: RowCache | None = None,
) -> dict[str, Any]:
    """Measure every system and test it against the table's reference.

    Test clips are pooled over folds (or cities). The hits and losses of a clip are averaged over seeds. Two systems are
    tested on the clips that both have, so an unfinished table is valid too.

    Args:
        table: the table of systems.
        results: the trials of each system.
        data: description of the data.
        name: name of the table's files.
        recipe: name of the recipe.
        synthetic: the recordings are synthetic.
        known: rows of an earlier call, by their trials. Only rows whose trials changed are computed, and added.

    Returns:
        Values for JSON: "title", "name", "data", "recipe", "synthetic", "reference", "paper_name",
        "paper_data", "paper_clips", "checkpoint", "versions" (each set of software versions), "rows", "mean_row",
        "choices" and "pooled_choice" (the results of `select_system` and `select_pooled` in
        `scenelet.experiments.selection`), and "as_chosen" ("macro_accuracy" and "log_loss" {value, low, high} if each
        of these folds is tested with its own choice; None until all of these trials are finished).

        A row has "name", "trials", "trials_expected", "paper" and "settings" (those that differ from their defaults).
        If a trial is finished, it also has "clips" (a clip held out in several trials counts several times),
        "distinct_clips", "groups", "groups_of_smallest_class", "macro_accuracy" and "log_loss" {value, low, high},
        "per_class" {label: the same of its accuracy}, "by_trial", "by_seed", "parameters", "parameters_kept", "bytes",
        "steps", "empty_layers" (of any trial), and "against_reference" {difference {value, low, high}, p, clips}, which
        is None for the reference. "best_test_epoch" is the mean over trials of the highest macro accuracy of any epoch
        on the test clips. The test clips choose that epoch. It is None if a trial did not record its epochs. If the
        clips have several devices, a row also has the result of `scenelet.experiments.device_metrics.device_metrics`.

        "mean_row" is None if the table has none. It has "name", "paper" (the mean accuracy, if all rows have one) and
        "by_trial", which is empty. If each row has the same classes and test clips, it also has the mean over the rows
        of what is measured on clips, from "clips" to "per_class" and of the devices.
    """
    known = {} if known is None else known
    reference = next(result for result in results if result.system.name == table.reference)
    answers_of = functools.cache(
        lambda name: pool(next(result.trials for result in results if result.system.name == name))
    )
    rows = []
    for result in results:
        other = reference.trials if result is not reference else ()
        # a table only gains trials, so their numbers tell if a row has changed
        key = result.system.name, len(result.trials), len(other)
        if key not in known:
            own = answers_of(result.system.name) if result.trials else None
            known[key] = _row(result, own, answers_of(table.reference) if other else None)
        rows.append(known[key])
    trials = {result.system.name: result.trials for result in results}
    choices = select_system(trials)
    versions = {json.dumps(trial.versions, sort_keys=True) for result in results for trial in result.trials}
    return {
        "title": table.title,
        "name": name,
        "data": data,
        "recipe": recipe,
        "synthetic": synthetic,
        "reference": table.reference,
        "paper_name": table.paper_name,
        "paper_data": table.paper_data,
        "paper_clips": table.paper_clips,
        "checkpoint": sorted({result.config.checkpoint for result in results}),
        "versions": [json.loads(each) for each in sorted(versions)],
        "rows": rows,
        "mean_row": _mean_row(table.mean_row, results, rows, answers_of) if table.mean_row else None,
        "choices": choices,
        "pooled_choice": select_pooled(trials),
        "as_chosen": _as_chosen(choices, trials),
    }


def _as_chosen(
    choices: Sequence[Mapping[str, Any]], trials: Mapping[str, Sequence[TrialResult]]
) -> dict[str, Any] | None:
    """Pool each fold's test of the system that the other folds select for it."""
    tests = [[trial for trial in trials[choice["chosen"]] if trial.held_out == choice["fold"]] for choice in choices]
    if not tests or not all(tests):
        return None
    own, rng = pool([trial for of_fold in tests for trial in of_fold]), np.random.default_rng(SEED)
    return {
        "macro_accuracy": asdict(class_mean(own.hits, own.targets, own.groups, rng)),
        "log_loss": asdict(clip_mean(own.losses, own.groups, rng)),
    }


def _row(result: SystemResult, own: Answers | None, reference: Answers | None) -> dict[str, Any]:
    system = result.system
    row: dict[str, Any] = {
        "name": system.name,
        "trials": len(result.trials),
        "trials_expected": result.expected,
        "settings": summarize_settings(result.config, system.teacher),
        "paper": system.paper and system.paper.model_dump(),
    }
    if own is not None:
        row |= _metrics(result.trials, own) | {"against_reference": reference and _test_against(own, reference)}
    return row


def _metrics(trials: Sequence[TrialResult], own: Answers) -> dict[str, Any]:
    first = trials[0]
    return {
        **_accuracies(own, first.labels),
        "by_trial": [
            {"held_out": trial.held_out, "seed": trial.seed, "macro_accuracy": trial.metrics["macro_accuracy"]}
            for trial in trials
        ],
        "by_seed": _by_seed(trials),
        "best_test_epoch": _best_test_epoch(trials),
        "parameters": first.parameters,
        "parameters_kept": first.parameters_kept,
        "bytes": {rule: max(trial.bytes[rule] for trial in trials) for rule in first.bytes},
        "steps": sorted({trial.steps for trial in trials}),
        "empty_layers": sorted({layer for trial in trials for layer in trial.empty_layers}),
    }


def _accuracies(own: Answers, labels: Sequence[str]) -> dict[str, Any]:
    rng = np.random.default_rng(SEED)
    of_class = {k: own.targets == k for k in range(len(labels)) if (own.targets == k).any()}
    return {
        "clips": len(own.keys),
        "distinct_clips": len({name for _, name in own.keys}),
        "groups": len(set(own.groups)),
        "groups_of_smallest_class": min(len(set(own.groups[clips])) for clips in of_class.values()),
        "macro_accuracy": asdict(class_mean(own.hits, own.targets, own.groups, rng)),
        "log_loss": asdict(clip_mean(own.losses, own.groups, rng)),
        "per_class": {
            labels[k]: asdict(clip_mean(own.hits[clips], own.groups[clips], rng)) for k, clips in of_class.items()
        },
        **device_metrics(own, rng),
    }


def _mean_row(
    name: str,
    results: Sequence[SystemResult],
    rows: Sequence[Mapping[str, Any]],
    answers_of: Callable[[str], Answers],
) -> dict[str, Any]:
    """Average the rows clip by clip, if all have the same classes and test clips."""
    accuracies = [result.system.paper.accuracy for result in results if result.system.paper]
    paper = PaperFigures(accuracy=float(np.mean(accuracies)), parameters="") if len(accuracies) == len(rows) else None
    row: dict[str, Any] = {"name": name, "paper": paper and paper.model_dump(), "by_trial": []}
    if len({result.trials[0].labels if result.trials else None for result in results}) > 1 or not results[0].trials:
        return row
    mean = mean_answers([answers_of(result.system.name) for result in results])
    return row if mean is None else row | _accuracies(mean, results[0].trials[0].labels)


def _by_seed(trials: Sequence[TrialResult]) -> list[dict[str, Any]]:
    """Return the macro accuracy of each seed, pooled over what was held out."""
    clips: dict[int, list[ClipPrediction]] = defaultdict(list)
    for trial in trials:
        clips[trial.seed] += trial.clips
    return [
        {"seed": seed, "macro_accuracy": clip_metrics(clips[seed], trials[0].labels)["macro_accuracy"]}
        for seed in sorted(clips)
    ]


def _best_test_epoch(trials: Sequence[TrialResult]) -> float | None:
    """Return the mean over trials of the best epoch's macro accuracy on the test clips, if all have recorded it."""
    if not all(trial.test_curve for trial in trials):
        return None
    return float(np.mean([max(trial.test_curve) for trial in trials]))


def _test_against(own: Answers, reference: Answers) -> dict[str, Any] | None:
    """Test two systems on the clips that both have; returns None if there are none."""
    index_of = {key: index for index, key in enumerate(reference.keys)}
    shared = [index for index, key in enumerate(own.keys) if key in index_of]
    if not shared:
        return None
    other = reference.hits[[index_of[own.keys[index]] for index in shared]]
    rng = np.random.default_rng(SEED)
    difference, p = paired_test(own.hits[shared], other, own.targets[shared], own.groups[shared], rng)
    return {"difference": asdict(difference), "p": p, "clips": len(shared)}
