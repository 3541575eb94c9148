"""A trial: one system of a table, trained with one seed and tested on one held-out part of the data."""

from dataclasses import dataclass

from scenelet.config import RunConfig
from scenelet.experiments.systems import SystemTable
from scenelet.training.precision import resolve_precision


@dataclass(frozen=True)
class Trial:
    """One training and its test."""

    system: str
    held_out: str
    seed: int
    config: RunConfig  # with the held-out part, the seed, and the precision that is used, not "auto"
    fine_tuned: bool  # prune (or keep all weights) and fine-tune the network after training
    teachers: "tuple[Trial, ...]" = ()  # the trials that train the teachers, with distillation

    @property
    def title(self) -> str:
        """Title for messages, e.g. "N=1, fold 2, seed 0"."""
        kind = "city" if self.config.split.city else "fold"
        parts = [self.system, f"{kind} {self.held_out}" if self.held_out else "", f"seed {self.seed}"]
        return ", ".join(part for part in parts if part)


def used_config(config: RunConfig) -> RunConfig:
    """Replace the precision "auto" by the one that this machine uses.

    >>> used_config(RunConfig(precision="fp32")).precision
    'fp32'
    """
    return config.model_copy(update={"precision": resolve_precision(config.precision)})


def make_trial(
    table: SystemTable, name: str, recipe: str, held_out: str = "", seed: int = 0, cities: bool = False
) -> Trial:
    """Make a trial of the system `name` of a table.

    Args:
        table, name, recipe, seed: the table, a row, the name or TOML file of a recipe, and the seed of the training.
        held_out: the fold, the folds (1+2) or the city to test on; "" for the data's own split.
        cities: `held_out` is a city.

    Raises:
        UsageError: as `SystemTable.config`.

    >>> from scenelet.experiments.systems import load_systems
    >>> trial = make_trial(load_systems("ablation"), "N=1", "comparison", held_out="2", seed=3)
    >>> trial.title, trial.config.network.repeats, trial.config.split.fold
    ('N=1, fold 2, seed 3', 1, '2')
    """
    system = next(row for row in table.rows if row.name == name)
    config = used_config(table.config(system, recipe))
    location = {"fold": None, "city": None, "city" if cities else "fold": held_out or None}
    config = config.model_copy(update={"split": config.split.model_copy(update=location), "seed": seed})
    seeds = [seed + system.teachers[:index].count(teacher) for index, teacher in enumerate(system.teachers)]
    teachers = tuple(
        make_trial(table, teacher, recipe, held_out, own, cities)
        for teacher, own in zip(system.teachers, seeds, strict=True)
    )
    return Trial(name, held_out, seed, config, table.is_fine_tuned(system), teachers)
