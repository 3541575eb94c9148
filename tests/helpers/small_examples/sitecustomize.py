"""Small recipes and data for the scripts of the documentation. Python imports this module when a process starts."""

import functools
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Load = Callable[..., Any]


def with_changes(load: Load, settings: list[str]) -> Load:
    """Return a function that loads a recipe with settings that win over those of its caller."""

    def load_small(name: str, changes: Iterable[str] | Mapping[str, Any] = (), *options: Any) -> Any:
        if isinstance(changes, Mapping):
            changes = [f"{key}={value}" for key, value in changes.items()]
        return load(name, [*changes, *settings], *options)

    return load_small


if sys.orig_argv[-1].endswith("script.py"):
    from scenelet.config import recipes
    from scenelet.data.synthetic import dataset

    recipes.load_recipe = with_changes(recipes.load_recipe, json.loads(os.environ["SMALL_RECIPE"]))
    dataset.write_synthetic_dataset = functools.partial(  # the page's 288 recordings take too long
        dataset.write_synthetic_dataset, clips_per_location=1, train_locations=2, test_locations=1, seconds=0.5
    )
