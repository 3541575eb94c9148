"""Comparison of several systems on the same clips, with intervals, paired tests, and the paper's results."""

import functools
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenelet.config import RunConfig
from scenelet.evaluation.bootstrap import class_mean, clip_mean, paired_test
from scenelet.evaluation.clip_prediction import ClipPrediction
from scenelet.evaluation.metrics import clip_losses
from scenelet.experiments.results import TrialResult, clip_metrics
from scenelet.experiments.selection import select_pooled, select_system
from scenelet.experiments.systems import System, SystemTable

SEED = 0  # of every interval and test, so that the same trials give the same table

Key = tuple[str, str]
"""The held-out part, and the name of a test clip."""
RowCache = dict[tuple[str, int, int], dict[str, Any]]
"""Rows by the name of the system, its number of trials, and that of the reference."""


@dataclass(frozen=True)
class SystemResult:
    """A system, its settings and its finished trials."""

    system: System
    config: RunConfig
    trials: Sequence[TrialResult]
    expected: int  # number of its trials in the complete table


@dataclass(frozen=True)
class _Answers:
    """A system's hits (0 to 1, mean over seeds) and losses for each test clip, pooled over folds."""

    keys: list[Key]
    targets: NDArray[np.int64]
    groups: NDArray[np.object_]
    hits: NDArray[np.float64]
    losses: NDArray[np.float64]


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
        Values for JSON: "title", "name", "data", "recipe", "synthetic", "reference", "paper_data", "paper_clips",
        "checkpoint", "versions" (each set of software versions), "rows", "choices" and "pooled_choice" (the results of
        `select_system` and `select_pooled` in `scenelet.experiments.selection`), and "as_chosen" ("macro_accuracy" and
        "log_loss" {value, low, high} if each of these folds is tested with its own choice; None until all of these
        trials are finished).

        A row has "name", "trials", "trials_expected", "paper" and "settings" (those that differ from their defaults).
        If a trial is finished, it also has "clips" (a clip held out in several trials counts several times),
        "distinct_clips", "groups", "groups_of_smallest_class", "macro_accuracy" and "log_loss" {value, low, high},
        "per_class" {label: the same of its accuracy}, "by_trial", "by_seed", "parameters", "parameters_kept", "bytes",
        "steps", "empty_layers" (of any trial), and "against_reference" {difference {value, low, high}, p, clips}, which
        is None for the reference. "best_test_epoch" is the mean over trials of the highest macro accuracy of any epoch
        on the test clips. The test clips choose that epoch. It is None if a trial did not record its epochs.
    """
    known = {} if known is None else known
    reference = next(result for result in results if result.system.name == table.reference)
    pool = functools.cache(lambda name: _pool(next(result.trials for result in results if result.system.name == name)))
    rows = []
    for result in results:
        other = reference.trials if result is not reference else ()
        # a table only gains trials, so their numbers tell if a row has changed
        key = result.system.name, len(result.trials), len(other)
        if key not in known:
            own = pool(result.system.name) if result.trials else None
            known[key] = _row(result, own, pool(table.reference) if other else None)
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
        "paper_data": table.paper_data,
        "paper_clips": table.paper_clips,
        "checkpoint": sorted({result.config.checkpoint for result in results}),
        "versions": [json.loads(each) for each in sorted(versions)],
        "rows": rows,
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
    own, rng = _pool([trial for of_fold in tests for trial in of_fold]), np.random.default_rng(SEED)
    return {
        "macro_accuracy": asdict(class_mean(own.hits, own.targets, own.groups, rng)),
        "log_loss": asdict(clip_mean(own.losses, own.groups, rng)),
    }


def _row(result: SystemResult, own: _Answers | None, reference: _Answers | None) -> dict[str, Any]:
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


def _metrics(trials: Sequence[TrialResult], own: _Answers) -> dict[str, Any]:
    first = trials[0]
    rng = np.random.default_rng(SEED)
    of_class = {k: own.targets == k for k in range(len(first.labels)) if (own.targets == k).any()}
    return {
        "clips": len(own.keys),
        "distinct_clips": len({name for _, name in own.keys}),
        "groups": len(set(own.groups)),
        "groups_of_smallest_class": min(len(set(own.groups[clips])) for clips in of_class.values()),
        "macro_accuracy": asdict(class_mean(own.hits, own.targets, own.groups, rng)),
        "log_loss": asdict(clip_mean(own.losses, own.groups, rng)),
        "per_class": {
            first.labels[k]: asdict(clip_mean(own.hits[clips], own.groups[clips], rng)) for k, clips in of_class.items()
        },
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


def _test_against(own: _Answers, reference: _Answers) -> dict[str, Any] | None:
    """Test two systems on the clips that both have; returns None if there are none."""
    index_of = {key: index for index, key in enumerate(reference.keys)}
    shared = [index for index, key in enumerate(own.keys) if key in index_of]
    if not shared:
        return None
    other = reference.hits[[index_of[own.keys[index]] for index in shared]]
    rng = np.random.default_rng(SEED)
    difference, p = paired_test(own.hits[shared], other, own.targets[shared], own.groups[shared], rng)
    return {"difference": asdict(difference), "p": p, "clips": len(shared)}


def _pool(trials: Sequence[TrialResult]) -> _Answers:
    """Pool the test clips of all trials, and average each clip over seeds."""
    seeds: dict[Key, list[tuple[int, str, bool, float]]] = defaultdict(list)
    for trial in trials:
        probabilities = np.array([clip.probabilities for clip in trial.clips], np.float32)
        targets = [trial.labels.index(clip.label) for clip in trial.clips]
        answers, losses = probabilities.argmax(axis=1), clip_losses(targets, probabilities)
        for clip, target, answer, loss in zip(trial.clips, targets, answers, losses, strict=True):
            seeds[trial.held_out, clip.name].append((target, clip.group, answer == target, loss))
    return _Answers(
        keys=list(seeds),
        targets=np.array([found[-1][0] for found in seeds.values()]),
        groups=np.array([found[-1][1] for found in seeds.values()], object),
        hits=np.array([np.mean([hit for _, _, hit, _ in found]) for found in seeds.values()]),
        losses=np.array([np.mean([loss for *_, loss in found]) for found in seeds.values()]),
    )
