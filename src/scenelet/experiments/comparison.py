"""Several systems on the same clips, side by side: intervals, paired tests, and the paper's figures."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenelet.config import RunConfig
from scenelet.evaluation.bootstrap import class_mean, clip_mean, paired_test
from scenelet.evaluation.metrics import clip_losses
from scenelet.experiments.results import TrialResult, measures
from scenelet.experiments.selection import select_system
from scenelet.experiments.systems import System, SystemTable

SEED = 0  # of every interval and test: the same cells give the same table

Key = tuple[str, str]
"""What is held out, and a test clip's name."""


@dataclass(frozen=True)
class RowResult:
    """A row, its settings, the cells of it that are finished, and how many it will have."""

    row: System
    config: RunConfig
    cells: Sequence[TrialResult]
    expected: int


@dataclass(frozen=True)
class _Answers:
    """A row's hits (0 to 1, the mean over seeds) and losses of each test clip, pooled over folds."""

    keys: list[Key]
    targets: NDArray[np.int64]
    groups: list[str]
    hits: NDArray[np.float64]
    losses: NDArray[np.float64]


def summarize_settings(config: RunConfig, teacher: str | None = None) -> dict[str, Any]:
    """The settings that are not at their defaults, and the row that teaches; fold, city and seed are the cells'."""
    plain = config.model_copy(update={"split": config.split.model_copy(update={"fold": None, "city": None}), "seed": 0})
    taught = {} if teacher is None else {"teacher": teacher}
    return plain.model_dump(mode="json", exclude_defaults=True) | taught


def macro_accuracy(result: TrialResult) -> float:
    """Macro-average accuracy of one cell, 0 to 1."""
    return float(measures(result.clips, result.labels)["macro_accuracy"])


def compare(
    systems: SystemTable, rows: Sequence[RowResult], data: str, name: str, recipe: str, made: bool
) -> dict[str, Any]:
    """Every row measured and tested against the table's reference row, as JSON values.

    Test clips are pooled over folds (or cities), a clip's hits and losses averaged over seeds. Rows are tested on
    the clips that both have, so a table that is half done can be read.

    Returns:
        "title", "name", "data", "recipe", "synthetic", "reference", "paper_data", "paper_clips", "select", "versions" (of
        the software, each set that a cell was made with), and "rows": each with "name", "cells", "cells_expected",
        "paper", "settings" (those not at their defaults), and where a cell is finished "clips" (one that
        several cells held out is as many), "distinct_clips", "groups",
        "groups_of_smallest_class",
        "macro_accuracy" and "log_loss" {value, low, high}, "per_class" {label: the same of its accuracy}, "by_cell",
        "parameters", "parameters_kept", "bytes", "steps", and "against_reference" {difference {value, low, high},
        p, clips}, None for the reference itself. "choices": see `scenelet.experiments.selection.select_system`.
    """
    answers = {result.row.name: _answers(result.cells) for result in rows if result.cells}
    reference = answers.get(systems.reference)
    measured = []
    for result in rows:
        entry: dict[str, Any] = {
            "name": result.row.name,
            "cells": len(result.cells),
            "cells_expected": result.expected,
            "settings": summarize_settings(result.config, result.row.teacher),
            "paper": None if result.row.paper is None else result.row.paper.model_dump(),
        }
        own = answers.get(result.row.name)
        if own is not None:
            tested = None
            if reference is not None and result.row.name != systems.reference:
                tested = _against(own, reference)
            entry |= _measures(result.cells, own) | {"against_reference": tested}
        measured.append(entry)
    versions = {json.dumps(cell.versions, sort_keys=True) for result in rows for cell in result.cells}
    return {
        "title": systems.title,
        "name": name,
        "data": data,
        "recipe": recipe,
        "synthetic": made,
        "reference": systems.reference,
        "paper_data": systems.paper_data,
        "paper_clips": systems.paper_clips,
        "select": sorted({result.config.checkpoint for result in rows}),
        "versions": [json.loads(each) for each in sorted(versions)],
        "rows": measured,
        "choices": select_system({result.row.name: result.cells for result in rows}),
    }


def _measures(cells: Sequence[TrialResult], own: _Answers) -> dict[str, Any]:
    first = cells[0]
    rng = np.random.default_rng(SEED)
    present = [k for k in range(len(first.labels)) if (own.targets == k).any()]
    return {
        "clips": len(own.keys),
        "distinct_clips": len({name for _, name in own.keys}),
        "groups": len(set(own.groups)),
        "groups_of_smallest_class": min(len(set(_of_class(own.groups, own, k))) for k in present),
        "macro_accuracy": asdict(class_mean(own.hits, own.targets, own.groups, rng)),
        "log_loss": asdict(clip_mean(own.losses, own.groups, rng)),
        "per_class": {
            first.labels[k]: asdict(clip_mean(own.hits[own.targets == k], _of_class(own.groups, own, k), rng))
            for k in present
        },
        "by_cell": [
            {"held_out": cell.held_out, "seed": cell.seed, "macro_accuracy": macro_accuracy(cell)} for cell in cells
        ],
        "parameters": first.parameters,
        "parameters_kept": first.parameters_kept,
        "bytes": {rule: max(cell.bytes[rule] for cell in cells) for rule in first.bytes},
        "steps": sorted({cell.steps for cell in cells}),
    }


def _of_class(groups: Sequence[str], own: _Answers, k: int) -> list[str]:
    return [group for group, target in zip(groups, own.targets, strict=True) if target == k]


def _against(own: _Answers, reference: _Answers) -> dict[str, Any] | None:
    """The paired test on the clips that both rows have; None when there are none."""
    place = {key: index for index, key in enumerate(reference.keys)}
    mine = [index for index, key in enumerate(own.keys) if key in place]
    if not mine:
        return None
    theirs = [place[own.keys[index]] for index in mine]
    groups = [own.groups[index] for index in mine]
    rng = np.random.default_rng(SEED)
    test = paired_test(own.hits[mine], reference.hits[theirs], own.targets[mine], groups, rng)
    return {"difference": asdict(test.difference), "p": test.p, "clips": len(mine)}


def _answers(cells: Sequence[TrialResult]) -> _Answers:
    hits: Mapping[Key, list[float]] = defaultdict(list)
    losses: Mapping[Key, list[float]] = defaultdict(list)
    known: dict[Key, tuple[int, str]] = {}
    for cell in cells:
        probabilities = np.array([clip.probabilities for clip in cell.clips], np.float32)
        targets = np.array([cell.labels.index(clip.label) for clip in cell.clips])
        right = probabilities.argmax(axis=1) == targets
        for clip, target, hit, loss in zip(
            cell.clips, targets, right, clip_losses(targets, probabilities), strict=True
        ):
            key = cell.held_out, clip.name
            known[key] = int(target), clip.group
            hits[key].append(float(hit))
            losses[key].append(float(loss))
    keys = list(known)
    return _Answers(
        keys=keys,
        targets=np.array([known[key][0] for key in keys]),
        groups=[known[key][1] for key in keys],
        hits=np.array([np.mean(hits[key]) for key in keys]),
        losses=np.array([np.mean(losses[key]) for key in keys]),
    )
