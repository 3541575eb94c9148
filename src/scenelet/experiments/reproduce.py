"""A whole table of systems as a grid of trainings that can be interrupted, with the paper's figures beside."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from scenelet.config import RunConfig
from scenelet.errors import RunError, SceneletError, UsageError
from scenelet.experiments.comparison import RowResult, compare, macro_accuracy, summarize_settings
from scenelet.experiments.plan import plan
from scenelet.experiments.report import check_same_results, write_comparison, write_plot
from scenelet.experiments.store import Store, Trial, make_trial
from scenelet.experiments.systems import System, SystemTable
from scenelet.nn.convert import to_scene_model
from scenelet.training.compression.search import check_max_bytes
from scenelet.training.network import build_blank_network
from scenelet.utils.console import print_message, print_warning
from scenelet.utils.files import make_folder
from scenelet.utils.text import duration, pluralize


def reproduce(
    name: str,
    data: Path,
    out: Path,
    *,
    recipe: str | None = None,
    seeds: int = 1,
    folds: Sequence[str] = (),
    cities: bool = False,
    reference: str | None = None,
    audio_dir: Path | None = None,
    tau_3_class: bool = False,
    cache_dir: Path | None = None,
) -> dict[str, Any]:
    """Compute what is missing of a table; it is written as Markdown, JSON and CSV after every cell, plotted at the end.

    A cell is a row, a fold (or city) and a seed. A finished one is never computed again, by whichever table it
    was asked for; one that was cut goes on from its last finished epoch, with the same end. Several processes
    may work on one folder.

    Args:
        name: of the table, see `scenelet.experiments.systems.list_tables`, or a TOML file that is one.
        data: labelled recordings.
        out: folder for the results and the store of cells.
        recipe: how much training: a recipe's name or a TOML file; None: what the table is meant for.
        seeds: trainings a row and fold, with the seeds 0, 1, ...
        folds: the folds to hold out, one after the other; none: each fold of the data, or its own split.
        cities: hold out one city after the other instead.
        reference: the row that the others are tested against; None: the table's own.
        audio_dir, tau_3_class: as `scenelet.data.load.load_table`.
        cache_dir: of the feature cache; None: `scenelet.utils.files.cache_folder()`.

    Returns:
        What the JSON file holds; see `scenelet.experiments.comparison.compare`.

    Raises:
        SceneletError: data, table or recipe cannot be used, or a training diverged; finished cells are kept.
    """
    asked = plan(
        name,
        data,
        recipe=recipe,
        folds=folds,
        cities=cities,
        reference=reference,
        audio_dir=audio_dir,
        tau_3_class=tau_3_class,
    )
    systems, recipe, configs, table = asked.systems, asked.recipe, asked.configs, asked.table
    described = f"{data.name}: {table.describe()}"
    print_message(described)
    store = Store(out, table, cache_dir)
    cells = _cells(systems, recipe, seeds, asked.held_out, cities)
    for row, config in configs.items():
        _check_network(config, table.labels, f"{row} under {recipe}")
    for taught in (row for row in systems.rows if row.teacher is not None):
        _check_teacher(taught.name, str(taught.teacher), configs)
    parts = [*(["cities"] if cities else []), *(f"fold{fold}" for fold in dict.fromkeys(folds))]
    stem = "-".join([Path(name).stem, Path(recipe).stem, *parts])
    settings = {row.name: summarize_settings(configs[row.name], row.teacher) for row in systems.rows}
    check_same_results(out, stem, systems.title, described, settings)
    make_folder(out)

    def report() -> dict[str, Any]:
        rows = [_row_result(row, configs[row.name], cells, store) for row in systems.rows]
        compared = compare(systems, rows, described, stem, Path(recipe).stem, table.synthetic)
        write_comparison(out, compared, rows)
        return compared

    _compute_missing(cells, store, report)
    compared = report()
    write_plot(out, compared)
    return compared


def _compute_missing(cells: Sequence[Trial], store: Store, report: Callable[[], Any]) -> None:
    """Compute cell by cell; what another process is at comes last, and is waited for.

    Raises:
        RunError: cells failed, as trainings do that diverge; the other cells are computed all the same.
    """
    waiting = []
    for cell in cells:
        if store.result(cell) is None:
            waiting.append(cell)
        else:
            store.clean_up(cell)
    print_message(f"{pluralize(len(cells), 'cell')}, {len(cells) - len(waiting)} of them finished before")
    done, started, failed = 0, time.monotonic(), []
    for wait in (False, True):
        postponed = []
        for index, cell in enumerate(waiting):
            with store.lock(cell, wait) as ours:
                if not ours:
                    postponed.append(cell)
                    continue
                try:
                    if (result := store.result(cell)) is None:
                        print_message(f"begun: {_title(cell)}")
                        result = store.compute(cell, _title(cell))
                except SceneletError as error:
                    failed.append(f"{_title(cell)}: {error}")
                    print_warning(f"failed: {failed[-1]}")
                    continue
            done += 1
            left = (time.monotonic() - started) / done * (len(waiting) - index - 1)
            accuracy = f"{100 * macro_accuracy(result):.1f} %"
            print_message(f"{_title(cell)}: {accuracy}, {duration(60 * result.minutes)}; about {duration(left)} left")
            report()
        waiting = postponed
    if failed:
        raise RunError(f"{len(failed)} of {len(cells)} cells failed, the others are finished: {failed[0]}")


def _cells(systems: SystemTable, recipe: str, seeds: int, places: Sequence[str], cities: bool) -> list[Trial]:
    """Every cell of the table; all rows of one fold and seed, then the next."""
    if seeds < 1:
        raise UsageError(f"--seeds {seeds}: give 1 or more")
    return [
        make_trial(systems, row.name, recipe, held_out, seed, cities)
        for seed in range(seeds)
        for held_out in places
        for row in systems.rows
    ]


def _check_network(config: RunConfig, labels: tuple[str, ...], where: str) -> None:
    """What cannot be built or stored is better known before the first cell than after hours."""
    try:
        network = build_blank_network(config, len(labels))
        to_scene_model(network, labels, config.features, config.window).shapes()
        if config.prune.max_bytes is not None:
            check_max_bytes(network, labels, config)
    except SceneletError as error:
        raise UsageError(f"{where}: {error}; change the row, or choose another recipe") from None


def _check_teacher(row: str, teacher: str, configs: Mapping[str, RunConfig]) -> None:
    """The same for a teacher that hears something else than the row that it teaches."""
    for what in ("features", "window"):
        if getattr(configs[row], what) != getattr(configs[teacher], what):
            raise UsageError(f"row {row!r}: its teacher {teacher!r} has other {what}; give both the same")


def _row_result(row: System, config: RunConfig, cells: Sequence[Trial], store: Store) -> RowResult:
    """What is known of a row so far."""
    own = [cell for cell in cells if cell.row == row.name]
    results = [result for cell in own if (result := store.result(cell)) is not None]
    return RowResult(row, config, results, len(own))


def _title(cell: Trial) -> str:
    parts = [cell.row, f"{'city' if cell.config.split.city else 'fold'} {cell.held_out}" if cell.held_out else ""]
    return ", ".join(part for part in (*parts, f"seed {cell.seed}") if part)
