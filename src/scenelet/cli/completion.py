"""Shell completion of arguments that are not plain paths. It must not import anything slow."""

import glob


def models(incomplete: str) -> list[str]:
    """List built-in models and model files; if none match, the shell completes paths."""
    from scenelet.model.pretrained import list_built_in

    return [*list_built_in(), *_files(incomplete, ".scn")]


def recipes(incomplete: str) -> list[str]:
    """List recipe names and TOML files."""
    from scenelet.config.recipes import list_recipes

    return [*list_recipes(), *_files(incomplete, ".toml")]


def tables(incomplete: str) -> list[str]:
    """List names of tables of systems, and TOML files."""
    from scenelet.experiments.systems import list_tables

    return ["table2", *list_tables(), *_files(incomplete, ".toml")]


def rules(incomplete: str) -> list[str]:
    """List the size rules."""
    from scenelet.model.rules import RULES

    return list(RULES)


def settings(incomplete: str) -> list[str]:
    """List `KEY=` for every setting."""
    from scenelet.config import setting_keys

    return [f"{key}=" for key in setting_keys()]


def splits(incomplete: str) -> list[str]:
    """List the splits that `evaluate` accepts."""
    return ["test", "validation", "train", "all"]


def data_sets(incomplete: str) -> list[str]:
    """List the data sets that `fetch` can download."""
    try:
        from scenelet.data.download.fetch import DATA_SETS
    except ModuleNotFoundError:  # without the extra, `fetch` names it
        return []
    return list(DATA_SETS)


def _files(incomplete: str, suffix: str) -> list[str]:
    return sorted(glob.glob(f"{glob.escape(incomplete)}*{suffix}"))
