"""What can be refused before PyTorch is loaded, which takes seconds: asked by the commands, and by the verbs again."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scenelet.config import RunConfig, SplitConfig
from scenelet.data.sources import load_table
from scenelet.data.splits import FOLDS_TOGETHER, held_out_folds, make_split
from scenelet.data.table import ClipTable
from scenelet.devices import Place, find_place
from scenelet.errors import DataError, UsageError
from scenelet.recipes.tables import SystemTable, load_table_of_systems
from scenelet.reports.evaluation import REPORT
from scenelet.run_folder import require_new, require_run


def require_split(data: Path, audio_dir: Path | None, three_classes: bool, split: SplitConfig) -> None:
    """Check that the recordings can be found and split.

    Raises:
        SceneletError: as `load_table` and `make_split`.
    """
    make_split(load_table(data, audio_dir, three_classes), split)


def require_shares(config: RunConfig) -> Place:
    """Check that each device gets clips of every batch; gives the place of this process among those that train.

    Raises:
        UsageError: there are more devices than clips in a batch, or as `scenelet.devices.find_place`.
    """
    trainer, batch = config.trainer, config.schedule.batch_size
    if trainer.world_size > batch:
        raise UsageError(
            f"trainer.devices x trainer.num_nodes is {trainer.world_size}, and schedule.batch_size {batch} leaves some"
            " without a clip; raise it, or take fewer devices"
        )
    return find_place(trainer.devices, trainer.num_nodes)


def require_one_device(config: RunConfig, what: str) -> None:
    """Check that several devices are not asked of `what`, which trains on one.

    Raises:
        UsageError: they are.
    """
    if config.trainer.world_size > 1:
        raise UsageError(
            f"{what} trains on one device, and trainer.devices x trainer.num_nodes is {config.trainer.world_size}; set"
            " both to 1, or use `scenelet train`"
        )


def require_compressible(run: Path, out: Path, sparsity: float | None, budget: int | None) -> None:
    """Check what `compress` is asked for.

    Raises:
        UsageError: a sparsity and a budget, or no name of a model file.
        RunError: no such run.
    """
    if sparsity is not None and budget is not None:
        raise UsageError("give a sparsity or a budget, not both")
    if out.suffix != ".scn":
        raise UsageError(f"{out}: a model file's name ends in .scn")
    if out.is_dir():
        raise UsageError(f"{out}: is a folder; give the name of the file to write")
    require_run(run)


def require_demo(out: Path) -> None:
    """Check that `demo` can begin in a folder, or go on in one in which it was killed.

    Raises:
        RunError: there is something else, or a demo that came to its end.
    """
    cut = (out / "scenes").is_dir() and not (out / "report" / REPORT).exists()
    if not cut:
        require_new(out)


@dataclass(frozen=True)
class Plan:
    """What `reproduce` is asked for.

    Attributes:
        systems: the table of systems.
        budget: a recipe's name or a TOML file.
        configs: row -> its settings.
        table: the recordings.
        held_out: folds (or cities) to hold out; ("",) is the data's own split.
    """

    systems: SystemTable
    budget: str
    configs: dict[str, RunConfig]
    table: ClipTable
    held_out: tuple[str, ...]


def plan(
    name: str,
    data: Path,
    *,
    budget: str | None,
    folds: Sequence[str],
    cities: bool,
    reference: str | None,
    audio_dir: Path | None,
    three_classes: bool,
) -> Plan:
    """What `scenelet.workflows.reproduce.reproduce` is to compute; arguments and errors as there."""
    systems = load_table_of_systems(name)
    if reference is not None:
        systems = systems.against(reference)
    budget = budget or systems.budget
    configs = {row.name: systems.config(row, budget) for row in systems.rows}
    for config in configs.values():
        require_one_device(config, "reproduce")
    table = load_table(data, audio_dir, three_classes)
    return Plan(systems, budget, configs, table, _held_out(table, folds, cities))


def _held_out(table: ClipTable, folds: Sequence[str], cities: bool) -> tuple[str, ...]:
    """Names of the folds or cities to hold out."""
    if cities:
        if folds:
            raise UsageError("give --fold or --cities, not both")
        if len(table.cities) < 2:
            raise DataError(
                f"{table.root}: {table.source} names {len(table.cities)} cities; --cities needs two or more"
            )
        return table.cities
    if folds and not table.folds:
        raise UsageError(f"--fold {folds[0]}: {table.source} has no folds")
    if folds:
        return tuple(dict.fromkeys(FOLDS_TOGETHER.join(held_out_folds(table, fold)) for fold in folds))
    return table.folds if len(table.folds) > 1 else ("",)
