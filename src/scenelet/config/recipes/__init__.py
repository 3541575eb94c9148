"""Recipes: whole sets of settings as TOML files, and `--set` on top of them."""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from scenelet.config import NetworkConfig, RunConfig, build_config, setting_keys
from scenelet.errors import UsageError, did_you_mean


def list_recipes() -> list[str]:
    """Names of the recipes that come with scenelet."""
    files = resources.files(__name__).iterdir()
    return sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml"))


def load_recipe(name: str, changes: Sequence[str] | Mapping[str, Any] = ()) -> RunConfig:
    """Settings from a built-in recipe or a TOML file, with changes on top.

    Args:
        name: a name of `list_recipes()`, or the path of a `.toml` file.
        changes: e.g. `["schedule.epochs=20", "network.name=shared_resnet"]`; values are TOML, bare
            words are text. Or, with values as they are, `{"schedule.epochs": 20}`.

    Raises:
        UsageError: unknown recipe or key, bad TOML, or a value out of range.
    """
    values, changed = read_values(name), dict[str, Any]()
    for said, key, value in _changes(changes):
        if key not in setting_keys():
            same = [known for known in setting_keys() if known.rpartition(".")[2] == key]
            hint = f"; did you mean {' or '.join(same)}?" if same else did_you_mean(key, setting_keys())
            raise UsageError(f"{said}: unknown setting {key!r}{hint}")
        *rooms, last = key.split(".")
        place = changed
        for room in rooms:
            if not isinstance(values.get(room, {}), dict):
                raise UsageError(f"recipe {name}: {room!r} is a section with settings of its own, not a value")
            place = place.setdefault(room, {})
        place[last] = value
    return build_config(merge(values, changed), f"recipe {name}")


def read_values(name: str) -> dict[str, Any]:
    """The nested values of a recipe; one with `base = "NAME"` is written on top of that recipe.

    Raises:
        UsageError: no such recipe or base, or bad TOML.
    """
    own, base = read_own_part(name)
    return own if base is None else merge(read_values(base), own)


def read_own_part(name: str) -> tuple[dict[str, Any], str | None]:
    """What a recipe itself says, and the recipe that it stands on, if any. Raises as `read_values`."""
    path = Path(name)
    if name in list_recipes():
        data = resources.files(__name__).joinpath(f"{name}.toml").read_bytes()
    elif path.suffix == ".toml":
        if not path.is_file():
            raise UsageError(f"{path}: no such recipe file")
        data = path.read_bytes()
    else:
        known = list_recipes()
        raise UsageError(f"no recipe is named {name!r}; there are {', '.join(known)}{did_you_mean(name, known)}")
    values = read_toml(data, name)
    base = values.pop("base", None)
    if base is not None and (base not in list_recipes() or base == name):
        raise UsageError(f"{name}: base = {base!r} is not a recipe; known: {', '.join(list_recipes())}")
    return values, base


def read_toml(data: bytes, source: str) -> dict[str, Any]:
    """The values of a TOML file.

    Raises:
        UsageError: not TOML in UTF-8, too many levels, or a number of thousands of digits.
    """
    try:
        return tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:  # TOMLDecodeError is a ValueError
        raise UsageError(f"{source}: not valid TOML ({error})") from None


def merge(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Nested values with changes on top: a section's settings one by one, anything else whole.

    A network of another name has its own defaults: the settings of the one beneath say nothing of it.
    """
    merged = dict(values)
    for key, change in changes.items():
        under = merged.get(key, {})
        together = isinstance(change, dict) and isinstance(under, dict)
        if together and key == "network":
            name = under.get("name", NetworkConfig().name)
            together = change.get("name", name) == name
        merged[key] = {**under, **change} if together else change
    return merged


def _changes(changes: Sequence[str] | Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """(what the user said, key, value) of each."""
    if isinstance(changes, Mapping):
        for key, value in changes.items():
            yield "settings", str(key), value
        return
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals:
            raise UsageError(f"--set {change}: write it as KEY=VALUE")
        yield f"--set {change}", key, _parse(value, f"--set {change}")


def _parse(value: str, said: str) -> Any:
    try:
        return tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return value
    except (ValueError, RecursionError):
        raise UsageError(f"{said}: its value is none that a setting takes") from None
