"""`scenelet reproduce`: compute all trials of a table of systems. It can be interrupted and resumed."""

import os
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scenelet.config import RunConfig
from scenelet.data.background import add_background
from scenelet.data.clips import ClipTable
from scenelet.errors import OutputError, RunError, SceneletError, UsageError
from scenelet.experiments.comparison import RowCache, SystemResult, compare, summarize_settings
from scenelet.experiments.comparison_plot import write_plot
from scenelet.experiments.compute import compute_trial
from scenelet.experiments.plan import plan
from scenelet.experiments.report import check_same_results, write_comparison
from scenelet.experiments.results import TrialResult
from scenelet.experiments.store import Store
from scenelet.experiments.systems import SystemTable
from scenelet.experiments.trial import Trial, make_trial, used_config
from scenelet.nn.convert import to_scene_model
from scenelet.training.compression.search import check_max_bytes
from scenelet.training.network import build_blank_network
from scenelet.utils.console import print_message, print_warning
from scenelet.utils.files import make_folder
from scenelet.utils.locks import file_lock
from scenelet.utils.text import duration, first_few, pluralize


def reproduce(
    name: str,
    data: str | os.PathLike[str] | ClipTable,
    out: Path,
    *,
    recipe: str | None = None,
    seeds: int = 1,
    folds: Sequence[str] = (),
    cities: bool = False,
    reference: str | None = None,
    test_curve: bool = False,
) -> dict[str, Any]:
    """Compute the missing trials of a table. Markdown, JSON and CSV are written after each trial, a plot at the end.

    A trial is a system, a fold (or city) and a seed. A finished trial is never computed again, whichever table needs
    it. An interrupted one resumes after its last finished epoch, with the same result. Several processes can work on
    one folder.

    Args:
        name: name of the table, see `scenelet.experiments.systems.list_tables`, or its TOML file.
        data: labeled recordings, as a path or a table.
        out: folder for the results and the store of trials.
        recipe: name of a recipe, or a TOML file; None: the table's default.
        seeds: number of trainings per system and fold, with the seeds 0, 1, ...
        folds: the folds to hold out, one after the other. If empty: each fold of the data, or the data's own split.
        cities: hold out one city after the other instead.
        reference: name of the system that the others are tested against; None: the table's own.
        test_curve: record the accuracy on the test clips after each epoch of the trials that are computed now, for the
            best epoch on the test clips. No choice uses it, and no result changes. Finished trials stay as they are.

    Returns:
        The content of the JSON file; see `scenelet.experiments.comparison.compare`.

    Raises:
        SceneletError: data, table or recipe cannot be used, or a training diverged. Finished trials remain stored.
    """
    planned = plan(name, data, recipe=recipe, folds=folds, cities=cities, reference=reference)
    systems, recipe, table = planned.systems, planned.recipe, planned.table
    configs = {name: used_config(config) for name, config in planned.configs.items()}
    assert table.path is not None  # `load_table` sets it
    description = f"{table.path.name}: {table.describe()}"
    print_message(description)
    store = Store(out, table)
    trials = _trials(systems, recipe, seeds, planned.held_out, cities)
    _check_systems(systems, configs, table, recipe)
    held_out = [*(["cities"] if cities else []), *(f"fold{fold}" for fold in dict.fromkeys(folds))]
    file_name = "-".join([Path(name).stem, Path(recipe).stem, *held_out])  # e.g. table3-paper-fold1
    settings = {row.name: summarize_settings(configs[row.name], row.teacher) for row in systems.rows}
    check_same_results(out, file_name, systems.title, description, settings)
    make_folder(out)

    known: RowCache = {}

    def report() -> dict[str, Any]:
        with file_lock(out / "locks" / file_name):  # other processes write the same files
            results = []
            for row in systems.rows:
                own = [store.read_result(trial) for trial in trials if trial.system == row.name]
                finished = [result for result in own if result is not None]
                results.append(SystemResult(row, configs[row.name], finished, len(own)))
            compared = compare(systems, results, description, file_name, Path(recipe).stem, table.synthetic, known)
            write_comparison(out, compared, results)
        return compared

    _compute_missing(trials, store, report, test_curve)
    compared = report()
    write_plot(out, compared)
    return compared


def _compute_missing(trials: Sequence[Trial], store: Store, report: Callable[[], Any], test_curve: bool) -> None:
    """Compute the missing trials; those that another process works on come last.

    Raises:
        RunError: some trials failed, e.g. because their training diverged. The other trials are computed anyway.
    """
    waiting = []
    for trial in trials:
        if store.read_result(trial) is None:
            waiting.append(trial)
        else:
            store.clean_up(trial)
    print_message(f"{pluralize(len(trials), 'trial')}, {len(trials) - len(waiting)} of them already finished")
    failed: list[str] = []
    seconds: dict[str, list[float]] = defaultdict(list)
    for wait in (False, True):
        postponed = []
        for index, trial in enumerate(waiting):
            started = time.monotonic()
            with store.lock(trial, wait) as is_locked:
                if not is_locked:
                    postponed.append(trial)
                    continue
                try:
                    result = store.read_result(trial)  # another process may have finished it
                    if result is None:
                        print_message(f"started: {trial.title}")
                        result = compute_trial(store, trial, trial.title, test_curve)
                except SceneletError as error:
                    failed.append(f"{trial.title}: {error}")
                    print_warning(f"failed: {failed[-1]}")
                    continue
            seconds[trial.system].append(time.monotonic() - started)
            _print_result(trial, result, time_left([each.system for each in waiting[index + 1 :]], seconds))
            try:
                report()
            except OutputError as error:  # the trial is stored, and the table is written again after the next one
                print_warning(str(error))
        waiting = postponed
    if failed:
        raise RunError(f"{len(failed)} of {len(trials)} trials failed, the others are finished: {failed[0]}")


def _print_result(trial: Trial, result: TrialResult, left: str) -> None:
    accuracy = f"{100 * result.metrics['macro_accuracy']:.1f} %"
    print_message(f"{trial.title}: {accuracy}, {duration(60 * result.minutes)}; {left}")
    if result.empty_layers:
        named = [f"{layer} ({100 * kept:.1f} % left)" for layer, kept in result.empty_layers.items()]
        print_warning(f"{trial.title}: layers that are nearly empty after pruning: {first_few(named)}")


def time_left(waiting: Sequence[str], seconds: Mapping[str, Sequence[float]]) -> str:
    """Estimate the time of the trials that are left, each system by its own, since systems differ by a factor of ten.

    Args:
        waiting: the system of each trial that is left.
        seconds: the durations of finished trials, by system.

    >>> time_left(["wide", "narrow", "narrow"], {"narrow": [100.0, 140.0]})
    'about 4 min left, and not timed yet: wide'
    """
    known = [float(np.mean(seconds[name])) for name in waiting if seconds.get(name)]
    new = list(dict.fromkeys(name for name in waiting if not seconds.get(name)))
    parts = [f"about {duration(sum(known))} left"] if known or not new else []
    return ", and ".join([*parts, *([f"not timed yet: {first_few(new)}"] if new else [])])


def _trials(systems: SystemTable, recipe: str, seeds: int, held_out: Sequence[str], cities: bool) -> list[Trial]:
    """List every trial of the table; all systems of one fold and seed come before the next fold."""
    if seeds < 1:
        raise UsageError(f"--seeds {seeds}: give 1 or more")
    return [
        make_trial(systems, row.name, recipe, part, seed, cities)
        for seed in range(seeds)
        for part in held_out
        for row in systems.rows
    ]


def _check_systems(systems: SystemTable, configs: Mapping[str, RunConfig], table: ClipTable, recipe: str) -> None:
    """Check before the first trial that every system can be built, stored and distilled."""
    for row in systems.rows:
        config = configs[row.name]
        labels = add_background(table, config.data).labels
        try:
            network = build_blank_network(config, len(labels))
            to_scene_model(network, labels, config.features, config.window).shapes()
            if config.prune.max_bytes is not None:
                check_max_bytes(network, labels, config)
        except SceneletError as error:
            where = f"{row.name} under {recipe}"
            raise UsageError(f"{where}: {error}; change the row, or choose another recipe") from None
        for teacher in row.teachers:
            for section in ("features", "window"):
                if getattr(config, section) != getattr(configs[teacher], section):
                    raise UsageError(
                        f"row {row.name!r}: its teacher {teacher!r} has other {section}; give both the same"
                    )
