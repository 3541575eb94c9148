"""Recipes: whole sets of settings as TOML files, and `--set` on top of them."""

import tomllib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from scenelet.config import RunConfig, build_config, setting_keys
from scenelet.errors import UsageError, did_you_mean


def list_recipes() -> list[str]:
    """Names of the recipes that come with scenelet."""
    files = resources.files(__name__).iterdir()
    return sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml"))


def load_recipe(name: str, changes: Sequence[str] = ()) -> RunConfig:
    """Settings from a built-in recipe or a TOML file, with `KEY=VALUE` changes on top.

    Args:
        name: a name of `list_recipes()`, or the path of a `.toml` file.
        changes: e.g. `["schedule.epochs=20", "network.name=shared_resnet"]`; values are TOML, bare
            words are text.

    Raises:
        UsageError: unknown recipe or key, bad TOML, or a value out of range.
    """
    values = _read(name)
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals:
            raise UsageError(f"--set {change}: write it as KEY=VALUE")
        if key not in setting_keys():
            raise UsageError(f"--set {change}: unknown setting {key!r}{did_you_mean(key, setting_keys())}")
        *rooms, last = key.split(".")
        place = values
        for room in rooms:
            place = place.setdefault(room, {})
        place[last] = _parse(value)
    return build_config(values, f"recipe {name}")


def _read(name: str) -> dict[str, Any]:
    path = Path(name)
    if name in list_recipes():
        text = resources.files(__name__).joinpath(f"{name}.toml").read_text()
    elif path.suffix == ".toml":
        if not path.is_file():
            raise UsageError(f"{path}: no such recipe file")
        text = path.read_text()
    else:
        known = list_recipes()
        raise UsageError(f"no recipe is named {name!r}{did_you_mean(name, known)}; known: {', '.join(known)}")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{name}: not valid TOML ({error})") from None


def _parse(value: str) -> Any:
    try:
        return tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return value
