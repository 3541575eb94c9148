"""Checks of the arguments of `reproduce` and `demo`, before PyTorch is loaded and the long work begins."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scenelet.config import RunConfig
from scenelet.config.run_folder import check_folder_is_new
from scenelet.data.clips import ClipTable
from scenelet.data.load import as_table
from scenelet.data.splits import FOLDS_TOGETHER, held_out_folds
from scenelet.errors import DataError, UsageError
from scenelet.evaluation.report import REPORT
from scenelet.experiments.systems import SystemTable, load_systems
from scenelet.training.preflight import check_one_device


def check_demo_folder(out: Path) -> None:
    """Check that `demo` can begin in a folder, or resume an interrupted demo there.

    Raises:
        RunError: the folder holds something else, or a finished demo.
    """
    is_interrupted = (out / "scenes").is_dir() and not (out / "report" / REPORT).exists()
    if not is_interrupted:
        check_folder_is_new(out)


@dataclass(frozen=True)
class Plan:
    """Checked arguments of `reproduce`."""

    systems: SystemTable
    recipe: str
    configs: dict[str, RunConfig]  # by the name of the system
    table: ClipTable
    held_out: tuple[str, ...]  # the folds or cities, one after the other; ("",) means the data's own split


def plan(
    name: str,
    data: str | os.PathLike[str] | ClipTable,
    *,
    recipe: str | None,
    folds: Sequence[str],
    cities: bool,
    reference: str | None,
) -> Plan:
    """Check the arguments of `scenelet.experiments.reproduce.reproduce`; arguments and errors are the same."""
    systems = load_systems(name)
    if reference is not None:
        systems = systems.with_reference(reference)
    recipe = recipe or systems.recipe
    configs = {row.name: systems.config(row, recipe) for row in systems.rows}
    for config in configs.values():
        check_one_device(config, "reproduce")
    table = as_table(data)
    return Plan(systems, recipe, configs, table, _held_out(table, folds, cities))


def _held_out(table: ClipTable, folds: Sequence[str], cities: bool) -> tuple[str, ...]:
    """List the folds or cities to hold out."""
    if cities:
        if folds:
            raise UsageError("--fold and --cities: give one of them, not both")
        if len(table.cities) < 2:
            raise DataError(f"{table.root}: {table.source} has fewer than two cities; leave --cities out")
        return table.cities
    if folds and not table.folds:
        raise UsageError(f"--fold {folds[0]}: {table.source} has no folds; leave it out")
    if folds:
        return tuple(dict.fromkeys(FOLDS_TOGETHER.join(held_out_folds(table, fold)) for fold in folds))
    return table.folds if len(table.folds) > 1 else ("",)
