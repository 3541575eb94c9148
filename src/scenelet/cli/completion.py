"""What the shell offers behind a command, where it is no plain path; nothing heavy is imported for it."""

import glob
from collections.abc import Callable

Completion = Callable[[str], list[str]]


def models(incomplete: str) -> list[str]:
    """The models that come with scenelet, and model files; where none match, the shell offers its paths."""
    from scenelet.model.pretrained import list_built_in

    return [*list_built_in(), *_files(incomplete, ".scn")]


def recipes(incomplete: str) -> list[str]:
    """Recipes by name, and TOML files."""
    from scenelet.config.recipes import list_recipes

    return [*list_recipes(), *_files(incomplete, ".toml")]


def tables(incomplete: str) -> list[str]:
    """Tables of systems by name, and TOML files."""
    from scenelet.experiments.systems import list_tables

    return ["table2", *list_tables(), *_files(incomplete, ".toml")]


def settings(incomplete: str) -> list[str]:
    """`KEY=`, of every setting."""
    from scenelet.config import setting_keys

    return [f"{key}=" for key in setting_keys()]


def splits(incomplete: str) -> list[str]:
    """The sides that can be measured."""
    return ["test", "validation", "train", "all"]


def data_sets(incomplete: str) -> list[str]:
    """What `scenelet fetch` knows."""
    from scenelet.data.download.fetch import DATA_SETS

    return list(DATA_SETS)


OFFERED: dict[str, Completion] = {
    "model": models,
    "recipe": recipes,
    "change": settings,
    "split": splits,
    "table": tables,
}
"""By a parameter's name, in whichever command."""
OFFERED_BY: dict[tuple[str, str], Completion | None] = {
    ("fetch", "data"): data_sets,
}
"""Where a command means something else by it."""


def completion(command: str, parameter: str) -> Completion | None:
    """What completes a command's parameter; None leaves it to the shell, or to the parameter's own choices."""
    return OFFERED_BY.get((command, parameter), OFFERED.get(parameter))


def _files(incomplete: str, suffix: str) -> list[str]:
    return sorted(glob.glob(f"{glob.escape(incomplete)}*{suffix}"))
