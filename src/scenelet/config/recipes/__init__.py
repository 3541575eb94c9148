"""Recipes: complete sets of settings as TOML files, and changes to them (`--set`)."""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any

from scenelet.config import NetworkConfig, RunConfig, build_config, setting_keys, suggest_setting
from scenelet.errors import UsageError, did_you_mean

NO_OPTIONS: Mapping[str, Any] = MappingProxyType({})


def list_recipes() -> list[str]:
    """List the names of the built-in recipes.

    Example:
        >>> "default" in list_recipes()
        True
    """
    files = resources.files(__name__).iterdir()
    return sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml"))


def load_recipe(
    name: str, changes: Sequence[str] | Mapping[str, Any] = (), options: Mapping[str, Any] = NO_OPTIONS
) -> RunConfig:
    """Load a built-in recipe or a TOML file, and apply changes.

    Args:
        name: one of `list_recipes()`, or the path of a `.toml` file.
        changes: list of `KEY=VALUE` strings, whose values are TOML or plain words; or a mapping of keys to values.
        options: values of a command's own options by key: "split.fold" for `--fold`. None: the option is not given.

    Raises:
        UsageError: the recipe or a key is unknown, the TOML is invalid, or a value is out of range.

    Example:
        >>> load_recipe("default", ["schedule.epochs=20"]).schedule.epochs
        20
        >>> load_recipe("default", {"network.width": 32}).network.width
        32
    """
    given = {key: value for key, value in options.items() if value is not None}
    sources = {key: source for source, key, _ in _changes(changes)}
    sources |= {key: f"--{key.rpartition('.')[2]} {value}" for key, value in given.items()}
    values, nested = read_values(name), nest(parse_changes(changes) | given)
    for section in nested:
        if not isinstance(values.get(section, {}), dict) and isinstance(nested[section], dict):
            raise UsageError(f"recipe {name}: {section!r} is a section with settings of its own, not a value")
    return build_config(merge(values, nested), f"recipe {name}", sources)


def parse_changes(changes: Sequence[str] | Mapping[str, Any]) -> dict[str, Any]:
    """Return the value of each changed setting by its key.

    Args:
        changes: as for `load_recipe`.

    Raises:
        UsageError: a change is not `KEY=VALUE`, or its key is unknown.

    Example:
        >>> parse_changes(["prune.epochs=20", "prune.mixing=none"])
        {'prune.epochs': 20, 'prune.mixing': 'none'}
    """
    values = {}
    for source, key, value in _changes(changes):
        if key not in setting_keys():
            raise UsageError(f"{source}: unknown setting {key!r}{suggest_setting(key)}")
        values[key] = value
    return values


def nest(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return values by dotted keys as nested sections.

    Example:
        >>> nest({"seed": 1, "prune.epochs": 20})
        {'seed': 1, 'prune': {'epochs': 20}}
    """
    nested: dict[str, Any] = {}
    for key, value in changes.items():
        section, dot, setting = key.partition(".")
        if dot:
            nested.setdefault(section, {})[setting] = value
        else:
            nested[key] = value
    return nested


def read_values(name: str) -> dict[str, Any]:
    """Read the nested values of a recipe. A recipe with `base = "NAME"` changes the recipe of that name.

    Raises:
        UsageError: the recipe or its base does not exist, or the TOML is invalid.
    """
    own, base = read_own_part(name)
    return own if base is None else merge(read_values(base), own)


def read_own_part(name: str) -> tuple[dict[str, Any], str | None]:
    """Read the values in the recipe's own file, and the name of its base, if any. Raises as `read_values`."""
    path = Path(name)
    if name in list_recipes():
        data = resources.files(__name__).joinpath(f"{name}.toml").read_bytes()
    elif path.suffix == ".toml":
        if not path.is_file():
            raise UsageError(f"{path}: no such recipe file")
        data = path.read_bytes()
    else:
        if path.exists() and not path.is_dir():
            raise UsageError(f"{path}: is not a recipe file, whose name ends in .toml")
        known = list_recipes()
        raise UsageError(f"no recipe is named {name!r}; there are {', '.join(known)}{did_you_mean(name, known)}")
    values = read_toml(data, name)
    base = values.pop("base", None)
    if base is not None and (base not in list_recipes() or base == name):
        raise UsageError(f"{name}: base = {base!r} is not a recipe; known: {', '.join(list_recipes())}")
    return values, base


def read_toml(data: bytes, source: str) -> dict[str, Any]:
    """Parse the content of a TOML file.

    Raises:
        UsageError: the content is not TOML in UTF-8, is nested too deeply, or has a number of thousands of digits.
    """
    try:
        return tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:  # TOMLDecodeError is a ValueError
        raise UsageError(f"{source}: not valid TOML ({error})") from None


def merge(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Apply changes to nested values: setting by setting in a section, anything else as a unit.

    If the changes name another network, the settings of the old network are dropped.

    Example:
        >>> merge({"schedule": {"epochs": 5, "batch_size": 16}}, {"schedule": {"epochs": 9}})
        {'schedule': {'epochs': 9, 'batch_size': 16}}
    """
    merged = dict(values)
    for key, change in changes.items():
        old = merged.get(key, {})
        combine = isinstance(change, dict) and isinstance(old, dict)
        if combine and key == "network":
            name = old.get("name", NetworkConfig().name)
            combine = change.get("name", name) == name
        merged[key] = {**old, **change} if combine else change
    return merged


def _changes(changes: Sequence[str] | Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Yield (source for error messages, key, value) of each change."""
    if isinstance(changes, Mapping):
        for key, value in changes.items():
            yield "settings", str(key), value
        return
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals or not key:
            raise UsageError(f"--set {change}: write it as KEY=VALUE")
        yield f"--set {change}", key, _parse(value, f"--set {change}")


def _parse(value: str, source: str) -> Any:
    try:
        return tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return float(value) if re.fullmatch(r"\.\d+", value) else value  # .5 is no TOML
    except (ValueError, RecursionError):
        raise UsageError(f"{source}: not a valid value") from None
